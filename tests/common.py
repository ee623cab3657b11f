"""Every public estimator, found by discovery; what is true of all is tested on these."""

import inspect

from sklearn.base import BaseEstimator

import sklatent
from sklatent._bridge.unsupervised import UnsupervisedEstimator

ESTIMATORS = [
    cls
    for name in sorted(sklatent.__all__)
    if inspect.isclass(cls := getattr(sklatent, name)) and issubclass(cls, BaseEstimator)
]
NETS = [cls for cls in ESTIMATORS if issubclass(cls, UnsupervisedEstimator)]  # what holds one net, fitted to rows alone
SCORERS = [cls for cls in NETS if hasattr(cls, "score_samples")]
SMALL = {"hidden_layer_sizes": (16,), "n_filters": 8, "n_blocks": 1, "n_layers": 1, "n_components": 3}


def small(cls, **params):
    """An estimator that trains in a moment; parameters that it does not have are left out."""
    known = inspect.signature(cls).parameters
    defaults = {**SMALL, "max_iter": 3, "random_state": 0}
    params = {**{name: value for name, value in defaults.items() if name in known}, **params}
    return cls(**{name: value for name, value in params.items() if name in known})


def said(estimator, X):
    """What an estimator says of rows: their scores, their classes' probabilities, or else their codes."""
    for name in ("score_samples", "predict_proba"):
        if hasattr(estimator, name):
            return getattr(estimator, name)(X)
    return estimator.transform(X)
