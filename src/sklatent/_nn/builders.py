"""Built-in architectures: ``builder(input_shape, n_code, n_latent) -> (encoder, decoder)``.

The encoder maps (n, *input_shape) to (n, n_code), the decoder (n, n_latent) to (n, *input_shape). The two
numbers differ where the code holds more than a point, as the mean and log variance of a VAE's posterior.
"""

import math
from itertools import pairwise

from torch import nn

ACTIVATIONS = {"identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


def mlp(input_shape, n_code, n_latent, *, widths=(256, 128), activation="relu"):
    """Fully connected layers; the decoder mirrors the encoder. ``widths=()`` is one linear map each way."""
    n_features = math.prod(input_shape)
    encoder = nn.Sequential(nn.Flatten(), *_dense((n_features, *widths, n_code), activation))
    decoder = nn.Sequential(
        *_dense((n_latent, *reversed(widths), n_features), activation), nn.Unflatten(1, tuple(input_shape))
    )
    return encoder, decoder


def conv(input_shape, n_code, n_latent, *, widths=(32, 64, 128, 256), activation="relu"):
    """Convolutions of 3x3 pixels and stride 2, at most one per width, and the mirrored up-convolutions.

    Halving stops when the longer side has two pixels. Each layer is normalised over the channels of one image
    (GroupNorm): a row's code does not depend on the other rows of its batch, and forward changes no buffer.
    """
    channels, *size = input_shape
    sizes = _halvings(size, len(widths))
    channels = (channels, *widths[: len(sizes) - 1])
    flat = channels[-1] * math.prod(sizes[-1])
    down, up = [], []
    for (c_in, c_out), (large, small) in zip(pairwise(channels), pairwise(sizes), strict=True):
        down += [nn.Conv2d(c_in, c_out, 3, 2, 1), *_after(c_out, activation)]
        # stride 2 gives 2 * small - 1 pixels; what an even side lacks is added at its end
        extra = tuple(s_in - (2 * s_out - 1) for s_in, s_out in zip(large, small, strict=True))
        after = _after(c_in, activation) if up else []  # the layer that gives the image has none
        up = [nn.ConvTranspose2d(c_out, c_in, 3, 2, 1, output_padding=extra), *after, *up]
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, n_code))
    start = _after(channels[-1], activation) if up else []
    decoder = nn.Sequential(nn.Linear(n_latent, flat), nn.Unflatten(1, (channels[-1], *sizes[-1])), *start, *up)
    return encoder, decoder


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
