"""Autoregressive networks with random weights, and what is measured on them."""

from functools import partial
from itertools import product

import torch

from sklatent._nn.autoregressive import AutoregressiveModel
from sklatent._nn.likelihoods import Categorical
from sklatent._nn.pixelcnn import PixelCNN
from sklatent._nn.pixelrnn import CELLS, PixelRNN
from sklatent._nn.scaling import Levels

SHAPES = [(1, 1, 1), (1, 1, 5), (1, 5, 1), (1, 3, 4), (1, 4, 3), (2, 2, 3), (3, 2, 2)]
CNNS = {
    "cnn": partial(PixelCNN, n_filters=6, n_blocks=2),
    "cnn_2_scales": partial(PixelCNN, n_filters=6, n_blocks=2, n_scales=2),
    "cnn_3_scales": partial(PixelCNN, n_filters=6, n_blocks=1, n_scales=3),
}
RNNS = {cell: partial(PixelRNN, n_filters=4, n_layers=2, cell=cell) for cell in CELLS}


def random_core(make, *args, **parameters):
    """In float64, with weights far from their initial values: differences must show."""
    torch.manual_seed(0)
    core = make(*args, **parameters).double().eval()
    for parameter in core.parameters():
        parameter.data.normal_(std=0.7)
    return core


def random_image_model(make, image_shape, n_levels, likelihood=None, **parameters):
    likelihood = likelihood or Categorical(n_levels)
    levels = Levels(torch.Size(image_shape).numel(), n_levels, whole=True)
    core = random_core(make, image_shape, n_levels, n_params=likelihood.n_params, **parameters)
    return AutoregressiveModel(levels, core, likelihood)


def random_values(n, n_features, n_levels):
    """Levels, or real values if ``n_levels`` is None."""
    generator = torch.Generator().manual_seed(1)
    if n_levels is None:
        return torch.randn(n, n_features, generator=generator, dtype=torch.float64)
    return torch.randint(n_levels, (n, n_features), generator=generator)


def every_row(n_features, n_levels):
    return torch.tensor(list(product(range(n_levels), repeat=n_features)), dtype=torch.float64)


def movements(function, values, features, n_levels, step=1):
    """How far the result, (rows, ...), moves with the value of each of ``features``: (features, rows, ...)."""
    before, moved = function(values), []
    for feature in features:
        changed = values.clone()
        changed[:, feature] += step
        if n_levels is not None:
            changed[:, feature] %= n_levels
        moved.append((function(changed) - before).abs())
    return torch.stack(moved)


def check_order_of_dependence(function, values, order, n_levels):
    """The parameters depend on all that comes before and on nothing else."""
    moved = movements(function, values, order, n_levels).amax((1, 3))[:, order]
    after = torch.ones(len(order), len(order)).triu(1).bool()
    assert (moved[~after] == 0).all()
    assert (moved[after] > 0).all()


def take_steps(steps, order, values):
    """The parameters in drawing order, from the caches."""
    chosen, params = None, []
    for feature in order:
        params.append(steps.send(chosen))
        chosen = values[:, feature]
    return torch.stack(params, 1)


def check_samples_repeat(model, n):
    """The same seed gives the same rows, which are returned, and the global generator is left alone."""
    state = torch.get_rng_state()
    a, b = (model.sample(n, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(a, b)
    assert not torch.equal(a, model.sample(n, torch.Generator().manual_seed(8)))
    assert model.sample(0).shape == (0, a.shape[1])
    return a


def check_frequencies_of_samples(model):
    """Samples of four binary features have the model's probabilities."""
    drawn = model.sample(20_000, torch.Generator().manual_seed(0))
    counts = torch.bincount((drawn.long() * torch.tensor([8, 4, 2, 1])).sum(1), minlength=16)
    expected = 20_000 * model.log_prob(every_row(4, 2)).exp()
    assert ((counts - expected).square() / expected).sum() < 37.7  # chi-squared, 15 degrees: p = 0.001


def train(model, x, n_epochs, learning_rate):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
        for _ in range(n_epochs):
            for batch in x[torch.randperm(len(x))].split(64):
                optimizer.zero_grad()
                model(batch).mean().backward()
                optimizer.step()
    return model.eval()


def check_slope(module, loss):
    """The gradient of a loss without draws is its slope, as finite differences along one direction tell, in float64."""
    random = torch.Generator().manual_seed(2)
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    direction = [torch.randn(weight.shape, generator=random, dtype=torch.float64) for weight in weights]
    gradient = torch.autograd.grad(loss(), weights)
    ends = []
    for step in (1e-6, -2e-6):
        for weight, way in zip(weights, direction, strict=True):
            weight.data += step * way
        ends.append(loss().item())
    slope = sum((way * part).sum() for way, part in zip(direction, gradient, strict=True)).item()
    assert abs(slope - (ends[0] - ends[1]) / 2e-6) < 1e-5 * max(1, abs(slope)), (slope, (ends[0] - ends[1]) / 2e-6)
