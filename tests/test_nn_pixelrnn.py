"""What PixelRNN does its own way, against numbers known by other means; for the rest see test_nn_pixel."""

from itertools import product

import pytest
import torch
from common_nn import RNNS, movements, random_core, random_image_model, random_values
from torch.testing import assert_close

from sklatent._nn.pixelrnn import CELLS, DiagonalBiLSTM, RowLSTM

pytestmark = pytest.mark.parametrize("cell", CELLS)


def test_reach_of_one_layer_in_a_larger_image(cell):
    """Everything before a pixel but the end of the row above (diagonal), or a triangle above it (row)."""
    height, width, row, column = 5, 9, 4, 4
    core, here = random_core(RNNS[cell], (1, height, width), 4, n_layers=1, first_kernel_size=3), row * width + column
    levels = random_values(8, height * width, 4)
    moved = movements(lambda levels: core(levels)[:, here], levels, range(height * width), 4, step=2).amax((1, 2)) > 0
    for feature in range(height * width):
        r, c = divmod(feature, width)
        if cell == "row_lstm":  # to the left also by what the input and the first convolution see
            expected = column - 2 - (row - r) <= c <= column + (row - r)
        else:
            expected = (r, c) != (row - 1, width - 1)
        assert moved[feature] == (expected and feature < here), (r, c)


def lstm(gates, cell):
    forget, enter, out, new = gates.chunk(4, -1)
    cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return out.sigmoid() * cell.tanh(), cell


@pytest.mark.parametrize("size", [(3, 4), (4, 3), (1, 5), (5, 1), (1, 1)])
def test_layers_equal_the_recurrence_pixel_by_pixel(cell, size):
    torch.manual_seed(0)
    layer = CELLS[cell](size, 3, 2).double()
    x = torch.randn(*size, 5, 3, dtype=torch.float64)
    slow = {RowLSTM: row_by_pixels, DiagonalBiLSTM: diagonal_by_pixels}[type(layer)](layer, x)
    assert_close(layer(x.flatten(0, 1)).unflatten(0, size), slow)


def at(grid, row, column, width):
    """What is there, or zeros outside the image."""
    return grid.get((row, column), torch.zeros(5, width, dtype=torch.float64))


def row_by_pixels(layer, x):
    h, cells, pixels = {}, {}, {(r, c): x[r, c] for r in range(x.shape[0]) for c in range(x.shape[1])}
    for r, c in pixels:
        seen = torch.cat([at(pixels, r, c - 1, 3), x[r, c]], 1) @ layer.input_weight
        around = torch.cat([at(h, r - 1, c + step, 2) for step in (-1, 0, 1)], 1) @ layer.state_weight
        h[r, c], cells[r, c] = lstm(seen + around + layer.bias, at(cells, r - 1, c, 2))
    return torch.stack([h[p] for p in pixels]).unflatten(0, x.shape[:2])


def diagonal_by_pixels(layer, x):
    n_rows, n_columns = x.shape[:2]
    states = []
    for way, columns in enumerate((range(n_columns), reversed(range(n_columns)))):
        h, cells, beside = {}, {}, (-1, 1)[way]
        for r, c in product(range(n_rows), list(columns)):
            around = torch.cat([at(h, r, c + beside, 2), at(h, r - 1, c, 2)], 1) @ layer.state_weight[way]
            gates = x[r, c] @ layer.input_weight[way] + around + layer.bias[way]
            h[r, c], cells[r, c] = lstm(gates, at(cells, r, c + beside, 2))
        states.append(h)
    pixels = product(range(n_rows), range(n_columns))
    return torch.stack([states[0][r, c] + at(states[1], r - 1, c, 2) for r, c in pixels]).unflatten(0, x.shape[:2])


def test_features_are_the_pooled_activations_of_a_layer(cell):
    """Those of the last one, of an image of one pixel, are what the head sees; each layer adds to the one before."""
    model = random_image_model(RNNS[cell], (1, 1, 1), 4)
    x = torch.arange(4, dtype=torch.float64)[:, None]
    assert_close(model.core.heads[0](model.features(x, -1), []), model.core(x.long())[:, 0])

    model, added = random_image_model(RNNS[cell], (2, 3, 4), 4), []
    x = random_values(5, 24, 4)
    for widen in model.core.widen:  # each of the 3 x 4 pixels is a cell
        widen.register_forward_hook(lambda module, args, out: added.append(out.permute(1, 2, 0).flatten(1)))
    first, second = (model.features(x.double(), layer) for layer in range(2))
    assert model.core.n_layers == 2
    assert first.shape == (5, 8 * 12)
    assert_close(second - first, added[-1])
    with pytest.raises(IndexError):
        model.features(x.double(), 2)


def test_weights_start_as_those_of_a_linear_layer_and_gates_remember(cell):
    layer = CELLS[cell]((3, 4), 16, 25)
    for weight, n_in in [(layer.input_weight, 32 if cell == "row_lstm" else 16), (layer.state_weight, None)]:
        bound = (n_in or weight.shape[-2]) ** -0.5
        assert weight.abs().max() <= bound
        assert abs(weight.std() - bound / 3**0.5) < 0.03 * bound
        assert abs(weight.mean()) < 0.03 * bound
    assert (layer.bias[..., :25] == 1).all()
    assert layer.bias[..., 25:].std() > 0.4  # of an input of one
