"""What an estimator is between its calls: public paths, versions, calls that fail or are interrupted."""

import contextlib
import copy
import inspect
import os
import pickle
import signal
import sys
import threading
import time
import warnings

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from common import ESTIMATORS, NETS, said, small
from joblib import Parallel, delayed
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

import sklatent
from sklatent import AutoencoderTransformer, EncoderClassifier, GraphLabelSpreading, MADEDensity
from sklatent._bridge import callbacks
from sklatent._bridge.callbacks import WeightAverage
from sklatent._bridge.training import RowNet

every = pytest.mark.parametrize("cls", NETS, ids=lambda cls: cls.__name__)
X = np.random.RandomState(0).normal(size=(200, 6))

# -- public paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sklatent.__all__)
def test_public_names_have_a_path_that_does_not_move(name):
    cls = getattr(sklatent, name)
    assert cls.__module__ == "sklatent"
    assert pickle.dumps(cls).count(b"sklatent") == 1
    assert pickle.loads(pickle.dumps(cls)) is cls
    source = inspect.getsource(cls)
    assert f"class {name}(" in source
    assert inspect.getsourcefile(cls) != sklatent.__file__


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_files_name_the_public_path(cls):
    assert skops.io.get_untrusted_types(data=skops.io.dumps(cls())) == [f"sklatent.{cls.__name__}"]


def test_a_subclass_is_found_where_it_is():
    class Mine(AutoencoderTransformer):
        pass

    assert Mine.__module__ == __name__
    assert clone(Mine(3)).n_components == 3
    loaded = cloudpickle.loads(cloudpickle.dumps(Mine(3, max_iter=1, random_state=0).fit(X)))
    assert loaded.transform(X).shape == (200, 3)


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_a_file_of_another_version_warns_and_names_both(cls, monkeypatch):
    estimator = small(cls)
    dumped = pickle.dumps(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert vars(pickle.loads(dumped)).keys() == vars(estimator).keys()
    version = sklatent.__version__
    monkeypatch.setattr(sklatent, "__version__", "99.1")
    with pytest.warns(InconsistentVersionWarning, match=rf"{cls.__name__} from version {version} when using .* 99.1"):
        pickle.loads(dumped)


# -- what fails ----------------------------------------------------------------------------------------------------


def press():
    """Press Ctrl-C, and give it time to be seen."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)


class Fail(Callback):
    """Raise an error, or press a key, in the second epoch of a fit and the first of a partial_fit."""

    def __init__(self, error=RuntimeError, epoch=1):
        self.error, self.epoch = error, epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) < self.epoch:
            return
        if self.error is KeyboardInterrupt:
            press()
        raise self.error("as planned")


def state(estimator):
    optimizer = copy.deepcopy(estimator.net_.optimizer_.state_dict()["state"])
    return estimator.__getstate__(), optimizer


def assert_same_state(one, other):
    (state_1, optimizer_1), (state_2, optimizer_2) = one, other
    assert state_1.keys() == state_2.keys()
    for name, array in state_1["_weights_"].items():
        assert_array_equal(array, state_2["_weights_"][name])
    assert state_1["history_"] == state_2["history_"]
    for key, values in optimizer_1.items():
        assert all(torch.equal(values[name], optimizer_2[key][name]) for name in values)


@every
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("verb", ["partial_fit", "fit"])
def test_a_call_that_goes_on_and_fails_leaves_the_estimator_as_it_was(cls, error, verb):
    estimator = small(cls, warm_start=True).fit(X)
    before = state(estimator)
    with pytest.raises(error):
        getattr(estimator.set_params(callbacks=[Fail(error)]), verb)(X[:100])
    estimator.set_params(callbacks=None)
    assert_same_state(state(estimator), before)
    other = small(cls, warm_start=True).fit(X)
    assert_array_equal(
        *(each.partial_fit(X[:50]).transform(X) if hasattr(cls, "transform") else 0 for each in (estimator, other))
    )


@every
def test_bad_rows_in_the_thirteenth_batch_undo_nothing(cls):
    estimator = small(cls)
    for _ in range(12):
        estimator.partial_fit(X[:40])
    before = state(estimator)
    with pytest.raises(ValueError, match="infinity"):
        estimator.partial_fit(np.full((3, 6), np.inf))
    assert_same_state(state(estimator), before)


@every
def test_a_fit_anew_that_fails_leaves_nothing_fitted(cls):
    estimator = small(cls).fit(X)
    for params in ({"callbacks": [Fail()]}, {"learning_rate": -1.0}):
        with pytest.raises((RuntimeError, ValueError)):
            clone(estimator).set_params(**params).fit(X)
        with pytest.raises((RuntimeError, ValueError)):
            estimator.set_params(**params).fit(X)
        with pytest.raises(NotFittedError):
            check_is_fitted(estimator)
        assert not [name for name in vars(estimator) if name.endswith("_")]
        estimator = small(cls).fit(X)


ROOT = os.path.dirname(sklatent.__file__)
LABELS = np.where(np.arange(200) < 30, np.arange(200) % 2, -1)
NAMED, OTHERS = (pd.DataFrame(X.round(), columns=list(names)) for names in ("abcdef", "uvwxyz"))


def quick(cls):
    params = {"encoder": small(AutoencoderTransformer, max_iter=1)} if cls is EncoderClassifier else {}
    return small(cls, max_iter=1, **params)


def failing(call, n):
    """How many functions of the package ``call`` came to; the n-th raises. Those of state.py undo, and never fail."""
    came_to = 0

    def profile(frame, event, _):
        nonlocal came_to
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(ROOT) and not name.endswith("state.py"):
            came_to += 1
            if came_to == n:
                raise RuntimeError("as planned")

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return came_to


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_wherever_a_fit_anew_fails_nothing_is_fitted_and_no_column_remembered(cls):
    estimator = quick(cls)
    n_calls = failing(lambda: estimator.fit(NAMED, LABELS), 0)
    expected = said(estimator, NAMED)
    for n in np.unique(np.linspace(3, n_calls, 4).astype(int)):  # the first are fit itself, and a _fit
        with pytest.raises(RuntimeError, match="as planned"):
            failing(lambda: estimator.fit(OTHERS, LABELS), n)
        assert not [name for name in vars(estimator) if name.endswith("_")]
        with pytest.raises(NotFittedError):
            said(estimator, NAMED)
        assert_array_equal(said(estimator.fit(NAMED, LABELS), NAMED), expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_rows_and_labels_that_are_refused_leave_nothing_fitted(cls):
    estimator = quick(cls).fit(NAMED, LABELS)
    bad = OTHERS.copy()
    bad.iloc[3, 2] = np.inf
    refused = [(bad, LABELS), (OTHERS[:0], LABELS[:0])]
    for rows, y in [*refused, (OTHERS, [None] * 200)] if hasattr(cls, "predict_proba") else refused:
        with pytest.raises(ValueError, match=r"infinity|0 sample|y holds None"):
            estimator.fit(rows, y)
        assert not [name for name in vars(estimator) if name.endswith("_")]
        estimator.fit(NAMED, LABELS)


# -- Ctrl-C --------------------------------------------------------------------------------------------------------


@every
def test_ctrl_c_in_fit_keeps_the_best_weights_so_far_and_goes_on_to_the_caller(cls):
    estimator = small(cls, max_iter=50, callbacks=[Fail(KeyboardInterrupt, epoch=3)])
    told = pytest.warns(UserWarning, match="Interrupted in epoch 3 of 50: the best weights so far are kept")
    with told, pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    assert estimator.n_iter_ == 3
    expected = small(cls, max_iter=50, callbacks=[Fail(None, epoch=3)])
    expected.callbacks[0].error = lambda text: KeyboardInterrupt(text)  # a callback's own way to stop
    assert_array_equal(said(estimator, X), said(expected.fit(X), X))
    said(pickle.loads(pickle.dumps(estimator.set_params(callbacks=None))), X)


def test_ctrl_c_with_early_stopping_takes_the_best_epoch():
    class Press(Callback):
        def on_epoch_end(self, net, **kwargs):
            losses = [epoch["valid_loss"] for epoch in net.history]
            if len(losses) - np.argmin(losses) == 3:
                best.append(int(np.argmin(losses)))
                press()

    best = []
    options = {"early_stopping": True, "n_iter_no_change": 20, "learning_rate": 0.05, "batch_size": 16}
    estimator = small(AutoencoderTransformer, max_iter=60, callbacks=[Press()], **options)
    with pytest.warns(UserWarning, match="Interrupted"), pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    valid = np.random.RandomState(seed).permutation(200)[:20]
    with torch.no_grad():
        loss = estimator.net_.module_(torch.from_numpy(X[valid])).mean().item()
    np.testing.assert_allclose(loss, estimator.history_[best[0]]["valid_loss"], rtol=1e-5)


def test_ctrl_c_before_the_first_epoch_is_no_error_of_early_stopping(monkeypatch):
    monkeypatch.setattr(RowNet, "get_iterator", lambda *args, **kwargs: press())
    with pytest.raises(KeyboardInterrupt):
        small(AutoencoderTransformer, early_stopping=True).fit(X)


def test_ctrl_c_before_the_first_step_leaves_nothing_fitted():
    class Press(Callback):
        def on_train_begin(self, net, **kwargs):
            press()

    estimator = small(AutoencoderTransformer, callbacks=[Press()])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    assert not hasattr(estimator, "net_")


def test_ctrl_c_in_the_classifier_keeps_a_usable_one_and_in_pretraining_none():
    y = np.where(np.arange(200) < 30, np.arange(200) % 2, -1)
    encoder = AutoencoderTransformer(2, max_iter=2, random_state=0)
    options = {"max_iter": 30, "n_rounds": 1, "random_state": 0}
    classifier = EncoderClassifier(encoder, callbacks=[Fail(KeyboardInterrupt, epoch=2)], **options)
    with pytest.warns(UserWarning, match="Interrupted in epoch 2 of 30"), pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert classifier.n_iter_ == 2
    assert classifier.predict(X).shape == classifier.transduction_.shape == (200,)
    encoder.set_params(callbacks=[Fail(KeyboardInterrupt)])
    with pytest.warns(UserWarning, match="Interrupted"), pytest.raises(KeyboardInterrupt):
        classifier.set_params(callbacks=None).fit(X, y)
    with pytest.raises(NotFittedError):
        check_is_fitted(classifier)


class Keeps(Callback):
    """One that a key would leave half done, and that keeps every error to itself."""

    def __init__(self, method):
        self.method = method

    def initialize(self):
        setattr(self, self.method, self.work)
        return self

    def work(self, *args, **kwargs):
        done.append(False)
        with contextlib.suppress(BaseException):
            press()
            done[-1] = True


done = []
HOOKS = ["on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end", "on_train_end"]


@pytest.mark.filterwarnings("ignore:Interrupted")
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("verb", ["fit", "partial_fit", "classifier"])
def test_a_key_pressed_in_a_callback_lets_it_finish_and_goes_on_to_the_caller(verb, hook):
    done.clear()
    estimator = small(AutoencoderTransformer, callbacks=[Keeps(hook)])
    if verb == "classifier":
        estimator = EncoderClassifier(
            small(AutoencoderTransformer), callbacks=[Keeps(hook)], max_iter=3, n_rounds=1, random_state=0
        )
    with pytest.raises(KeyboardInterrupt):
        getattr(estimator, "fit" if verb == "classifier" else verb)(X, LABELS)
    assert done == [True], "it is called once, as the key ends training"
    kept = verb != "partial_fit" and hook not in HOOKS[:3]  # before a step there is nothing to keep
    assert hasattr(estimator, "net_") == kept
    if kept:
        assert np.isfinite(said(estimator, X)).all()
        assert [epoch["epoch"] for epoch in estimator.history_] == list(range(1, estimator.n_iter_ + 1))


def test_a_key_pressed_twice_does_not_wait_for_a_callback_that_hangs():
    class Hangs(Callback):
        def on_epoch_begin(self, net, **kwargs):
            press()
            press()
            time.sleep(60)

    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        small(AutoencoderTransformer, callbacks=[Hangs()]).fit(X)
    assert time.perf_counter() - start < 30


def test_a_key_pressed_while_weights_are_swapped_for_their_average_mixes_nothing(monkeypatch):
    options = {"likelihood": "categorical", "n_levels": 4, "ema_decay": 0.9}
    expected = small(MADEDensity, **options).fit(X)
    weights, at_the_end = callbacks._weights, WeightAverage.on_train_end

    def pressing(net):
        for i, weight in enumerate(weights(net)):
            if i == 2:
                press()
            yield weight

    def on_train_end(self, net, **kwargs):
        monkeypatch.setattr(callbacks, "_weights", pressing)
        at_the_end(self, net, **kwargs)

    monkeypatch.setattr(WeightAverage, "on_train_end", on_train_end)
    density = small(MADEDensity, **options)
    with pytest.warns(UserWarning, match="Interrupted in epoch 3 of 3"), pytest.raises(KeyboardInterrupt):
        density.fit(X)
    assert_array_equal(density.score_samples(X), expected.score_samples(X))


def test_the_signal_handler_is_the_user_s_again():
    before = signal.getsignal(signal.SIGINT)
    small(AutoencoderTransformer).fit(X)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("when", ["set", "restored"])
def test_a_key_pressed_while_the_handler_is_changed_leaves_the_user_s(when, monkeypatch):
    before, change, changes = signal.getsignal(signal.SIGINT), signal.signal, []

    def changed(number, handler):
        changes.append(handler)
        if len(changes) == 2 and when == "restored":
            press()
        change(number, handler)
        if len(changes) == 1 and when == "set":
            press()

    monkeypatch.setattr(signal, "signal", changed)
    with pytest.raises(KeyboardInterrupt):
        small(AutoencoderTransformer).partial_fit(X)
    assert signal.getsignal(signal.SIGINT) is before


# -- what a pickle holds of the rows -----------------------------------------------------------------------------------


def test_a_graph_holds_the_rows_and_predicts_without_what_it_said_of_each():
    spreading = GraphLabelSpreading().fit(X, LABELS)
    expected = spreading.predict_proba(X + 0.1)
    assert 1 < len(pickle.dumps(spreading)) / X.nbytes < 2
    assert np.sort(X, axis=0)[7, 0].tobytes() in pickle.dumps(spreading)
    del spreading.label_distributions_, spreading.transduction_
    assert_array_equal(pickle.loads(pickle.dumps(spreading)).predict_proba(X + 0.1), expected)


def test_a_classifier_predicts_without_what_it_said_of_each_row():
    classifier = quick(EncoderClassifier).fit(X, LABELS)
    expected = classifier.predict_proba(X)
    for each in (classifier, classifier.graph_):
        del each.label_distributions_, each.transduction_
    assert_array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(X), expected)
    codes = np.unique(classifier.transform(X), axis=0)
    assert_array_equal(classifier.graph_._nodes_, codes)
    assert X.tobytes() not in pickle.dumps(classifier)
    classifier.fit(X, np.arange(200) % 2)
    assert not hasattr(classifier, "graph_")
    assert codes.tobytes() not in pickle.dumps(classifier)


# -- threads -------------------------------------------------------------------------------------------------------


def test_fits_in_threads_are_those_in_turn_and_move_nothing():
    flags = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    alone = [small(AutoencoderTransformer, max_iter=5, random_state=seed).fit(X).transform(X) for seed in range(4)]
    torch.manual_seed(3)
    before, found = torch.get_rng_state(), {}

    def run(seed):
        found[seed] = small(AutoencoderTransformer, max_iter=5, random_state=seed).fit(X).transform(X)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        assert_array_equal(found[seed], alone[seed])
    assert torch.equal(before, torch.get_rng_state())
    assert flags == (
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_joblib_s_threads_fit_as_one_does_and_move_nothing(cls):
    y = np.where(np.arange(200) < 30, np.arange(200) % 2, -1)
    params = {"encoder": small(AutoencoderTransformer, max_iter=1)} if cls is EncoderClassifier else {}

    def outputs(seed):
        return said(small(cls, max_iter=1, random_state=seed, **params).fit(X, y), X)

    flags = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    alone = [outputs(seed) for seed in range(4)]
    torch.manual_seed(3)
    before = torch.get_rng_state()
    beside = Parallel(n_jobs=4, backend="threading")(delayed(outputs)(seed) for seed in range(4))
    assert_array_equal(beside, alone)
    assert torch.equal(before, torch.get_rng_state())
    assert flags == (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
