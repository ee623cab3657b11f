"""Label spreading over a graph of nearest neighbours: the mathematics, on arrays.

References: D. Zhou, O. Bousquet, T. N. Lal, J. Weston, B. Schoelkopf, "Learning with local and global consistency",
2004 (spreading). X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields and harmonic
functions", 2003 (class mass normalisation).
"""

import inspect
import warnings

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

from .._bridge.state import warn

MAX_EXACT_ROWS = 100_000  # beyond, exact neighbours cost minutes
MAY_COINCIDE = 0.01  # of the codes of rows that differ
MOST_SPLITS = 3  # of the labels, to hold out
MOST_POWER = 20  # of a distribution
MOST_STEPS = 10_000  # of conjugate gradients
TOLERANCE = 1e-6  # of a residual, relative to the labels
FINER = 1e-12  # what it is multiplied by while rows are not reached
LEAST_TOLERANCE = 1e-130  # whose square is still a number
TINY = 1e-30
RTOL = "rtol" if "rtol" in inspect.signature(cg).parameters else "tol"  # the latter before scipy 1.12


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


def kernel_width(distances):
    """The median distance to the last neighbour; 1 if all rows coincide."""
    width = np.median(distances[:, -1])
    if width > 0:
        return float(width)
    return float(distances[distances > 0].mean()) if (distances > 0).any() else 1.0


def similarity(distances, rows, width):
    """Symmetric sparse weights: w_ij = exp(-(d_ij / width)^2) if i is among the neighbours of j or j among those of i.

    Parameters
    ----------
    distances, rows : ndarrays of shape (n, k)
        Of the neighbours of each row, itself not among them.
    width : float

    Returns
    -------
    W : csr_array of shape (n, n), float64
    """
    n, k = rows.shape
    weights = np.exp(-np.square(distances / width, dtype=np.float64)).ravel()
    ends = np.repeat(np.arange(n, dtype=np.int32), k), rows.ravel().astype(np.int32)
    W = sparse.csr_array((np.maximum(weights, TINY), ends), shape=(n, n))  # scipy 1.11 finds no component by int64
    return W.maximum(W.T).tocsr()


class Graph:
    """What follows from the weights alone: S = D^-1/2 W D^-1/2, and the connected components.

    Parameters
    ----------
    W : csr_array of shape (n, n)
        Symmetric, not negative.
    """

    def __init__(self, W):
        degree = W.sum(axis=1)
        scale = 1 / np.sqrt(np.where(degree > 0, degree, 1))
        self.S = W.multiply(scale[:, np.newaxis]).multiply(scale).tocsr()
        self.component = connected_components(W, directed=False)[1]

    def spread(self, Y, alpha):
        """F = (1 - alpha) (I - alpha S)^-1 Y, by conjugate gradients.

        It is where F <- alpha S F + (1 - alpha) Y comes to rest (Zhou et al. 2004). Each step reaches one neighbour on,
        and there are enough of them to reach all rows that are linked to a label, as far as float64 tells them from 0.

        Parameters
        ----------
        Y : ndarray of shape (n, n_classes)
        alpha : float in (0, 1)

        Returns
        -------
        F : ndarray of shape (n, n_classes), not negative
        """
        system = LinearOperator(self.S.shape, matvec=lambda f: f - alpha * (self.S @ f), dtype=np.float64)
        linked, tolerance = np.isin(self.component, self.component[Y.any(axis=1)]), TOLERANCE
        while True:
            options = {RTOL: tolerance, "atol": 0, "maxiter": MOST_STEPS}
            solved = [cg(system, (1 - alpha) * y, **options) for y in Y.T]
            F = np.maximum(np.stack([f for f, _ in solved], axis=1), 0)
            tolerance *= FINER
            if F[linked].any(axis=1).all() or tolerance < LEAST_TOLERANCE:
                break
        if any(info for _, info in solved):
            warn(
                f"Conjugate gradients had not converged after {MOST_STEPS} steps: labels may have spread less far than "
                f'alpha={alpha} says. Pass a smaller alpha; alpha="auto" takes 0.99 at most.',
                ConvergenceWarning,
            )
        return F

    def held_out(self, nodes, codes, n_classes, alpha, prior):
        """Distributions of the labelled nodes where their own labels, fold by fold, are not shown.

        NaN in the rows of classes with a single label, which is always shown.
        """
        found = np.full((len(nodes), n_classes), np.nan)
        for shown, hidden in folds(codes):
            F = self.spread(one_hot(nodes[shown], codes[shown], (len(self.component), n_classes)), alpha)
            found[hidden] = normalise(F, prior)[nodes[hidden]]
        return found


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


def vote(distances, rows, width, distributions):
    """Distribution of new rows: that of their neighbours, weighted by exp(-(d / width)^2), relative to the nearest."""
    weights = softmax(-np.square(distances / width, dtype=np.float64), axis=1)
    return np.einsum("nk,nkc->nc", weights, distributions[rows])
