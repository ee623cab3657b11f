"""PixelRNN: Row LSTM and Diagonal BiLSTM layers over the image, with cached sampling.

Activations are (pixels, n, channels), pixels in raster order: a recurrence over the image then is a loop over blocks
of the leading dimension, and each of its steps one matrix product for a whole row or diagonal.
"""

from collections import deque

import torch
import torch.nn.functional as F
from torch import nn

from .layers import Head, MaskedConv, pooled


def _lstm(gates, cell):
    """(..., 4 h), (..., h) -> hidden and cell state (..., h): c' = f c + i g, h' = o tanh(c')."""
    width = cell.shape[-1]
    gates, new = gates.split([3 * width, width], -1)
    forget, enter, out = gates.sigmoid().split(width, -1)
    cell = torch.addcmul(forget * cell, enter, new.tanh())
    return out * cell.tanh(), cell


def _move(x, before, after):
    """Move the pixels of (..., pixels, n, c): zeros before and after them, and of a negative number of them cut off."""
    return F.pad(x, (0, 0, 0, 0, before, after))


def _uniform(*shape, forget=0):
    """A parameter as ``nn.Linear`` has; the first ``forget`` of the last dimension start at 1: gates that remember."""
    values = torch.empty(shape).uniform_(-(shape[-2] ** -0.5), shape[-2] ** -0.5)
    values[..., :forget] = 1
    return nn.Parameter(values)


class RowLSTM(nn.Module):
    """Down the rows, all pixels of a row at once: the state of a pixel is a triangle of the pixels above it.

    gates = K_ss * h(row above) + K_is * x(row), a convolution over three pixels, and one over a pixel and its left
    neighbour, as a matrix product each.

    Parameters
    ----------
    size : (height, width)
    n_in, n_hidden : int
    """

    def __init__(self, size, n_in, n_hidden):
        super().__init__()
        self.size, self.n_hidden = size, n_hidden
        self.input_weight = _uniform(2 * n_in, 4 * n_hidden)
        self.state_weight = _uniform(3 * n_hidden, 4 * n_hidden)
        self.bias = _uniform(1, 4 * n_hidden, forget=n_hidden)

    def forward(self, x):  # (p, n, c) -> (p, n, h)
        n, width = x.shape[1], self.size[1]
        left = _move(x.unflatten(0, self.size), 1, -1).flatten(0, 1)
        gates = torch.addmm(self.bias, torch.cat([left, x], -1).flatten(0, 1), self.input_weight)
        h = cell = x.new_zeros(width, n, self.n_hidden)
        rows = []
        for enter in gates.unflatten(0, (-1, n)).split(width):  # a chunk of pixels and rows would freeze n in ONNX
            h, cell = _lstm(self.below(h, enter.flatten(0, 1)).unflatten(0, (width, -1)), cell)
            rows.append(h)
        return torch.cat(rows)

    def below(self, h, gates):  # (w, n, h), (w n, 4 h) -> (w n, 4 h)
        """Gates of the next row, with what the state of this one adds."""
        around = torch.cat([_move(h, 1, -1), h, _move(h, -1, 1)], -1)
        return torch.addmm(gates, around.flatten(0, 1), self.state_weight)

    def cache(self, n):
        return _RowCache(self, n)


class _RowCache:
    """A Row LSTM while sampling: the state of the row above, and of the pixels so far of this one."""

    def __init__(self, layer, n):
        self.layer, width = layer, layer.size[1]
        self.blank = layer.bias.new_zeros(n, layer.input_weight.shape[0] // 2)
        self.h = self.cells = [layer.bias.new_zeros(n, layer.n_hidden)] * width

    def start_row(self):
        h = torch.stack(self.h)
        self.gates = self.layer.below(h, self.layer.bias).unflatten(0, h.shape[:2])
        self.cells_above, self.h, self.cells, self.left = self.cells, [], [], self.blank

    def pixel(self, column, x):  # (n, c) -> (n, h)
        gates = torch.addmm(self.gates[column], torch.cat([self.left, x], 1), self.layer.input_weight)
        h, cell = _lstm(gates, self.cells_above[column])
        self.h.append(h)
        self.cells.append(cell)
        self.left = x
        return h


class DiagonalBiLSTM(nn.Module):
    """Along the diagonals, from both upper corners: the state of a pixel is everything before it but one pixel.

    That one is the last of the row above, unless the first convolution sees it: the direction from the right starts
    at it, and the input of a pixel leaves out the pixel.

    gates = K_ss * (h(left neighbour), h(neighbour above)) + K_is * x, and the mirror image of it, whose states are
    moved down by one row, where all they know is past, before the two are added. The pixels of a diagonal depend
    only on the diagonal before::

        0 1 2 3
        1 2 3 4      step of each pixel, from the left
        2 3 4 5

    Parameters
    ----------
    size : (height, width)
    n_in, n_hidden : int
    """

    def __init__(self, size, n_in, n_hidden):
        super().__init__()
        self.size, self.n_hidden = size, n_hidden
        self.input_weight = _uniform(2, n_in, 4 * n_hidden)
        self.state_weight = _uniform(2, 2 * n_hidden, 4 * n_hidden)  # rows: of the neighbour beside, then above
        self.bias = _uniform(2, 1, 4 * n_hidden, forget=n_hidden)
        height, width = size
        row, column = torch.arange(height).repeat_interleave(width), torch.arange(width).repeat(height)
        from_left = torch.argsort((row + column) * height + row)
        from_right = (row * width + width - 1 - column)[from_left]
        self.register_buffer("paths", torch.stack([from_left, from_right]), persistent=False)
        self.register_buffer("raster", self.paths.argsort(1), persistent=False)

    def forward(self, x):  # (p, n, c) -> (p, n, h)
        n, width = x.shape[1], self.size[1]
        paths = torch.stack([x.index_select(0, path) for path in self.paths]).flatten(1, 2)
        gates = torch.baddbmm(self.bias, paths, self.input_weight).unflatten(1, (-1, n))  # (2, p, n, 4 h)
        h = cell = x.new_zeros(2, 1, n, self.n_hidden)
        diagonals = []
        steps = [self._rows(step) for step in range(sum(self.size) - 1)]
        for step, enter in enumerate(gates.split([last - first + 1 for first, last in steps], 1)):
            around = torch.cat([self._of(step, h), self._of(step, h, above=1)], -1).flatten(1, 2)
            enter = torch.baddbmm(enter.flatten(1, 2), around, self.state_weight).view_as(enter)
            h, cell = _lstm(enter, self._of(step, cell))
            diagonals.append(h)
        left, right = (part[order] for part, order in zip(torch.cat(diagonals, 1), self.raster, strict=True))
        return left + _move(right, width, -width)

    def _rows(self, step):
        """The first and the last row that the diagonal of a step is in."""
        height, width = self.size
        return max(0, step - width + 1), min(height - 1, step)

    def _of(self, step, state, above=0):  # (2, rows of the step before, n, h) -> (2, rows of the step, n, h)
        """The states of the neighbours in the same row, or in the row above; zeros outside the image."""
        if step == 0:
            return state
        (first, last), (first_before, last_before) = self._rows(step), self._rows(step - 1)
        return _move(state, first_before - first + above, last - last_before - above)

    def cache(self, n):
        return _DiagonalCache(self, n)


class _DiagonalCache:
    """A Diagonal BiLSTM while sampling: states of the row above and of the left neighbour.

    The direction from the right waits until a row is done; then it runs over the row, for the row below.
    """

    def __init__(self, layer, n):
        self.layer, self.n = layer, n
        self.blank = layer.bias.new_zeros(n, layer.n_hidden)
        self.beside, self.above = layer.state_weight.chunk(2, 1)
        self.weight = torch.cat([layer.input_weight, self.beside], 1)
        self.h = self.right = [self.blank] * layer.size[1]
        self.x = None

    def start_row(self):
        if self.x is not None:
            self.right = self._from_right()
        self.gates = torch.stack(self.h) @ self.above[0] + self.layer.bias[0]
        self.h, self.x, self.left, self.cell = [], [], self.blank, self.blank

    def _from_right(self):
        gates = torch.stack(self.x) @ self.layer.input_weight[1] + self.layer.bias[1]
        gates += torch.stack(self.right) @ self.above[1]
        h, cell, right = self.blank, self.blank, []
        for enter in reversed(gates.unbind(0)):
            h, cell = _lstm(torch.addmm(enter, h, self.beside[1]), cell)
            right.append(h)
        return right[::-1]

    def pixel(self, column, x):  # (n, c) -> (n, h)
        gates = torch.addmm(self.gates[column], torch.cat([x, self.left], 1), self.weight[0])
        self.left, self.cell = _lstm(gates, self.cell)
        self.h.append(self.left)
        self.x.append(x)
        return self.left + self.right[column]


class _FirstCache:
    """The first convolution while sampling: the rows and columns of the image that it still sees."""

    def __init__(self, core, n):
        self.core, self.matrix = core, core.left.matrix()
        channels, width = core.above.in_channels, core.image_shape[2]
        self.blank = self.matrix.new_zeros(n, channels)
        self.row = [self.blank] * width
        n_rows, self.n_columns = core.above.kernel_size[0], core.left.kernel_size[1]
        self.rows = deque([torch.stack(self.row, 2)] * n_rows, maxlen=n_rows)

    def start_row(self):
        self.rows.append(torch.stack(self.row, 2))
        above = self.core.above.row(tuple(self.rows)).permute(2, 0, 1)
        self.gates = above + self.core.left.bias
        self.row, self.columns = [], deque([self.blank] * self.n_columns, maxlen=self.n_columns)
        self.newest = self.blank

    def pixel(self, column):  # -> (n, f)
        self.columns.append(self.newest)
        return torch.addmm(self.gates[column], torch.cat(tuple(self.columns), 1), self.matrix)

    def put(self, pixel):  # (n, c)
        self.row.append(pixel)
        self.newest = pixel


CELLS = {"row_lstm": RowLSTM, "diagonal_bilstm": DiagonalBiLSTM}


class PixelRNN(nn.Module):
    """PixelRNN: the conditional of each pixel, from a recurrent state of the pixels before it in raster order.

    A masked convolution, then ``n_layers`` of x' = x + W lstm(x), then a head for each channel. Order of the
    features, inputs and heads are those of ``PixelCNN``. A ``"diagonal_bilstm"`` layer sees all that is
    before a pixel, a ``"row_lstm"`` layer a triangle above it, in fewer steps.

    Parameters
    ----------
    image_shape : (channels, height, width)
    n_levels : int
    n_filters : int
        Width h of the recurrent state; the layers are joined by 2 h channels.
    n_layers : int
    cell : "row_lstm" or "diagonal_bilstm"
    dropout : float
        Of the states, before W; not within the recurrence.
    first_kernel_size : odd int, at least 3
    n_params : int or None
        Parameters of a feature's conditional, as the likelihood's ``n_params``; None: ``n_levels``.

    Notes
    -----
    Training costs O(height width n_layers n_filters^2) an image, in ``height`` steps a layer for Row LSTM and
    ``height + width - 1`` for Diagonal BiLSTM. Sampling by ``steps`` costs as much, one pixel after the other.

    References
    ----------
    A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016.
    """

    def __init__(
        self, image_shape, n_levels, n_filters=16, n_layers=7, cell="diagonal_bilstm", dropout=0.0,
        first_kernel_size=7, n_params=None,
    ):  # fmt: skip
        super().__init__()
        channels, height, width = self.image_shape = tuple(image_shape)
        self.n_layers = n_layers
        self.order = [c * height * width + p for p in range(height * width) for c in range(channels)]
        self.register_buffer("value", torch.linspace(-1, 1, n_levels), persistent=False)
        joined = 2 * n_filters
        self.above = MaskedConv(channels, joined, first_kernel_size, stack="vertical", kind="A")
        self.left = MaskedConv(channels, joined, first_kernel_size, stack="horizontal", kind="A")
        self.lstms = nn.ModuleList(CELLS[cell]((height, width), joined, n_filters) for _ in range(n_layers))
        self.widen = nn.ModuleList(nn.Linear(n_filters, joined) for _ in range(n_layers))
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleList(Head(joined, c, n_levels, n_params or n_levels) for c in range(channels))
        self.place = nn.Parameter(torch.zeros(joined, height, width))  # where a pixel is

    def forward(self, levels):  # (n, d) -> (n, d, P)
        levels = levels.unflatten(1, self.image_shape)  # (n, c, h, w)
        x = self._hidden(levels, self.n_layers)
        x = x.unflatten(0, self.image_shape[1:]).permute(2, 0, 1, 3)  # (n, h, w, f)
        params = [head(x, levels[:, :c].unbind(1)) for c, head in enumerate(self.heads)]
        return torch.stack(params, 1).flatten(1, 3)

    def features(self, levels, layer):  # (n, d) -> (n, 2 f * cells)
        """The residual stream after layer number ``layer``, pooled."""
        x = self._hidden(levels.unflatten(1, self.image_shape), layer + 1)
        return pooled(x.unflatten(0, self.image_shape[1:]).permute(2, 3, 0, 1))

    def _hidden(self, levels, n_layers):  # (n, c, h, w) -> (p, n, 2 f)
        image = self.value[levels]
        x = self.above(image) + self.left(image) + self.place
        x = x.permute(2, 3, 0, 1).flatten(0, 1)
        for lstm, widen in zip(self.lstms[:n_layers], self.widen[:n_layers], strict=True):
            x = x + widen(self.dropout(lstm(x)))
        return x

    @torch.no_grad()
    def steps(self, n):
        """Yield the parameters of a feature, be sent its levels, go on; see ``autoregressive``."""
        first, caches = _FirstCache(self, n), [lstm.cache(n) for lstm in self.lstms]
        for place in self.place.permute(1, 2, 0):  # one row's (w, f)
            for cache in (first, *caches):
                cache.start_row()
            for column, here in enumerate(place):
                x = first.pixel(column) + here
                for cache, widen in zip(caches, self.widen, strict=True):
                    x = x + widen(cache.pixel(column, x))
                levels = []
                for head in self.heads:
                    levels.append((yield head(x, levels)))
                first.put(self.value[torch.stack(levels, 1)])
