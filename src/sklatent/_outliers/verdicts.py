"""What a fitted detector says of rows: scores, p-values, labels."""

from numbers import Real

import numpy as np
from scipy.stats import false_discovery_control
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from .._bridge.state import warn
from .conformal import excess, p_values
from .scores import AvailableIfSplit


class Verdicts(OutlierMixin):
    """Base: everything follows from ``_score_`` and the scores that calibrate."""

    def score_samples(self, X):
        """Score of each row by ``method``, or, of several estimators, the mean log p-value: higher is more normal.

        Where all rows of ``fit`` calibrated in turn, it is log p, made increasing from one rank to the next.

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
        but for ``"typicality"``, a list and the default, whose scores are 0 for a mean row: what a row differs by is
        split in proportion to what each feature adds to the difference of the log-likelihoods (Shrikumar et al. 2017).
        Where all rows of ``fit`` calibrated in turn, so is log p, and what is left is shared equally.

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
        m of them different, it is (1 + m q) / (m + 1), q the share of those whose scores are no higher. Where all rows
        of ``fit`` calibrated in turn, each is compared with X by the score that has not seen it. With ``tail`` p goes
        on below 1 / (n_calibration + 1).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples,), float64
            ``predict`` gives -1 where this is at most ``contamination``.
        """
        return p_values(self.score_samples(X), self.calibration_scores_, self._n_different_, self._tail_)

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

    def predict_fdr(self, X, fdr=0.1):
        """1 for rows taken for normal, -1 for outliers, at most a share ``fdr`` of which are normal, on average.

        Benjamini and Hochberg's procedure on the p-values of the rows of this call, which depend on one another as it
        allows (Bates et al. 2023). Proved for rows kept apart; where all calibrate in turn, only seen to hold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        fdr : float in (0, 1), default=0.1
            False discovery rate.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int

        Raises
        ------
        ValueError
            If ``fdr`` is not in (0, 1).

        References
        ----------
        Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", 1995. S. Bates, E. Candes, L. Lei, Y. Romano,
        M. Sesia, "Testing for outliers with conformal p-values", 2023.
        """
        if not (isinstance(fdr, Real) and 0 < fdr < 1):
            raise ValueError(f"fdr={fdr!r} must be a number between 0 and 1.")
        p = self.p_values(X)
        flagged = false_discovery_control(p) <= fdr
        n, n_lowest = len(self.calibration_scores_), np.count_nonzero(p == p.min())
        if not flagged.any() and self._tail_ is None and p.min() <= p_values(-np.inf, self.calibration_scores_, n):
            warn(
                f"{n_lowest} of {len(p)} rows are stranger than all {n} that calibrate, but at fdr={fdr:g} it takes "
                f"{int(np.ceil(len(p) / (fdr * n_lowest))) - 1} of these to flag them. Pass more rows to fit or to "
                "recalibrate, fewer at once to predict_fdr, or tail='pareto'."
            )
        return np.where(flagged, -1, 1)
