"""What the opinions on the classes of rows see of them, beside the codes."""

import numpy as np
from scipy.special import ndtri

from .._bridge.state import Estimator

N_QUANTILES = 500  # of a feature
FARTHEST = 3.0  # normal scores


class _NormalScores(Estimator):
    """Each value's rank among quantiles of its feature, as a normal quantile; where these are equal, the middle rank.

    Values to their ranks: B. L. van der Waerden, "Order tests for the two-sample problem and their power", 1952.
    """

    def fit(self, X):
        self.quantiles_ = np.quantile(X, np.linspace(0, 1, N_QUANTILES), axis=0)
        return self

    def transform(self, X):
        levels, ranks = np.linspace(0, 1, len(self.quantiles_)), np.empty(X.shape)
        for j, (x, q) in enumerate(zip(np.asarray(X, dtype=np.float64).T, self.quantiles_.T, strict=True)):
            ranks[:, j] = (np.interp(x, q, levels) + 1 - np.interp(-x, -q[::-1], levels)) / 2
        return np.clip(ndtri(ranks), -FARTHEST, FARTHEST)
