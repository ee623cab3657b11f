"""PixelCNN and what all autoregressive models share, against numbers known by other means."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from sklatent._nn.autoregressive import AutoregressiveModel
from sklatent._nn.likelihoods import Categorical, DiscretizedLogisticMixture
from sklatent._nn.pixelcnn import MaskedConv, PixelCNN, Up, _BlockCache
from sklatent._nn.scaling import Levels

SHAPES = [(1, 1, 1), (1, 1, 5), (1, 5, 1), (1, 3, 4), (2, 2, 3), (3, 2, 2)]
SCALES = [{}, {"n_scales": 2}, {"n_scales": 3, "n_blocks": 1}]


def random_core(image_shape, n_levels, seed=0, **parameters):
    """In float64, with weights far from their initial values: differences must show."""
    torch.manual_seed(seed)
    core = PixelCNN(image_shape, n_levels, **{"n_filters": 6, "n_blocks": 2} | parameters).double().eval()
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
@pytest.mark.parametrize("scales", SCALES)
def test_all_rows_sum_to_one(image_shape, n_levels, likelihood, scales):
    n_features = torch.Size(image_shape).numel()
    every = torch.tensor(list(product(range(n_levels), repeat=n_features)), dtype=torch.float64)
    log_p = random_model(image_shape, n_levels, likelihood(n_levels), **scales).log_prob(every)
    assert log_p.std() > 0.1
    assert_close(log_p.exp().sum(), torch.tensor(1.0, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("width", [0.25, 2.0])
def test_binned_rows_are_a_density(width):
    model = random_model((1, 1, 2), 4)
    model.levels = Levels(2, 4, whole=False)
    model.levels.lower.fill_(-1.0)
    model.levels.width.fill_(width)
    model.levels.upper.fill_(-1.0 + 4 * width)
    middles = -1 + width * (torch.arange(4, dtype=torch.float64) + 0.5)
    mass = model.log_prob(torch.cartesian_prod(middles, middles)).exp().sum() * width**2
    assert_close(mass, torch.tensor(1.0, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("image_shape", SHAPES)
def test_parameters_depend_on_all_that_comes_before_and_on_nothing_else(image_shape, scales):
    n_levels = 3
    core = random_core(image_shape, n_levels, n_filters=16, **scales)  # enough that no head has all units at rest
    levels = random_levels(core, 8, n_levels)
    before = core(levels)
    for position, feature in enumerate(core.order):
        changed = levels.clone()
        changed[:, feature] = (changed[:, feature] + 1) % n_levels
        moved = (core(changed) - before).abs().amax((0, 2))[core.order]
        assert (moved[: position + 1] == 0).all()
        assert (moved[position + 1 :] > 0).all()


@pytest.mark.parametrize("parameters", [{"n_blocks": 6}, {"n_scales": 2}, {"n_scales": 3, "n_blocks": 1}])
@pytest.mark.parametrize("pixel", [(4, 4), (5, 3), (6, 0)])
def test_no_blind_spot_in_a_larger_image(pixel, parameters):
    """Everything before a pixel must arrive, above all what is to the upper right; and nothing else."""
    core, here = random_core((1, 7, 9), 4, **parameters), 9 * pixel[0] + pixel[1]
    levels = random_levels(core, 4, 4)
    before = core(levels)[:, here]
    for feature in range(63):
        changed = levels.clone()
        changed[:, feature] = (changed[:, feature] + 2) % 4
        moved = (core(changed)[:, here] - before).abs().max() > 0
        assert moved == (feature < here), feature


def test_order_is_by_pixel_then_by_channel():
    assert PixelCNN((3, 1, 2), 2).order == [0, 2, 4, 1, 3, 5]


def take_steps(core, levels):
    """The parameters in drawing order, from the caches."""
    steps, chosen, params = core.steps(len(levels)), None, []
    for feature in core.order:
        params.append(steps.send(chosen))
        chosen = levels[:, feature]
    return torch.stack(params, 1)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("image_shape", [*SHAPES, (2, 8, 9), (1, 9, 6)])
def test_cached_steps_equal_the_full_pass(image_shape, scales, n):
    core = random_core(image_shape, 4, dropout=0.5, n_params=7, **scales)
    levels = random_levels(core, n, 4)
    assert_close(take_steps(core, levels), core(levels)[:, core.order], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("scales", SCALES)
def test_cached_steps_equal_the_full_pass_in_single_precision(scales):
    torch.manual_seed(0)
    core = PixelCNN((1, 12, 11), 4, 24, **{"n_blocks": 3} | scales).eval()  # as initialised: logits of order one
    levels = random_levels(core, 3, 4)
    assert_close(take_steps(core, levels), core(levels)[:, core.order], atol=1e-5, rtol=0)


def test_a_pixel_is_computed_once_at_each_resolution(monkeypatch):
    calls, pixel = [], _BlockCache.pixel
    monkeypatch.setattr(_BlockCache, "pixel", lambda self, *args: calls.append(self) or pixel(self, *args))
    core = random_core((1, 5, 6), 2, n_scales=3, n_blocks=1)
    take_steps(core, random_levels(core, 2, 2))
    n_pixels = [30, 30, 9, 4, 9, 30]  # first block, down to a quarter of the resolution, and up
    assert sorted(calls.count(cache) for cache in set(calls)) == sorted(n_pixels)


@pytest.mark.parametrize("scales", SCALES)
def test_cached_sampling_equals_naive_sampling(scales):
    model = random_model((2, 4, 3), 5, **scales)
    levels, _ = model.fill(torch.zeros(6, 24).long(), torch.zeros(6, 24).bool(), torch.Generator().manual_seed(3))
    naive, generator = torch.zeros(6, 24).long(), torch.Generator().manual_seed(3)
    for feature in model.core.order:
        naive[:, feature] = model.likelihood.draw(model.core(naive)[:, feature], generator)
    assert torch.equal(levels, naive)


def test_steps_leave_the_gradient_mode_alone():
    steps = random_core((1, 2, 2), 2).steps(1)
    assert not next(steps).requires_grad
    assert torch.is_grad_enabled()


def test_fill_keeps_what_is_given_and_weighs_it():
    model = random_model((1, 2, 3), 3)
    levels = random_levels(model.core, 20, 3)
    given = torch.rand(20, 6, generator=torch.Generator().manual_seed(2)) < 0.5
    given[0], given[1] = True, False
    filled, log_weight = model.fill(levels, given, torch.Generator().manual_seed(0))
    assert torch.equal(filled[given], levels[given])
    assert_close(log_weight, (model.log_prob_map(filled.double()) * given).sum(1))
    assert_close(log_weight[0], model.log_prob(levels[:1].double())[0])
    assert log_weight[1] == 0


def test_samples_have_the_models_probabilities():
    model = random_model((2, 1, 2), 2)
    every = torch.tensor(list(product([0, 1], repeat=4)))
    drawn = model.sample(20_000, torch.Generator().manual_seed(0))
    counts = torch.bincount((drawn.long() * torch.tensor([8, 4, 2, 1])).sum(1), minlength=16)
    expected = 20_000 * model.log_prob(every).exp()
    assert ((counts - expected).square() / expected).sum() < 37.7  # chi-squared, 15 degrees: p = 0.001


@pytest.mark.parametrize("stack", ["vertical", "horizontal"])
@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("size", [3, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("image", [(6, 5), (1, 1), (1, 4), (4, 1)])
def test_masked_conv_equals_a_literal_mask(stack, kind, size, image, stride):
    torch.manual_seed(0)
    conv, reach, present = MaskedConv(2, 3, size, stack=stack, kind=kind, stride=stride), size // 2, int(kind == "B")
    weight = torch.zeros(3, 2, size, size)
    if stack == "vertical":
        weight[:, :, : reach + present] = conv.weight
    else:
        weight[:, :, reach : reach + 1, : reach + present] = conv.weight
    x = torch.randn(4, 2, *image)
    assert_close(conv(x), F.conv2d(x, weight, conv.bias, padding=reach)[:, :, ::stride, ::stride])


def test_up_gives_four_pixels_of_one_and_adds_the_shortcut():
    torch.manual_seed(0)
    up, v, h, low_v, low_h = Up(3), torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4), *torch.randn(2, 2, 3, 3, 2)
    shortcuts = [None, (v, h)]
    outs = up(low_v, low_h, shortcuts)
    assert shortcuts == [None]
    for conv, high, low, out in zip((up.vertical, up.horizontal), (v, h), (low_v, low_h), outs, strict=True):
        for r, c in product(range(5), range(4)):
            expected = high[:, :, r, c] + low[:, :, r // 2, c // 2] @ conv.weight[:, :, r % 2, c % 2] + conv.bias
            assert_close(out[:, :, r, c], expected)


@pytest.mark.parametrize("scales", SCALES)
def test_one_vertical_stack_for_all_images_of_a_single_row_changes_nothing(scales):
    core = random_core((2, 1, 7), 3, **scales)
    levels, shortcuts = random_levels(core, 4, 3).unflatten(1, (2, 1, 7)), []
    v = h = core.value[levels]
    for block in core.blocks:
        v, h = block(v, h, shortcuts)
        if block is core.blocks[0]:
            h = h + core.place
    assert_close(core._hidden(levels, core.n_layers), h)


def test_values_outside_score_below_all_inside_and_lower_the_farther_out():
    model = random_model((1, 1, 2), 4)
    inside = torch.tensor([[1.0, k] for k in range(4)])
    outside = torch.tensor([[1.0, x] for x in (4, 5, 50, 1e6, 1e30)])
    below = torch.tensor([[1.0, x] for x in (-1, -2, -60, -1e7)])
    worst = model.log_prob(inside).min()
    for scores in (model.log_prob(outside), model.log_prob(below)):
        assert scores.isfinite().all()
        assert scores[0] < worst
        assert (scores.diff() < 0).all()


@pytest.mark.parametrize("whole", [True, False])
def test_samples_repeat_and_leave_the_global_generator_alone(whole):
    model = random_model((1, 3, 3), 4)
    model.levels = Levels(9, 4, whole=whole)
    state = torch.get_rng_state()
    a, b = (model.sample(5, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(a, b)
    assert not torch.equal(a, model.sample(5, torch.Generator().manual_seed(8)))
    assert torch.equal(model.levels(a)[1], torch.zeros(5, 9, dtype=torch.float64))
    assert model.sample(0).shape == (0, 9)


def cell_means(h):
    """Means over at most 4 x 4 cells, one by one: (n, f, h, w) -> (n, f * cells)."""
    starts, ends = [], []
    for side in h.shape[2:]:
        n = min(4, side)
        starts.append([i * side // n for i in range(n)])
        ends.append([-(-(i + 1) * side // n) for i in range(n)])
    rows, columns = (list(zip(*pair, strict=True)) for pair in zip(starts, ends, strict=True))
    return torch.stack([h[:, :, a:b, c:d].mean((2, 3)) for a, b in rows for c, d in columns], 2).flatten(1)


@pytest.mark.parametrize("scales", SCALES)
def test_features_are_the_pooled_activations_of_a_layer(scales):
    model = random_model((2, 5, 4), 3, **scales)
    core, x, outputs = model.core, random_levels(model.core, 6, 3), []
    for block in core.blocks:
        block.register_forward_hook(lambda block, args, out: outputs.append(out[1]))
    core(x)
    outputs[0] = outputs[0] + core.place
    expected, n_layers = [cell_means(h) for h in outputs], core.n_layers
    assert n_layers == len(outputs) == {1: 3, 2: 9, 3: 10}[scales.get("n_scales", 1)]
    for layer in range(n_layers):
        assert_close(model.features(x.double(), layer), expected[layer])
        assert_close(model.features(x.double(), layer - n_layers), expected[layer])
    with pytest.raises(IndexError):
        model.features(x.double(), n_layers)


def test_features_depend_on_every_pixel_but_the_last():
    core = random_core((1, 3, 4), 3)
    levels = random_levels(core, 4, 3)
    before = core.features(levels, 2)
    for feature in range(12):
        changed = levels.clone()
        changed[:, feature] = (changed[:, feature] + 1) % 3
        assert ((core.features(changed, 2) - before).abs().max() > 0) == (feature < 11)


@pytest.mark.parametrize("scales", SCALES)
def test_gradients_reach_every_weight(scales):
    model = random_model((2, 5, 5), 3, **scales)
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


@pytest.mark.parametrize("scales", [{"n_blocks": 2}, {"n_blocks": 1, "n_scales": 2}])
def test_learns_what_histograms_cannot(scales):
    generator = torch.Generator().manual_seed(0)
    train, test = bars(512, generator), bars(512, generator)
    share = train.mean(0).clamp(1e-3, 1 - 1e-3)
    histograms = -(test * share.log() + (1 - test) * (1 - share).log()).sum(1).mean()  # about 16.3 nats
    with torch.random.fork_rng():
        torch.manual_seed(0)
        core = PixelCNN((1, 5, 5), 2, 16, dropout=0.0, **scales)
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
