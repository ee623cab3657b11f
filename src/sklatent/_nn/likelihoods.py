"""What the output of a decoder or an autoregressive core means: the distribution of one feature.

A likelihood has ``n_params`` (P), the numbers that the net gives for each feature, and

- ``log_prob(params, values, beyond)``: (..., P), (...), (...) -> (...), in nats. ``values`` are levels, or scaled
  real values. ``beyond`` is how far outside the fitted levels the raw value was: where it is positive the result is
  lower than at any level, finite, and lower the farther out;
- ``draw(params, generator)``: (..., P) -> (...) values;
- ``mean(params)``, alike, if a decoder gives its parameters.

All take ``limits``, what the ``scaling`` says of the range of each feature: the last level that it has, (...), where
features differ in it; the lowest and the highest scaled value, (2, ...); or None.

Parameters near zero, as untrained nets give them, mean a broad distribution over what the values span.
"""

import math

import torch
import torch.nn.functional as F

from .layers import at_least_float32, softplus, widest

LOG_2PI = math.log(2 * math.pi)
ANCHOR, WIDE = 0.02, 2.0  # weight of the normal in an AnchoredMixture, and how much wider it is made
LOG_VARIANCE_MAX = 10.0  # in scaled units: keeps exp finite in a diverging fit


def bounded(log_variance, floor):
    """Bend smoothly into (log floor, LOG_VARIANCE_MAX); well inside, the identity."""
    low = math.log(floor)
    below = LOG_VARIANCE_MAX - softplus(LOG_VARIANCE_MAX - log_variance)
    return low + softplus(below - low)


def unbounded(log_variance, floor):
    """What comes out of ``bounded`` as ``log_variance``, or as close above the floor as floats tell."""
    low = math.log(floor)
    above = (log_variance - low).clamp(min=1e-2, max=LOG_VARIANCE_MAX - low - 1e-2)
    below = LOG_VARIANCE_MAX - low - above - torch.log(-torch.expm1(-above))
    return LOG_VARIANCE_MAX - below - torch.log(-torch.expm1(-below))


def _chosen(probabilities, generator):  # (..., K) -> (...) int64
    flat = torch.multinomial(probabilities.flatten(0, -2), 1, generator=generator)
    return flat.view(probabilities.shape[:-1])


def pick(log_weights, generator, *params):  # (..., K)s -> (...)s
    """Draw one component of each mixture; its parameters."""
    chosen = _chosen(log_weights.exp(), generator).unsqueeze(-1)
    return [param.gather(-1, chosen).squeeze(-1) for param in params]


def _without(every, last, value):
    """Put ``value`` for the levels that a feature does not have."""
    if last is None:
        return every
    return every.masked_fill(torch.arange(every.shape[-1], device=every.device) > last.unsqueeze(-1), value)


class _OfLevels:
    """Base of distributions over ``n_levels`` levels."""

    def mean(self, params, limits=None):  # (..., P) -> (...)
        """The expected level."""
        inside = params.new_zeros(params.shape[:-1])
        expected = torch.zeros_like(inside, dtype=widest(params.device))
        for level in range(1, self.n_levels):
            which = torch.full_like(inside, level, dtype=torch.int64)
            p = self.log_prob(params, which, inside, limits).exp()
            expected += level * (p if limits is None else p.where(which <= limits, 0))
        return expected


class Categorical(_OfLevels):
    """Any distribution over the levels: p(level) = softmax(params)[level]."""

    def __init__(self, n_levels):
        self.n_levels = self.n_params = n_levels

    def log_prob(self, params, levels, beyond, limits=None):  # (..., P), (...), (...) -> (...)
        """Log-probability of the levels in nats; where ``beyond`` > 0, that of the least likely less ``beyond``."""
        every = _without(at_least_float32(params), limits, -torch.inf).log_softmax(-1)
        at_level = every.gather(-1, levels.unsqueeze(-1)).squeeze(-1)
        least = _without(every, limits, torch.inf).amin(-1)
        return torch.where(beyond > 0, least - beyond.to(every.dtype), at_level)

    def draw(self, params, generator=None, limits=None):  # (..., P) -> (...) int64
        return _chosen(_without(params, limits, -torch.inf).softmax(-1), generator)


class Bernoulli:
    """Two levels: p(1) = 1 / (1 + exp(-params))."""

    n_params = 1

    def log_prob(self, params, levels, beyond, limits=None):  # (..., 1), (...), (...) -> (...)
        """Log-probability of the levels in nats; where ``beyond`` > 0, that of the less likely less ``beyond``."""
        logit = at_least_float32(params).squeeze(-1)
        at_level = F.logsigmoid(torch.where(levels > 0, logit, -logit))
        return torch.where(beyond > 0, F.logsigmoid(-logit.abs()) - beyond.to(logit.dtype), at_level)

    def draw(self, params, generator=None, limits=None):  # (..., 1) -> (...) int64
        return torch.bernoulli(params.squeeze(-1).sigmoid(), generator=generator).long()


class DiscretizedLogisticMixture(_OfLevels):
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
        weight, location, log_scale = at_least_float32(params).split(k, -1)
        start = (2 * torch.arange(k, device=location.device, dtype=location.dtype) + 1) / k - 1
        least = math.log(self.gap / 32)
        log_scale = least + softplus(log_scale - math.log(k) - least)
        return weight.log_softmax(-1), location + start, log_scale.clamp(max=20)  # wider would be all the same

    def log_prob(self, params, levels, beyond, limits=None):  # (..., P), (...), (...) -> (...)
        """Log-probability of the levels in nats; where ``beyond`` > 0, less than that of any level by ``beyond``."""
        weight, location, log_scale = self._components(params)
        last = self.n_levels - 1 if limits is None else limits
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

    def draw(self, params, generator=None, limits=None):  # (..., P) -> (...) int64
        weight, location, log_scale = self._components(params)
        location, log_scale = pick(weight, generator, location, log_scale)
        u = torch.rand(location.shape, generator=generator, device=location.device, dtype=location.dtype)
        x = location + log_scale.exp() * u.logit()
        levels = ((x + 1) / self.gap).round().clamp(0, self.n_levels - 1).long()
        return levels if limits is None else torch.minimum(levels, limits)


class Gaussian:
    """Real values, in scaled units: N(u; mean, variance), from a mean and a log variance.

    Parameters
    ----------
    variance_floor : float
        Least variance: a constant feature would drive it to 0, and the density to infinity.
    """

    n_params = 2

    def __init__(self, variance_floor=1e-3):
        self.variance_floor = variance_floor

    def log_prob(self, params, u, beyond=None, limits=None):  # (..., 2), (...) -> (...)
        """Log-density in nats per scaled unit."""
        log_variance = bounded(params[..., 1], self.variance_floor)
        squares = (u - self.mean(params, limits)).square()
        return -0.5 * (squares * (-log_variance).exp() + log_variance + LOG_2PI)

    def components(self, params):
        """As those of a ``GaussianMixture`` of one."""
        return torch.zeros_like(params[..., :1]), params[..., :1], bounded(params[..., 1:], self.variance_floor).exp()

    def mean(self, params, limits=None):  # (..., 2) -> (...)
        """Within the limits: no row inside the range loses by this, and a row outside it falls with its distance."""
        mean = params[..., 0]
        return mean if limits is None else mean.clamp(*limits.to(mean.dtype))

    def draw(self, params, generator=None, limits=None):  # (..., 2) -> (...)
        deviation = (0.5 * bounded(params[..., 1], self.variance_floor)).exp()
        noise = torch.randn(deviation.shape, generator=generator, device=params.device, dtype=params.dtype)
        return self.mean(params, limits) + deviation * noise


class GreyBernoulli:
    """Values in [0, 1] as shares of ones: u log p + (1 - u) log (1 - p), a probability only where u is 0 or 1."""

    n_params = 1

    def log_prob(self, params, u, beyond=None, limits=None):  # (..., 1), (...) -> (...)
        """In nats. Outside [0, 1] it would be linear in u and could rise; there it falls with u^2."""
        logits, inside = params.squeeze(-1), u.clamp(0, 1)
        cross_entropy = softplus(logits) - inside * logits
        return -cross_entropy - (u - inside).square()

    def mean(self, params, limits=None):  # (..., 1) -> (...)
        return params.squeeze(-1).sigmoid()

    def draw(self, params, generator=None, limits=None):  # (..., 1) -> (...) 0 or 1
        p = self.mean(params)
        return (torch.rand(p.shape, generator=generator, device=p.device, dtype=p.dtype) < p).to(p.dtype)


class SquaredError:
    """Minus the squared distance from the value to the net's: no density, and so without a ``draw``."""

    n_params = 1

    def log_prob(self, params, u, beyond=None, limits=None):  # (..., 1), (...) -> (...)
        return -(params.squeeze(-1) - u).square()

    def mean(self, params, limits=None):  # (..., 1) -> (...)
        return params.squeeze(-1)


class AbsoluteError(SquaredError):
    """Minus the distance."""

    def log_prob(self, params, u, beyond=None, limits=None):  # (..., 1), (...) -> (...)
        return -(params.squeeze(-1) - u).abs()


class Huber(SquaredError):
    """Minus half the squared distance up to 1, beyond minus the distance, less a half (Huber 1964)."""

    def log_prob(self, params, u, beyond=None, limits=None):  # (..., 1), (...) -> (...)
        return -F.huber_loss(params.squeeze(-1), u, reduction="none")


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
        spread = torch.special.ndtri((torch.arange(n_mixtures, device="cpu") + 0.5) / n_mixtures)
        self.means, self.sd = spread.tolist(), math.sqrt(1 - spread.square().mean())

    def components(self, params):
        """Log-weights, means and variances; zeros mean K normals that are about the standard normal together."""
        weight, mean, log_sd = at_least_float32(params).split(self.n_mixtures, -1)
        variance = self.reg_covar + self.sd**2 * (2 * log_sd.clamp(max=20)).exp()
        return weight.log_softmax(-1), mean + mean.new_tensor(self.means), variance

    def log_prob(self, params, u, beyond=None, limits=None):  # (..., P), (...) -> (...)
        """Log-density in nats per scaled unit; a density knows no range and no levels."""
        weight, mean, variance = self.components(params)
        squares = (u.to(mean.dtype).unsqueeze(-1) - mean).square() / variance
        return (weight - 0.5 * (squares + variance.log() + math.log(2 * math.pi))).logsumexp(-1)

    def draw(self, params, generator=None, limits=None):  # (..., P) -> (...) float
        weight, mean, variance = self.components(params)
        mean, variance = pick(weight, generator, mean, variance)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + variance.sqrt() * noise


class AnchoredMixture(GaussianMixture):
    """A ``GaussianMixture`` that gives ``ANCHOR`` of its weight to a wide normal, which the net does not move.

    A narrow component then costs no more than log ANCHOR beside it in a row that the normal expects. The parameters are
    those of the mixture, nothing added to its means, and the mean and the log standard deviation of the normal before
    it is made ``WIDE`` times as wide.
    """

    def __init__(self, n_mixtures, reg_covar=1e-3):
        super().__init__(n_mixtures, reg_covar)
        self.means, self.sd, self.n_params = [0.0] * n_mixtures, 1.0, self.n_params + 2

    def components(self, params):
        weight, mean, variance = super().components(params[..., :-2])
        anchor, log_sd = at_least_float32(params[..., -2:]).split(1, -1)
        weight = torch.cat([weight + math.log1p(-ANCHOR), torch.full_like(anchor, math.log(ANCHOR))], -1)
        return weight, torch.cat([mean, anchor], -1), torch.cat([variance, WIDE**2 * (2 * log_sd).exp()], -1)


LEVEL_LIKELIHOODS = {"categorical": Categorical, "logistic_mixture": DiscretizedLogisticMixture}
