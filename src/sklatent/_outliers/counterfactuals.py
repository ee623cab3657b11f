"""What would have to change for a row to be no alarm."""

from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

N_VALUES = 16  # that are tried for each feature


def _column(X, j):
    return X.iloc[:, j] if hasattr(X, "iloc") else X[:, j]


def _numbers(column):
    """float64, NaN where a value is missing; None if they are no numbers."""
    if getattr(column.dtype, "kind", "O") not in "biuf":
        return None
    return column.to_numpy(np.float64, na_value=np.nan) if hasattr(column, "iloc") else column.astype(np.float64)


def _stacked(parts):
    if hasattr(parts[0], "iloc"):
        import pandas as pd

        return pd.concat(parts)
    return np.concatenate(parts)


def _check_kinds(X, normal):
    if sparse.issparse(X) or sparse.issparse(normal):
        raise TypeError(
            "counterfactuals changes single values, of dense rows. Pass X.toarray() and X_normal.toarray()."
        )
    if hasattr(X, "iloc") != hasattr(normal, "iloc"):
        raise TypeError("One of X and X_normal is a frame, the other is not. Pass both as what fit was given.")


class _Feature:
    """Values of normal rows to be tried, and how far they are from another: by ranks, or 1 if they are no numbers."""

    def __init__(self, j, X):
        self.j, column, self.sorted = j, _column(X, j), None
        numbers = _numbers(column)
        known = [] if numbers is None else np.flatnonzero(~np.isnan(numbers))
        if len(known):
            order = known[np.argsort(numbers[known])]
            ranks = np.quantile(np.arange(len(order)), np.linspace(0, 1, N_VALUES), method="inverted_cdf")
            self.sorted, index = numbers[order], order[ranks]
            index = index[np.unique(numbers[index], return_index=True)[1]]
        else:
            index = np.sort(np.unique([repr(value) for value in column], return_index=True)[1])
        self.values = _safe_indexing(column, index)  # of the dtype that they have

    def tried(self, row):
        """The row, with each of the values."""
        rows = _safe_indexing(row, np.zeros(len(self.values), dtype=int)).copy()
        if hasattr(rows, "iloc"):
            rows.isetitem(self.j, self.values.array)
        else:
            rows[:, self.j] = self.values
        return rows

    def distances(self, row):
        old = _numbers(_column(row, self.j))
        if self.sorted is None or old is None or np.isnan(old[0]):
            return np.ones(len(self.values))
        ranks = np.searchsorted(self.sorted, np.append(_numbers(self.values), old)) / len(self.sorted)
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
            of one that is not a number. A frame if X is one.
        max_features : int, default=2

        Returns
        -------
        X_changed : of the type and shape of X
            Of a dtype that holds the values of both. Rows that were no outliers are as they were. Those that no such
            change makes normal have the changes that raise the score most, or none if none does.

        Raises
        ------
        ValueError
            If ``max_features`` is not a whole number from 1 on. TypeError if rows are sparse, or one of both a frame.
        """
        check_is_fitted(self)
        if not (isinstance(max_features, Integral) and max_features >= 1):
            raise ValueError(f"max_features={max_features!r} must be a whole number, 1 or more.")
        X, normal = self._check_rows(X), self._check_rows(X_normal)
        _check_kinds(X, normal)
        if not hasattr(X, "iloc"):
            X = X.astype(np.result_type(X, normal))
        features = [_Feature(j, normal) for j in range(X.shape[1])]
        decision, index = self.decision_function(X), np.arange(len(X))
        odd = np.flatnonzero(decision < 0)
        changed = [self._changed(_safe_indexing(X, [i]), decision[i], features, max_features) for i in odd]
        index[odd] = len(X) + np.arange(len(odd))
        return _safe_indexing(_stacked([X, *changed]), index)

    def _changed(self, row, own, features, n_left):
        """A row of that decision ``own``, after changes of at most ``n_left`` of the features."""
        tried = _stacked([feature.tried(row) for feature in features])
        decision = self.decision_function(tried)
        if (fine := decision >= 0).any():
            distances = np.concatenate([feature.distances(row) for feature in features])
            return _safe_indexing(tried, [np.where(fine, distances, np.inf).argmin()])
        best = decision.argmax()
        if decision[best] <= own:
            return row
        row = _safe_indexing(tried, [best])
        taken = np.repeat(range(len(features)), [len(feature.values) for feature in features])[best]
        others = features[:taken] + features[taken + 1 :]
        return self._changed(row, decision[best], others, n_left - 1) if n_left > 1 and others else row
