"""What is done with rows that come after ``fit``: they are watched for drift."""

from copy import copy

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._bridge.state import warn
from .drift import _Drift

ALARM = np.log(1000)  # nats of evidence


def numbers(X):
    """The numeric features of rows, (n, k) float64, and their names; none of sparse ones."""
    if hasattr(X, "iloc"):
        X = X.loc[:, [getattr(kind, "kind", "O") in "biuf" for kind in X.dtypes]]
        return X.to_numpy(dtype=np.float64, na_value=np.nan), list(X.columns)
    if not isinstance(X, np.ndarray):
        return np.empty((X.shape[0], 0)), []
    return X.astype(np.float64), list(range(X.shape[1]))


class Streams:
    """Base: ``watch``."""

    def watch(self, X):
        """Evidence that rows do not come any more as they did, by conformal test martingales of score and features.

        Call it on rows in the order in which they come, in batches of any size. The rows of the first call are what
        the features of later ones are compared with; scores are compared with those that calibrated, if rows were kept
        apart, until ``partial_fit`` changes what a score is. It warns once, when the evidence reaches log(1000).
        ``fit``, and ``recalibrate`` without y, start anew.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        evidence : ndarray of shape (n_samples,), float64
            After each row, in nats. As long as rows come as before, it reaches log(1 / a) at any time with a chance of
            at most a.

        References
        ----------
        V. Vovk, I. Petej, I. Nouretdinov, E. Ahlberg, L. Carlsson, A. Gammerman, "Retrain or not retrain: conformal
        test martingales for change-point detection", 2021.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        values, names = numbers(X)
        scores, first = self._score_.score_samples(X)[:, np.newaxis], self._watched_ is None
        if first:
            of_scores, of_features = self._drift_of_scores(), _Drift(self._seed_).fit(values) if names else None
        else:
            of_scores, of_features = map(copy, self._watched_)  # so that a call that fails changes nothing
        evidence = np.full(len(scores), -np.inf) if of_scores is None else of_scores.update(scores)
        if of_features is not None and not first:
            evidence = np.maximum(evidence, of_features.update(values))
        evidence = evidence - np.log(2)  # each of both may spend half of the error
        alarmed = not first and self._alarmed_
        if not alarmed and evidence.max() >= ALARM:
            warn(_alarm(evidence.max(), of_scores, of_features, names))
            alarmed = True
        self._watched_, self._alarmed_ = [of_scores, of_features], alarmed
        return evidence

    def _drift_of_scores(self):
        """None if those that calibrated are not exchangeable with new ones, one by one."""
        alike = self.calibrated_ and not self._by_folds_ and self._n_different_ == len(self.calibration_scores_)
        if not alike or self._trained_since_:
            return None
        return _Drift(self._seed_).fit(self.calibration_scores_[:, np.newaxis])


def _alarm(evidence, of_scores, of_features, names):
    by_score = -np.inf if of_scores is None else of_scores.log_capital_.max()
    by_feature = -np.inf if of_features is None else (of_features.log_capital_ + of_features.log_shares_).max()
    what = "the score" if by_score >= by_feature else f"feature {names[int(of_features.log_capital_.argmax())]!r}"
    return (
        f"Rows do not come any more as they did: the evidence, most of it from {what}, is {evidence:.1f} nats, and "
        f"would come by chance with at most {np.exp(-evidence):.1g}. Call recalibrate with new normal rows, or fit."
    )
