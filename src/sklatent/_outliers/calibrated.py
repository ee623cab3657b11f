"""A calibrated score: p-values, threshold and labels, whatever the score is."""

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from .conformal import p_values, rows_needed, threshold
from .scores import SCORES, halves

FALSE_ALARM_RATE = 0.05  # of contamination="auto"


def _splits(detector):
    """Condition of ``score_features``; the error says why it is not met."""
    if detector.__sklearn_is_fitted__():
        if not SCORES[detector.method_].splits:
            raise ValueError(f"The score of method={detector.method_!r} is no sum over the features.")
        for density in (*detector.estimators_, *detector.backgrounds_):
            if not hasattr(density, "score_features"):
                raise TypeError(f"{type(density).__name__} has no score_features, so its score does not split.")
    return True


class CalibratedDetector(OutlierMixin):
    """Base: what follows once there is a score.

    A detector adds ``fit``, ``_new_score()``, ``_learns``, whether that score does, and ``_seed``.
    """

    # -- calibration ---------------------------------------------------------------------------------------

    def _level(self):
        return FALSE_ALARM_RATE if self.contamination == "auto" else self.contamination

    def _n_calibrating(self, n):
        """Of n rows kept apart, those that are left where the score learns from the others."""
        return n - max(1, n // 2) if self._learns else n

    def _calibrate(self, X, *, apart):
        n, n_fewest = self._n_calibrating(_num_samples(X)), rows_needed(self._level())
        if apart and n < n_fewest:
            raise ValueError(
                f"{n} rows calibrate, but a p-value of {self._level():g} takes {n_fewest}. Pass more rows, or raise "
                "contamination."
            )
        score, learned = self._new_score(), None
        if self._learns:
            X = _safe_indexing(X, np.random.RandomState(self._seed).permutation(_num_samples(X)))
            reference, X = halves(X) if apart else (X, X)
            learned = score.learn(reference)
        scores = np.sort(score.score(X))
        offset = float(threshold(scores, self._level(), apart=apart))
        self._learned, self.calibrated_, self.calibration_scores_, self.offset_ = learned, apart, scores, offset
        return self

    def _score(self):
        """The fitted score. What is kept of it is plain values, and so is a pickle."""
        return self._new_score().restore(self._learned)

    def recalibrate(self, X):
        """Replace the calibration by one on new normal rows; the densities stay as they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that no density was fitted on.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there are too few rows for a p-value of ``contamination``.
        """
        check_is_fitted(self)
        return self._calibrate(self._check_rows(X), apart=True)

    # -- scores --------------------------------------------------------------------------------------------

    def score_samples(self, X):
        """Score of each row by ``method``, or, of several estimators, the mean log p-value: higher is more normal.

        It does not depend on the other rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In nats. -inf where an estimator says so.
        """
        check_is_fitted(self)
        return self._score().score(self._check_rows(X))

    @available_if(_splits)
    def score_features(self, X):
        """What each feature adds to the score of its row.

        For ``"log_likelihood"``, ``"ratio"``, ``"typicality"`` and ``"fisher"`` of estimators with
        ``score_features``; else there is no such method. Exact for the first two and the last. The scores of a list,
        and of ``"typicality"``, are 0 for a mean row and no sums; how much a row differs from that is split in
        proportion to what each feature adds to the difference of the log-likelihoods (the rescale rule of Shrikumar
        et al. 2017).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
            The rows sum to ``score_samples``, in nats.
        """
        check_is_fitted(self)
        return self._score().features(self._check_rows(X))

    def p_values(self, X):
        """Share of the calibration rows that are at least as strange, the row itself counted.

        (1 + #{calibration scores <= score}) / (n_calibration + 1).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples,), float64
            ``predict`` gives -1 where this is at most ``contamination``.
        """
        return p_values(self.score_samples(X), self.calibration_scores_, apart=self.calibrated_)

    def decision_function(self, X):
        """``score_samples`` less ``offset_``: negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,), float64
        """
        scores = self.score_samples(X)
        with np.errstate(invalid="ignore"):
            return np.where(scores == self.offset_, 0.0, scores - self.offset_)  # both may be -inf

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

    def _check_rows(self, X, *, reset=False):
        """Frames pass as they are, for a ``Pipeline`` that picks columns; what else X may hold the estimators say."""
        rows = X if hasattr(X, "iloc") else check_array(X, accept_sparse="csr", ensure_all_finite=False)
        validate_data(self, X, skip_check_array=True, reset=reset)
        return rows

    def __sklearn_is_fitted__(self):
        return "offset_" in vars(self)
