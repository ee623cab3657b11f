"""What a fitted detector says of rows: scores, p-values, labels."""

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from .conformal import excess, p_values
from .scores import AvailableIfSplit


class Verdicts(OutlierMixin):
    """Base: everything follows from ``_score_`` and the scores that calibrate."""

    def score_samples(self, X):
        """Score of each row by ``method``, or, of several estimators, the mean log p-value: higher is more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In nats, whatever the other rows are; -inf where an estimator says so.
        """
        check_is_fitted(self)
        return self._score_.score_samples(self._check_rows(X))

    @AvailableIfSplit
    def score_features(self, X):
        """What each feature adds to the score of its row.

        For ``"log_likelihood"``, ``"ratio"``, ``"typicality"`` and ``"fisher"`` of estimators with
        ``score_features``, in a ``Pipeline`` after steps that keep the features; else there is no such method. Exact
        but for ``"typicality"`` and a list, whose scores are 0 for a mean row: what a row differs by is split in
        proportion to what each feature adds to the difference of the log-likelihoods (Shrikumar et al. 2017).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
            The rows sum to ``score_samples``, in nats.
        """
        check_is_fitted(self)
        return self._score_.score_features(self._check_rows(X))

    def p_values(self, X):
        """Share of the calibration rows that are at least as strange: (1 + #{scores <= its own}) / (n_calibration + 1).

        Ties count in full, so that p-values are too large rather than too small where scores tie. Of rows with copies,
        m of them different, it is (1 + m q) / (m + 1), q the share of those whose scores are no higher.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples,), float64
            ``predict`` gives -1 where this is at most ``contamination``.
        """
        return p_values(self.score_samples(X), self.calibration_scores_, self._n_different_)

    def decision_function(self, X):
        """``score_samples`` less ``offset_``: negative for outliers; finite, or -inf.

        If ``offset_`` is -inf, no row is an outlier, and it is the score less the lowest finite one that calibrated,
        0 at least.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,), float64
        """
        return excess(self.score_samples(X), self.offset_, self.calibration_scores_)

    def predict(self, X):
        """1 for rows taken for normal, -1 for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
        """
        return np.where(self.decision_function(X) < 0, -1, 1)
