"""Features of series that do not say when: how often each of many random patterns fits, wherever in the row.

References: A. Dempster, F. Petitjean, G. I. Webb, "ROCKET: exceptionally fast and accurate time series classification
using random convolutional kernels", 2020.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .linear import LinearPlus

KERNELS, TAPS = 64, 9  # of each dilation
MOST_PLACES = 256  # in a series at which a kernel is held against it


class RandomKernels(nn.Module):
    """(n, c, 1, steps) -> (n, n_features): the share of places at which each kernel's response is positive.

    Kernels have mean zero in each channel and length one, and dilations of 1, 2, 4, ... as far as they fit. They are
    drawn, never trained.
    """

    def __init__(self, input_shape):
        super().__init__()
        channels, _, steps = input_shape
        self.stride = math.ceil(steps / MOST_PLACES)
        longest = max(1, (steps - 1) // (TAPS - 1))
        self.dilations = [2**i for i in range(longest.bit_length())]
        weight = torch.randn(len(self.dilations), KERNELS, channels, TAPS)
        weight = weight - weight.mean(3, keepdim=True)
        self.register_buffer("weight", weight / weight.square().sum((2, 3), keepdim=True).sqrt())
        self.register_buffer("bias", 2 * torch.rand(len(self.dilations), KERNELS) - 1)
        self.n_features = self.bias.numel()

    def forward(self, x):
        return torch.cat([self._shares(x[:, :, 0], i) for i in range(len(self.dilations))], 1)

    def _shares(self, x, i):  # (n, c, steps) -> (n, KERNELS)
        dilation = self.dilations[i]
        wide = F.pad(x, (dilation * (TAPS // 2),) * 2, mode="replicate")
        return (F.conv1d(wide, self.weight[i], self.bias[i], self.stride, dilation=dilation) > 0).to(x.dtype).mean(2)


class PooledPlus(LinearPlus):
    """``LinearPlus`` whose linear map sees the ``RandomKernels`` of a series in its place: a code that forgets when."""

    def __init__(self, net, input_shape, out_shape):
        kernels = RandomKernels(input_shape)
        super().__init__(net, kernels.n_features, out_shape)
        self.kernels, self.input_shape = kernels, tuple(input_shape)

    def features(self, x):  # (n, d) -> (n, n_features)
        return self.kernels(x.unflatten(1, self.input_shape))

    def linear(self, x):
        return super().linear(self.features(x))
