"""What PixelCNN does its own way, against numbers known by other means; for the rest see test_nn_pixel."""

from functools import partial
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from common_nn import CNNS, movements, random_core, random_image_model, random_values, take_steps
from torch.testing import assert_close

from sklatent._nn.pixelcnn import GatedBlock, MaskedConv, PixelCNN, Up, _BlockCache

each_core = pytest.mark.parametrize("make", CNNS.values(), ids=CNNS.keys())


@pytest.mark.parametrize("make", [partial(CNNS["cnn"], n_blocks=6), CNNS["cnn_2_scales"], CNNS["cnn_3_scales"]])
@pytest.mark.parametrize("pixel", [(4, 4), (5, 3), (6, 0)])
def test_no_blind_spot_in_a_larger_image(pixel, make):
    """Everything before a pixel must arrive, above all what is to the upper right; and nothing else."""
    core, here = random_core(make, (1, 7, 9), 4), 9 * pixel[0] + pixel[1]
    moved = movements(lambda levels: core(levels)[:, here], random_values(4, 63, 4), range(63), 4, step=2)
    assert torch.equal(moved.amax((1, 2)) > 0, torch.arange(63) < here)


@pytest.mark.parametrize(
    "parameters", [{"n_blocks": 3}, {"n_blocks": 3, "n_scales": 2}, {"n_blocks": 1, "n_scales": 3}]
)
def test_cached_steps_equal_the_full_pass_in_single_precision(parameters):
    torch.manual_seed(0)
    core = PixelCNN((1, 12, 11), 4, 24, **parameters).eval()  # as initialised: logits of order one
    levels = random_values(3, 132, 4)
    assert_close(take_steps(core.steps(3), core.order, levels), core(levels)[:, core.order], atol=1e-5, rtol=0)


def test_a_pixel_is_computed_once_at_each_resolution(monkeypatch):
    calls, pixel = [], _BlockCache.pixel
    monkeypatch.setattr(_BlockCache, "pixel", lambda self, *args: calls.append(self) or pixel(self, *args))
    core = random_core(CNNS["cnn_3_scales"], (1, 5, 6), 2)
    take_steps(core.steps(2), core.order, random_values(2, 30, 2))
    n_pixels = [30, 30, 9, 4, 9, 30]  # first block, down to a quarter of the resolution, and up
    assert sorted(calls.count(cache) for cache in set(calls)) == sorted(n_pixels)


@pytest.mark.parametrize("stack", ["vertical", "horizontal"])
@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("size", [3, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("image", [(6, 5), (1, 1), (1, 4), (4, 1)])
def test_masked_conv_equals_a_literal_mask(stack, kind, size, image, stride):
    torch.manual_seed(0)
    conv, reach, present = MaskedConv(2, 3, size, stack=stack, kind=kind, stride=stride), size // 2, int(kind == "B")
    weight = torch.zeros(3, 2, size, size)
    if stack == "vertical":
        weight[:, :, : reach + present] = conv.weight
    else:
        weight[:, :, reach : reach + 1, : reach + present] = conv.weight
    x = torch.randn(4, 2, *image)
    assert_close(conv(x), F.conv2d(x, weight, conv.bias, padding=reach)[:, :, ::stride, ::stride])


@pytest.mark.parametrize("kind", ["A", "B"])
def test_a_gated_block_is_its_formula(kind):
    block = random_core(GatedBlock, 3, 3, 3, 0.5, kind=kind)
    v, h = torch.randn(2, 2, 3, 4, 5, dtype=torch.float64)

    def gate(x):
        return torch.tanh(x[:, :3]) * torch.sigmoid(x[:, 3:])

    above = block.vertical(v)
    across = torch.einsum("oi,nihw->nohw", block.across.weight[:, :, 0, 0], above) + block.across.bias.view(-1, 1, 1)
    out = torch.einsum("oi,nihw->nohw", block.out.weight[:, :, 0, 0], gate(block.horizontal(h) + across))
    out = out + block.out.bias.view(-1, 1, 1) + (h if kind == "B" else 0)
    for found, expected in zip(block(v, h, []), (gate(above), out), strict=True):
        assert_close(found, expected)


def test_up_gives_four_pixels_of_one_and_adds_the_shortcut():
    torch.manual_seed(0)
    up, v, h, low_v, low_h = Up(3), torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4), *torch.randn(2, 2, 3, 3, 2)
    shortcuts = [None, (v, h)]
    outs = up(low_v, low_h, shortcuts)
    assert shortcuts == [None]
    for conv, high, low, out in zip((up.vertical, up.horizontal), (v, h), (low_v, low_h), outs, strict=True):
        for r, c in product(range(5), range(4)):
            expected = high[:, :, r, c] + low[:, :, r // 2, c // 2] @ conv.weight[:, :, r % 2, c % 2] + conv.bias
            assert_close(out[:, :, r, c], expected)


@each_core
def test_one_vertical_stack_for_all_images_of_a_single_row_changes_nothing(make):
    core = random_core(make, (2, 1, 7), 3)
    levels, shortcuts = random_values(4, 14, 3).unflatten(1, (2, 1, 7)), []
    v = h = core.value[levels]
    for block in core.blocks:
        v, h = block(v, h, shortcuts)
        if block is core.blocks[0]:
            h = h + core.place
    assert_close(core._hidden(levels, core.n_layers), h)


def cell_means(h):
    """Means over at most 4 x 4 cells, one by one: (n, f, h, w) -> (n, f * cells)."""
    starts, ends = [], []
    for side in h.shape[2:]:
        n = min(4, side)
        starts.append([i * side // n for i in range(n)])
        ends.append([-(-(i + 1) * side // n) for i in range(n)])
    rows, columns = (list(zip(*pair, strict=True)) for pair in zip(starts, ends, strict=True))
    return torch.stack([h[:, :, a:b, c:d].mean((2, 3)) for a, b in rows for c, d in columns], 2).flatten(1)


@pytest.mark.parametrize(("make", "n_layers"), list(zip(CNNS.values(), (3, 9, 10), strict=True)), ids=CNNS.keys())
def test_features_are_the_pooled_activations_of_a_layer(make, n_layers):
    model = random_image_model(make, (2, 5, 4), 3)
    core, x, outputs = model.core, random_values(6, 40, 3), []
    for block in core.blocks:
        block.register_forward_hook(lambda block, args, out: outputs.append(out[1]))
    core(x)
    outputs[0] = outputs[0] + core.place
    expected = [cell_means(h) for h in outputs]
    assert core.n_layers == len(outputs) == n_layers
    for layer in range(n_layers):
        assert_close(model.features(x.double(), layer), expected[layer])
        assert_close(model.features(x.double(), layer - n_layers), expected[layer])
    with pytest.raises(IndexError):
        model.features(x.double(), n_layers)
