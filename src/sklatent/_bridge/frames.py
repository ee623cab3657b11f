"""Rows as tensors where tensors came, else as ``set_output`` asks for them: scikit-learn itself wraps only codes."""

from functools import wraps

import torch
from sklearn.utils._set_output import _get_container_adapter
from sklearn.utils.validation import _check_feature_names_in

from .inference import as_given


def as_asked(estimator, rows, given=None):
    """An array of rows that a model gives, with the columns of ``fit`` and the index of what was ``given``, if any."""
    if isinstance(given, torch.Tensor):
        return as_given(rows, given)
    adapter = _get_container_adapter("transform", estimator)
    if adapter is None:
        return rows
    return adapter.create_container(rows, given, columns=_check_feature_names_in(estimator))


def framed(method):
    """Let a method of rows, or of codes, that gives rows give them ``as_asked``."""

    @wraps(method)
    def wrapped(self, X, *args, **options):
        return as_asked(self, method(self, X, *args, **options), X)

    return wrapped
