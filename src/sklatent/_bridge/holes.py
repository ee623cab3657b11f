"""What is learned of rows with holes before any training: Gaussians that say what is missing.

Of several candidates, from the means by way of one Gaussian to a mixture, the one that best fills in values that were
hidden from it is taken.
"""

import math
import warnings

import numpy as np
import torch
from sklearn import config_context
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from .._nn.gaussians import Gaussians
from .._nn.scaling import Affine
from .devices import generator, to_device
from .inference import apply
from .rows import chunks, drawn, value_range
from .weights import times

MOST_ROWS, MOST_RANK = 2000, 32
MOST_NUMBERS, MOST_OF_MIXTURE = 2**23, 2**21  # rows times rank times features of one step of EM
NUMBERS_DRAWN = 2**14  # at a time, in blocks of rows that each draw their own: what comes of a seed depends on it
MOST_FEATURES = 512  # of EM; of more, what is missing counts as the mean while the Gaussian is learned
FLOOR = 1e-3  # of a variance, in scaled units
STEPS, STEPS_OF_MIXTURE = 12, 6  # of EM, at most; with twice as many what is filled in was no better
SHARES, SIZES = (1.0, 0.3, 0.1, 0.0), (3, 6)  # the diagonal's of one Gaussian's covariance; components of a mixture
MOST_SQUARE = 9.0  # that one value counts for, in scaled units: else the few that are far out choose
FEWEST_IN_GROUP = 2  # rows for each feature: a few outliers are no component, to which what is missing could belong
HIDDEN, SEED = 0.2, 20_261_126  # of what is there, to choose by; by a seed that no one has made the holes with


def has_holes(X):
    """Whether any value of X is missing; a tensor that came so far has none missing."""
    return not isinstance(X, torch.Tensor) and X.dtype.kind == "f" and any(np.isnan(chunk).any() for chunk in chunks(X))


def check_columns(X, names=None):
    """Raise if a feature is missing in every row."""
    empty = np.flatnonzero(np.isnan(value_range(X)[0])) if has_holes(X) else ()
    if len(empty):
        told = ", ".join(repr(names[i]) if names is not None else str(i) for i in empty[:5])
        raise ValueError(
            f"Feature {told}{', ...' if len(empty) > 5 else ''} of X is NaN in every row: there is nothing to learn it "
            "from. Leave it out."
        )


def filled(net, X):
    """X, what is missing replaced by its mean given the rest of its row; X itself where nothing is missing."""
    if not has_holes(X):
        return X
    seen, module = ~np.isnan(X), net.module_
    rows, completed = ~seen.all(axis=1), X.copy()
    completed[rows] = apply(net, module.filled, X[rows], seen[rows])
    return completed


def with_draws(net, X, n_draws, seed):
    """``n_draws`` copies of X, one after the other, in which what is missing is drawn given the rest of its row."""
    seen, module, device = ~np.isnan(X), net.module_, torch.device(net.device)
    random, size, parts = (
        generator(seed, device),
        int(2 ** np.clip(round(math.log2(NUMBERS_DRAWN / X.shape[1])), 4, 8)),
        [],
    )
    with torch.inference_mode():
        for start in range(0, len(X), size):
            x, there = (to_device(torch.from_numpy(np.array(each[start : start + size])), device) for each in (X, seen))
            noise = module.holes.noise(n_draws, len(x), random)
            parts.append(module.filled(x, there, noise).cpu().numpy())
    return np.concatenate(parts, axis=1).reshape(-1, X.shape[1])


def learn_holes(X, shift, scale, weights=None):
    """The Gaussians of rows of X, scaled."""
    n_features = X.shape[1]
    rank = min(n_features - 1, MOST_RANK)
    most = min(MOST_ROWS, MOST_NUMBERS // max(1, rank * n_features))
    rows, weights = drawn(X, most), drawn(weights, most)
    if weights is not None:
        rows = np.repeat(rows, times(weights, len(rows)), axis=0)
    rows = rows.astype(np.float64)
    rows -= shift
    rows /= scale
    U = torch.from_numpy(rows)
    seen = ~U.isnan()
    U[~seen] = 0
    gaussians = _one(U, seen, rank)
    if not seen.all():
        share, size = _chosen(U, seen, rank)
        gaussians = _mixture(gaussians, U, seen, size) if size > 1 else _shrunk(gaussians, share)
    return gaussians


def of_mixture(weights, means, covariances):
    """The Gaussians of a mixture, of arrays (K,), (K, d), (K, d, d)."""
    n_components, n_features = means.shape
    gaussians = Gaussians(n_features, n_components, min(n_features - 1, MOST_RANK))
    return gaussians.set(*map(torch.from_numpy, (weights, means, covariances)), FLOOR / 10)


def with_scaled_draws(gaussians, U):
    """Scaled rows, (n, d), what is missing drawn given the rest."""
    u, seen = torch.from_numpy(U).double(), torch.from_numpy(~np.isnan(U))
    return gaussians.draw(u, seen, gaussians.noise(1, len(U), generator(0, u.device)))[0].numpy()


def described(gaussians):
    """What to make ``Gaussians`` of, and its buffers, as ``_learn`` gives them."""
    n_components, _, rank = gaussians.factor.shape
    buffers = {f"holes.{name}": value.numpy() for name, value in gaussians.state_dict().items()}
    return {"holes": {"n_components": n_components, "rank": rank}}, buffers


def _one(U, seen, rank):
    """One Gaussian: PCA of the rows, then EM if some of it is missing."""
    n, d = U.shape
    mean = U.sum(0) / seen.sum(0).clamp(min=1)
    filled = (U if seen.all() else torch.where(seen, U, mean)).numpy()
    values, vectors = np.zeros(rank), np.zeros((rank, d))
    if rank and n > 1:
        with config_context(array_api_dispatch=False):
            pca = PCA(min(rank, n, d), random_state=0).fit(filled)
        values[: pca.n_components_], vectors[: pca.n_components_] = pca.explained_variance_, pca.components_
    variance = filled.var(axis=0)
    rest = max((variance.sum() - values.sum()) / (d - rank), FLOOR)
    factor = vectors.T * np.sqrt(np.maximum(values - rest, 0))
    one = Gaussians(d, 1, rank)
    one.mean.copy_(mean)
    one.factor.copy_(torch.from_numpy(factor))
    one.variance.copy_(torch.from_numpy(np.maximum(variance - np.square(factor).sum(axis=1), FLOOR)))
    return one if seen.all() or d > MOST_FEATURES else one.em(U, seen, FLOOR, STEPS)


def _shrunk(one, share):
    """The Gaussian with its covariance a share of the way to its diagonal."""
    factor, variance = one.factor, one.variance + share * one.factor.square().sum(2)
    shrunk = Gaussians(*factor.shape[1::-1], factor.shape[2])
    shrunk.load_state_dict({**one.state_dict(), "factor": (1 - share) ** 0.5 * factor, "variance": variance})
    return shrunk


def _mixture(one, U, seen, size):
    """A mixture by EM, from clusters of the rows as one Gaussian fills them."""
    filled, d = one.expected(U, seen), U.shape[1]
    covariance = one.factor[0] @ one.factor[0].T + one.variance[0].diag()
    with config_context(array_api_dispatch=False), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of rows that repeat
        labels = torch.from_numpy(KMeans(size, n_init=1, random_state=0).fit_predict(filled.numpy()))
    groups = [rows for k in labels.unique() if len(rows := filled[labels == k]) >= FEWEST_IN_GROUP * d] or [filled]
    means = torch.stack([rows.mean(0) for rows in groups])
    scatters = [(rows - rows.mean(0)).T @ (rows - rows.mean(0)) + d * covariance for rows in groups]
    covariances = torch.stack([scatter / (len(rows) + d) for scatter, rows in zip(scatters, groups, strict=True)])
    mixture = Gaussians(d, len(groups), one.factor.shape[2])
    mixture.set(torch.tensor([len(rows) for rows in groups]).double(), means, covariances, FLOOR)
    return mixture.em(U, seen, FLOOR, STEPS_OF_MIXTURE)


def _chosen(U, seen, rank):
    """The share and the size that tell what is hidden from them."""
    hidden = seen & torch.from_numpy(np.random.default_rng(SEED).random(tuple(U.shape)) < HIDDEN)
    seen = seen & ~hidden
    one = _one(U, seen, rank)
    candidates = {(share, 1): _shrunk(one, share) for share in SHARES}
    if U.numel() * rank <= MOST_OF_MIXTURE and len(U) >= 4 * max(SIZES):
        candidates |= {(0.0, size): _mixture(one, U, seen, size) for size in SIZES}
    ends = Affine(U.shape[1])
    ends.lower, ends.upper = U.where(seen, torch.inf).amin(0), U.where(seen, -torch.inf).amax(0)
    if not hidden.any():
        return 0.0, 1

    def error(key):
        squares = (ends.near(candidates[key].expected(U, seen)) - U).square()[hidden]
        return squares.clamp(max=MOST_SQUARE).mean().item()

    return min(candidates, key=error)
