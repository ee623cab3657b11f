"""What an image tells beside its likelihood: how rough it is, and whether its mirror images are likelier.

Nothing here is learned; a mixture over the numbers learns which are usual.
"""

import numpy as np
from sklearn.utils import check_array, gen_batches

FINEST = 0.01  # of a grey level: the floor under what is taken a logarithm of
CHUNK = 2**20  # pixels that are looked at at once


def roughness(X, image_shape, level):
    r"""Logarithms of the moments of differences between neighbouring pixels: low in what is blurred, high in noise.

    .. math:: \log (\epsilon + (E |D x|^k)^{1/k}), \quad k = 1, 2, 4,

    the mean over all pixels and channels, D the first differences along rows and columns, the second ones along each,
    and the mixed one. Ratios of the three moments say how sparse the edges are, which in natural images hardly varies
    (D. L. Ruderman, "The statistics of natural images", 1994). ``level`` is the distance of two grey levels.

    (n, d) -> (n, 15), less where a side has too few pixels.
    """
    X = check_array(X)
    parts = [_moments(X[rows], image_shape) for rows in gen_batches(len(X), max(1, CHUNK // X.shape[1]))]
    return np.log(FINEST * level + np.concatenate(parts))


def _moments(X, image_shape):
    maps = X.astype(np.float64).reshape(len(X), *image_shape)
    across, down = np.diff(maps, axis=3), np.diff(maps, axis=2)
    both = [across, down, np.diff(across, axis=3), np.diff(down, axis=2), np.diff(across, axis=2)]
    squares = [np.square(part).reshape(len(X), -1) for part in both if part.size]
    moments = [(np.sqrt(s).mean(1), np.sqrt(s.mean(1)), np.sqrt(np.sqrt((s * s).mean(1)))) for s in squares]
    return np.reshape(moments, (3 * len(squares), len(X))).T


def uprightness(own, log_prob, X, image_shape):
    r"""Log-probability that x, not a mirror image of it, is the one that was drawn, if both were as likely before.

    .. math:: -\log (1 + p(M x) / p(x)), \quad M x \text{ upside down, or left to right},

    with the density's own p: near 0 if x is the way that images are, -log 2 if it is symmetric, far below if it
    is turned. ``own`` is log p of the rows X, ``log_prob`` a function that gives it of others.

    (n, d) -> (n, 2); -inf where log p(x) is.
    """
    with np.errstate(invalid="ignore"):
        odds = [log_prob(turned) - own for turned in mirrored(X, image_shape)]
        return np.where(own == -np.inf, own, -np.logaddexp(0, odds)).T


def mirrored(X, image_shape):
    """X upside down, and left to right: rows of the dtype, and with the column names, that X has."""
    pixels = np.arange(X.shape[1]).reshape(image_shape)
    for axis in (1, 2):
        order = np.flip(pixels, axis).ravel()
        if hasattr(X, "iloc"):
            yield type(X)(X.to_numpy()[:, order], columns=X.columns, index=X.index)
        else:
            yield X[:, order]
