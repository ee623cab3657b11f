"""Displays draw the numbers of the estimator, on the Axes they are given."""

import ast
import inspect
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from common import small
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KernelDensity

from sklatent import AutoencoderTransformer, PixelCNNDensity, VAETransformer, _display
from sklatent._display import (
    HistoryDisplay,
    LatentSpaceDisplay,
    ReconstructionDisplay,
    SampleDisplay,
    ScoreHistogramDisplay,
    ScoreMapDisplay,
)

DISPLAYS = [getattr(_display, name) for name in _display.__all__]
SPACIOUS = [LatentSpaceDisplay, ReconstructionDisplay, SampleDisplay, ScoreMapDisplay]  # wide labels, or a grid
every = pytest.mark.parametrize("cls", DISPLAYS, ids=lambda cls: cls.__name__)


@pytest.fixture(autouse=True)
def _close_figures():
    plt.close("all")  # of docstrings' examples
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def X(digits):
    return digits[:100]


@pytest.fixture(scope="module")
def encoder(X):
    return small(AutoencoderTransformer, image_shape=(8, 8), early_stopping=True).fit(X)


@pytest.fixture(scope="module")
def vae(X):
    return small(VAETransformer, image_shape=(8, 8)).fit(X)


@pytest.fixture(scope="module")
def density(X):
    return small(PixelCNNDensity, image_shape=(2, 4, 8), max_iter=1).fit(X)


@pytest.fixture(scope="module")
def table(X):
    return small(AutoencoderTransformer, max_iter=1).fit(X)


@pytest.fixture
def draw(encoder, vae, density, X):
    """Any display of a model that it is for."""
    arguments = {
        "HistoryDisplay": (encoder,),
        "LatentSpaceDisplay": (encoder, X, X[:, 20] % 5),
        "ReconstructionDisplay": (encoder, X),
        "SampleDisplay": (vae,),
        "ScoreFeaturesDisplay": (density, X),
        "ScoreHistogramDisplay": (vae, X),
        "ScoreMapDisplay": (density, X),
    }
    return lambda cls, **options: cls.from_estimator(*arguments[cls.__name__], **options)


def drawn(display, index=0):
    """Pixels on the Axes; NaN where nothing is."""
    return np.ma.filled(display.ax_.images[index].get_array(), np.nan)


# -- what is true of all -------------------------------------------------------------------------------------


@every
def test_without_ax_there_is_one_new_figure(cls, draw):
    before = dict(matplotlib.rcParams)
    display = draw(cls)
    assert plt.get_fignums() == [display.figure_.number]
    assert display.figure_.axes[0] is display.ax_
    display.figure_.draw_without_rendering()
    assert dict(matplotlib.rcParams) == before


@every
def test_the_ax_passed_in_is_used_and_plot_can_be_called_again(cls, draw):
    figure, (left, right) = plt.subplots(1, 2)
    display = draw(cls, ax=left)
    assert display.ax_ is left
    assert display.figure_ is figure
    n_artists = len(left.get_children())
    before = {name: np.copy(value) for name, value in vars(display).items() if isinstance(value, np.ndarray)}
    assert display.plot(ax=right) is display
    assert display.ax_ is right
    assert len(right.get_children()) == n_artists
    assert len(plt.get_fignums()) == 1
    for name, value in before.items():
        assert_array_equal(getattr(display, name), value)


@pytest.mark.parametrize("right", SPACIOUS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("left", SPACIOUS, ids=lambda cls: cls.__name__)
def test_side_by_side_nothing_overlaps(left, right, draw):
    figure, axes = plt.subplots(1, 2, figsize=(10, 3))
    for cls, ax in zip((left, right), axes, strict=True):
        draw(cls, ax=ax)
        ax.set_title(cls.__name__)
    figure.canvas.draw()
    boxes = [ax.get_tightbbox() for ax in axes]  # with labels, title, legend and colour bar
    assert boxes[0].x1 < boxes[1].x0
    for ax, box in zip(axes, boxes, strict=True):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        assert ax.get_window_extent().width > 0.2 * figure.bbox.width, "the drawing itself is not squeezed"
        for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
            shown = [label.get_window_extent() for label in labels if label.get_text()]
            assert not any(a.overlaps(b) for a, b in pairwise(shown))
        texts = [ax.title, ax.xaxis.label, *ax.get_xticklabels()]
        shown = [text.get_window_extent() for text in texts if text.get_text()]
        assert not any(text.overlaps(ax.get_window_extent()) for text in shown)


@pytest.mark.filterwarnings("ignore:The figure layout has changed")
def test_a_layout_that_is_there_stays(draw, encoder, X):
    figure, ax = plt.subplots(layout="tight")
    engine = figure.get_layout_engine()
    draw(ReconstructionDisplay, ax=ax)
    assert figure.get_layout_engine() is engine
    figure, ax = plt.subplots()
    LatentSpaceDisplay.from_estimator(
        encoder, X, X.mean(axis=1), ax=ax
    ).figure_.tight_layout()  # may still be asked for
    figure, ax = plt.subplots()
    figure.subplots_adjust(left=0.3)
    draw(ReconstructionDisplay, ax=ax)
    assert figure.get_layout_engine() is None
    assert figure.subplotpars.left == 0.3


@every
def test_init_stores_its_arguments_and_nothing_else(cls):
    names = list(inspect.signature(cls).parameters)
    arguments = {name: object() for name in names}
    assert vars(cls(**arguments)) == arguments
    stated = inspect.getdoc(cls).split("Attributes\n")[0]
    assert [line.split(" : ")[0] for line in stated.splitlines() if " : " in line and line[0] != " "] == names
    for method in (cls.from_estimator, cls.plot):
        assert all(f"{name} : " in method.__doc__ for name in inspect.signature(method).parameters if name != "self")


@every
def test_without_matplotlib_the_error_says_what_to_install(cls, draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf'{cls.__name__} needs matplotlib: pip install "sklatent\[plot\]"'):
        draw(cls)
    with pytest.raises(ImportError, match="needs matplotlib"):
        cls(*[None for _ in inspect.signature(cls).parameters]).plot()


def test_matplotlib_is_imported_in_functions_only():
    for path in Path(_display.__file__).parent.glob("*.py"):
        at_import = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert "matplotlib" not in " ".join(map(ast.unparse, at_import))


# -- images --------------------------------------------------------------------------------------------------


def test_reconstruction_puts_images_over_reconstructions(encoder, X):
    display = ReconstructionDisplay.from_estimator(encoder, X, n_images=5)
    rebuilt = encoder.inverse_transform(encoder.transform(X[:5])).reshape(5, 8, 8)
    pixels = drawn(display)
    assert pixels.shape == (8 + 1 + 8, 5 * 9 - 1)
    for i in range(5):
        assert_array_equal(pixels[:8, 9 * i : 9 * i + 8], X[i].reshape(8, 8))
        assert_array_equal(pixels[9:, 9 * i : 9 * i + 8], rebuilt[i])
    assert np.isnan(pixels[8]).all()
    assert np.isnan(pixels[:, 8::9]).all()
    assert display.ax_.images[0].get_clim() == (X[:5].min(), X[:5].max())
    assert_array_equal(display.ax_.get_yticks(), [3.5, 12.5])


def test_reconstruction_takes_fewer_rows_lists_and_frames(encoder, X, recwarn):
    assert ReconstructionDisplay.from_estimator(encoder, X[:3].tolist()).images.shape == (3, 1, 8, 8)
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)], index=np.arange(100) * 0.5)
    named = small(AutoencoderTransformer, image_shape=(8, 8), max_iter=1).fit(frame)
    display = ReconstructionDisplay.from_estimator(named, frame, n_images=4)
    assert_array_equal(display.images.reshape(4, 64), X[:4])
    assert not [w for w in recwarn if "feature names" in str(w.message)]


def test_three_channels_are_rgb_clipped_to_the_range_of_the_images():
    images = np.random.default_rng(0).uniform(-2, 6, size=(2, 3, 4, 5))
    rebuilt = images * 3
    display = ReconstructionDisplay(images, rebuilt).plot()
    pixels = drawn(display)
    assert pixels.shape == (9, 11, 3)
    low, high = images.min(), images.max()
    assert_allclose(pixels[:4, 6:], ((images[1] - low) / (high - low)).transpose(1, 2, 0))
    assert_allclose(pixels[5:, :5], np.clip((rebuilt[0] - low) / (high - low), 0, 1).transpose(1, 2, 0))
    assert (pixels[4] == 1).all(), "white between"


def test_of_two_channels_the_first_is_shown():
    images = np.random.default_rng(0).uniform(size=(1, 2, 3, 3))
    assert_array_equal(drawn(ReconstructionDisplay(images, images).plot())[:3], images[0, 0])


def test_gaps_grow_with_the_images():
    pixels = drawn(ReconstructionDisplay(np.ones((2, 1, 28, 28)), np.ones((2, 1, 28, 28))).plot())
    assert pixels.shape == (28 + 2 + 28, 28 + 2 + 28)
    assert np.isnan(pixels).sum() == 58**2 - 4 * 28**2


def test_samples_are_those_of_the_seed_in_a_square(vae):
    display = SampleDisplay.from_estimator(vae, n_images=7, random_state=3)
    samples = vae.sample(7, random_state=3).reshape(7, 8, 8)
    pixels = drawn(display)
    assert pixels.shape == (3 * 9 - 1, 3 * 9 - 1)
    for i in range(7):
        top, left = 9 * (i // 3), 9 * (i % 3)
        assert_array_equal(pixels[top : top + 8, left : left + 8], samples[i])
    assert np.isnan(pixels[18:, 9:]).all(), "no eighth and no ninth"
    assert_allclose(display.ax_.images[0].get_clim(), np.percentile(samples, (1, 99)))


@pytest.mark.parametrize("images", [np.zeros((4, 1, 3, 3)), np.eye(144).reshape(144, 1, 12, 12)])
def test_samples_that_are_nearly_all_alike_have_a_scale(images):
    assert SampleDisplay(images).plot().ax_.images[0].get_clim() == (0, 1)


def test_score_map_sums_channels_and_adds_up_to_the_score(density, X):
    display = ScoreMapDisplay.from_estimator(density, X, n_images=3)
    assert_allclose(display.log_likelihood.sum(axis=(1, 2)), density.score_samples(X[:3]))
    assert_allclose(display.log_likelihood, density.score_features(X[:3]).reshape(3, 2, 4, 8).sum(axis=1))
    images, maps = drawn(display), drawn(display, 1)
    for i in range(3):
        assert_array_equal(images[:, 9 * i : 9 * i + 8], X[i].reshape(2, 4, 8)[0])
        assert_array_equal(maps[:, 9 * i : 9 * i + 8], display.log_likelihood[i])
    assert display.ax_.images[1].get_extent() == [-0.5, 25.5, 8.5, 4.5]
    assert display.ax_.get_ylim() == (8.5, -0.5)
    numbers = [float(label.get_text()) for label in display.ax_.get_xticklabels()]
    assert_allclose(numbers, density.score_samples(X[:3]), atol=0.51)
    (bar,) = display.ax_.child_axes
    assert bar.get_ylabel() == "nats per pixel"
    assert_allclose(bar.get_ylim(), (display.log_likelihood.min(), display.log_likelihood.max()))


@pytest.mark.parametrize("cls", [ReconstructionDisplay, SampleDisplay, ScoreMapDisplay])
def test_images_need_an_image_shape_a_fit_and_a_number(cls, table, encoder, X):
    rows = () if cls is SampleDisplay else (X,)
    with pytest.raises(ValueError, match=r"no image_shape_.* Fit it with image_shape=\(channels, height, width\)"):
        cls.from_estimator(table, *rows)
    with pytest.raises(NotFittedError):
        cls.from_estimator(AutoencoderTransformer(image_shape=(8, 8)), *rows)
    for n_images in (0, 2.5):
        with pytest.raises(ValueError, match=f"n_images={n_images} must be an integer, 1 or more"):
            cls.from_estimator(encoder, *rows, n_images=n_images)


# -- points, curves, histograms --------------------------------------------------------------------------------


def test_latent_space_shows_the_two_codes_asked_for(encoder, X):
    display = LatentSpaceDisplay.from_estimator(encoder, X, components=(2, 0))
    (points,) = display.ax_.collections
    assert_array_equal(points.get_offsets(), encoder.transform(X)[:, [2, 0]])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("code 2", "code 0")
    assert display.ax_.get_legend() is None


def test_few_classes_have_a_legend_and_a_colour_each(encoder, X, labels):
    names = np.array(["zero", "one", "two", "three"])[labels[:100] % 4]
    display = LatentSpaceDisplay.from_estimator(encoder, X, names.tolist())
    classes, index = np.unique(names, return_inverse=True)
    (points,) = display.ax_.collections
    assert_array_equal(points.get_array(), index)
    legend = display.ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == classes.tolist()
    display.figure_.draw_without_rendering()
    for i, handle in enumerate(legend.legend_handles):
        color = matplotlib.colors.to_rgba(handle.get_color())
        assert_allclose(points.get_facecolors()[index == i], np.tile(color, ((index == i).sum(), 1)))


def test_many_values_of_y_are_a_continuous_scale(encoder, X):
    y = X.mean(axis=1)
    display = LatentSpaceDisplay.from_estimator(encoder, X, y)
    assert_array_equal(display.ax_.collections[0].get_array(), y)
    assert display.ax_.get_legend() is None
    assert [ax.get_ylabel() for ax in display.ax_.child_axes] == ["y"]
    names = LatentSpaceDisplay.from_estimator(encoder, X, [f"row {i}" for i in range(100)])
    assert not names.ax_.child_axes


@pytest.mark.parametrize("components", [(0, 3), (-1, 0), (0, 1, 2)])
def test_components_must_be_two_codes(encoder, X, components):
    with pytest.raises(ValueError, match=r"must be two columns of the codes, from 0 to 2"):
        LatentSpaceDisplay.from_estimator(encoder, X, components=components)


def test_y_must_be_as_long_as_x(encoder, X):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LatentSpaceDisplay.from_estimator(encoder, X, [0, 1])


def test_history_is_drawn_by_epoch(encoder):
    display = HistoryDisplay.from_estimator(encoder)
    train, valid, best = display.ax_.lines
    for line, name in ((train, "train_loss"), (valid, "valid_loss")):
        assert_array_equal(line.get_xdata(), [1, 2, 3])
        assert_array_equal(line.get_ydata(), [epoch[name] for epoch in encoder.history_])
    lowest = min(encoder.history_, key=lambda epoch: epoch["valid_loss"])["epoch"]
    assert set(best.get_xdata()) == {lowest}
    assert best.get_label() == f"best epoch: {lowest}"


def test_history_without_or_with_some_validation(table, X):
    (line,) = HistoryDisplay.from_estimator(table).ax_.lines
    assert_array_equal(line.get_ydata(), [table.history_[0]["train_loss"]])
    mixed = small(AutoencoderTransformer, early_stopping=True, max_iter=2).fit(X).partial_fit(X)
    assert_array_equal(np.isnan(HistoryDisplay.from_estimator(mixed).valid_loss), [False, False, True])


def test_history_has_the_level_of_the_linear_model(digits):
    encoder = AutoencoderTransformer(3, architecture="mlp", hidden_layer_sizes=(16,), random_state=0).fit(digits[:300])
    display = HistoryDisplay.from_estimator(encoder)
    level = display.ax_.lines[-1]
    assert set(level.get_ydata()) == {encoder.baseline_loss_}
    assert level.get_label() == "validation of the linear model"
    assert level.get_label() in [text.get_text() for text in display.ax_.get_legend().get_texts()]
    low, high = display.ax_.get_ylim()
    assert low < encoder.baseline_loss_ < high


def test_first_epochs_that_are_far_off_do_not_flatten_the_others():
    train, valid = np.array([1e6, 90.0, 14.0, 12.0, 11.0, 10.0, 9.5, 9.0]), np.array([2e4, 15.0, *np.full(6, 12.0)])
    low, high = HistoryDisplay(train, valid, 20.0).plot().ax_.get_ylim()
    assert 6 < low < 9
    assert 20 < high < 80
    for losses in (train[2:], train[:1], train[:2], np.ones(5), -train[2:]):
        low, high = HistoryDisplay(losses).plot().ax_.get_ylim()
        assert low < losses.min() <= losses.max() < high


def test_history_of_what_has_none(X):
    with pytest.raises(ValueError, match="KernelDensity has no history_"):
        HistoryDisplay.from_estimator(KernelDensity().fit(X))


def test_histograms_count_every_row_in_common_bins(vae, X):
    others = {"inverted": 16 - X[:30], "shifted": np.roll(X[:40], 2, axis=1)}
    display = ScoreHistogramDisplay.from_estimator(vae, X, others)
    assert_array_equal(display.scores["inverted"], vae.score_samples(16 - X[:30]))
    outlines = [patch.get_data() for patch in display.ax_.patches if not patch.get_fill()]
    assert [outline.values.sum() for outline in outlines] == [100, 30, 40]
    pooled = np.concatenate(list(display.scores.values()))
    for outline in outlines:
        assert_array_equal(outline.edges, outlines[0].edges)
        assert (outline.edges[0], outline.edges[-1]) == (pooled.min(), pooled.max())
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["X", "inverted", "shifted"]


def test_histogram_of_one_set_an_array_and_any_estimator(X):
    density = KernelDensity().fit(X)
    display = ScoreHistogramDisplay.from_estimator(density, X)  # whose scores differ by rounding only
    assert display.ax_.get_legend() is None
    assert display.ax_.patches[0].get_data().values.max() == 100
    frame = pd.DataFrame(X[:10])
    assert list(ScoreHistogramDisplay.from_estimator(density, X, frame).scores) == ["X", "X_other"]
    with pytest.raises(ValueError, match="a set named 'X'"):
        ScoreHistogramDisplay.from_estimator(density, X, {"X": X})
