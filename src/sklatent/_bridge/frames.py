"""Rows in the container that ``set_output`` asks for, where scikit-learn wraps only codes."""

from functools import wraps

import numpy as np
from sklearn.utils._set_output import _get_container_adapter
from sklearn.utils.validation import _check_feature_names_in


def as_asked(estimator, rows, given=None):
    """Rows that a model gives, with the columns of ``fit`` and the index of what was ``given``, if that has one.

    Tensors stay tensors.
    """
    adapter = _get_container_adapter("transform", estimator)
    if adapter is None or not isinstance(rows, np.ndarray):
        return rows
    return adapter.create_container(rows, given, columns=_check_feature_names_in(estimator))


def framed(method):
    """Let a method of rows, or of codes, that gives rows give them ``as_asked``."""

    @wraps(method)
    def wrapped(self, X, *args, **options):
        return as_asked(self, method(self, X, *args, **options), X)

    return wrapped
