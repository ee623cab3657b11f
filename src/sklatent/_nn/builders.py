"""Built-in architectures: ``builder(input_shape, output_shape, n_code, n_latent) -> (encoder, decoder)``.

The encoder maps (n, *input_shape) to (n, n_code), the decoder (n, n_latent) to (n, *output_shape). The numbers differ
where a code or a feature has several parameters: the posterior's mean and log variance, the likelihood's. Then
``output_shape`` has more channels (of a table: features) than ``input_shape``.
"""

import math
from itertools import pairwise

from torch import nn

from .series import is_series

STEPS_LEFT = 8  # of a series, about, when its convolutions are done
ACTIVATIONS = {"identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


def mlp(input_shape, output_shape, n_code, n_latent, *, widths=(256, 128), activation="relu"):
    """Fully connected layers; the decoder mirrors the encoder. ``widths=()`` is one linear map each way."""
    encoder = _dense((math.prod(input_shape), *widths, n_code), activation)
    decoder = _dense((n_latent, *reversed(widths), math.prod(output_shape)), activation)
    return nn.Sequential(nn.Flatten(), *encoder), nn.Sequential(*decoder, nn.Unflatten(1, tuple(output_shape)))


def conv(
    input_shape, output_shape, n_code, n_latent, *, widths=(32, 64, 128, 256), activation="relu", kernel=(3, 3),
    stride=2,
):  # fmt: skip
    """Convolutions of 3x3 pixels and stride 2, at most one per width, and the mirrored up-convolutions.

    Halving stops when the longer side has two pixels. Each layer is normalised over the channels of one image
    (GroupNorm): a row's code does not depend on the other rows of its batch, and forward changes no buffer.
    """
    sizes = _shrunk(input_shape[1:], len(widths), stride)
    padding = tuple(side // 2 for side in kernel)
    inner = widths[: len(sizes) - 1]
    channels_in, channels_out = (input_shape[0], *inner), (output_shape[0], *inner)
    down, up = [], []
    for i, (large, small) in enumerate(pairwise(sizes)):
        down += [nn.Conv2d(*channels_in[i : i + 2], kernel, stride, padding), *_after(channels_in[i + 1], activation)]
        # stride s gives s * (small - 1) + 1 pixels; what a side lacks is added at its end
        extra = tuple(s_in - (stride * (s_out - 1) + 1) for s_in, s_out in zip(large, small, strict=True))
        after = _after(channels_out[i], activation) if up else []  # the layer that gives the image has none
        up = [nn.ConvTranspose2d(channels_out[i + 1], channels_out[i], kernel, stride, padding, extra), *after, *up]
    pixels = math.prod(sizes[-1])
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(channels_in[-1] * pixels, n_code))
    start = [nn.Linear(n_latent, channels_out[-1] * pixels), nn.Unflatten(1, (channels_out[-1], *sizes[-1]))]
    return encoder, nn.Sequential(*start, *(_after(channels_out[-1], activation) if up else []), *up)


def conv_in_time(input_shape, output_shape, n_code, n_latent, *, widths=(32, 64, 64, 64), activation="relu"):
    """``conv`` of a series (channels, 1, steps): along time only, with a stride that leaves about eight steps.

    A kernel has seven steps, or more than two strides. One that is longer than the series reads zeros beyond it.
    """
    stride = max(2, math.ceil((input_shape[2] / STEPS_LEFT) ** (1 / max(1, len(widths)))))
    options = {"widths": widths, "activation": activation, "kernel": (1, max(7, 2 * stride + 1)), "stride": stride}
    return conv(input_shape, output_shape, n_code, n_latent, **options)


def built_in(name, input_shape):
    """The builder of this name for rows of this shape."""
    if name == "mlp":
        return mlp
    return conv_in_time if is_series(input_shape) else conv


def _dense(widths, activation):
    layers = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    return layers[:-1]


def _shrunk(size, most, stride):
    sizes = [tuple(size)]
    while max(sizes[-1]) > 2 and len(sizes) <= most:
        sizes.append(tuple(math.ceil(side / stride) for side in sizes[-1]))
    return sizes


def _after(channels, activation):
    return [nn.GroupNorm(math.gcd(channels, 8), channels), ACTIVATIONS[activation]()]
