"""Each campaign finds a fault that is planted for it."""

import mmap
import os
import signal
import time
from contextlib import suppress

import changed_files
import fuzz
import leaks
import numpy as np
import p_values
import pytest
import signals
import skops.io
import threads
import torch
from campaigns import __main__ as runner
from common import small
from numpy.testing import assert_array_equal

from sklatent import AutoencoderTransformer, HistogramDensity

X = np.random.RandomState(0).normal(size=(100, 3))

# -- fuzz ------------------------------------------------------------------------------------------------------------


class Planted(HistogramDensity):
    def score_samples(self, X):
        return self.planted(super().score_samples(X), np.asarray(X))


class Changes(Planted):
    def planted(self, scores, X):
        self._log_empty_ = self._log_empty_ + 1
        return scores


class Loses(Planted):
    def planted(self, scores, X):
        return scores + (np.nan if X.dtype == np.float32 else 0)


class Compares(Planted):
    def planted(self, scores, X):
        return scores - scores.mean()


class Draws(Planted):
    def planted(self, scores, X):
        torch.rand(1)
        return scores


class Breaks(Planted):
    def planted(self, scores, X):
        return scores if X.flags["C_CONTIGUOUS"] else scores.reshape(7, -1, 11)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Changes, "a query changed the estimator"),
        (Loses, "score_samples gives NaN"),
        (Compares, "Arrays are not equal"),
        (Draws, "torch's global generator moved"),
        (Breaks, "cannot reshape array of size"),
    ],
)
def test_sequences_find(cls, message):
    with pytest.raises(Exception, match=message) as found:
        fuzz.check(cls, 30)
    assert "state.start(" in " ".join(found.value.__notes__), "how to repeat it"


# -- changed files -----------------------------------------------------------------------------------------------------


def in_the_library(*_):
    exec(compile("bytearray(2**45)", "sklatent/planted.py", "exec"))


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (lambda *_: os.kill(os.getpid(), signal.SIGKILL), "dies by SIGKILL"),
        (lambda *_: time.sleep(9), "takes more than 1 seconds"),
        (in_the_library, "takes 10 times the file and 500 MB"),
        (lambda *_: os.system("true"), "runs what is not to be trusted"),
        (lambda *_: eval, "runs what is not to be trusted"),
        (lambda *_: HistogramDensity().fit(changed_files.X), None),
        (lambda *_: HistogramDensity().fit(None), None),
    ],
)
def test_changed_files_find(load, words, monkeypatch):
    monkeypatch.setattr(changed_files, "SECONDS", 1)
    kind = changed_files.Kind(None, None, load)
    assert changed_files.told(changed_files.end_of(changed_files.load_and_score, kind, b"", [])) == words


@pytest.mark.parametrize("change", changed_files.CHANGES, ids=lambda change: change.__name__)
def test_a_change_reaches_the_reader(change):
    kind = changed_files.SKOPS
    data = skops.io.dumps(small(AutoencoderTransformer, max_iter=1).fit(X))
    parts, n_changed = kind.unpack(data), []
    for seed in range(10):
        changed = kind.unpack(kind.pack(change(np.random.RandomState(seed), parts)))
        n_changed.append(sum(changed[name] != part for name, part in parts.items()))
    assert max(n_changed) in (1, 2)
    assert n_changed.count(0) < 5


# -- signals -----------------------------------------------------------------------------------------------------------


def long_fit(estimator):
    estimator.set_params(max_iter=10**5).fit(signals.X)


def fit_anew(estimator):
    estimator.set_params(max_iter=300).fit(signals.X)


def fit_that_swallows(estimator):
    with suppress(KeyboardInterrupt):
        long_fit(estimator)


def fit_that_fails(estimator):
    try:
        long_fit(estimator)
    except KeyboardInterrupt as error:
        raise IndexError("no epoch") from error


def fit_that_leaves_a_handler(estimator):
    try:
        long_fit(estimator)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def fit_that_leaves_half(estimator):
    try:
        long_fit(estimator)
    finally:
        del estimator.net_


@pytest.mark.parametrize(
    ("call", "goes_on", "words"),
    [
        (fit_that_swallows, False, "swallowed, and None came"),
        (fit_that_fails, False, "swallowed, and IndexError"),
        (fit_that_leaves_a_handler, False, "the handler of signals is another"),
        (fit_that_leaves_half, False, "what it kept fails: AttributeError"),
        (fit_anew, True, "what was fitted changed"),
        (long_fit, False, None),
    ],
)
@pytest.mark.filterwarnings("ignore:Interrupted")
def test_signals_find(call, goes_on, words):
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGALRM)]
    try:
        place, found = signals.pressed(lambda: small(AutoencoderTransformer).fit(signals.X), call, goes_on, 0.1)
    finally:
        for each, handler in zip((signal.SIGINT, signal.SIGALRM), handlers, strict=True):
            signal.signal(each, handler)
    assert place is not None
    assert found is None if words is None else words in found


# -- leaks -------------------------------------------------------------------------------------------------------------


def test_leaks_find():
    kept = []

    def keep():
        kept.append(mmap.mmap(-1, 2**21))  # not from what is already there, as an array may be
        kept[-1].write(bytes(2**21))

    assert "MB" in leaks.leak(keep, 5)
    assert "5 open files" in leaks.leak(lambda: kept.append(open(os.devnull)), 5)  # noqa: SIM115
    assert leaks.leak(lambda: np.ones(2**18), 5) is None


# -- threads and processes ---------------------------------------------------------------------------------------------


class Counts(Planted):
    calls = 0

    def planted(self, scores, X):
        type(self).calls += 1
        return scores + type(self).calls


class DrawsInALoad(HistogramDensity):
    def __setstate__(self, state):
        torch.rand(1)
        time.sleep(1e-3)  # the other thread comes to draw
        super().__setstate__(state)


def test_threads_find(monkeypatch):
    assert threads.scores([HistogramDensity().fit(threads.X)], 1) == (16, [])
    assert threads.scores([Counts().fit(threads.X)], 1)[1] == ["Counts.score_samples is another beside threads"]
    assert "loads moved" in threads.loads([DrawsInALoad().fit(threads.X)], 100)[1][0]
    monkeypatch.setattr(threads, "SECONDS", 0.01)
    assert threads.processes("spawn") == "spawn: fits after a fit hang, with two threads"


# -- p-values ----------------------------------------------------------------------------------------------------------


def test_false_alarms_find():
    normal, moved = p_values.normal, p_values.moved
    assert p_values.wrong(HistogramDensity, normal, normal, False, 10)[0] is None
    assert "false alarms at 0.05" in p_values.wrong(HistogramDensity, normal, moved, False, 10)[0]
    assert "false alarms at 0.05" in p_values.wrong(HistogramDensity, normal, normal, True, 10)[0]


def test_repeated_rows_are_as_often_there_as_they_say():
    _, counts = np.unique(p_values.repeated(5)(np.random.RandomState(0), 200), axis=0, return_counts=True)
    assert_array_equal(counts, np.full(200, 5))


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_table_takes_the_place_of_the_one_before():
    page = f"above\n{runner.MARKS[0]}old\n{runner.MARKS[1]}below\n"
    results = {"leaks": {"tried": 1234, "found": ["a leak\nof  two"], "seconds": 5}}
    written = runner.written(page, results)
    assert "| Memory, threads and open files after many fits of one estimator | 1,234 | 1 | 5 |" in written
    assert "- `leaks`: a leak of two\n" in written
    assert (written.startswith("above\n"), written.endswith("below\n"), "old" in written) == (True, True, False)
    assert runner.written(written, results) == written


def test_all_campaigns_are_run():
    assert {*runner.CAMPAIGNS, "mutants", "faults", "shared", "__main__"} == {
        path.stem for path in runner.HERE.glob("*.py")
    }
    assert runner.PAGE.exists()
