"""Gated PixelCNN: masked convolutions in two stacks, at one or several resolutions, with cached sampling."""

import math
from collections import deque

import torch
import torch.nn.functional as F
from torch import nn

from .layers import Head, MaskedConv, pooled


def _gate(x):
    """tanh(a) * sigmoid(b), where a and b are the halves of the channels."""
    a, b = x.chunk(2, 1)
    return a.tanh() * b.sigmoid()


class GatedBlock(nn.Module):
    """One layer of both stacks: the vertical one feeds the horizontal one, never the reverse.

    The vertical stack may hold one image for the whole batch; the horizontal one then still holds all.

    v' = gate(conv v),  h' = h + W gate(conv h + U conv v); the first block has no residual connection.
    """

    def __init__(self, in_channels, n_filters, kernel_size, dropout, *, kind):
        super().__init__()
        self.vertical = MaskedConv(in_channels, 2 * n_filters, kernel_size, stack="vertical", kind=kind)
        self.horizontal = MaskedConv(in_channels, 2 * n_filters, kernel_size, stack="horizontal", kind=kind)
        self.across = nn.Conv2d(2 * n_filters, 2 * n_filters, 1)
        self.out = nn.Conv2d(n_filters, n_filters, 1)
        self.dropout = nn.Dropout(dropout)
        self.residual = kind == "B"

    def forward(self, v, h, shortcuts):  # the shortcuts are for ``Down`` and ``Up``
        above = self.vertical(v)
        out = self.out(self.dropout(_gate(self.horizontal(h) + self.across(above))))
        return _gate(above), h + out if self.residual else out

    def cache(self, n, width):
        return _BlockCache(self, n, width)


class _BlockCache:
    """A block while sampling: its weights as matrices, and the activations that its kernels still see."""

    def __init__(self, block, n, width):
        self.block, self.matrix = block, block.horizontal.matrix()
        self.across = block.across.weight.flatten(1)
        self.across_bias = block.across.bias + block.horizontal.bias
        self.out = block.out.weight.flatten(1)
        channels, (height, _) = block.vertical.in_channels, block.vertical.kernel_size
        self.rows = deque([self.matrix.new_zeros(n, channels, width)] * height, maxlen=height)
        self.blank = [self.matrix.new_zeros(n, channels)] * block.horizontal.kernel_size[1]

    def start_row(self, row, v, shortcuts):  # the newest row in sight (n, c, w) -> (n, f, w)
        """The vertical stack in one row, and what it adds to each of the row's pixels: (w, n, 2 f)."""
        self.rows.append(v)
        self.columns = deque(self.blank, maxlen=len(self.blank))
        above = self.block.vertical.row(tuple(self.rows))
        self.above = F.linear(above.permute(2, 0, 1), self.across, self.across_bias)
        return _gate(above)

    def pixel(self, column, h, shortcuts):  # the newest pixel in sight (n, c) -> (n, f)
        self.columns.append(h)
        seen = torch.cat(tuple(self.columns), 1)
        out = F.linear(_gate(torch.addmm(self.above[column], seen, self.matrix)), self.out, self.block.out.bias)
        return h + out if self.block.residual else out


class Down(nn.Module):
    """Both stacks to half the resolution; what they were at this one stays behind as a shortcut.

    Pixel (i, j) stands for the pixels (2 i, 2 j) to (2 i + 1, 2 j + 1) and knows what (2 i, 2 j) may know, for
    that is the first of them.
    """

    def __init__(self, n_filters):
        super().__init__()
        self.vertical, self.horizontal = (
            MaskedConv(n_filters, n_filters, 3, stack=stack, kind="B", stride=2) for stack in ("vertical", "horizontal")
        )

    def forward(self, v, h, shortcuts):  # (n, f, h, w)s -> (n, f, h / 2, w / 2)s, rounded up
        shortcuts.append((v, h))
        return self.vertical(v), self.horizontal(h)

    def cache(self, n, width):
        return _DownCache(self, n, width)


class _DownCache:
    """A ``Down`` while sampling: None where the lower resolution has no pixel."""

    def __init__(self, down, n, width):
        self.down, self.matrix = down, down.horizontal.matrix()
        channels, self.bias = down.vertical.in_channels, down.horizontal.bias
        self.above, self.blank = self.matrix.new_zeros(n, channels, width), self.matrix.new_zeros(n, channels)

    def start_row(self, row, v, shortcuts):  # (n, f, w) -> (n, f, w / 2) or None
        shortcuts.append(v)
        above, self.above, self.left, self.has_row = self.above, v, self.blank, row % 2 == 0
        return self.down.vertical.row((above, v)) if self.has_row else None

    def pixel(self, column, h, shortcuts):  # (n, f) -> (n, f) or None
        shortcuts.append(h)
        left, self.left = self.left, h
        if not self.has_row or column % 2:
            return None
        return torch.addmm(self.bias, torch.cat([left, h], 1), self.matrix)


class Up(nn.Module):
    """Both stacks back from half the resolution: each pixel gives four, to which the shortcut is added."""

    def __init__(self, n_filters):
        super().__init__()
        self.vertical, self.horizontal = (nn.ConvTranspose2d(n_filters, n_filters, 2, stride=2) for _ in range(2))

    def forward(self, v, h, shortcuts):  # (n, f, h / 2, w / 2)s, rounded up -> (n, f, h, w)s
        v_before, h_before = shortcuts.pop()
        height, width = h_before.shape[2:]
        return (
            v_before + self.vertical(v)[:, :, :height, :width],
            h_before + self.horizontal(h)[:, :, :height, :width],
        )

    def cache(self, n, width):
        return _UpCache(self, width)


class _UpCache:
    """An ``Up`` while sampling: the two rows that come of a row, and the four pixels that come of a pixel."""

    def __init__(self, up, width):
        self.up, self.width = up, width
        self.matrix = up.horizontal.weight.permute(0, 2, 3, 1).flatten(1)  # (f, 2 rows * 2 columns * f)
        self.bias = up.horizontal.bias.repeat(4)

    def start_row(self, row, v, shortcuts):  # (n, f, w / 2) or None -> (n, f, w)
        self.odd_row = row % 2
        if v is not None:
            self.rows, self.pixels = self.up.vertical(v.unsqueeze(2))[..., : self.width], []
        return shortcuts.pop() + self.rows[:, :, self.odd_row]

    def pixel(self, column, h, shortcuts):  # (n, f) or None -> (n, f)
        if h is not None:
            self.pixels.append(torch.addmm(self.bias, h, self.matrix).chunk(4, 1))
        return shortcuts.pop() + self.pixels[column // 2][2 * self.odd_row + column % 2]


def _layers(n_filters, n_blocks, dropout, n_scales):
    """Residual blocks, and between two runs of them those of the lower resolutions."""

    def blocks():
        return [GatedBlock(n_filters, n_filters, 3, dropout, kind="B") for _ in range(n_blocks)]

    if n_scales == 1:
        return blocks()
    lower = _layers(n_filters, n_blocks, dropout, n_scales - 1)
    return [*blocks(), Down(n_filters), *lower, Up(n_filters), *blocks()]


class PixelCNN(nn.Module):
    """Gated PixelCNN: the conditional of each pixel, from the pixels before it in raster order.

    p(x) = prod_p prod_c p(x_pc | pixels before p, channels before c of pixel p). Pixels come row by row, and
    within a pixel the channels one after the other, whereas the features of a row are channel-first: feature
    ``channel * height * width + row * width + column``. The convolutions act on whole pixels; the head of a
    channel also sees the levels of the pixel's earlier channels.

    Parameters
    ----------
    image_shape : (channels, height, width)
        Any size from 1 x 1; a series or a table is 1 x d.
    n_levels : int
    n_filters : int
        Channels of both stacks.
    n_blocks : int
        Gated blocks with residual connections, after the first one without. With more scales there are as many at
        each resolution on the way down, and on the way up again: (2 n_scales - 1) n_blocks in all.
    dropout : float
    first_kernel_size : odd int, at least 3
    n_params : int or None
        Parameters of a feature's conditional, as the likelihood's ``n_params``; None: ``n_levels``.
    n_scales : int, at least 1
        Resolutions: the image's own, half of it, a quarter, ... The stacks go down to the lowest by convolutions of
        stride 2 and up again by transposed ones, and add what they were at that resolution on the way down.

    Notes
    -----
    Training costs O(height width n_blocks n_filters^2) an image, all pixels at once. Sampling by ``steps``
    costs as much, one pixel after the other. A block at a lower resolution costs a quarter of one above it, and
    sees twice as far.

    References
    ----------
    A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016.
    A. van den Oord, N. Kalchbrenner, O. Vinyals, L. Espeholt, A. Graves, K. Kavukcuoglu, "Conditional Image
    Generation with PixelCNN Decoders", 2016.
    T. Salimans, A. Karpathy, X. Chen, D. P. Kingma, "PixelCNN++: Improving the PixelCNN with Discretized Logistic
    Mixture Likelihood and Other Modifications", 2017 (``n_scales``).
    """

    def __init__(
        self, image_shape, n_levels, n_filters=48, n_blocks=4, dropout=0.3, first_kernel_size=7, n_params=None,
        n_scales=1,
    ):  # fmt: skip
        super().__init__()
        channels, height, width = self.image_shape = tuple(image_shape)
        self.order = [c * height * width + p for p in range(height * width) for c in range(channels)]
        # A number per level, not one-hot: that gave 0.06 bits/dim more on held-out 8 x 8 digits, by overfitting.
        self.register_buffer("value", torch.linspace(-1, 1, n_levels), persistent=False)
        first = GatedBlock(channels, n_filters, first_kernel_size, dropout, kind="A")
        self.blocks = nn.ModuleList([first, *_layers(n_filters, n_blocks, dropout, n_scales)])
        self.n_layers = len(self.blocks)
        self.heads = nn.ModuleList(Head(n_filters, c, n_levels, n_params or n_levels) for c in range(channels))
        self.place = nn.Parameter(torch.zeros(n_filters, height, width))  # where a pixel is

    def forward(self, levels):  # (n, d) -> (n, d, P)
        levels = levels.unflatten(1, self.image_shape)  # (n, c, h, w)
        h = self._hidden(levels, self.n_layers).permute(0, 2, 3, 1)  # (n, h, w, f)
        params = [head(h, levels[:, :c].unbind(1)) for c, head in enumerate(self.heads)]
        return torch.stack(params, 1).flatten(1, 3)

    def features(self, levels, layer):  # (n, d) -> (n, f * cells)
        """The horizontal stack after block number ``layer``, pooled."""
        return pooled(self._hidden(levels.unflatten(1, self.image_shape), layer + 1))

    def _hidden(self, levels, n_layers):  # (n, c, h, w) -> (n, f, h, w), or a lower resolution
        h = self.value[levels]
        v = h if h.shape[2] > 1 else h[:1]  # of a single row the vertical stack sees nothing: alike for all images
        shortcuts = []
        for number, block in enumerate(self.blocks[:n_layers]):
            v, h = block(v, h, shortcuts)
            if number == 0:
                h = h + self.place
        return h

    def _caches(self, n):
        """The layers' caches, each with its stride: that many pixels are one at its resolution."""
        caches, stride = [], 1
        for block in self.blocks:
            if isinstance(block, Up):
                stride //= 2
            caches.append((stride, block.cache(n, math.ceil(self.image_shape[2] / stride))))
            if isinstance(block, Down):
                stride *= 2
        return caches

    @torch.no_grad()
    def steps(self, n):
        """Yield the parameters of a feature, be sent its levels, go on; see ``autoregressive``."""
        channels, _, width = self.image_shape
        caches, blank = self._caches(n), self.value.new_zeros(n, channels)
        v = blank.unsqueeze(2).expand(-1, -1, width)
        for row, place in enumerate(self.place.permute(1, 2, 0)):  # one row's (w, f)
            caches_of_row, shortcuts = [pair for pair in caches if row % pair[0] == 0], []
            for stride, cache in caches_of_row:
                v = cache.start_row(row // stride, v, shortcuts)
            pixel, pixels = blank, []
            for column in range(width):
                h = pixel
                for number, (stride, cache) in enumerate(caches_of_row):
                    if column % stride == 0:
                        h = cache.pixel(column // stride, h, shortcuts)
                        if number == 0:
                            h = h + place[column]
                levels = []
                for head in self.heads:
                    levels.append((yield head(h, levels)))
                pixel = self.value[torch.stack(levels, 1)]
                pixels.append(pixel)
            v = torch.stack(pixels, 2)
