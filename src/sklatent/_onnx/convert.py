"""A fitted estimator as a model of ONNX, checked against the estimator."""

import numpy as np
import onnx
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._bridge.state import Estimator
from .check import check
from .graphs import parsers, plain

OLDEST_OPSET = 18  # that torch exports


def convert(estimator, X, opset):
    """The model, whose outputs have the names of the methods that they equal."""
    check_is_fitted(estimator)
    _check_opset(opset)
    simple = plain(estimator)
    last = plain(simple.steps[-1][1]) if isinstance(simple, Pipeline) else simple
    X, types = _typed(X)
    ours = isinstance(last, Estimator)
    options = {id(last): {"zipmap": False}} if is_classifier(last) and not ours else None
    try:
        model = convert_sklearn(
            simple,
            initial_types=types,
            target_opset=opset or OLDEST_OPSET,
            options=options,
            custom_parsers=parsers(last),
        )
    except (MissingConverter, MissingShapeCalculator) as error:
        raise TypeError(
            f"A step has no ONNX that skl2onnx knows of: {str(error).splitlines()[0]} Give it a converter by "
            "skl2onnx.update_registered_converter, or convert the steps before and after it by themselves."
        ) from error
    if not ours:
        _rename(model, last)
    check(model, simple, last, X)
    return model


def _check_opset(opset):
    newest = onnx.defs.onnx_opset_version()
    if opset is not None and not (isinstance(opset, int) and OLDEST_OPSET <= opset <= newest):
        raise ValueError(
            f"opset={opset!r} must be an integer from {OLDEST_OPSET}, the oldest that torch exports, to {newest}, the "
            f"newest that this onnx knows. Leave it out for {OLDEST_OPSET}."
        )


def _typed(X):
    """Rows as the file takes them, and its inputs: one of all features, or of a frame one for each column."""
    if hasattr(X, "columns"):
        return X, [(str(name), _type_of(X[name])([None, 1])) for name in X.columns]
    X = check_array(X, dtype=None)
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float32 if np.can_cast(X.dtype, np.float32) else np.float64)
    return X, [("X", _type_of(X)([None, X.shape[1]]))]


def _type_of(values):
    dtype = np.asarray(values).dtype
    if dtype.kind not in "fiub":
        return StringTensorType
    return FloatTensorType if dtype == np.float32 else DoubleTensorType if dtype.kind == "f" else Int64TensorType


def _rename(model, last):
    """Of scikit-learn's estimators, the outputs of the model by the methods that they equal."""
    names = {"label": "predict", "output_label": "predict", "variable": "transform"}
    names |= dict.fromkeys(("probabilities", "output_probability"), "predict_proba")
    if not hasattr(last, "predict_proba"):
        names |= dict.fromkeys(("probabilities", "scores"), "decision_function")
    if not hasattr(last, "transform"):
        names["variable"] = "predict"
    graph = model.graph
    for output in graph.output:
        new = names.get(output.name, output.name)
        for node in graph.node:
            for edges in (node.input, node.output):
                edges[:] = [new if each == output.name else each for each in edges]
        output.name = new
