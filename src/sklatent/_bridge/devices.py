"""Devices, their generators, and what a fork leaves of their threads."""

import contextlib
import os
import threading

import torch
from threadpoolctl import threadpool_limits

from .._nn.layers import widest
from .distributed import several

OUT_OF_MEMORY = torch.cuda.OutOfMemoryError  # what every device raises


def resolve_device(device, *, fall_back=False):
    """``"auto"`` is cuda, else mps, else cpu. With ``fall_back`` a device that is missing here becomes the CPU."""
    name = device
    if device == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda" and several() and torch.cuda.device_count():
        name = f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"  # one for each process
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        if fall_back:
            return torch.device("cpu")
        raise ValueError(
            f"device={device!r} cannot be used here: {error}. Expected 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'."
        ) from error


def place(what, device):
    """Move a module or a tensor to a device; where there is no float64, the buffers lose their extra digits."""
    is_narrow = widest(device) == torch.float32
    if is_narrow and (isinstance(what, torch.nn.Module) or what.dtype == torch.float64):
        what = what.float()
    return what.to(device)


def to_device(batch, device):
    """A batch on its device; to CUDA from pinned memory, which the host does not wait for."""
    if device.type == "cuda" and batch.device.type == "cpu":
        return batch.pin_memory().to(device, non_blocking=True)
    return place(batch, device)


def free_memory(device):
    """Bytes that are free on a device; 0 where it does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return 0


_one_at_a_time = threading.RLock()  # torch has one generator for all threads


def _after_fork():
    """None of the parent's threads is in the child, which would wait for ever: for OpenMP's, or for one that trains."""
    global _one_at_a_time
    _one_at_a_time = threading.RLock()
    threadpool_limits(1, "openmp")  # torch's, and scikit-learn's, at whose mixtures a MADE starts


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def seeded(seed, device):
    """Everything random inside depends on ``seed`` alone; torch's global state is unmoved outside.

    Modules draw from torch's global generators, so threads that train take turns here.
    """
    on_cuda, cudnn = device.type == "cuda", torch.backends.cudnn
    with _one_at_a_time:
        states, flags = random_states(device), (cudnn.deterministic, cudnn.benchmark)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed devices that are not in use
        if on_cuda:
            cudnn.deterministic, cudnn.benchmark = True, False
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            if on_cuda:
                cudnn.deterministic, cudnn.benchmark = flags
            set_random_states(states, device)


@contextlib.contextmanager
def own_noise(ranks, device):
    """Each rank draws its own in here; what comes after is random in the same way on all. One alone goes on."""
    if ranks.n == 1:
        yield
        return
    states = random_states(device)
    seed = int(torch.randint(2**31, ())) + ranks.rank
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    try:
        yield
    finally:
        set_random_states(states, device)


def random_states(device):
    """The states that modules draw from, of the CPU and of the device."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def set_random_states(states, device):
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps" and len(states) > 1:
        torch.mps.set_rng_state(states[1])


def generator(seed, device):
    return torch.Generator(device=device).manual_seed(seed)
