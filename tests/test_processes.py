"""Processes that begin where another has trained: all give what one process gives, and none hangs."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing, sys
from sklearn.cluster import KMeans  # before torch, scikit-learn has an OpenMP of its own
import numpy as np, torch
from joblib import Parallel, delayed
from sklatent import AutoencoderTransformer
from sklatent._autoregressive.starts import mixture_of

X = np.random.RandomState(0).normal(size=(600, 256))


def fit(name):  # the second, where a MADE starts, is by the threads of scikit-learn
    if name == "net":
        return AutoencoderTransformer(16, hidden_layer_sizes=(256,), max_iter=2, random_state=0).fit(X).score(X)
    return mixture_of(X[:, :2], 3, "full", 1e-3)[1].mean()


def score(fitted):
    return fitted.score(X)


if __name__ == "__main__":
    assert torch.get_num_threads() == 2, "with one thread there is nothing to see"
    names, alone = ["net", "mixture"] * 2, [fit("net"), fit("mixture")] * 2
    fitted = AutoencoderTransformer(16, hidden_layer_sizes=(256,), max_iter=2, random_state=0).fit(X)
    if sys.argv[1] == "loky":
        found = Parallel(2)(delayed(fit)(name) for name in names)
        scores = Parallel(2)(delayed(score)(fitted) for _ in range(2))
    else:
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            found, scores = pool.map(fit, names), pool.map(score, [fitted] * 2)
    np.testing.assert_allclose(found, alone, rtol=1e-4)  # the number of threads moves the last digits
    np.testing.assert_allclose(scores, alone[0], rtol=1e-4)
    print("done")
"""

LOCKED = """
import os, threading
import numpy as np
from skorch.callbacks import Callback
from sklatent import AutoencoderTransformer

X = np.random.RandomState(0).normal(size=(100, 4))
trains, forked = threading.Event(), threading.Event()


class Wait(Callback):
    def on_epoch_end(self, net, **kwargs):
        trains.set()
        forked.wait()


def fit(**params):
    return AutoencoderTransformer(2, max_iter=1, random_state=0, **params).fit(X)


thread = threading.Thread(target=fit, kwargs={"callbacks": [Wait()]})
thread.start()
trains.wait()
child = os.fork()
if child == 0:
    os._exit(0 if fit().n_iter_ == 1 else 1)
forked.set()
thread.join()
assert os.waitpid(child, 0)[1] == 0
print("done")
"""


def run(tmp_path, text, *args):
    """What a script of two threads prints; what it has started ends with it."""
    script = tmp_path / "script.py"
    script.write_text(text)
    environment = os.environ | {"OMP_NUM_THREADS": "2", "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        [sys.executable, script, *args], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        return process.communicate(timeout=180)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return "it hangs"


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver", "loky"])
def test_processes_after_a_fit_give_what_one_gives(method, tmp_path):
    assert run(tmp_path, SCRIPT, method) == "done\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_process_forked_while_a_thread_trains_does_not_wait_for_it(tmp_path):
    assert run(tmp_path, LOCKED) == "done\n"
