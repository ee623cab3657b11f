"""What is seen of one feature at a time: how frequent a value is, how far out, how soon a random cut isolates it."""

import numpy as np
from scipy.special import ndtri
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.ensemble import IsolationForest
from sklearn.utils.validation import check_is_fitted, validate_data

from .._bridge.state import Estimator
from .histogram import TableDensity

N_BINS = 16
FEW, FEW_SHARE = 10, 0.02  # distinct values, and their share of the rows, up to which a feature has levels
N_QUANTILES = 1000
FARTHEST = 4.0  # normal score, in absolute value


class _Marginals(TableDensity):
    """Product of the frequencies of levels, where a feature has few, and of histograms with bins of equal frequency.

    A level has the mass c / n; one that is new 1 / (2 n). A bin of width w has the density (c + 1/2) / (n w), for
    features scaled to a range of 1; what is outside of all, the least of these, or 1 / (2 n).
    """

    def fit(self, X, y=None):
        X = self._check_rows(X, reset=True)
        self.columns_ = [self._column(x) for x in X.T]
        return self

    def _column(self, x):
        """Either levels or the edges of bins, and the log-densities of these and of all else."""
        levels, counts = np.unique(x, return_counts=True)
        n, nothing = len(x), -np.log(2 * len(x))
        if len(levels) <= max(FEW, FEW_SHARE * n):
            return levels, np.log(counts / n), nothing
        edges = np.unique(np.quantile(x, np.linspace(0, 1, N_BINS + 1)))
        width = np.diff(edges / 2) / (edges[-1] / 2 - edges[0] / 2)  # halves: their difference does not overflow
        log_density = np.log((np.histogram(x, edges)[0] + 0.5) / (n * width))
        return edges, log_density, min(nothing, log_density.min())

    def score_features(self, X):
        check_is_fitted(self)
        X = self._check_rows(X)
        return np.stack([self._score(x, *column) for x, column in zip(X.T, self.columns_, strict=True)], axis=1)

    @staticmethod
    def _score(x, values, log_density, nothing):
        index = np.clip(np.searchsorted(values, x, side="right") - 1, 0, len(log_density) - 1)
        levels = len(values) == len(log_density)
        known = values[index] == x if levels else (x >= values[0]) & (x <= values[-1])
        return np.where(known, log_density[index], nothing)

    def _leaving_one_out(self):
        """A row of ``fit`` is one among many in its bins."""
        return self


class _Tails(TableDensity):
    """Sum of the log p-values of the features: (1 + number of rows as far out, on the nearer side) / (n + 1).

    Z. Li et al., "ECOD: Unsupervised outlier detection using empirical cumulative distribution functions", 2022.
    """

    def fit(self, X, y=None):
        self.sorted_ = np.sort(self._check_rows(X, reset=True), axis=0)
        return self

    def score_features(self, X):
        check_is_fitted(self)
        X, n = self._check_rows(X), len(self.sorted_)
        below = np.stack(
            [np.searchsorted(s, x, side="right") for s, x in zip(self.sorted_.T, X.T, strict=True)], axis=1
        )
        under = np.stack([np.searchsorted(s, x, side="left") for s, x in zip(self.sorted_.T, X.T, strict=True)], axis=1)
        return np.log((1 + np.minimum(below, n - under)) / (n + 1))

    def _leaving_one_out(self):
        return self


class _Forest(TableDensity):
    """Mean depth at which an isolation forest isolates a row, in units of that of a random one.

    Minus log2 of minus ``IsolationForest.score_samples``, and so the same order. Along a path each cut changes the
    depth that rows of ``fit`` have on average beyond it; the change is the cut's feature's (A. Saabas, "Interpreting
    random forests", 2014). The depth at the root is shared equally.
    """

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        X = self._check_rows(X, reset=True)
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        self.forest_ = IsolationForest(random_state=self.random_state).fit(self._scaled(X))
        return self

    def _scaled(self, X):
        """From 0 to 1, so that float32 does; what is beyond stays beyond every cut."""
        span = self.high_ / 2 - self.low_ / 2
        with np.errstate(over="ignore"):
            return np.clip((X / 2 - self.low_ / 2) / np.where(span > 0, span, 1.0), -1, 2)

    def score_samples(self, X):
        check_is_fitted(self)
        return -np.log2(-self.forest_.score_samples(self._scaled(self._check_rows(X))))

    def score_features(self, X):
        check_is_fitted(self)
        U = self._scaled(self._check_rows(X)).astype(np.float32)
        total = np.zeros(U.size)
        for tree in self.forest_.estimators_:
            rise, feature, mean = self._cuts(tree.tree_)
            path = tree.decision_path(U)
            row = np.repeat(np.arange(len(U)), np.diff(path.indptr))
            cell = row * U.shape[1] + feature[path.indices]
            total += np.bincount(cell, rise[path.indices], minlength=U.size) + mean / U.shape[1]
        return total.reshape(U.shape) / (len(self.forest_.estimators_) * _random_depth(self.forest_.max_samples_))

    @staticmethod
    def _cuts(tree):
        """For each node: how much deeper the rows of ``fit`` come to lie by the cut above it, and the feature of that.
        And the mean depth.

               Nodes come after their parents; the root is its own, and rises by nothing.
        """
        n, left, right = tree.n_node_samples, tree.children_left, tree.children_right
        depth, parent = np.zeros(tree.node_count), np.zeros(tree.node_count, dtype=int)
        inner = np.flatnonzero(left >= 0)
        for node in inner:
            for child in (left[node], right[node]):
                depth[child], parent[child] = depth[node] + 1, node
        depth += np.where(left < 0, _random_depth(n), 0.0)
        for node in inner[::-1]:
            both = [left[node], right[node]]
            depth[node] = n[both] @ depth[both] / n[node]
        return depth - depth[parent], np.maximum(tree.feature[parent], 0), depth[0]

    def _leaving_one_out(self):
        return self


def _random_depth(n):
    """Mean depth of a leaf of a random binary tree over n rows (F. T. Liu, K. M. Ting, Z.-H. Zhou, 2008)."""
    n = np.maximum(n, 1)
    many = 2 * (np.log(np.maximum(n - 1, 1)) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(n > 2, many, n - 1.0)


class _NormalScores(OneToOneFeatureMixin, TransformerMixin, Estimator):
    """Each value's rank among the rows of ``fit``, as a normal quantile (B. L. van der Waerden, 1952)."""

    def fit(self, X, y=None):
        X = validate_data(self, X, dtype=np.float64)
        self.quantiles_ = np.quantile(X, np.linspace(0, 1, min(len(X), N_QUANTILES)), axis=0)
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.stack([self._score(x, q) for x, q in zip(X.T, self.quantiles_.T, strict=True)], axis=1)

    @staticmethod
    def _score(x, quantiles):
        """Where quantiles are equal, the middle of their ranks."""
        levels = np.linspace(0, 1, len(quantiles))
        rising, falling = np.interp(x, quantiles, levels), 1 - np.interp(-x, -quantiles[::-1], levels)
        return np.clip(ndtri((rising + falling) / 2), -FARTHEST, FARTHEST)
