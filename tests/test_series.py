"""Series, rows that fold to (channels, 1, n_steps): everything along time, each channel in its own unit."""

import math
import pickle

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from common import small
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.testing import assert_close

from sklatent import (
    AutoencoderTransformer,
    EncoderClassifier,
    PixelCNNDensity,
    PixelRNNDensity,
    ReconstructionDisplay,
    SampleDisplay,
    ScoreMapDisplay,
    VAETransformer,
)
from sklatent._bridge import rows
from sklatent._nn.builders import built_in, conv, conv_in_time
from sklatent._nn.corruption import make_corruption
from sklatent._nn.kernels import BIASES, HIGH, PooledKernels
from sklatent._nn.series import Gaps, TimeWarp, affine, elastic
from sklatent._semi_supervised.views import _Features

CODERS = pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
WHOLE = np.random.RandomState(0).randint(0, 3, size=(40, 8)).astype(float)


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def waves():
    """100 rows of two channels, 24 steps each: sines of any phase, the second 1,000 times as large."""
    random = np.random.RandomState(0)
    phase = random.uniform(0, 2 * np.pi, size=(100, 1))
    first = np.sin(phase + 0.5 * np.arange(24)) + 0.05 * random.normal(size=(100, 24))
    return np.hstack([first, 1000 * np.cos(phase + 0.5 * np.arange(24))])


# -- corruptions -----------------------------------------------------------------------------------------------


def fixed(monkeypatch, value):
    """Every uniform draw is this one."""
    monkeypatch.setattr(torch, "rand_like", lambda like: torch.full_like(like, value))


@pytest.mark.parametrize("shape", [(1, 1, 24), (3, 1, 7), (1, 1, 2), (6, 1, 100)])
def test_a_warp_of_no_strength_is_the_identity(shape):
    u = torch.randn(5, *shape, dtype=torch.float64)
    assert_close(TimeWarp()(u), u, rtol=0, atol=1e-12)
    assert_close(elastic(0.0)(u), u, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_steps", [3, -5])
def test_a_shift_by_whole_steps_goes_on_with_the_values_at_the_ends(n_steps, monkeypatch):
    u = torch.randn(4, 2, 1, 20, dtype=torch.float64)
    fixed(monkeypatch, 1.0 if n_steps > 0 else 0.0)  # the largest shift, either way
    out = TimeWarp(shift=abs(n_steps) / 20)(u)
    index = (torch.arange(20) + n_steps).clamp(0, 19)
    assert_close(out, u[..., index], rtol=0, atol=1e-12)


def test_a_stretch_reads_at_times_from_the_middle(monkeypatch):
    fixed(monkeypatch, 1.0)
    times = torch.arange(41, dtype=torch.float64) - 20
    out = TimeWarp(stretch=math.log(2))(times.expand(1, 1, 1, 41))
    assert_close(out[0, 0, 0], (2 * times).clamp(-20, 20), rtol=0, atol=1e-12)


def test_an_amplitude_is_a_factor_of_its_own_for_each_channel():
    u = torch.randn(400, 3, 1, 12, dtype=torch.float64)
    ratio = TimeWarp(amplitude=0.2)(u) / u
    assert_close(ratio, ratio[..., :1].expand_as(ratio))
    logs = ratio[:, :, 0, 0].log()
    assert logs.abs().max() <= 0.2
    assert_close(logs.std().item(), 0.2 / math.sqrt(3), rtol=0.06, atol=0)  # uniform
    assert torch.corrcoef(logs.T).sub(torch.eye(3)).abs().max() < 0.2


def test_channels_are_moved_in_time_alike_and_rows_each_by_itself():
    times = torch.arange(50, dtype=torch.float64).expand(30, 2, 1, 50)
    out = TimeWarp(shift=0.1, stretch=0.1, bend=0.05)(times)
    assert_close(out[:, 0], out[:, 1])
    assert len(out[:, 0, 0, 25].unique()) == 30
    alone = torch.zeros(3, 2, 1, 50)
    alone[1, 0] = torch.randn(50)
    out = elastic()(alone)
    assert out[1, 0].abs().sum() > 0
    assert out[[0, 2]].abs().sum() == out[1, 1].abs().sum() == 0


def test_a_bend_has_the_given_deviation_and_is_smooth():
    times = torch.arange(101, dtype=torch.float64).expand(3000, 1, 1, 101)
    moved = (TimeWarp(bend=0.02)(times) - times)[:, 0, 0]
    assert_close(moved[:, 50].std().item(), 0.02 * 101, rtol=0.06, atol=0)  # at the knot in the middle
    # between knots 25 steps apart: a displacement differs by at most about what two knots do, over as many steps
    assert moved[:, 26:75].diff(dim=1).std() < 2 * math.sqrt(2) * 0.02 * 101 / 25


def test_a_warp_keeps_its_digits_in_mixed_precision():
    u = torch.rand(4, 2, 1, 1000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(TimeWarp()(u), u, rtol=0, atol=2e-3)


def test_strengths_of_the_warps():
    expected = {name: 2 * value for name, value in vars(affine()).items()}
    assert vars(affine(2.0)) == pytest.approx(expected)
    assert vars(elastic(2.0)) == pytest.approx(expected | {"bend": 2 * elastic().bend})
    assert elastic().bend > 0 == affine().bend


@pytest.mark.parametrize("channels", [1, 4])
def test_gaps_take_the_given_fraction_and_leave_the_rest(channels):
    u = torch.rand(4000, channels, 1, 28) + 1
    out = Gaps(0.3)(u)
    assert_close((out == 0).float().mean(), torch.tensor(0.3), rtol=0, atol=0.015)
    assert_close(out[out != 0], u[out != 0])


def test_gaps_are_windows_of_a_seventh_or_whole_channels():
    gone = (Gaps(0.5)(torch.ones(500, 3, 1, 28)) == 0)[:, :, 0]  # windows of 4 steps
    assert torch.equal(gone, gone[..., ::4].repeat_interleave(4, 2))
    whole = (gone == gone[..., :1]).all((1, 2))  # each channel all or nothing
    alike = (gone == gone[:, :1]).all((1, 2))  # all channels in the same windows
    assert (whole | alike).all()
    assert 200 < (whole & ~alike).sum() + (whole & alike).sum() < 300
    assert (alike & ~whole).sum() > 200


def test_names_mean_along_time_what_they_mean_in_images():
    shape = (2, 1, 30)
    kinds = {"mask": Gaps, "affine": TimeWarp, "elastic": TimeWarp}
    assert {name: type(make_corruption(name, shape)) for name in kinds} == kinds
    u = torch.randn(6, *shape)
    assert_close(make_corruption({"flip": 1.0}, shape)(u), u.flip(3))
    assert make_corruption({"mask": 0.7}, shape).fraction == 0.7


# -- convolutions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 1, 3), (1, 1, 6), (2, 1, 24), (6, 1, 100), (1, 1, 275), (1, 1, 1460)])
def test_series_of_any_length_come_back_by_convolutions_along_time_alone(shape):
    encoder, decoder = conv_in_time(shape, (2 * shape[0], *shape[1:]), 6, 3)
    code = encoder(torch.rand(4, *shape))
    assert code.shape == (4, 6)
    out = decoder(code[:, :3])
    assert out.shape == (4, 2 * shape[0], *shape[1:])
    (out.square().sum() + (code + 1).square().sum()).backward()
    layers = [layer for layer in (*encoder, *decoder) if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    assert all(layer.kernel_size[0] == 1 and layer.kernel_size[1] >= 7 for layer in layers)
    for parameter in (*encoder.parameters(), *decoder.parameters()):
        assert parameter.grad.abs().sum() > 0
    convolutions = nn.Sequential(*[layer for layer in encoder if not isinstance(layer, nn.Flatten | nn.Linear)])
    assert convolutions(torch.rand(1, *shape)).shape[3] <= max(8, shape[2] // 8)


def test_the_builder_of_a_name_is_that_of_the_kind_of_rows():
    assert built_in("conv", (2, 1, 9)) is conv_in_time
    assert built_in("conv", (2, 9, 9)) is built_in("conv", (2, 9, 1)) is conv
    fitted = small(AutoencoderTransformer, image_shape=(2, 1, 4), hidden_layer_sizes=(8, 4)).fit(WHOLE)
    layers = fitted.net_.module_.encoder.modules()
    assert [layer.kernel_size for layer in layers if isinstance(layer, nn.Conv2d)] == [(1, 7)]


# -- codes that forget when ------------------------------------------------------------------------------------


def test_kernels_count_where_a_pattern_fits():
    kernels = PooledKernels((2, 1, 40), n_windows=4).double()
    assert kernels.dilations == [1, 2, 4]  # nine taps of dilation 4 span 33 steps
    assert_close(kernels.weight.sum(3), torch.zeros(3, 84, 2, dtype=torch.float64))
    assert kernels.weight.square().sum((2, 3)).unique().tolist() == [18, 36]  # of 4 * 3 + 6, for one channel or both
    assert len({tuple(row) for row in kernels.weight[0].amax(1).gt(0).tolist()}) == 84
    kernels.learn(torch.randn(9, 2, 1, 40, dtype=torch.float64))
    x = torch.randn(1, 2, 1, 40, dtype=torch.float64)
    i, k, b, dilation = 1, 5, 1, 2
    fits = []
    for place in range(40):  # one place after the other, by hand
        index = (place + dilation * (torch.arange(9) - 4)).clamp(0, 39)
        fits.append((kernels.weight[i, k] * x[0, :, 0, index]).sum() > kernels.bias[i, k, b])
    fits, of_dilation = torch.stack(fits).double(), 5 * len(HIGH) * BIASES  # of the row, and of four windows of it
    found = kernels(x)[0, i * of_dilation : (i + 1) * of_dilation]
    assert_close(found[BIASES * k + b], fits.mean())
    windows = found[len(HIGH) * BIASES :].view(-1, 4)
    assert_close(windows[BIASES * k + b], fits.view(4, 10).mean(1))


def test_biases_are_quantiles_of_the_rows_that_they_are_learned_from():
    kernels = PooledKernels((1, 1, 50)).double()
    x = torch.randn(30, 1, 1, 50, dtype=torch.float64)
    kernels.learn(x)
    shares = kernels(x).mean(0).sort().values  # one minus the quantiles, which are spread evenly
    assert_close(shares, torch.linspace(0, 1, len(shares), dtype=torch.float64), rtol=0, atol=0.01)


def test_a_long_series_is_looked_at_in_some_places():
    kernels = PooledKernels((1, 1, 1460))
    assert kernels.stride == 6
    x = torch.sin(torch.arange(1460.0) / 9 + torch.rand(20, 1) * 6).view(20, 1, 1, 1460)
    kernels.learn(x)
    few = kernels(x)
    kernels.stride = 1
    assert_close(few, kernels(x), rtol=0, atol=0.03)


def sawtooth(n, random, n_steps=60):
    """Teeth that rise slowly and fall at once (1), or rise at once and fall slowly (0), at any time."""
    y, phase = np.arange(n) % 2, random.uniform(0, 1, size=(n, 1))
    teeth = (np.arange(n_steps) / 20 + phase) % 1
    return np.where(y[:, np.newaxis] == 1, teeth, 1 - teeth), y


def test_under_warps_codes_say_what_happens_not_when():
    """Four labels a class: codes tell the teeth apart, and PCA's do not."""
    X, y = sawtooth(120, np.random.RandomState(0))
    found, options = [], {"image_shape": (1, 60), "corruption": "elastic", "max_iter": 1}
    for model in (small(AutoencoderTransformer, n_components=8, **options), PCA(8)):
        Z = model.fit(X).transform(X)
        found.append(LogisticRegression(max_iter=1000).fit(Z[:8], y[:8]).score(Z[8:], y[8:]))
    assert found[0] > 0.97
    assert found[1] < 0.8


def test_the_start_of_warped_series_is_pca_of_pooled_features():
    X, _ = sawtooth(60, np.random.RandomState(0))
    options = {"n_components": 4, "corruption": "affine"}
    fitted = small(AutoencoderTransformer, image_shape=(1, 60), max_iter=1, learning_rate=1e-12, **options)
    Z, encoder = fitted.fit_transform(X), fitted.net_.module_.encoder
    with torch.no_grad():
        found = encoder.features(fitted.net_.module_._scaled(torch.from_numpy(X))).numpy()
    found = found[:, found.std(axis=0) > 0]
    expected = PCA(4).fit_transform((found - found.mean(axis=0)) / found.std(axis=0))
    assert_allclose(np.abs(np.corrcoef(Z.T, expected.T)[:4, 4:]), np.eye(4), atol=1e-3)
    assert_allclose(Z.std(axis=0), expected.std(axis=0), rtol=1e-3)
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.transform(X), Z)
    assert not small(AutoencoderTransformer, image_shape=(6, 10), **options).fit(X)._spec_["pooled"]


@pytest.mark.parametrize("corruption", ["noise", "mask", lambda u: u, {"mask": 0.3, "flip": 0.5}])
def test_what_leaves_time_as_it_is_starts_plain(corruption):
    fitted = small(AutoencoderTransformer, image_shape=(2, 1, 4), corruption=corruption).fit(WHOLE)
    assert not fitted._spec_["started"]
    assert (
        small(AutoencoderTransformer, image_shape=(2, 1, 4), corruption=["affine", "noise"]).fit(WHOLE)._spec_["pooled"]
    )


# -- units -----------------------------------------------------------------------------------------------------


def test_each_channel_is_scaled_by_itself(waves):
    halves = waves[:, :24], waves[:, 24:]
    found = rows.learn_affine(waves, "u", shared=2)
    for name, expected in (("shift", np.mean), ("scale", np.std)):
        assert_allclose(found[f"u.{name}"], np.repeat([expected(half) for half in halves], 24))
    unit = rows.learn_affine(waves, "u", onto="unit", shared=2)
    assert_allclose(unit["u.shift"], np.repeat([half.min() for half in halves], 24))
    assert_allclose(unit["u.scale"], np.repeat([np.ptp(half) for half in halves], 24))
    _, levels = rows.learn_levels(waves, 10, shared=2)
    assert_allclose(levels["levels.width"], np.repeat([np.ptp(half) for half in halves], 24) / 10, rtol=1e-4)
    assert [rows.n_scales(shape) for shape in (None, (3, 4, 5), (3, 1, 5), (3, 5, 1))] == [0, 1, 3, 1]


@CODERS
def test_codes_do_not_depend_on_the_unit_of_a_channel(cls, waves):
    factor = np.repeat([1.0, 2.0**-7], 24)
    codes = [small(cls, image_shape=(2, 1, 24), max_iter=3).fit(X).transform(X) for X in (waves, waves * factor)]
    assert_allclose(codes[0], codes[1], rtol=1e-5, atol=1e-6)


def test_counts_are_not_clipped_to_the_range_of_fit(waves):
    """An image's pixels end at 255; the next count may be higher."""
    X = np.rint(10 + 3 * waves[:, :24])
    series = small(AutoencoderTransformer, image_shape=(1, 24), n_components=2).fit(X)
    image = small(AutoencoderTransformer, image_shape=(4, 6), n_components=2).fit(X)
    far = [200.0] * 2 * np.ones((1, 2))
    assert series.inverse_transform(far).max() > X.max() >= image.inverse_transform(far).max()


def test_it_really_learns():
    """Held-out error below half of PCA's: bumps at any time have one degree of freedom, and PCA takes many."""
    times = np.random.RandomState(0).uniform(3, 21, size=(200, 1))
    X = np.exp(-0.5 * np.square((np.arange(24) - times) / 1.5))
    encoder = AutoencoderTransformer(
        3, image_shape=(1, 24), hidden_layer_sizes=(16, 16), max_iter=60, random_state=0
    ).fit(X[:128])
    pca = PCA(3).fit(X[:128])
    error = [np.square(m.inverse_transform(m.transform(X[128:])) - X[128:]).sum() for m in (encoder, pca)]
    assert error[0] < 0.5 * error[1]


# -- densities -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [PixelCNNDensity, PixelRNNDensity])
def test_what_a_step_scores_depends_on_earlier_steps_and_channels_alone(cls):
    """Of (channels, 1, steps) the order is step by step, and within a step channel by channel."""
    density = small(cls, image_shape=(2, 1, 4), max_iter=2).fit(WHOLE)
    row = WHOLE[:1]
    base, order = density.score_features(row)[0], [0, 4, 1, 5, 2, 6, 3, 7]
    reached = np.zeros((8, 8), dtype=bool)
    for place, feature in enumerate(order):
        other = row.copy()
        other[0, feature] = (row[0, feature] + 1) % 3
        changed = density.score_features(other)[0] != base
        assert not changed[order[:place]].any()
        reached[feature] = changed
    assert reached[0, 4]  # the second channel sees the first of the same step
    assert reached[[0, 4]][:, [1, 5, 3, 7]].all()  # what is last sees what is first


def test_sensors_of_a_density_have_their_own_levels(waves):
    density = small(PixelCNNDensity, image_shape=(2, 1, 24), max_iter=2, n_levels=16).fit(waves)
    drawn = density.sample(50, random_state=0)
    assert np.ptp(drawn[:, :24]) < 4 < 100 < np.ptp(drawn[:, 24:])


# -- few labels ------------------------------------------------------------------------------------------------


def test_a_view_is_pca_of_standardised_values_on_one_scale(waves):
    Z = _Features().fit(waves).transform(waves)
    expected = PCA(48).fit_transform((waves - waves.mean(axis=0)) / waves.std(axis=0))
    assert_allclose(np.abs(np.corrcoef(Z[:, :6].T, expected[:, :6].T)[:6, 6:]), np.eye(6), atol=1e-6)
    assert_allclose(Z.var(axis=0, ddof=1).mean(), 1)
    assert_allclose(Z.mean(axis=0), 0, atol=1e-9)


def test_a_view_of_kernels_does_not_depend_on_units(waves):
    other = waves * np.repeat([1000.0, 0.001], 24) + 5
    Z, again = (_Features((2, 1, 24), n_windows=3).fit(X).transform(X) for X in (waves, other))
    assert_allclose(Z, again, atol=1e-3)


def when_and_what(n, random):
    """Two questions of a row of 60 steps: whether its teeth rise slowly, at any time; whether a step is late."""
    X, what = sawtooth(n, random)
    when = random.randint(2, size=n)
    step = np.arange(60) >= np.where(when == 1, 36, 24)[:, np.newaxis] + random.randint(-4, 5, size=(n, 1))
    noise = 0.1 * random.normal(size=(2, n, 60))
    return X + noise[0], what, step + noise[1], when


def test_the_classifier_finds_what_happens_and_when():
    """Five labels a class, by the defaults, which also are fast: no net is trained but for three epochs."""
    X, what, Y, when = when_and_what(160, np.random.RandomState(0))
    for Z, y in ((X, what), (Y, when)):
        few = np.full(160, -1)
        for c in (0, 1):
            few[np.flatnonzero(y[:100] == c)[:5]] = c
        classifier = EncoderClassifier(image_shape=(1, 60), random_state=0).fit(Z[:100], few[:100])
        assert classifier.score(Z[100:], y[100:]) > 0.95
        assert np.mean(classifier.transduction_ == y[:100]) > 0.95
        assert (classifier.n_rounds_, classifier.steps_, classifier.encoder_.max_iter) == (0, [], 3)
        assert np.mean(classifier.predict_proba(Z[:100]).argmax(1) == classifier.label_distributions_.argmax(1)) > 0.97
    again = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(again.predict_proba(Y), classifier.predict_proba(Y))


def test_the_classifier_has_defaults_for_series(waves):
    y = np.arange(40) % 2
    X = waves[:40] * np.where(y[:, np.newaxis] == 1, np.repeat([0.2, 1], 24), 1)  # an amplitude of the small channel
    few = np.where(np.arange(40) < 8, y, -1)
    classifier = EncoderClassifier(image_shape=(2, 1, 24), random_state=0).fit(X, few)
    assert np.mean(classifier.transduction_ == y) > 0.75
    assert classifier.encoder_.corruption == classifier.augmentation_ == "elastic"
    X[::3, 30] = np.nan
    classifier.fit(X, few)
    assert np.isfinite(classifier.predict_proba(X)).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("n_steps", [2, 3])
def test_the_classifier_takes_a_series_of_two_steps(channels, n_steps):
    random = np.random.RandomState(0)
    y = np.arange(60) % 2
    X = random.normal(size=(60, channels * n_steps)) + 4 * y[:, np.newaxis]
    few = np.where(np.arange(60) < 10, y, -1)
    classifier = EncoderClassifier(image_shape=(channels, 1, n_steps), random_state=0).fit(X, few)
    assert classifier.score(X, y) > 0.95


def test_the_classifier_takes_series_of_one_label_a_class(waves):
    few = np.where(np.arange(30) < 3, np.arange(30), -1)
    classifier = EncoderClassifier(image_shape=(2, 1, 24), random_state=0).fit(waves[:30], few)
    assert_allclose(list(classifier.shares_.values()), 1 / 6)
    assert np.isin(classifier.predict(waves), few[:3]).all()


# -- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer, PixelCNNDensity])
@pytest.mark.parametrize("image_shape", [(8, 1, 1), (1, 1)])
def test_a_series_of_one_step_is_refused(cls, image_shape):
    X = WHOLE[:, : math.prod(image_shape)]
    message = r"image_shape=.* is a series of one step.*\(channels, 1, n_steps\).*None for a table"
    with pytest.raises(ValueError, match=message):
        small(cls, image_shape=image_shape).fit(X)


@CODERS
def test_warps_of_an_image_one_pixel_wide_are_refused(cls):
    for name in ("affine", "elastic"):
        message = f"corruption='{name}' warps images in both directions.*a series as .channels, 1, n_steps"
        with pytest.raises(ValueError, match=message):
            small(cls, corruption=name, image_shape=(8, 1)).fit(WHOLE)


@CODERS
@pytest.mark.parametrize("n_steps", [2, 3])
def test_a_series_shorter_than_a_kernel_is_fitted(cls, n_steps):
    X = np.random.RandomState(0).normal(size=(30, 2 * n_steps))
    for corruption in (None, "elastic", "mask"):
        model = small(cls, image_shape=(2, 1, n_steps), corruption=corruption).fit(X)
        assert np.isfinite(model.inverse_transform(model.transform(X))).all()


# -- displays --------------------------------------------------------------------------------------------------


def test_displays_draw_lines(waves):
    X = waves[:7]
    encoder = small(AutoencoderTransformer, image_shape=(2, 1, 24)).fit(waves)
    display = ReconstructionDisplay.from_estimator(encoder, X)
    lines = display.ax_.get_lines()
    assert not display.ax_.images
    assert len(lines) == 2 * 2 * 7  # given and rebuilt, two channels, seven rows
    for channel in range(2):  # a channel's scale is that of all rows given
        half = X[:, 24 * channel : 24 * (channel + 1)]
        heights = np.array([line.get_ydata() for line in lines[7 * channel : 7 * channel + 7]])
        found = np.ptp(heights, axis=1) / np.ptp(half, axis=1)
        assert_allclose(found, 0.5 / np.ptp(half))
        colors = {line.get_color() for line in (*lines[7 * channel : 7 * channel + 7], *lines[14 + 7 * channel :][:7])}
        assert len(colors) == 1
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["series", "reconstruction"]


def test_samples_and_score_maps_of_series_are_lines():
    density = small(PixelCNNDensity, image_shape=(2, 1, 4), max_iter=1).fit(WHOLE)
    samples = SampleDisplay.from_estimator(density, n_images=6, random_state=0)
    assert len(samples.ax_.get_lines()) == 2 * 6
    maps = ScoreMapDisplay.from_estimator(density, WHOLE, n_images=3)
    lines = maps.ax_.get_lines()
    assert len(lines) == 2 * 3 + 3  # of two channels, and their log-likelihood summed
    found = np.array([line.get_ydata() for line in lines[6:]])
    expected = maps.log_likelihood[:, 0]
    assert_allclose(found - found.min(), (expected - expected.min()) / np.ptp(expected), atol=1e-12)
    totals = [label.get_text() for label in maps.ax_.get_xticklabels()]
    assert totals == [f"{total:.0f}" for total in density.score_samples(WHOLE[:3])]
