"""What is learned from the rows before any training: image shape, scaling, levels.

Statistics are gathered in chunks, so that a memmap is never in memory as a whole and uint8 rows stay uint8.
"""

import math
from numbers import Integral

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from .._nn.series import is_series
from .state import warn

MAX_LEVELS = 256  # of whole-numbered data and of images; more are binned
TABLE_LEVELS = 32  # bins of a real-valued table
ROWS_FOR_ROUNDING = 20_000  # at most
ROWS_TO_START = 20_000  # at most, from which a linear model is found
FEWEST_STEPS = 32  # of rounding, between which a feature says something


def check_image_shape(image_shape, n_features):
    """``(height, width)`` or ``(channels, height, width)`` -> ``(channels, height, width)``; None stays None."""
    if image_shape is None:
        return None
    shape = tuple(image_shape)
    if len(shape) not in (2, 3) or not all(isinstance(n, Integral) and n > 0 for n in shape):
        raise ValueError(
            f"image_shape={image_shape!r} must be (height, width) or (channels, height, width), positive integers."
        )
    if math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape} needs {math.prod(shape)} features, but X has {n_features}. Pass the "
            "(channels, height, width) that the rows were flattened from."
        )
    shape = tuple(int(n) for n in (shape if len(shape) == 3 else (1, *shape)))
    if shape[1:] == (1, 1):
        raise ValueError(
            f"image_shape={image_shape} is a series of one step: nothing comes before or after it. Pass (channels, 1, "
            "n_steps) with n_steps of 2 or more, or image_shape=None for a table."
        )
    if shape[2] in (3, 4) and min(shape[:2]) > 4:
        warn(
            f"image_shape={image_shape} means {shape[0]} channels of {shape[1]} x {shape[2]} pixels. If the images are "
            f"{shape[0]} x {shape[1]} pixels of {shape[2]} channels, flatten them channel first, "
            f"images.transpose(0, 3, 1, 2).reshape(len(images), -1), and pass {(shape[2], *shape[:2])}."
        )
    return shape


def n_scales(image_shape):
    """How many runs of features have a scale in common: the pixels of an image one, a series one for each channel.

    0, of a table: there each feature has its own. The sensors of a series have units of their own.
    """
    if image_shape is None:
        return 0
    return image_shape[0] if is_series(image_shape) else 1


def detached(X):
    """A tensor as an array of its dtype, without the gradients, which end there; what else X may be, as it is."""
    if not isinstance(X, torch.Tensor):
        return X
    X = X.detach().cpu()
    return (X.float() if X.dtype == torch.bfloat16 else X).numpy()  # numpy has no bfloat16


def tell_of_rounding(X, given, names=None):
    """Warn of features of which rounding to float32, or less, has left next to nothing.

    ``given`` is what X was made from. The spread is that of some rows, which cost no pass over all; where the others
    have a few that are far away, the rest still says nothing.
    """
    dtype = np.dtype(np.float16) if getattr(given, "dtype", None) == np.float16 else X.dtype
    if dtype.kind != "f" or dtype.itemsize > 4:
        return
    low, high = value_range(X[:: math.ceil(len(X) / ROWS_FOR_ROUNDING)])
    step = np.spacing(np.maximum(np.abs(low), np.abs(high)).astype(dtype)).astype(np.float64)
    spread = high - low
    coarse = np.flatnonzero((spread > 0) & (spread < FEWEST_STEPS * step))
    if len(coarse):
        told = ", ".join(repr(names[i]) if names is not None else str(i) for i in coarse[:5])
        i = coarse[0]
        warn(
            f"X is {dtype}, which rounds large values: feature {told}{', ...' if len(coarse) > 5 else ''} "
            f"has next to no signal left (the first comes in steps of {step[i]:g}, and spans {spread[i]:g}). Pass "
            "float64, or subtract the feature's minimum before the cast."
        )


def _slices(X):
    return gen_batches(len(X), max(1, 2**22 // X.shape[1]))


def chunks(X):
    for chunk in _slices(X):
        yield X[chunk]


def value_range(X):
    """Smallest and largest value of each feature, float64; what is missing is left out."""
    ends = ((np.fmin.reduce(chunk, axis=0), np.fmax.reduce(chunk, axis=0)) for chunk in chunks(X))
    lows, highs = zip(*ends, strict=True)
    return np.fmin.reduce(lows, axis=0).astype(np.float64), np.fmax.reduce(highs, axis=0).astype(np.float64)


def _moments(X, weights):
    """Mean and variance of each feature, float64; what is missing is left out."""
    scaler = StandardScaler()
    for chunk in _slices(X):
        scaler.partial_fit(X[chunk], sample_weight=None if weights is None else weights[chunk])
    return scaler.mean_, scaler.var_


def _pooled(reduce, values, shared):
    """Of each feature what ``reduce`` makes of its run, of which there are ``shared``, equally long; 0: its own."""
    runs = values.reshape(int(shared) or len(values), -1)
    return np.repeat(reduce(runs, axis=1), runs.shape[1])


def _buffers(prefix, n_features, **values):
    """Values of the buffers of the scaling module ``prefix``, by their names, one for each feature."""
    return {f"{prefix}.{name}": np.broadcast_to(value, n_features).copy() for name, value in values.items()}


def learn_affine(X, prefix, weights=None, *, onto="standard", shared=False):
    """The buffers of an ``Affine``: to zero mean and unit variance (``"standard"``), or into [0, 1] (``"unit"``).

    ``shared``: how many runs of features have one shift and one scale, see ``n_scales``; True is one run of all.
    """
    low, high = value_range(X)
    least, most = _pooled(np.min, low, shared), _pooled(np.max, high, shared)
    if onto == "standard":
        shift, variance = _moments(X, weights)
        variance = _pooled(np.mean, variance, shared) + _pooled(np.var, shift, shared)
        shift = _pooled(np.mean, shift, shared)
        scale = np.sqrt(np.maximum(variance, 0))
    elif low.min() >= 0 and high.max() <= 1:  # as it is: 0 and 1 stay 0 and 1, whatever the rows of fit hold
        shift, scale = 0.0, 1.0
    else:
        shift, scale = least, most - least
    if not np.all(np.isfinite(scale)):
        raise ValueError("The variance of X overflows: it holds values beyond about 1e150. Rescale X first.")
    tiny = 10 * np.finfo(np.float64).eps * np.maximum(np.abs(least), np.abs(most))  # nothing but rounding
    scale = np.where(np.minimum(scale, most - least) > tiny, scale, 1.0)  # a range is exact, as a variance is not
    lower, upper = (low - shift) / scale, (high - shift) / scale
    return _buffers(prefix, X.shape[1], shift=shift, scale=scale, lower=lower, upper=upper)


def drawn(X, most=ROWS_TO_START):
    """Rows of X, up to ``most`` of them, drawn at random; the same of the weights of X, or None of None."""
    return X if X is None or len(X) <= most else X[np.sort(np.random.RandomState(0).permutation(len(X))[:most])]


def scaled(X, affine):
    """Those ``drawn`` of the rows of X, as an ``Affine`` scales them, in float64."""
    shift, scale = (buffer.cpu().double().numpy() for buffer in (affine.shift, affine.scale))
    rows = drawn(X).astype(np.float64)
    rows -= shift
    rows /= scale
    return rows


def whole_pixels(X, image_shape):
    """Whether rows are images of whole numbers, which have a range of their own; the next count may be higher."""
    return image_shape is not None and not is_series(image_shape) and is_whole(X)


def is_whole(X):
    """Whether all values are whole numbers, but for what is missing."""
    if isinstance(X, torch.Tensor):
        return not X.is_floating_point() or bool((X.round() == X).all())
    return X.dtype.kind in "iub" or all(np.array_equal(chunk, np.rint(chunk), equal_nan=True) for chunk in chunks(X))


def check_whole(X, name):
    """Raise if X holds anything but whole numbers, which are all that the estimator ``name`` was fitted on."""
    if not is_whole(X):
        X = detached(X)
        other = X[(np.rint(X) != X) & ~np.isnan(X)]
        raise ValueError(
            f"This {name} was fitted on whole numbers, but X holds others, such as {float(other[0])!r}. "
            "Round X, or fit on real values."
        )


def n_whole_levels(X):
    """How many levels whole-numbered rows span, in the feature of the widest range; None for real values."""
    low, high = value_range(X)
    if max(-low.min(), high.max()) >= 2**31 or not is_whole(X):
        return None
    return int((high - low).max()) + 1


def learn_levels(X, n_levels, *, shared):
    """The bins of X: what to make a ``Levels`` of, see there, and its buffers; ``shared`` as in ``learn_affine``."""
    whole = n_whole_levels(X) is not None
    low, high = value_range(X)
    low, high = _pooled(np.min, low, shared), _pooled(np.max, high, shared)
    if not whole:
        n_levels = n_levels or (MAX_LEVELS if shared else TABLE_LEVELS)
        span = np.where(high > low, high - low, np.maximum(1.0, 1e-6 * np.abs(low)))  # 1 is less than rounding of 1e17
        margin = 1e-5 * span  # rounding to float32 must not push the extremes out of the range
        low, high = low - margin, low + span + margin
        width = (high - low) / n_levels
    elif n_levels is not None and low.min() >= 0 and high.max() < n_levels:
        low, high, width = np.zeros_like(low), np.full_like(high, n_levels - 1), np.ones_like(low)
    else:
        span = high - low + 1
        width = np.ceil(span / (n_levels or MAX_LEVELS))
        counts = np.ceil(span / width)
        n_levels, high = int(counts.max()), low + width * counts - 1
    ragged = whole and bool(((high - low + 1) / width < n_levels).any())
    decided = {"n_levels": n_levels, "whole": whole, "ragged": ragged}
    return decided, _buffers("levels", X.shape[1], lower=low, width=width, upper=high)
