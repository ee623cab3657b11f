"""Cross-conformal prediction: where rows are too few to keep any apart, each part of them is kept apart in turn.

Let s_k be the score of the densities that have not seen fold k, one of K. A new row x is as strange as

    C(x) = sum over k of #{i in fold k: s_k(x_i) <= s_k(x)}    of the n rows, and    p(x) = (1 + C(x)) / (n + 1).

For a row exchangeable with them P(p <= a) <= 2 a + 2 (1 - 1/K) / (n/K + 1) for every a, however unstable the
densities are (R. F. Barber, E. J. Candes, A. Ramdas, R. J. Tibshirani, "Predictive inference with the jackknife+",
2021, theorem 4; V. Vovk, "Cross-conformal predictors", 2015), and in practice about a. With K = n it is the jackknife+.
"""

from copy import copy

import numpy as np

from .scores import _Pool
from .tail import _ParetoTail
from .units import row_keys

TINY = np.finfo(np.float64).eps
EDGE = 1e-9  # of a rank, by which a position keeps clear of the next


def position(knots, scores):
    """#{knots <= score}, of sorted ones, and how far on from that knot to the next the score is: in (0, 1), rising."""
    count = np.searchsorted(knots, scores, side="right")
    padded, finite = np.concatenate([[-np.inf], knots, [np.inf]]), knots[np.isfinite(knots)]
    low, high, scale = padded[count], padded[count + 1], (np.ptp(finite) if len(finite) else 0.0) or 1.0
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        below, between, above = 1 / (1 + (high - scores) / scale), (scores - low) / (high - low), (scores - low) / scale
        fraction = np.where(np.isinf(low), below, np.where(np.isinf(high), 1 - 1 / (1 + above), between))
    return count, np.clip(np.nan_to_num(fraction), EDGE, 1 - EDGE)


class _Folded(_Pool):
    """The logarithm of p, made increasing in every s_k: from one rank to the next with the mean position in the folds.

    A row of ``fit`` is ranked among the others, by the densities that have not seen it. What each feature adds is the
    mean of what it adds to log p in the folds; what that mean differs by is shared equally.

    Parameters
    ----------
    scores : list of fitted scores
        One for each fold.
    tail : bool
        Whether it goes on below all ranks as a Pareto tail of the mean of the s_k does.
    """

    def __init__(self, scores, tail=False):
        self.scores, self.tail = scores, tail

    def fit(self, folds):
        """``folds``: one row of each unit that is kept apart from the densities of each score."""
        self.members_, own, keys, fold_of, rows = [], [], [], [], []
        for k, (score, fold) in enumerate(zip(self.scores, folds, strict=True)):
            self.members_.append(self._ranked(score, fold.X))
            own.append(score.score_samples(fold.X))
            keys.append((row_keys(fold.X), fold.keys))
            fold_of.append(np.full(len(fold.keys), k))
            rows.append(fold.rows)
        row_key, unit_key = np.hstack(keys)
        order = np.argsort(row_key)
        self.row_keys_, self.unit_keys_, self.rows_ = row_key[order], unit_key[order], np.concatenate(rows)[order]
        self.own_, self.fold_of_ = np.concatenate(own)[order], np.concatenate(fold_of)[order]
        self.ranked_ = np.ones(len(order), dtype=bool)
        return self

    def without(self, keys):
        """The same, but for the units with these keys, which nobody is ranked among."""
        twin = copy(self)
        twin.ranked_ = self.ranked_ & ~np.isin(self.unit_keys_, keys)
        return twin

    def ranks(self):
        """The n scores at which p rises, and the keys and rows of those ranked among, strangest first."""
        levels = np.log1p(np.arange(1, self.ranked_.sum() + 1)) - self._log_n()
        S = np.broadcast_to(self.own_[:, np.newaxis], (len(self.own_), len(self.scores)))
        order = np.argsort(np.where(self.ranked_, self._log_p(S, self.ranked_), np.inf), kind="stable")[: len(levels)]
        return levels, self.unit_keys_[order], self.rows_[order]

    def score_samples(self, X):
        S = np.stack([score.score_samples(X) for score in self.scores], axis=1)
        keys = row_keys(X)
        index = np.minimum(np.searchsorted(self.row_keys_, keys), len(self.row_keys_) - 1)
        known = self.row_keys_[index] == keys
        S[known] = self.own_[index[known], np.newaxis]
        return self._log_p(S, known & self.ranked_[index])

    def _log_p(self, S, itself):
        """``S``, (n, K): s_k of each row. ``itself``, (n,): whether it is one of those ranked among, and so counted."""
        total = -itself.astype(np.float64)
        for k, scores in enumerate(S.T):
            count, fraction = position(np.sort(self.own_[self.ranked_ & (self.fold_of_ == k)]), scores)
            total += count + fraction / S.shape[1]
        if self.tail:
            far = _ParetoTail().fit(self.own_[self.ranked_]).log_p(S.mean(axis=1)) + self._log_n()
            total = np.where(total < 1, np.exp(np.minimum(far, np.log(1 - EDGE))), total)
        return np.log1p(total) - self._log_n()

    def log_p(self, scores):
        """Below all ranks: the score is log(p + 1 / (n + 1)) there, so that it tells p down to some 1e-16 / (n + 1)."""
        return np.log(np.maximum(np.expm1(scores + self._log_n()), TINY)) - self._log_n()

    def quantile(self, level):
        """The score whose p is that ``level``, below all ranks."""
        return np.log1p(level * np.exp(self._log_n())) - self._log_n()

    def _log_n(self):
        return np.log1p(self.ranked_.sum())

    def score_features(self, X):
        parts = super().score_features(X)
        return parts + ((self.score_samples(X) - parts.sum(axis=1)) / parts.shape[1])[:, np.newaxis]
