"""Features of series that do not say when: how often each of many patterns fits, wherever in the row.

References: A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic transform for time
series classification", 2021.
"""

import math
from itertools import combinations

import torch
from torch import nn
from torch.nn import functional as F

from .linear import LinearPlus

TAPS = 9
HIGH = tuple(combinations(range(TAPS), 3))  # of each kernel: the taps of weight 2; the other six have -1
BIASES = 2  # of each kernel and dilation
MOST_PLACES = 256  # in a series at which a kernel is held against it
ROWS_TO_LEARN = 64  # at most


class PooledKernels(nn.Module):
    """(n, c, 1, steps) -> (n, n_features): the share of places at which each kernel's response is above a bias.

    The kernels are all those of nine taps of which three weigh 2 and the rest -1, with dilations of 1, 2, 4, ... as far
    as they fit; of several channels each kernel sees some, drawn when it is built. ``learn`` takes the biases from
    quantiles of the responses. Nothing is trained.

    Parameters
    ----------
    input_shape : tuple of int
        (channels, 1, steps)
    n_windows : int
        With more than one, the share is also given in each of so many windows of the row: roughly when.
    generator : torch.Generator or None
        Of the draws; None is torch's global one.
    """

    def __init__(self, input_shape, n_windows=1, generator=None):
        super().__init__()
        channels, _, steps = input_shape
        self.stride, self.n_windows = math.ceil(steps / MOST_PLACES), n_windows
        longest = max(1, (steps - 1) // (TAPS - 1))
        self.dilations = [2**i for i in range(longest.bit_length())]
        kernels = torch.full((len(HIGH), 1, TAPS), -1.0)
        kernels[torch.arange(len(HIGH)).unsqueeze(1), 0, torch.tensor(HIGH)] = 2.0
        seen = torch.stack([_some_channels(channels, generator) for _ in self.dilations])
        self.register_buffer("weight", seen.unsqueeze(3) * kernels)  # (dilations, kernels, channels, taps)
        self.register_buffer("bias", torch.zeros(len(self.dilations), len(HIGH), BIASES))
        self.n_features = self.bias.numel() * (1 if n_windows == 1 else 1 + n_windows)

    def learn(self, x):  # (n, c, 1, steps)
        """Take the biases from rows: quantiles that are spread evenly over kernels, not the same for each."""
        x = x[:: math.ceil(len(x) / ROWS_TO_LEARN), :, 0]
        golden = (math.sqrt(5) - 1) / 2
        quantiles = (torch.arange(1, self.bias.numel() + 1, dtype=torch.float64) * golden % 1).view(self.bias.shape)
        for i in range(len(self.dilations)):
            found = self._responses(x, i).transpose(0, 1).flatten(1).sort(1).values  # (kernels, n places)
            self.bias[i] = found.gather(1, (quantiles[i] * found.shape[1]).long().to(found.device))

    def forward(self, x):
        return torch.cat([self._shares(x[:, :, 0], i) for i in range(len(self.dilations))], 1)

    def _responses(self, x, i):  # (n, c, steps) -> (n, kernels, places)
        dilation = self.dilations[i]
        wide = F.pad(x, (dilation * (TAPS // 2),) * 2, mode="replicate")
        return F.conv1d(wide, self.weight[i], stride=self.stride, dilation=dilation)

    def _shares(self, x, i):  # (n, c, steps) -> (n, features of a dilation)
        above = self._responses(x, i).unsqueeze(2) > self.bias[i].unsqueeze(2)
        above = above.flatten(1, 2).to(x.dtype)
        shares = above.mean(2)
        if self.n_windows == 1:
            return shares
        return torch.cat([shares, F.adaptive_avg_pool1d(above, self.n_windows).flatten(1)], 1)


def _some_channels(channels, generator):  # -> (kernels, channels), of 0 and 1
    """Which channels each kernel sees: one up to nine, their number uniform in its logarithm."""
    order = torch.rand(len(HIGH), channels, generator=generator).argsort(1).argsort(1)
    most = math.log2(min(channels, TAPS) + 1)
    number = (2 ** (most * torch.rand(len(HIGH), 1, generator=generator))).long()
    return (order < number).float()


class PooledPlus(LinearPlus):
    """``LinearPlus`` whose linear map sees the ``PooledKernels`` of a series in its place: a code that forgets when."""

    def __init__(self, net, input_shape, out_shape):
        kernels = PooledKernels(input_shape)
        super().__init__(net, kernels.n_features, out_shape)
        self.kernels, self.input_shape = kernels, tuple(input_shape)

    def features(self, x):  # (n, d) -> (n, n_features)
        return self.kernels(x.unflatten(1, self.input_shape))

    def linear(self, x):
        return super().linear(self.features(x))
