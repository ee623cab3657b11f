"""What the output of an autoregressive core means: the conditional distribution of one feature.

A likelihood has ``n_params`` (P), the numbers that a core gives for each feature, and

- ``log_prob(params, values, beyond)``: (..., P), (...), (...) -> (...), in nats. ``values`` are levels, or scaled
  real values. ``beyond`` is how far outside the fitted levels the raw value was: where it is positive the result is
  lower than at any level, finite, and lower the farther out;
- ``draw(params, generator)``: (n, P) -> (n,) values.

Both take ``last``, the last level that a feature has, where features differ in it, else None.

Parameters near zero, as untrained cores give them, mean a broad distribution over what the values span.
"""

import math

import torch
import torch.nn.functional as F


def _at_least_float32(x):
    """Mixed precision ends here: log-densities are sums of many terms and differences of close ones."""
    return x.float() if x.dtype.itemsize < 4 else x


def cell_sums(maps, image_shape, n_along=7):  # (n, d) -> (n, cells)
    """Sums over the channels and over square cells of pixels, as small as ``n_along`` of them along a side allow."""
    height, width = image_shape[1:]
    maps = maps.unflatten(1, image_shape).sum(1, keepdim=True)
    size = math.ceil(max(height, width) / n_along)
    return F.avg_pool2d(maps, size, ceil_mode=True, divisor_override=1).flatten(1)


def _pick(log_weights, generator, *params):  # (n, K), ..., (n, K)s -> (n,)s
    """Draw one component of each row's mixture; its parameters."""
    chosen = torch.multinomial(log_weights.exp(), 1, generator=generator)
    return [param.gather(-1, chosen).squeeze(-1) for param in params]


def _without(every, last, value):
    """Put ``value`` for the levels that a feature does not have."""
    if last is None:
        return every
    return every.masked_fill(torch.arange(every.shape[-1], device=every.device) > last.unsqueeze(-1), value)


class Categorical:
    """Any distribution over the levels: p(level) = softmax(params)[level]."""

    def __init__(self, n_levels):
        self.n_params = n_levels

    def log_prob(self, params, levels, beyond, last=None):  # (..., P), (...), (...) -> (...)
        """Log-probability of the levels in nats; where ``beyond`` > 0, that of the least likely less ``beyond``."""
        every = _without(_at_least_float32(params), last, -torch.inf).log_softmax(-1)
        at_level = every.gather(-1, levels.unsqueeze(-1)).squeeze(-1)
        least = _without(every, last, torch.inf).amin(-1)
        return torch.where(beyond > 0, least - beyond.to(every.dtype), at_level)

    def draw(self, params, generator=None, last=None):  # (n, P) -> (n,) int64
        params = _without(params, last, -torch.inf)
        return torch.multinomial(params.softmax(-1), 1, generator=generator).squeeze(-1)


class Bernoulli:
    """Two levels: p(1) = 1 / (1 + exp(-params))."""

    n_params = 1

    def log_prob(self, params, levels, beyond, last=None):  # (..., 1), (...), (...) -> (...)
        """Log-probability of the levels in nats; where ``beyond`` > 0, that of the less likely less ``beyond``."""
        logit = _at_least_float32(params).squeeze(-1)
        at_level = F.logsigmoid(torch.where(levels > 0, logit, -logit))
        return torch.where(beyond > 0, F.logsigmoid(-logit.abs()) - beyond.to(logit.dtype), at_level)

    def draw(self, params, generator=None, last=None):  # (n, 1) -> (n,) int64
        return torch.bernoulli(params.squeeze(-1).sigmoid(), generator=generator).long()


class DiscretizedLogisticMixture:
    """Ordered levels: what a mixture of logistic distributions puts between the edges of a level.

    p(level) = sum_k w_k [F((x + r - m_k) / s_k) - F((x - r - m_k) / s_k)], where F(z) = 1 / (1 + exp(-z)), the
    levels x lie evenly on [-1, 1], 2 r apart, and the first and the last one also take what is beyond them.
    With a = (x - r - m) / s and b = (x + r - m) / s the difference is the product F(b) F(-a) (1 - exp(a - b)).
    Its logarithm is linear in the tails, so neither it nor its gradient vanishes, however narrow the logistic.

    Parameters
    ----------
    n_levels : int
    n_mixtures : int
        The parameters of a feature are the K log-weights, K locations and K log-scales.

    Notes
    -----
    The scale has a floor of 1/32 of the distance between levels, which leaves out 2e-7 of the probability.

    References
    ----------
    T. Salimans, A. Karpathy, X. Chen, D. P. Kingma, "PixelCNN++: Improving the PixelCNN with Discretized Logistic
    Mixture Likelihood and Other Modifications", 2017.
    """

    def __init__(self, n_levels, n_mixtures=10):
        self.n_levels, self.n_mixtures, self.n_params = n_levels, n_mixtures, 3 * n_mixtures
        self.gap = 2 / max(n_levels - 1, 1)

    def _components(self, params):
        """Log-weights, locations and log-scales; zeros mean K logistics side by side, over all of [-1, 1]."""
        k = self.n_mixtures
        weight, location, log_scale = _at_least_float32(params).split(k, -1)
        start = (2 * torch.arange(k, device=location.device, dtype=location.dtype) + 1) / k - 1
        least = math.log(self.gap / 32)
        log_scale = least + F.softplus(log_scale - math.log(k) - least)
        return weight.log_softmax(-1), location + start, log_scale.clamp(max=20)  # wider would be all the same

    def log_prob(self, params, levels, beyond, last=None):  # (..., P), (...), (...) -> (...)
        """Log-probability of the levels in nats; where ``beyond`` > 0, less than that of any level by ``beyond``."""
        weight, location, log_scale = self._components(params)
        last = self.n_levels - 1 if last is None else last
        first, last = (levels == 0).unsqueeze(-1), (levels == last).unsqueeze(-1)
        # x - m in scales, (..., K); the width of a level in scales does not depend on the level
        steep = (-log_scale).exp()
        z = (levels.unsqueeze(-1).to(steep.dtype) * self.gap - 1 - location) * steep
        half = self.gap / 2 * steep
        between = (-torch.expm1(-2 * half)).log()
        upper = F.logsigmoid(z + half).masked_fill(last, 0)
        lower = F.logsigmoid(half - z).masked_fill(first, 0)
        inside = (weight + upper + lower + between.masked_fill(first | last, 0)).logsumexp(-1)
        # of F(b) and F(-a) one is at least 1/2, the other at least F at the far end: less than any level has
        far = F.logsigmoid(-(1 + location.abs()) * steep - half)
        least = (weight + far + between).logsumexp(-1) - math.log(2)
        return torch.where(beyond > 0, least - beyond.to(least.dtype), inside)

    def draw(self, params, generator=None, last=None):  # (n, P) -> (n,) int64
        weight, location, log_scale = self._components(params)
        location, log_scale = _pick(weight, generator, location, log_scale)
        u = torch.rand(location.shape, generator=generator, device=location.device, dtype=location.dtype)
        x = location + log_scale.exp() * u.logit()
        levels = ((x + 1) / self.gap).round().clamp(0, self.n_levels - 1).long()
        return levels if last is None else levels.clamp(max=last)


class GaussianMixture:
    """Real values, in scaled units: p(u) = sum_k w_k N(u; m_k, s_k^2 + reg_covar).

    Parameters
    ----------
    n_mixtures : int
        The parameters of a feature are the K log-weights, K means and K log standard deviations.
    reg_covar : float
        Added to each variance, in squared scaled units, as in ``sklearn.mixture.GaussianMixture``. Without it the
        density of a constant feature, or of a value that repeats, is unbounded.

    Notes
    -----
    The log-density falls as the square of the distance. It is finite up to distances of 1e15 in float32.
    """

    def __init__(self, n_mixtures=5, reg_covar=1e-3):
        self.n_mixtures, self.reg_covar, self.n_params = n_mixtures, reg_covar, 3 * n_mixtures
        spread = torch.special.ndtri((torch.arange(n_mixtures) + 0.5) / n_mixtures)
        self.means, self.sd = spread.tolist(), math.sqrt(1 - spread.square().mean())

    def _components(self, params):
        """Log-weights, means and variances; zeros mean K normals that are about the standard normal together."""
        weight, mean, log_sd = _at_least_float32(params).split(self.n_mixtures, -1)
        variance = self.reg_covar + self.sd**2 * (2 * log_sd.clamp(max=20)).exp()
        return weight.log_softmax(-1), mean + mean.new_tensor(self.means), variance

    def log_prob(self, params, u, beyond=None, last=None):  # (..., P), (...) -> (...)
        """Log-density in nats per scaled unit; a density knows no range and no levels."""
        weight, mean, variance = self._components(params)
        squares = (u.to(mean.dtype).unsqueeze(-1) - mean).square() / variance
        return (weight - 0.5 * (squares + variance.log() + math.log(2 * math.pi))).logsumexp(-1)

    def draw(self, params, generator=None, last=None):  # (n, P) -> (n,) float
        weight, mean, variance = self._components(params)
        mean, variance = _pick(weight, generator, mean, variance)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + variance.sqrt() * noise


LEVEL_LIKELIHOODS = {"categorical": Categorical, "logistic_mixture": DiscretizedLogisticMixture}
