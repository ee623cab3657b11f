"""PixelRNN against numbers known by other means."""

from itertools import product

import pytest
import torch
from torch.testing import assert_close

from sklatent._nn.autoregressive import AutoregressiveModel
from sklatent._nn.likelihoods import Categorical, DiscretizedLogisticMixture
from sklatent._nn.pixelrnn import CELLS, DiagonalBiLSTM, PixelRNN, RowLSTM
from sklatent._nn.scaling import Levels

SHAPES = [(1, 1, 1), (1, 1, 5), (1, 5, 1), (1, 3, 4), (1, 4, 3), (2, 2, 3), (3, 2, 2)]

pytestmark = pytest.mark.parametrize("cell", CELLS)


def random_core(image_shape, n_levels, seed=0, **parameters):
    """In float64, with weights far from their initial values: differences must show."""
    torch.manual_seed(seed)
    core = PixelRNN(image_shape, n_levels, **{"n_filters": 4, "n_layers": 2} | parameters).double().eval()
    for parameter in core.parameters():
        parameter.data.normal_(std=0.7)
    return core


def random_model(image_shape, n_levels, likelihood=None, **parameters):
    likelihood = likelihood or Categorical(n_levels)
    levels = Levels(torch.Size(image_shape).numel(), n_levels, whole=True)
    core = random_core(image_shape, n_levels, n_params=likelihood.n_params, **parameters)
    return AutoregressiveModel(levels, core, likelihood)


def random_levels(core, n, n_levels):
    return torch.randint(n_levels, (n, len(core.order)), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("image_shape", "n_levels"),
    [((1, 1, 1), 5), ((1, 3, 3), 2), ((1, 1, 9), 2), ((1, 5, 1), 3), ((2, 2, 2), 2), ((3, 1, 2), 3)],
)
@pytest.mark.parametrize("likelihood", [Categorical, DiscretizedLogisticMixture])
def test_all_rows_sum_to_one(cell, image_shape, n_levels, likelihood):
    n_features = torch.Size(image_shape).numel()
    every = torch.tensor(list(product(range(n_levels), repeat=n_features)), dtype=torch.float64)
    log_p = random_model(image_shape, n_levels, likelihood(n_levels), cell=cell).log_prob(every)
    assert log_p.std() > 0.1
    assert_close(log_p.exp().sum(), torch.tensor(1.0, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("image_shape", SHAPES)
def test_parameters_depend_on_all_that_comes_before_and_on_nothing_else(cell, image_shape):
    core = random_core(image_shape, 3, cell=cell)
    levels = random_levels(core, 8, 3)
    before = core(levels)
    for position, feature in enumerate(core.order):
        changed = levels.clone()
        changed[:, feature] = (changed[:, feature] + 1) % 3
        moved = (core(changed) - before).abs().amax((0, 2))[core.order]
        assert (moved[: position + 1] == 0).all()
        assert (moved[position + 1 :] > 0).all()


def test_reach_of_one_layer_in_a_larger_image(cell):
    """Everything before a pixel but the end of the row above (diagonal), or a triangle above it (row)."""
    height, width, row, column = 5, 9, 4, 4
    core = random_core((1, height, width), 4, n_layers=1, first_kernel_size=3, cell=cell)
    levels = random_levels(core, 8, 4)
    before = core(levels)
    for feature in range(height * width):
        changed = levels.clone()
        changed[:, feature] = (changed[:, feature] + 2) % 4
        moved = (core(changed) - before)[:, row * width + column].abs().max() > 0
        r, c = divmod(feature, width)
        if cell == "row_lstm":  # to the left also by what the input and the first convolution see
            expected = column - 2 - (row - r) <= c <= column + (row - r)
        else:
            expected = (r, c) != (row - 1, width - 1)
        assert moved == (expected and feature < row * width + column), (r, c)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("image_shape", [*SHAPES, (2, 8, 9)])
def test_cached_steps_equal_the_full_pass(cell, image_shape, n):
    core = random_core(image_shape, 4, cell=cell, dropout=0.5, n_layers=3)
    levels = random_levels(core, n, 4)
    steps, chosen, params = core.steps(n), None, []
    for feature in core.order:
        params.append(steps.send(chosen))
        chosen = levels[:, feature]
    assert_close(torch.stack(params, 1), core(levels)[:, core.order], atol=1e-9, rtol=1e-9)


def test_cached_sampling_equals_naive_sampling(cell):
    model = random_model((2, 4, 3), 5, cell=cell).float()
    nothing = torch.zeros(6, 24).long()
    levels, _ = model.fill(nothing, nothing.bool(), torch.Generator().manual_seed(3))
    naive, generator = nothing.clone(), torch.Generator().manual_seed(3)
    for feature in model.core.order:
        naive[:, feature] = model.likelihood.draw(model.core(naive)[:, feature], generator)
    assert torch.equal(levels, naive)


def lstm(gates, cell):
    forget, enter, out, new = gates.chunk(4, -1)
    cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return out.sigmoid() * cell.tanh(), cell


@pytest.mark.parametrize("size", [(3, 4), (4, 3), (1, 5), (5, 1), (1, 1)])
def test_layers_equal_the_recurrence_pixel_by_pixel(cell, size):
    torch.manual_seed(0)
    layer = CELLS[cell](size, 3, 2).double()
    x = torch.randn(*size, 5, 3, dtype=torch.float64)
    slow = {RowLSTM: row_by_pixels, DiagonalBiLSTM: diagonal_by_pixels}[type(layer)](layer, x)
    assert_close(layer(x.flatten(0, 1)).unflatten(0, size), slow)


def at(grid, row, column, width):
    """What is there, or zeros outside the image."""
    return grid.get((row, column), torch.zeros(5, width, dtype=torch.float64))


def row_by_pixels(layer, x):
    h, cells, pixels = {}, {}, {(r, c): x[r, c] for r in range(x.shape[0]) for c in range(x.shape[1])}
    for r, c in pixels:
        seen = torch.cat([at(pixels, r, c - 1, 3), x[r, c]], 1) @ layer.input_weight
        around = torch.cat([at(h, r - 1, c + step, 2) for step in (-1, 0, 1)], 1) @ layer.state_weight
        h[r, c], cells[r, c] = lstm(seen + around + layer.bias, at(cells, r - 1, c, 2))
    return torch.stack([h[p] for p in pixels]).unflatten(0, x.shape[:2])


def diagonal_by_pixels(layer, x):
    n_rows, n_columns = x.shape[:2]
    states = []
    for way, columns in enumerate((range(n_columns), reversed(range(n_columns)))):
        h, cells, beside = {}, {}, (-1, 1)[way]
        for r, c in product(range(n_rows), list(columns)):
            around = torch.cat([at(h, r, c + beside, 2), at(h, r - 1, c, 2)], 1) @ layer.state_weight[way]
            gates = x[r, c] @ layer.input_weight[way] + around + layer.bias[way]
            h[r, c], cells[r, c] = lstm(gates, at(cells, r, c + beside, 2))
        states.append(h)
    pixels = product(range(n_rows), range(n_columns))
    return torch.stack([states[0][r, c] + at(states[1], r - 1, c, 2) for r, c in pixels]).unflatten(0, x.shape[:2])


def test_samples_repeat_and_leave_the_global_generator_alone(cell):
    model = random_model((1, 3, 3), 4, cell=cell)
    state = torch.get_rng_state()
    a, b = (model.sample(5, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(a, b)
    assert not torch.equal(a, model.sample(5, torch.Generator().manual_seed(8)))
    assert model.sample(0).shape == (0, 9)


def test_features_are_the_pooled_activations_of_a_layer(cell):
    """Those of the last one, of an image of one pixel, are what the head sees; each layer adds to the one before."""
    model = random_model((1, 1, 1), 4, cell=cell)
    x = torch.arange(4, dtype=torch.float64)[:, None]
    assert_close(model.core.heads[0](model.features(x, -1), []), model.core(x.long())[:, 0])

    model, added = random_model((2, 3, 4), 4, cell=cell), []
    x = random_levels(model.core, 5, 4)
    for widen in model.core.widen:  # each of the 3 x 4 pixels is a cell
        widen.register_forward_hook(lambda module, args, out: added.append(out.permute(1, 2, 0).flatten(1)))
    first, second = (model.features(x.double(), layer) for layer in range(2))
    assert model.core.n_layers == 2
    assert first.shape == (5, 8 * 12)
    assert_close(second - first, added[-1])
    with pytest.raises(IndexError):
        model.features(x.double(), 2)


def test_gradients_reach_every_weight(cell):
    model = random_model((2, 3, 3), 3, cell=cell)
    model(random_levels(model.core, 4, 3).double()).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def bars(n, generator):
    """A 5 x 5 image of a horizontal and a vertical bar: entropy below 2 log 5 + 25 H(0.02) = 5.7 nats."""
    rows, columns = torch.randint(5, (2, n, 1, 1), generator=generator)
    place = torch.arange(5)
    image = (place[:, None] == rows) | (place == columns)
    flip = torch.rand(n, 5, 5, generator=generator) < 0.02
    return (image ^ flip).flatten(1).float()


def test_learns_what_histograms_cannot(cell):
    generator = torch.Generator().manual_seed(0)
    train, test = bars(512, generator), bars(512, generator)
    share = train.mean(0).clamp(1e-3, 1 - 1e-3)
    histograms = -(test * share.log() + (1 - test) * (1 - share).log()).sum(1).mean()  # about 16.3 nats
    with torch.random.fork_rng():
        torch.manual_seed(0)
        core = PixelRNN((1, 5, 5), 2, 16, 2, cell)
        model = AutoregressiveModel(Levels(25, 2, whole=True), core, Categorical(2))
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in range(20):
            for batch in train[torch.randperm(512)].split(64):
                optimizer.zero_grad()
                model(batch).mean().backward()
                optimizer.step()
    score = model.eval()(test).mean()
    assert score < histograms - 7
    assert score < 7.5
