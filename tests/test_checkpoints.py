"""A fit that was killed goes on from its checkpoint, and ends with the weights of one that was not, to the bit."""

import json
import multiprocessing
import os
import resource
import signal
import warnings

import numpy as np
import pytest
import torch
from common import NETS, small
from numpy.testing import assert_array_equal
from skorch.callbacks import EarlyStopping, LRScheduler
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

import sklatent
from sklatent import AutoencoderTransformer, EncoderClassifier, MADEDensity, VAETransformer
from sklatent._bridge import checkpoints, unsupervised
from sklatent._bridge.training import RowNet


class Killed(BaseException):
    """Nothing catches it."""


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)


@pytest.fixture(scope="module")
def rows(digits):
    return digits[:120].astype(np.float32)


@pytest.fixture
def die_at(monkeypatch):
    """die_at(n): no training goes beyond its n-th step in all, until die_at(None)."""
    step, left = RowNet.train_step_single, [None]

    def until(self, batch, **params):
        if left[0] is not None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
        return step(self, batch, **params)

    monkeypatch.setattr(RowNet, "train_step_single", until)
    return lambda n: left.__setitem__(0, n)


def weights(estimator):
    return estimator.__getstate__()["_weights_"]


def assert_same_training(one, other):
    for name, array in weights(one).items():
        assert_array_equal(array, weights(other)[name], err_msg=name)
    assert one.n_steps_ == other.n_steps_
    for a, b in zip(one.history_, other.history_, strict=True):
        assert {k: v for k, v in a.items() if k != "dur"} == {k: v for k, v in b.items() if k != "dur"}


def killed(estimator, X, y, die_at, *steps):
    """The estimator, fitted in as many attempts as there are steps to die at, and one."""
    for n in steps:
        die_at(n)
        with pytest.raises(Killed):
            estimator.fit(X, y)
    die_at(None)
    return estimator.fit(X, y)


def fitted_in_parts(make, X, folder, die_at, *steps, y=None):
    """An uninterrupted fit and one in parts; all files are gone after it."""
    whole, parts = make(), make().set_params(checkpoint=folder)
    die_at(None)
    whole.fit(X, y)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The checkpoint|checkpoint=")
        killed(parts, X, y, die_at, *steps)
    assert os.listdir(folder) == []
    return whole, parts


KINDS = {
    **{cls.__name__: lambda cls=cls: small(cls, image_shape=(8, 8), max_iter=6, batch_size=32) for cls in NETS},
    "early stopping": lambda: small(
        AutoencoderTransformer, max_iter=8, batch_size=32, early_stopping=True, tol=2, n_iter_no_change=3
    ),
    "average": lambda: small(MADEDensity, max_iter=6, batch_size=32, ema_decay=0.9, early_stopping=True),
    "warps": lambda: small(AutoencoderTransformer, max_iter=6, batch_size=32, image_shape=(8, 8), corruption="affine"),
    "one cycle": lambda: small(
        AutoencoderTransformer, max_iter=6, batch_size=32,
        callbacks=[LRScheduler(OneCycleLR, max_lr=0.01, total_steps=24, step_every="batch")],
    ),
    "plateau": lambda: small(
        AutoencoderTransformer, max_iter=6, batch_size=32, early_stopping=True,
        callbacks=[LRScheduler(ReduceLROnPlateau, monitor="valid_loss", patience=0), EarlyStopping(patience=3)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_fit_in_three_parts_is_the_fit_to_the_bit(name, rows, tmp_path, die_at):
    assert_same_training(*fitted_in_parts(KINDS[name], rows, tmp_path, die_at, 6, 5))


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer, MADEDensity])
def test_a_fit_from_its_linear_model_goes_on_in_both_its_trainings(cls, rows, tmp_path, die_at, monkeypatch):
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 60)
    X = np.random.RandomState(0).normal(size=(120, 3)) @ np.diag([3, 2, 1])
    X = np.c_[X[:, :2], np.sin(X[:, :2]), X[:, :2] ** 2 / 4] + 0.01 * np.random.RandomState(1).normal(size=(120, 6))

    def make():
        return small(cls, max_iter=None, batch_size=20, learning_rate=0.02)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a loss that still falls
        whole = make()
        n_first = steps_of_the_first(whole, X)
        parts = killed(make().set_params(checkpoint=tmp_path), X, None, die_at, 17, n_first - 8, 7)
    assert_same_training(whole, parts)
    assert whole.held_out_loss_ == parts.held_out_loss_
    assert os.listdir(tmp_path) == []


def steps_of_the_first(estimator, X):
    """Fit, and count the steps of the first of its two trainings."""
    counts, train = [], type(estimator)._train

    def counted(self, *args, **kwargs):
        pressed = train(self, *args, **kwargs)
        counts.append(self.n_steps_)
        return pressed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(estimator), "_train", counted)
        estimator.fit(X)
    assert len(counts) == 2, "the second trains on all rows"
    return counts[0]


def test_the_classifier_goes_on_in_its_encoder_and_in_each_training_of_its_own(rows, labels, tmp_path, die_at):
    few = np.where(np.arange(120) < 40, labels[:120], -1)
    encoder = small(AutoencoderTransformer, image_shape=(8, 8), max_iter=6, batch_size=32)

    def make():
        return EncoderClassifier(encoder, batch_size=40, max_iter=4, freeze=2, n_rounds=2, random_state=0)

    whole, parts = fitted_in_parts(make, rows, tmp_path, die_at, 15, 12, 10, 11, y=few)
    assert_same_training(whole, parts)
    assert_array_equal(whole.predict_proba(rows), parts.predict_proba(rows))
    assert encoder.checkpoint is None


def test_a_warm_started_fit_goes_on(rows, tmp_path, die_at):
    whole, parts = (small(AutoencoderTransformer, warm_start=True, batch_size=32).fit(rows) for _ in range(2))
    whole.fit(rows)
    killed(parts.set_params(checkpoint=tmp_path), rows, None, die_at, 6)
    assert_same_training(whole, parts)


@pytest.fixture
def left(rows, tmp_path, die_at):
    """An estimator whose fit was killed in its fifth epoch, and its file."""
    estimator = small(AutoencoderTransformer, max_iter=6, batch_size=32, checkpoint=tmp_path)
    die_at(18)
    with pytest.raises(Killed):
        estimator.fit(rows)
    die_at(None)
    (path,) = tmp_path.glob("*.checkpoint")
    return estimator, path


@pytest.fixture(scope="module")
def whole(rows):
    return small(AutoencoderTransformer, max_iter=6, batch_size=32).fit(rows)


def n_trained(monkeypatch):
    """A list that gets an item with each step."""
    steps, step = [], RowNet.train_step_single
    monkeypatch.setattr(RowNet, "train_step_single", lambda self, *args: (steps.append(1), step(self, *args))[1])
    return steps


def changed(path, change):
    """Change what a file holds, with its checksum."""
    state = checkpoints.loads(path.read_bytes())
    change(state)
    path.write_bytes(checkpoints.dumps(state))


def _weights_of_another_shape(state):
    state["module"] = {name: tensor.reshape(-1)[:1] for name, tensor in state["module"].items()}


CHANGES = {
    "nan": (lambda state: next(iter(state["module"].values())).fill_(torch.nan), "hold NaN"),
    "shape": (_weights_of_another_shape, "should be"),
    "optimizer": (lambda state: state["optimizer"]["1"].update(exp_avg=torch.zeros(1)), "exp_avg of weights 1"),
    "random": (lambda state: state.update(random=[torch.zeros(3, dtype=torch.uint8)]), "RNG state"),
    "epochs": (lambda state: state.update(history=state["history"] * 3), "its history is another's"),
    "version": (lambda state: state["known_by"].update(version="0.0.1"), "version 0.0.1 there"),
    "no such key": (lambda state: state.pop("random"), "random"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_is_refused_with_the_reason_and_the_one_before_it_used(change, left, whole, rows, monkeypatch):
    estimator, path = left
    changed(path, CHANGES[change][0])
    steps = n_trained(monkeypatch)
    with pytest.warns(UserWarning, match=rf"checkpoint '{path}' is not used: .*{CHANGES[change][1]}"):
        estimator.fit(rows)
    assert_same_training(whole, estimator)
    assert len(steps) == 12, "three of six epochs"


@pytest.mark.parametrize("n_left", [0, 10, 70, 2000, -1])
def test_a_truncated_file_is_refused_and_the_one_before_it_used(n_left, left, whole, rows, monkeypatch):
    estimator, path = left
    path.write_bytes(path.read_bytes()[:n_left])
    steps = n_trained(monkeypatch)
    with pytest.warns(UserWarning, match="is not used: it was cut short or changed"):
        estimator.fit(rows)
    assert_same_training(whole, estimator)
    assert len(steps) == 12


def test_a_file_that_was_lost_between_two_names(left, whole, rows, monkeypatch):
    estimator, path = left
    path.unlink()
    steps = n_trained(monkeypatch)
    assert_same_training(whole, estimator.fit(rows))
    assert len(steps) == 12


def test_two_broken_files_mean_a_start_from_the_beginning(left, whole, rows, monkeypatch):
    estimator, path = left
    for each in (path, path.with_suffix(".before")):
        each.write_bytes(b"garbage\n" * 100)
    steps = n_trained(monkeypatch)
    with pytest.warns(UserWarning, match="cut short or changed"):
        assert_same_training(whole, estimator.fit(rows))
    assert len(steps) == 24


@pytest.mark.parametrize(
    ("params", "change", "reason"),
    [
        ({"learning_rate": 0.01}, None, "learning_rate is 0.005 there, 0.01 here"),
        ({"random_state": 1}, None, "random_state is 0 there, 1 here"),
        ({}, lambda X: X + 1, "the rows are others"),
    ],
)
def test_what_another_fit_has_left_is_told_and_left_alone(params, change, reason, left, rows, tmp_path):
    estimator, path = left
    kept = path.read_bytes()
    with pytest.warns(UserWarning, match=f"cannot go on from.*{reason}"):
        estimator.set_params(**params).fit(change(rows) if change else rows)
    assert path.read_bytes() == kept
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, path.with_suffix(".before").name])


def test_partial_fit_writes_nothing_and_a_folder_is_made(rows, tmp_path):
    estimator = small(AutoencoderTransformer, checkpoint=tmp_path / "a" / "b").partial_fit(rows)
    assert os.listdir(tmp_path / "a" / "b") == []
    assert estimator.n_iter_ == 1


def test_a_folder_that_cannot_be_written_to(rows, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="must be a folder that can be written to"):
        small(AutoencoderTransformer, checkpoint=tmp_path / "file" / "folder").fit(rows)


def test_without_a_random_state(rows, tmp_path):
    with pytest.raises(ValueError, match="needs a random_state"):
        small(AutoencoderTransformer, checkpoint=tmp_path, random_state=None).fit(rows)


def test_files_hold_plain_values_and_arrays_alone(left):
    _, path = left
    checksum, words, _ = path.read_bytes().split(b"\n", 2)
    assert len(checksum) == 64
    assert json.loads(words)["dict"].keys() >= {"known_by", "module", "optimizer", "random", "history"}
    with pytest.raises(TypeError, match="neither plain nor an array"):
        checkpoints.dumps({"a": np.array([object()])})


def test_a_file_takes_a_small_share_of_the_time(rows, tmp_path, monkeypatch):
    monkeypatch.undo()
    clock, writes = [0.0], []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(checkpoints, "_write", lambda *_: (writes.append(clock[0]), clock.__setitem__(0, clock[0] + 1)))
    step = RowNet.train_step_single

    def five_seconds(self, *args):
        clock[0] += 5
        return step(self, *args)

    monkeypatch.setattr(RowNet, "train_step_single", five_seconds)
    small(AutoencoderTransformer, max_iter=20, batch_size=120, checkpoint=tmp_path).fit(rows)
    assert writes == [5, 26, 47, 68, 89], "one second in twenty, but for the first"


# -- real processes ----------------------------------------------------------------------------------------------


def _fit(folder, X, die_at_write=None, most_bytes=None):
    """In a process of its own: fit, and leave the weights; dies in the middle of a write, or has a full disk."""
    torch.set_num_threads(1)
    checkpoints.SHARE = 1e9
    replace, calls = os.replace, []

    def fatal(*paths):
        calls.append(paths)
        if len(calls) == die_at_write:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    checkpoints.os.replace = fatal
    if most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        estimator = small(AutoencoderTransformer, max_iter=6, batch_size=32, checkpoint=folder / "files").fit(X)
    words = [str(each.message) for each in told]
    (folder / "told").write_text(json.dumps(words))
    if not most_bytes:
        np.savez(folder / "weights.npz", **weights(estimator))


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "sklatent"])
    return context


def ran(processes, **options):
    process = processes.Process(target=_fit, kwargs=options)
    process.start()
    process.join(60)
    return process.exitcode


def test_killed_between_the_renames(processes, whole, rows, tmp_path):
    assert ran(processes, folder=tmp_path, X=rows, die_at_write=6) == -signal.SIGKILL
    assert ran(processes, folder=tmp_path, X=rows, die_at_write=3) == -signal.SIGKILL
    assert ran(processes, folder=tmp_path, X=rows) == 0
    with np.load(tmp_path / "weights.npz") as found:
        for name, array in weights(whole).items():
            assert_array_equal(array, found[name])
    assert os.listdir(tmp_path / "files") == []


def test_a_full_disk_ends_no_training(processes, rows, tmp_path):
    assert ran(processes, folder=tmp_path, X=rows, most_bytes=2000) == 0
    (told,) = json.loads((tmp_path / "told").read_bytes())
    assert "cannot be written, and training goes on without" in told
    assert os.listdir(tmp_path / "files") == []


def test_the_version_is_the_package_s(left):
    _, path = left
    assert checkpoints.loads(path.read_bytes())["known_by"]["version"] == sklatent.__version__
