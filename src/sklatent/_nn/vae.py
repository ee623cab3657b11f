"""The variational autoencoder. It sees raw rows: the scaling is part of the model."""

import math

import torch

from .autoencoders import Coder, of_seen
from .gaussians import told, turned
from .layers import cell_sums, exact_sum, logaddexp, widest
from .likelihoods import bounded, unbounded

CODE_VARIANCE_FLOOR = 1e-4
STARTED_FLOOR = 1e-8  # of the code's variance where the start is exact, which is small where features are many
LINEAR_SHARE = 0.02  # of the density of a VAE, that stays the linear model's
CHUNK = 2**14  # features decoded at once per row; fixed, so that a row's sum has one order in any batch


class VAE(Coder):
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
        free_bits=0.0, holes=None,
    ):  # fmt: skip
        super().__init__(scaling, encoder, decoder, input_shape, likelihood, n_latent, corruption, holes)
        self.levels, self.beta, self.free_bits = levels, beta, free_bits
        self.kl_weight = 1.0  # a warm-up raises it to 1 during training; evaluation does not look at it

    @property
    def values(self):
        """What stands between raw values and those of the likelihood."""
        return self.scaling if self.levels is None else self.levels

    def forward(self, x, seen=None):  # (n, d) -> (n,): minus the ELBO from one draw, the KL in closed form
        u = self._scaled(x)
        mean, log_variance = self._posterior(u, seen)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        kl, weight = _kl(mean, log_variance), self.beta
        if self.training:
            weight = weight * self.kl_weight
            kl = torch.where(kl.mean(0) >= self.free_bits, kl, self.free_bits)
        log_p = of_seen(self._log_likelihood_map(self._target(x, u), z), seen).sum(-1)
        return weight * kl.sum(1) - (log_p - self._log_unit(seen).to(log_p.dtype))

    def decode(self, z):  # (n, k) -> (n, d): the mean of p(x|z), in the units of x
        return self._mean(self._unscaled(z))

    def _mean(self, z):
        return self.values.centre(self.likelihood.mean(self._params(z), self._limits()))

    def kl_per_unit(self, x):  # (n, d) -> (n, k) nats
        return _kl(*self._posterior(self._scaled(x)))

    def log_prob(self, x, noise, seen=None):
        r"""Bound :math:`\log \frac1S \sum_s p(x, z_s) / q(z_s|x)` on log p(x), tighter with more draws.

        ``noise`` (S, k) is standard normal and shared by all rows: z_s = mean + deviation * noise_s. One draw
        estimates the ELBO without bias. Of rows with holes x is what is seen.
        """
        u = self._scaled(x)
        mean, spread, log_variance = self._proposal(u, seen)
        noise, target, total = noise.to(u.dtype), self._target(x, u), torch.tensor(-torch.inf, device=u.device)
        n_numbers = u.shape[1] * max(1, self.likelihood.n_params // 8)  # of a row, decoded
        for draws in noise.unsqueeze(1).split(min(64, max(1, CHUNK // n_numbers))):
            z = mean + spread(draws)  # (s, n, k)
            # the normalisers of p(z) and q(z|x) cancel, but for the standard deviations
            prior_to_posterior = 0.5 * exact_sum(draws.square() + log_variance - z.square())
            log_weight = self._log_likelihood(target, z, seen) + prior_to_posterior  # (s, n)
            # over the last axis: how a sum over the first is taken depends on the rows beside
            total = logaddexp(total, log_weight.T.contiguous().logsumexp(1))
        return self._with_linear(u, total - math.log(len(noise)), seen)

    def _proposal(self, u, seen):
        """Mean of q (n, k), what makes noise deviations from it, the logarithms of variances that q has the volume of.

        Of what is seen of a row, q of a linear model is no longer diagonal; the net's share of mean and deviation is
        added to what it then is, so that where the net adds nothing the bound is exact.
        """
        mean, log_variance = self._posterior(u, seen)
        if seen is None or not self.started:
            return mean, lambda draws: (0.5 * log_variance).exp() * draws, log_variance
        started, started_log_variance = self._posterior(u, seen, share=0.0)
        tells = self._linear_tells(u, seen)
        added = log_variance - started_log_variance
        mean = mean - started + tells.code.to(mean.dtype)
        root, scale = tells.root.to(mean.dtype), (0.5 * added).exp()
        log_variance = added - 2 * root.diagonal(dim1=1, dim2=2).log()
        return mean, lambda draws: turned(root, scale * draws), log_variance

    def _linear_tells(self, u, seen):
        """Of the linear model that it starts at, what is seen of rows tells."""
        weight, bias = (each.to(widest(u.device)) for each in (self.decoder.weight, self.decoder.bias))
        W, (mean, bias) = weight.chunk(2)[0], bias.chunk(2)
        return told(u, seen, mean, W, bounded(bias, self.likelihood.variance_floor).exp())

    def _with_linear(self, u, bound, seen=None):  # (n, d), (n,) -> (n,) nats
        """Of the mixture with a little of the linear model that it starts at, so that no row is far below that.

        There log p(x) = log p(x|z) + log p(z) - log q(z|x) at the mean of q, as at any other z.
        """
        if not self.started:
            return bound
        if seen is None:
            mean, log_variance = self.encoder.linear(u).chunk(2, 1)
            log_p = exact_sum(self.likelihood.log_prob(self._params(mean, self.decoder.linear), u)) - self._log_unit()
            linear = log_p + exact_sum(0.5 * (bounded(log_variance, STARTED_FLOOR) - mean.square()))
        else:
            linear = self._linear_tells(u, seen).log_p - self._log_unit(seen)
        return logaddexp(bound + math.log1p(-LINEAR_SHARE), linear + math.log(LINEAR_SHARE))

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

    def _posterior(self, u, seen=None, share=1.0):
        """Mean and log variance of q, with so much of the net's share."""
        linear, added = self._parts(u)
        if seen is not None and self.started:
            linear = torch.cat([linear[:, : self.n_latent], self._linear_log_variance(seen)], 1)
        mean, log_variance = (linear + share * added).chunk(2, 1)
        return mean, bounded(log_variance, STARTED_FLOOR if self.started else CODE_VARIANCE_FLOOR)

    def _linear_log_variance(self, seen):  # (n, d) -> (n, k), before the bounds
        """Of the diagonal q that is the closest to what a linear model says of z, from what is seen of a row."""
        W, bias = self.decoder.weight.chunk(2)[0], self.decoder.bias.chunk(2)[1]
        precision = W.square() / bounded(bias, self.likelihood.variance_floor).exp().unsqueeze(1)  # (d, k)
        return unbounded(-torch.log1p(seen.to(W.dtype) @ precision), STARTED_FLOOR)

    def _log_likelihood(self, target, z, seen=None):  # target of n rows, (..., n, k) -> (..., n)
        return exact_sum(of_seen(self._log_likelihood_map(target, z), seen)) - self._log_unit(seen)

    def _log_likelihood_map(self, target, z):  # two of (n, d), (..., n, k) -> (..., n, d), in scaled units
        params = self._params(z)
        values, beyond = (part.expand(params.shape[:-1]) for part in target)
        return self.likelihood.log_prob(params, values, beyond, self._limits())

    def _limits(self):
        """Of p(x|z). A linear model has none: its code tells how far outside a row is."""
        return None if self.started else self.values.limits()

    def held_out_loss(self, x, seen=None):  # (n, d) -> (n,): minus the bound, by draws that are the same in every call
        u = self._scaled(x)
        noise = torch.randn(8, self.n_latent, generator=torch.Generator().manual_seed(0)).to(u)
        noise = torch.cat([noise, -noise])
        noise = noise / noise.square().mean(0).sqrt()  # mean 0 and variance 1 in each unit
        if seen is not None:
            return -self.log_prob(x, noise, seen)
        return -self._with_linear(u, self._bound(self._target(x, u), *self._posterior(u), noise))

    def _log_unit(self, seen=None):
        """What the log-density of a row pays for the units of x."""
        log_width = self.values.log_width()
        return log_width.sum() if seen is None else seen.to(log_width.dtype) @ log_width


def _kl(mean, log_variance):
    """KL from N(mean, variance) to N(0, 1), per unit, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
