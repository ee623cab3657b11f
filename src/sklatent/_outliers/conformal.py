"""Ranks among kept-apart rows: exact p-values, the threshold that goes with them, and their smooth logarithm."""

import numpy as np

from .._bridge.state import Estimator

TAIL = 0.1  # share of the reference rows, the strangest, whose mean excess is the scale of the tail
TINY = 1e-9  # of the size of the scores: the least scale


def p_values(scores, calibration, *, apart=True):
    """Share of the rows at least as strange, the row itself counted: (1 + #{calibration <= score}) / (n + 1).

    ``calibration`` is sorted. If the score is exchangeable with those of the n calibration rows, P(p <= a) <= a for
    every a (V. Vovk, A. Gammerman, G. Shafer, "Algorithmic learning in a random world", 2005). ``apart=False`` is
    for rows that are themselves among the n: they are counted already, and none has less than 1 / n.
    """
    counts = np.searchsorted(calibration, scores, side="right")
    return (1 + counts) / (len(calibration) + 1) if apart else np.maximum(counts, 1) / len(calibration)


def threshold(calibration, level, *, apart=True):
    """The number below which lie exactly the scores with a p-value of at most ``level``; -inf if none can."""
    n = len(calibration)
    k = np.count_nonzero(np.arange(1, n + 1) / (n + 1 if apart else n) <= level)
    return calibration[k - 1 if apart else k] if k else -np.inf


def rows_needed(level):
    """The fewest calibration rows with which a p-value can be as small as ``level``."""
    return int(np.ceil(1 / level - 1e-9)) - 1


def check_enough(n, n_calibrating, level):
    """Raise if of n rows too few calibrate for a p-value of ``level``: all, or half if a score learns from the rest."""
    n_needed = rows_needed(level)
    if n_calibrating < n_needed:
        others, n_all = "", n_needed
        if n_calibrating < n:
            others, n_all = ", as the other half ranks the estimators or teaches the score", max(2, 2 * n_needed - 1)
        raise ValueError(
            f"{n_calibrating} of {n} rows calibrate{others}, but a p-value of {level:g} takes {n_needed}. Pass {n_all} "
            "rows or more, or raise contamination."
        )


class _Ranks(Estimator):
    """The logarithm of ``p_values``, made strictly increasing: interpolated, and continued beyond the reference.

    Below the lowest of the n reference scores, at a distance t in units of the tail's mean excess, it is
    log(1 / (n + 1)) - t / (1 + t): no two scores tie, and none is so low that in a sum it outweighs all else. From
    the highest on it is 0. What is computed from these is a score; it takes another set of rows to make it a p-value.
    """

    def fit(self, scores):  # (n,), -inf may be among them
        finite = np.sort(scores[np.isfinite(scores)]) if np.isfinite(scores).any() else np.zeros(1)
        n, n_infinite = len(scores), np.count_nonzero(scores == -np.inf)
        self.knots_ = np.unique(finite)
        counts = n_infinite + np.searchsorted(finite, self.knots_, side="right")
        self.log_p_, self.log_p_below_ = np.log((1 + counts) / (n + 1)), float(np.log((1 + n_infinite) / (n + 1)))
        tail = finite[: max(1, int(TAIL * len(finite)))]
        excess = finite[len(tail) if len(tail) < len(finite) else -1] - tail
        self.scale_ = float(max(excess.mean(), TINY * max(1.0, np.abs(finite).max())))
        return self

    def log_p(self, scores):
        lowest = self.knots_[0]
        t = np.clip((lowest - scores) / self.scale_, 0, np.finfo(np.float64).max)
        return np.where(scores < lowest, self.log_p_below_ - t / (1 + t), np.interp(scores, self.knots_, self.log_p_))
