"""Scores and fits in 8 threads at once, loads beside a user's draws; other processes after a fit in this one."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from shared import ESTIMATORS, NETS, TINY, run, small

from sklatent import AutoencoderTransformer

X = np.random.RandomState(0).randint(0, 9, (200, 6)).astype(float)
Y = np.where(np.arange(200) < 60, np.arange(200) % 2, -1)
QUERIES = ("score_samples", "score_features", "transform", "predict", "predict_proba", "p_values")
THREADS, SECONDS = 8, 90  # the latter for what takes 10, also on a machine at work


def tiny(cls, **params):
    if cls.__name__ == "EncoderClassifier":
        params["encoder"] = small(AutoencoderTransformer, **TINY)
    return small(cls, **{**TINY, "n_blocks": 1, "n_layers": 1, "n_rounds": 1, **params})


def scores(fitted, n):
    """(tried, found) of n rounds in which each of the threads asks every estimator for all that it tells."""
    jobs = [(each, verb) for each in fitted for verb in QUERIES if hasattr(each, verb)]
    alone = [getattr(each, verb)(X) for each, verb in jobs]
    with ThreadPoolExecutor(THREADS) as pool:
        order = [i for _ in range(n * THREADS) for i in range(len(jobs))]
        beside = list(pool.map(lambda i: getattr(*jobs[i])(X), order))
    wrong = {i for i, found in zip(order, beside, strict=True) if not np.array_equal(found, alone[i])}
    return len(order), [f"{type(jobs[i][0]).__name__}.{jobs[i][1]} is another beside threads" for i in sorted(wrong)]


def fits(n):
    """(tried, found) of n rounds in which the threads fit at once, each with a seed of its own."""
    found = []
    for cls in NETS:
        jobs = [tiny(cls, random_state=seed) for seed in range(THREADS)]
        alone = [each.fit(X).score_samples(X) for each in jobs]
        for _ in range(n):
            draws = torch.get_rng_state()
            with ThreadPoolExecutor(THREADS) as pool:
                beside = list(pool.map(lambda each: each.fit(X).score_samples(X), jobs))
            if not np.array_equal(beside, alone):
                found.append(f"{cls.__name__}: fits at once are others than one by one")
            if not torch.equal(draws, torch.get_rng_state()):
                found.append(f"{cls.__name__}: fits at once move torch's global generator")
    return n * len(NETS) * THREADS, found


def loads(fitted, n):
    """(tried, found) of n loads of each beside a thread that draws from torch's global generator."""
    dumped, stop, moved = [pickle.dumps(each) for each in fitted], threading.Event(), []

    def draw():
        while not stop.is_set():
            torch.manual_seed(0)
            moved.append(not torch.equal(torch.cat([torch.rand(10) for _ in range(100)]), expected))

    torch.manual_seed(0)
    expected = torch.cat([torch.rand(10) for _ in range(100)])
    thread = threading.Thread(target=draw)
    thread.start()
    for _ in range(n):
        for each in dumped:
            pickle.loads(each)
    stop.set()
    thread.join()
    return n * len(dumped), [f"loads moved {sum(moved)} of {len(moved)} runs of a user's draws"] if any(moved) else []


# -- processes -------------------------------------------------------------------------------------------------------

AFTER_A_FIT = """
import sys
sys.path[:0] = {path!r}
import threads
if __name__ == "__main__":
    threads.fit_in_processes({method!r})
"""


def fit(seed):
    return tiny(AutoencoderTransformer, random_state=seed).fit(X).score_samples(X)


def fit_in_processes(method):
    """Exit with 1 if fits in other processes, after one in this one, are not as here."""
    import multiprocessing

    import joblib

    wide = np.random.RandomState(0).normal(size=(2000, 200))  # enough for OpenMP to start its threads
    AutoencoderTransformer(16, hidden_layer_sizes=(256,), max_iter=1, batch_size=1000, random_state=0).fit(wide)
    here = [fit(seed) for seed in range(4)]
    if method == "loky":
        there = joblib.Parallel(2)(joblib.delayed(fit)(seed) for seed in range(4))
    else:
        with multiprocessing.get_context(method).Pool(2) as pool:
            there = pool.map(fit, range(4))
    sys.exit(not np.allclose(here, there))  # as many threads, or one: to rounding


def processes(method):
    """What is wrong with fits in other processes, in words or None."""
    code = AFTER_A_FIT.format(path=sys.path, method=method)
    ours = {"OMP_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **ours},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, errors = child.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # and the children that hang
        child.communicate()
        return f"{method}: fits after a fit hang, with two threads"
    last = (errors.strip() or "they are others").splitlines()[-1]
    return f"{method}: fits after a fit fail: {last}" if child.returncode else None


def main(n):
    fitted = [tiny(cls).fit(X, Y) for cls in ESTIMATORS]
    tried, found = 0, []
    for part in (scores(fitted, n), fits(max(1, n // 4)), loads(fitted, n)):
        tried, found = tried + part[0], found + part[1]
    methods = ("fork", "spawn", "forkserver", "loky")
    return tried + len(methods), found + [words for method in methods if (words := processes(method))]


if __name__ == "__main__":
    run(main, 20)
