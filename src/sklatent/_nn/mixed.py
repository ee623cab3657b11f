"""Tables whose columns are of several kinds: some real, some whole numbers of a few or of many levels.

A column of levels is taken for a real one that was rounded: the probability of a level is what the distribution of a
real value has between its edges, and the first and the last level, where there are such, also take what is beyond them.
One net, and one linear model to start at, then serve all columns.
"""

import math

import torch
import torch.nn.functional as F

from .autoencoders import of_seen
from .layers import at_least_float32, exact_sum, logaddexp, softplus
from .likelihoods import pick
from .scaling import FAR, Reals
from .vae import LINEAR_SHARE, VAE

OFF_LEVEL = 1e-3  # of a level's width: what rounding to float32 may do
TO_LOGISTIC = math.sqrt(3) / math.pi  # the scale of a logistic distribution of variance one
PULL = 1.0  # nats of loss that a code pays for each squared standard deviation that training moves it
N_PAIRS = 8  # of draws for the bound of a linear model with levels


class Columns(Reals):
    """Real values and levels, centred and scaled alike; ``radius``, half the width of a level, is 0 in a real column.

    log p(x) = log p(u) - log scale for a real column, and log p(level) for the others. ``first`` and ``last`` are their
    outermost levels, which for counts may be far outside the range of ``fit``. A value that is between two levels, or
    outside of all, is taken for the nearest, and ``beyond`` is how far it is, in widths.
    """

    def __init__(self, n_features):
        super().__init__(n_features)
        for name, value in (("radius", 0.0), ("first", -FAR), ("last", FAR)):
            self.register_buffer(name, torch.full((n_features,), value, dtype=torch.float64))

    def forward(self, x):  # (n, d) of any real dtype -> u, beyond, both (n, d)
        return self.nearest(self.scaled(x))

    def nearest(self, u):  # (n, d) scaled -> u, beyond
        at = _nearest(u, *self.limits().to(u.dtype))
        off = (u - at).abs() / (2 * self.radius.to(u.dtype))
        is_real = self.radius == 0
        return torch.where(is_real, u, at), off.masked_fill(is_real | (off < OFF_LEVEL), 0)

    def drawn(self, u):
        return self.values(self.nearest(u)[0])

    def values(self, u, generator=None):  # (n, d) -> (n, d)
        x = self.inverse(u)
        return torch.where(self.radius > 0, x.round() + 0.0, x)  # 0 is not -0

    def log_spread(self):  # (d,)
        return torch.where(self.radius > 0, (2 * self.radius).log(), 0)

    def log_width(self):  # (d,)
        return torch.where(self.radius > 0, 0, self.scale.log())

    def limits(self):
        """The range of each feature, and the radius and the outermost of its levels, (5, d), in scaled units."""
        return torch.stack([self.lower, self.upper, self.radius, self.first, self.last])


def _nearest(u, lower, upper, radius, first, last):
    """The level that is nearest, in scaled units; where the radius is 0, what is not to be looked at."""
    width = 2 * torch.where(radius > 0, radius, 1)
    return torch.minimum(torch.maximum(lower + width * ((u - lower) / width).round(), first), last)


class Rounded:
    """``likelihood`` where a column is real; where it is of levels, what logistic distributions have between the edges.

    These have the weights, means and variances that the likelihood's normals have: with one of them, two levels are a
    logistic regression. The formula is that of ``DiscretizedLogisticMixture``, which see. ``limits`` are those of
    ``Columns``.
    """

    def __init__(self, likelihood):
        self.likelihood, self.n_params = likelihood, likelihood.n_params

    @property
    def variance_floor(self):
        return self.likelihood.variance_floor

    def _logistics(self, params):
        """Log-weights, means and one over the scales, (..., K)."""
        weight, mean, variance = self.likelihood.components(at_least_float32(params))
        return weight, mean, variance.rsqrt() / TO_LOGISTIC

    def log_prob(self, params, u, beyond, limits):  # (..., P), (...), (...), (5, ...) -> (...)
        """In nats: log-densities per scaled unit, log-probabilities; where ``beyond`` > 0 lower than at any level."""
        density = self.likelihood.log_prob(params, u, beyond, limits[:2])
        weight, mean, steep = self._logistics(params)
        lower, upper, radius, first, last = limits.to(mean.dtype).unsqueeze(-1)
        of_levels, radius = radius > 0, torch.where(radius > 0, radius, 1)  # 1: no NaN, not even in a gradient
        u = u.to(mean.dtype).unsqueeze(-1)
        first, last = (u < first + radius) & of_levels, (u > last - radius) & of_levels
        z, half = (u - mean) * steep, radius * steep
        between = (-torch.expm1(-2 * half)).log()
        above, below = F.logsigmoid(z + half).masked_fill(last, 0), F.logsigmoid(half - z).masked_fill(first, 0)
        inside = (weight + above + below + between.masked_fill(first | last, 0)).logsumexp(-1)
        far = torch.maximum((mean - lower).abs(), (upper - mean).abs()) * steep + half
        least = (weight + F.logsigmoid(-far) + between).logsumexp(-1) - math.log(2)
        inside = torch.where(beyond > 0, least - beyond.to(least.dtype), inside)
        return torch.where(of_levels.squeeze(-1), inside, density.to(inside.dtype))

    def draw(self, params, generator=None, limits=None):  # (..., P) -> (...)
        real = self.likelihood.draw(params, generator, limits[:2])
        weight, mean, steep = self._logistics(params)
        mean, steep = pick(weight, generator, mean, steep)
        p = torch.rand(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        limits = limits.to(mean.dtype)
        return torch.where(limits[2] > 0, _nearest(mean + p.logit() / steep, *limits), real.to(mean.dtype))

    def mean(self, params, limits):  # (..., P) -> (...)
        """Of levels, the mean of what is drawn: the lowest, and a width for each edge that a draw is above.

        Outside the range of ``fit`` the sum over the edges is taken for an integral.
        """
        lower, upper, radius, first, last = limits.to(params.dtype)
        weight, mean, steep = self._logistics(params)
        of_levels = radius > 0
        expected, n_edges = torch.zeros_like(params[..., 0]), ((upper - lower) / (2 * radius)).round()
        for edge in range(int(n_edges[of_levels].max())):
            at = (lower + (2 * edge + 1) * radius).unsqueeze(-1)
            above = (weight.exp() * ((mean - at) * steep).sigmoid()).sum(-1)
            expected += (2 * radius * above).where(edge < n_edges, 0)
        above = (weight.exp() * softplus((mean - upper.unsqueeze(-1)) * steep) / steep).sum(-1)
        below = (weight.exp() * softplus((lower.unsqueeze(-1) - mean) * steep) / steep).sum(-1)
        expected += above.where(last > upper + radius, 0) - below.where(first < lower - radius, 0)
        return torch.where(of_levels, lower + expected, self.likelihood.mean(params, limits[:2]))


class MixedVAE(VAE):
    """A ``VAE`` of ``Columns``, its likelihood ``Rounded``.

    From a linear start the bound is no longer exact there, as levels are not normal. Training gains more by leaving it
    than with real values, and takes the codes along: ``PULL`` keeps them near the linear model's.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(N_PAIRS, self.n_latent, generator=generator, device="cpu")
        self.register_buffer("noise", noise, persistent=False)

    def forward(self, x, seen=None):
        loss = super().forward(x, seen)
        if self.started and self.training:
            share = self.encoder.share(self.inside(x))[:, : self.n_latent]
            loss = loss + PULL * share.square().sum(1)
        return loss

    def _target(self, x, u):
        return self.scaling.nearest(u)

    def _limits(self):
        limits = self.scaling.limits()
        if self.started or self.training:  # real columns then know no range
            free = torch.tensor([[-FAR], [FAR], [0.0], [-FAR], [FAR]], device=limits.device, dtype=limits.dtype)
            limits = torch.where(limits[2] > 0, limits, free)
        return limits

    def _with_linear(self, u, bound, seen=None):  # (n, d), (n,) -> (n,) nats
        """As that of ``VAE``, by importance-weighted draws that are the same for all rows."""
        if not self.started:
            return bound
        mean, log_variance = self._posterior(u, seen, share=0.0)
        noise = torch.cat([self.noise, -self.noise]).to(u.dtype).unsqueeze(1)
        z = mean + (0.5 * log_variance).exp() * noise  # (S, n, k)
        params = self._params(z, self.decoder.linear)
        values, beyond = (part.expand(params.shape[:-1]) for part in self.scaling.nearest(u))
        log_p = self.likelihood.log_prob(params, values, beyond, self._limits())
        log_p = exact_sum(of_seen(log_p, seen)) - self._log_unit(seen)
        log_weight = log_p + 0.5 * exact_sum(noise.square() + log_variance - z.square())
        linear = log_weight.T.contiguous().logsumexp(1) - math.log(len(noise))
        return logaddexp(bound + math.log1p(-LINEAR_SHARE), linear + math.log(LINEAR_SHARE))
