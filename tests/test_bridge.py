"""Small parts of the bridge, each alone, against numbers worked out by hand."""

import inspect
import math
import signal
import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, LRScheduler
from torch import nn

from sklatent import AutoencoderTransformer, EncoderClassifier, VAETransformer
from sklatent._bridge import batches, rows, training, unsupervised
from sklatent._bridge.base import check_widths, fits_float32, fresh_seed
from sklatent._bridge.batches import Batches, Rows
from sklatent._bridge.callbacks import LinearWarmUp, Looks, StopAfter, StopTraining, WarmUpCosine, WeightAverage
from sklatent._bridge.distributed import ALONE
from sklatent._bridge.loading import Aside, check_saved
from sklatent._bridge.state import Estimator, Interrupted, all_or_nothing
from sklatent._bridge.training import Phase
from sklatent._bridge.unsupervised import tell_if_falling

X = np.random.RandomState(0).normal(size=(200, 4)) * [1, 2, 3, 4] + [0, 5, -5, 1]
quiet = pytest.mark.filterwarnings("ignore:The net does not beat", "ignore:The loss of rows kept apart still fell")


# -- callbacks ---------------------------------------------------------------------------------------------------------


def test_each_step_of_fit_has_the_rate_of_its_schedule():
    class Rates(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    rates = []
    AutoencoderTransformer(2, max_iter=10, batch_size=20, learning_rate=0.01, callbacks=[Rates()], random_state=0).fit(
        X
    )
    rise = [1 / 3, 2 / 3, 1]  # 3 % of 100 steps
    fall = [0.5 + 0.5 * math.cos(math.pi * step / 97) for step in range(97)]
    assert_allclose(rates, 0.01 * np.array(rise + fall))


class Net:
    """What ``Looks`` asks of a net: its losses are those given, its one weight the number of the step."""

    def __init__(self, losses):
        self.losses, self.module_, self.step, self.device = losses, nn.Linear(1, 1, bias=False), 0, "cpu"
        self.recorded, self.history = (
            {},
            SimpleNamespace(record=lambda name, value: self.recorded.update({name: value})),
        )

    def row_losses(self, rows):
        return np.asarray(self.losses(self.step), dtype=float)

    def run(self, looks, n_steps):
        """An epoch of so many steps."""
        looks.on_train_begin(self)
        for step in range(1, n_steps + 1):
            self.step = step
            self.module_.weight.data.fill_(step)
            looks.on_batch_end(self, training=False)  # no step
            try:
                looks.on_batch_end(self, training=True)
            except StopTraining:
                break
        looks.on_epoch_end(self)
        looks.on_train_end(self)
        return looks


def test_looks_come_every_five_steps_and_later_every_tenth_more():
    net = Net(lambda step: [1 - step / 1000] * 2)
    looks = net.run(Looks(Rows(X)), 100)
    assert [step for step, _ in looks.trace_] == [*range(0, 56, 5), 60, 66, 72, 79, 86, 94]
    assert_allclose([loss for _, loss in looks.trace_][:3], [1, 0.995, 0.99])
    assert net.recorded == {"valid_loss": 1 - 0.094}


def test_looks_end_with_the_best_weights_once_twice_their_steps_brought_nothing():
    net = Net(lambda step: [abs(step - 50) + 1.0, abs(step - 50) + 3.0])
    looks = net.run(Looks(Rows(X), least=20), 1000)
    assert looks.best_step_ == 50
    assert_array_equal(looks.best_, [1, 3])
    assert_array_equal(looks.start_, [51, 53])
    assert net.module_.weight.item() == 50
    assert net.step == 103  # 79, 86, 94 are less than 2 * 50
    net = Net(lambda step: [1.0 + step, 1.0])
    looks = net.run(Looks(Rows(X)), 1000)
    assert looks.best_step_ == 0
    assert looks.best_ is looks.start_
    assert net.step == 215  # 200 steps at least; after 179 and 196
    assert Net(lambda step: [1.0, 1.0]).run(Looks(Rows(X)), 20).best_step_ == 0  # the first of equals


def test_gains_are_more_than_one_standard_error():
    looks = Looks(Rows(X))
    gain = np.array([1.0, 2.0, 3.0, 6.0])
    deviation = math.sqrt((4 + 1 + 0 + 9) / 3 / 4)  # of the mean, which is 3
    for share, expected in [(0.99, True), (1.01, False)]:
        looks.start_, looks.best_step_ = gain, 5
        looks.best_ = np.full(4, 3 - deviation / share)  # a mean gain of deviation / share
        assert looks.gains() == expected
    looks.best_step_, looks.best_ = 0, gain - 1
    assert not looks.gains()


def test_a_stop_after_so_many_steps():
    stop = StopAfter(3)
    stop.on_train_begin(None)
    stop.on_batch_end(None, training=True)
    stop.on_batch_end(None, training=False)
    stop.on_batch_end(None, training=True)
    with pytest.raises(StopTraining):
        stop.on_batch_end(None, training=True)


def test_a_warm_up_rises_by_equal_steps_to_one():
    net = SimpleNamespace(module_=SimpleNamespace())
    warm_up, seen = LinearWarmUp("weight", 3, n_done=1), []
    warm_up.on_train_begin(net)
    for _ in range(4):
        warm_up.on_epoch_begin(net)
        seen.append(net.module_.weight)
    assert_allclose(seen, [0.5, 0.75, 1, 1])
    warm_up = LinearWarmUp("weight", 9)
    warm_up.on_train_begin(net)
    warm_up.on_epoch_begin(net)
    assert_allclose(net.module_.weight, 0.1)
    warm_up.on_train_end(net)
    assert net.module_.weight == 1


def test_the_average_of_the_weights_is_the_formula_s():
    net = SimpleNamespace(module_=nn.Linear(1, 1, bias=False))
    weight = net.module_.weight
    weight.data.fill_(1.0)
    average = WeightAverage(0.3)
    average.on_train_begin(net)
    average.on_epoch_begin(net)
    expected = 1.0
    for step, value in enumerate([5.0, -2.0, 7.0, 3.0, 4.0]):
        weight.data.fill_(value)
        average.on_batch_end(net, training=True)
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    average.on_batch_begin(net, training=False)  # of rows kept apart
    assert_allclose(weight.item(), expected)
    average.on_batch_end(net, training=False)
    average.on_epoch_begin(net)
    assert weight.item() == 4
    average.on_train_end(net)
    assert_allclose(weight.item(), expected)


# -- training ----------------------------------------------------------------------------------------------------------


def test_epochs_make_about_so_many_steps():
    assert training.epochs(100, 64, 10) == 15  # of 7 steps
    assert training.epochs(105, 70, 10) == 15
    assert training.epochs(106, 70, 10) == 16
    assert training.epochs(100, 64, 10, 20) == 20
    assert training.epochs(100, 64, 10, 1, 12) == 12


def test_batches_are_counted_and_come_in_order_unless_shuffled():
    batches = Batches(Rows(X), 30)
    assert len(batches) == 7
    assert len(Batches(Rows(X), 50)) == 4
    assert_array_equal(torch.cat([batch for batch, _ in batches]), X)
    assert not torch.equal(torch.cat([batch for batch, _ in Batches(Rows(X), 30, shuffle=True)]), torch.from_numpy(X))


def test_a_scheduler_of_the_user_s_starts_at_the_rate_of_its_own_fit():
    class Rates(Callback):
        def on_epoch_begin(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    rates, given = [], [LRScheduler("LambdaLR", lr_lambda=lambda epoch: 0.5**epoch), Rates()]
    model = AutoencoderTransformer(2, max_iter=2, learning_rate=8e-3, warm_start=True, callbacks=given, random_state=0)
    model.fit(X).set_params(learning_rate=2e-3).fit(X)
    assert_allclose(rates, [8e-3, 4e-3, 2e-3, 1e-3])


def test_each_epoch_of_fit_sees_all_rows_in_another_order():
    class Seen(Callback):
        def on_batch_end(self, net, batch, **kwargs):
            seen.append(batch[0][:, 0].numpy())

    seen = []
    AutoencoderTransformer(2, max_iter=2, batch_size=50, callbacks=[Seen()], random_state=0).fit(X)
    first, second = np.concatenate(seen[:4]), np.concatenate(seen[4:])
    for epoch in (first, second):
        assert_array_equal(np.sort(epoch), np.sort(X[:, 0]))
        assert (epoch != X[:, 0]).sum() > 150
    assert (first != second).sum() > 150


def test_one_scheduler_of_the_user_s_among_others_is_enough():
    net = SimpleNamespace(batch_size=10, ranks_=ALONE)
    for given, n_ours in [((), 1), ((Callback(),), 1), ((Callback(), LRScheduler()), 0), ((LRScheduler(),), 0)]:
        theirs, ours = Phase(Rows(X), 2, (0.1,), callbacks=given).all_callbacks(net, 0)
        assert [each for _, each in theirs] == list(given)
        assert [type(each) for _, each in ours] == n_ours * [WarmUpCosine]
    _, ((_, schedule),) = Phase(Rows(X), 3, (0.1,)).all_callbacks(net, 0)
    assert schedule.n_steps == 60


def test_a_loss_that_stays_the_same_is_not_the_best_again():
    still = {"learning_rate": 1e-30, "weight_decay": 0}
    model = AutoencoderTransformer(2, max_iter=3, batch_size=60, early_stopping=True, random_state=0, **still)
    history = model.fit(X).history_
    assert [epoch["valid_loss_best"] for epoch in history] == [True, False, False]
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]
    assert [epoch["epoch"] for epoch in model.partial_fit(X).history_] == [1, 2, 3, 4]
    assert model.n_iter_ == 4
    assert model.n_steps_ == 3 * 3 + 4  # 180 rows, then 200
    assert not model.net_.module_.training


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows_and_the_best_is_below_all_before():
    model = AutoencoderTransformer(2, max_iter=20, batch_size=60, learning_rate=0.2, random_state=0).fit(X)
    losses = [epoch["train_loss"] for epoch in model.history_]
    best = [loss < min(losses[:i], default=np.inf) for i, loss in enumerate(losses)]
    assert [epoch["train_loss_best"] for epoch in model.history_] == best
    assert 1 < sum(best) < 19
    model.set_params(learning_rate=1e-30, weight_decay=0).partial_fit(X)  # batches of 60, 60, 60, 20
    with torch.no_grad():
        exact = model.net_.module_.train()(torch.from_numpy(X)).mean().item()
    assert_allclose(model.history_[-1]["train_loss"], exact, rtol=1e-5)


def test_rows_kept_apart_are_the_share_rounded_up_and_follow_the_seed():
    model = AutoencoderTransformer(2, early_stopping=True, validation_fraction=0.1)
    assert [len(model._validation_rows(n, 0)) for n in (10, 11, 95, 100)] == [1, 2, 10, 10]
    assert set(model._validation_rows(100, 0)) != set(model._validation_rows(100, 1))
    assert_array_equal(model._validation_rows(100, 1), np.sort(model._validation_rows(100, 1)))


def test_seeds_of_all_sizes_are_taken():
    assert fresh_seed(0) == fresh_seed(np.random.RandomState(0)) != fresh_seed(1)
    assert len({fresh_seed(None) for _ in range(5)}) == 5
    random = np.random.RandomState(0)
    assert fresh_seed(random) != fresh_seed(random)


def test_bits_are_nats_by_log_2_and_features():
    model = VAETransformer(2, max_iter=1, random_state=0).fit(X)
    assert_allclose(model.bits_per_dim(X), -model.score_samples(X).mean() / 4 / math.log(2))


@pytest.mark.parametrize("widths", [(3, 0), (0, 3), (2.5, 3), (3, -1)])
def test_one_width_that_is_none_is_enough_to_refuse_them(widths):
    with pytest.raises(ValueError, match="must be positive integers"):
        check_widths(widths)


def test_widths_are_a_tuple_of_whole_numbers():
    assert [check_widths(widths) for widths in (None, (), 1, [1, 3], np.array([4, 1]))] == [
        None,
        (),
        (1,),
        (1, 3),
        (4, 1),
    ]


def test_a_module_in_the_encoder_of_a_classifier_is_named_as_the_encoder_names_it():
    classifier = EncoderClassifier(AutoencoderTransformer(2, architecture=nn.Linear(4, 4), max_iter=1))
    with pytest.raises(TypeError, match="^architecture is an instance of Linear"):
        classifier.fit(X, np.arange(200) % 2)


def test_buffers_that_float32_does_not_hold():
    info = torch.finfo(torch.float32)
    for value, fits in [(0.0, True), (info.tiny, True), (-info.max, True), (info.tiny / 2, False), (-1e39, False)]:
        module = nn.Module()
        module.register_buffer("b", torch.tensor([1.0, value], dtype=torch.float64))
        assert fits_float32(module) == fits


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": np.float32([[1, np.nan, 3]])}, "'weight' hold NaN"),
        ({"weight": np.zeros((3, 1), np.float32)}, r"'weight' should be float32 \(1, 3\), but are float32 \(3, 1\)"),
        ({"weight": np.zeros((1, 3), np.int64)}, r"should be float32 \(1, 3\), but are int64"),
        ({"more": np.zeros(2)}, r"'more' should be none , but are float64 \(2,\)"),
    ],
)
def test_saved_arrays_that_are_not_the_module_s(change, message):
    module = nn.Linear(3, 1)
    saved = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    check_saved(saved, module, "Model")
    check_saved({name: array.astype(np.float64) for name, array in saved.items()}, module, "Model")
    with pytest.raises(ValueError, match=message):
        check_saved(saved | change, module, "Model")
    with pytest.raises(ValueError, match="'bias' should be float32 .* but are none"):
        check_saved({"weight": saved["weight"]}, module, "Model")


def test_a_module_built_aside_has_the_draws_of_its_seed():
    torch.manual_seed(5)
    expected = nn.Linear(3, 2)
    state = torch.get_rng_state()
    with Aside(5):
        found = nn.Linear(3, 2)
    assert torch.equal(found.weight, expected.weight)
    assert torch.equal(found.bias, expected.bias)
    assert torch.equal(torch.get_rng_state(), state)


def failed(holder, change, error, **options):
    """What ``all_or_nothing`` makes of a call that changes the holder, and then fails."""

    @all_or_nothing(holder, **options)
    def call():
        change(holder)
        raise error

    with pytest.raises(type(error)):
        call()
    return vars(holder)


class Holder(Estimator):
    pass


def test_what_a_failed_call_changes_in_place_is_what_it_was():
    def change(holder):
        holder.array_ += 1
        holder.pairs_[0][1]["b"].append(2)
        holder.pairs_.append(3)
        inner.components_[:] = 0
        inner.n_components = 5
        holder.new_, holder.parameter = 1, [2]

    holder, inner = Holder(), PCA(2).fit(X)
    components = inner.components_.copy()
    vars(holder).update({"parameter": [1], "array_": np.zeros(3), "pairs_": [("a", {"b": [1]})], "inner_": inner})
    left = failed(holder, change, RuntimeError(), anew=False)
    assert left.keys() == {"parameter", "array_", "pairs_", "inner_"}
    assert_array_equal(left["array_"], 0)
    assert left["pairs_"] == [("a", {"b": [1]})]
    assert left["inner_"] is inner
    assert_array_equal(inner.components_, components)
    assert inner.n_components == 2
    assert left["parameter"] == [2]  # no result of a fit


def test_a_failed_call_that_starts_anew_leaves_nothing_but_what_an_interrupt_has_kept():
    holder = Holder()
    change = partial(setattr, holder, "array_")
    assert failed(holder, lambda _: change(1), RuntimeError()) == {}
    assert failed(holder, lambda _: change(2), Interrupted(holder)) == {"array_": 2}
    assert failed(holder, lambda _: change(3), Interrupted(Holder())) == {}


def test_inspect_is_told_the_file_and_others_the_package():
    assert inspect.getmodule(AutoencoderTransformer).__name__ == "sklatent._autoencoders.autoencoder"
    assert AutoencoderTransformer.__module__ == "sklatent"
    assert Phase.__module__ == "sklatent._bridge.training"


# -- from the linear start ---------------------------------------------------------------------------------------------


@quiet
def test_the_baseline_is_the_mean_loss_of_a_fifth_of_the_rows(monkeypatch):
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 1)
    losses = []
    for seed in (0, 1):
        model = AutoencoderTransformer(2, random_state=seed).fit(X)
        order = np.random.RandomState(fresh_seed(seed)).permutation(200)
        apart, rest = X[np.sort(order[:40])], X[np.sort(order[40:])]
        shift, scale = rest.mean(axis=0), rest.std(axis=0)
        pca = PCA(2).fit((rest - shift) / scale)
        U = (apart - shift) / scale
        error = np.square(pca.inverse_transform(pca.transform(U)) - U).sum(axis=1)
        assert_allclose(model.baseline_loss_, error.mean(), rtol=1e-4)
        losses.append(model.baseline_loss_)
    assert losses[0] != losses[1]


def test_of_fewer_than_ten_rows_none_are_kept_apart():
    with pytest.warns(UserWarning, match="Of 9 rows none can be kept apart"):
        model = AutoencoderTransformer(2, random_state=0).fit(X[:9])
    assert (model.n_steps_, model.n_iter_, model.history_) == (0, 0, [])
    assert not hasattr(model, "baseline_loss_")
    assert_allclose(model.inverse_transform(model.transform(X[:9])).mean(axis=0), X[:9].mean(axis=0), rtol=1e-5)


@quiet
@pytest.mark.parametrize(("training", "step", "kept"), [(0, 13, (5, 10)), (1, 3, (3,))])
def test_ctrl_c_on_the_way_from_the_start_keeps_what_was_gained(training, step, kept, monkeypatch):
    class Press(Callback):
        def on_train_begin(self, net, **kwargs):
            begun.append(0)

        def on_batch_end(self, net, training=False, **kwargs):
            begun[-1] += 1
            if (len(begun) - 1, begun[-1]) == which:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 60)
    begun, which = [], (training, step)
    z = np.random.RandomState(0).uniform(-2, 2, (300, 2))
    curved = np.c_[z, z[:, :1] ** 2, z[:, :1] * z[:, 1:]]
    model = AutoencoderTransformer(2, learning_rate=0.01, callbacks=[Press()], random_state=0)
    with pytest.warns(UserWarning, match="Interrupted in epoch"), pytest.raises(KeyboardInterrupt):
        model.fit(curved)
    assert len(begun) == training + 1
    assert model.n_steps_ in kept
    assert model.n_iter_ == len(model.history_) > 0 or training == 0
    assert model.held_out_loss_ < model.baseline_loss_
    assert np.isfinite(model.transform(curved)).all()


def test_steps_from_the_start_are_as_many_as_asked_for_or_three_epochs():
    model = AutoencoderTransformer(2, batch_size=60, learning_rate=0.1)
    few, many = model._steps(Rows(X), 10, StopAfter(1)), model._steps(Rows(np.repeat(X, 5, axis=0)), 10, StopAfter(1))
    assert (few.n_epochs, few.n_steps, few.n_warm) == (3, 10, 100)  # of 4 steps
    assert (many.n_epochs, many.n_steps, many.n_warm) == (3, 48, 100)  # of 16 and a rest


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ([9, 8, 7, 6, 5, 4.5, 4, 3.5, 3.0, 2.96], True),  # 1.3 % in the last tenth
        ([9, 8, 7, 6, 5, 4.5, 4, 3.5, 3.0, 2.98], False),  # 0.7 %
        ([9, 8, 7, 6, 5, 4.5, 4, 2.0, 3.0, 2.5], False),  # it was lower before
        ([-1, -2, -3, -4, -5, -6, -7, -8, -9.0, -9.5], True),
        ([9, 8, 7, 6, 5, 4.5, 4, 3.5, 3.0, 3.2], False),
    ],
)
def test_a_loss_that_still_falls_is_told(losses, told):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        tell_if_falling(losses, range(1, 11), "epochs", 10)
    assert [each.category for each in found] == [ConvergenceWarning] * told
    assert all(f"from {losses[8]:.4g} to {losses[9]:.4g}" in str(each.message) for each in found)


def test_epochs_of_rows_kept_apart_are_counted_from_one_and_not_told_where_fit_ended_early(monkeypatch):
    told = []
    monkeypatch.setattr(
        unsupervised, "tell_if_falling", lambda losses, times, *rest: told.append((losses, [*times], *rest))
    )
    model = AutoencoderTransformer(2, max_iter=3, early_stopping=True, n_iter_no_change=2, tol=0, random_state=0).fit(X)
    losses = [epoch["valid_loss"] for epoch in model.history_]
    assert told == [(losses, [1, 2, 3], "epochs", 3)]
    model.set_params(max_iter=9, learning_rate=1e-30, weight_decay=0).fit(X)
    assert model.n_iter_ < 9
    assert len(told) == 1


# -- what is learned from the rows -------------------------------------------------------------------------------------


def test_scaling_of_a_table_and_of_an_image():
    assert_allclose(rows.learn_affine(0.01 * X, "u")["u.scale"], 0.01 * X.std(axis=0))
    table = rows.learn_affine(X, "u")
    assert_allclose(table["u.shift"], X.mean(axis=0))
    assert_allclose(table["u.scale"], X.std(axis=0))
    image = rows.learn_affine(X, "u", shared=True)
    assert_allclose(image["u.shift"], [X.mean()] * 4)
    assert_allclose(image["u.scale"], [X.std()] * 4)
    for found in (table, image):
        assert_allclose(found["u.lower"] * found["u.scale"] + found["u.shift"], X.min(axis=0))
        assert_allclose(found["u.upper"] * found["u.scale"] + found["u.shift"], X.max(axis=0))
    unit = rows.learn_affine(X, "u", onto="unit")
    assert_allclose(unit["u.shift"], X.min(axis=0))
    assert_allclose(unit["u.scale"], np.ptp(X, axis=0))
    unit = rows.learn_affine(X, "u", onto="unit", shared=True)
    assert_allclose(unit["u.shift"], [X.min()] * 4)
    assert_allclose(unit["u.scale"], [np.ptp(X)] * 4)


@pytest.mark.parametrize("shared", [False, True])
def test_values_from_0_to_1_stay_as_they_are_and_others_do_not(shared):
    shares = np.array([[0, 0.25, 1], [0, 0.75, 1], [0, 0.5, 1]])
    found = rows.learn_affine(shares, "u", onto="unit", shared=shared)
    assert_array_equal(found["u.shift"], 0)
    assert_array_equal(found["u.scale"], 1)
    assert_array_equal(found["u.lower"], [0, 0.25, 1])
    assert_array_equal(found["u.upper"], [0, 0.75, 1])
    for other in (2 * shares, shares - 1e-3):
        found = rows.learn_affine(other, "u", onto="unit", shared=shared)
        assert_allclose(found["u.shift"], other.min() if shared else other.min(axis=0))
        assert_allclose(found["u.scale"], np.ptp(other) if shared else [1, np.ptp(other[:, 1]), 1])


def test_a_constant_pixel_is_scaled_as_the_others_and_a_constant_feature_by_one():
    rows_ = np.c_[X[:, :2], np.full(200, 7.0)]
    assert_allclose(rows.learn_affine(rows_, "u", shared=True)["u.scale"], [rows_.std()] * 3)
    assert_allclose(rows.learn_affine(rows_, "u")["u.scale"], [*X[:, :2].std(axis=0), 1])


def test_bins_of_real_values_span_their_range_with_a_little_margin():
    rows_ = np.c_[np.linspace(0, 10, 50), np.full(50, 3.0)]
    decided, levels = rows.learn_levels(rows_, 5, shared=False)
    assert decided == {"n_levels": 5, "whole": False, "ragged": False}
    assert_allclose(levels["levels.lower"], [-1e-4, 3 - 1e-5], rtol=0, atol=1e-12)
    assert_allclose(levels["levels.upper"], [10 + 1e-4, 4 + 1e-5], rtol=0, atol=1e-12)
    assert_allclose(levels["levels.width"], [10.0002 / 5, 1.00002 / 5])
    assert rows.learn_levels(rows_, None, shared=False)[0]["n_levels"] == 32
    decided, levels = rows.learn_levels(rows_, None, shared=True)
    assert decided["n_levels"] == 256
    assert_allclose(levels["levels.lower"], [-1e-4] * 2)


def test_bins_of_whole_numbers_are_whole():
    rows_ = np.array([[0, 5], [999, 8], [3, 6]])
    decided, levels = rows.learn_levels(rows_, None, shared=False)
    assert decided == {"n_levels": 250, "whole": True, "ragged": True}  # of 4: ceil(1000 / 256)
    assert_array_equal(levels["levels.width"], [4, 1])
    assert_array_equal(levels["levels.lower"], [0, 5])
    assert_array_equal(levels["levels.upper"], [999, 8])
    decided, levels = rows.learn_levels(rows_[:, 1:], 9, shared=False)
    assert decided == {"n_levels": 9, "whole": True, "ragged": False}
    assert_array_equal(levels["levels.lower"], [0])
    assert_array_equal(levels["levels.upper"], [8])
    decided, levels = rows.learn_levels(rows_[:, 1:], 8, shared=False)
    assert decided["n_levels"] == 4
    assert_array_equal(levels["levels.lower"], [5])


@pytest.mark.parametrize(
    ("shape", "told"),
    [((8, 8, 3), True), ((5, 6, 4), True), ((4, 6, 3), False), ((6, 4, 3), False), ((8, 8, 5), False)],
)
def test_channels_that_seem_to_come_last_are_told(shape, told):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert rows.check_image_shape(shape, math.prod(shape)) == shape
    assert len(found) == told
    assert all(f"pass {(shape[2], *shape[:2])}" in str(each.message) for each in found)


@pytest.mark.parametrize("shape", [(0, 5), (4,), (1, 1, 1, 4), (2.0, 2), (-2, -2)])
def test_shapes_that_are_none(shape):
    with pytest.raises(ValueError, match="must be"):
        rows.check_image_shape(shape, 4)


def test_draws_and_regret_follow_their_seed():
    model = VAETransformer(2, max_iter=1, random_state=0).fit(X)
    assert_array_equal(model.sample(5, random_state=3), model.sample(5, random_state=3))
    assert not np.array_equal(model.sample(5, random_state=3), model.sample(5, random_state=4))


def test_rows_on_a_device_are_the_same_rows_in_the_same_order(monkeypatch):
    """By a device that is the CPU by another name: what is placed comes in batches as what is not."""
    monkeypatch.setattr(batches, "free_memory", lambda device: 1000)
    monkeypatch.setattr(batches, "PLACED", 7)
    X, weights = np.arange(60.0).reshape(20, 3), np.linspace(0.1, 1, 20)
    other = SimpleNamespace(type="other")
    monkeypatch.setattr(batches, "place", lambda what, device: what)
    monkeypatch.setattr(torch, "arange", lambda n, device=None, real=torch.arange: real(n))
    index = np.array([3, 3, 1, 19, 7])
    for here in (Rows(X, index, X[:, :1]), Rows(X.astype(np.uint8), index, weights=weights)):
        placed = here.on(other)
        assert placed is not here
        assert len(placed) == 5
        torch.manual_seed(0)
        expected = list(Batches(here, 2, shuffle=True))
        torch.manual_seed(0)
        for found, wanted in zip(Batches(placed, 2, shuffle=True), expected, strict=True):
            assert torch.equal(found[0], wanted[0])
            assert found[0].dtype == wanted[0].dtype
            if isinstance(wanted[1], tuple):
                assert torch.equal(found[1][1], wanted[1][1])
            else:
                assert torch.equal(found[1], wanted[1])
    assert Rows(X).on(torch.device("cpu")).X is X
    for large in (Rows(np.zeros((1000, 3))), Rows(np.zeros((40, 1)), n_draws=2)):
        assert large.on(other) is large  # beyond its share; versions that are drawn from


def test_out_of_memory_in_training_says_what_to_pass(monkeypatch):
    def no_room(self, batch, training):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(training.RowNet, "_step", no_room)
    with pytest.raises(
        torch.cuda.OutOfMemoryError, match="batch_size=64 rows of 4 features and precision='float32'.*20.00"
    ):
        AutoencoderTransformer(2, batch_size=64, max_iter=1).fit(X)
