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

MOST_SPLITS = 3  # of the labels, to hold out
MOST_POWER = 20  # of a distribution
TINY = 1e-30


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
