"""Ctrl-C at random moments of fit and partial_fit."""

import os
import signal
import time

import numpy as np
import torch
from shared import NETS, TINY, run, small, state
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklatent import AutoencoderTransformer, DensityOutlierDetector, EncoderClassifier

X = np.random.RandomState(0).normal(size=(120, 4))
Y = np.where(np.arange(120) < 40, np.arange(120) % 2, -1)
LONGER = {**TINY, "n_blocks": 1, "n_layers": 1, "max_iter": 3, "batch_size": 40, "random_state": 0}
WHOLE = {"MADEDensity", "PixelCNNDensity", "PixelRNNDensity"}  # else the first chooses a mixture for seconds


def rows_of(name):
    return np.rint(X) if name in WHOLE else X


def calls():
    """(name, what makes an estimator, its call, whether that goes on with what is fitted)."""
    for cls in NETS:
        rows, name = rows_of(cls.__name__), cls.__name__
        for early in (False, True):
            yield f"{name}.fit", lambda cls=cls, e=early: small(cls, **LONGER, early_stopping=e), fitting(rows), False
        yield f"{name}.partial_fit", lambda cls=cls, rows=rows: small(cls, **LONGER).fit(rows), going_on(rows), True
    encoder = small(AutoencoderTransformer, **LONGER)
    classifier = small(EncoderClassifier, **LONGER, encoder=encoder, n_rounds=1)
    detector = DensityOutlierDetector(encoder, random_state=0)
    yield "EncoderClassifier.fit", lambda: clone(classifier), fitting(X), False
    yield "DensityOutlierDetector.fit", lambda: clone(detector), fitting(X), False
    yield "DensityOutlierDetector.partial_fit", lambda: clone(detector).fit(X), going_on(X), True


def fitting(rows):
    return lambda estimator: estimator.fit(rows, Y)


def going_on(rows):
    return lambda estimator: estimator.partial_fit(rows)


class Key:
    """A key that is pressed once, after some seconds, and tells whether that was within the library.

    Elsewhere, which is in this file, once the call is over or before it is begun, nothing is interrupted.
    """

    def __init__(self, seconds):
        self.seconds, self.place = seconds, None  # the line of the library in which it was pressed

    def __enter__(self):
        signal.signal(signal.SIGINT, self.interrupt)
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        return self

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, 0)

    def interrupt(self, number, frame):
        while frame is not None and f"{os.sep}sklatent{os.sep}" not in frame.f_code.co_filename:
            frame = frame.f_back
        if frame is not None:
            self.place = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
            raise KeyboardInterrupt


def everything(estimator):
    """What is saved, and the state of optimizers, which is not."""
    nets = [estimator, *vars(estimator).get("estimators_", ())]
    optimizers = [repr(net.net_.optimizer_.state_dict()["state"]) for net in nets if hasattr(net, "net_")]
    return state(estimator), optimizers


def called(estimator, call):
    call(estimator)
    return estimator


def pressed(make, call, goes_on, seconds):
    """Press a key in a call: the line it came to, None if it was too late, and what was then wrong, or None."""
    estimator = make()
    before, draws, came = everything(estimator), torch.get_rng_state(), None
    with Key(seconds) as key:
        try:
            call(estimator)
        except BaseException as error:
            came = error
    if key.place is None:
        return None, None
    if not isinstance(came, KeyboardInterrupt):
        return key.place, f"the key was swallowed, and {came!r} came instead"
    if signal.getsignal(signal.SIGINT) != key.interrupt:
        return key.place, "the handler of signals is another"
    if not torch.equal(draws, torch.get_rng_state()):
        return key.place, "torch's global generator moved"
    if goes_on:
        whole = everything(estimator) in (before, everything(called(make(), call)))  # a key may come as all is done
        return key.place, None if whole else "what was fitted changed"
    return key.place, half_fitted(estimator)


def half_fitted(estimator):
    """What is wrong with an estimator after a fit that was interrupted."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        left = [name for name in vars(estimator) if name.endswith("_") and not name.startswith("__")]
        return f"it is not fitted, but has {left}" if left else None
    if isinstance(estimator, DensityOutlierDetector):
        return "a detector is fitted"
    verb = "predict_proba" if hasattr(estimator, "predict_proba") else "score_samples"
    rows = rows_of(type(estimator).__name__)
    try:
        return None if np.isfinite(getattr(estimator, verb)(rows)).all() else "what it kept gives NaN"
    except Exception as error:
        return f"what it kept fails: {error!r}"


def main(n, calls=calls):
    calls, tried, found = list(calls()), 0, []
    lasts = []
    for _, make, call, _ in calls:
        estimator = make()
        start = time.perf_counter()
        call(estimator)
        lasts.append(time.perf_counter() - start)
    for i in range(2 * n):
        if tried == n:
            break
        name, make, call, goes_on = calls[i % len(calls)]
        seconds = max(1e-5, np.random.RandomState(i).uniform() * lasts[i % len(calls)])
        place, words = pressed(make, call, goes_on, seconds)
        tried += place is not None
        if words:
            found.append(f"{name}, key {i} after {1000 * seconds:.3f} ms at {place}: {words}")
    return tried, found


if __name__ == "__main__":
    run(main, 500)
