"""Product of histograms, and what the densities of tables share."""

import math
from numbers import Integral

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from .._bridge.base import DTYPES, DensityMethods
from .._bridge.rows import chunks, detached
from .._bridge.state import Estimator, all_or_nothing


class TableDensity(DensityMethods, DensityMixin, Estimator):
    """Base: scores are sums over the features."""

    _dtypes = np.float64

    def score_samples(self, X):
        """Log-density of each row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
        """
        check_is_fitted(self)
        return self._log_density(self._check_rows(X))

    def _log_density(self, X):
        return self.score_features(X).sum(axis=1)

    def _check_rows(self, X, *, reset=False):
        return validate_data(self, detached(X), dtype=self._dtypes, reset=reset, ensure_min_samples=2 if reset else 1)


class HistogramDensity(TableDensity):
    r"""Product of histograms, one of each feature, with bins of equal width.

    .. math:: p(x) = \prod_i \frac{c_i(x_i) + 1/2}{(n + B/2) \, w_i}

    where c counts the rows of ``fit`` in the bin, of B bins of width w. Outside of all bins the log-density is that
    of an empty one, less log(1 + distance / w).

    Parameters
    ----------
    n_bins : int, default=16
        Of each feature, between its lowest and its highest value in ``fit``.

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has column names, all of them strings.

    See Also
    --------
    MADEDensity : Joint densities.

    Notes
    -----
    It knows of no dependence between features. It integrates to one over the ranges of ``fit``; what lies outside is
    for ranking. A constant feature counts as a bin of width 1, of which any other value is outside.

    References
    ----------
    M. Goldstein, A. Dengel, "Histogram-based outlier score (HBOS): A fast unsupervised anomaly detection algorithm",
    2012.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklatent import HistogramDensity
    >>> X, _ = load_wine(return_X_y=True)
    >>> HistogramDensity().fit(X).score_samples(X).shape
    (178,)
    """

    _dtypes = DTYPES  # float64 a part at a time
    _parameter_constraints = {"n_bins": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, n_bins=16):
        self.n_bins = n_bins

    def fit(self, X, y=None):
        """Count.

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
            X = self._check_rows(X, reset=True).astype(np.float64, copy=False)
            self._n_bins_, self._low_, self._high_ = self.n_bins, X.min(axis=0), X.max(axis=0)
            width = self._high_ / self.n_bins - self._low_ / self.n_bins
            self._width_ = np.where(width > 0, width, 1.0)
            counts = np.stack([np.bincount(column, minlength=self.n_bins) for column in self._bins(X).T])
            log_cells = np.log(len(X) + 0.5 * self.n_bins) + np.log(self._width_)
            self._log_density_ = np.log(counts + 0.5) - log_cells[:, np.newaxis]  # (d, bins)
            self._log_empty_ = math.log(0.5) - log_cells  # (d,)
        return self

    def score_features(self, X):
        """Log-density of each feature, in nats; the rows sum to ``score_samples``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_features), float64
        """
        check_is_fitted(self)
        return self._of_features(self._check_rows(X))

    def _log_density(self, X):
        return np.concatenate([self._of_features(some).sum(axis=1) for some in chunks(X)])

    def _of_features(self, X):
        X = X.astype(np.float64, copy=False)
        inside = np.clip(X, self._low_, self._high_)
        log_density = self._log_density_[np.arange(X.shape[1]), self._bins(inside)]
        with np.errstate(over="ignore"):
            beyond = np.minimum(np.abs(X - inside) / self._width_, np.finfo(np.float64).max)
        return np.where(beyond > 0, self._log_empty_ - np.log1p(beyond), log_density)

    def _bins(self, X):
        with np.errstate(over="ignore"):
            return np.minimum((X - self._low_) / self._width_, self._n_bins_ - 1).astype(int)
