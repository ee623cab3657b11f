"""Autoencoders, plain and variational. Both see raw rows: the scaling is part of the model."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .likelihoods import cell_sums

LOG_2PI = math.log(2 * math.pi)
LOG_VARIANCE_MAX = 10.0  # of codes and of features, in scaled units: keeps exp finite in a diverging fit
CODE_VARIANCE_FLOOR = 1e-4
CHUNK = 2**14  # features decoded at once per row; fixed, so that a row's sum has one order in any batch


class _Coder(nn.Module):
    """Rows to and from what the encoder and decoder see."""

    def __init__(self, scaling, encoder, decoder, input_shape, corruption=None):
        super().__init__()
        self.scaling, self.encoder, self.decoder = scaling, encoder, decoder
        self.input_shape, self.corruption = tuple(input_shape), corruption

    def _scaled(self, x):  # (n, d) raw -> (n, d) in the network's dtype; centred first, then cast
        return self.scaling(x).to(next(self.encoder.parameters()).dtype)

    def inside(self, x):  # (n, d) raw -> (n, *input_shape): what the encoder sees when nothing is corrupted
        return self._inside(self._scaled(x))

    def code_of(self, inside):  # (n, *input_shape) -> (n, k): of what is given, never corrupted
        return self.encoder(inside)

    def _inside(self, u):  # clipped: a warp may carry ink to pixels that were dark in every fitted row
        return self.scaling.inside(u).unflatten(1, self.input_shape)

    def _encoded(self, u):
        inside = self._inside(u)
        if self.training and self.corruption is not None:
            inside = self.corruption(inside)
        return self.encoder(inside).to(u.dtype)

    def _decoded(self, z):  # (..., k) -> (..., features)
        out = self.decoder(z.flatten(0, -2)).flatten(1).to(z.dtype)
        return out.unflatten(0, z.shape[:-1])


class Autoencoder(_Coder):
    r"""Reconstruction error of each row, summed over its features, in scaled units.

    Squared error: ``|decoder(encoder(u)) - u|^2``. Binary cross-entropy, for u in [0, 1]:
    ``-sum u log p + (1 - u) log (1 - p)`` with ``p = sigmoid(decoder(encoder(u)))``.

    Parameters
    ----------
    scaling : Affine
    encoder, decoder : Module
        (n, \*input_shape) -> (n, k) and back.
    input_shape : tuple of int
    loss : {"squared_error", "binary_cross_entropy"}
    corruption : callable or None
        In training the encoder sees the corrupted row; the clean row stays the target.
    """

    def __init__(self, scaling, encoder, decoder, input_shape, corruption=None, loss="squared_error"):
        super().__init__(scaling, encoder, decoder, input_shape, corruption)
        self.loss = loss

    def forward(self, x):  # (n, d) -> (n,)
        u = self._scaled(x)
        out = self._decoded(self._encoded(u))
        if self.loss == "binary_cross_entropy":
            return -_bernoulli(u, out).sum(1)
        return (out - u).square().sum(1)

    def encode(self, x):  # (n, d) -> (n, k)
        return self._encoded(self._scaled(x))

    def decode(self, z):  # (n, k) -> (n, d) in the units of x
        out = self._decoded(z)
        return self.scaling.inverse(out.sigmoid() if self.loss == "binary_cross_entropy" else out)


class VAE(_Coder):
    r"""Variational autoencoder with diagonal Gaussians.

    .. math::
        p(z) = N(0, I), \quad q(z|x) = N(m(x), \mathrm{diag}\, s^2(x)), \quad
        p(x|z) = N(\mu(z), \mathrm{diag}\, \sigma^2(z)) \text{ or Bernoulli}

    Log-densities are in nats and in the units of x. The Bernoulli sees values scaled to [0, 1]; where they are not
    all 0 or 1 it gives a cross-entropy that is no probability.

    Parameters
    ----------
    scaling : Affine
    encoder : Module
        (n, \*input_shape) -> (n, 2k): mean and log variance, before the bounds.
    decoder : Module
        (n, k) -> twice the features, mean and log variance (twice the channels of an image), or their logits.
    input_shape : tuple of int
    likelihood : {"gaussian", "bernoulli"}
    beta : float
        Weight of the KL term in the loss; log_prob has no part in it.
    free_bits : float
        In training a unit whose mean KL over the batch is below this many nats pays exactly this, so has no
        reason to collapse.
    variance_floor : float
        Lower bound of sigma^2, in scaled units: a constant feature would drive it to 0, and the density to
        infinity.
    corruption : callable or None
        In training the encoder sees the corrupted row; the likelihood is that of the clean row.

    References
    ----------
    D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", 2014.
    D. P. Kingma et al., "Improved variational inference with inverse autoregressive flow", 2016 (free bits).
    Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", 2016 (log_prob).
    """

    _n_params = 1  # what CHUNK counts for a feature

    def __init__(
        self,
        scaling,
        encoder,
        decoder,
        input_shape,
        corruption=None,
        likelihood="gaussian",
        beta=1.0,
        free_bits=0.0,
        variance_floor=1e-3,
    ):
        super().__init__(scaling, encoder, decoder, input_shape, corruption)
        self.likelihood, self.beta, self.free_bits = likelihood, beta, free_bits
        self.variance_floor = variance_floor
        self.kl_weight = 1.0  # a warm-up raises it to 1 during training; evaluation does not look at it

    def forward(self, x):  # (n, d) -> (n,): minus the ELBO from one draw, the KL in closed form
        u = self._scaled(x)
        mean, log_variance = self._posterior(u)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        kl, weight = _kl(mean, log_variance), self.beta
        if self.training:
            weight = weight * self.kl_weight
            kl = torch.where(kl.mean(0) >= self.free_bits, kl, self.free_bits)
        return weight * kl.sum(1) - self._log_likelihood(self._target(x, u), z)

    def encode(self, x):  # (n, d) -> (n, k): the posterior mean
        return self._posterior(self._scaled(x))[0]

    def code_of(self, inside):
        return self.encoder(inside).chunk(2, 1)[0]

    def decode(self, z):  # (n, k) -> (n, d): the mean of p(x|z), in the units of x
        return self.scaling.inverse(self._likelihood_parameters(z)[0])

    def kl_per_unit(self, x):  # (n, d) -> (n, k) nats
        return _kl(*self._posterior(self._scaled(x)))

    def log_prob(self, x, noise):
        r"""Bound :math:`\log \frac1S \sum_s p(x, z_s) / q(z_s|x)` on log p(x), tighter with more draws.

        ``noise`` (S, k) is standard normal and shared by all rows: z_s = mean + deviation * noise_s. One draw
        estimates the ELBO without bias.
        """
        u = self._scaled(x)
        mean, log_variance = self._posterior(u)
        deviation = (0.5 * log_variance).exp()
        noise, target = noise.to(u.dtype), self._target(x, u)
        total = u.new_full((len(u),), -torch.inf)
        for draws in noise.split(min(64, max(1, CHUNK // (u.shape[1] * self._n_params)))):
            z = mean + deviation * draws.unsqueeze(1)  # (s, n, k)
            # the normalisers of p(z) and q(z|x) cancel, but for the standard deviations
            prior_to_posterior = 0.5 * (draws.square().unsqueeze(1) + log_variance - z.square()).sum(2)
            log_weight = self._log_likelihood(target, z) + prior_to_posterior  # (s, n)
            total = torch.logaddexp(total, log_weight.logsumexp(0))
        return total - math.log(len(noise))

    def regret(self, x, noise, n_steps, learning_rate):  # (n, d), (S, k) -> (n,) nats, never negative
        r"""What the evidence lower bound of a row gains when its own mean and log variance of q are refined.

        The bound is that of the S draws of ``noise`` that all rows share. Adam starts at the encoder's q; the best
        step counts. Each row has its own numbers and Adam works number by number, so rows do not mix.

        References
        ----------
        Z. Xiao, Q. Yan, Y. Amit, "Likelihood regret: an out-of-distribution detection score for variational
        auto-encoder", 2020.
        """
        with torch.inference_mode(False), torch.enable_grad():
            x, noise = x.clone(), noise.clone()  # tensors made in inference mode take part in no gradient
            u = self._scaled(x)
            target, noise = self._target(x, u), noise.to(u.dtype)
            q = [part.detach().clone().requires_grad_() for part in self._posterior(u)]
            optimizer = torch.optim.Adam(q, learning_rate)
            bounds = []
            for _ in range(n_steps):
                bounds.append(self._bound(target, *q, noise))
                for part, gradient in zip(q, torch.autograd.grad(-bounds[-1].sum(), q), strict=True):
                    part.grad = gradient
                optimizer.step()
            with torch.no_grad():
                bounds.append(self._bound(target, *q, noise))
        return torch.stack([bound.detach() for bound in bounds]).amax(0) - bounds[0].detach()

    def statistics(self, x):  # (n, d) -> (n, cells + k)
        """log p(x|z) at the posterior mean, in the cells of an image or summed up, and that mean."""
        u = self._scaled(x)
        mean = self._posterior(u)[0]
        maps = self._log_likelihood_map(self._target(x, u), mean)
        is_image = len(self.input_shape) == 3
        return torch.cat([cell_sums(maps, self.input_shape) if is_image else maps.sum(1, keepdim=True), mean], 1)

    def _bound(self, target, mean, log_variance, noise):
        """The evidence lower bound, its expectation over q by the draws of ``noise``."""
        z = mean + (0.5 * log_variance).exp() * noise.unsqueeze(1)  # (S, n, k)
        return self._log_likelihood(target, z).mean(0) - _kl(mean, log_variance).sum(1)

    def sample(self, n, generator=None):  # -> (n, d) in the units of x
        one = next(self.encoder.parameters())
        n_latent = self._posterior(one.new_zeros(1, math.prod(self.input_shape)))[0].shape[1]
        return self._drawn(_normal((n, n_latent), one, generator), generator)

    def _drawn(self, z, generator):  # (n, k) -> (n, d), a draw from p(x|z)
        mean, log_variance = self._likelihood_parameters(z)
        if self.likelihood == "bernoulli":
            u = torch.rand(mean.shape, generator=generator, device=z.device, dtype=z.dtype) < mean
        else:
            u = mean + (0.5 * log_variance).exp() * _normal(mean.shape, z, generator)
        return self.scaling.inverse(u)

    def _target(self, x, u):
        """What ``_log_likelihood`` takes of the raw row and the scaled one."""
        return u

    def _posterior(self, u):
        mean, log_variance = self._encoded(u).chunk(2, 1)
        return mean, _bounded(log_variance, CODE_VARIANCE_FLOOR)

    def _likelihood_parameters(self, z):  # (..., k) -> mean (..., d), log variance (..., d) or None
        out = self._decoded(z)
        if self.likelihood == "bernoulli":
            return out.sigmoid(), None
        mean, log_variance = out.chunk(2, -1)
        if not self.training:
            # No row inside the range loses by this, and a row outside it falls with its distance.
            mean = self.scaling.inside(mean)
        return mean, _bounded(log_variance, self.variance_floor)

    def _log_likelihood(self, target, z):  # target of n rows, (..., n, k) -> (..., n)
        log_p = self._log_likelihood_map(target, z).sum(-1)
        return log_p - self._log_unit().to(log_p.dtype)

    def _log_likelihood_map(self, u, z):  # (n, d), (..., n, k) -> (..., n, d), in scaled units
        if self.likelihood == "bernoulli":
            return _bernoulli(u, self._decoded(z))
        mean, log_variance = self._likelihood_parameters(z)
        return -0.5 * ((u - mean).square() * (-log_variance).exp() + log_variance + LOG_2PI)

    def _log_unit(self):
        """What a log-density pays for the units of x."""
        return self.scaling.log_scale() if self.likelihood == "gaussian" else self.scaling.scale.new_zeros(())


class LevelsVAE(VAE):
    r"""Variational autoencoder of levels: p(x|z) is a distribution over the bins of each feature.

    The encoder sees the scaled row; the decoder gives the parameters of the likelihood. Log-probabilities are divided
    by the width of a bin, as those of ``AutoregressiveModel``.

    Parameters
    ----------
    levels : Levels
    likelihood : object
        What the decoder's output means: ``Categorical`` or ``DiscretizedLogisticMixture``.
    scaling, encoder, decoder, input_shape, corruption, \**options
        As for ``VAE``; the decoder gives ``likelihood.n_params`` times the features (channels).
    """

    def __init__(self, levels, likelihood, *coder, **options):
        super().__init__(*coder, likelihood=likelihood, **options)
        self.levels = levels
        self._n_params = max(1, likelihood.n_params // 8)

    def decode(self, z):  # (n, k) -> (n, d): the mean of p(x|z), in the units of x
        params, last = self._params(z), self.levels.last()
        inside, mean = params.new_zeros(params.shape[:-1]), 0.0
        for level in range(self.levels.n_levels):
            which = torch.full_like(inside, level, dtype=torch.int64)
            p = self.likelihood.log_prob(params, which, inside, last).exp()
            mean = mean + (p if last is None else p.where(which <= last, 0)) * self.levels.middle(level)
        return mean

    def _drawn(self, z, generator):
        params, last = self._params(z), self.levels.last()
        last = None if last is None else last.repeat(len(z))
        levels = self.likelihood.draw(params.flatten(0, 1), generator, last)
        return self.levels.values(levels.view(len(z), -1), generator)

    def _target(self, x, u):
        return self.levels(x)

    def _params(self, z):  # (..., k) -> (..., d, n_params)
        return self._decoded(z).unflatten(-1, (self.likelihood.n_params, -1)).transpose(-1, -2)

    def _log_likelihood_map(self, target, z):  # levels and beyond, both (n, d); (..., n, k) -> (..., n, d)
        params = self._params(z)
        levels, beyond = (part.expand(params.shape[:-1]) for part in target)
        return self.likelihood.log_prob(params, levels, beyond, self.levels.last())

    def _log_unit(self):
        return self.levels.log_width().sum()


def _bounded(log_variance, floor):
    """Bend smoothly into (log floor, LOG_VARIANCE_MAX); well inside, the identity."""
    low = math.log(floor)
    below = LOG_VARIANCE_MAX - F.softplus(LOG_VARIANCE_MAX - log_variance)
    return low + F.softplus(below - low)


def _kl(mean, log_variance):
    """KL from N(mean, variance) to N(0, 1), per unit, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def _bernoulli(u, logits):
    """log p per feature. Outside [0, 1] it would be linear in u and could rise; there it falls with u^2."""
    inside = u.clamp(0, 1)
    cross_entropy = F.softplus(logits) - inside * logits
    return -cross_entropy - (u - inside).square()


def _normal(shape, like, generator):
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)
