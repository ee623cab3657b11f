"""What is seen of one feature at a time: how frequent a value is, how far out, how soon a random cut isolates it."""

import numpy as np
from scipy.special import ndtri
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.ensemble import IsolationForest
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from .._bridge.state import Estimator
from .histogram import TableDensity

N_BINS = 16
FEW, FEW_SHARE = 10, 0.02  # distinct values, and their share of the rows, up to which a feature has levels
N_QUANTILES = 1000
CHUNK = 4096  # rows that go through the forest at once
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
        halves = np.unique(np.quantile(x / 2, np.linspace(0, 1, N_BINS + 1)))  # whose differences do not overflow
        log_width = np.log(np.diff(halves)) - np.log(halves[-1] - halves[0])
        log_density = np.log((np.histogram(x, 2 * halves)[0] + 0.5) / n) - log_width
        return 2 * halves, log_density, min(nothing, log_density.min())

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

    The trees, which scikit-learn grows, are kept as complete ones: node i has the children 2 i + 1 and 2 i + 2.
    """

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        X = self._check_rows(X, reset=True)
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        forest = IsolationForest(random_state=self.random_state).fit(self._scaled(X))
        trees = [tree.tree_ for tree in forest.estimators_]
        self.n_levels_ = max(tree.max_depth for tree in trees)
        kept = [_complete(tree, self.n_levels_) for tree in trees]
        self.feature_, self.cut_, depth = (np.stack(arrays) for arrays in zip(*kept, strict=True))
        self.depth_ = depth / (len(trees) * _random_depth(forest.max_samples_))
        return self

    def _scaled(self, X):
        """From 0 to 1, so that float32 does; what is beyond stays beyond every cut."""
        span = self.high_ / 2 - self.low_ / 2
        with np.errstate(over="ignore"):
            scaled = np.clip((X / 2 - self.low_ / 2) / np.where(span > 0, span, 1.0), -1, 2)
        return scaled.astype(np.float32)

    def _paths(self, U):
        """For each level: the features cut, and the nodes above and below, each (n, trees)."""
        trees, rows = np.arange(len(self.cut_)), np.arange(len(U))[:, np.newaxis]
        node = np.zeros((len(U), len(trees)), dtype=int)
        for _ in range(self.n_levels_):
            feature = self.feature_[trees, node]
            below = 2 * node + 1 + (U[rows, feature] > self.cut_[trees, node])
            yield feature, node, below
            node = below

    def _in_parts(self, scores, X):
        U = self._scaled(X)
        return np.concatenate([scores(U[rows]) for rows in gen_batches(len(U), CHUNK)])

    def _log_density(self, X):
        return self._in_parts(self._depths, X)

    def score_features(self, X):
        check_is_fitted(self)
        return self._in_parts(self._rises, self._check_rows(X))

    def _depths(self, U):
        below = np.zeros((len(U), 1), dtype=int)
        for _, _, below in self._paths(U):  # noqa: B007
            pass
        return self.depth_[np.arange(len(self.cut_)), below].sum(axis=1)

    def _rises(self, U):
        trees, rows = np.arange(len(self.cut_)), np.arange(len(U))[:, np.newaxis]
        total = np.full(U.size, self.depth_[:, 0].sum() / U.shape[1])
        for feature, above, below in self._paths(U):
            rise = self.depth_[trees, below] - self.depth_[trees, above]
            total += np.bincount((rows * U.shape[1] + feature).ravel(), rise.ravel(), minlength=U.size)
        return total.reshape(U.shape)

    def _leaving_one_out(self):
        return self


def _complete(tree, n_levels):
    """Of each node how deep the rows of ``fit`` below are; above the last level the feature and the cut.

    At leaves the cut is inf: all go left.
    """
    node, level, levels = np.zeros(1, dtype=int), np.zeros(1), []
    for _ in range(n_levels + 1):
        inner = (node >= 0) & (tree.children_left[node] >= 0)
        levels.append((node, inner, level))
        left, right = np.where(inner, tree.children_left[node], node), np.where(inner, tree.children_right[node], -1)
        node, level = np.stack([left, right], axis=1).ravel(), np.repeat(level + inner, 2)
    depths, rows = [], None
    for node, _, level in reversed(levels):  # a leaf is passed on to the left, with all its rows
        below, rows = rows, np.where(node >= 0, tree.n_node_samples[node], 0)
        if below is None:
            depths.append(level + _random_depth(rows))
        else:
            depths.append((below * depths[-1]).reshape(-1, 2).sum(axis=1) / np.maximum(rows, 1))
    node, inner = (np.concatenate(parts)[: 2**n_levels - 1] for parts in list(zip(*levels, strict=True))[:2])
    cut = np.where(inner, tree.threshold[node], np.inf)
    below = cut.astype(np.float32)
    below = np.where(below > cut, np.nextafter(below, -np.float32(np.inf)), below)  # no float32 lies between it and cut
    return np.where(inner, tree.feature[node], 0).astype(np.int32), below, np.concatenate(depths[::-1])


def _random_depth(n):
    """Mean depth of a leaf of a random binary tree over n rows (F. T. Liu, K. M. Ting, Z.-H. Zhou, 2008)."""
    n = np.maximum(n, 1)
    many = 2 * (np.log(np.maximum(n - 1, 1)) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(n > 2, many, n - 1.0)


class _NormalScores(OneToOneFeatureMixin, TransformerMixin, Estimator):
    """Each value's rank among the rows of ``fit``, as a normal quantile (B. L. van der Waerden, 1952)."""

    def fit(self, X, y=None):
        halves = np.sort(validate_data(self, X, dtype=np.float64) / 2, axis=0)  # their differences do not overflow
        self.quantiles_ = halves  # of few rows themselves, to the last digit: else ties are none
        if len(X) > N_QUANTILES:
            self.quantiles_ = np.quantile(halves, np.linspace(0, 1, N_QUANTILES), axis=0)
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.stack([self._score(x / 2, q) for x, q in zip(X.T, self.quantiles_.T, strict=True)], axis=1)

    @staticmethod
    def _score(x, quantiles):
        """Where quantiles are equal, the middle of their ranks."""
        levels = np.linspace(0, 1, len(quantiles))
        rising, falling = np.interp(x, quantiles, levels), 1 - np.interp(-x, -quantiles[::-1], levels)
        return np.clip(ndtri((rising + falling) / 2), -FARTHEST, FARTHEST)
