"""The training bridge: what is true of `fit` whatever the model."""

import gc
import pickle
import weakref

import numpy as np
import pytest
import torch
from common import NETS, said, small
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback, LRScheduler

from sklatent import AutoencoderTransformer, MADEDensity, VAETransformer
from sklatent._bridge import rows
from sklatent._bridge.batches import Batches, Rows
from sklatent._bridge.callbacks import WarmUpCosine

every = pytest.mark.parametrize("cls", NETS, ids=lambda cls: cls.__name__)


def weights(estimator):
    return {name: array.copy() for name, array in estimator.__getstate__()["_weights_"].items()}


def assert_same_weights(one, other):
    for (name, a), b in zip(weights(one).items(), weights(other).values(), strict=True):
        assert_array_equal(a, b, err_msg=name)


@every
def test_fit_is_reproducible_and_moves_no_global_generator(cls, digits):
    np.random.seed(3)
    torch.manual_seed(3)
    state_np, state_torch = np.random.get_state()[1].copy(), torch.get_rng_state()
    one = small(cls, image_shape=(8, 8)).fit(digits[:200])
    np.random.rand(5)
    torch.rand(5)
    other = small(cls, image_shape=(8, 8)).fit(digits[:200])
    assert_same_weights(one, other)
    different = small(cls, image_shape=(8, 8), random_state=1).fit(digits[:200])
    assert any((a != b).any() for a, b in zip(weights(one).values(), weights(different).values(), strict=True))
    np.random.seed(3)
    torch.manual_seed(3)
    for seed in (0, None):
        estimator = small(cls, random_state=seed).fit(digits[:50, 20:26])
        said(estimator, digits[:50, 20:26])
        if hasattr(estimator, "sample"):
            estimator.sample(2)
    assert_array_equal(state_np, np.random.get_state()[1])
    assert torch.equal(state_torch, torch.get_rng_state())


@every
def test_a_row_s_result_does_not_depend_on_its_neighbours(cls, digits):
    estimator = small(cls, image_shape=(8, 8), max_iter=1).fit(digits[:300])
    shuffled = np.random.RandomState(0).permutation(len(digits))
    for name in ("score_samples", "transform"):
        if hasattr(estimator, name):
            apply = getattr(estimator, name)
            whole = apply(digits)
            for n in (1, 2, 63, 300):
                assert_array_equal(apply(digits[:n]), whole[:n])
            assert_array_equal(apply(digits[shuffled]), whole[shuffled])


@every
def test_dtypes_give_the_same_model(cls, digits):
    """uint8 rows are kept so until they are on their device, and mean what float64 rows mean."""
    one = small(cls, image_shape=(8, 8), max_iter=1).fit(digits[:200])
    for dtype in (np.uint8, np.float32, np.int64):
        other = small(cls, image_shape=(8, 8), max_iter=1).fit(digits[:200].astype(dtype))
        found, expected = said(other, digits[:20].astype(dtype)), said(one, digits[:20])
        assert_allclose(found, expected, rtol=5e-3, atol=1e-2 * expected.std())


def test_uint8_rows_reach_the_module_as_uint8(digits):
    class Spy(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            seen.append(batch[0].dtype)

    class Same(Spy):
        def __deepcopy__(self, memo):
            return self

    seen = []
    small(AutoencoderTransformer, callbacks=[Same()]).fit(digits[:100].astype(np.uint8))
    assert set(seen) == {torch.uint8}


@every
def test_read_only_memmap_is_not_copied_whole(cls, digits, tmp_path, monkeypatch):
    rows = np.tile(digits.astype(np.uint8), (3, 1))
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    taken = []
    original = Rows.__init__
    monkeypatch.setattr(
        Rows, "__init__", lambda self, X, *args, **kw: (taken.append(X), original(self, X, *args, **kw))[1]
    )
    estimator = small(cls, image_shape=(8, 8), max_iter=1).fit(mapped)
    assert np.shares_memory(taken[0], mapped)
    assert_array_equal(said(estimator, mapped[:5]), said(estimator, rows[:5]))


@every
def test_early_stopping_restores_the_best_weights(cls, digits):
    estimator = small(
        cls, image_shape=(8, 8), max_iter=40, early_stopping=True, validation_fraction=0.3, n_iter_no_change=2,
        learning_rate=0.05, tol=0.0, batch_size=16, kl_warmup=0, dropout=0.0,
    )  # fmt: skip
    estimator.fit(digits[:80])
    losses = [epoch["valid_loss"] for epoch in estimator.history_]
    assert estimator.n_iter_ == len(losses) < 40, "a rate this high must stop early"
    assert min(losses) < losses[-1]
    assert int(np.argmin(losses)) == estimator.n_iter_ - 3, "two epochs without a gain, then stop"
    kept = np.random.RandomState(0)  # the rows kept apart, as fit chooses them
    seed = int(kept.randint(2**31 - 1))
    valid = np.random.RandomState(seed).permutation(80)[:24]
    module = estimator.net_.module_
    with torch.no_grad():
        torch.manual_seed(0)
        loss = np.mean([module(torch.from_numpy(digits[valid])).mean().item() for _ in range(200)])
    assert_allclose(loss, min(losses), rtol=0.02)  # a VAE's loss is one draw's


@every
def test_partial_fit_is_one_pass_and_goes_on(cls, digits):
    estimator = small(cls, image_shape=(8, 8))
    for n in (1, 2, 3):
        assert estimator.partial_fit(digits[:200]) is estimator
        assert estimator.n_iter_ == n == len(estimator.history_)
    assert estimator.history_[-1]["train_loss"] < 1.01 * estimator.history_[0]["train_loss"]
    assert [epoch["epoch"] for epoch in estimator.history_] == [1, 2, 3]


@every
def test_warm_start_goes_on_and_refuses_another_architecture(cls, digits):
    estimator = small(cls, image_shape=(8, 8), warm_start=True).fit(digits[:200])
    before = estimator.history_[-1]["train_loss"]
    estimator.fit(digits[:200])
    assert estimator.n_iter_ == 6
    assert estimator.history_[3]["train_loss"] < 1.1 * before
    cold = small(cls, image_shape=(8, 8)).fit(digits[:200]).fit(digits[:200])
    assert cold.n_iter_ == 3
    name = "n_components" if hasattr(estimator, "n_components") else "n_filters"
    if name in estimator.get_params():
        with pytest.raises(ValueError, match=f"{name} changed since"):
            estimator.set_params(**{name: 5}).fit(digits[:200])


@every
def test_verbose_shows_a_bar_and_silence_is_silent(cls, digits, capfd):
    small(cls, image_shape=(8, 8)).fit(digits[:100])
    assert capfd.readouterr() == ("", "")
    small(cls, image_shape=(8, 8), verbose=1).fit(digits[:100])
    bar = capfd.readouterr().err
    for part in ("epoch 3/3", "rows/s", "train_loss=", "300/300", "<"):  # elapsed < left
        assert part in bar


def test_callbacks_are_copied_and_called(digits):
    class Count(Callback):
        n_epochs = 0

        def on_epoch_end(self, net, **kwargs):
            self.n_epochs += 1
            type(self).last_loss = net.history[-1, "train_loss"]

    callback = Count()
    estimator = small(AutoencoderTransformer, callbacks=[callback]).fit(digits[:100])
    assert callback.n_epochs == 0, "the parameter stays as it was given"
    assert Count.last_loss == estimator.history_[-1]["train_loss"]
    assert dict(estimator.net_.callbacks_)["callback0"].n_epochs == 3


def test_ctrl_c_passes_through_and_a_callback_may_stop(digits):
    class Press(Callback):
        def on_batch_begin(self, net, **kwargs):
            net.module_.register_forward_pre_hook(interrupt)

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    def interrupt(*_):
        raise KeyboardInterrupt

    stopped = small(AutoencoderTransformer, max_iter=9, callbacks=[Stop()]).fit(digits[:50])
    assert stopped.n_iter_ == 2
    estimator = small(AutoencoderTransformer, callbacks=[Press()])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(digits[:50])
    assert not hasattr(estimator, "net_")


def test_a_scheduler_of_the_user_s_takes_the_place_of_ours(digits):
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.5)
    estimator = small(AutoencoderTransformer, callbacks=[scheduler], learning_rate=8e-3).fit(digits[:50])
    assert_allclose(estimator.net_.optimizer_.param_groups[0]["lr"], 1e-3)


def test_callbacks_may_have_names_and_must_be_callbacks(digits):
    named = small(AutoencoderTransformer, callbacks=[("mine", Callback())]).fit(digits[:50])
    assert "mine" in dict(named.net_.callbacks_)
    with pytest.raises(TypeError, match="callbacks must hold skorch callbacks"):
        small(AutoencoderTransformer, callbacks=["mine"]).fit(digits[:50])


def test_kl_warm_up_ends_within_fit_and_goes_on_after_a_pickle(digits):
    class Weights(Callback):
        def on_batch_begin(self, net, training=False, **kwargs):
            if training:
                seen.append(net.module_.kl_weight)

    seen = []
    options = {"likelihood": "bernoulli", "warm_start": True, "random_state": 0}
    vae = VAETransformer(2, max_iter=4, kl_warmup=10, callbacks=[Weights()], **options)
    vae.fit(digits[:50])
    assert_allclose(seen, [1 / 3, 2 / 3, 1, 1])
    vae.set_params(callbacks=None)
    again = pickle.loads(pickle.dumps(vae)).set_params(callbacks=[Weights()])
    seen.clear()
    again.fit(digits[:50])
    assert seen == [1, 1, 1, 1]


def test_a_fit_on_the_cpu_seeds_no_other_device(digits):
    before = list(torch.cuda._lazy_seed_tracker.get_calls()) if hasattr(torch.cuda, "_lazy_seed_tracker") else []
    small(AutoencoderTransformer, device="cpu").fit(digits[:50])
    after = list(torch.cuda._lazy_seed_tracker.get_calls()) if hasattr(torch.cuda, "_lazy_seed_tracker") else []
    assert after == before


@every
def test_what_shapes_the_net_may_not_change_in_a_warm_start(cls, digits):
    estimator = small(cls, warm_start=True, n_levels=20).fit(digits[:50])
    for change in ({"image_shape": (8, 8)}, {"n_levels": 30}):
        if set(change) <= set(estimator.get_params()):
            twin = pickle.loads(pickle.dumps(estimator)).set_params(**change)
            with pytest.raises(ValueError, match=f"{next(iter(change))}.* changed since"):
                twin.fit(digits[:50])


def test_weight_decay_may_change_between_warm_starts(digits):
    estimator = small(AutoencoderTransformer, warm_start=True).fit(digits[:50])
    estimator.set_params(weight_decay=0.5).fit(digits[:50])
    assert estimator.net_.optimizer_.param_groups[0]["weight_decay"] == 0.5


def test_learning_rate_is_the_same_again_after_a_schedule(digits):
    estimator = small(AutoencoderTransformer, warm_start=True, learning_rate=1e-2).fit(digits[:100])
    (group,) = estimator.net_.optimizer_.param_groups
    assert group["lr"] < 6e-3, "the cosine came down"
    estimator.partial_fit(digits[:100])
    assert estimator.net_.optimizer_.param_groups[0]["lr"] == 1e-2


def test_rate_rises_and_falls():
    schedule = WarmUpCosine(200, (1.0,))
    assert [round(schedule.rate(step), 3) for step in (0, 5, 6, 103, 199)] == [0.167, 1.0, 1.0, 0.5, 0.0]


def test_batches_visit_every_row_once_in_the_array_s_dtype():
    X = np.arange(20, dtype=np.uint8).reshape(10, 2)
    torch.manual_seed(0)
    batches = [batch for batch, _ in Batches(Rows(X, np.arange(3, 10)), 4, shuffle=True)]
    assert [len(batch) for batch in batches] == [4, 3]
    assert sorted(int(row[0]) // 2 for batch in batches for row in batch) == list(range(3, 10))
    assert batches[0].dtype == torch.uint8


def test_bfloat16_trains_and_scores_in_float32(digits):
    plain = small(AutoencoderTransformer, max_iter=10).fit(digits[:300])
    half = small(AutoencoderTransformer, max_iter=10, precision="bfloat16").fit(digits[:300])
    assert half.transform(digits[:2]).dtype == np.float32
    assert_allclose(half.score(digits), plain.score(digits), rtol=0.05)


def test_features_of_very_different_size_train(digits):
    """1e6 beside 1e-6, and a large offset with a small spread: the same fit as in common units."""
    X = digits[:400, [20, 21, 26, 27, 34, 35]] + np.random.RandomState(0).normal(size=(400, 6))
    sizes = np.array([1e6, 1e-6, 1, 1e3, 1e-3, 1])
    for cls in (AutoencoderTransformer, VAETransformer):
        plain = small(cls, max_iter=20).fit(X)
        scaled = small(cls, max_iter=20).fit(X * sizes + 1e3 * sizes)
        assert_allclose(scaled.transform(X * sizes + 1e3 * sizes), plain.transform(X), rtol=1e-3, atol=1e-4)


def test_compile_changes_nothing_but_the_speed(digits, monkeypatch):
    original = torch.nn.Module.compile  # traced as ever, but without the minutes that code generation takes
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **_: original(self, backend="eager"))
    plain = small(AutoencoderTransformer).fit(digits[:128])
    compiled = small(AutoencoderTransformer, compile=True).fit(digits[:128])
    assert set(weights(compiled)) == set(weights(plain)), "weights keep their names"
    assert_allclose(compiled.transform(digits[:20]), plain.transform(digits[:20]), rtol=1e-3, atol=1e-4)


# -- what is learned from the rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
def test_a_constant_has_scale_one_in_two_chunks(shared):
    values = np.random.RandomState(0).uniform(0.01, 1, 64)
    X = np.tile(np.full(64, values[0]) if shared else values, (70_000, 1))
    assert_array_equal(rows.learn_affine(X, "u", shared=shared)["u.scale"], 1)
    X[:, 0] = np.random.RandomState(0).normal(size=70_000)
    assert_allclose(rows.learn_affine(X, "u")["u.scale"], [X[:, 0].std(), *np.ones(63)])


def test_levels_of_a_large_constant_and_a_message_of_nearly_whole_numbers():
    X = np.c_[np.full(40, 1.7e18), np.random.RandomState(0).normal(size=(40, 3))]
    _, levels = rows.learn_levels(X, None, shared=False)
    assert (levels["levels.width"] > 0).all()
    assert (levels["levels.lower"] < X[0]).all()
    with pytest.raises(ValueError, match=r"such as 3\.0000000000000004"):
        rows.check_whole(np.array([[1.0, 3.0000000000000004]]), "Model")


# -- what training keeps -----------------------------------------------------------------------------------------------


def test_a_second_fit_has_a_schedule_of_its_own(digits):
    class Rates(Callback):
        def on_epoch_begin(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    rates = []
    estimator = small(AutoencoderTransformer, warm_start=True, learning_rate=8e-3).fit(digits[:50])
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.5)
    estimator.set_params(callbacks=[scheduler, Rates()]).fit(digits[:50]).fit(digits[:50])
    assert_allclose(rates, 2 * [8e-3, 4e-3, 2e-3])
    assert [epoch["epoch"] for epoch in estimator.history_] == list(range(1, 10))


def test_early_stopping_keeps_no_rows(digits):
    X = digits[:100].copy()
    kept = weakref.ref(X)
    estimator = small(AutoencoderTransformer, early_stopping=True).fit(X)
    del X
    gc.collect()
    assert kept() is None
    assert len(estimator.net_.callbacks) == 0


def test_a_callback_may_stop_before_the_first_epoch_or_after_the_last(digits):
    class Stop(Callback):
        def __init__(self, when):
            setattr(self, when, self.stop)

        def stop(self, net, **kwargs):
            raise KeyboardInterrupt

    for when, n_epochs in [("on_train_begin", 0), ("on_train_end", 3)]:
        assert small(AutoencoderTransformer, callbacks=[Stop(when)]).fit(digits[:50]).n_iter_ == n_epochs
    with pytest.raises(ValueError, match="loss became"):
        small(AutoencoderTransformer, callbacks=[Stop("on_train_end")], learning_rate=1e30).fit(digits[:50])


def test_statistics_of_a_second_fit_are_of_its_rows(digits):
    density = MADEDensity(hidden_layer_sizes=(8,), max_iter=1, warm_start=True, random_state=0).fit(digits[:40])
    assert_allclose(density.set_params(max_iter=20).fit(digits[:40]).transform(digits[:40]).mean(axis=0), 0, atol=1e-4)
