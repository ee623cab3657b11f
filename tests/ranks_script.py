"""What test_distributed.py starts as two processes, and runs itself as one: fits that are the same in both.

    python ranks_script.py FOLDER fits|dies

Each process leaves what it has found in FOLDER/RANK.pickle.
"""

import contextlib
import io
import os
import pickle
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from common import said
from skorch.callbacks import Callback, Checkpoint, PrintLog

from sklatent import AutoencoderTransformer, DensityOutlierDetector, EncoderClassifier, MADEDensity, VAETransformer

RANK = int(os.environ.get("RANK", 0))
ROWS = np.random.RandomState(0).normal(size=(257, 3)) @ np.random.RandomState(1).normal(size=(3, 12))
X = (ROWS + 0.3 * np.random.RandomState(2).normal(size=ROWS.shape)).astype(
    np.float32
)  # 257: the last batch has one row
SMALL = {"hidden_layer_sizes": (8,), "batch_size": 64, "random_state": 0, "device": "cpu"}


class StopsAt(Callback):
    """A callback of a user's that ends training, by a KeyboardInterrupt or otherwise, in one of the processes."""

    def __init__(self, epoch, error=KeyboardInterrupt, rank=1):
        self.epoch, self.error, self.rank = epoch, error, rank

    def on_batch_end(self, net, **kwargs):
        if self.rank == RANK and len(net.history) == self.epoch:
            raise self.error


def autoencoder(**options):
    return AutoencoderTransformer(2, **{**SMALL, "max_iter": 4, **options})


def same_everywhere():
    """Fits without noise: the loss of each epoch is that of one process."""
    yield "fit", autoencoder().fit(X)
    yield "weighted", autoencoder().fit(X, sample_weight=np.linspace(1, 3, len(X)))
    yield "stopped early", autoencoder(max_iter=60, early_stopping=True, n_iter_no_change=3, tol=0.003).fit(X)
    yield "looks", autoencoder(max_iter=None, learning_rate=0.01).fit(np.sin(X))
    yield "in parts", autoencoder().partial_fit(X[:128]).partial_fit(X[128:])
    yield "conv", autoencoder(image_shape=(3, 4), max_iter=2).fit(X)


def alike_on_ranks():
    """Fits with noise, and without a seed: each of the processes ends with the same."""
    yield "noise", VAETransformer(2, **{**SMALL, "random_state": None}, max_iter=3).fit(X)
    yield "corrupted", autoencoder(corruption="noise").fit(X)
    yield "density", MADEDensity(**SMALL, max_iter=2).fit(np.rint(X))
    labels = np.where(np.arange(len(X)) < 40, X[:, 0] > 0, -1)
    yield "classifier", EncoderClassifier(autoencoder(max_iter=1), n_rounds=1, max_iter=1, device="cpu").fit(X, labels)
    density = VAETransformer(2, **{**SMALL, "random_state": None}, max_iter=1)
    yield "detector", DensityOutlierDetector(density, calibration_size=0.3).fit(X)


def weights(estimator):
    return [tensor.numpy().tobytes() for tensor in estimator.net_.module_.state_dict().values()]


def refused(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def fits(folder):
    found = {"history": {}, "weights": {}, "n_steps": {}, "codes": {}, "said": {}}
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()
    for name, estimator in same_everywhere():
        found["history"][name], found["n_steps"][name] = estimator.history_, estimator.n_steps_
        found["weights"][name], found["codes"][name] = weights(estimator), estimator.transform(X[:5])
    found["pickle"] = pickle.dumps(estimator)
    for name, estimator in alike_on_ranks():
        found["said"][name] = said(estimator, np.rint(X[:5]))
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("default")
        writers = [PrintLog(), Checkpoint(monitor="train_loss_best", dirname=folder / f"skorch{RANK}")]
        autoencoder(verbose=1, callbacks=writers, checkpoint=folder / f"ours{RANK}").fit(X)
        autoencoder(max_iter=None).fit(X[:9])  # which warns
    found["printed"] = printed.getvalue()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        estimator = autoencoder(max_iter=6, checkpoint=folder / "died", callbacks=[Dies()]).fit(X)
    found["going on"], found["taken up"] = estimator.history_, "".join(str(each.message) for each in told)
    found["stopped"] = len(autoencoder(max_iter=9, callbacks=[StopsAt(3)]).fit(X).history_)
    found["diverged"] = refused(lambda: autoencoder(learning_rate=1e30).fit(X))
    found["other rows"] = refused(lambda: autoencoder().fit(X + RANK))
    found["other parameters"] = refused(lambda: autoencoder(weight_decay=0.1 * RANK).fit(X))
    found["random"] = torch.equal(states[0], torch.get_rng_state()) and states[1] == np.random.get_state()[1].tolist()
    start = time.monotonic()
    found["failed"] = refused(lambda: autoencoder(callbacks=[StopsAt(2, ZeroDivisionError)]).fit(X))
    found["seconds"] = time.monotonic() - start
    found["after"] = refused(lambda: autoencoder().fit(X))
    return found


class Dies(Callback):
    """Kills one of the processes, as if for its memory."""

    def __init__(self, rank=None):
        self.rank = rank

    def on_epoch_begin(self, net, **kwargs):
        if self.rank == RANK and len(net.history) == 4:
            os.kill(os.getpid(), signal.SIGKILL)


def dies(folder):
    start = time.monotonic()
    estimator = autoencoder(max_iter=6, checkpoint=folder / "died", callbacks=[Dies(rank=1)])
    error = refused(lambda: estimator.fit(X))
    return {"error": error, "seconds": time.monotonic() - start, "fitted": hasattr(estimator, "net_")}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    warnings.simplefilter("ignore")
    found = {"fits": fits, "dies": dies}[sys.argv[2]](folder)
    (folder / f"{RANK}.pickle").write_bytes(pickle.dumps(found))
