"""Density by the distances to neighbours."""

import math
from copy import copy
from numbers import Integral, Real

import numpy as np
from scipy.special import digamma, gammaln
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from .._bridge.base import fit_seed
from .._bridge.state import all_or_nothing
from .histogram import TableDensity

NEAR, FAR = 3.0, 4.0  # standard deviations: what is beyond the first is compressed to below the second
CLOSEST = 1e-4  # standard deviations in each feature, below which rows are taken for the same
NOTHING = 1e-100  # the least scale
N_DRAWS, N_DRAWN = 100, 16  # sets of rows, and rows in each, that the core is close to
CORE, STEP = 0.5, 0.1  # share of the rows that the core starts with, and grows by


class NeighborsDensity(TableDensity):
    r"""Density by the distances to the nearest of the rows of ``fit``, or of their core.

    .. math:: \log p(x) = \frac 1 k \sum_{j=1}^k \psi(j) - \log (n V_d) - d \log r_j(x),

    where r_j is the distance to the j-th neighbour among n rows, V_d the volume of the unit ball in d dimensions and
    psi the digamma function. Distances are those of standardised features, compressed beyond 3 standard deviations to
    at most 4; the score is in the units of X.

    Parameters
    ----------
    n_neighbors : int, default=5
    support_fraction : float, default=1.0
        Share of the rows of ``fit`` that are kept as neighbours. Below 1 outliers among them, even in clusters,
        hardly count: the core, half of the rows, those on average nearest to the next of 16 rows drawn at random,
        grows to the share wanted, a tenth of all rows at a time, by those densest given what it holds.
    max_samples : int, default=5000
        Rows of ``fit`` that are looked at, if there are more: a random part, so that time is linear in the rows.
    random_state : int, RandomState instance or None, default=None
        Of the rows drawn.

    Attributes
    ----------
    support_ : ndarray of shape (n_samples,), bool
        Rows of ``fit`` that were kept.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has column names, all of them strings.

    See Also
    --------
    sklearn.neighbors.KernelDensity : The mean of a kernel around each row.
    sklearn.covariance.MinCovDet : A normal density of the core.

    Notes
    -----
    A row that is scored counts as a new one: if it equals a row of ``fit``, it is at distance zero, for which
    ``CLOSEST`` = 1e-4 standard deviations in each feature stand. The rows of ``fit`` are left out of their own
    neighbours only among themselves: as the core grows, and where ``DensityOutlierDetector`` ranks among them. The
    fitted object holds the rows that were kept; a score costs distances to all of them. With 5000 of 50,000 rows or
    of more, outliers are found as well as with all, in the trials that chose this.

    It is a score more than a density: it does not integrate to one, and in many dimensions the logarithm of the
    distance, times their number, moves fast.

    References
    ----------
    D. O. Loftsgaarden, C. P. Quesenberry, "A nonparametric estimate of a multivariate density function", 1965.

    L. F. Kozachenko, N. N. Leonenko, "Sample estimate of the entropy of a random vector", 1987 (the digamma).

    M. Sugiyama, K. M. Borgwardt, "Rapid distance-based outlier detection via sampling", 2013 (rows drawn at random).

    A. C. Atkinson, M. Riani, A. Cerioli, "Exploring multivariate data with the forward search", 2004 (growth).

    Examples
    --------
    >>> import numpy as np
    >>> from sklatent import NeighborsDensity
    >>> rng = np.random.RandomState(0)
    >>> X = np.concatenate([rng.normal(size=(180, 2)), rng.normal(loc=6, scale=0.1, size=(20, 2))])
    >>> NeighborsDensity().fit(X).score_samples([[0, 0], [6, 6]]).round(1)
    array([-2.8,  0.5])
    >>> NeighborsDensity(support_fraction=0.8, random_state=0).fit(X).score_samples([[0, 0], [6, 6]]).round(1)
    array([-2.5, -7.7])
    """

    _parameter_constraints = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "support_fraction": [Interval(Real, 0, 1, closed="right")],
        "max_samples": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, n_neighbors=5, *, support_fraction=1.0, max_samples=5000, random_state=None):
        self.n_neighbors = n_neighbors
        self.support_fraction = support_fraction
        self.max_samples = max_samples
        self.random_state = random_state

    def fit(self, X, y=None):
        """Choose the rows to keep, and index them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        with all_or_nothing(self):
            self._validate_params()
            X = self._check_rows(X, reset=True)
            rng = np.random.RandomState(fit_seed(self.random_state))
            drawn = np.arange(len(X)) if len(X) <= self.max_samples else rng.permutation(len(X))[: self.max_samples]
            self._leave_one_out_ = True  # the rows to be scored are the rows of fit
            kept = self._chosen(X[drawn], rng) if self.support_fraction < 1 else np.ones(len(drawn), dtype=bool)
            self._index(X[drawn][kept])
            self.support_ = np.zeros(len(X), dtype=bool)
            self.support_[drawn[kept]] = True
            self._leave_one_out_ = False
        return self

    def _chosen(self, X, rng):
        """A mask of the rows that are the core."""
        scores, share = self._closeness(X, rng), min(CORE, self.support_fraction)
        while True:
            n_kept = min(len(X), max(math.ceil(share * len(X)), self.n_neighbors + 1))
            kept = np.argsort(np.argsort(-scores, kind="stable"), kind="stable") < n_kept
            if share == self.support_fraction:
                return kept
            self._index(X[kept])
            share = min(round(share + STEP, 9), self.support_fraction)
            scores = self._log_density(X)

    def score_features(self, X):
        """What each feature adds to the log-density of its row, in nats; the rows sum to ``score_samples``.

        The logarithm of the distance is split by how much farther than usual, squared, the neighbours are in each
        feature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
        """
        check_is_fitted(self)
        return self._of_chunks(self._split, self._check_rows(X))

    def _closeness(self, X, rng):
        """Minus the mean distance to the nearest of the rows of each draw that the row is not in."""
        self._scale_to(X)
        U, n = self._scaled(X), len(X)
        total, count = np.zeros(n), np.zeros(n)
        for _ in range(N_DRAWS):
            drawn = rng.permutation(n)[: min(N_DRAWN, n // 2)]
            nearest = pairwise_distances(U, U[drawn]).min(axis=1)
            nearest[drawn] = 0
            total, count = total + nearest, count + 1
            count[drawn] -= 1
        return -total / np.maximum(count, 1)

    def _scale_to(self, X):
        size = np.maximum(np.abs(X).max(axis=0), NOTHING)
        parts = X / size  # whose squares do not overflow
        self._shift_, scale = size * parts.mean(axis=0), size * parts.std(axis=0)
        tiny = 10 * np.finfo(np.float64).eps * size  # nothing but rounding
        varies = scale > tiny
        self._scale_ = np.where(varies, scale, np.maximum(tiny, NOTHING))  # any other value is far from a constant
        self._log_scale_ = np.where(varies, np.log(self._scale_), 0.0)

    def _scaled(self, X):
        """Standardised; beyond ``NEAR`` strictly increasing still, towards ``FAR``, with slope 1 at the start."""
        with np.errstate(over="ignore"):
            U = (X - self._shift_) / self._scale_
        size, gap = np.abs(U), FAR - NEAR
        return np.sign(U) * np.where(size > NEAR, FAR - gap**2 / np.maximum(size - NEAR + gap, gap), size)

    def _index(self, X):
        self._scale_to(X)
        self._rows_ = self._scaled(X)
        self._k_ = min(self.n_neighbors, len(X) - 1)
        self._grow()
        some = self._rows_[:: 1 + len(X) // 500]
        self._usual_ = self._squares(some).mean(axis=(0, 1))  # (d,)

    def _grow(self):
        """The tree follows from the rows, so a pickle holds these alone."""
        self._tree_ = NearestNeighbors(n_neighbors=self._k_ + 1).fit(self._rows_)

    def _squares(self, U):
        """Squared differences to the neighbours, (n, k, d), with a floor."""
        index = self._tree_.kneighbors(U, return_distance=False)
        squares = (U[:, np.newaxis] - self._rows_[index]) ** 2  # anew: the tree's distances may be rounded
        order = squares.sum(axis=2).argsort(axis=1, kind="stable")[..., np.newaxis]
        squares = np.take_along_axis(squares, order, axis=1)
        itself = self._leave_one_out_ & (squares[:, :1].sum(axis=2) == 0)[..., np.newaxis]
        return np.where(itself, squares[:, 1:], squares[:, :-1]) + CLOSEST**2

    def _of_chunks(self, scores, X):
        chunks = gen_batches(len(X), max(1, 2**22 // (self._k_ * X.shape[1])))
        return np.concatenate([scores(self._squares(self._scaled(X[rows]))) for rows in chunks])

    def _log_density(self, X):
        return self._of_chunks(self._sum, X)

    def _sum(self, squares):
        return self._level() - squares.shape[2] / 2 * np.log(squares.sum(axis=2)).mean(axis=1)

    def _split(self, squares):
        d, usual = squares.shape[2], self._usual_.sum()
        excess = squares.sum(axis=2) / usual - 1  # (n, k)
        near = np.abs(excess) < 1e-8
        rise = np.where(excess > -0.5, np.log1p(excess), np.log(squares.sum(axis=2) / usual))  # to the last digits
        slope = np.where(near, 1.0, rise / np.where(near, 1.0, excess)) / usual
        log_squares = (slope[..., np.newaxis] * (squares - self._usual_)).mean(axis=1)  # sums to mean log r^2 / usual
        scale = self._log_scale_ - self._log_scale_.mean()
        return self._level() / d - 0.5 * math.log(usual) - d / 2 * log_squares - scale

    def _level(self):
        """The log-density less d / 2 times the mean log of the squared distances."""
        d = len(self._log_scale_)
        volume = d / 2 * math.log(math.pi) - gammaln(d / 2 + 1)
        return digamma(np.arange(1, self._k_ + 1)).mean() - math.log(len(self._rows_)) - volume - self._log_scale_.sum()

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "_tree_"}

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_rows_" in vars(self):
            self._grow()

    def _leaving_one_out(self):
        """A copy for scores of the rows of ``fit``, each of which would find itself: it leaves that out once."""
        twin = copy(self)
        twin._leave_one_out_ = True
        return twin
