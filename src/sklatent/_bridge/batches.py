"""Rows of an array as torch takes them, a batch at a time."""

import copy
import math
import mmap
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.utils import gen_batches

from .devices import free_memory, place
from .distributed import ALONE
from .weights import copies

SHARE = 0.5  # of the free memory of a device, for rows that stay there
PLACED = 10_000  # rows at a time


def check_given(X):
    """Raise where rows come in batches, which no pass before training could look at, or where their file is cut short.

    Pages beyond the end of a file that shrinks later end the process, by SIGBUS: no error could be raised there.
    """
    if isinstance(X, torch.utils.data.Dataset | torch.utils.data.DataLoader | Iterator):
        raise TypeError(
            f"X is a {type(X).__name__}, but must be one array of shape (n_samples, n_features): scale and start are "
            "learned from all rows. Rows larger than memory can stay in a file: fit(np.load('X.npy', mmap_mode='r')). "
            "Batches are for partial_fit: for X in batches: estimator.partial_fit(X)."
        )
    mapped = X
    while isinstance(mapped, np.ndarray) and not isinstance(mapped.base, mmap.mmap):
        mapped = mapped.base
    if isinstance(mapped, np.memmap) and mapped.filename is not None:
        start = mapped.offset - mapped.offset % mmap.ALLOCATIONGRANULARITY
        there, needed = mapped.base.size(), start + len(mapped.base)
        if there < needed:
            raise ValueError(
                f"X is mapped from {str(mapped.filename)!r}, which has been cut to {there} bytes since, of {needed}. "
                "Write the file anew, and load it after that."
            )


class Rows(torch.utils.data.Dataset):
    """Rows of an array, or some of them, in the array's own dtype; only what is asked for is copied.

    ``index`` may name a row more than once. ``targets``, one row for each row of X, are for modules whose ``forward``
    takes them. ``weights`` of the rows of X are those of their losses, with a mean of 1 over the rows of the index; of
    few rows, whole ones name a row so often. X may hold ``n_draws`` versions of all rows, one after the other; of a row
    then any is given.
    """

    def __init__(self, X, index=None, targets=None, weights=None, n_draws=1):
        self.X, self.targets, self.weights, self.n_draws = X, targets, None, n_draws
        self.index = np.arange(len(X) // n_draws) if index is None else index
        if (counts := copies(weights)) is not None:
            self.index = np.repeat(self.index, counts[self.index])
        elif weights is not None:
            self.weights = (weights / weights[self.index].mean()).astype(np.float32)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, i):
        """One row, or an array of rows, as skorch's pair of data and target, with weights (target, weight)."""
        rows, drawn = self.index[i], 0
        if self.n_draws > 1:
            drawn = len(self.X) // self.n_draws * torch.randint(self.n_draws, np.shape(rows)).numpy()
        x, target, weight = (
            None if each is None else torch.as_tensor(each[some])
            for each, some in ((self.X, rows + drawn), (self.targets, rows), (self.weights, rows))
        )
        return x, target if weight is None else (target, weight)

    def on(self, device):
        """The same rows on a device, where they take but ``SHARE`` of its memory that is free; else themselves."""
        arrays = [each for each in (self.X, self.targets, self.weights) if each is not None]
        size = len(self) * sum(each[:1].nbytes for each in arrays)
        if device.type == "cpu" or self.n_draws > 1 or size > SHARE * free_memory(device):
            return self
        placed = copy.copy(self)
        for name in ("X", "targets", "weights"):
            setattr(placed, name, _placed(getattr(self, name), self.index, device))
        placed.index = torch.arange(len(self), device=device)
        return placed

    def ordered(self, order):
        """Places among these rows, a tensor, as they can be asked for."""
        return order.to(self.index.device) if isinstance(self.index, torch.Tensor) else order.numpy()


def _placed(array, index, device):
    if array is None:
        return None
    placed = None
    for some in gen_batches(len(index), PLACED):
        part = place(torch.from_numpy(np.array(array[index[some]])), device)
        if placed is None:
            placed = part.new_empty(len(index), *part.shape[1:])  # once: parts and their sum would take twice the room
        placed[some] = part
    return placed


class Batches:
    """What a DataLoader does in one process, without its cost for each row and batch.

    Of ``ranks`` that train together each gets its share of every batch.
    """

    ranks = ALONE

    def __init__(self, rows, batch_size, shuffle=False):
        self.rows, self.batch_size, self.shuffle = rows, batch_size, shuffle

    def __len__(self):
        return math.ceil(len(self.rows) / self.batch_size)

    def __iter__(self):
        n = len(self.rows)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)  # at once: its noise is each rank's own
        order = self.rows.ordered(order)
        batches = (order[start : start + self.batch_size] for start in range(0, n, self.batch_size))
        shares = (self.ranks.share(batch, self.shuffle) for batch in batches)
        return (self.rows[share] for share in shares if len(share))

    def n_counted(self, i, n_rows):
        """How many of its rows of batch ``i`` this rank counts."""
        of_all = self.shuffle and len(self.rows) - i * self.batch_size < self.ranks.n  # too few to be shared
        return 0 if of_all and self.ranks.rank else n_rows
