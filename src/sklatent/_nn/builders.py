"""Built-in architectures: ``builder(input_shape, output_shape, n_code, n_latent) -> (encoder, decoder)``.

The encoder maps (n, *input_shape) to (n, n_code), the decoder (n, n_latent) to (n, *output_shape). The numbers differ
where a code or a feature has several parameters: the posterior's mean and log variance, the likelihood's. Then
``output_shape`` has more channels (of a table: features) than ``input_shape``.
"""

import math
from itertools import pairwise

from torch import nn

ACTIVATIONS = {"identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


def mlp(input_shape, output_shape, n_code, n_latent, *, widths=(256, 128), activation="relu"):
    """Fully connected layers; the decoder mirrors the encoder. ``widths=()`` is one linear map each way."""
    encoder = _dense((math.prod(input_shape), *widths, n_code), activation)
    decoder = _dense((n_latent, *reversed(widths), math.prod(output_shape)), activation)
    return nn.Sequential(nn.Flatten(), *encoder), nn.Sequential(*decoder, nn.Unflatten(1, tuple(output_shape)))


def conv(input_shape, output_shape, n_code, n_latent, *, widths=(32, 64, 128, 256), activation="relu"):
    """Convolutions of 3x3 pixels and stride 2, at most one per width, and the mirrored up-convolutions.

    Halving stops when the longer side has two pixels. Each layer is normalised over the channels of one image
    (GroupNorm): a row's code does not depend on the other rows of its batch, and forward changes no buffer.
    """
    sizes = _halvings(input_shape[1:], len(widths))
    inner = widths[: len(sizes) - 1]
    channels_in, channels_out = (input_shape[0], *inner), (output_shape[0], *inner)
    down, up = [], []
    for i, (large, small) in enumerate(pairwise(sizes)):
        down += [nn.Conv2d(*channels_in[i : i + 2], 3, 2, 1), *_after(channels_in[i + 1], activation)]
        # stride 2 gives 2 * small - 1 pixels; what an even side lacks is added at its end
        extra = tuple(s_in - (2 * s_out - 1) for s_in, s_out in zip(large, small, strict=True))
        after = _after(channels_out[i], activation) if up else []  # the layer that gives the image has none
        up = [nn.ConvTranspose2d(channels_out[i + 1], channels_out[i], 3, 2, 1, output_padding=extra), *after, *up]
    pixels = math.prod(sizes[-1])
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(channels_in[-1] * pixels, n_code))
    start = [nn.Linear(n_latent, channels_out[-1] * pixels), nn.Unflatten(1, (channels_out[-1], *sizes[-1]))]
    return encoder, nn.Sequential(*start, *(_after(channels_out[-1], activation) if up else []), *up)


def _dense(widths, activation):
    layers = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    return layers[:-1]


def _halvings(size, most):
    sizes = [tuple(size)]
    while max(sizes[-1]) > 2 and len(sizes) <= most:
        sizes.append(tuple(math.ceil(side / 2) for side in sizes[-1]))
    return sizes


def _after(channels, activation):
    return [nn.GroupNorm(math.gcd(channels, 8), channels), ACTIVATIONS[activation]()]
