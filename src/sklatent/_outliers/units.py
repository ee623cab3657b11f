"""What is drawn as one: the rows of a group, or copies of one row. All of a unit lie on one side of a split.

Let U_1, ..., U_m be the units kept apart, and U of a new row, exchangeable. The split and the densities never look into
more than one side, so the scores of one member of each, drawn at random, are exchangeable too, and the rank of the
new one is uniform on 1, ..., m + 1: P(p <= a) <= a for a new row *of a new unit*. More than one row of each would make
ranks among relatives: of a group with half of the rows, a new row has p near 1/2 or 1 at best.

- Groups that are given: one row of each that is kept apart is drawn, and m counts groups (R. Dunn, L. Wasserman,
  A. Ramdas, "Distribution-free prediction sets for two-layer hierarchical models", 2022).
- Without groups, rows that are equal are a unit, and all copies rank: p = (1 + m q) / (m + 1), q the share of the
  kept rows, m of which differ, that score as low or lower. With as many copies of each, that is the rank among the
  different ones, and exact; with none it is the plain one. If equal rows were drawn independently, it is never
  below the plain one, (1 + n q) / (n + 1), as m <= n, and so is valid where no density learns (``recalibrate``).
- In ``fit`` the rows with the fewest copies are kept apart: a new row that equals none in ``fit`` is exchangeable with
  those that have no copy there, and one that equals some, as a blank one may, finds that the density knows it. Were
  a row with half of all copies kept apart, p would say little more than which side of that one's score a row is on.
"""

import hashlib
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing, gen_batches
from sklearn.utils._missing import is_pandas_na
from sklearn.utils.validation import _num_samples

GONE = -1  # number of a row whose batch is not at hand
CHUNK = 2**18  # values that are hashed at once: the passes over them stay in the cache


def _mixed(words):
    """A one-to-one scramble of uint64 (S. Vigna's splitmix64): every bit of the input moves all bits."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def row_keys(X):
    """A uint64 for each row, the same for equal rows, whatever kind of array they come in.

    Of a million rows some two that differ share one with a chance of 3e-8; they would be taken for copies, no more.
    """
    if hasattr(X, "iloc"):
        if not all(getattr(kind, "kind", "O") in "biuf" for kind in X.dtypes):
            import pandas as pd

            X = X.apply(lambda column: column.map(repr) if column.dtype == object else column)  # cells may be lists
            return pd.util.hash_pandas_object(X, index=False).to_numpy(dtype=np.uint64)
        X = X.to_numpy(dtype=np.float64, na_value=np.nan)
    columns = _mixed(np.arange(X.shape[1], dtype=np.uint64))
    if sparse.issparse(X):
        X = sparse.csr_array(X, copy=True)
        X.sum_duplicates()
        words = _words(X.data, columns[X.indices])
        sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(words, dtype=np.uint64)])
        return sums[X.indptr[1:]] - sums[X.indptr[:-1]]  # exact, as they wrap around
    keys = np.empty(len(X), dtype=np.uint64)
    for rows in gen_batches(len(X), max(1, CHUNK // X.shape[1])):
        keys[rows] = _words(X[rows], columns).sum(axis=1, dtype=np.uint64)
    return keys


def _words(values, columns):
    """What each value adds to its row's key: zeros nothing, as a sparse row does not name them."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    return np.where(values == 0, np.uint64(0), _mixed(values.view(np.uint64) ^ columns))


def group_keys(groups, n):
    """The same for the labels of given groups, the same in every batch."""
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(f"groups has shape {groups.shape}, but X has {n} rows. Pass one label for each row of X.")
    if groups.dtype == object:
        missing = np.array([label is None or is_pandas_na(label) or label != label for label in groups])
    else:
        missing = groups != groups
    if missing.any():
        raise ValueError(
            f"groups is missing (NaN or None) for {missing.sum()} of {n} rows, the first of them row "
            f"{missing.argmax()}. Give each a group, of its own if it belongs with no other, or leave it out."
        )
    labels, index = np.unique(groups.astype(str) if groups.dtype == object else groups, return_inverse=True)
    digests = [hashlib.blake2b(str(label).encode(), digest_size=8).digest() for label in labels]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)[index]


class Units:
    """Rows with the key of the unit that each belongs to; ``given`` groups, or equal rows."""

    def __init__(self, X, keys, given, rows=None):
        self.X, self.keys, self.given = X, keys, given
        self.rows = np.arange(len(keys)) if rows is None else rows  # which they were at first
        _, first, index, sizes = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        order = np.argsort(first)  # in order of appearance: without copies, unit i is row i
        self.index, self.sizes = np.argsort(order)[index], sizes[order]

    @classmethod
    def of(cls, X, groups=None):
        return cls(X, row_keys(X) if groups is None else group_keys(groups, _num_samples(X)), groups is not None)

    def __len__(self):
        return len(self.sizes)

    @property
    def names(self):
        return "groups" if self.given else "rows" if len(self) == len(self.keys) else "different rows"

    def split(self, size, seed, n_before=None):
        """All but ``size`` of them, a share or a number, and those, kept apart: at random, or those with fewest copies.

        Without ``n_before``, the number of splits before, each goes by its key: a unit that comes back in a later
        batch is on the same side again, and the size holds on average.
        """
        m = len(self)
        if n_before is None:
            keys = np.zeros(m, dtype=np.uint64)
            keys[self.index] = _mixed(self.keys ^ np.uint64(seed))
            apart = keys / 2.0**64 < (size / m if isinstance(size, Integral) else size)
        else:
            order = np.random.RandomState(seed + n_before).permutation(m)
            if not self.given:
                order = order[np.argsort(self.sizes[order], kind="stable")]
            n_apart = size if isinstance(size, Integral) else int(np.ceil(size * m))
            apart = np.isin(np.arange(m), order[:n_apart])
        return self.take(~apart), self.take(apart)

    def folds(self, size, seed):
        """Parts of about that ``size``, at random, each kept apart in turn: pairs of the rest and the part."""
        m = len(self)
        n_folds = max(2, min(m, round(m / (size if isinstance(size, Integral) else size * m))))
        order = np.random.RandomState(seed).permutation(m)
        order = order[np.argsort(self.sizes[order], kind="stable")]  # of each size as many in each
        part = np.argsort(order) % n_folds
        return [(self.take(part != k), self.take(part == k)) for k in range(n_folds)]

    def rarest(self, n):
        """The fewest copies that as many units have: n of them at least, or all."""
        return len(self.keys) if self.given else int(np.sort(self.sizes)[min(n, len(self)) - 1])

    def take(self, units):
        """Those of a mask over the units, their rows in the order that they had."""
        return self._at(np.flatnonzero(units[self.index]))

    def _at(self, order):
        return Units(_safe_indexing(self.X, order), self.keys[order], self.given, self.rows[order])

    def after(self, waiting, most):
        """With those that waited, as (X, keys), before: the last ``most`` rows of both, of batches that are gone."""
        X, keys = self.X, self.keys
        if waiting is not None:
            X, keys = stacked(waiting[0], X), np.concatenate([waiting[1], keys])
        together = Units(X, keys, self.given, np.full(len(keys), GONE))
        return together._at(np.arange(len(keys))[-most:]) if len(keys) > most else together

    def shuffled(self, rng, *, one_each):
        """All rows in random order, or one drawn of each."""
        order = rng.permutation(len(self.keys))
        if one_each:
            order = rng.permutation(order[np.unique(self.index[order], return_index=True)[1]])
        return self._at(order)

    def halves(self):
        """The half of the units that appear first, of shuffled ones more of those with many copies, and the rest.

        A single one is both.
        """
        first = np.arange(len(self)) < max(1, len(self) // 2)
        return self.take(first), self.take(~first if len(self) > 1 else first)


def stacked(above, below):
    """The rows of both, of one kind: frames, sparse or dense arrays."""
    if hasattr(below, "iloc"):
        import pandas as pd

        return pd.concat([above, below])
    return sparse.vstack([above, below], format="csr") if sparse.issparse(below) else np.concatenate([above, below])
