"""What a training leaves in a folder at the end of an epoch, so that it goes on from there after it was killed.

A training is known by its parameters, its rows, and where it starts; its file has that in its name, so many fits may
use one folder. A fit of several trainings does each again from its last file on, the finished ones from their last
epoch: what follows from them needs no file. Nothing in a file is a pickle: one line with the checksum of the rest, one
of JSON, the bytes of the arrays.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import sys
import time
from contextvars import ContextVar
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.history import History

from .devices import random_states, set_random_states
from .loading import check_saved
from .state import PACKAGE, warn

SHARE = 0.05  # of the time of a training, that is spent on its files
UNTOLD = {"checkpoint", "device", "verbose"}  # parameters that no weights depend on
_to_clear = ContextVar("_to_clear", default=None)


@contextlib.contextmanager
def cleared_at_the_end():
    """Files written in here are removed once all went well: by the outermost of these, if one is within another."""
    if _to_clear.get() is not None:
        yield
        return
    files = []
    token = _to_clear.set(files)
    try:
        yield
    finally:
        _to_clear.reset(token)
    for path in files:
        path.unlink(missing_ok=True)


# -- which training it is ----------------------------------------------------------------------------------------


def digest(*values):
    """SHA-256 of arrays, of whatever size, and of words."""
    total = hashlib.sha256()
    for value in values:
        if not isinstance(value, np.ndarray):
            total.update(repr(value).encode())
            continue
        total.update(f"{value.dtype}{value.shape}".encode())
        n_rows = max(1, 2**24 // max(1, value[:1].nbytes)) if value.ndim else 1
        for start in range(0, len(value) if value.ndim else 1, n_rows):
            total.update(np.ascontiguousarray(value[start : start + n_rows] if value.ndim else value).data)
    return total.hexdigest()


def identity(estimator, phase, seed):
    """What must be the same for a training to go on: plain words, and digests of rows and of the state it starts in."""
    names = [name for name in estimator.get_params(deep=False) if name not in UNTOLD]
    weights = estimator.net_.module_.state_dict()
    trainings = [rows for rows in (phase.rows, phase.held_out) if rows is not None]
    parts = [part for rows in trainings for part in (rows.index, rows.targets, rows.weights)]
    return {
        "estimator": type(estimator).__name__,
        "version": sys.modules[PACKAGE].__version__,
        "parameters": {name: _words(getattr(estimator, name)) for name in names},
        "rows": digest(np.asanyarray(phase.rows.X)),
        "training": digest(
            seed, phase.n_epochs, phase.n_steps, phase.n_warm, phase.learning_rates, phase.scheduled,
            *(type(callback).__name__ for callback in phase.callbacks), *parts,
            *(tensor.cpu().numpy() for tensor in weights.values()),
        ),
    }  # fmt: skip


def _words(value):
    """What stands for a parameter, in this process and in another."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def differences(there, here, where="there", whither="here"):
    """What two identities differ in, in words; empty if in nothing that the parameters tell."""
    one, other = there["parameters"], here["parameters"]
    names = [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
    told = [f"{name} is {one.get(name)} {where}, {other.get(name)} {whither}" for name in names]
    if there["version"] != here["version"]:
        told.insert(0, f"version {there['version']} {where}, {here['version']} {whither}")
    return told + (["the rows are others"] if there["rows"] != here["rows"] else [])


# -- files -------------------------------------------------------------------------------------------------------


def dumps(tree):
    """Bytes of dicts, lists, plain values, arrays and tensors. Raises TypeError if there is anything else."""
    arrays = []
    words = json.dumps(_plain(tree, arrays)).encode()
    body = b"".join([words, b"\n", *(array.tobytes() for array in arrays)])
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _plain(value, arrays):
    if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
        return {"tensor": _plain(value.detach().cpu().numpy(), arrays)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays.append(value)
        return {"array": [value.dtype.str, list(value.shape)]}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _plain(each, arrays) for key, each in value.items()}}
    if isinstance(value, list | tuple):
        return [_plain(each, arrays) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} is neither plain nor an array")


def loads(data):
    """The tree, tuples as lists. Raises ValueError if the bytes are not whole."""
    checksum, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ValueError("it was cut short or changed")
    words, _, arrays = body.partition(b"\n")
    return _whole(json.loads(words), arrays, [0])


def _whole(value, arrays, offset):
    if isinstance(value, list):
        return [_whole(each, arrays, offset) for each in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {key: _whole(each, arrays, offset) for key, each in value["dict"].items()}
    if "tensor" in value:
        return torch.from_numpy(_whole(value["tensor"], arrays, offset))
    dtype, shape = value["array"]
    if np.dtype(dtype).kind not in "biuf":
        raise ValueError(f"it holds an array of {dtype}")
    array = np.ndarray(tuple(shape), dtype, arrays, offset[0]).copy()
    offset[0] += array.nbytes
    return array


def _write(path, data):
    """At any moment the file, or the one before it, is whole: all is on the disk before it has the name."""
    part = _part(path)
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, _before(path))
    os.replace(part, path)


def _before(path):
    return path.with_suffix(".before")


def _part(path):
    return path.with_suffix(".part")


def check_folder(folder):
    """Raise ValueError if nothing can be written there."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        probe = Path(folder, f".{os.getpid()}.part")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"checkpoint={str(folder)!r} must be a folder that can be written to: {error}.") from error


# -- the callback ------------------------------------------------------------------------------------------------


class Checkpoint(Callback):
    """Take up the training where a file of it is, and write one at the end of epochs. It goes last."""

    def __init__(self, folder, known_by):
        self.folder, self.known_by = Path(folder), known_by

    def on_train_begin(self, net, **kwargs):
        """The first of several processes reads, and the others have it from there: they may be on other hosts."""
        if net.ranks_.rank == 0:
            self._look(net)
        state = net.ranks_.from_first(dumps(_state(net)) if net.n_done_ else None)
        if state and net.ranks_.rank:
            _restore(net, loads(state))

    def _look(self, net):
        name = f"{self.known_by['estimator']}-{digest(*self.known_by.values())[:16]}.checkpoint"
        self.path_ = self.folder / name
        self.last_, self.took_, self.told_ = -math.inf, 0.0, False
        paths = [self.path_, _before(self.path_)]
        _to_clear.get().extend([*paths, _part(self.path_)])
        there = [path for path in paths if path.exists()]
        if not there:
            self._tell_of_others()
        for path in there:
            if self._taken_up(net, path):
                break

    def on_epoch_end(self, net, **kwargs):
        start = time.monotonic()
        if net.ranks_.rank or SHARE * (start - self.last_) < self.took_:
            return
        try:
            _write(self.path_, dumps({"known_by": self.known_by, **_state(net)}))
        except OSError as error:
            if not self.told_:
                warn(f"The checkpoint {str(self.path_)!r} cannot be written, and training goes on without: {error}.")
            self.told_ = True
        self.last_ = time.monotonic()
        self.took_ = self.last_ - start

    def _taken_up(self, net, path):
        try:
            state = loads(path.read_bytes())
            if state["known_by"] != self.known_by:
                told = differences(state["known_by"], self.known_by)
                raise ValueError("; ".join(told) or "it is of another training")
            _check(net, state)
        except Exception as error:  # whatever is in a file
            warn(f"The checkpoint {str(path)!r} is not used: {error}.")
            path.unlink()  # or the next write would put it in the place of the one before it
            return False
        _restore(net, state)
        return True

    def _tell_of_others(self):
        """Where the folder has files of this estimator, but none that a fit with these parameters and rows has left."""
        told = []
        for path in self.folder.glob(f"{self.known_by['estimator']}-*.checkpoint"):
            with contextlib.suppress(Exception), open(path, "rb") as file:
                file.readline()
                there = json.loads(file.readline())["dict"]["known_by"]["dict"]
                there["parameters"] = there["parameters"]["dict"]
                told.append(differences(there, self.known_by))
        if told and all(told):
            warn(
                f"checkpoint={str(self.folder)!r} has {len(told)} of other fits of {self.known_by['estimator']}, which "
                f"this one cannot go on from ({'; '.join(told[-1])}), so it starts from its beginning."
            )


# -- the state of a training -------------------------------------------------------------------------------------


def _state(net):
    optimizer = net.optimizer_.state_dict()
    return {
        "module": dict(net.module_.state_dict()),
        "optimizer": {str(i): values for i, values in optimizer["state"].items()},
        "groups": [_savable(group, of=float | tuple) for group in optimizer["param_groups"]],  # rates, betas
        "random": random_states(torch.device(net.device)),
        "history": [_savable(epoch, but="batches") for epoch in net.history],
        "n_steps": net.n_steps_,
        "callbacks": {name: _state_of(callback) for name, callback in _others(net)},
    }


def _check(net, state):
    """Raise if this is no state of the net. Nothing is set before all of it has been looked at."""
    check_saved({name: tensor.numpy() for name, tensor in state["module"].items()}, net.module_, "training")
    weights = [weight for group in net.optimizer_.param_groups for weight in group["params"]]
    for i, values in state["optimizer"].items():
        for name, tensor in values.items():
            shape = () if name == "step" else tuple(weights[int(i)].shape)
            if tensor.shape != shape or not tensor.is_floating_point() or not tensor.isfinite().all():
                raise ValueError(f"{name} of weights {i} is {tensor.dtype} {tuple(tensor.shape)}, not finite {shape}")
    torch.Generator().set_state(state["random"][0])
    if len(state["groups"]) != len(net.optimizer_.param_groups) or len(state["history"]) > net.max_epochs:
        raise ValueError("its optimizer or its history is another's")
    if not all(math.isfinite(epoch["train_loss"]) for epoch in state["history"]) or not state["n_steps"] > 0:
        raise ValueError("its history is not that of a training")


def _restore(net, state):
    net.module_.load_state_dict(state["module"])
    optimizer = net.optimizer_.state_dict()
    for group, values in zip(optimizer["param_groups"], state["groups"], strict=True):
        group.update(values)
    optimizer["state"] = {int(i): values for i, values in state["optimizer"].items()}
    net.optimizer_.load_state_dict(optimizer)
    set_random_states(state["random"], torch.device(net.device))
    net.history = History({**epoch, "batches": []} for epoch in state["history"])
    net.n_steps_, net.n_done_ = state["n_steps"], len(net.history)
    for name, callback in _others(net):
        for attribute, value in state["callbacks"].get(name, {}).items():
            there = getattr(callback, attribute, None)
            if hasattr(there, "load_state_dict"):
                there.load_state_dict(value)
            else:
                setattr(callback, attribute, _on(net.device, value))


def _on(device, value):
    """The tensors in a value, moved there."""
    if isinstance(value, dict):
        return {name: _on(device, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_on(device, each) for each in value]
    return value.to(device) if isinstance(value, torch.Tensor) else value


def _others(net):
    return [(name, callback) for name, callback in net.callbacks_ if not isinstance(callback, Checkpoint)]


def _state_of(callback):
    """All that ends in an underscore and is plain, an array or a tensor, or has a state_dict, as torch's schedules."""
    fitted = {name: value for name, value in vars(callback).items() if name.endswith("_")}
    told = {name: value for name, value in fitted.items() if hasattr(value, "state_dict")}
    told = {name: value.state_dict() for name, value in told.items() if not isinstance(value, type)}
    return _savable(fitted | told)


def _savable(values, of=object, but=None):
    """Those of a dict's values that a file can hold."""
    found = {}
    for name, value in values.items():
        with contextlib.suppress(TypeError):
            if isinstance(value, of) and name != but:
                _plain(value, [])
                found[name] = value
    return found
