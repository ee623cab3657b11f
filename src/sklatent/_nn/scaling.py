"""What a network sees of a row: the raw batch is scaled or binned on its device, as part of the model.

The parameters are buffers in float64: a feature whose values are 1e6 +- 1e-3 loses its signal when it is cast
before it is centred. They come from the rows, before any training, and are saved with the weights.
"""

import torch
from torch import nn

from .layers import widest

BEYOND = 0.5  # of its range, that a feature may be filled in beyond it
FAR = 1e15  # in scaled units; beyond it a value is taken for FAR, so that squares stay finite in float32


def wide(x):
    """Keep float64 rows in float64 until they are centred; small integers are exact in float32."""
    if x.is_floating_point():
        return x
    return x.to(torch.float32 if x.dtype.itemsize < 4 else widest(x.device))


class Affine(nn.Module):
    """Centre and scale, per feature (tables) or alike for all features (images).

    u = (x - shift) / scale. ``lower`` and ``upper`` are the range seen in ``fit``, in scaled units. With ``clips``,
    what ``inverse`` gives is within the range of all features together, which is whole, as that of pixels.
    """

    def __init__(self, n_features, clips=False):
        super().__init__()
        self.clips = clips
        for name, value in (("shift", 0.0), ("scale", 1.0), ("lower", -FAR), ("upper", FAR)):
            self.register_buffer(name, torch.full((n_features,), value, dtype=torch.float64))

    def scaled(self, x):  # (n, d) of any real dtype -> (n, d) floating
        x = wide(x)
        u = (x - self.shift.to(x.dtype)) / self.scale.to(x.dtype)
        return u.clamp(-FAR, FAR)

    def inside(self, u):
        """Clip to the fitted range. An encoder that sees clipped rows cannot follow an outlier outwards."""
        return u.clamp(self.lower.to(u.dtype), self.upper.to(u.dtype))

    def near(self, u):
        """Clip to the fitted range and half as much on either side: a linear map may see far beyond any value."""
        low, high = self.lower.to(u.dtype), self.upper.to(u.dtype)
        return u.clamp(low - BEYOND * (high - low), high + BEYOND * (high - low))

    def drawn(self, u):  # (n, d) -> (n, d)
        """Raw values of draws in scaled units."""
        return self.inverse(u)

    def inverse(self, u):  # (n, d) -> (n, d) float64 (float32 where the device has no float64)
        x = u.to(self.scale.dtype) * self.scale + self.shift
        if self.clips:
            low, high = (self.lower * self.scale + self.shift).min(), (self.upper * self.scale + self.shift).max()
            x = x.clamp(low.round(), high.round())
        return x


class Levels(nn.Module):
    """Equal-width bins: level k holds lower + k * width <= x < lower + (k + 1) * width.

    log p(x) = log p(k) - log width. With real data that is a density; whole numbers (``whole``) have width 1, or
    a whole width if there are more of them than levels, and it is the probability of the value.

    ``ragged``: features differ in how many levels they have, ``n_levels`` at most.
    """

    def __init__(self, n_features, n_levels, *, whole, ragged=False):
        super().__init__()
        self.n_levels, self.whole, self.ragged = n_levels, whole, ragged
        upper = n_levels - 1.0 if whole else float(n_levels)  # the largest value inside; may differ by feature
        for name, value in (("lower", 0.0), ("width", 1.0), ("upper", upper)):
            self.register_buffer(name, torch.full((n_features,), value, dtype=torch.float64))

    def forward(self, x):  # (n, d) of any real dtype -> levels (n, d) int64, beyond (n, d) float
        """``beyond`` is the distance outside the fitted range in bin widths, 0 for what lies inside."""
        x = wide(x)
        lower, width, upper = (buffer.to(x.dtype) for buffer in (self.lower, self.width, self.upper))
        beyond = ((lower - x).clamp(min=0) + (x - upper).clamp(min=0)) / width
        levels = ((x.clamp(lower, upper) - lower) / width).floor().clamp(max=self.n_levels - 1)
        return levels.long(), beyond.clamp(max=FAR)

    def values(self, levels, generator=None):  # (n, d) int64 -> (n, d)
        """Draw each value uniformly from its bin; a bin of whole numbers has ``width`` of them, mostly one."""
        dtype, device = self.width.dtype, self.width.device
        within = self.width * torch.rand(levels.shape, generator=generator, device=device, dtype=dtype)
        return self.lower + levels.to(dtype) * self.width + (within.floor() if self.whole else within)

    def centre(self, level):  # (..., d), whole or between -> (..., d)
        """The mean of what ``values`` draws for a level of each feature."""
        return self.lower + (level + 0.5) * self.width - (0.5 if self.whole else 0.0)

    def log_width(self):  # (d,)
        return self.width.log()

    def limits(self):
        """The last level of each feature, (d,) int64; None if that is ``n_levels - 1`` for all."""
        return ((self.upper - self.lower) / self.width).floor().long() if self.ragged else None


def make_levels(spec):
    """Of the values that ``Levels`` takes, as a dict."""
    return Levels(spec["n_features"], spec["n_levels"], whole=spec["whole"], ragged=spec["ragged"])


class Reals(Affine):
    """Real values, centred and scaled, behind the same face as ``Levels``: log p(x) = log p(u) - log scale."""

    def forward(self, x):  # (n, d) of any real dtype -> u (n, d), beyond (n, d) zeros
        return self.nearest(self.scaled(x))

    def nearest(self, u):  # (n, d) scaled -> u, beyond
        """The legal value that is nearest, and how far it is: any is legal."""
        return u, torch.zeros_like(u)

    def values(self, u, generator=None):  # (n, d) -> (n, d); as ``Levels.values``, but with nothing to draw
        return self.inverse(u)

    def centre(self, u):  # (..., d) -> (..., d)
        return self.inverse(u)

    def log_width(self):  # (d,)
        return self.scale.log()

    def log_spread(self):  # (d,)
        """Of how wide a range of scaled values a legal one stands for; 0 where it is a density."""
        return torch.zeros_like(self.scale)

    def limits(self):
        """Out of training the range of each feature, (2, d), in scaled units."""
        return None if self.training else torch.stack([self.lower, self.upper])


class Shares(Reals):
    """Values scaled to [0, 1] that stand for the probability of a 1: what is said of them is in no units of x."""

    def log_width(self):  # (d,)
        return torch.zeros_like(self.scale)
