"""What two models share."""

import math

import torch
import torch.nn.functional as F
from torch import nn

WITHOUT_FLOAT64 = {"mps"}  # devices
GRID = 4  # cells of the features a side: one cell, as in Image GPT, loses 17 points with 100 labelled digits


def at_least_float32(x):
    """Mixed precision ends here: log-densities are sums of many terms and differences of close ones."""
    return x.float() if x.dtype.itemsize < 4 else x


def widest(device):
    """float64 wherever there is one."""
    return torch.float32 if device.type in WITHOUT_FLOAT64 else torch.float64


def softplus(x):
    """log(1 + exp(x)); without gradients by other means than torch's, whose last bits depend on the place in a batch.

    torch computes what a vector register holds by other functions than the rest of a tensor.
    """
    if torch.is_grad_enabled():
        return F.softplus(x)
    return torch.where(x > 20, x, x.clamp(max=20).exp().log1p())


def logaddexp(a, b):
    """log(exp(a) + exp(b)), alike."""
    if torch.is_grad_enabled():
        return torch.logaddexp(a, b)
    return torch.stack(torch.broadcast_tensors(a, b), -1).logsumexp(-1)


def exact_sum(terms, dim=-1):
    """Their sum in float64: a score of -12,000 nats has steps of .001 in float32."""
    return terms.sum(dim, dtype=widest(terms.device))


def cell_sums(maps, image_shape, n_along=7):  # (n, d) -> (n, cells)
    """Sums over the channels and over square cells of pixels, as small as ``n_along`` of them along a side allow."""
    height, width = image_shape[1:]
    maps = maps.unflatten(1, image_shape).sum(1, keepdim=True)
    size = math.ceil(max(height, width) / n_along)
    return F.avg_pool2d(maps, size, ceil_mode=True, divisor_override=1).flatten(1)


def pooled(h):  # (n, f, h, w) -> (n, f * cells)
    """Means over the cells of a grid, at most 4 x 4: they keep where in the image something is."""
    return F.adaptive_avg_pool2d(h, [min(GRID, side) for side in h.shape[2:]]).flatten(1)


class MaskedConv(nn.Conv2d):
    """A convolution that sees nothing after the pixel it is at, in raster order.

    Two stacks share the past among them, so that none of it is in a blind spot::

        vertical A    vertical B    horizontal A    horizontal B
        1 1 1 1 1     1 1 1 1 1     0 0 0 0 0       0 0 0 0 0
        1 1 1 1 1     1 1 1 1 1     0 0 0 0 0       0 0 0 0 0
        0 0 0 0 0     1 1 1 1 1     1 1 0 0 0       1 1 1 0 0
        0 0 0 0 0     0 0 0 0 0     0 0 0 0 0       0 0 0 0 0
        0 0 0 0 0     0 0 0 0 0     0 0 0 0 0       0 0 0 0 0

    Type A (the first layer) leaves out the present: the row, or the pixel. Type B may look at it, for the
    first layer has left it out already. Only the ones are stored, as a smaller kernel on a shifted image.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : odd int, at least 3
    stack : "vertical" or "horizontal"
    kind : "A" or "B"
    stride : int
        2: only at every other pixel of every other row, the first one included.
    """

    def __init__(self, in_channels, out_channels, kernel_size, *, stack, kind, stride=1):
        reach, present = kernel_size // 2, int(kind == "B")
        vertical = stack == "vertical"
        kernel = (reach + present, kernel_size) if vertical else (1, reach + present)
        super().__init__(in_channels, out_channels, kernel, stride)
        cut = present - 1  # type A: the last output would look at the row or column after the image
        self.pads = (reach, reach, reach, cut) if vertical else (reach, cut, 0, 0)

    def forward(self, x):  # (n, c, h, w) -> (n, c', h / stride, w / stride), rounded up
        return super().forward(F.pad(x, self.pads))

    def row(self, rows):  # the kernel's height of (n, c, w) -> (n, c', w / stride)
        """What ``forward`` has in one row, from the rows that it sees."""
        return F.conv2d(torch.stack(rows, 2), self.weight, self.bias, self.stride, (0, self.pads[0])).squeeze(2)

    def matrix(self):
        """The weights of one pixel of a horizontal convolution: (columns seen * c, c')."""
        return self.weight.squeeze(2).permute(2, 1, 0).flatten(0, 1).contiguous()


class Head(nn.Module):
    """The parameters of one channel, from the pixels before and from the pixel's earlier channels."""

    def __init__(self, n_filters, n_earlier, n_levels, n_params):
        super().__init__()
        self.hidden = nn.Linear(n_filters, n_filters)
        self.earlier = nn.ModuleList(nn.Embedding(n_levels, n_filters) for _ in range(n_earlier))
        self.out = nn.Linear(n_filters, n_params)
        for table in self.earlier:  # at first linear in the level: neighbours start alike
            table.weight.data = torch.linspace(-1, 1, n_levels)[:, None] * table.weight.data[:1]

    def forward(self, h, earlier):  # (..., f), one (...) int64 per earlier channel -> (..., P)
        hidden = self.hidden(h)
        for table, levels in zip(self.earlier, earlier, strict=True):
            hidden = hidden + table(levels)
        return self.out(hidden.relu())
