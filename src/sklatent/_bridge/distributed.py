"""Several processes that train one net together, each on its share of every batch.

Who starts them (torchrun, accelerate, Ray Train, Spark) says by RANK, WORLD_SIZE and MASTER_ADDR which each of them is;
accelerate makes the connection that suits their devices. What is exchanged in a step is the gradient, averaged over
rows, and nothing is wrapped: weights keep their names, the model's ``forward``, ``held_out_loss`` and pickle are what
they are in one process, and what a net is like does not depend on how many have trained it.
"""

import atexit
import contextlib
import multiprocessing
import os

import numpy as np
import torch
import torch.distributed as dist

_forked = False  # from a process that had joined: its connections are not the child's
_parted = False  # by a failure


def _after_fork():
    global _forked
    _forked = dist.is_available() and dist.is_initialized()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def several():
    """Whether this process is one of several that train together.

    The workers that it starts itself, for a search or a loader, inherit its environment, but are none of them.
    """
    if _forked or not dist.is_available():
        return False
    if dist.is_initialized():
        return dist.get_world_size() > 1
    return int(os.environ.get("WORLD_SIZE", 1)) > 1 and multiprocessing.parent_process() is None


def is_first():
    """Whether this process speaks for all: prints, warns and writes."""
    return not several() or int(dist.get_rank() if dist.is_initialized() else os.environ.get("RANK", 0)) == 0


def join():
    """The ``Ranks`` of this process, connected with the others; all of them call this."""
    if not several():
        return Ranks()
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ImportError(
            f"This is one of WORLD_SIZE={os.environ.get('WORLD_SIZE')} processes, which train one net together by "
            "accelerate: pip install 'sklatent[accelerate]'. To train alone set os.environ['WORLD_SIZE'] = '1' before."
        ) from error
    cuda = torch.cuda.is_available()
    if _parted:
        raise RuntimeError("The processes have parted after a fit failed in one of them. Start all of them again.")
    if not dist.is_initialized():
        atexit.register(_leave)  # or the threads of a connection that is still open abort the interpreter at its end
    with _told("could not be reached"):
        PartialState(**({"backend": "cuda:nccl,cpu:gloo"} if cuda else {"cpu": True}))
    if not dist.is_initialized():
        raise RuntimeError(
            f"This is one of WORLD_SIZE={os.environ.get('WORLD_SIZE')} processes, but accelerate was told before that "
            "it is alone. Leave out the Accelerator, or make it by Accelerator(cpu=True)."
        )
    return Ranks(dist.get_rank(), dist.get_world_size())


def _leave():
    if dist.is_initialized():
        dist.destroy_process_group()


def _part():
    global _parted
    _parted = True
    _leave()


@contextlib.contextmanager
def _told(what):
    try:
        yield
    except RuntimeError as error:
        raise RuntimeError(
            f"Another of the processes that train together {what}; what this one had learned in this fit is dropped. "
            f"The other's own error says why, if it had the time: {error}"
        ) from error


class Ranks:
    """The processes that train together, and which of them this is. Alone there is nothing to share or to agree on."""

    def __init__(self, rank=0, n=1):
        self.rank, self.n, self._message = rank, n, ()

    def from_first(self, value):
        """What the first of them has."""
        if self.n == 1:
            return value
        box = [value]
        with _told("has failed"):
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def check_alike(self, identity, differences):
        """Raise ValueError, in each of them, if not all are about to do the same training."""
        if self.n == 1:
            return
        all_of_them = [None] * self.n
        with _told("has failed"):
            dist.all_gather_object(all_of_them, identity)
        others = [rank for rank in range(self.n) if all_of_them[rank] != all_of_them[0]]
        if others:
            told = differences(all_of_them[0], all_of_them[others[0]], "on rank 0", f"on rank {others[0]}")
            raise ValueError(
                f"The {self.n} processes must all call fit with the same rows and parameters, and each trains on its "
                f"share of every batch. But {'; '.join(told) or 'they start from other weights or in another order'}."
            )

    # -- a step ----------------------------------------------------------------------------------------------------

    def share(self, batch, training):
        """This rank's part of a batch. One that is too small to be shared is trained on by each, to the same end."""
        if self.n == 1 or (training and len(batch) < self.n):
            return batch
        split = torch.tensor_split if isinstance(batch, torch.Tensor) else np.array_split
        return split(batch, self.n)[self.rank]

    def average_gradients(self, parameters, n_rows):
        """The gradient of the mean over the rows of all ranks."""
        if self.n == 1:
            return
        trained = [parameter for parameter in parameters if parameter.grad is not None]
        parts = [*(each.grad.flatten() for each in trained), trained[0].grad.new_ones(1)]
        size = sum(map(len, parts))
        if len(self._message) != size:
            self._message = parts[0].new_empty(size)  # kept: to make it anew in every step takes as long as to fill it
        total = self.add(torch.cat(parts, out=self._message).mul_(n_rows))
        mean, start = total[:-1].div_(total[-1]), 0
        for each in trained:
            each.grad = mean[start : start + each.numel()].view_as(each)
            start += each.numel()

    def add(self, tensor):
        """The sum over the ranks, in place, the same on each to the bit."""
        if self.n > 1:
            with _told("has failed"):
                dist.all_reduce(tensor)
        return tensor

    def sums(self, *numbers):
        if self.n == 1:
            return numbers
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        return self.add(torch.tensor(numbers, dtype=torch.float64, device=device)).tolist()

    def any(self, flag):
        return bool(self.sums(int(flag))[0])

    # -- a training ------------------------------------------------------------------------------------------------

    def same_weights(self, module):
        """Those of the first: processors of two kinds round differently."""
        if self.n > 1:
            with _told("has failed"), torch.no_grad():
                for tensor in module.state_dict().values():
                    dist.broadcast(tensor, src=0)

    @contextlib.contextmanager
    def together(self, but):
        """What fails in here, unless it fails ``but`` so, in all of them, must not leave the others waiting."""
        try:
            yield
        except but:
            raise
        except BaseException:
            if self.n > 1:
                _part()
            raise


ALONE = Ranks()
