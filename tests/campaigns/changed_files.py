"""Files of skops, and checkpoints, changed with checksums that are right, each loaded in a process of its own."""

import hashlib
import io
import json
import os
import pickle
import pickletools
import re
import resource
import signal
import sys
import tempfile
import traceback
import zipfile
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import skops.io
from shared import ESTIMATORS, NETS, TINY, run, small

from sklatent import AutoencoderTransformer
from sklatent._bridge import checkpoints

SECONDS, MEGABYTES, TIMES = 20, 500, 10  # that a load, and the scores after it, may take; times the file
FOREIGN = [("os", "system"), ("subprocess", "Popen"), ("builtins", "eval")]  # types that no file may bring in
LOADED, REFUSED, FULL, RAN = range(4)  # how a child ends
X = np.random.RandomState(0).normal(size=(40, 6))
Y = np.where(np.arange(40) < 12, np.arange(40) % 2, -1)


class Kind(NamedTuple):
    """A kind of file: its parts by name (``.json``, ``.npy``, or bytes as they are), and the way back.

    ``pack`` makes the checksums right, so that what is changed is read.
    """

    unpack: callable
    pack: callable
    load: callable


def unzipped(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def zipped(parts):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return data.getvalue()


SKOPS = Kind(unzipped, zipped, lambda data, trusted: skops.io.loads(data, trusted=trusted))


def skops_files():
    """(name, kind, data, names to trust) of a small file of every estimator."""
    for cls in ESTIMATORS:
        params = {"encoder": small(AutoencoderTransformer, **TINY)} if cls.__name__ == "EncoderClassifier" else {}
        data = skops.io.dumps(small(cls, **TINY, n_blocks=1, n_layers=1, **params).fit(X, Y))
        yield cls.__name__, SKOPS, data, skops.io.get_untrusted_types(data=data)


def taken_apart(data):
    """A checkpoint: the words, and an array for each that they name."""
    _, words, rest = data.split(b"\n", 2)
    parts = {"state.json": words}
    for i, (dtype, shape) in enumerate(re.findall(rb'"array": \["([^"]+)", \[([\d, ]*)\]\]', words)):
        array = np.ndarray([int(n) for n in shape.split(b",") if n], dtype.decode(), rest)
        rest, buffer = rest[array.nbytes :], io.BytesIO()
        np.save(buffer, array)
        parts[f"{i}.npy"] = buffer.getvalue()
    return parts


def put_together(parts):
    arrays = [part.partition(b"\n")[2] for name, part in parts.items() if name.endswith(".npy")]  # a header ends so
    body = b"".join([parts["state.json"], b"\n", *arrays])
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def taken_up(data, told):
    """The fit that goes on from a checkpoint, which ``told`` says the name of."""
    make, name = told
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_bytes(data)
        return make().set_params(checkpoint=folder).fit(X)


CHECKPOINT = Kind(taken_apart, put_together, taken_up)


def checkpoint_files():
    """The first file of a fit of every net."""
    for cls in NETS:
        make = partial(small, cls, **TINY | {"max_iter": 2}, n_blocks=1, n_layers=1, batch_size=20)
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(checkpoints, "_write") as write:
            make().set_params(checkpoint=folder).fit(X)
        path, data = write.call_args_list[0].args
        yield f"a checkpoint of {cls.__name__}", CHECKPOINT, data, (make, path.name)


FILES = [skops_files, checkpoint_files]


# -- changes: each takes the parts of a file and a RandomState, and gives the parts anew -------------------------------


def places(value, path=()):
    """The paths of all that a JSON value holds."""
    if path:
        yield path
    for key, each in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from places(each, (*path, key))


def draw(random, values):
    return values[random.randint(len(values))]


def in_json(change):
    """A change of one value in the JSON: ``change(random, owner, key)``, in place."""

    def changed(random, parts):
        name = draw(random, [name for name in parts if name.endswith(".json")])
        value = json.loads(parts[name])
        fitting = [path for path in places(value) if change.fits(value_at(value, path))]
        if not fitting:
            return bits_are_flipped(random, parts)
        *path, key = draw(random, fitting)
        change(random, value_at(value, path), key)
        return {**parts, name: json.dumps(value).encode()}

    changed.__name__ = change.__name__
    return changed


def value_at(value, path):
    for key in path:
        value = value[key]
    return value


def fits(test):
    def mark(change):
        change.fits = test
        return in_json(change)

    return mark


@fits(lambda value: isinstance(value, int | float) or (isinstance(value, str) and value.lstrip("-").isdigit()))
def a_number_is_huge(random, owner, key):
    new = draw(random, [10**6, -1, 2**31, 2**63, 1e300]) if random.rand() < 0.5 else int(float(owner[key])) * 10**6
    owner[key] = str(new) if isinstance(owner[key], str) else new


@fits(lambda value: True)
def a_type_is_another(random, owner, key):
    owner[key] = draw(random, [None, -1, 0, "x", [], {}, 3.5, "10", '"z"', "true", [[]], {"__class__": "x"}])


@fits(lambda value: True)
def a_key_is_gone(random, owner, key):
    del owner[key]


@fits(lambda value: isinstance(value, dict) and "__class__" in value)
def a_type_is_foreign(random, owner, key):
    owner[key]["__module__"], owner[key]["__class__"] = draw(random, FOREIGN)
    owner[key]["__loader__"] = draw(random, [owner[key]["__loader__"], "TypeNode", "FunctionNode", "ReduceNode"])


def arrays(parts):
    return [name for name in parts if name.endswith(".npy")]


def bits_are_flipped(random, parts):
    name = draw(random, arrays(parts) or list(parts))
    part = bytearray(parts[name])
    for _ in range(random.randint(1, 9)):
        part[random.randint(len(part))] ^= 1 << random.randint(8)
    return {**parts, name: bytes(part)}


def an_array_is_another(random, parts):
    """Of another shape, dtype or content."""
    name = draw(random, arrays(parts))
    array = np.load(io.BytesIO(parts[name]), allow_pickle=True)
    if array.dtype == object or not array.ndim:
        return bits_are_flipped(random, parts)
    filled = np.full_like(array, draw(random, [0, -1, 1e30, np.nan, np.inf]) if array.dtype.kind == "f" else 1)
    changes = [
        array[:0], array[..., :1], np.concatenate([array, array]), array[np.newaxis], array.ravel(), array.T, filled,
        array[::-1],
        array.astype(draw(random, ["f8", "f4", "f2", "i8", "u1", "c16", "?", "S8"])),
    ]  # fmt: skip
    buffer = io.BytesIO()
    np.save(buffer, draw(random, changes))
    return {**parts, name: buffer.getvalue()}


def a_header_lies(random, parts):
    """The shape or the dtype is not that of the bytes that follow."""
    name = draw(random, arrays(parts))
    data = io.BytesIO(parts[name])
    version = np.lib.format.read_magic(data)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(data) if version == (1, 0) else ((3,), False, "f8")
    body, header = data.read(), io.BytesIO()
    shapes = [(10**6,) + shape, (2**40,), shape[:-1], shape[::-1], (-1,), (2**62, 2**62), ()]
    lie = {"shape": draw(random, shapes), "fortran_order": bool(random.rand() < 0.2) != fortran}
    lie["descr"] = draw(random, [np.dtype(dtype).str, "<f8", "<i8", "|O", "<U1000", "|V0"])
    np.lib.format.write_array_header_1_0(header, lie)
    return {**parts, name: header.getvalue() + body}


def arrays_are_swapped(random, parts):
    one, other = draw(random, arrays(parts)), draw(random, arrays(parts))
    return {**parts, one: parts[other], other: parts[one]}


CHANGES = [
    a_number_is_huge, a_type_is_another, a_key_is_gone, a_type_is_foreign, bits_are_flipped, an_array_is_another,
    a_header_lies, arrays_are_swapped,
]  # fmt: skip


# -- what a child does -----------------------------------------------------------------------------------------------


def forbid(event, _):
    """An audit hook, which nothing takes away again."""
    if event in ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect"):
        os._exit(RAN)


def load_and_score(kind, data, trusted):
    """How the child ends; a signal ends it otherwise."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, 2 * (used + TIMES * len(data) + MEGABYTES * 2**20,))
    sys.addaudithook(forbid)
    try:
        estimator = kind.load(data, trusted)
        words = {str(word) for _, word, _ in pickletools.genops(pickle.dumps(estimator))}
        if words & {name for _, name in FOREIGN}:
            return RAN
        for verb in ("score_samples", "transform", "predict", "predict_proba"):
            if hasattr(estimator, verb):
                getattr(estimator, verb)(X)
    except Exception as error:
        full = isinstance(error, MemoryError) or "allocate memory" in str(error)
        ours = any("sklatent" in frame.filename for frame in traceback.extract_tb(error.__traceback__))
        return FULL if full and ours else REFUSED  # numpy reserves what a header asks for, and fills none of it
    return LOADED


def end_of(child, *args):
    """How ``child(*args)`` ended in a process of its own: its number, or minus that of the signal that killed it."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        status = REFUSED
        try:
            status = child(*args)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def told(end):
    """What is wrong with an end, in words; None if nothing is."""
    if end == -signal.SIGALRM:
        return f"takes more than {SECONDS} seconds"
    if end < 0:
        return f"dies by {signal.Signals(-end).name}"
    return {FULL: f"takes {TIMES} times the file and {MEGABYTES} MB", RAN: "runs what is not to be trusted"}.get(end)


def main(n):
    files = [file for of_a_kind in FILES for file in of_a_kind()]
    found, ends = [], {}
    for i in range(n):
        random = np.random.RandomState(i)
        name, kind, data, trusted = files[i % len(files)]
        change = CHANGES[i // len(files) % len(CHANGES)]
        changed = kind.pack(change(random, kind.unpack(data)))
        end = end_of(load_and_score, kind, changed, trusted)
        ends[end] = ends.get(end, 0) + 1
        if told(end):
            found.append(f"{name}, change {i} ({change.__name__}): the load {told(end)}")
    print({"loaded": ends.get(LOADED, 0), "refused": ends.get(REFUSED, 0)})
    return n, found


if __name__ == "__main__":
    run(main, 2000)
