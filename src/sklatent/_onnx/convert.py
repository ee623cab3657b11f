"""A fitted estimator as a model of ONNX, checked against the estimator."""

import numpy as np
import skl2onnx
from skl2onnx import convert_sklearn
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._bridge.state import Estimator
from .check import check
from .graphs import parsers, plain

OLDEST_OPSET = 18  # that torch exports


def convert(estimator, X, opset):
    """The model, whose outputs have the names of the methods that they equal."""
    if not hasattr(estimator, "fit"):
        raise TypeError(
            f"estimator must be a fitted estimator or Pipeline, not {estimator!r}. A file has all that it says; "
            "sample and complete draw, and have no ONNX."
        )
    check_is_fitted(estimator)
    _check_opset(opset)
    pipeline = plain(make_pipeline(estimator))
    last, (X, types) = pipeline[-1], _typed(X)
    try:
        model = convert_sklearn(
            pipeline, initial_types=types, target_opset={"": opset or OLDEST_OPSET, "ai.onnx.ml": 3},
            options={id(step): _options(step) for _, step in pipeline.steps}, custom_parsers=parsers(last),
        )  # fmt: skip
    except (MissingConverter, MissingShapeCalculator) as error:
        raise TypeError(
            f"A step has no ONNX that skl2onnx knows of: {str(error).splitlines()[0]} Give it a converter by "
            "skl2onnx.update_registered_converter, or convert the steps before and after it by themselves."
        ) from error
    _rename(model, dict(zip((each.name for each in model.graph.input), (name for name, _ in types), strict=True)))
    if not isinstance(last, Estimator):
        _rename(model, _names_of_outputs(model, last))
    check(model, pipeline, X)
    return model


def _options(step):
    """Probabilities as an array, not as a dict for each row."""
    alias = sklearn_operator_name_map.get(type(step))
    return {"zipmap": False} if alias and "zipmap" in (get_converter(alias).get_allowed_options() or ()) else {}


def _check_opset(opset):
    newest = skl2onnx.__max_supported_opset__
    if opset is not None and not (isinstance(opset, int) and OLDEST_OPSET <= opset <= newest):
        raise ValueError(
            f"opset={opset!r} must be an integer from {OLDEST_OPSET}, the oldest that torch exports, to {newest}, the "
            f"newest that this skl2onnx knows. Leave it out for {OLDEST_OPSET}."
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


def _names_of_outputs(model, last):
    """Of scikit-learn's estimators, the methods that the outputs of the model equal."""
    names = {"label": "predict", "output_label": "predict"}
    names["variable"] = "transform" if hasattr(last, "transform") else "predict"
    if hasattr(last, "predict_proba"):
        names |= dict.fromkeys(("probabilities", "output_probability"), "predict_proba")
    return {output.name: names.get(output.name, output.name) for output in model.graph.output}


def _rename(model, names):
    """Give inputs and outputs of a model other names; skl2onnx leaves out of columns' what is no letter or digit."""
    for node in model.graph.node:
        for edges in (node.input, node.output):
            edges[:] = [names.get(each, each) for each in edges]
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
