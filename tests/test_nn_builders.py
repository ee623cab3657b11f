"""Encoders and decoders, and what corrupts their input, against numbers known by other means."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from sklatent._nn.builders import conv, mlp
from sklatent._nn.corruption import (
    CORRUPTIONS,
    OF_IMAGES,
    ColorJitter,
    Mask,
    Noise,
    Swap,
    Warp,
    affine,
    elastic,
    make_corruption,
)
from sklatent._nn.patches import PooledPatches

SIZES = [(1, 8, 8), (3, 9, 7), (1, 1, 50), (1, 50, 1), (1, 28, 28), (2, 1, 1), (1, 2, 3), (3, 33, 64)]


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


# -- builders ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("builder", [mlp, conv])
def test_shapes_come_back_and_gradients_reach_everything(builder, shape):
    encoder, decoder = builder(shape, (2 * shape[0], *shape[1:]), 6, 3)
    x = torch.rand(5, *shape)
    code = encoder(x)
    assert code.shape == (5, 6)
    out = decoder(code[:, :3])
    assert out.shape == (5, 2 * shape[0], *shape[1:])
    (out.square().sum() + (code + 1).square().sum()).backward()
    for name, parameter in [*encoder.named_parameters(), *decoder.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_conv_halves_four_times_at_most_and_small_images_less_often():
    def n_convolutions(*size):
        return sum(isinstance(layer, nn.Conv2d) for layer in conv((1, *size), (1, *size), 4, 4)[0])

    assert [n_convolutions(n, n) for n in (1, 2, 4, 8, 28, 64)] == [0, 0, 1, 2, 4, 4]


def test_layers_come_in_their_order_and_the_last_of_each_net_is_linear():
    def kinds(net):
        return [type(layer) for layer in net]

    encoder, decoder = mlp((1, 2, 3), (2, 2, 3), 4, 2, widths=(9, 7), activation="tanh")
    assert kinds(encoder) == [nn.Flatten, nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert kinds(decoder) == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear, nn.Unflatten]
    assert [layer.out_features for layer in (*encoder, *decoder) if isinstance(layer, nn.Linear)] == [9, 7, 4, 7, 9, 12]
    encoder, decoder = conv((1, 8, 5), (2, 8, 5), 4, 2, widths=(6, 8, 10))
    down, up = [nn.Conv2d, nn.GroupNorm, nn.ReLU], [nn.ConvTranspose2d, nn.GroupNorm, nn.ReLU]
    assert kinds(encoder) == [*down, *down, nn.Flatten, nn.Linear]  # 8 x 5, 4 x 3, 2 x 2
    assert kinds(decoder) == [nn.Linear, nn.Unflatten, nn.GroupNorm, nn.ReLU, *up, nn.ConvTranspose2d]
    assert [layer.out_channels for layer in encoder[:4:3]] == [6, 8]
    assert [layer.out_channels for layer in decoder[4::3]] == [6, 2]
    assert all(layer.stride == (2, 2) and layer.kernel_size == (3, 3) for layer in (*encoder[:4:3], *decoder[4::3]))
    assert kinds(conv((1, 1, 2), (1, 1, 2), 4, 2)[1]) == [nn.Linear, nn.Unflatten]


def test_mlp_without_hidden_layers_is_affine():
    encoder, decoder = (part.double() for part in mlp((7,), (7,), 3, 3, widths=()))
    a, b = torch.randn(2, 4, 7, dtype=torch.float64)
    for part, x, y in [(encoder, a, b), (decoder, a[:, :3], b[:, :3])]:
        assert_close(part((x + y) / 2), (part(x) + part(y)) / 2)


@pytest.mark.parametrize("builder", [mlp, conv])
def test_forward_changes_no_buffer_and_rows_do_not_meet(builder):
    encoder, decoder = (part.double().train() for part in builder((1, 8, 8), (1, 8, 8), 4, 4))
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    x = torch.rand(6, 1, 8, 8, dtype=torch.float64)
    together = decoder(encoder(x))
    assert_close(together[2:3], decoder(encoder(x[2:3])))
    assert_close(dict(encoder.named_buffers()), before)


@pytest.mark.parametrize(("channels", "groups"), [(32, 8), (12, 4), (6, 2), (3, 1)])
def test_channels_are_normalised_in_eight_groups_or_as_many_as_divide_them(channels, groups):
    encoder, _ = (part.double() for part in conv((2, 4, 4), (2, 4, 4), 3, 3, widths=(channels,)))
    convolution, norm = encoder[:2]
    hidden = convolution(torch.randn(5, 2, 4, 4, dtype=torch.float64))
    grouped = hidden.unflatten(1, (groups, -1)).flatten(2)
    expected = (grouped - grouped.mean(2, keepdim=True)) / (grouped.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
    assert_close(norm(hidden), expected.view_as(hidden))


# -- corruption ----------------------------------------------------------------------------------------------


def test_noise_has_the_given_deviation():
    u = torch.zeros(200, 500)
    assert_close((Noise(0.3)(u)).std(), torch.tensor(0.3), rtol=0.02, atol=0)


@pytest.mark.parametrize("shape", [(500, 200), (2000, 1, 9, 8), (500, 3, 28, 28)])
def test_mask_sets_the_given_fraction_to_zero(shape):
    u = torch.rand(shape) + 1
    out = Mask(0.3)(u)
    assert_close((out == 0).float().mean(), torch.tensor(0.3), rtol=0, atol=0.02)
    assert_close(out[out != 0], u[out != 0])


def test_mask_takes_whole_patches_of_all_channels():
    gone = Mask(0.5)(torch.ones(10, 3, 28, 28)) == 0
    patches = gone.reshape(10, 3, 7, 4, 7, 4).float().mean((1, 3, 5))
    assert set(patches.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(("size", "side"), [((35, 20), 5), ((20, 20), 3), ((6, 6), 1)])
def test_patches_are_a_seventh_of_the_longer_side(size, side):
    gone = (Mask(0.5)(torch.ones(50, 1, *size)) == 0)[:, 0]
    rows, columns = torch.arange(size[0]) // side, torch.arange(size[1]) // side
    corners = gone[:, ::side, ::side]
    assert torch.equal(gone, corners[:, rows][:, :, columns])
    assert (corners[:, 1:] != corners[:, :-1]).any()  # no larger ones


def test_strengths_of_the_warps():
    expected = {"shift": 0.25, "rotation": math.pi / 6, "scale": 0.2, "shear": 0.3, "bend": 0.0}
    assert vars(affine(2.0)) == pytest.approx(expected)  # twice 1/8 of the side, 15 degrees, 10 %, .15
    assert vars(elastic(2.0)) == pytest.approx(expected | {"bend": 0.1})


def test_warp_scales_and_shears_by_its_strength():
    warp, u = Warp(scale=0.3), torch.zeros(500, 1, 8, 4, dtype=torch.float64)
    first, second = warp._maps(u).unbind(1)
    assert_close(first[:, 0], second[:, 1])
    assert_close(
        first[:, 0].log().aminmax(), (torch.tensor(-0.3), torch.tensor(0.3)), rtol=0.03, atol=0, check_dtype=False
    )
    assert first[:, 1:].abs().max() == second[:, [0, 2]].abs().max() == 0
    first, second = Warp(shear=0.2)._maps(u).unbind(1)
    assert_close(first[:, 1].abs().max().item(), 0.2 * 2, rtol=0.03, atol=0)  # an image twice as high as wide
    assert (second == torch.tensor([0.0, 1.0, 0.0])).all()


def test_swap_takes_the_value_of_another_row():
    u = torch.arange(400.0).reshape(100, 4)  # no value twice; column j holds j modulo 4
    out = Swap(0.25)(u.repeat(1, 50))
    assert_close(out % 4, u.repeat(1, 50) % 4)
    assert_close((out != u.repeat(1, 50)).float().mean(), torch.tensor(0.25), rtol=0, atol=0.02)
    assert (Swap(1.0)(u) != u).all()
    assert_close(Swap(1.0)(u[:1]), u[:1])


@pytest.mark.parametrize("shape", SIZES)
def test_warp_of_no_strength_is_the_identity(shape):
    u = torch.rand(4, *shape, dtype=torch.float64)
    assert_close(Warp()(u), u, rtol=0, atol=1e-6)


def test_warp_keeps_its_digits_in_mixed_precision():
    u = torch.rand(4, 1, 20, 20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(Warp()(u), u, rtol=0, atol=1e-5)


def test_warp_does_not_mix_rows():
    u = torch.zeros(6, 1, 8, 8)
    u[3] = torch.rand(1, 8, 8)
    out = affine()(u)
    assert out[3].abs().sum() > 0
    assert out[[0, 1, 2, 4, 5]].abs().sum() == 0


def test_warp_turns_by_the_angle_and_moves_by_the_share_of_the_side():
    image = torch.zeros(400, 1, 41, 81, dtype=torch.float64)
    image[:, :, 20, 60] = 1.0  # a dot, 20 pixels right of the centre
    rows = torch.arange(41.0, dtype=torch.float64).view(-1, 1) - 20
    columns = torch.arange(81.0, dtype=torch.float64) - 40

    def dot(warp):
        out = warp(image)[:, 0]
        mass = out.sum((1, 2))
        return (out * rows).sum((1, 2)) / mass, (out * columns).sum((1, 2)) / mass

    y, x = dot(Warp(rotation=0.5))
    assert_close((y.square() + x.square()).sqrt(), torch.full_like(x, 20), rtol=0.03, atol=0)
    assert_close(torch.atan2(y, x).abs().max().item(), 0.5, rtol=0.05, atol=0)
    y, x = dot(Warp(shift=0.1))
    assert_close(y.abs().max().item(), 4.1, rtol=0.05, atol=0)
    assert_close((x - 20).abs().max().item(), 8.1, rtol=0.05, atol=0)


def test_warp_bends_by_the_given_deviation_and_fills_with_the_darkest_value():
    ramp = torch.linspace(-2, 2, 20, dtype=torch.float64).expand(2000, 1, 20, 20)  # 4 / 19 a pixel, to the right
    moved = (Warp(bend=0.05)(ramp) - ramp)[:, 0, 10, 10] / (4 / 19)
    # at the centre the displacement is that of the middle knot: 5 % of 20 pixels
    assert_close(moved.std().item(), 1.0, rtol=0.06, atol=0)
    out = Warp(shift=1.0)(ramp)
    assert out.min() >= -2 - 1e-9
    assert (out == -2).double().mean() > 0.2


def test_make_corruption():
    assert make_corruption(None) is None
    own = partial(torch.mul, other=2)
    assert make_corruption(own) is own
    assert {"noise", "mask", "swap", "affine", "elastic", "flip", "color"} == CORRUPTIONS
    for name in ("affine", "elastic", "flip", "color"):
        with pytest.raises(ValueError, match=f"'{name}' warps images and series, but image_shape is None"):
            make_corruption(name)
    with pytest.raises(ValueError, match="'jitter' is not one of"):
        make_corruption("jitter")
    with pytest.raises(ValueError, match="the strength of 'mask' must lie between 0 and 1"):
        make_corruption({"mask": 3})


def test_several_corruptions_in_turn_with_their_strengths():
    u = torch.rand(300, 1, 8, 8) + 1
    assert_close(make_corruption(["noise"])(u).sub(u).std(), torch.tensor(0.5), rtol=0.05, atol=0)
    chain = make_corruption({"flip": 1.0, "affine": 0.0, "mask": 0.5}, (1, 8, 8))
    out = chain(u)
    kept = out != 0
    assert_close(kept.float().mean(), torch.tensor(0.5), rtol=0, atol=0.02)
    assert_close(out[kept], u.flip(3)[kept], rtol=0, atol=1e-5)


def test_color_moves_brightness_contrast_and_saturation_of_an_image(monkeypatch):
    u = torch.randn(4, 3, 5, 6, dtype=torch.float64)
    monkeypatch.setattr(torch, "rand_like", torch.ones_like)  # the strongest, upwards
    grey, mean = u.mean(1, keepdim=True), u.mean((1, 2, 3), keepdim=True)
    assert_close(ColorJitter(brightness=0.3)(u), u + 0.3)
    assert_close(ColorJitter(contrast=math.log(2))(u), 2 * u - mean)
    assert_close(ColorJitter(saturation=math.log(2))(u), 2 * u - grey)
    assert_close(ColorJitter(saturation=1.0)(grey), grey)


def test_color_draws_for_each_image_by_itself_and_within_its_strength():
    u = torch.zeros(500, 3, 2, 2, dtype=torch.float64)
    moved = make_corruption({"color": 0.5}, (3, 2, 2))(u)
    assert_close(moved, moved[:, :1, :1, :1].expand_as(moved))
    moved = moved[:, 0, 0, 0]
    assert moved.abs().max() <= 0.2
    assert len(moved.unique()) == 500
    assert_close(moved.std().item(), 0.2 / math.sqrt(3), rtol=0.08, atol=0)  # uniform
    with pytest.raises(ValueError, match="corruption='color' is for images, but image_shape=.3, 1, 8. is a series"):
        make_corruption("color", (3, 1, 8))


def test_flip_mirrors_half_of_the_images():
    u = torch.rand(2000, 3, 4, 5)
    out = OF_IMAGES["flip"]()(u)
    flipped = (out == u.flip(3)).all((1, 2, 3))
    assert_close(out[~flipped], u[~flipped])
    assert_close(flipped.float().mean(), torch.tensor(0.5), rtol=0, atol=0.05)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 14)])
def test_elastic_reads_where_torch_says(shape):
    """One product of all maps and bends is what torch's grid and its bicubic interpolation give, step by step."""
    warp = elastic()
    u = torch.rand(5, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    found = warp(u)
    torch.manual_seed(1)
    grid = F.affine_grid(warp._maps(u), u.shape, align_corners=False)
    knots = 2 * warp.bend * torch.randn(5, 2, 3, 3, dtype=torch.float64)
    grid = grid + F.interpolate(knots, shape[1:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    darkest = u.amin((2, 3), keepdim=True)
    assert_close(found, F.grid_sample(u - darkest, grid, align_corners=False) + darkest, rtol=0, atol=1e-12)


# -- patches of colour images ----------------------------------------------------------------------------------


def learned_patches(n_windows=2):
    patches = PooledPatches((3, 12, 12), n_windows).double()
    x = torch.randn(60, 3, 12, 12, dtype=torch.float64)
    patches.learn(x)
    return patches, x


def test_patches_are_whitened():
    patches, x = learned_patches()
    white = ((patches._patches(x).flatten(0, 1) - patches.mean) @ patches.whitening).T
    values = torch.linalg.eigvalsh(torch.cov(patches._patches(x).flatten(0, 1).T)).clamp_min(0)
    assert_close(torch.linalg.eigvalsh(torch.cov(white)), values / (values + 0.1), rtol=1e-4, atol=1e-6)


def test_nearness_to_typical_patches_by_hand():
    patches, x = learned_patches(n_windows=1)
    expected = torch.zeros(256, dtype=torch.float64)
    for image in (x[0], x[0].flip(2)):
        for row in range(7):
            for column in range(7):
                patch = image[:, row : row + 6, column : column + 6].flatten()
                patch = (patch - patch.mean()) / (patch.var(correction=0) + 0.003).sqrt()
                distances = ((patch - patches.mean) @ patches.whitening - patches.typical).norm(dim=1)
                expected += (distances.mean() - distances).clamp_min(0) / (2 * 49)
    assert_close(patches(x[:1])[0], expected)


def test_an_image_and_its_mirror_image_have_the_same_patches():
    patches, x = learned_patches(n_windows=1)
    assert_close(patches(x), patches(x.flip(3)))
    assert patches.n_features == patches(x).shape[1] == 256


def test_typical_patches_are_the_means_of_clusters(monkeypatch):
    monkeypatch.setattr("sklatent._nn.patches.PATCHES", 2)
    points = torch.tensor([[3.0, 0], [5, 0], [-3, 1], [-5, 1], [-4, 4]], dtype=torch.float64)
    means = PooledPatches((3, 12, 12)).double()._means(points)
    assert_close(means[means[:, 0].argsort()], torch.tensor([[-4.0, 2], [4, 0]], dtype=torch.float64))
