"""What would have to change for a row to be no alarm."""

from functools import reduce
from numbers import Integral

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from .units import stacked

N_VALUES = 16  # that are tried for each feature


class _Feature:
    """Values of normal rows to be tried, and how far they are from another: by ranks, or 1 if they are no numbers."""

    def __init__(self, j, X):
        self.j, column = j, X.iloc[:, j].to_numpy() if hasattr(X, "iloc") else X[:, j]
        self.sorted = np.sort(column.astype(np.float64)) if column.dtype.kind in "biuf" else None
        if self.sorted is None:
            self.values = np.array(list(dict.fromkeys(column)), dtype=object)
        else:
            self.values = np.unique(np.quantile(column, np.linspace(0, 1, N_VALUES), method="inverted_cdf"))

    def tried(self, row):
        """The row, with each of the values."""
        rows = _safe_indexing(row, np.zeros(len(self.values), dtype=int)).copy()
        if hasattr(rows, "iloc"):
            rows.isetitem(self.j, self.values)
        else:
            rows[:, self.j] = self.values
        return rows

    def distances(self, row):
        if self.sorted is None:
            return np.ones(len(self.values))
        old = row.iloc[0, self.j] if hasattr(row, "iloc") else row[0, self.j]
        ranks = np.searchsorted(self.sorted, np.append(self.values, old).astype(np.float64)) / len(self.sorted)
        return np.abs(ranks[:-1] - ranks[-1])


class Counterfactuals:
    """Base: ``counterfactuals``."""

    def counterfactuals(self, X, X_normal, max_features=2):
        """Each row as near as can be, but no outlier: other values in at most so many of its features.

        The feature and the value that raise the score most are changed first, then the next, until ``predict`` says 1.
        Of the values that then suffice the nearest is taken, by their ranks among ``X_normal``. Whatever the score is:
        it is only asked. (S. Wachter, B. Mittelstadt, C. Russell, "Counterfactual explanations without opening the
        black box", 2017.)

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense, or a frame.
        X_normal : array-like of shape (n_normal, n_features)
            Normal rows, such as those of ``fit``, whose values are tried: 16 quantiles of each feature, or all levels
            of one that is not a number.
        max_features : int, default=2

        Returns
        -------
        X_changed : of the type and shape of X
            Rows that were no outliers are as they were. Those that no such change makes normal have the changes that
            raise the score most.
        """
        check_is_fitted(self)
        if not (isinstance(max_features, Integral) and max_features >= 1):
            raise ValueError(f"max_features={max_features!r} must be a whole number, 1 or more.")
        X, normal = self._check_rows(X), self._check_rows(X_normal)
        if not hasattr(X, "iloc"):
            X = X.astype(np.result_type(X, normal))
        features = [_Feature(j, normal) for j in range(X.shape[1])]
        odd = self.predict(X) == -1
        rows = [_safe_indexing(X, [i]) for i in range(len(odd))]
        for i in np.flatnonzero(odd):
            rows[i] = self._changed(rows[i], features, max_features)
        return reduce(stacked, rows)

    def _changed(self, row, features, n_left):
        tried = reduce(stacked, [feature.tried(row) for feature in features])
        decision = self.decision_function(tried)
        if (fine := decision >= 0).any():
            distances = np.concatenate([feature.distances(row) for feature in features])
            return _safe_indexing(tried, [np.where(fine, distances, np.inf).argmin()])
        best = decision.argmax()
        row, taken = (
            _safe_indexing(tried, [best]),
            np.repeat(range(len(features)), [len(f.values) for f in features])[best],
        )
        others = features[:taken] + features[taken + 1 :]
        return self._changed(row, others, n_left - 1) if n_left > 1 and others else row
