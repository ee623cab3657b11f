"""Densities for tests of the detector: quick, and known in closed form."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KernelDensity

from sklatent import DensityOutlierDetector
from sklatent._outliers.scores import SCORES


class Normals(BaseEstimator):
    """Independent normal features, with all that a score may ask for."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        X = np.asarray(X)
        self.mean_, self.sd_ = X.mean(axis=0), self.factor * X.std(axis=0) + 1e-3
        return self

    def score_features(self, X):
        return -0.5 * ((np.asarray(X) - self.mean_) / self.sd_) ** 2 - np.log(self.sd_)

    def score_samples(self, X):
        return self.score_features(X).sum(axis=1)

    def score_statistics(self, X):
        return np.asarray(X)[:, :2] ** 3

    def likelihood_regret(self, X):
        return np.abs(np.asarray(X)).sum(axis=1)


class Given(BaseEstimator):
    """The score of a row is its first value."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def score_samples(self, X):
        return np.asarray(X, dtype=float)[:, 0]


def rows(n, seed=0, d=3):
    return np.random.RandomState(seed).normal(size=(n, d)) * [1.0, 5.0, 0.2][:d]


X = rows(1000)
FITTED = Normals().fit(rows(50, seed=7))
WIDE = FrozenEstimator(Normals(3.0).fit(rows(50, seed=8)))
POOL = [("normals", FrozenEstimator(FITTED)), ("kernel", FrozenEstimator(KernelDensity().fit(rows(50, seed=9))))]


def frozen(method, **params):
    """A detector that has nothing to fit."""
    background = WIDE if "background" in SCORES[method].takes else None
    return DensityOutlierDetector(
        FrozenEstimator(FITTED), method=method, background=background, random_state=0, **params
    )
