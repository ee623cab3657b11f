"""Autoencoders, plain and variational. Both see raw rows: the scaling is part of the model."""

import math

import torch
from torch import nn

from .layers import cell_sums, exact_sum
from .likelihoods import AbsoluteError, GreyBernoulli, Huber, SquaredError, bounded
from .linear import LinearPlus

LOSSES = {
    "squared_error": SquaredError, "absolute_error": AbsoluteError, "huber": Huber,
    "binary_cross_entropy": GreyBernoulli,
}  # fmt: skip
CODE_VARIANCE_FLOOR = 1e-4
STARTED_FLOOR = 1e-8  # of the code's variance where the start is exact, which is small where features are many
LINEAR_SHARE = 0.02  # of the density of a VAE, that stays the linear model's
PULL = 1.0  # of codes towards PCA's
CHUNK = 2**14  # features decoded at once per row; fixed, so that a row's sum has one order in any batch


class _Coder(nn.Module):
    """Rows to and from what the encoder and decoder see.

    Codes that come out are ``code_scale`` times those between encoder and decoder.
    """

    def __init__(self, scaling, encoder, decoder, input_shape, likelihood, n_latent, corruption=None):
        super().__init__()
        self.scaling, self.encoder, self.decoder, self.n_latent = scaling, encoder, decoder, n_latent
        self.input_shape, self.likelihood, self.corruption = tuple(input_shape), likelihood, corruption
        self.register_buffer("code_scale", torch.ones(n_latent))

    @property
    def started(self):  # at a linear model
        return isinstance(self.encoder, LinearPlus)

    def _scaled(self, x):  # (n, d) raw -> (n, d) in the network's dtype; centred first, then cast
        return self.scaling.scaled(x).to(next(self.encoder.parameters()).dtype)

    def inside(self, x):  # (n, d) raw -> (n, *input_shape): what the encoder sees when nothing is corrupted
        return self._inside(self._scaled(x))

    def code_of(self, inside):  # (n, *input_shape) -> (n, k): of what is given, never corrupted
        return self.code_scale * self.encoder(inside)[:, : self.n_latent]

    def encode(self, x):  # (n, d) -> (n, k): of a VAE the posterior mean
        code = self._encoded(self._scaled(x))[:, : self.n_latent]
        return code * self.code_scale.to(code.dtype)

    def _unscaled(self, z):
        return z / self.code_scale.to(z.dtype)

    def _inside(self, u):  # clipped: a warp may carry ink to pixels that were dark in every fitted row
        return self.scaling.inside(u).unflatten(1, self.input_shape)

    def _encoded(self, u):
        return sum(self._parts(u))

    def _parts(self, u):
        """The linear part of the code, which sees rows beyond the range as they are, and the net's."""
        inside = self._inside(u)
        if self.training and self.corruption is not None:
            inside = self.corruption(inside)
            u = inside.flatten(1)
        if self.started:
            return self.encoder.linear(u), self.encoder.share(inside).to(u.dtype)
        return 0.0, self.encoder(inside).to(u.dtype)

    def _params(self, z, decoder=None):  # (..., k) -> (..., d, P), what the likelihood takes
        out = (decoder or self.decoder)(z.flatten(0, -2)).flatten(1).to(z.dtype)
        return out.view(*z.shape[:-1], self.likelihood.n_params, -1).transpose(-1, -2)


class Autoencoder(_Coder):
    r"""Reconstruction error of each row, summed over its features, in scaled units.

    Squared error: ``|decoder(encoder(u)) - u|^2``; absolute and Huber's alike. Binary cross-entropy, for u in [0, 1]:
    ``-sum u log p + (1 - u) log (1 - p)`` with ``p = sigmoid(decoder(encoder(u)))``.

    From a linear start, training adds ``PULL`` times PCA's error for each unit that codes move away from PCA's, in mean
    squares: else a net that is given many steps packs rows into codes that a linear classifier cannot read.

    Parameters
    ----------
    scaling : Affine
    encoder, decoder : Module
        (n, \*input_shape) -> (n, k) and back.
    input_shape : tuple of int
    n_latent : int
        k.
    corruption : callable or None
        In training the encoder sees the corrupted row; the clean row stays the target.
    loss : a name of ``LOSSES``, or callable
        Rows u and reconstructions, two of (n, d), to their losses, (n,).
    """

    def __init__(self, scaling, encoder, decoder, input_shape, n_latent, corruption=None, loss="squared_error"):
        likelihood = SquaredError() if callable(loss) else LOSSES[loss]()
        super().__init__(scaling, encoder, decoder, input_shape, likelihood, n_latent, corruption)
        self.loss = loss if callable(loss) else None

    def forward(self, x):  # (n, d) -> (n,)
        u = self._scaled(x)
        linear, share = self._parts(u)
        params = self._params(linear + share)
        loss = self.loss(u, self.likelihood.mean(params)) if self.loss else -self.likelihood.log_prob(params, u).sum(1)
        if self.started and self.training:
            loss = loss + PULL * self.decoder.scale.square().sum() * share.square().mean(1)
        return loss

    def decode(self, z):  # (n, k) -> (n, d) in the units of x
        return self.scaling.inverse(self.likelihood.mean(self._params(self._unscaled(z))))

    def squared_errors(self, x):  # (n, d) -> (n, d), of what ``decode`` gives, in scaled units
        scaled, rebuilt = self.scaling.scaled, self.decode(self.encode(x))
        return (scaled(x.to(rebuilt.dtype)) - scaled(rebuilt)).square()


class VAE(_Coder):
    r"""Variational autoencoder whose code is a diagonal Gaussian.

    .. math::
        p(z) = N(0, I), \quad q(z|x) = N(m(x), \mathrm{diag}\, s^2(x)), \quad
        p(x|z) = \prod_i p(x_i | \mathrm{decoder}_i(z))

    Log-densities are in nats and in the units of x; of levels they are divided by the width of a bin, as those of
    ``AutoregressiveModel``.

    Parameters
    ----------
    scaling : Reals
        What the encoder sees, and the likelihood too unless there are ``levels``.
    encoder : Module
        (n, \*input_shape) -> (n, 2k): mean and log variance, before the bounds.
    decoder : Module
        (n, k) -> ``likelihood.n_params`` times the features (channels of an image).
    input_shape : tuple of int
    likelihood : object
        What the decoder's output means; see ``likelihoods``.
    n_latent : int
        k.
    levels : Levels or None
        Of a likelihood over levels.
    beta : float
        Weight of the KL term in the loss; log_prob has no part in it.
    free_bits : float
        In training a unit whose mean KL over the batch is below this many nats pays exactly this, so has no
        reason to collapse.
    corruption : callable or None
        In training the encoder sees the corrupted row; the likelihood is that of the clean row.

    References
    ----------
    D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", 2014.
    D. P. Kingma et al., "Improved variational inference with inverse autoregressive flow", 2016 (free bits).
    Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", 2016 (log_prob).
    """

    def __init__(
        self, scaling, encoder, decoder, input_shape, likelihood, n_latent, *, levels=None, corruption=None, beta=1.0,
        free_bits=0.0,
    ):  # fmt: skip
        super().__init__(scaling, encoder, decoder, input_shape, likelihood, n_latent, corruption)
        self.levels, self.beta, self.free_bits = levels, beta, free_bits
        self.kl_weight = 1.0  # a warm-up raises it to 1 during training; evaluation does not look at it

    @property
    def values(self):
        """What stands between raw values and those of the likelihood."""
        return self.scaling if self.levels is None else self.levels

    def forward(self, x):  # (n, d) -> (n,): minus the ELBO from one draw, the KL in closed form
        u = self._scaled(x)
        mean, log_variance = self._posterior(u)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        kl, weight = _kl(mean, log_variance), self.beta
        if self.training:
            weight = weight * self.kl_weight
            kl = torch.where(kl.mean(0) >= self.free_bits, kl, self.free_bits)
        log_p = self._log_likelihood_map(self._target(x, u), z).sum(-1)
        return weight * kl.sum(1) - (log_p - self._log_unit().to(log_p.dtype))

    def decode(self, z):  # (n, k) -> (n, d): the mean of p(x|z), in the units of x
        return self._mean(self._unscaled(z))

    def _mean(self, z):
        return self.values.centre(self.likelihood.mean(self._params(z), self._limits()))

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
        noise, target, total = noise.to(u.dtype), self._target(x, u), torch.tensor(-torch.inf, device=u.device)
        n_numbers = u.shape[1] * max(1, self.likelihood.n_params // 8)  # of a row, decoded
        for draws in noise.split(min(64, max(1, CHUNK // n_numbers))):
            z = mean + deviation * draws.unsqueeze(1)  # (s, n, k)
            # the normalisers of p(z) and q(z|x) cancel, but for the standard deviations
            prior_to_posterior = 0.5 * exact_sum(draws.square().unsqueeze(1) + log_variance - z.square())
            log_weight = self._log_likelihood(target, z) + prior_to_posterior  # (s, n)
            total = torch.logaddexp(total, log_weight.logsumexp(0))
        return self._with_linear(u, total - math.log(len(noise)))

    def _with_linear(self, u, bound):  # (n, d), (n,) -> (n,) nats
        """Of the mixture with a little of the linear model that it starts at, so that no row is far below that.

        There log p(x) = log p(x|z) + log p(z) - log q(z|x) at the mean of q, as at any other z.
        """
        if not self.started:
            return bound
        mean, log_variance = self.encoder.linear(u).chunk(2, 1)
        log_p = exact_sum(self.likelihood.log_prob(self._params(mean, self.decoder.linear), u)) - self._log_unit()
        linear = log_p + exact_sum(0.5 * (bounded(log_variance, STARTED_FLOOR) - mean.square()))
        return torch.logaddexp(bound + math.log1p(-LINEAR_SHARE), linear + math.log(LINEAR_SHARE))

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
        return self._log_likelihood(target, z).mean(0) - exact_sum(_kl(mean, log_variance))

    def sample(self, n, generator=None, means=False):  # -> (n, d) in the units of x
        one = next(self.decoder.parameters())
        z = torch.randn((n, self.n_latent), generator=generator, device=one.device, dtype=one.dtype)
        if means:
            return self._mean(z)
        params = self._params(z)
        if self.started:
            linear = torch.rand((n, 1, 1), generator=generator, device=one.device, dtype=one.dtype) < LINEAR_SHARE
            params = torch.where(linear, self._params(z, self.decoder.linear), params)
        drawn = self.likelihood.draw(params, generator, self._limits())
        return self.values.values(drawn, generator)

    def _target(self, x, u):
        """Of the raw row and the scaled one, the values that the likelihood takes, and how far outside they are."""
        return (u, u.new_zeros(())) if self.levels is None else self.levels(x)

    def _posterior(self, u):
        mean, log_variance = self._encoded(u).chunk(2, 1)
        return mean, bounded(log_variance, STARTED_FLOOR if self.started else CODE_VARIANCE_FLOOR)

    def _log_likelihood(self, target, z):  # target of n rows, (..., n, k) -> (..., n)
        return exact_sum(self._log_likelihood_map(target, z)) - self._log_unit()

    def _log_likelihood_map(self, target, z):  # two of (n, d), (..., n, k) -> (..., n, d), in scaled units
        params = self._params(z)
        values, beyond = (part.expand(params.shape[:-1]) for part in target)
        return self.likelihood.log_prob(params, values, beyond, self._limits())

    def _limits(self):
        """Of p(x|z). A linear model has none: its code tells how far outside a row is."""
        return None if self.started else self.values.limits()

    def held_out_loss(self, x):  # (n, d) -> (n,): minus the bound, by draws that are the same in every call
        u = self._scaled(x)
        noise = torch.randn(8, self.n_latent, generator=torch.Generator().manual_seed(0)).to(u)
        noise = torch.cat([noise, -noise])
        noise = noise / noise.square().mean(0).sqrt()  # mean 0 and variance 1 in each unit
        return -self._with_linear(u, self._bound(self._target(x, u), *self._posterior(u), noise))

    def _log_unit(self):
        """What the log-density of a row pays for the units of x."""
        return self.values.log_width().sum()


def _kl(mean, log_variance):
    """KL from N(mean, variance) to N(0, 1), per unit, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
