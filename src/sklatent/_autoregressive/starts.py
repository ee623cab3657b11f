"""Where a MADE over real values starts: at a Gaussian, by its chain of regressions.

References: O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004
(shrinkage; here towards the diagonal, by the share that is best for rows held out, since theirs is far too large where
features are nearly collinear).
"""

import numpy as np

from .._bridge.rows import most_likely

SHARES = (0.0, 0.01, 0.03, 0.1, 0.3)
REG = 1e-3  # added to each variance
SPREAD = 0.3  # of the components of a conditional, in its standard deviations: near enough to be one normal
WIDE = 2.0  # standard deviations of the anchor


def shrunk(U, share):
    """Mean (d,) and covariance (d, d): (1 - share) S + share diag S + REG I."""
    covariance = np.cov(U.T, bias=True).reshape(U.shape[1], -1)
    variance = np.diag(covariance)
    return U.mean(axis=0), (1 - share) * covariance + np.diag(share * variance + REG)


def log_density(U, mean, covariance):
    """log N(u; mean, covariance) of each row, in nats."""
    root = np.linalg.cholesky(covariance)
    distance = np.square(np.linalg.solve(root, (U - mean).T)).sum(axis=0)
    return -0.5 * distance - np.log(np.diag(root)).sum() - 0.5 * len(mean) * np.log(2 * np.pi)


def chain(mean, covariance, order):
    """A (d, d), b (d,), variance (d,): x_i given those before it in the order is N(A_i x + b_i, variance_i)."""
    root = np.linalg.cholesky(covariance[np.ix_(order, order)])
    deviation = np.diag(root)
    A, variance = np.zeros_like(covariance), np.empty(len(mean))
    A[np.ix_(order, order)] = np.eye(len(mean)) - np.linalg.inv(root / deviation)
    variance[order] = deviation**2
    return A, mean - A @ mean, variance


def gaussian_start(U, order, likelihood):
    """Buffers of a ``StartedMADE`` whose density is the Gaussian of the scaled rows U, for an ``AnchoredMixture``."""
    share = most_likely(SHARES, shrunk, log_density, U)
    A, b, variance = chain(*shrunk(U, share), order)
    deviation, places = np.sqrt(variance)[:, np.newaxis], np.array(likelihood.means)
    inside = np.maximum(variance * (1 - SPREAD**2 * np.mean(places**2)) - likelihood.reg_covar, 1e-6)
    log_sd = 0.5 * np.log(inside / likelihood.sd**2)[:, np.newaxis]
    zeros, ones = np.zeros((len(b), len(places))), np.ones((len(b), len(places)))
    means = b[:, np.newaxis] + SPREAD * deviation * places - places  # the likelihood adds the places
    buffers = {
        "regression": A,
        "anchor": np.stack([b, np.log(WIDE * deviation[:, 0])], axis=1),
        "offset": np.concatenate([zeros, means, log_sd + zeros], axis=1),
        "scale": np.concatenate([ones, deviation * ones, ones], axis=1),
    }
    return {f"core.{name}": value for name, value in buffers.items()}
