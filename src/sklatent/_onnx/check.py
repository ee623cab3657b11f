"""What a model of ONNX says, beside what its estimator says."""

import numpy as np
import onnxruntime
import torch

from .._outliers.conformal import p_values
from .._outliers.detector import DensityOutlierDetector
from .verdicts import VERDICTS, Verdicts, score

TOLERANCE = 1e-4  # of a number, in its own size where that is above 1
ROUNDING = 1e-7  # the same, of float64


def run(model, X):
    """Output -> array, by onnxruntime."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feed, types = {}, {each.name: each.type for each in session.get_inputs()}
    for name in types:
        values = np.asarray(X[name]).reshape(-1, 1) if hasattr(X, "columns") else X
        kind = {"tensor(int64)": np.int64, "tensor(string)": object}.get(types[name], values.dtype)
        feed[name] = np.ascontiguousarray(values, dtype=kind)
    return dict(zip((each.name for each in session.get_outputs()), session.run(None, feed), strict=True))


def check(model, pipeline, X):
    """Raise if the model says of X anything else than the pipeline, by more than rounding explains."""
    last, rows = pipeline[-1], pipeline[:-1].transform(X) if len(pipeline) > 1 else X
    if isinstance(last, DensityOutlierDetector):
        return _check_detector(model, last, X, rows)
    found = run(model, X)
    for name, values in found.items():
        if not hasattr(last, name):
            continue
        expected = np.asarray(getattr(last, name)(rows))
        _raise_if(~_labelled(expected, found) if name == "predict" else ~near(expected, values), last, name)


def _check_detector(model, detector, X, rows):
    """Densities by themselves; verdicts given these, as ranks among scores move by jumps where scores hardly do."""
    densities, module = score(detector._score_)
    found, expected = run(model, X), [np.asarray(one.score_samples(rows), dtype=float) for one in densities]
    del model.graph.output[len(VERDICTS) :]
    said = [found.pop(name) for name in list(found)[len(VERDICTS) :]]
    for theirs, ours in zip(said, expected, strict=True):
        _raise_if(~near(ours, theirs), detector, "score_samples")
    verdicts = Verdicts(detector, module, len(densities))
    ours, theirs = _verdicts(verdicts, expected), _verdicts(verdicts, said)
    for name in ("score_samples", "decision_function"):
        _raise_if(~near(theirs[name], found[name], ROUNDING), detector, name)
        if not detector._in_folds:  # else a row of fit is another to Python than one that equals it
            _raise_if(~near(getattr(detector, name)(rows), ours[name], ROUNDING), detector, name)
    ranks = detector.calibration_scores_, detector._n_different_, detector._tail_
    _raise_if(~near(p_values(found["score_samples"], *ranks), found["p_values"]), detector, "p_values")
    _raise_if((found["decision_function"] < 0) != (found["predict"] == -1), detector, "predict")
    if detector._in_folds:
        said = np.stack([one.score_samples(rows) for one in detector._score_.scores], axis=1)
        said = detector._score_._log_p(said, np.zeros(len(said), dtype=bool))
        _raise_if(~near(said, ours["score_samples"], ROUNDING), detector, "score_samples")


def _verdicts(module, scores):
    with torch.inference_mode():
        said = module(*(torch.from_numpy(np.array(each)) for each in scores))
    return dict(zip(VERDICTS, (each.numpy() for each in said[: len(VERDICTS)]), strict=True))


def near(expected, values, tolerance=TOLERANCE):
    """Where two arrays of numbers are the same, infinities too."""
    with np.errstate(invalid="ignore"):
        return (expected == values) | (np.abs(expected - values) <= tolerance * np.maximum(1, np.abs(expected)))


def _labelled(expected, found):
    """Where labels, or predicted numbers, are the same, or two classes are as likely."""
    values = found["predict"].reshape(expected.shape)
    if expected.dtype.kind == "f" and len(found) == 1:
        return near(expected, values)
    if "predict_proba" not in found:
        return values == expected
    first_two = np.sort(found["predict_proba"], axis=1)[:, -2:]
    return (values == expected) | (np.diff(first_two, axis=1).ravel() < 2 * TOLERANCE)


def _raise_if(wrong, estimator, name):
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    if len(rows):
        raise ValueError(
            f"The ONNX of {type(estimator).__name__}.{name} differs from Python's by more than {TOLERANCE:g} in "
            f"{len(rows)} of {len(wrong)} rows of X, the first of them row {rows[0]}. Pass rows in float64, "
            "X.astype(float), or scale them first; and leave out rows that are far outside the range of fit."
        )
