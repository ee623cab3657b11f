"""skorch's callbacks do their work in our fits, each shown by what it does."""

import json
import threading
import warnings

import numpy as np
import pytest
import torch
from common import NETS, small
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LoadInitState,
    LRScheduler,
    PrintLog,
    ProgressBar,
    TensorBoard,
    TrainEndCheckpoint,
)
from skorch.exceptions import SkorchException
from torch import nn

from sklatent import AutoencoderTransformer, EncoderClassifier
from sklatent._bridge.callbacks import Freeze

X = np.random.RandomState(0).normal(size=(200, 6))
VALID = {"early_stopping": True, "n_iter_no_change": 100}


def fit(*callbacks, max_iter=6, **params):
    return small(AutoencoderTransformer, max_iter=max_iter, callbacks=list(callbacks), **params).fit(X)


def weights(estimator):
    return estimator.net_.module_.state_dict()


@pytest.mark.parametrize("cls", NETS, ids=lambda cls: cls.__name__)
def test_history_has_skorch_s_own_keys(cls):
    estimator = small(cls, **VALID).fit(X)
    keys = {"epoch", "dur"} | {
        f"{part}_{what}" for part in ("train", "valid") for what in ("loss", "loss_best", "batch_count")
    }
    assert set(estimator.history_[0]) == keys
    losses = [epoch["train_loss"] for epoch in estimator.history_]
    best = [epoch["train_loss_best"] for epoch in estimator.history_]
    assert best == [loss < min(losses[:i], default=np.inf) for i, loss in enumerate(losses)]
    json.dumps(estimator.history_)


@pytest.mark.parametrize("params", [{}, {"monitor": "train_loss_best"}, {"monitor": None}])
def test_checkpoint(params, tmp_path):
    estimator = fit(Checkpoint(dirname=str(tmp_path), f_history="history.json", **params), **VALID)
    kept = torch.load(tmp_path / "params.pt", weights_only=True)
    monitor = params.get("monitor", "valid_loss_best")
    marks = [epoch["event_cp"] for epoch in estimator.history_]
    assert marks == [epoch[monitor] if monitor else True for epoch in estimator.history_]
    assert len(json.loads((tmp_path / "history.json").read_text())) == int(np.flatnonzero(marks)[-1]) + 1
    if monitor != "train_loss_best":  # early stopping takes the weights of the best epoch, too
        last_saved_is_best = monitor is not None or estimator.history_[-1]["valid_loss_best"]
        assert all(torch.equal(kept[k], v) for k, v in weights(estimator).items()) == last_saved_is_best


def test_checkpoint_without_rows_kept_apart_says_so():
    with pytest.raises(SkorchException, match="Make sure you have validation data"):
        fit(Checkpoint(f_params=None, f_optimizer=None, f_criterion=None, f_history=None))


def test_load_init_state_goes_on_where_a_checkpoint_ended(tmp_path):
    def checkpoint():
        return Checkpoint(dirname=str(tmp_path), monitor=None, f_history="history.json")

    first = fit(checkpoint(), LRScheduler(torch.optim.lr_scheduler.ConstantLR, factor=1.0), max_iter=3)
    kept = checkpoint()
    second = fit(
        kept,
        LoadInitState(kept),
        LRScheduler(torch.optim.lr_scheduler.ConstantLR, factor=1.0),
        max_iter=3,
        random_state=1,
    )
    assert second.n_iter_ == 6
    assert second.history_[2]["train_loss"] == first.history_[2]["train_loss"]
    assert second.history_[3]["train_loss"] < 1.1 * first.history_[2]["train_loss"]


def test_train_end_checkpoint(tmp_path):
    estimator = fit(TrainEndCheckpoint(dirname=str(tmp_path)))
    (path,) = tmp_path.glob("*params.pt")
    kept = torch.load(path, weights_only=True)
    assert all(torch.equal(kept[name], value) for name, value in weights(estimator).items())


class Writer:
    """As TensorBoard's: with a lock, so that nothing can copy it."""

    def __init__(self):
        self.lock, self.scalars, self.closed = threading.Lock(), [], False

    def add_scalar(self, tag, scalar_value, global_step):
        self.scalars.append((tag, scalar_value, global_step))

    def close(self):
        self.closed = True


def test_a_writer_is_shared():
    board = TensorBoard(Writer())
    estimator = fit(board)
    assert board.writer.closed
    found = [value for tag, value, _ in board.writer.scalars if tag == "Loss/train_loss"]
    assert found == [epoch["train_loss"] for epoch in estimator.history_]


def test_a_callback_that_cannot_be_copied_is_used_itself():
    class Odd(Callback):
        n_epochs = 0

        def __deepcopy__(self, memo):
            raise RuntimeError("one of a kind")

        def on_epoch_end(self, net, **kwargs):
            self.n_epochs += 1

    odd = Odd()
    fit(odd)
    assert odd.n_epochs == 6


def test_print_log_prints(capsys):
    fit(PrintLog(), max_iter=3)
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["epoch", "train_loss", "dur"]
    assert len(rows) == 3


def test_scorings():
    def mean_loss(net, X, y):
        return float(net.forward(X).mean())

    def norm_of_codes(net, X, y):
        return float(net.module_.encode(torch.from_numpy(X.X)).norm())

    estimator = fit(
        EpochScoring(mean_loss, name="mine", on_train=False),
        EpochScoring(mean_loss, name="anew", on_train=False, use_caching=False),
        EpochScoring(
            lambda net, X, y: float(net.module_.encode(torch.from_numpy(X.X)).norm()), name="codes", use_caching=False
        ),
        BatchScoring(mean_loss, name="by_batch", on_train=False),
        **VALID,
    )
    for epoch in estimator.history_:
        for name in ("mine", "anew", "by_batch"):
            assert_allclose(epoch[name], epoch["valid_loss"], rtol=1e-5)
        assert epoch["codes"] > 0
    assert estimator.history_[0]["mine_best"]


def test_early_stopping_of_the_user_s():
    estimator = fit(EarlyStopping("train_loss", patience=2, threshold=1e9, threshold_mode="abs", sink=lambda *_: None))
    assert estimator.n_iter_ == 3


def test_gradient_norm_clipping():
    norms = []

    class Norm(Callback):
        def on_grad_computed(self, net, named_parameters=None, **kwargs):
            norms.append(torch.stack([p.grad.norm() for _, p in named_parameters]).norm().item())

    fit(GradientNormClipping(1e-3), Norm())
    assert max(norms) < 1.001e-3


def test_freezer():
    def encoder_of(estimator):
        return [value for name, value in weights(estimator).items() if name.startswith("encoder")]

    short, long = (fit(Freezer("encoder.*"), max_iter=n) for n in (1, 5))
    for one, other in zip(encoder_of(short), encoder_of(long), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(weights(short)["decoder.net.0.weight"], weights(long)["decoder.net.0.weight"])


def test_progress_bar(capfd):
    fit(ProgressBar(detect_notebook=False), max_iter=2)
    assert "0/2 [" in capfd.readouterr().err, "batches of an epoch"


def test_freezing_leaves_what_a_builder_froze_as_it_is():
    def build(input_shape, output_shape, n_code, n_latent):
        encoder = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, n_code))
        encoder[0].requires_grad_(False)
        return encoder, nn.Linear(n_latent, 6)

    encoder = AutoencoderTransformer(3, architecture=build, max_iter=2, random_state=0)
    y = np.arange(200) % 2
    classifier = EncoderClassifier(encoder, freeze=1, max_iter=3, augmentation=None, random_state=0).fit(X, y)
    module = classifier.net_.module_
    assert not any(parameter.requires_grad for parameter in module.coder.encoder[0].parameters())
    assert all(parameter.requires_grad for parameter in module.coder.encoder[2].parameters())
    assert_array_equal(module.coder.encoder[0].weight, classifier.encoder_.net_.module_.encoder[0].weight)
    assert Freeze("coder", 1).n_epochs == 1


def test_nothing_is_printed_by_our_own_callbacks(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(**VALID)
    assert capfd.readouterr() == ("", "")
