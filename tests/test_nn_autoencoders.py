"""Autoencoders in pure torch, against numbers known by other means."""

import math
from functools import partial
from itertools import product

import pytest
import torch
from common_nn import check_slope
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.testing import assert_close

from sklatent._nn.autoencoders import Autoencoder
from sklatent._nn.builders import conv, mlp
from sklatent._nn.corruption import make_corruption
from sklatent._nn.likelihoods import (
    LOG_VARIANCE_MAX,
    Categorical,
    DiscretizedLogisticMixture,
    Gaussian,
    GreyBernoulli,
    bounded,
)
from sklatent._nn.linear import LinearPlus
from sklatent._nn.scaling import Levels, Reals, Shares
from sklatent._nn.vae import VAE, _kl


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def scaling_for(X):
    """As the estimators fill it: standardised, and the range in scaled units."""
    scaling = Reals(X.shape[1])
    scaling.shift.copy_(X.mean(0))
    deviation = X.double().std(0, correction=0)
    scaling.scale.copy_(torch.where(deviation > 0, deviation, 1.0))
    u = scaling.scaled(X.double())
    scaling.lower.copy_(u.amin(0))
    scaling.upper.copy_(u.amax(0))
    return scaling


def make_vae(scaling, input_shape, n_latent, builder=mlp, likelihood=None, **options):
    likelihood = likelihood or Gaussian()
    out_shape = (likelihood.n_params * input_shape[0], *input_shape[1:])
    coder = builder(input_shape, out_shape, 2 * n_latent, n_latent)
    return VAE(scaling, *coder, input_shape, likelihood, n_latent, **options)


def make_levels_vae(levels, likelihood, n_features, n_latent):
    """Of random weights, large enough for the codes to matter; in float64."""
    vae = make_vae(Reals(n_features), (n_features,), n_latent, partial(mlp, widths=(8,)), likelihood, levels=levels)
    with torch.no_grad():
        vae.decoder[-2].weight.mul_(6)
    return vae.double().eval()


def fit(module, X, steps=300, learning_rate=5e-3):
    optimizer = torch.optim.Adam(module.train().parameters(), learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        module(X).mean().backward()
        optimizer.step()
    return module.eval()


# -- autoencoder ---------------------------------------------------------------------------------------------


def test_encoder_sees_the_corrupted_row_in_training_only():
    module = Autoencoder(Reals(5), *mlp((5,), (5,), 2, 2), (5,), 2, corruption=torch.zeros_like)
    x = torch.randn(3, 5)
    blind = module.decode(module.train().encode(x)).float()
    assert_close(blind[0], blind[1])
    assert_close(module(x), (blind - x).square().sum(1))
    module.eval()
    seen = module.decode(module.encode(x)).float()
    assert not torch.allclose(seen[0], seen[1])
    assert_close(module(x), (seen - x).square().sum(1))


def test_binary_cross_entropy_in_the_fitted_range():
    scaling = Reals(4)
    scaling.shift.fill_(-2.0)
    scaling.scale.fill_(8.0)
    module = Autoencoder(scaling, *mlp((4,), (4,), 2, 2), (4,), 2, loss="binary_cross_entropy")
    x = 8 * torch.rand(6, 4) - 2
    p = (module.decode(module.encode(x)) + 2) / 8
    expected = nn.functional.binary_cross_entropy(p.float(), (x + 2) / 8, reduction="none").sum(1)
    assert_close(module(x), expected)


def test_linear_autoencoder_reaches_pca():
    X = torch.randn(200, 10) @ torch.randn(10, 10)
    X = X - X.mean(0)
    best = torch.linalg.svdvals(X)[4:].square().sum() / 200
    module = fit(Autoencoder(Reals(10), *mlp((10,), (10,), 4, 4, widths=()), (10,), 4), X, 1000, 1e-2)
    error = module(X).mean()
    assert best * (1 - 1e-4) < error < best * 1.01


OF_REALS = {"gaussian": Gaussian(), "bernoulli": GreyBernoulli()}


# -- variational autoencoder -----------------------------------------------------------------------------------


def test_kl_is_that_of_torch():
    mean, log_variance = torch.randn(2, 7, 5, dtype=torch.float64)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    assert_close(_kl(mean, log_variance), expected)
    vae = make_vae(Reals(6), (6,), 3).double()
    kl = vae.kl_per_unit(torch.randn(4, 6))
    assert kl.shape == (4, 3)
    assert kl.dtype == torch.float64
    assert (kl >= 0).all()


def test_bounds_on_the_log_variance_are_smooth_and_the_identity_inside():
    raw = torch.linspace(-200, 200, 4001, dtype=torch.float64, requires_grad=True)
    out = bounded(raw, 1e-3)
    out.sum().backward()
    assert_close(out[[0, -1]].tolist(), [math.log(1e-3), LOG_VARIANCE_MAX])
    assert (raw.grad >= 0).all()
    middle = raw.abs() < 1
    assert_close(out[middle], raw[middle], rtol=0, atol=0.01)


def unbounded(log_variance, floor):
    """What comes out of ``bounded`` as ``log_variance``."""

    def inverse_softplus(y):
        return y + (-(-y).expm1()).log()

    low = math.log(floor)
    below = low + inverse_softplus(log_variance - low)
    return LOG_VARIANCE_MAX - inverse_softplus(LOG_VARIANCE_MAX - below)


def linear_gaussian(scaling, W, b, noise_variance):
    """A VAE whose exact marginal, in scaled units, is N(b, W W' + diag noise_variance); q is the exact posterior's
    mean and the diagonal of its precision, the best diagonal q."""
    d, k = W.shape
    vae = make_vae(scaling, (d,), k, partial(mlp, widths=())).double().eval()
    encoder, decoder = vae.encoder, vae.decoder
    precision = torch.eye(k, dtype=W.dtype) + W.T @ (W / noise_variance.unsqueeze(1))
    to_mean = torch.linalg.solve(precision, W.T / noise_variance)
    with torch.no_grad():
        decoder[0].weight.copy_(torch.cat([W, torch.zeros_like(W)]))
        decoder[0].bias.copy_(torch.cat([b, unbounded(noise_variance.log(), vae.likelihood.variance_floor)]))
        encoder[1].weight.copy_(torch.cat([to_mean, torch.zeros_like(to_mean)]))
        log_variance = -precision.diagonal().log()
        encoder[1].bias.copy_(torch.cat([-to_mean @ b, unbounded(log_variance, 1e-4)]))
    return vae


@pytest.fixture
def known():
    """Scaling in play, a random W, the exact log-density in the units of x."""
    d, k = 6, 2
    scaling = Reals(d)
    scaling.shift.copy_(torch.randn(d))
    scaling.scale.copy_(torch.rand(d) + 0.5)
    W = torch.randn(d, k, dtype=torch.float64)
    b = torch.randn(d, dtype=torch.float64)
    noise_variance = torch.rand(d, dtype=torch.float64) + 0.3

    def exact(W):
        marginal = MultivariateNormal(b, W @ W.T + noise_variance.diag())
        X = scaling.inverse(marginal.sample((30,)))
        return X, marginal.log_prob(scaling.scaled(X)) - scaling.log_width().sum()

    return scaling, W, b, noise_variance, exact


def test_importance_bound_is_below_and_near_the_exact_marginal(known):
    scaling, W, b, noise_variance, exact = known
    X, log_p = exact(W)
    vae = linear_gaussian(scaling, W, b, noise_variance)
    with torch.no_grad():
        vae.encoder[1].bias[:2] += 0.3  # a posterior that is a little off: the bound has a gap to close
    noise = torch.randn(5000, 2, dtype=torch.float64)
    bound = vae.log_prob(X, noise)
    assert bound.dtype == torch.float64
    assert (bound - log_p).abs().max() < 0.1
    one, few = (torch.stack([vae.log_prob(X, part) for part in noise[:400].split(n)]) for n in (1, 5))
    assert one.mean() < few.mean() < vae.log_prob(X, noise[:400]).mean()  # the mean of logs and the log of the mean
    assert one.mean() < log_p.mean() - 0.05
    one = torch.stack([vae.log_prob(X, draw) for draw in noise.split(1)]).mean(0)
    elbo = -torch.stack([vae(X) for _ in range(2000)]).mean(0)  # the analytic KL estimates what one draw does
    assert_close(elbo, one, rtol=0, atol=0.25)


def test_elbo_of_the_exact_posterior_is_the_marginal(known):
    scaling, W, b, noise_variance, exact = known
    # columns orthogonal in the metric of the noise: the posterior has a diagonal covariance
    W = torch.linalg.qr(W / noise_variance.sqrt().unsqueeze(1)).Q * noise_variance.sqrt().unsqueeze(1)
    X, log_p = exact(W)
    vae = linear_gaussian(scaling, W, b, noise_variance)
    assert_close(vae.log_prob(X, torch.randn(1, 2)), log_p)  # any draw: the importance weight is constant
    assert_close(-torch.stack([vae(X) for _ in range(1000)]).mean(0), log_p, rtol=0, atol=0.1)


def test_log_prob_in_chunks_is_log_prob_at_once():
    vae = make_vae(Reals(6), (6,), 3).double().eval()
    x, noise = torch.randn(4, 6), torch.randn(150, 3)
    each = torch.stack([vae.log_prob(x, draw) for draw in noise.split(1)])
    assert_close(vae.log_prob(x, noise), each.logsumexp(0) - math.log(150))


@pytest.mark.parametrize(("n_features", "n_draws"), [(6, [64, 36]), (1024, [16] * 6 + [4]), (40_000, [1] * 100)])
def test_a_row_s_draws_are_decoded_a_few_thousand_numbers_at_a_time(n_features, n_draws, monkeypatch):
    vae, seen = make_vae(Reals(n_features), (n_features,), 3, partial(mlp, widths=())).eval(), []

    def none(target, z, _):
        seen.append(len(z))
        return torch.zeros(z.shape[:-1])

    monkeypatch.setattr(vae, "_log_likelihood", none)
    vae.log_prob(torch.zeros(1, n_features), torch.randn(100, 3))
    assert seen == n_draws


def test_bernoulli_sums_to_one():
    vae = make_vae(Shares(6), (6,), 2, likelihood=GreyBernoulli()).double().eval()
    rows = torch.tensor(list(product([0.0, 1.0], repeat=6)), dtype=torch.float64)
    last = vae.decoder[-2]  # before Unflatten
    with torch.no_grad():
        last.bias.add_(torch.randn(6))
        last.weight.mul_(10)
    total = vae.log_prob(rows, torch.randn(1000, 2)).exp().sum()
    assert_close(total.item(), 1.0, rtol=0, atol=0.03)
    with torch.no_grad():
        last.weight.zero_()  # the decoder ignores z, and q is the prior: one draw is exact
        encoder_last = vae.encoder[-1]
        encoder_last.weight.zero_()
        encoder_last.bias.copy_(torch.tensor([0.0, 0.0, *[unbounded(torch.zeros(()).double(), 1e-4)] * 2]))
    total = vae.log_prob(rows, torch.randn(1, 2)).exp().sum()
    assert_close(total.item(), 1.0, rtol=0, atol=1e-9)


LEVELS = pytest.mark.parametrize("likelihood", [Categorical(3), DiscretizedLogisticMixture(3, n_mixtures=2)])


@LEVELS
def test_bound_over_levels_is_below_the_exact_marginal_which_sums_to_one(likelihood):
    rows = torch.tensor(list(product([0.0, 1.0, 2.0], repeat=3)), dtype=torch.float64)
    vae = make_levels_vae(Levels(3, 3, whole=True), likelihood, 3, 1)
    z = torch.linspace(-8, 8, 2001, dtype=torch.float64).unsqueeze(1)
    at_z = vae._log_likelihood(vae._target(rows, None), z.unsqueeze(1).expand(-1, len(rows), -1))
    exact = (at_z + Normal(0.0, 1.0).log_prob(z) + math.log(8 / 1000)).logsumexp(0)
    assert_close(exact.exp().sum().item(), 1.0, rtol=0, atol=1e-9)
    noise = torch.randn(5000, 1)
    elbo = torch.stack([vae.log_prob(rows, part) for part in noise[:1000].split(1)]).mean(0)
    tight = vae.log_prob(rows, noise)
    assert (elbo < exact).all()
    assert (exact - elbo).max() > 0.02, "the weights matter"
    assert_close(tight, exact, rtol=0, atol=0.1)


def test_two_levels_are_a_bernoulli():
    rows = torch.tensor(list(product([0.0, 1.0], repeat=4)), dtype=torch.float64)
    vae = make_levels_vae(Levels(4, 2, whole=True), Categorical(2), 4, 2)
    binary = make_vae(Shares(4), (4,), 2, partial(mlp, widths=(8,)), GreyBernoulli()).double()
    binary.encoder.load_state_dict(vae.encoder.state_dict())
    binary.decoder[0].load_state_dict(vae.decoder[0].state_dict())
    with torch.no_grad():
        for name in ("weight", "bias"):
            below, above = getattr(vae.decoder[-2], name).chunk(2)
            getattr(binary.decoder[-2], name).copy_(above - below)
    noise = torch.randn(30, 2)
    assert_close(vae.log_prob(rows, noise), binary.log_prob(rows, noise))
    assert_close(vae.decode(vae.encode(rows)), binary.decode(binary.encode(rows)))


@LEVELS
@pytest.mark.parametrize("whole", [True, False])
def test_means_and_samples_of_levels_agree(likelihood, whole):
    levels = Levels(2, 3, whole=whole)
    levels.lower.fill_(10.0)
    levels.width.fill_(4.0)
    levels.upper.fill_(21.0 if whole else 22.0)
    vae = make_levels_vae(levels, likelihood, 2, 1)
    z = torch.randn(1, 1, dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    drawn = levels.values(likelihood.draw(vae._params(z.expand(40_000, -1)), random), random)
    assert_close(drawn.mean(0), vae.decode(z)[0], rtol=0, atol=0.08)
    assert drawn.min() >= 10
    assert drawn.max() <= 22
    assert (drawn == drawn.round()).all() == whole
    assert vae.sample(50).shape == (50, 2)


def test_regret_is_what_a_wrong_posterior_costs(known):
    """The bound of a linear-Gaussian model is log p(x) - KL(q || posterior): a mean off by e costs e' P e / 2."""
    scaling, W, b, noise_variance, exact = known
    X, _ = exact(W)
    vae = linear_gaussian(scaling, W, b, noise_variance)
    noise = math.sqrt(2) * torch.cat([torch.eye(2), -torch.eye(2)]).double()  # mean 0 and covariance I: no error
    assert_close(vae.regret(X, noise, 100, 0.01), torch.zeros(len(X)).double(), rtol=0, atol=1e-6)
    off = torch.tensor([0.4, -0.2], dtype=torch.float64)
    with torch.no_grad():
        vae.encoder[1].bias[:2] += off
    precision = torch.eye(2, dtype=torch.float64) + W.T @ (W / noise_variance.unsqueeze(1))
    with torch.inference_mode():  # where both are made anew when they move to a GPU
        regret = vae.regret(X.clone(), noise.clone(), 400, 0.02)
    assert_close(regret, (off @ precision @ off / 2).expand(len(X)), rtol=0.01, atol=0)
    alone = torch.cat([vae.regret(row, noise, 400, 0.02) for row in X[:3].split(1)])
    assert_close(alone, regret[:3])


def bound_of(vae, X, mean, log_variance, noise):
    """The evidence lower bound by the given draws, term by term."""
    q = Normal(mean, (0.5 * log_variance).exp())
    u, log_p = vae.scaling.scaled(X), []
    for draw in noise:
        params = vae.decoder(q.mean + q.stddev * draw)
        m, raw = params.view(len(X), 2, -1).unbind(1)
        log_p.append(Normal(m, (0.5 * bounded(raw, vae.likelihood.variance_floor)).exp()).log_prob(u).sum(1))
    kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    return torch.stack(log_p).mean(0) - kl - vae.scaling.log_width().sum()


def test_bound_by_given_draws_and_its_gradient(known):
    scaling, W, b, noise_variance, exact = known
    X, _ = exact(W)
    vae = linear_gaussian(scaling, W, b, noise_variance)
    vae.scaling.train()  # no limits
    noise = torch.randn(3, 2, dtype=torch.float64)
    q = [part.detach().requires_grad_() for part in vae._posterior(vae.scaling.scaled(X))]
    found, expected = vae._bound(vae._target(X, vae.scaling.scaled(X)), *q, noise), bound_of(vae, X, *q, noise)
    assert_close(found, expected)
    for one, other in zip(torch.autograd.grad(found.sum(), q), torch.autograd.grad(expected.sum(), q), strict=True):
        assert_close(one, other)


def test_regret_after_one_step_is_that_of_adam(known):
    """Adam's first step moves each number by the learning rate, against the sign of its gradient."""
    scaling, W, b, noise_variance, exact = known
    X, _ = exact(W)
    vae = linear_gaussian(scaling, W, b, noise_variance)
    with torch.no_grad():
        vae.encoder[1].bias[:2] += torch.tensor([0.4, -0.2])
    vae.scaling.train()
    noise = torch.randn(3, 2, dtype=torch.float64)
    q = [part.detach().requires_grad_() for part in vae._posterior(vae.scaling.scaled(X))]
    before = bound_of(vae, X, *q, noise)
    moved = [part + 0.01 * slope.sign() for part, slope in zip(q, torch.autograd.grad(before.sum(), q), strict=True)]
    gain = bound_of(vae, X, *moved, noise) - before
    assert (gain > 0).all()
    assert_close(vae.regret(X, noise, 1, 0.01), gain.detach(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("image", [False, True])
def test_statistics_are_the_likelihood_at_the_mean_and_that_mean(image):
    shape = (2, 8, 3) if image else (48,)
    vae = make_vae(Reals(48), shape, 3, partial(mlp, widths=(8,))).double().eval()
    x = torch.randn(5, 48, dtype=torch.float64)
    mean = vae.encode(x)
    maps = vae.likelihood.log_prob(vae._params(mean), x)
    cells = maps.sum(1, keepdim=True)
    if image:  # two pixels wide: 4 x 2 cells, those at the edge of one column
        pixels = maps.view(5, 2, 8, 3).sum(1)
        cells = torch.stack([pixels[:, i : i + 2, j : j + 2].sum((1, 2)) for i in range(0, 8, 2) for j in (0, 2)], 1)
    assert_close(vae.statistics(x), torch.cat([cells, mean], 1))


def test_linear_plus_is_its_two_parts_and_gradients_pass_both():
    layer = LinearPlus(nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)), 3, (2, 2), reach=1.0).double()
    for buffer in layer.buffers():
        buffer.normal_()
    x = torch.tensor([[0.5, -0.5, 0.2], [3.0, -3.0, 0.1]], dtype=torch.float64, requires_grad=True)
    linear = (x @ layer.weight.T + layer.bias).view(2, 2, 2)
    assert_close(layer(x), linear)  # the net starts at zero
    with torch.no_grad():
        layer.net[2].weight.normal_()
        layer.net[2].bias.normal_()
    assert_close(layer(x), linear + (layer.scale * layer.net(x.clamp(-1, 1))).view(2, 2, 2))
    assert torch.autograd.gradcheck(layer, x)


def started(cls, n_out, n_code, **options):
    """A model of 4 features and 2 units at a random linear one, with a net beside it."""
    encoder, decoder = mlp((4,), (n_out,), n_code, 2, widths=(5,), activation="tanh")
    coders = LinearPlus(encoder, 4, (n_code,)), LinearPlus(decoder, 2, (n_out,), reach=3.0)
    scaling = scaling_for(torch.randn(50, 4) * 2 + 1)
    model = cls(scaling, *coders, (4,), *options.pop("args"), **options).double()
    for name, tensor in model.state_dict().items():
        if not name.startswith("scaling"):
            tensor.normal_(std=0.6)
    model.code_scale.copy_(torch.tensor([2.0, 0.5]))
    return model


def test_an_autoencoder_from_a_linear_start_is_drawn_towards_it():
    model, x = started(Autoencoder, 4, 2, args=[2]), torch.randn(6, 4, dtype=torch.float64) * 4
    u = model.scaling.scaled(x)
    linear, share = model.encoder.linear(u), model.encoder.share(model.inside(x))
    error = (model.decoder(linear + share) - u).square().sum(1)
    assert_close(model.eval()(x), error)
    assert_close(model.train()(x), error + model.decoder.scale.square().sum() * share.square().mean(1))
    assert_close(model.encode(x), model.code_scale * (linear + share))
    assert_close(model.decode(model.encode(x)), model.scaling.inverse(model.decoder(linear + share)))
    assert_close(model.code_of(model.inside(x)), model.code_scale * model.encoder(model.inside(x)))
    check_slope(model, lambda: model(x).sum())


def test_a_vae_from_a_linear_start_keeps_a_little_of_it():
    """2 % of the density are the linear model's, whose log p(x) = log p(x, z) - log q(z | x) at any z if q is exact."""
    model, x = started(VAE, 8, 4, args=[Gaussian(), 2]).eval(), torch.randn(6, 4, dtype=torch.float64) * 3
    u, noise = model.scaling.scaled(x), torch.randn(7, 2, dtype=torch.float64)
    mean, raw = model.encoder.linear(u).chunk(2, 1)
    q = Normal(mean, (0.5 * bounded(raw, 1e-8)).exp())
    m, log_variance = model.decoder.linear(mean).view(6, 2, 4).unbind(1)
    log_p = Normal(m, (0.5 * bounded(log_variance, 1e-3)).exp()).log_prob(u).sum(1)
    linear = log_p + (Normal(0.0, 1.0).log_prob(mean) - q.log_prob(mean)).sum(1) - model.scaling.log_width().sum()
    mean, log_variance = model.encoder(model.inside(x)).chunk(2, 1)
    mean, raw = (model.encoder.linear(u) + model.encoder.share(model.inside(x))).chunk(2, 1)
    q = Normal(mean, (0.5 * bounded(raw, 1e-8)).exp())
    log_ratio = []
    for draw in noise:
        z = q.mean + q.stddev * draw
        m, log_variance = model.decoder(z).view(6, 2, 4).unbind(1)
        log_p = Normal(m, (0.5 * bounded(log_variance, 1e-3)).exp()).log_prob(u).sum(1)
        log_ratio.append(log_p + (Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)).sum(1))
    bound = torch.stack(log_ratio).logsumexp(0) - math.log(7) - model.scaling.log_width().sum()
    assert_close(model.log_prob(x, noise), torch.log(0.98 * bound.exp() + 0.02 * linear.exp()))


def test_a_vae_s_gradient_is_its_slope():
    for model in (
        started(VAE, 8, 4, args=[Gaussian(), 2]),
        make_vae(Reals(4), (4,), 2, beta=0.5, free_bits=0.1).double(),
    ):
        x = torch.randn(6, 4, dtype=torch.float64)

        def loss(model=model, x=x):
            torch.manual_seed(0)
            return model(x).sum()

        check_slope(model, loss)


def test_draws_from_a_linear_start_are_the_linear_model_s_in_two_of_a_hundred():
    model = started(VAE, 8, 4, args=[Gaussian(), 2]).eval()
    with torch.no_grad():
        model.decoder.net[-2].bias[:4] += 1000 / model.decoder.scale[:4]  # far off
        model.decoder.net[-2].weight.mul_(0.01)
    draws = model.sample(20_000, torch.Generator().manual_seed(0))
    share = (draws.abs().amax(1) < 100).double().mean().item()
    assert abs(share - 0.02) < 0.004
    assert torch.equal(draws, model.sample(20_000, torch.Generator().manual_seed(0)))


def test_density_is_in_the_units_of_x():
    X = torch.randn(50, 4, dtype=torch.float64)
    vae = make_vae(scaling_for(X), (4,), 2).double().eval()
    wide = make_vae(scaling_for(100 * X), (4,), 2).double().eval()
    wide.encoder.load_state_dict(vae.encoder.state_dict())
    wide.decoder.load_state_dict(vae.decoder.state_dict())
    noise = torch.randn(10, 2)
    assert_close(wide.log_prob(100 * X, noise), vae.log_prob(X, noise) - 4 * math.log(100))
    assert_close(wide.decode(wide.encode(100 * X)), 100 * vae.decode(vae.encode(X)))


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outside_the_range_scores_are_finite_and_fall(likelihood, dtype):
    X = torch.rand(200, 5).round() if likelihood == "bernoulli" else torch.randn(200, 5)
    X[:, 4] = 1.0  # a constant feature
    scaling = scaling_for(X)
    if likelihood == "bernoulli":  # as it is, but for the range
        scaling = Shares(5)
        scaling.lower.copy_(X.amin(0))
        scaling.upper.copy_(X.amax(0))
    vae = fit(make_vae(scaling, (5,), 2, likelihood=OF_REALS[likelihood]), X, 100).to(dtype)
    noise = torch.randn(20, 2)
    steps = torch.tensor([0.0, 1e-2, 1, 10, 1e3, 1e6, 1e12, 1e30, 1e300], dtype=torch.float64)
    for feature, sign in product(range(5), (-1, 1)):
        edge = X[:, feature].amax() if sign > 0 else X[:, feature].amin()
        rows = X[:1].double().repeat(len(steps), 1)
        rows[:, feature] = edge.double() + sign * steps
        score = vae.log_prob(rows, noise)
        assert score.isfinite().all()
        fall = score.diff()
        assert (fall[:-2] < 0).all(), (feature, sign)
        assert (fall <= 0).all()  # beyond FAR all values count alike


def test_autoencoder_losses_outside_the_range_are_finite_and_rise():
    for loss in ("squared_error", "binary_cross_entropy"):
        scaling = Reals(3)
        scaling.lower.fill_(0.0)
        scaling.upper.fill_(1.0)
        module = Autoencoder(scaling, *mlp((3,), (3,), 2, 2), (3,), 2, loss=loss).eval()
        rows = torch.tensor([10.0, 1e3, 1e6, 1e12, 1e30]).view(-1, 1).repeat(1, 3)
        assert module(rows).isfinite().all()
        assert (module(rows).diff()[:-1] > 0).all()
        assert_close(module.encode(rows), module.encode(torch.ones(5, 3)))


def test_free_bits_and_warm_up_touch_training_only():
    vae = make_vae(Reals(6), (6,), 3, beta=2.0).double()
    x = torch.randn(8, 6, dtype=torch.float64)
    kl = vae.kl_per_unit(x)

    def loss(**attributes):
        vars(vae).update({"kl_weight": 1.0, "free_bits": 0.0} | attributes)
        torch.manual_seed(0)
        return vae(x)

    vae.train()
    assert_close(loss() - loss(kl_weight=0.0), 2 * kl.sum(1))
    assert_close(loss(kl_weight=0.25) - loss(kl_weight=0.0), 0.5 * kl.sum(1))
    granted = kl.mean(0).median().item()
    expected = 2 * kl.mean(0).clamp(min=granted).sum()
    assert_close((loss(free_bits=granted) - loss(kl_weight=0.0)).mean(), expected)
    vae.eval()
    assert_close(loss(kl_weight=0.0, free_bits=9.0), loss())


def test_samples_have_the_moments_of_the_model(known):
    scaling, W, b, noise_variance, _ = known
    vae = linear_gaussian(scaling, W, b, noise_variance)
    draws = vae.sample(40_000, torch.Generator().manual_seed(1))
    scale = scaling.scale
    covariance = (W @ W.T + noise_variance.diag()) * scale * scale.unsqueeze(1)
    assert_close(draws.mean(0), scaling.inverse(b), rtol=0, atol=0.05)
    assert_close(draws.T.cov(), covariance, rtol=0.05, atol=0.08)
    again = vae.sample(40_000, torch.Generator().manual_seed(1))
    assert_close(draws, again, rtol=0, atol=0)
    binary = make_vae(Shares(4), (4,), 2, likelihood=GreyBernoulli()).eval().sample(50)
    assert set(binary.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("corruption", ["affine", "swap", None])
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_conv_vae_in_float64_gradients_reach_everything(likelihood, corruption):
    shape = (2, 9, 7)
    corrupt = make_corruption(corruption, shape)
    scaling = {"gaussian": Reals, "bernoulli": Shares}[likelihood](126)
    vae = make_vae(scaling, shape, 3, conv, OF_REALS[likelihood], corruption=corrupt).double()
    loss = vae(torch.rand(6, 126))
    assert loss.dtype == torch.float64
    assert loss.shape == (6,)
    loss.mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vae.parameters())
    assert vae.eval().decode(vae.encode(torch.rand(6, 126))).shape == (6, 126)


def test_vae_beats_independent_gaussians():
    z = torch.randn(400, 1)
    X = torch.cat([z, z.square(), z.sin()], 1) + 0.1 * torch.randn(400, 3)
    independent = Normal(X.mean(0), X.std(0)).log_prob(X).sum(1).mean()
    vae = fit(make_vae(scaling_for(X), (3,), 2, partial(mlp, widths=(32,))), X, 600)
    noise = torch.randn(100, 2)
    assert vae.log_prob(X, noise).mean() > independent + 1.0
