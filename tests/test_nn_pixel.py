"""What PixelCNN and PixelRNN, and all autoregressive models, share, against numbers known by other means."""

from functools import partial

import pytest
import torch
from common_nn import (
    CNNS,
    RNNS,
    SHAPES,
    check_frequencies_of_samples,
    check_order_of_dependence,
    check_samples_repeat,
    check_slope,
    every_row,
    movements,
    random_core,
    random_image_model,
    random_values,
    take_steps,
    train,
)
from torch.testing import assert_close

from sklatent._nn.autoregressive import AutoregressiveModel
from sklatent._nn.layers import Head
from sklatent._nn.likelihoods import Categorical, DiscretizedLogisticMixture
from sklatent._nn.pixelcnn import PixelCNN
from sklatent._nn.pixelrnn import CELLS, PixelRNN
from sklatent._nn.scaling import Levels

ONE = torch.tensor(1.0, dtype=torch.float64)


def each(cores):
    return pytest.mark.parametrize("make", cores.values(), ids=cores.keys())


each_core = each(CNNS | RNNS)


@pytest.mark.parametrize(
    ("image_shape", "n_levels"),
    [((1, 1, 1), 5), ((1, 3, 3), 2), ((1, 1, 9), 2), ((1, 5, 1), 3), ((2, 2, 2), 2), ((3, 1, 2), 3)],
)
@pytest.mark.parametrize("likelihood", [Categorical, DiscretizedLogisticMixture])
@each_core
def test_all_rows_sum_to_one(make, image_shape, n_levels, likelihood):
    every = every_row(torch.Size(image_shape).numel(), n_levels)
    log_p = random_image_model(make, image_shape, n_levels, likelihood(n_levels)).log_prob(every)
    assert log_p.std() > 0.1
    assert_close(log_p.exp().sum(), ONE, atol=1e-6, rtol=0)


@pytest.mark.parametrize("width", [0.25, 2.0])
@each_core
def test_binned_rows_are_a_density(make, width):
    model = random_image_model(make, (1, 1, 2), 4)
    model.levels = Levels(2, 4, whole=False)
    model.levels.lower.fill_(-1.0)
    model.levels.width.fill_(width)
    model.levels.upper.fill_(-1.0 + 4 * width)
    middles = -1 + width * (torch.arange(4, dtype=torch.float64) + 0.5)
    mass = model.log_prob(torch.cartesian_prod(middles, middles)).exp().sum() * width**2
    assert_close(mass, ONE, atol=1e-6, rtol=0)


@each_core
def test_order_is_by_pixel_then_by_channel(make):
    assert make((3, 1, 2), 2).order == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("image_shape", SHAPES)
@each_core
def test_parameters_depend_on_all_that_comes_before_and_on_nothing_else(make, image_shape):
    core = random_core(make, image_shape, 3, n_filters=16)  # enough that no head has all units at rest
    check_order_of_dependence(core, random_values(8, len(core.order), 3), core.order, 3)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("image_shape", [*SHAPES, (2, 8, 9), (1, 9, 6)])
@each(CNNS | {name: partial(make, n_layers=3) for name, make in RNNS.items()})
def test_cached_steps_equal_the_full_pass(make, image_shape, n):
    core = random_core(make, image_shape, 4, dropout=0.5, n_params=7)
    levels = random_values(n, len(core.order), 4)
    steps = take_steps(core.steps(n), core.order, levels)
    assert_close(steps, core(levels)[:, core.order], atol=1e-9, rtol=1e-9)


def test_steps_leave_the_gradient_mode_alone():
    for make in (CNNS | RNNS).values():
        steps = random_core(make, (1, 2, 2), 2).steps(1)
        assert not next(steps).requires_grad
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_core
def test_cached_sampling_equals_naive_sampling(make, dtype):
    model = random_image_model(make, (2, 4, 3), 5).to(dtype)
    nothing = torch.zeros(6, 24).long()
    levels, _ = model.fill(nothing, nothing.bool(), torch.Generator().manual_seed(3))
    naive, generator = nothing.clone(), torch.Generator().manual_seed(3)
    for feature in model.core.order:
        naive[:, feature] = model.likelihood.draw(model.core(naive)[:, feature], generator)
    assert torch.equal(levels, naive)


@each_core
def test_fill_keeps_what_is_given_and_weighs_it(make):
    model = random_image_model(make, (1, 2, 3), 3)
    levels = random_values(20, 6, 3)
    given = torch.rand(20, 6, generator=torch.Generator().manual_seed(2)) < 0.5
    given[0], given[1] = True, False
    filled, log_weight = model.fill(levels, given, torch.Generator().manual_seed(0))
    assert torch.equal(filled[given], levels[given])
    assert_close(log_weight, (model.log_prob_map(filled.double()) * given).sum(1))
    assert_close(log_weight[0], model.log_prob(levels[:1].double())[0])
    assert log_weight[1] == 0


@each_core
def test_samples_have_the_models_probabilities(make):
    check_frequencies_of_samples(random_image_model(make, (2, 1, 2), 2))


@pytest.mark.parametrize("whole", [True, False])
@each_core
def test_samples_repeat_and_leave_the_global_generator_alone(make, whole):
    model = random_image_model(make, (1, 3, 3), 4)
    model.levels = Levels(9, 4, whole=whole)
    samples = check_samples_repeat(model, 5)
    assert torch.equal(model.levels(samples)[1], torch.zeros(5, 9, dtype=torch.float64))


@each_core
def test_values_outside_score_below_all_inside_and_lower_the_farther_out(make):
    model = random_image_model(make, (1, 1, 2), 4)
    inside = torch.tensor([[1.0, k] for k in range(4)])
    outside = torch.tensor([[1.0, x] for x in (4, 5, 50, 1e6, 1e30)])
    below = torch.tensor([[1.0, x] for x in (-1, -2, -60, -1e7)])
    worst = model.log_prob(inside).min()
    for scores in (model.log_prob(outside), model.log_prob(below)):
        assert scores.isfinite().all()
        assert scores[0] < worst
        assert (scores.diff() < 0).all()


@each_core
def test_features_depend_on_every_pixel_but_the_last(make):
    core = random_core(make, (1, 3, 4), 3)
    last = core.n_layers - 1
    moved = movements(lambda levels: core.features(levels, last), random_values(4, 12, 3), range(12), 3)
    assert torch.equal(moved.amax((1, 2)) > 0, torch.arange(12) < 11)


@pytest.mark.parametrize("likelihood", [Categorical(3), DiscretizedLogisticMixture(3, 2)])
@each_core
def test_gradients_are_slopes(make, likelihood):
    model = random_image_model(make, (2, 3, 3), 3, likelihood)
    x = random_values(4, 18, 3).double()
    check_slope(model, lambda: model(x).sum())


@each_core
def test_places_and_values_of_levels_are_no_state(make):
    core = make((1, 3, 4), 3)
    assert core.state_dict().keys() == dict(core.named_parameters()).keys()
    assert core.value.tolist() == [-1, 0, 1]
    assert not core.place.any()


def test_earlier_channels_are_at_first_linear_in_their_level():
    tables = [table.weight.detach() for table in Head(400, 2, 5, 3).earlier]
    assert len(tables) == 2
    for table in tables:
        assert_close(table, torch.tensor([-1, -0.5, 0, 0.5, 1]).unsqueeze(1) * table[-1])
        assert 0.8 < table[-1].std() < 1.2


@each_core
def test_gradients_reach_every_weight(make):
    model = random_image_model(make, (2, 5, 5), 3)
    model(random_values(4, 50, 3).double()).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def bars(n, generator):
    """A 5 x 5 image of a horizontal and a vertical bar: entropy below 2 log 5 + 25 H(0.02) = 5.7 nats."""
    rows, columns = torch.randint(5, (2, n, 1, 1), generator=generator)
    place = torch.arange(5)
    image = (place[:, None] == rows) | (place == columns)
    flip = torch.rand(n, 5, 5, generator=generator) < 0.02
    return (image ^ flip).flatten(1).float()


@each(
    {
        "cnn": partial(PixelCNN, dropout=0.0, n_blocks=2),
        "cnn_2_scales": partial(PixelCNN, dropout=0.0, n_blocks=1, n_scales=2),
    }
    | {cell: partial(PixelRNN, n_layers=2, cell=cell) for cell in CELLS}
)
def test_learns_what_histograms_cannot(make):
    generator = torch.Generator().manual_seed(0)
    rows, test = bars(512, generator), bars(512, generator)
    share = rows.mean(0).clamp(1e-3, 1 - 1e-3)
    histograms = -(test * share.log() + (1 - test) * (1 - share).log()).sum(1).mean()  # about 16.3 nats
    torch.manual_seed(0)
    core = make((1, 5, 5), 2, n_filters=16)
    model = train(AutoregressiveModel(Levels(25, 2, whole=True), core, Categorical(2)), rows, 20, 5e-3)
    score = model(test).mean()
    assert score < histograms - 7
    assert score < 7.5
