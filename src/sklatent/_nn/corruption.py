"""Corruptions for denoising: the encoder sees the corrupted row, the clean row is the target.

Each maps a batch in scaled units, (n, *shape), to one alike, and draws from torch's global generator, which
training seeds. Each takes a number, its strength, relative to the scaled units or to the image: defaults carry over.

References: P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, "Extracting and composing robust features
with denoising autoencoders", 2008.
"""

import math
from numbers import Real

import torch
from torch.nn import functional as F

from . import series


class Noise:
    """Add Gaussian noise of standard deviation ``scale`` to each feature."""

    def __init__(self, scale=0.5):
        self.scale = scale

    def __call__(self, u):
        return u + self.scale * torch.randn_like(u)


class Mask:
    """Set a ``fraction`` of the features to 0, the centre of the scaled units.

    In images (n, c, h, w) square patches go, about a seventh of the longer side wide: a single missing pixel
    is told by its neighbours.
    """

    def __init__(self, fraction=0.3):
        self.fraction = fraction

    def __call__(self, u):
        if u.ndim < 4:
            return u * (torch.rand_like(u) >= self.fraction)
        n, _, h, w = u.shape
        side = max(1, round(max(h, w) / 7))
        keep = torch.rand(n, 1, math.ceil(h / side), math.ceil(w / side), device=u.device) >= self.fraction
        keep = keep.repeat_interleave(side, 2).repeat_interleave(side, 3)
        return u * keep[:, :, :h, :w]


class Swap:
    """Replace each feature, with probability ``fraction``, by the same feature of a random other row.

    What comes in is distributed as that feature is, so it cannot be told by its value alone.
    """

    def __init__(self, fraction=0.25):
        self.fraction = fraction

    def __call__(self, u):
        n = len(u)
        step = torch.randint(1, max(n, 2), u.shape, device=u.device)  # never 0: another row
        own = torch.arange(n, device=u.device).view(-1, *[1] * (u.ndim - 1))
        other = u.gather(0, (own + step) % n)
        return torch.where(torch.rand_like(u) < self.fraction, other, u)


class Flip:
    """Mirror an image left to right, with probability ``fraction``."""

    def __init__(self, fraction=0.5):
        self.fraction = fraction

    def __call__(self, u):  # (n, c, h, w)
        return torch.where(torch.rand_like(u[:, :1, :1, :1]) < self.fraction, u.flip(3), u)


class ColorJitter:
    """Another brightness, contrast and saturation of each image, each uniform within +- its strength.

    ``brightness`` is added, in standard deviations of the pixels; contrast (about the image's mean) and saturation
    (about the mean of a pixel's channels) are factors, in log units. Images of one channel have no saturation.
    """

    def __init__(self, brightness=0.0, contrast=0.0, saturation=0.0):
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation

    def __call__(self, u):  # (n, c, h, w)
        brightness, contrast, saturation = (2 * torch.rand_like(u[:, :1, :1, :1].expand(-1, 3, 1, 1)) - 1).split(1, 1)
        grey = u.mean(1, keepdim=True)
        u = grey + (self.saturation * saturation).exp() * (u - grey)
        mean = u.mean((1, 2, 3), keepdim=True)
        return mean + (self.contrast * contrast).exp() * (u - mean) + self.brightness * brightness


def color(strength=1.0):
    """Brightness by up to 0.4 standard deviations, contrast and saturation by up to 0.4, times ``strength``."""
    return ColorJitter(0.4 * strength, 0.4 * strength, 0.4 * strength)


class Warp:
    """A random affine map per image: shift, rotation, scale and shear, each uniform within +- its strength.

    ``shift`` and ``bend`` are fractions of the side, ``rotation`` is in radians, ``scale`` in log units. ``bend``
    adds a smooth displacement of that standard deviation: an elastic distortion (P. Simard, D. Steinkraus,
    J. Platt, "Best practices for convolutional neural networks applied to visual document analysis", 2003). What
    comes in from outside has the image's darkest value: repeating the edge would smear what touches it.
    """

    def __init__(self, shift=0.0, rotation=0.0, scale=0.0, shear=0.0, bend=0.0):
        self.shift, self.rotation, self.scale, self.shear, self.bend = shift, rotation, scale, shear, bend

    def __call__(self, u):  # (n, c, h, w)
        with torch.autocast(u.device.type, enabled=False):  # bfloat16 has no room for coordinates
            return self._warped(u)

    def _warped(self, u):
        maps, features = self._maps(u), _positions(u)
        if self.bend:
            knots = 2 * self.bend * torch.randn_like(u[:, :1, :1, :1].expand(-1, 2, 3, 3))
            maps, features = torch.cat([maps, knots.flatten(2)], 2), torch.cat([features, _surfaces(u)])
        grid = (maps @ features).unflatten(2, u.shape[2:]).permute(0, 2, 3, 1)
        darkest = u.amin((2, 3), keepdim=True)
        return F.grid_sample(u - darkest, grid, align_corners=False) + darkest

    def _maps(self, u):  # (n, 2, 3), from each output pixel to where it is read, the image being [-1, 1]^2
        n, _, h, w = u.shape
        spread = u.new_tensor([self.rotation, self.scale, self.shear, 2 * self.shift, 2 * self.shift])
        angle, log_scale, shear, x, y = ((2 * torch.rand_like(u[:1, 0, 0, :1].expand(n, 5)) - 1) * spread).T
        cos, sin, scale = angle.cos(), angle.sin(), log_scale.exp()
        # rotation @ shear in pixels; the ratio of the sides carries it over to [-1, 1]^2
        first = torch.stack([cos * scale, (cos * shear - sin) * scale * (h / w), x], 1)
        second = torch.stack([sin * scale * (w / h), (sin * shear + cos) * scale, y], 1)
        return torch.stack([first, second], 1)


def _positions(u):  # (n, c, h, w) -> (3, h * w): x and y of each pixel, in [-1, 1], and 1
    y, x = (u.new_tensor([(2 * i + 1) / side - 1 for i in range(side)]) for side in u.shape[2:])
    return torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones_like(u[0, 0])]).flatten(1)


def _surfaces(u):  # (n, c, h, w) -> (9, h * w): what each of 3 x 3 knots adds to each pixel, bicubic
    knots = torch.eye(9, dtype=u.dtype, device=u.device).view(9, 1, 3, 3)
    return F.interpolate(knots, u.shape[2:], mode="bicubic", align_corners=True).flatten(1)


def affine(strength=1.0, bend=0.0):
    """Shifts of up to 1/8 of the side, 15 degrees, 10 % of the size, and a shear of 0.15, times ``strength``."""
    return Warp(0.125 * strength, math.pi / 12 * strength, 0.1 * strength, 0.15 * strength, bend)


def elastic(strength=1.0):
    """The same, and a smooth bend of 5 % of the side, times ``strength``."""
    return affine(strength, bend=0.05 * strength)


class Chain:
    """One corruption after the other."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, u):
        for step in self.steps:
            u = step(u)
        return u


OF_TABLES = {"noise": Noise, "mask": Mask, "swap": Swap}
OF_IMAGES = OF_TABLES | {"affine": affine, "elastic": elastic, "flip": Flip, "color": color}
OF_SERIES = OF_IMAGES | {"mask": series.Gaps, "affine": series.affine, "elastic": series.elastic}
del OF_SERIES["color"]
CORRUPTIONS = set(OF_IMAGES)  # the names


def make_corruption(corruption, image_shape=None, parameter="corruption"):
    """The callable for a name, for several (a sequence) or for several with their strengths (a dict).

    A callable comes back as it is, as does None. ``parameter`` is what errors call it.
    """
    if corruption is None or callable(corruption):
        return corruption
    if isinstance(corruption, str):
        corruption = [corruption]
    known = OF_TABLES if image_shape is None else OF_SERIES if series.is_series(image_shape) else OF_IMAGES
    steps = []
    for name in corruption:
        if name not in CORRUPTIONS:
            raise ValueError(
                f"{parameter}={name!r} is not one of {sorted(CORRUPTIONS)}. A callable goes alone, not among others."
            )
        if name == "color" and image_shape is not None and name not in known:
            raise ValueError(f"{parameter}='color' is for images, but image_shape={tuple(image_shape)} is a series.")
        if name not in known:
            raise ValueError(
                f"{parameter}={name!r} warps images and series, but image_shape is None. Pass the (channels, height, "
                f"width) that the rows were flattened from, or use {parameter}='swap'."
            )
        if name in ("affine", "elastic") and image_shape[-1] == 1:
            raise ValueError(
                f"{parameter}={name!r} warps images in both directions, but image_shape={tuple(image_shape)} is one "
                f"pixel wide. Pass a series as (channels, 1, n_steps), or use {parameter}='noise' or 'mask'."
            )
        steps.append(known[name](*_strength(name, corruption, parameter)))
    return steps[0] if len(steps) == 1 else Chain(steps)


def moves_in_time(corruption, image_shape):
    """Whether what is named moves the rows of a series in time, so that a code is to say what happens, not when."""
    named = {corruption} if isinstance(corruption, str) else set() if callable(corruption) else set(corruption)
    return series.is_series(image_shape) and not named.isdisjoint(("affine", "elastic"))


def _strength(name, corruption, parameter):
    """The strength given for a name, as a list of one; an empty list where there is none."""
    if not isinstance(corruption, dict):
        return []
    strength = corruption[name]
    most = math.inf if name in ("noise", "affine", "elastic", "color") else 1
    if not isinstance(strength, Real) or not 0 <= strength <= most:
        raise ValueError(f"{parameter}={corruption!r}: the strength of {name!r} must lie between 0 and {most}.")
    return [strength]
