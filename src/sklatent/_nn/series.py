"""Series, rows that fold to (channels, 1, n_steps): what is done to them along time.

Each corruption maps a batch in scaled units, (n, c, 1, steps), to one alike, and draws from torch's global generator.
All channels of a row are moved in time alike, as their sensors were read together; each has an amplitude of its own.

References: T. T. Um et al., "Data augmentation of wearable sensor data for Parkinson's disease monitoring using
convolutional neural networks", 2017 (scaling, time-warping).
"""

import math

import torch
from torch.nn import functional as F

KNOTS = 5  # of a smooth warp, from the first step to the last


def is_series(image_shape):
    """Whether rows fold to series; an image that is one pixel wide, not high, is none."""
    return image_shape is not None and image_shape[-2] == 1


class TimeWarp:
    """Read each row at other times, and at another amplitude, each drawn uniformly within +- its strength.

    ``shift`` is a share of the length; ``stretch`` (about the middle) and ``amplitude`` (about the channel's mean)
    are in log units. ``bend`` adds a smooth displacement of that standard deviation, a share of the length. Before
    the first step and after the last, their values go on.
    """

    def __init__(self, shift=0.0, stretch=0.0, amplitude=0.0, bend=0.0):
        self.shift, self.stretch, self.amplitude, self.bend = shift, stretch, amplitude, bend

    def __call__(self, u):  # (n, c, 1, steps)
        with torch.autocast(u.device.type, enabled=False):  # bfloat16 has no room for times
            warped = F.grid_sample(u, self._times(u), padding_mode="border", align_corners=False)
            return (self.amplitude * _uniform(u[:, :, :1, :1])).exp() * warped

    def _times(self, u):  # (n, 1, steps, 2): where each step is read, the series being [-1, 1]
        n, _, _, steps = u.shape
        times = (2 * torch.arange(steps, dtype=u.dtype, device=u.device) + 1) / steps - 1
        shift, stretch = _uniform(u[:, :1, :1, :1].expand(n, 2, 1, 1)).unbind(1)
        times = (self.stretch * stretch).exp() * times + 2 * self.shift * shift  # (n, 1, steps)
        if self.bend:
            knots = 2 * self.bend * torch.randn_like(u[:, :1, 0, :1].expand(n, 1, KNOTS))
            times = times + F.interpolate(knots.unsqueeze(2), (1, steps), mode="bicubic", align_corners=True)[:, :, 0]
        return torch.stack([times, torch.zeros_like(times)], 3)


def _uniform(like):
    return 2 * torch.rand_like(like) - 1


def affine(strength=1.0, bend=0.0):
    """Shifts of up to 1/8 of the length, 10 % of the tempo and of the amplitude, times ``strength``."""
    return TimeWarp(0.125 * strength, 0.1 * strength, 0.1 * strength, bend)


def elastic(strength=1.0):
    """The same, and a smooth warp of 5 % of the length, times ``strength``."""
    return affine(strength, bend=0.05 * strength)


class Gaps:
    """Set a ``fraction`` of the values to 0, the channel's mean: windows, about a seventh of the length each.

    Of several channels, every second row loses whole channels instead: what a sensor says, the others may tell.
    """

    def __init__(self, fraction=0.3):
        self.fraction = fraction

    def __call__(self, u):  # (n, c, 1, steps)
        n, c, _, steps = u.shape
        width = max(1, round(steps / 7))
        drawn = torch.rand(n, 1, 1, math.ceil(steps / width), device=u.device).repeat_interleave(width, 3)
        drawn = drawn[..., :steps]
        if c > 1:
            of_channels, half = torch.rand(2, n, c, 1, 1, device=u.device)
            drawn = torch.where(half[:, :1] < 0.5, of_channels, drawn)
        return u * (drawn >= self.fraction)
