r"""p-values below what ranks can reach, by a Pareto tail: an assumption, not a guarantee.

Far enough out, the excess Y = u - S of a score below a threshold u is nearly generalised Pareto, for almost all
distributions (Balkema and de Haan 1974, Pickands 1975). Of n scores that calibrated, m lie below u, and

.. math:: p(s) = p_\infty + (p_u - p_\infty) \, (1 + \xi (u - s) / \sigma)^{-1 / \xi}, \quad s < u,

with p_u = (1 + #{c < u}) / (n + 1), what ranks say just below u, and p_inf that of the scores of -inf: (1 + their
number) / (n + 1), or 0 if there are none. From u on p is the rank.

The shape and the scale are those of probability-weighted moments (Hosking and Wallis 1987): with the mean excess a_0
and a_1 the unbiased estimate of E[Y (1 - F(Y))],

.. math:: \xi = 2 - a_0 / (a_0 - 2 a_1), \quad \sigma = 2 a_0 a_1 / (a_0 - 2 a_1),

if this xi is more than 1 / m; else xi = 1 / m and sigma = a_0. So no tail ends, and no finite score has p = 0. The
least shape is not 0 because the scale is an estimate: of m exponential excesses with the mean a_0, a further one is
more than y with a chance of exactly (1 + y / (m a_0))^(-m), an F distribution with 2 and 2 m degrees of freedom.

Chance of a false alarm in multiples of the level, where 400 scores calibrate and 40 are the tail: mean over 2000
calibrations, and in brackets what one in ten of these exceeds (``benchmarks/tail.py``; standard errors at most .03, and
.12 at 4.33).

=================================  ===========  ===========  ============
scores                              level 0.01        0.001        0.0001
=================================  ===========  ===========  ============
log-density, normal, 1 feature     1.06 (1.61)  0.94 (2.00)   0.92 (2.45)
2 features: exponential            1.02 (1.56)  0.81 (1.77)   0.66 (1.74)
20 features                        0.95 (1.46)  0.50 (1.15)   0.22 (0.57)
log-density, t3, 5 features        1.00 (1.53)  0.76 (1.65)   0.59 (1.57)
normal                             0.88 (1.39)  0.28 (0.66)   0.04 (0.09)
t3                                 1.07 (1.61)  1.66 (3.47)  4.33 (12.03)
=================================  ===========  ===========  ============

Where the tail is lighter than exponential, there are too few. Where it is heavy, there are too many, as a tenth of the
scores is not far enough out and the shape is an estimate. Log-densities seldom have such tails: the logarithm makes
exponential ones of polynomial ones.
"""

import numpy as np

from .._bridge.state import Estimator

SHARE, FEWEST, MOST = 0.1, 20, 1000  # of the finite scores that are the tail, but at least and at most so many
TOO_MANY = 0.5  # if more than this share of the finite scores lie below every possible threshold, they are no tail


class _ParetoTail(Estimator):
    """p-values of scores: ranks, and a generalised Pareto distribution below the lowest tenth of those that calibrated.

    The tail is a tenth of the finite scores, 20 at least and 1000 at most; its threshold u is the next score above.
    Where there are ties, it is the next that differs. With fewer than 40 finite scores, or if more than half of these
    would lie below u, there is no tail, and p-values are ranks alone, 1 / (n + 1) or more.

    Attributes
    ----------
    shape_, scale_, threshold_ : float
        xi, sigma and u above. Without a tail u is -inf, and the others are NaN.
    n_tail_ : int
        m.

    References
    ----------
    J. Pickands, "Statistical inference using extreme order statistics", 1975. A. A. Balkema, L. de Haan, "Residual
    life time at great age", 1974. J. R. M. Hosking, J. R. Wallis, "Parameter and quantile estimation for the
    generalized Pareto distribution", 1987.
    """

    def fit(self, scores):
        """Take the scores that calibrated.

        Parameters
        ----------
        scores : ndarray of shape (n,), float64
            Lower is stranger, -inf strangest; neither NaN nor inf.
        """
        scores = np.asarray(scores, dtype=np.float64)
        if scores.ndim != 1 or not len(scores) or not (scores < np.inf).all():
            raise ValueError("scores must be one number or more, finite or -inf, in one dimension.")
        self.scores_ = np.sort(scores)
        n_lowest = np.count_nonzero(self.scores_ == -np.inf)
        finite = self.scores_[n_lowest:]
        m = max(FEWEST, min(int(SHARE * len(finite)), MOST))
        above = finite[finite > finite[m - 1]] if len(finite) >= m else finite[:0]
        m = len(finite) - len(above)
        if not len(above) or m > TOO_MANY * len(finite):
            self.threshold_, self.shape_, self.scale_, self.n_tail_ = -np.inf, np.nan, np.nan, 0
            return self
        n = len(self.scores_)
        self.threshold_, self.n_tail_ = float(above[0]), m
        self.p_lowest_ = (1 + n_lowest) / (n + 1) if n_lowest else 0.0
        self.weight_ = (1 + n_lowest + m) / (n + 1) - self.p_lowest_
        with np.errstate(over="ignore"):
            self._fit_excess(np.minimum(above[0] - finite[:m][::-1], np.finfo(np.float64).max))
        return self

    def _fit_excess(self, y):  # (m,), sorted
        m, size = len(y), y[-1]
        y = y / size  # so that nothing overflows
        a_0, a_1 = y.mean(), (y * np.arange(m - 1, -1, -1)).mean() / (m - 1)
        gap = a_0 - 2 * a_1  # positive, but for equal ones
        shape = 2 - a_0 / gap if gap > 0 else -np.inf
        pareto = shape > 1 / m
        self.shape_ = float(shape if pareto else 1 / m)
        self.scale_ = float(size * (2 * a_0 * a_1 / gap if pareto else a_0))

    def log_p(self, scores):
        """Logarithm of the p-value of each score.

        Parameters
        ----------
        scores : ndarray of shape (m,), float64

        Returns
        -------
        log_p : ndarray of shape (m,), float64
            log((1 + #{c <= s}) / (n + 1)) from ``threshold_`` on; below it lower, the lower the score, and -inf only
            for -inf. If n_inf scores of -inf calibrated, never below log((1 + n_inf) / (n + 1)).
        """
        scores = np.asarray(scores, dtype=np.float64)
        counts = np.searchsorted(self.scores_, scores, side="right")
        ranked = np.log((1 + counts) / (len(self.scores_) + 1))
        if not self.n_tail_:
            return ranked
        with np.errstate(over="ignore", divide="ignore"):
            y = np.clip((self.threshold_ - scores) / self.scale_, 0, np.finfo(np.float64).max)
            nats = np.where(scores == -np.inf, np.inf, np.log1p(self.shape_ * y) / self.shape_)
            tail = np.logaddexp(np.log(self.p_lowest_), np.log(self.weight_) - nats)
        return np.where(scores < self.threshold_, tail, ranked)

    def quantile(self, level):
        """The score whose p-value is ``level``.

        Parameters
        ----------
        level : float in (0, 1)

        Returns
        -------
        score : float
            Scores below it have p-values of at most ``level``, those above it larger ones. -inf if none is that small.
        """
        if not 0 < level < 1:
            raise ValueError(f"level={level!r} must lie between 0 and 1.")
        n = len(self.scores_)
        k = np.count_nonzero((1 + np.arange(n)) / (n + 1) <= level)
        ranked = float(self.scores_[k - 1]) if k else -np.inf
        if not self.n_tail_ or ranked >= self.threshold_ or level < self.p_lowest_:
            return ranked
        with np.errstate(over="ignore", divide="ignore"):
            nats = np.log(self.weight_) - np.log(level - self.p_lowest_)
            score = self.threshold_ - self.scale_ * (np.expm1(self.shape_ * nats) / self.shape_)
        return float(np.maximum(score, -np.finfo(np.float64).max))  # below it are scores of -inf
