"""Memory, threads and open files after many fits of one estimator."""

import gc
import os
import threading
from pathlib import Path

import numpy as np
from shared import ESTIMATORS, TINY, run, small

from sklatent import AutoencoderTransformer

ROWS = np.random.RandomState(0).randint(0, 5, (2000, 6)).astype(float)  # 0.1 MB
Y = np.where(np.arange(2000) < 60, np.arange(2000) % 2, -1)
WARM_UP = 10  # fits, after which pools of memory and of threads are there
MEGABYTES = 0.05  # that a fit may leave on average: half of the rows


def held():
    """Megabytes, threads and open files of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, threading.active_count(), len(os.listdir("/proc/self/fd"))


def leak(fit, n):
    """What n calls of ``fit`` leave behind, in words or None."""
    for _ in range(WARM_UP):
        fit()
    before = held()
    for _ in range(n):
        fit()
    megabytes, threads, files = (after - start for after, start in zip(held(), before, strict=True))
    if megabytes > MEGABYTES * n or threads > 0 or files > 0:
        return f"{n} fits leave {megabytes:.1f} MB, {threads} threads and {files} open files"
    return None


def main(n):
    found = []
    for cls in ESTIMATORS:
        params = {"encoder": small(AutoencoderTransformer, **TINY)} if cls.__name__ == "EncoderClassifier" else {}
        estimator = small(cls, **TINY, n_blocks=1, n_layers=1, n_rounds=1, batch_size=500, **params)
        words = leak(lambda estimator=estimator: estimator.fit(ROWS, Y).__getstate__(), n)
        found += [f"{cls.__name__}: {words}"] if words else []
    return n * len(ESTIMATORS), found


if __name__ == "__main__":
    run(main, 50)
