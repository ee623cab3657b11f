"""Ranks among kept-apart rows: exact p-values, the threshold that goes with them, and their smooth logarithm."""

import numpy as np

from .._bridge.state import Estimator

TAIL = 0.1  # share of the reference rows, the strangest, whose mean excess is the scale of the tail
TINY = 1e-9  # of the size of the scores: what is nearer to one another differs by rounding


def _share(counts, n, m):
    if m is None:
        return np.maximum(counts, 1) / n
    return (1 + m * counts / n) / (m + 1)


def p_values(scores, calibration, m, tail=None):
    """Share of the rows at least as strange, the row itself counted: (1 + m q) / (m + 1), q = #{c <= score} / n.

    ``calibration``, sorted, holds n scores, of m rows that differ: see ``units``. Where m = n, that is the rank of the
    row among n + 1. If its score is exchangeable with the others, P(p <= a) <= a for every a (V. Vovk, A. Gammerman,
    G. Shafer, "Algorithmic learning in a random world", 2005). A tie counts against the row as a whole, not by a coin:
    then the chance is less, and a row has one p-value. ``m=None`` is for rows that are themselves among the n: they
    are counted already, and none has less than 1 / n. Below the lowest a ``tail`` may say less than the ranks do.
    """
    p = _share(np.searchsorted(calibration, scores, side="right"), len(calibration), m)
    if tail is None:
        return p
    return np.where(scores < calibration[0], np.minimum(p, np.exp(tail.log_p(scores))), p)


def threshold(calibration, level, m, tail=None):
    """The number below which lie exactly the scores with a p-value of at most ``level``; -inf if none can."""
    n = len(calibration)
    first = 1 if m is None else 0
    k = np.count_nonzero(_share(np.arange(first, n + first), n, m) <= level)
    if k:
        return float(calibration[k - 1 + first])
    return -np.inf if tail is None else float(min(tail.quantile(level), calibration[0]))


def excess(scores, threshold, calibration):
    """The scores less the threshold, as finite numbers or -inf, and negative exactly where below it."""
    if threshold == -np.inf:  # then none is below, and what would be infinitely above is measured from another
        finite = calibration[np.isfinite(calibration)]
        threshold = finite[0] if len(finite) else 0.0
        scores = np.maximum(scores, threshold)
    with np.errstate(invalid="ignore", over="ignore"):
        above = np.where(scores == threshold, 0.0, scores - threshold)  # both may be infinite
    return np.minimum(above, np.finfo(np.float64).max)


def rows_needed(level):
    """The fewest calibration rows with which a p-value can be as small as ``level``."""
    return int(np.ceil(1 / level - 1e-9)) - 1


def check_enough(n, n_calibrating, level, names="rows"):
    """Raise if of n rows too few calibrate for a p-value of ``level``: all, or half if a score learns from the rest."""
    n_needed = rows_needed(level)
    if n_calibrating < n_needed:
        others, n_all = "", n_needed
        if n_calibrating < n:
            others, n_all = ", as the other half ranks the estimators or teaches the score", max(2, 2 * n_needed - 1)
        raise ValueError(
            f"{n_calibrating} of {n} {names} calibrate{others}, but a p-value of {level:g} takes {n_needed}. Pass "
            f"{n_all} {names} or more, or raise contamination.{independent(names)}"
        )


def too_few(units, size, n_fitted, n_calibrating, n_needed, level, waits):
    """What to warn of if too few units can calibrate: kept apart for good in a stream, in turn in ``fit``."""
    n, m, names = len(units.keys), len(units), units.names
    kinds = {"rows": "", "groups": f" in {m} groups", "different rows": f", {m} of them different"}[names]
    why = f"too few calibrate even in turn: a p-value of {level:g} takes {rows_needed(level)}"
    if waits:
        why = (
            f"calibration_size={size} leaves {n_fitted} to fit on and {n_calibrating} to calibrate on, but {n_needed} "
        )
        why += "are needed"
    return (
        f"Of {n} rows{kinds}, {why}. p-values are now ranks among the rows of fit, and not valid. Pass more {names} or "
        f"another calibration_size; None does the same without this warning.{independent(names)}"
    )


def few_different(units):
    """What to warn of where equal rows that were drawn independently would be enough."""
    n, hint = len(units.keys), independent(units.names)
    return f"Only {len(units)} of {n} rows are different, and each calibrates once.{hint}"


def independent(names):
    """What helps a table of few categories."""
    if names != "different rows":
        return ""
    return " If equal rows were drawn independently, pass groups=np.arange(len(X)): then each counts."


class _Ranks(Estimator):
    """The logarithm of ``p_values``, made strictly increasing: interpolated, and continued beyond the reference.

    Below the lowest of the n reference scores, at a distance t in units of the tail's mean excess, it is
    log(1 / (n + 1)) - log(1 + t): no two scores tie, and in a sum none outweighs all else but by very much. From
    the highest on it is 0. What is computed from these is a score; it takes another set of rows to make it a p-value.
    """

    def fit(self, scores):  # (n,), -inf may be among them
        finite = np.sort(scores[np.isfinite(scores)]) if np.isfinite(scores).any() else np.zeros(1)
        n, n_infinite = len(scores), np.count_nonzero(scores == -np.inf)
        self.rounding_ = float(TINY * max(1.0, np.abs(finite).max()))
        starts = np.flatnonzero(np.diff(finite, prepend=-np.inf) > self.rounding_)  # nearer ones are a tie
        self.knots_, counts = finite[starts], n_infinite + np.append(starts[1:], len(finite))
        self.log_p_, self.log_p_below_ = np.log((1 + counts) / (n + 1)), float(np.log((1 + n_infinite) / (n + 1)))
        tail = finite[: max(1, int(TAIL * len(finite)))]
        excess = finite[len(tail) if len(tail) < len(finite) else -1] - tail
        self.scale_ = max(float(excess.mean()), self.rounding_)
        return self

    def log_p(self, scores):
        lowest = self.knots_[0] - self.rounding_
        t = np.clip((lowest - scores) / self.scale_, 0, np.finfo(np.float64).max)
        return np.where(scores < lowest, self.log_p_below_ - np.log1p(t), np.interp(scores, self.knots_, self.log_p_))
