"""Fitted estimators as files of ONNX, which run without Python: on a server, a phone, in a browser.

It takes the extra ``onnx``: ``pip install "sklatent[onnx]"``."""

# Written by docs/stubs.py from the docstrings (make stubs): not to be edited.
from typing import Any

from numpy.typing import ArrayLike
from onnx import ModelProto

__all__ = ["to_onnx"]

def to_onnx(estimator: Any, X: ArrayLike, *, opset: int | None = None) -> ModelProto:
    """A fitted estimator, or a pipeline of this library's steps and scikit-learn's, as a model of ONNX.

    What the model says of X is compared with what the estimator says.

    Parameters
    ----------
    estimator : fitted estimator or Pipeline
        Any of this library's, or a ``Pipeline`` with them. Steps of scikit-learn are converted by skl2onnx.
    X : array-like of shape (n_samples, n_features)
        Typical rows to check it on, without NaN. Their dtype is that of the model's one input, ``"X"``: float32 or
        float64; whole numbers of up to 16 bits count as float32, others as float64. A frame makes one input of each
        column.
    opset : int or None, default=None
        Version of the operators, 18 or more. None is 18.

    Returns
    -------
    model : onnx.ModelProto
        Any number of rows go in. Its outputs have the names of methods: at the end of a pipeline a transformer gives
        ``transform``, a density ``score_samples``, one that is both gives both; a classifier ``predict`` and
        ``predict_proba``; a detector ``predict``, ``decision_function``, ``score_samples`` and ``p_values``.
        ``model.SerializeToString()`` is the content of a file.

    Raises
    ------
    ImportError
        If the extra is not installed.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If a step has no ONNX: one that skl2onnx does not know; a detector whose method compresses or refines; a
        classifier that asks a pool of opinions.
    ValueError
        If ``opset`` is too old, X holds NaN, or the model differs from the estimator by more than 1e-4, in units of the
        number if that is above 1.

    See Also
    --------
    skl2onnx.to_onnx : For steps of scikit-learn alone.

    Notes
    -----
    There are no draws in a graph: ``sample``, ``complete`` and what fills in missing values stay in Python. Rows are
    not checked: a NaN comes out as NaN or as nonsense, and a value between levels scores as a level near it. A row of
    ``fit`` of a detector whose rows calibrated in turn counts as a new one.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklatent import AutoencoderTransformer
    >>> from sklatent.onnx import to_onnx
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X.astype("float32")
    >>> classifier = make_pipeline(AutoencoderTransformer(8, max_iter=1, random_state=0), LogisticRegression())
    >>> model = to_onnx(classifier.fit(X, y), X)
    >>> [output.name for output in model.graph.output]
    ['predict', 'predict_proba']
    """
