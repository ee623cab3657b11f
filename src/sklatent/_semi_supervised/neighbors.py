"""Exact nearest neighbours among many rows: a matrix product, and a bound that few of its entries pass.

What takes time in a search by brute force is less the products than to keep the nearest of them. Here the rows to
search come in random order, in stages that grow, and of a stage only what is nearer than the k-th so far is looked at:
of n rows some k log n. Products are of float32; what they choose is ranked in float64, and where rounding could have
hidden a neighbour, the general search decides.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

FEWEST_PAIRS = 2**28  # from which it is faster than the general search
BLOCK, CHUNK = 256, 2048  # rows of a product, on either side: it stays in the cache
FIRST, GROWTH = 1024, 4  # rows searched in the first stage; how much more there are after each
MOST_OF_TREES = 15  # features, up to which the general search goes by trees
SPARE = 6  # candidates beyond the k
FARTHEST = 1e15  # from the middle: float32 has its square


class Neighbors:
    """``NearestNeighbors`` of rows Z, (n, d), but faster where there are many.

    Parameters
    ----------
    Z : ndarray of shape (n, d)
    n_neighbors : int
    n_jobs : int or None
        Of the general search.
    """

    def __init__(self, Z, n_neighbors, n_jobs=None):
        self.Z, self.k = Z, n_neighbors
        self.general = NearestNeighbors(n_neighbors=n_neighbors, n_jobs=n_jobs).fit(Z)

    def kneighbors(self, Q=None):
        """Distances and rows of Z, both (m, k), for rows Q, (m, d); for those of Z, themselves left out, by default."""
        others, Q = Q is None, self.Z if Q is None else Q
        first = max(FIRST, 4 * (self.k + SPARE))
        few = len(Q) * len(self.Z) < FEWEST_PAIRS or len(self.Z) < GROWTH * first
        if few or self.Z.shape[1] <= MOST_OF_TREES:
            return self.general.kneighbors(None if others else Q)
        order = np.random.RandomState(0).permutation(len(self.Z))
        search = _Search(self.Z[order], self.k + SPARE, first)
        if not search.fits(Q):
            return self.general.kneighbors(None if others else Q)
        places = np.argsort(order) if others else None
        distances, rows = np.empty((len(Q), self.k), Q.dtype), np.empty((len(Q), self.k), np.intp)
        unsure = np.zeros(len(Q), bool)

        def of_block(start):
            some = slice(start, start + BLOCK)
            squares, found = search.nearest(Q[some], None if places is None else places[some])
            found = order[found]
            exact = np.square(self.Z[found].astype(np.float64) - Q[some, None]).sum(axis=2)
            ranked = np.lexsort((found, exact))[:, : self.k]
            exact, rows[some] = (np.take_along_axis(each, ranked, axis=1) for each in (exact, found))
            distances[some] = np.sqrt(exact)
            unsure[some] = exact[:, -1] > squares.max(axis=1) - search.rounding(Q[some])

        with threadpool_limits(1, "blas"), ThreadPoolExecutor(torch.get_num_threads()) as threads:
            list(threads.map(of_block, range(0, len(Q), BLOCK)))
        if unsure.any():
            distances[unsure], rows[unsure] = self._general(Q[unsure], np.flatnonzero(unsure) if others else None)
        return distances, rows

    def _general(self, Q, themselves):
        if themselves is None:
            return self.general.kneighbors(Q)
        distances, rows = self.general.kneighbors(Q, self.k + 1)
        other = rows != themselves[:, None]
        other[other.all(axis=1), -1] = False
        return (each[other].reshape(-1, self.k) for each in (distances, rows))


class _Search:
    """The ``n_kept`` nearest of rows Z, by squared distances in float32, for a block of rows at a time."""

    def __init__(self, Z, n_kept, first):
        self.n_kept, self.first, self.middle = n_kept, first, Z.mean(axis=0, dtype=np.float64)
        self.Z = np.empty((len(Z), Z.shape[1] + 2), np.float32)  # -2z, |z|^2, 1: times q, 1, -b it is |q - z|^2 - ...
        centred = Z - self.middle
        squares = np.square(centred).sum(axis=1)
        self.Z[:, :-2], self.Z[:, -2], self.Z[:, -1] = -2 * centred, squares, 1
        self.farthest = np.sqrt(squares.max())

    def fits(self, Q):
        return self.farthest < FARTHEST and np.abs(Q - self.middle).max() < FARTHEST

    def rounding(self, Q):
        """How far off the squares can be, for each row of Q."""
        size = np.sqrt(np.square(Q - self.middle).sum(axis=1)) + self.farthest
        return (Q.shape[1] + 8) * np.finfo(np.float32).eps * np.square(size)

    def nearest(self, Q, places=None):
        """Squared distances and places in Z, both (m, n_kept), in no order; ``places`` are those of Q, left out."""
        q = np.empty((len(Q), self.Z.shape[1]), np.float32)
        q[:, :-2], q[:, -2], q[:, -1] = Q - self.middle, 1, 0
        room = np.empty(BLOCK * max(CHUNK, self.first), np.float32)
        within = self._less(q, places, 0, self.first, room).copy()
        kept = np.argpartition(within, self.n_kept - 1, axis=1)[:, : self.n_kept]
        squares, seen = np.take_along_axis(within, kept, axis=1), self.first
        while seen < len(self.Z):
            bound, stop = squares.max(axis=1), min(seen * GROWTH, len(self.Z))
            q[:, -1] = -bound
            found = [(np.repeat(np.arange(len(Q), dtype=np.int16), self.n_kept), kept.ravel(), squares.ravel())]
            for start in range(seen, stop, CHUNK):
                below = self._less(q, places, start, min(start + CHUNK, stop), room)
                hits = np.flatnonzero(below < 0)
                rows = (hits // below.shape[1]).astype(np.int16)  # sorted in no time
                found.append((rows, start + hits % below.shape[1], below.ravel()[hits] + bound[rows]))
            squares, kept = self._best(*map(np.concatenate, zip(*found, strict=True)))
            seen = stop
        return squares + np.square(Q - self.middle).sum(axis=1)[:, None], kept

    def _less(self, q, places, start, stop, room):
        """|q - z|^2 - |q|^2 - bound, of the rows Z[start:stop]; infinite for a row itself."""
        found = np.matmul(q, self.Z[start:stop].T, out=room[: len(q) * (stop - start)].reshape(len(q), -1))
        if places is not None:
            here = (places >= start) & (places < stop)
            found[np.flatnonzero(here), places[here] - start] = np.inf
        return found

    def _best(self, rows, places, squares):
        order = np.argsort(rows, kind="stable")
        rows, places, squares = (each[order] for each in (rows, places, squares))
        counts = np.bincount(rows)
        column = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        of_rows, at = (
            np.full((len(counts), counts.max()), np.inf, np.float32),
            np.zeros((len(counts), counts.max()), int),
        )
        of_rows[rows, column], at[rows, column] = squares, places
        best = np.argpartition(of_rows, self.n_kept - 1, axis=1)[:, : self.n_kept]
        return (np.take_along_axis(each, best, axis=1) for each in (of_rows, at))
