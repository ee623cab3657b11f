"""Where autoencoders start: at PCA, and at probabilistic PCA with a residual variance of each feature's own.

Both are found in closed form from scaled rows, in float64, and are the buffers of two ``LinearPlus``.

References: M. E. Tipping, C. M. Bishop, "Probabilistic principal component analysis", 1999.
"""

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from .._bridge.weights import moments, standard_error
from .._nn.likelihoods import unbounded
from .._nn.vae import STARTED_FLOOR

ENCODER_SCALE = 0.3  # of the net's share of a code; one, and no scale, were as good on tables and worse on images
SHARES = (0.03, 0.1, 0.3, 1.0)  # of the residual variance that all features have in common; 1 is probabilistic PCA
LOG_VARIANCE_SCALE = 0.1  # of the net's share of a feature's log variance


def _components(U, k, weights=None):
    """Mean (d,), the k largest variances (k,), their directions (k, d), the variance left; zeros beyond the rank."""
    (mean, variance), k_found = moments(U, weights), min(k, *U.shape)
    if weights is not None:
        rows = np.sqrt(weights / weights.mean())[:, np.newaxis] * (U - mean)
        U = np.concatenate([rows, -rows])  # PCA finds their mean, which is 0
    n, d = U.shape
    pca = PCA(k_found, random_state=0).fit(U)
    values, vectors = np.zeros(k), np.zeros((k, d))
    values[:k_found] = pca.explained_variance_ * (n - 1) / n if n > 1 else 0
    vectors[:k_found] = pca.components_
    return mean, values, vectors, max(variance.sum() - values.sum(), 0.0)


def _buffers(encoder, decoder):
    parts = {"encoder": encoder, "decoder": decoder}
    return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}


def pca_start(U, k, weights=None):
    """Both ``LinearPlus`` of an autoencoder at PCA, with one scale for all codes inside: its own, outside."""
    mean, values, vectors, rest = _components(U, k, weights)
    s = np.sqrt(values.mean()) or 1.0
    return {"code_scale": np.full(k, s)} | _buffers(
        {"weight": vectors / s, "bias": -vectors @ mean / s, "scale": np.full(k, ENCODER_SCALE)},
        {"weight": s * vectors.T, "bias": mean, "scale": np.full(len(mean), np.sqrt(rest / len(mean)))},
    )


def pooled_start(U, features, k, weights=None):
    """Both ``LinearPlus`` where the encoder's sees pooled features: their PCA, standardised, and a regression of rows.

    The regression is a ridge: where codes are nearly as many as rows, least squares would rebuild these alone.
    """
    scale = np.sqrt(moments(features, weights)[1])
    scale = np.where(scale > 0, scale, 1.0)
    mean, values, vectors, _ = _components(features / scale, k, weights)
    s = np.sqrt(values.mean()) or 1.0
    weight, bias = vectors / scale / s, -vectors @ mean / s
    ridge = RidgeCV(np.logspace(-2, 4, 13)).fit(features @ weight.T + bias, U, sample_weight=weights)
    rest = moments(ridge.predict(features @ weight.T + bias) - U, weights)[1].mean()
    return {"code_scale": np.full(k, s)} | _buffers(
        {"weight": weight, "bias": bias, "scale": np.full(k, ENCODER_SCALE)},
        {"weight": ridge.coef_, "bias": ridge.intercept_, "scale": np.full(U.shape[1], np.sqrt(rest))},
    )


def factors(U, k, share, floor, weights=None):
    """Mean (d,), W (d, k) and variances (d,) of the linear model N(mean, W W' + diag variance).

    W is that of probabilistic PCA, turned so that W' diag(1 / variance) W is diagonal: then so is the posterior's
    covariance, and the evidence lower bound is the log-likelihood itself.
    """
    mean, values, vectors, rest = _components(U, k, weights)
    n, d = U.shape
    common = max(rest / max(d - k, 1), floor)
    W = vectors.T * np.sqrt(np.maximum(values - common, 0))
    own = np.maximum(moments(U, weights)[1] - np.square(W).sum(axis=1), 0) * n / max(n - k - 1, 1)
    variance = np.maximum((1 - share) * own + share * common, floor)
    _, turn = np.linalg.eigh(W.T @ (W / variance[:, np.newaxis]))
    return mean, W @ turn[:, ::-1], variance


def log_likelihood(U, mean, W, variance):
    """log N(u; mean, W W' + diag variance) of each row, in nats."""
    weighted = W / variance[:, np.newaxis]
    root = np.linalg.cholesky(np.eye(W.shape[1]) + W.T @ weighted)
    rest = U - mean
    explained = np.linalg.solve(root, (rest @ weighted).T)
    log_det = np.log(variance).sum() + 2 * np.log(np.diag(root)).sum()
    squares = (rest**2 / variance).sum(axis=1) - (explained**2).sum(axis=0)
    return -0.5 * (squares + log_det + U.shape[1] * np.log(2 * np.pi))


def most_likely(candidates, fit, log_likelihood, U, weights=None):
    """The last candidate under which rows held out are as likely, within one standard error, as under the best.

    ``fit(U, candidate, weights)`` gives the arguments of ``log_likelihood(U, ...)``, of each row. Rows are held out
    fold by fold; of many rows one fold is. Where they are too few for that it is the last candidate.
    """
    if len(U) < 10:
        return candidates[-1]
    folds = list(KFold(5, shuffle=True, random_state=0).split(U))[: 5 if len(U) <= 5000 else 1]
    found = np.empty((len(candidates), len(U)))
    for train, test in folds:
        of_train = None if weights is None else weights[train]
        for each, candidate in zip(found, candidates, strict=True):
            each[test] = log_likelihood(U[test], *fit(U[train], candidate, of_train))
    tested = np.concatenate([test for _, test in folds])
    found, weights = found[:, tested], None if weights is None else weights[tested]
    behind = found[np.argmax(np.average(found, axis=1, weights=weights))] - found
    enough = [np.average(each, weights=weights) <= standard_error(each, weights, ddof=0) for each in behind]
    return candidates[np.flatnonzero(enough)[-1]]


def ppca_start(U, k, floor, weights=None):
    """Both ``LinearPlus`` of a VAE, by the share under which rows held out are most likely."""
    share = most_likely(SHARES, lambda U, share, w: factors(U, k, share, floor, w), log_likelihood, U, weights)
    mean, W, variance = factors(U, k, share, floor, weights)
    weighted = W / variance[:, np.newaxis]
    posterior = 1 / (1 + (W * weighted).sum(axis=0))
    to_code = weighted.T * posterior[:, np.newaxis]
    log_variances = [
        unbounded(torch.from_numpy(np.log(values)), least).numpy()
        for values, least in ((posterior, STARTED_FLOOR), (variance, floor))
    ]
    k, d = to_code.shape
    length = np.linalg.norm(W, axis=0)
    return {"code_scale": np.where(length > 0, length, 1.0)} | _buffers(
        {
            "weight": np.concatenate([to_code, np.zeros((k, d))]),
            "bias": np.concatenate([-to_code @ mean, log_variances[0]]),
            "scale": np.concatenate([np.sqrt(posterior), np.ones(k)]),
        },
        {
            "weight": np.concatenate([W, np.zeros((d, k))]),
            "bias": np.concatenate([mean, log_variances[1]]),
            "scale": np.concatenate([np.sqrt(variance), np.full(d, LOG_VARIANCE_SCALE)]),
        },
    )
