"""A graph of nearest neighbours, labels held out, and distributions made of what a graph says: on arrays.

References: J. Calder, B. Cook, M. Thorpe, D. Slepcev, "Poisson learning: graph based semi-supervised learning at very
low label rates", 2020 (the kernel). X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields
and harmonic functions", 2003 (class mass normalisation).
"""

import warnings

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

MAX_EXACT_ROWS = 100_000  # beyond, exact neighbours cost minutes
MAY_COINCIDE = 0.01  # of the codes of rows that differ
MOST_SPLITS = 3  # of the labels, to hold out
MOST_POWER = 20  # of a distribution
TINY = 1e-30


def neighbor_index(Z, n_neighbors, n_jobs=None):
    """An index with ``kneighbors``: exact up to ``MAX_EXACT_ROWS``, beyond that approximate by pynndescent."""
    if len(Z) <= MAX_EXACT_ROWS:
        return NearestNeighbors(n_neighbors=n_neighbors, n_jobs=n_jobs).fit(Z)
    return _Approximate(Z, n_neighbors, n_jobs, _descent(len(Z)))


def check_index(X):
    """Raise ImportError if codes of the rows X will be too many for an exact index, and there is no other.

    Rows that are equal have one code, and are one node. Rows that differ have codes that do, but for the few that
    float32 rounds to one: less than ``MAY_COINCIDE`` of 100,000 even where a row has a single code.
    """
    most, seen = (1 + MAY_COINCIDE) * MAX_EXACT_ROWS, set()
    for row in X if len(X) > most else ():
        seen.add(hash(row.tobytes()))
        if len(seen) > most:
            _descent(len(X))
            return


def _descent(n):
    try:
        from pynndescent import NNDescent
    except ImportError as error:
        raise ImportError(
            f"Neighbours among {n} rows are found by pynndescent, which is not installed: "
            'pip install "sklatent[approximate]".'
        ) from error
    return NNDescent


class _Approximate:
    """pynndescent (W. Dong, C. Moses, K. Li, 2011) with the face of ``NearestNeighbors``."""

    def __init__(self, Z, n_neighbors, n_jobs, descent):
        self.n_neighbors = n_neighbors
        self.index = descent(Z, n_neighbors=max(30, n_neighbors + 1), random_state=0, n_jobs=n_jobs)

    def kneighbors(self, Z=None):
        if Z is not None:
            rows, distances = self.index.query(Z, k=self.n_neighbors)
            return distances, rows
        rows, distances = self.index.neighbor_graph
        return distances[:, 1 : self.n_neighbors + 1], rows[:, 1 : self.n_neighbors + 1]  # the first is the row itself


def kernel(distances):
    """exp(-4 d^2 / d_k^2) of the distances to the k nearest, (n, k): each row has its own width, that to the last."""
    last = distances[:, -1:].astype(np.float64)
    return np.exp(-4 * np.square(distances / np.where(last > 0, last, 1)))


def similarity(distances, rows):
    """Symmetric sparse weights: the mean of the kernel of j among the neighbours of i, and of i among those of j.

    Parameters
    ----------
    distances, rows : ndarrays of shape (n, k)
        Of the neighbours of each row, itself not among them.

    Returns
    -------
    W : csr_array of shape (n, n), float64
    """
    n, k = rows.shape
    ends = np.repeat(np.arange(n, dtype=np.int32), k), rows.ravel().astype(np.int32)
    W = sparse.csr_array((kernel(distances).ravel(), ends), shape=(n, n))  # scipy 1.11 finds no component by int64
    return ((W + W.T) / 2).tocsr()


def one_hot(nodes, codes, shape):
    """How many labelled rows of each class each node holds."""
    Y = np.zeros(shape)
    np.add.at(Y, (nodes, codes), 1.0)
    return Y


def normalise(F, prior):
    """Rows of F to distributions, after its columns were scaled to sums in proportion to ``prior`` (None: as is)."""
    if prior is not None:
        mass = F.sum(axis=0)
        F = F * (prior / np.where(mass > 0, mass, 1))
    total = F.sum(axis=1, keepdims=True)
    return np.where(total > 0, F / np.where(total > 0, total, 1), 1 / F.shape[1])


def folds(codes):
    """Up to three pairs of indices (shown, hidden) into the labels; no class is wholly hidden."""
    counts = np.bincount(codes)
    if counts.max() < 2:
        return []
    several = np.flatnonzero(counts[codes] > 1)
    n_splits = min(MOST_SPLITS, counts.max())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer labels than folds
        splits = list(StratifiedKFold(n_splits, shuffle=True, random_state=0).split(several, codes[several]))
    hidden = [several[test] for _, test in splits]
    return [(np.setdiff1d(np.arange(len(codes)), rows), rows) for rows in hidden]


def sharpen(distributions, power):
    """q^power, normalised."""
    return softmax(power * np.log(np.maximum(distributions, TINY)), axis=1)


def calibrate(distributions, codes):
    """The power that makes the distributions fit the labels best: of the least cross-entropy.

    The labels count as 1 - 1 / (n + 2), as Platt (1999) has it, or a few that are all right would ask for infinity.
    """
    smooth = 1 / (len(codes) + 2)
    log_q = np.log(np.maximum(distributions, TINY))

    def cross_entropy(log_power):
        log_p = log_softmax(np.exp(log_power) * log_q, axis=1)
        return -np.mean((1 - smooth) * log_p[np.arange(len(codes)), codes] + smooth * log_p.mean(axis=1))

    return float(np.exp(minimize_scalar(cross_entropy, bounds=(0, np.log(MOST_POWER)), method="bounded").x))


def vote(distances, rows, distributions):
    """Distribution of new rows: that of their neighbours, weighted by the kernel."""
    weights = kernel(distances)
    return np.einsum("nk,nkc->nc", weights / weights.sum(axis=1, keepdims=True), distributions[rows])
