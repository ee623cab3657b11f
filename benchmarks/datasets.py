"""Data for the benchmarks: from a folder (``--data`` or ``SKLATENT_DATA``), else from scikit-learn's fetchers.

The folder holds ``mnist/`` and ``fashion-mnist/`` with the four IDX files each, and ``binarized-mnist/``.
"""

import argparse
import gzip
import os
from pathlib import Path

import numpy as np
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
