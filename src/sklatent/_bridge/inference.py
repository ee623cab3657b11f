"""Rows through a fitted net: in batches of fixed shapes, so that a row's result does not depend on its neighbours."""

import math

import numpy as np
import torch
from torch.nn.modules.conv import _ConvNd

from .._nn.layers import widest
from .devices import OUT_OF_MEMORY, generator, place, to_device
from .state import warn

FEW = 4  # rows of a batch on the CPU: fewer, and torch takes other kernels, of other bits
FEW_OF_STEPS = 16  # the same, of convolutions by steps of one
SIZES = (256, 64, 16)  # where rows are fewer, or the largest gives other bits
COMPARED = 16  # small batches
AS_IN_NUMPY = {torch.float64, torch.float32, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


def batch_sizes(net, n_features):
    """Rows of a batch where few come and where many do: fixed for a net.

    On the CPU many are few enough to stay in the cache, with what convolutions make of them. Elsewhere there is one
    size: what a device computes does depend on it, but hardly the time that it takes for a few rows.
    """
    if torch.device(net.device).type == "cpu":
        convolutions = [module for module in net.module_.modules() if isinstance(module, _ConvNd)]
        few = FEW_OF_STEPS if any(set(each.stride) == {1} for each in convolutions) else FEW
        budget, most = (2**14, 8) if convolutions else (2**18, 10)
        return few, int(2 ** np.clip(round(math.log2(budget / n_features)), 6, most))
    many = int(2 ** np.clip(round(math.log2(2**20 / n_features)), 4, 12))
    return many, many


def apply(net, function, X, *beside, n_features=None, dtype=None, n_rows=None):
    """``function`` of the rows of X, and of the arrays beside it, batch by batch.

    Batches are padded to one shape, and larger ones are used where more rows come and some of them were seen to give
    the same in either: so a row's result does not depend, not even in the last bit, on how many rows come with it.
    ``n_features`` is the width of the rows that memory is for; None is that of X. ``n_rows`` is a size to keep to: what
    takes gradients differs in too few rows to be seen. The result is a numpy array, or a tensor on the
    device of X where that is one; of ``dtype``, if there is one.
    """
    few, many = batch_sizes(net, n_features or X.shape[1])
    net.module_.eval()
    with torch.inference_mode():
        n_rows = n_rows or _largest(net, function, (X, *beside), few, many)
        try:
            found = _in_batches(net, function, (X, *beside), n_rows)
        except OUT_OF_MEMORY:
            if n_rows == 1:
                raise
            warn(f"Out of memory with {n_rows} rows at a time, so {n_rows // 2} are taken: the last bits may differ.")
            found = _in_batches(net, function, (X, *beside), n_rows // 2)
    found = found if dtype is None else found.to(min(dtype, widest(found.device), key=lambda each: each.itemsize))
    return found if isinstance(X, torch.Tensor) else found.numpy()


def _largest(net, function, arrays, few, many):
    """The largest size of a batch, of which there are two or more, that gives some rows what ``few`` at a time do."""
    n = len(arrays[0])
    for size in sorted({many, *SIZES}, reverse=True):
        if few < size <= min(many, n // 2):
            some = np.linspace(0, n - 1, size).astype(np.int64)  # compared in small batches from all over the large one
            small = np.unique(np.linspace(0, size // few - 1, COMPARED).astype(np.int64))
            places = (few * small[:, None] + np.arange(few)).ravel()
            expected = _in_batches(net, function, [array[some[places]] for array in arrays], few)
            if torch.equal(_in_batches(net, function, [array[some] for array in arrays], size)[places], expected):
                return size
    return few


def _in_batches(net, function, arrays, n_rows):
    device, parts, n = torch.device(net.device), [], len(arrays[0])
    home = arrays[0].device if isinstance(arrays[0], torch.Tensor) else "cpu"
    for start in range(0, n, n_rows):
        batches = [_padded(array[start : start + n_rows], n_rows) for array in arrays]
        found = function(*(to_device(batch, device) for batch in batches))
        parts.append(found[: n - start].to(home))
    return torch.cat(parts)


def _padded(rows, n_rows):
    rows = rows.contiguous() if isinstance(rows, torch.Tensor) else torch.from_numpy(np.array(rows, order="C"))
    return rows if len(rows) == n_rows else torch.cat([rows, rows[-1:].expand(n_rows - len(rows), *rows.shape[1:])])


def as_given(found, X):
    """What was found in numpy, as a tensor on the device of X where that is one."""
    return place(torch.from_numpy(found), X.device) if isinstance(X, torch.Tensor) else found


def _rows_to_draw(n_features):
    return int(np.clip(2**20 // n_features, 1, 2**13))


def complete(net, X, missing, n_proposals, seed):
    """``module.complete`` for rows of X in batches that fit into memory: the rows, and their effective proposals."""
    device = torch.device(net.device)
    random = generator(seed, device)
    chunk = _rows_to_draw(X.shape[1])
    known = np.where(missing, 0, X)
    parts = []
    net.module_.eval()
    with torch.inference_mode():
        for start in range(0, len(X), chunk):
            rows, gaps = (to_device(torch.from_numpy(a[start : start + chunk]), device) for a in (known, missing))
            drawn = net.module_.complete(rows, ~gaps, n_proposals, random)
            parts.append([part.cpu().numpy() for part in drawn])
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def draw(net, n_samples, n_features, seed, **options):
    """``module.sample`` in batches that fit into memory; shape (n_samples, n_features), float64."""
    device = torch.device(net.device)
    random = generator(seed, device)
    chunk = _rows_to_draw(n_features)
    net.module_.eval()
    with torch.inference_mode():
        sizes = [min(chunk, n_samples - start) for start in range(0, n_samples, chunk)]
        parts = [net.module_.sample(size, random, **options).cpu().numpy() for size in sizes]
    return np.concatenate(parts).astype(np.float64) if parts else np.empty((0, n_features))
