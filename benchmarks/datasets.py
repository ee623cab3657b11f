"""Data for the benchmarks: from a folder (``--data`` or ``SKLATENT_DATA``), else from scikit-learn's fetchers.

The folder holds ``mnist/`` and ``fashion-mnist/`` with the four IDX files each, ``binarized-mnist/`` and
``cifar10-subset/`` with an npz file each.
"""

import argparse
import gzip
import os
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import fetch_openml

OPENML = {"mnist": "mnist_784", "fashion-mnist": "Fashion-MNIST"}


def parser(description):
    """An argument parser with ``--data`` and ``--seed``."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    arguments.add_argument("--data", type=Path, default=os.environ.get("SKLATENT_DATA"), help="folder of data sets")
    arguments.add_argument("--seed", type=int, default=0)
    return arguments


def _idx(path):
    """An IDX file of bytes: magic number, sizes (big-endian), values."""
    with gzip.open(path) as file:
        raw = file.read()
    n_dims = raw[3]
    shape = np.frombuffer(raw, ">i4", n_dims, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * n_dims).reshape(shape)


def images(name, data=None):
    """``X_train, y_train, X_test, y_test`` of "mnist" or "fashion-mnist"; rows of 784 uint8."""
    if data is not None:
        folder = Path(data) / name
        parts = [_idx(folder / f"{part}-ubyte.gz") for part in (
            "train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"
        )]  # fmt: skip
        return parts[0].reshape(-1, 784), parts[1], parts[2].reshape(-1, 784), parts[3]
    X, y = fetch_openml(OPENML[name], version=1, as_frame=False, return_X_y=True, parser="auto")
    X, y = X.astype(np.uint8), y.astype(np.uint8)
    return X[:60000], y[:60000], X[60000:], y[60000:]


def binarized_mnist(data=None, seed=0):
    """``train, valid, test``: rows of 784 values 0 or 1, uint8.

    The static draw of Larochelle and Murray (2011) if the folder has it; else one of our own from MNIST, whose
    figures compare with others' only roughly.
    """
    if data is not None:
        with np.load(Path(data) / "binarized-mnist" / "binarized_mnist.npz") as arrays:
            return tuple(arrays[name].astype(np.uint8) for name in ("train", "valid", "test"))
    X, _, X_test, _ = images("mnist")
    random = np.random.RandomState(seed)
    X, X_test = ((random.uniform(size=rows.shape) < rows / 255).astype(np.uint8) for rows in (X, X_test))
    return X[:50000], X[50000:], X_test


def cifar10_subset(data):
    """``X_train, X_test``: channel-first rows of 3 x 32 x 32 uint8, 4,000 and 1,000 of them."""
    with np.load(Path(data) / "cifar10-subset" / "cifar10_4000_1000.npz") as arrays:
        return tuple(
            np.ascontiguousarray(arrays[name].transpose(0, 3, 1, 2)).reshape(-1, 3072) for name in ("X_train", "X_test")
        )


def versions():
    """One line: device, processor, and versions, for the head of a table."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    packages = ", ".join(f"{name} {version(name)}" for name in ("sklatent", "torch", "skorch", "scikit-learn"))
    return f"{device}; Python {platform.python_version()}, {packages}"
