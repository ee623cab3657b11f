"""Weights of rows: what ``sample_weight`` means to a fit.

Only their ratios count, and a row of weight 0 is not there. Of few rows, copies are one row whose weight is the sum of
theirs, and all come in an order of their values: a fit on repeated rows and a fit on weights see the same, and no copy
of a row that is trained on is among those kept apart.
"""

import numpy as np

FEW_ROWS = 2000  # up to which copies become weights, and whole weights copies


def check_weights(sample_weight, n):
    """Weights of n rows, float64, the largest 1; None where they are all alike, as if none were given."""
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight must hold one weight for each of the {n} rows of X, an array of shape ({n},), but has "
            f"shape {weights.shape}."
        )
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(
            f"sample_weight must be finite and not negative, but sample_weight[{i}] is {float(weights[i])!r}. A weight "
            "of 0 leaves a row out."
        )
    if not weights.any():
        raise ValueError(
            f"sample_weight is zero for all of the {n} rows of X, which leaves none. Give those that count a weight "
            "above zero."
        )
    return _relative(weights)


def _relative(weights):
    return None if weights.min() == weights.max() else weights / weights.max()


def present(weights, *arrays):
    """What of the weights and of arrays of rows has a weight above zero."""
    if weights is None or weights.all():
        return weights, *arrays
    rows = weights > 0
    return _relative(weights[rows]), *(array[rows] for array in arrays)


def merged(X, weights, codes=None, early_stopping=False):
    """Which rows stand for their copies, what these weigh, and for each given row its place among them.

    Copies are equal in ``codes``, too. Many rows stay as they are, and so do rows that all differ and have no weights;
    and where early stopping keeps rows apart: those of a table of few categories are no news if all copies are.
    """
    as_it_is = slice(None), weights, slice(None)
    if len(X) > FEW_ROWS or early_stopping:
        return as_it_is
    codes = np.zeros(len(X), dtype=np.int64) if codes is None else codes
    if weights is None:
        if len({(row.tobytes(), code) for row, code in zip(X, codes.tolist(), strict=True)}) == len(X):
            return as_it_is
        weights = np.ones(len(X))
    order = np.lexsort([codes, *X.T[::-1]])
    rows, codes = X[order], codes[order]
    alike = (rows[1:] == rows[:-1]) | ((rows[1:] != rows[1:]) & (rows[:-1] != rows[:-1]))  # NaN is like NaN
    first = np.concatenate([[True], ~(alike.all(axis=1) & (codes[1:] == codes[:-1]))])
    place = np.empty(len(X), dtype=np.int64)
    place[order] = np.cumsum(first) - 1
    return order[first], _relative(np.add.reduceat(weights[order], np.flatnonzero(first))), place


def copies(weights):
    """How often each row stands for its weight, if all weights are whole multiples of the least and rows few."""
    if weights is None or weights.sum() > FEW_ROWS * weights.min():
        return None
    times = weights / weights.min()
    counts = np.rint(times)
    return counts.astype(np.int64) if np.allclose(times, counts, rtol=1e-9, atol=0) else None


def times(weights, about):
    """How often each row makes up for its weight, in ``about`` so many rows unless fewer do exactly."""
    if (counts := copies(weights)) is not None:
        return counts
    up_to = np.cumsum(weights)
    return np.diff(np.rint(about * up_to / up_to[-1]).astype(np.int64), prepend=0)


def moments(U, weights=None):
    """Mean and variance of each column."""
    mean = np.average(U, axis=0, weights=weights)
    apart = U - mean
    return mean, np.average(np.square(apart, out=apart), axis=0, weights=weights)


def standard_error(values, weights=None, ddof=1):
    """Of the mean of values that were drawn independently."""
    n, shares = len(values), 1 / len(values) if weights is None else weights / weights.sum()
    apart = shares * (values - np.average(values, weights=weights))
    return np.sqrt(n / (n - ddof) * np.square(apart).sum())
