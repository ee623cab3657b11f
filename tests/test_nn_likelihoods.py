"""Likelihoods of the autoregressive models, against numbers known by other means."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklatent._nn.likelihoods import (
    AnchoredMixture,
    Bernoulli,
    Categorical,
    DiscretizedLogisticMixture,
    Gaussian,
    GaussianMixture,
    GreyBernoulli,
    bounded,
)
from sklatent._nn.scaling import Affine, Levels, Reals, wide

ONE = torch.tensor(1.0, dtype=torch.float64)
DISCRETE = [
    (Bernoulli(), 2),
    (Categorical(2), 2),
    (Categorical(7), 7),
    (DiscretizedLogisticMixture(1, 2), 1),
    (DiscretizedLogisticMixture(2, 3), 2),
    (DiscretizedLogisticMixture(7, 1), 7),
    (DiscretizedLogisticMixture(256), 256),
]
NAMES = [f"{type(likelihood).__name__}-{n_levels}" for likelihood, n_levels in DISCRETE]


def random_params(likelihood, n, spread=2.0, dtype=torch.float64):
    return spread * torch.randn(n, likelihood.n_params, generator=torch.Generator().manual_seed(0), dtype=dtype)


def every_level(likelihood, params, n_levels, beyond=0.0):
    """Log-probabilities, (n, n_levels)."""
    levels = torch.arange(n_levels).expand(len(params), -1)
    wide = params.unsqueeze(1).expand(-1, n_levels, -1)
    return likelihood.log_prob(wide, levels, torch.full_like(wide[..., 0], beyond))


@pytest.mark.parametrize("spread", [0.0, 2.0, 30.0])
@pytest.mark.parametrize(("likelihood", "n_levels"), DISCRETE, ids=NAMES)
def test_levels_sum_to_one(likelihood, n_levels, spread):
    log_p = every_level(likelihood, random_params(likelihood, 50, spread), n_levels)
    assert_close(log_p.exp().sum(1), ONE.expand(50), atol=1e-9, rtol=0)


@pytest.mark.parametrize("spread", [2.0, 30.0])
@pytest.mark.parametrize(("likelihood", "n_levels"), DISCRETE, ids=NAMES)
def test_beyond_the_levels_is_below_all_of_them_and_falls(likelihood, n_levels, spread):
    params = random_params(likelihood, 50, spread, torch.float32)
    least = every_level(likelihood, params, n_levels).amin(1)
    level = torch.full((50,), n_levels - 1)
    far = [likelihood.log_prob(params, level, torch.full((50,), x)) for x in (0.5, 1.0, 1e3, 1e15)]
    for nearer, farther in zip([least, *far], far, strict=False):
        assert farther.isfinite().all()
        assert (farther < nearer).all()


@pytest.mark.parametrize(("likelihood", "n_levels"), DISCRETE, ids=NAMES)
def test_draws_have_the_probabilities(likelihood, n_levels):
    params = random_params(likelihood, 1, 1.0)
    levels = likelihood.draw(params.expand(100_000, -1), torch.Generator().manual_seed(0))
    share = torch.bincount(levels, minlength=n_levels) / 1e5
    assert len(share) == n_levels
    assert_close(share.double(), every_level(likelihood, params, n_levels)[0].exp(), atol=0.006, rtol=0)


@pytest.mark.parametrize("likelihood", [*(pair[0] for pair in DISCRETE), GaussianMixture(3)])
def test_draws_repeat_and_leave_the_global_generator_alone(likelihood):
    params, state = random_params(likelihood, 20), torch.get_rng_state()
    a, b = (likelihood.draw(params, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(a, b)
    assert a.shape == (20,)
    assert torch.equal(torch.get_rng_state(), state)


def test_logistic_mixture_equals_differences_of_sigmoids():
    likelihood = DiscretizedLogisticMixture(9, 2)
    weight, location, scale = torch.tensor([0.3, 0.7]), torch.tensor([-0.4, 0.9]), torch.tensor([0.3, 0.1])
    start, least = torch.tensor([-0.5, 0.5]), math.log(0.25 / 32)
    raw = (scale.log() - least).expm1().log() + least + math.log(2)  # the inverse of the floor
    params = torch.cat([weight.log(), location - start, raw]).double()
    edges = (torch.arange(8) - 3.5) / 4
    below = (weight * torch.sigmoid((edges[:, None] - location) / scale)).sum(1)
    expected = torch.diff(torch.cat([torch.zeros(1), below, torch.ones(1)]))
    assert_close(every_level(likelihood, params[None], 9)[0].exp(), expected.double(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("log_scale", [-1e4, -100.0, -9.0, 0.0, 9.0, 100.0, 1e4])
@pytest.mark.parametrize("location", [-1e4, -3.0, 0.0, 0.013, 3.0, 1e4])
def test_logistic_mixture_is_finite_in_float32_and_pulls_its_locations(location, log_scale):
    likelihood, n = DiscretizedLogisticMixture(256, 1), 256
    params = torch.tensor([[0.0, location, log_scale]], requires_grad=True)
    log_p = every_level(likelihood, params, n)
    assert log_p.isfinite().all()
    assert (log_p <= 0).all()
    assert_close(log_p.double().exp().sum(), ONE, atol=1e-3, rtol=0)
    (grad,) = torch.autograd.grad(log_p[0, 100], params)
    assert grad.isfinite().all()
    if log_scale < 9:  # wider than all levels, a logistic has nothing to gain
        assert grad[0, 1].sign() == math.copysign(1, 2 * 100 / 255 - 1 - location)


def test_logistic_mixture_beyond_the_levels_is_its_formula():
    """Half of what a level at the far end would have, and less by how far it is beyond."""
    likelihood, r = DiscretizedLogisticMixture(5, 2), 0.25
    params = random_params(likelihood, 6)
    weight, location, log_scale = likelihood._components(params)
    steep = (-log_scale).exp()
    far = torch.sigmoid(-(1 + location.abs()) * steep - r * steep)
    expected = (weight.exp() * far * (1 - (-2 * r * steep).exp())).sum(1).log() - math.log(2)
    for beyond in (1e-9, 3.0):
        found = likelihood.log_prob(params, torch.zeros(6).long(), torch.full((6,), beyond))
        assert_close(found, expected - beyond)


def test_logistic_mixture_gradients():
    likelihood = DiscretizedLogisticMixture(5, 2)
    params = random_params(likelihood, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: every_level(likelihood, p, 5), params)


def test_zeros_mean_a_broad_distribution():
    every = every_level(DiscretizedLogisticMixture(256, 5), torch.zeros(1, 15), 256)[0].exp() * 256
    assert every[1:-1].min() > 0.4
    assert every[1:-1].max() < 1.2
    u = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    for n_mixtures in (1, 2, 5):
        p = GaussianMixture(n_mixtures).log_prob(torch.zeros(4001, 3 * n_mixtures), u).exp().double()
        assert_close(torch.trapezoid(p * u**2, u), ONE, atol=0.01, rtol=0)


@pytest.mark.parametrize("n_mixtures", [1, 4])
def test_gaussian_mixture_equals_torchs_and_integrates_to_one(n_mixtures):
    likelihood = GaussianMixture(n_mixtures, reg_covar=1e-2)
    params = random_params(likelihood, 1, 0.7)
    u = torch.linspace(-40, 40, 80_001, dtype=torch.float64)
    log_p = likelihood.log_prob(params.expand(len(u), -1), u)
    weight, mean, log_sd = params[0].chunk(3)
    variance = (likelihood.sd * log_sd.exp()) ** 2 + 1e-2
    expected = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=weight),
        torch.distributions.Normal(mean + torch.tensor(likelihood.means).double(), variance.sqrt()),
    )
    assert_close(log_p, expected.log_prob(u))
    assert_close(torch.trapezoid(log_p.exp(), u), ONE, atol=1e-6, rtol=0)
    drawn = likelihood.draw(params.expand(50_000, -1), torch.Generator().manual_seed(0))
    deviation = expected.variance.sqrt()
    assert abs(drawn.mean() - expected.mean) < 0.02 * deviation
    assert_close(drawn.std(), deviation, rtol=0.03, atol=0)


def test_gaussian_mixture_is_finite_far_out_and_has_a_floor():
    likelihood = GaussianMixture(2, reg_covar=1e-3)
    params = torch.zeros(5, 6)
    log_p = likelihood.log_prob(params, torch.tensor([3.0, 10.0, 1e3, 1e9, 1e15]))
    assert log_p.isfinite().all()
    assert (log_p.diff() < 0).all()
    params[:, 2:4] -= torch.tensor(likelihood.means)
    narrow = likelihood.log_prob(params - torch.tensor([0.0] * 4 + [1e3] * 2), torch.zeros(5))
    assert_close(narrow, torch.full((5,), -0.5 * math.log(2 * math.pi * 1e-3)))


def test_anchored_mixture_equals_torchs():
    likelihood = AnchoredMixture(2, reg_covar=1e-2)
    params = random_params(likelihood, 1, 0.7)
    weight, mean, log_sd, anchor = params[0].split(2)
    probability = torch.cat([0.98 * weight.softmax(0), torch.tensor([0.02])])
    means = torch.cat([mean, anchor[:1]])
    deviations = torch.cat([((2 * log_sd).exp() + 1e-2).sqrt(), 2 * anchor[1:].exp()])
    expected = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(probability), torch.distributions.Normal(means, deviations)
    )
    u = torch.linspace(-9, 9, 101, dtype=torch.float64)
    assert_close(likelihood.log_prob(params.expand(101, -1), u), expected.log_prob(u))
    drawn = likelihood.draw(params.expand(50_000, -1), torch.Generator().manual_seed(0))
    assert_close(drawn.std(), expected.variance.sqrt(), rtol=0.03, atol=0)


def test_gaussian_is_torchs_with_a_floor_and_within_the_limits():
    likelihood, params = Gaussian(1e-3), random_params(Gaussian(), 6, 1.0)
    u, variance = torch.randn(6, dtype=torch.float64), bounded(params[:, 1], 1e-3).exp()
    normal = torch.distributions.Normal(params[:, 0], variance.sqrt())
    assert_close(likelihood.log_prob(params, u), normal.log_prob(u))
    limits = torch.tensor([-0.1, 0.2], dtype=torch.float64).view(2, 1).expand(-1, 6)
    within = torch.distributions.Normal(params[:, 0].clamp(-0.1, 0.2), variance.sqrt())
    assert_close(likelihood.log_prob(params, u, limits=limits), within.log_prob(u))
    assert_close(likelihood.mean(params, limits), within.mean)
    assert torch.autograd.gradcheck(lambda p: likelihood.log_prob(p, u), params.requires_grad_())


@pytest.mark.parametrize("likelihood", [Categorical(4), DiscretizedLogisticMixture(4, 2)])
def test_means_and_levels_that_a_feature_lacks(likelihood):
    params, last = random_params(likelihood, 5), torch.tensor([3, 0, 1, 2, 3])
    levels = torch.arange(4).expand(5, -1)
    wide = params.unsqueeze(1).expand(-1, 4, -1)
    p = likelihood.log_prob(wide, levels, torch.zeros(5, 4), last.unsqueeze(1)).exp()
    there = levels <= last.unsqueeze(1)
    assert_close((p * there).sum(1), ONE.expand(5), atol=1e-9, rtol=0)
    assert_close(likelihood.mean(params, last), (p * there * levels).sum(1))
    drawn = torch.stack([likelihood.draw(params, torch.Generator().manual_seed(i), last) for i in range(300)])
    assert torch.equal(drawn.amax(0), last)
    everywhere = every_level(likelihood, params, 4).exp()
    assert_close(likelihood.mean(params), (everywhere * levels).sum(1))


def test_grey_values_are_shares_of_ones():
    likelihood, logits = GreyBernoulli(), torch.tensor([[0.3], [-2.0], [1.0], [1.0]], dtype=torch.float64)
    u, p = torch.tensor([0.2, 1.0, 3.0, -2.0], dtype=torch.float64), logits[:, 0].sigmoid()
    inside, beyond = torch.tensor([0.2, 1.0, 1.0, 0.0]), torch.tensor([0.0, 0.0, 4.0, 4.0])
    expected = inside * p.log() + (1 - inside) * (1 - p).log() - beyond
    assert_close(likelihood.log_prob(logits, u), expected)
    assert_close(likelihood.mean(logits), p)


def test_half_precision_ends_in_the_likelihood():
    for likelihood in (Bernoulli(), DiscretizedLogisticMixture(256), GaussianMixture(3)):
        params = random_params(likelihood, 6, 1.0, torch.bfloat16)
        log_p = likelihood.log_prob(params, torch.zeros(6).long(), torch.zeros(6))
        assert log_p.dtype == torch.float32
        assert_close(log_p, likelihood.log_prob(params.float(), torch.zeros(6).long(), torch.zeros(6)))


def test_reals_have_the_face_of_levels():
    reals = Reals(2)
    reals.shift.copy_(torch.tensor([1.0, -2.0]))
    reals.scale.copy_(torch.tensor([2.0, 0.5]))
    x = torch.tensor([[3.0, -2.0], [1.0, -1.5]], dtype=torch.float64)
    u, beyond = reals.eval()(x)
    assert torch.equal(u, torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64))
    assert not beyond.any()
    assert torch.equal(reals.values(u), x)
    assert_close(reals.log_width(), torch.tensor([2.0, 0.5], dtype=torch.float64).log())
    assert reals.train().limits() is None
    assert torch.equal(reals.eval().limits(), torch.stack([reals.lower, reals.upper]))


def test_whole_numbers_keep_all_their_digits():
    for dtype, expected in [(torch.uint8, torch.float32), (torch.int32, torch.float64), (torch.int64, torch.float64)]:
        x = torch.tensor([min(2**24 + 1, torch.iinfo(dtype).max)])
        assert wide(x.to(dtype)).dtype == expected
        assert wide(x.to(dtype)).long() == x
    assert wide(torch.zeros(1, dtype=torch.float16)).dtype == torch.float16


def test_levels_and_how_far_beyond_them():
    levels = Levels(2, 4, whole=False)
    levels.lower.copy_(torch.tensor([-1.0, 10.0]))
    levels.width.copy_(torch.tensor([0.5, 2.0]))
    levels.upper.copy_(torch.tensor([1.0, 18.0]))
    x = torch.tensor([[-1.0, 18.0], [-0.5, 17.9], [0.9, 12.0], [-2.0, 22.0], [3.0, 4.0]], dtype=torch.float64)
    found, beyond = levels(x)
    assert found.tolist() == [[0, 3], [1, 3], [3, 1], [0, 3], [3, 0]]
    assert_close(beyond, torch.tensor([[0.0, 0], [0, 0], [0, 0], [2, 2], [4, 3]], dtype=torch.float64))
    assert_close(levels.log_width(), torch.tensor([0.5, 2.0], dtype=torch.float64).log())
    assert_close(levels.centre(torch.tensor([0, 1])), torch.tensor([-0.75, 13.0], dtype=torch.float64))
    assert levels.limits() is None
    whole = Levels(2, 4, whole=True, ragged=True)
    assert whole.upper.tolist() == [3, 3]
    whole.upper.copy_(torch.tensor([2.0, 3.0]))
    assert whole.limits().tolist() == [2, 3]
    coarse = Levels(2, 4, whole=True, ragged=True)  # levels of four whole numbers: 0 to 7 and 0 to 15
    coarse.width.fill_(4.0)
    coarse.upper.copy_(torch.tensor([7.0, 15.0]))
    assert coarse.limits().tolist() == [1, 3]
    assert coarse(torch.tensor([[7, 8], [8, 16]]))[0].tolist() == [[1, 2], [1, 3]]
    assert coarse.centre(torch.tensor([1, 3])).tolist() == [5.5, 13.5]
    assert whole.centre(torch.tensor([0, 3])).tolist() == [0, 3]
    drawn = levels.values(torch.tensor([[1, 2]]).expand(4000, -1), torch.Generator().manual_seed(0))
    assert_close(drawn.amin(0), torch.tensor([-0.5, 14.0], dtype=torch.float64), rtol=0, atol=0.005)
    assert_close(drawn.amax(0), torch.tensor([0.0, 16.0], dtype=torch.float64), rtol=0, atol=0.005)
    again = levels.values(torch.tensor([[1, 2]]).expand(4000, -1), torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


def test_scaling_and_back_within_the_range_of_pixels():
    affine = Affine(2, clips=True)
    affine.shift.copy_(torch.tensor([3.0, 5.0]))
    affine.scale.copy_(torch.tensor([2.0, 4.0]))
    affine.lower.copy_(torch.tensor([-1.5, -1.0]))  # 0 and 1
    affine.upper.copy_(torch.tensor([6.0, 2.5]))  # 15 and 15
    x = torch.tensor([[0.0, 15.0], [7.0, 3.0]], dtype=torch.float64)
    assert_close(affine.scaled(x), torch.tensor([[-1.5, 2.5], [2.0, -0.5]], dtype=torch.float64))
    assert_close(affine.inverse(affine.scaled(x)), x)
    assert_close(affine.inverse(torch.tensor([[-9.0, 9.0]])), torch.tensor([[0.0, 15.0]], dtype=torch.float64))
    assert_close(affine.inside(torch.tensor([[-9.0, 9.0]])), torch.tensor([[-1.5, 2.5]]))
    assert_close(
        affine.scaled(torch.tensor([[1e300, -1e300]], dtype=torch.float64)).abs().log10(), 15 * ONE.expand(1, 2)
    )
    affine.clips = False
    assert_close(affine.inverse(torch.tensor([[-9.0, 9.0]])), torch.tensor([[-15.0, 41.0]], dtype=torch.float64))
