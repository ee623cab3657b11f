"""Where a MADE over real values starts: at a mixture of Gaussians, each by its chain of regressions.

Its size and its shrinkage are those under which rows held out are most likely. EM fits it; what it then leaves too
sure of itself is shrunk, which costs no further EM.

References: J. H. Friedman, "Regularized discriminant analysis", 1989 (shrinkage of the covariance of each component,
towards that of all and towards a simpler one; here the simpler one is the diagonal).
"""

import warnings
from itertools import product

import numpy as np
from scipy.special import logsumexp, ndtri
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold

from .._bridge.weights import times
from .._nn.likelihoods import ANCHOR, WIDE

SIZES, KINDS, REGS = (1, 2, 3, 5, 8, 12), ("full", "diag"), (1e-3, 1e-1)  # what EM is run with
SHRINKAGES = [("diagonal", share) for share in (0.0, 0.03, 0.1, 0.3)] + [("mean", share) for share in (0.1, 0.3, 0.6)]
MOST_ENTRIES = 2**16  # of the covariances of more than one component
FEWEST_ROWS, MOST_ROWS = 10, 2000  # that choose
TEN_FOLDS, FIVE_FOLDS = 2**13, 2**15  # values up to which so many are held out in turn; of more one fifth is
SPREAD = 0.3  # of the copies of a component, in its standard deviations: near enough to be one normal


def mixture_of(U, n_components, covariance_type, reg_covar, of_rows=None):
    """Weights (K,), means (K, d) and covariances (K, d, d), by EM; ``of_rows`` are weights of the rows."""
    if n_components == 1:
        covariance = np.cov(U.T, bias=True, aweights=of_rows).reshape(U.shape[1], -1) + reg_covar * np.eye(U.shape[1])
        return np.ones(1), np.average(U, axis=0, weights=of_rows)[np.newaxis], covariance[np.newaxis]
    if of_rows is not None:  # scikit-learn's EM takes none
        U = np.repeat(U, times(of_rows, MOST_ROWS), axis=0)
    mixture = GaussianMixture(n_components, covariance_type=covariance_type, reg_covar=reg_covar, random_state=0)
    with warnings.catch_warnings(), config_context(array_api_dispatch=False):  # the rows are numpy's
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(U)
    covariances = mixture.covariances_
    if covariance_type == "diag":
        covariances = covariances[:, np.newaxis] * np.eye(U.shape[1])
    return mixture.weights_, mixture.means_, covariances


def shrunk(weights, means, covariances, towards, share):
    """The mixture with each covariance a ``share`` of the way to its own diagonal, or to the mean of all."""
    target = np.tensordot(weights, covariances, 1) if towards == "mean" else covariances * np.eye(means.shape[1])
    return weights, means, (1 - share) * covariances + share * target


def log_density(U, weights, means, covariances):
    """log sum_k w_k N(u; mean_k, covariance_k) of each row, in nats."""
    each = []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        root = np.linalg.cholesky(covariance)
        distance = np.square(np.linalg.solve(root, (U - mean).T)).sum(axis=0)
        each.append(np.log(weight) - 0.5 * distance - np.log(np.diag(root)).sum())
    return logsumexp(each, axis=0) - 0.5 * U.shape[1] * np.log(2 * np.pi)


def anchored(U, *mixture):
    """log-density of each row where the anchor is a component: an outlier or two then do not decide."""
    mean, covariance = moments(*mixture)
    wide = log_density(U, np.ones(1), mean[np.newaxis], WIDE**2 * covariance[np.newaxis])
    return np.logaddexp(np.log(1 - ANCHOR) + log_density(U, *mixture), np.log(ANCHOR) + wide)


def chosen_mixture(U, of_rows=None):
    """What ``started_at`` is to make of the scaled rows U, by the likelihood of rows held out: plain values."""
    n, d = U.shape
    names = ("n_components", "covariance_type", "reg_covar", "towards", "share")
    if n < FEWEST_ROWS:
        return dict(zip(names, (1, "full", REGS[0], "diagonal", 0.3), strict=True))
    runs = [run for run in product(SIZES, KINDS, REGS) if _can_run(n, d, *run)]
    folds, scores = KFold(10 if U.size <= TEN_FOLDS else 5, shuffle=True, random_state=0).split(U), {}
    folds, of_folds = list(folds)[: 10 if U.size <= FIVE_FOLDS else 1], None
    if of_rows is not None:
        of_folds = [of_rows[test].sum() for _, test in folds]
    for train, test in folds:
        of_train, of_test = (None, None) if of_rows is None else (of_rows[train], of_rows[test])
        for run in runs:
            mixture = mixture_of(U[train], *run, of_train)
            for shrinkage in SHRINKAGES:
                score = np.average(anchored(U[test], *shrunk(*mixture, *shrinkage)), weights=of_test)
                scores.setdefault((*run, *shrinkage), []).append(score)
    best = max(scores, key=lambda each: np.average(scores[each], weights=of_folds))
    return dict(zip(names, best, strict=True))


def _can_run(n, d, size, kind, reg_covar):
    if size == 1:
        return kind == "full"  # shrinkage does the rest
    return 2 * size <= n and size * d**2 <= MOST_ENTRIES


def started_at(U, n_components, covariance_type, reg_covar, towards, share, of_rows=None):
    """Weights, means and covariances of the mixture that was chosen, from the scaled rows U."""
    return shrunk(*mixture_of(U, n_components, covariance_type, reg_covar, of_rows), towards, share)


def moments(weights, means, covariances):
    """Mean (d,) and covariance (d, d) of a mixture."""
    mean = weights @ means
    apart = means - mean
    return mean, np.tensordot(weights, covariances, 1) + (weights * apart.T) @ apart


def chain(mean, covariance, order):
    """A (d, d), b (d,), variance (d,): x_i given those before it in the order is N(A_i x + b_i, variance_i)."""
    root = np.linalg.cholesky(covariance[np.ix_(order, order)])
    deviation = np.diag(root)
    A, variance = np.zeros_like(covariance), np.empty(len(mean))
    A[np.ix_(order, order)] = np.eye(len(mean)) - np.linalg.inv(root / deviation)
    variance[order] = deviation**2
    return A, mean - A @ mean, variance


def mixture_start(mixture, order, n_copies, floor):
    """Buffers and weights of a ``StartedMADE`` whose density is the mixture.

    The copies of a component lie a little apart; ``floor`` is what the likelihood adds to each variance.
    """
    weights, means, covariances = mixture
    mean, covariance = moments(*mixture)
    normals = zip([*means, mean], [*covariances, covariance], strict=True)
    chains = zip(*(chain(*normal, order) for normal in normals), strict=True)
    A, b, variance = (np.stack(parts, axis=1) for parts in chains)  # (d, K + 1, ...), the last for the anchor
    places = SPREAD * ndtri((np.arange(n_copies) + 0.5) / n_copies)
    deviation = np.sqrt(variance)
    centers = b[:, :-1, np.newaxis] + deviation[:, :-1, np.newaxis] * places
    inside = np.maximum(variance * (1 - np.mean(places**2)) - floor, 1e-6)
    log_sd, width = (np.repeat(each[:, :-1], n_copies, axis=1) for each in (0.5 * np.log(inside), deviation))
    zeros, ones = np.zeros_like(width), np.ones_like(width)
    buffers = {
        "chain.weight": A[:, :-1].reshape(-1, len(A)),
        "regression": A.reshape(-1, len(A)),
        "log_weight": np.log(weights),
        "constant": b,
        "log_sd": np.log(deviation),
        "offset": np.concatenate([zeros, centers.reshape(width.shape), log_sd], axis=1),
        "scale": np.concatenate([ones, width, ones], axis=1),
    }
    return {f"core.{name}": value for name, value in buffers.items()}
