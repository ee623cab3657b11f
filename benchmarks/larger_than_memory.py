"""Anonymous memory, in MB, of fits and scores on rows that stay in a file: what is held beside pages of that file.

The files are as large as told but take no room on the disk: rows are random here and there, and holes elsewhere. Each
case is a process of its own, one thread. Scores are of models fitted on few rows, of so many rows and of four times as
many: what grows with the rows is their scores alone.

    python benchmarks/larger_than_memory.py --folder FOLDER

Needs Linux, which tells what memory is anonymous.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from datasets import versions
from skorch.callbacks import Callback

from sklatent import (
    AutoencoderTransformer,
    HistogramDensity,
    MADEDensity,
    NeighborsDensity,
    PixelCNNDensity,
    PixelRNNDensity,
    VAETransformer,
)

COMMON = {"max_iter": 1, "batch_size": 1024, "random_state": 0, "device": "cpu"}
IMAGE = {"image_shape": (28, 28), "n_levels": 4, "n_filters": 4}
FITS = {
    "autoencoder": lambda: AutoencoderTransformer(8, hidden_layer_sizes=(16,), **COMMON),
    "VAE": lambda: VAETransformer(8, hidden_layer_sizes=(16,), **COMMON),
}
DENSITIES = {
    "VAE, 50 draws": (1000, lambda: VAETransformer(8, hidden_layer_sizes=(16,), **COMMON)),
    "MADE, mixture": (1000, lambda: MADEDensity(hidden_layer_sizes=(16,), likelihood="gaussian_mixture", **COMMON)),
    "PixelCNN, 4 levels": (1000, lambda: PixelCNNDensity(n_blocks=0, **IMAGE, **COMMON)),
    "PixelRNN, 4 levels": (64, lambda: PixelRNNDensity(n_layers=1, **IMAGE, **COMMON)),
    "histogram": (20000, HistogramDensity),
    "neighbours": (2000, NeighborsDensity),
}


class Stop(Callback):
    """Ends the epoch after so many steps."""

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_batch_end(self, net, **kwargs):
        if net.n_steps_ >= self.n_steps:
            raise KeyboardInterrupt


def anonymous():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


class Peak(threading.Thread):
    """The most anonymous memory while it is open, looked at every 5 ms, over what there was at first; seconds."""

    def __enter__(self):
        self.before, self.start_, self.open = anonymous(), time.process_time(), True
        self.most = self.before
        self.start()
        return self

    def run(self):
        while self.open:
            self.most = max(self.most, anonymous())
            time.sleep(0.005)

    def __exit__(self, *_):
        self.seconds, self.open = time.process_time() - self.start_, False
        self.join()


def mapped(folder, dtype, gigabytes, d=784):
    """Rows in a file of which only some are written."""
    path, n = Path(folder, f"{np.dtype(dtype)}.npy"), int(gigabytes * 1e9 / d / np.dtype(dtype).itemsize)
    X = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(n, d))
    random = np.random.RandomState(0)
    for start in range(0, n - 400, n // 10):
        X[start : start + 400] = (random.rand(400, d) * 255).astype(dtype)
    X.flush()
    return np.load(path, mmap_mode="r")


def fit(arguments):
    X = mapped(arguments.folder, arguments.dtype, arguments.gigabytes)
    estimator = FITS[arguments.case]()
    if arguments.steps:
        estimator.set_params(callbacks=[Stop(arguments.steps)])
    with Peak() as peak:
        estimator.fit(X)
    told = f"{peak.before:.0f} | {peak.most - peak.before:.0f} | {peak.most:.0f} | {peak.seconds:.0f}"
    print(f"| {arguments.case} | {arguments.dtype} | {X.nbytes / 1e9:.1f} | {len(X)} | {estimator.n_steps_} | {told} |")


def scores(arguments):
    n, make = DENSITIES[arguments.case]
    X = mapped(arguments.folder, "uint8", 0.1)
    X = np.minimum(X[:400], 3) if "levels" in arguments.case else X[:400]
    estimator = make().fit(np.repeat(X, 3, axis=0)[:1000])
    rows, found = np.tile(X, (4 * n // 400 + 1, 1))[: 4 * n], []
    estimator.score_samples(rows[:n])  # what is kept for the next call
    for some in (rows[:n], rows):
        with Peak() as peak:
            estimator.score_samples(some)
        found.append(peak.most - peak.before)
    print(f"| {arguments.case} | {n} | {found[0]:.1f} | {found[1]:.1f} |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--folder", default=tempfile.gettempdir(), help="of the files, which are removed again")
    arguments.add_argument("--gigabytes", type=float, default=10)
    arguments.add_argument("--steps", type=int, help="of an epoch that is cut short; None: a whole epoch")
    arguments.add_argument("--case", help="used by the script itself, as is --dtype")
    arguments.add_argument("--dtype")
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore")
    if arguments.case:
        return fit(arguments) if arguments.case in FITS else scores(arguments)
    print(f"{versions()}\n\n| fit | dtype | GB | rows | steps | MB before | more | in all | CPU s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        options = ["--folder", folder, "--gigabytes", str(arguments.gigabytes)]
        options += ["--steps", str(arguments.steps)] if arguments.steps else []
        run = [sys.executable, __file__, *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        for dtype in ("float32", "uint8"):
            for case in FITS:
                subprocess.run([*run, "--case", case, "--dtype", dtype], check=True, env=environment)
        print(
            "\n| score_samples | rows | MB more | MB more, of 4 times as many |\n| --- | ---: | ---: | ---: |",
            flush=True,
        )
        for case in DENSITIES:
            subprocess.run([*run, "--case", case], check=True, env=environment)


if __name__ == "__main__":
    main()
