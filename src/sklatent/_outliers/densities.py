"""The densities of a detector: which there are, how they are trained, and what they tell, in a Pipeline too."""

from contextlib import suppress
from copy import copy

import numpy as np
from sklearn.base import OneToOneFeatureMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array
from sklearn.utils.validation import _check_feature_names_in

from .._bridge.rows import detached, is_whole
from .._bridge.state import Estimator, Interrupted

MUTATION_RATE = 0.2  # of the background's rows; 0.1 and 0.3 were as good
N_COMPONENTS, REG_COVAR = 4, 1e-2  # of the mixture over the statistics, which are standardised
FARTHEST = 1e3  # ranges of the reference rows beyond which a statistic is cut off: infinity has no density


def check_density(name, estimator, needs=()):
    density = unwrap(estimator)[1]
    for method in ("fit", "score_samples", *needs):
        if isinstance(density, type) or not hasattr(density, method):
            kind = density.__name__ + " (a class)" if isinstance(density, type) else type(density).__name__
            raise TypeError(f"{name} must be an estimator with {method}, which {kind} has not.")


def seeded(estimator, rng):
    """A clone, and, if there is an ``rng``, with a seed wherever it has none."""
    twin = clone(estimator)
    if rng is not None and not isinstance(twin, FrozenEstimator):
        unset = [key for key, value in sorted(twin.get_params().items()) if value is None]
        seeds = {key: rng.randint(2**31 - 1) for key in unset if key.split("__")[-1] == "random_state"}
        twin.set_params(**seeds)
    return twin


def as_given(X):
    """Frames pass as they are, for a ``Pipeline`` that picks columns; what else X may hold the estimators say."""
    if hasattr(X, "iloc") and len(X):
        return X
    return check_array(detached(X), accept_sparse="csr", ensure_all_finite=False)


def corrupted(X, rng):
    """Rows in which each value is, with probability ``MUTATION_RATE``, a uniform draw from its feature's range.

    Whole numbers stay whole, and dtype and column names stay. Ren et al. 2019.
    """
    rows = check_array(X, copy=True)
    low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    whole = is_whole(rows)
    where = np.nonzero(rng.random(rows.shape, dtype=np.float32) < MUTATION_RATE)
    draws = low[where[1]] + rng.random(len(where[1])) * (high - low + whole)[where[1]]
    rows[where] = np.floor(draws) if whole else draws
    return type(X)(rows, columns=X.columns, index=X.index) if hasattr(X, "iloc") else rows


def train(density, verb, X):
    """``verb``, fit or partial_fit, unless it is frozen."""
    try:
        if not isinstance(density, FrozenEstimator):
            getattr(density, verb)(X)
    except Interrupted as stop:  # it kept what it had learned until then, but that makes no detector
        raise KeyboardInterrupt from stop


def thawed(estimator):
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def unwrap(estimator):
    """The (name, transformer) that rows go through in a ``Pipeline``, frozen or not, and the density at its end."""
    estimator = thawed(estimator)
    if not isinstance(estimator, Pipeline):
        return [], estimator
    *first, (_, last) = estimator.steps
    inner, last = unwrap(last)
    return [(name, step) for name, step in first if step is not None and step != "passthrough"] + inner, last


def ask(estimator, name, X):
    """What the method ``name`` of the density says of X as the steps before it give it; float64."""
    steps, density = unwrap(estimator)
    for _, step in steps:
        X = step.transform(X)
    return np.asarray(getattr(density, name)(X), dtype=np.float64)


def _mixing(steps):
    """Which step of a Pipeline is not one-to-one, in words; None if all are."""
    for name, step in steps:
        with suppress(AttributeError):  # of what knows no names
            if isinstance(thawed(step), OneToOneFeatureMixin):
                continue
            if list(step.get_feature_names_out()) == list(_check_feature_names_in(step)):
                continue
        kind = type(thawed(step)).__name__
        return f"the step {name!r}, {kind}, is not one-to-one: get_feature_names_out does not give what went in"


def no_features(estimator):
    """Why a fitted density does not tell ``score_features`` of the features of X; None if it does."""
    steps, density = unwrap(estimator)
    return _mixing(steps) if hasattr(density, "score_features") else f"{type(density).__name__} has no score_features"


def image_shape(estimator):
    """That of the rows of X, if the density has one and sees their features one by one."""
    steps, density = unwrap(estimator)
    return None if _mixing(steps) else getattr(density, "image_shape_", None)


def leaving_one_out(estimator):
    """For ranks among the rows that it was fitted on: where these would find themselves, a copy that minds it."""
    if isinstance(estimator, Pipeline):
        twin, (*steps, (name, last)) = copy(estimator), estimator.steps
        twin.steps = [*steps, (name, leaving_one_out(last))]
        return twin
    return estimator._leaving_one_out() if hasattr(estimator, "_leaving_one_out") else estimator


class _Mixture(Estimator):
    """A small Gaussian mixture over standardised statistics, and the range beyond which they are cut off."""

    def __init__(self, random_state):
        self.random_state = random_state

    def fit(self, X):
        X = np.repeat(X, 2, axis=0) if len(X) == 1 else X  # a mixture takes no fewer than two
        finite = np.where(np.isfinite(X), X, np.nan)
        low, high = np.nan_to_num(np.nanmin(finite, axis=0)), np.nan_to_num(np.nanmax(finite, axis=0))
        span = FARTHEST * np.maximum(high - low, 1.0)
        n, seed = min(N_COMPONENTS, len(X)), self.random_state  # one covariance: many statistics, not many rows
        mixture = GaussianMixture(n, covariance_type="tied", reg_covar=REG_COVAR, random_state=seed)
        self.mixture_ = make_pipeline(StandardScaler(), mixture).fit(np.where(np.isnan(finite), low, finite))
        self.low_, self.high_ = low - span, high + span
        return self

    def score_samples(self, X):
        return self.mixture_.score_samples(np.clip(X, self.low_, self.high_))
