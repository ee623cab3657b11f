"""SIGKILL at random moments of a fit with a checkpoint, and the same call again, until it ends: the same bits."""

import hashlib
import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
from shared import run, small

from sklatent import AutoencoderTransformer, EncoderClassifier, MADEDensity, PixelCNNDensity, VAETransformer
from sklatent._bridge import checkpoints

X = np.random.RandomState(0).normal(size=(300, 16)) @ np.random.RandomState(1).normal(size=(16, 16))
Y = np.where(np.arange(300) < 60, np.arange(300) % 2, -1)
MOST_KILLS = 4  # of one fit, which then may end
IMAGES = {"image_shape": (4, 4), "batch_size": 32}
FITS = {
    "an autoencoder from PCA on": lambda **at: AutoencoderTransformer(4, random_state=0, **at),
    "a VAE": lambda **at: small(VAETransformer, max_iter=60, early_stopping=True, **at),
    "a MADE with averaged weights": lambda **at: small(MADEDensity, max_iter=60, ema_decay=0.9, **at),
    "a PixelCNN": lambda **at: small(PixelCNNDensity, max_iter=20, **IMAGES, n_levels=4, **at),
    "a classifier": lambda **at: EncoderClassifier(
        small(AutoencoderTransformer, max_iter=30, corruption="affine", **IMAGES), max_iter=10, random_state=0, **at
    ),
}


def trained(estimator, told):
    """Fit, and tell what there is then: a digest of the weights, and what the folder holds."""
    estimator.fit(X, Y)
    arrays = estimator.__getstate__()["_weights_"]
    os.write(told, hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest().encode())


def fitted(make, folder, dies_after=None):
    """Seconds, and what a process of its own tells; None if it was killed before it did."""
    read, told = os.pipe()
    start = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            trained(make(checkpoint=folder), told)
        finally:
            os._exit(0)
    os.close(told)
    if dies_after is not None:
        time.sleep(dies_after)
        os.kill(pid, signal.SIGKILL)
    words = os.read(read, 100)
    os.close(read)
    os.waitpid(pid, 0)
    return time.perf_counter() - start, words or None


def main(n, fits=FITS):
    checkpoints.SHARE = 1e9  # a file at the end of every epoch
    whole = {name: fitted(make, None) for name, make in fits.items()}
    n_kills, found, i = 0, [f"{name}: its fit fails" for name, (_, words) in whole.items() if not words], 0
    while n_kills < n and i < 10 * n and not found:
        name = list(fits)[i % len(fits)]
        random, (seconds, expected) = np.random.RandomState(i), whole[name]
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(MOST_KILLS):
                _, words = fitted(fits[name], folder, dies_after=random.uniform(0, seconds))
                n_kills += words is None
            _, words = fitted(fits[name], folder)
            left = os.listdir(Path(folder))
        if words != expected:
            found.append(f"{name}, draw {i}: {'other weights' if words else 'an error'} after a kill")
        elif left:
            found.append(f"{name}, draw {i}: a fit that ended leaves {left}")
        i += 1
    return n_kills, found


if __name__ == "__main__":
    run(main, 100)
