"""The kind of each column of a table, and what is learned of columns of several kinds before any training."""

import numpy as np

from .._nn.scaling import FAR
from .rows import MAX_LEVELS, chunks, learn_affine, value_range

MOST_CATEGORIES = 16  # levels of a categorical column; a distribution over more is made of a few smooth ones
BLUR = 0.2  # of the width of a level, the deviation of the noise under which a linear model or a mixture sees it
OF_LEVELS = ("bernoulli", "categorical", "logistic_mixture")


def level_widths(X):
    """How far the levels of each column are apart, float64; 0 of real values, and of more than 256 whole numbers.

    Whole numbers are levels of width one; of two of them, as 2 and 5, the width is their distance. NaN says nothing.
    """
    low, high = value_range(X)
    whole, two = np.ones((2, X.shape[1]), dtype=bool)
    for chunk in chunks(X):
        missing = np.isnan(chunk)
        whole &= (missing | (np.rint(chunk) == chunk)).all(axis=0)
        two &= (missing | (chunk == low) | (chunk == high)).all(axis=0)
    whole &= np.maximum(-low, high) < 2**31
    widths = np.where(two, np.maximum(high - low, 1), 1.0)
    return np.where(whole & (two | (high - low < MAX_LEVELS)), widths, 0.0)


def n_levels(X, widths):
    """Of each column, 0 where it is real."""
    low, high = value_range(X)
    return np.where(widths > 0, np.rint((high - low) / np.where(widths > 0, widths, 1)) + 1, 0).astype(int)


def kinds_of(X, estimator, real, categories=True):
    """The distribution of each column, as the estimator's ``likelihood`` has it, and the widths of the levels.

    The first is None where all columns are ``real``, the name for real values, as pixels are here. ``categories``:
    whether a column of few levels is ``"categorical"``.
    """
    of_levels = OF_LEVELS if categories else OF_LEVELS[::2]
    likelihood, names = estimator.likelihood, getattr(estimator, "feature_names_in_", None)
    if estimator.image_shape_ is not None:
        if isinstance(likelihood, str):
            return None, np.zeros(X.shape[1])
        raise ValueError(f"likelihood={likelihood!r} is for tables: with image_shape all pixels share one name.")
    widths = level_widths(X)
    counts = n_levels(X, widths)
    if isinstance(likelihood, str) and not (counts > 1).any():
        return None, widths  # nor do constants make levels of a table of real values
    few = MOST_CATEGORIES if categories else 0
    found = np.select([counts == 0, counts <= 2, counts <= few], [real, *OF_LEVELS[:2]], OF_LEVELS[2]).astype(object)
    for column, name in _asked(likelihood, X.shape[1], (real, *of_levels), names):
        most = {"bernoulli": 2, "categorical": MOST_CATEGORIES}.get(name, MAX_LEVELS)
        if name != real and not 0 < counts[column] <= most:
            raise ValueError(
                f"likelihood asks for {name!r} of feature {_told(column, names)}, which needs whole numbers, of at "
                f"most {most} levels. Use {real!r}, or 'auto'."
            )
        found[column] = name
    widths = np.where(found == real, 0.0, widths)
    return (found.tolist() if widths.any() else None), widths


def _asked(likelihood, n_features, allowed, names):
    """Pairs of a column and the name that the user asks for."""
    if isinstance(likelihood, str):
        return
    pairs = list(likelihood.items() if isinstance(likelihood, dict) else enumerate(likelihood))
    if not isinstance(likelihood, dict) and len(pairs) != n_features:
        raise ValueError(
            f"likelihood lists {len(pairs)} names, but X has {n_features} features. List one for each, or pass a dict "
            "of those that 'auto' shall not choose."
        )
    for key, name in pairs:
        if names is not None and key in list(names):
            key = list(names).index(key)
        if not isinstance(key, int | np.integer) or not 0 <= key < n_features:
            raise ValueError(
                f"likelihood names the feature {key!r}, but X has no such one. Pass indices from 0 to {n_features - 1}"
                f"{', or column names of X' if names is not None else ''}."
            )
        if name not in ("auto", *allowed):
            raise ValueError(
                f"likelihood asks for {name!r} of feature {_told(key, names)}. A column of a table is one of "
                f"{', '.join(map(repr, ('auto', *allowed)))}."
            )
        if name != "auto":
            yield int(key), name


def _told(column, names):
    return column if names is None else repr(str(names[column]))


def learn_columns(X, prefix, widths, weights=None):
    """The buffers of a ``Columns``. Many levels are counts: they know no last one, nor a first but 0."""
    buffers = learn_affine(X, prefix, weights)
    low, high = value_range(X)
    counts = n_levels(X, widths) > MOST_CATEGORIES
    first, last = np.where(counts, np.where(low < 0, -np.inf, 0), low), np.where(counts, np.inf, high)
    shift, scale = buffers[f"{prefix}.shift"], buffers[f"{prefix}.scale"]
    ends = {
        f"{prefix}.{name}": np.clip((x - shift) / scale, -FAR, FAR) for name, x in (("first", first), ("last", last))
    }
    return buffers | ends | {f"{prefix}.radius": widths / 2 / scale}


def blurred(U, radius):
    """Scaled rows, their levels with noise: rounded values have no density, and a mixture would look for one."""
    radius = np.broadcast_to(radius, U.shape[1])
    return U + 2 * radius * BLUR * np.random.RandomState(0).standard_normal(U.shape)


def check_levels(X, estimator, columns):
    """Raise if a feature of levels, of the estimator's ``Columns``, holds anything but whole numbers."""
    of_levels = columns.radius.cpu().numpy() > 0
    for chunk in chunks(X):
        other = of_levels & ~np.isnan(chunk) & (np.rint(chunk) != chunk)
        if other.any():
            row, column = np.argwhere(other)[0]
            raise ValueError(
                f"Feature {_told(column, getattr(estimator, 'feature_names_in_', None))} was whole numbers in the fit "
                f"of this {type(estimator).__name__}, but X holds {float(chunk[row, column])!r} there. Round it, or "
                "fit with a likelihood of real values for it."
            )
