"""The bars of a score add up to it, and show what is unusual first."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KernelDensity

from sklatent import DensityOutlierDetector, MADEDensity, PixelCNNDensity, ScoreFeaturesDisplay, ScoreMapDisplay

COLUMNS = list("abcdefgh")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def X():
    rows = np.random.RandomState(0).normal(size=(300, 8)) * np.logspace(-3, 3, 8)
    rows[40, 2] = 10.0
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture(scope="module")
def detector(X):
    members = [(str(i), MADEDensity(order="random", max_iter=5, random_state=i)) for i in range(2)]
    return DensityOutlierDetector(members, calibration_size=198, random_state=0).fit(X.drop(index=40))


def test_bars_add_up_to_the_lowest_score_and_name_the_odd_feature_first(detector, X):
    display = ScoreFeaturesDisplay.from_estimator(detector, X, n_features=3)
    scores = detector.score_samples(X)
    assert scores.argmin() == 40
    assert_allclose(display.contributions.sum(), scores[40])
    bars = display.ax_.patches
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels[0] == "c"
    assert labels[3] == "5 others"
    assert_allclose(sum(bar.get_width() for bar in bars), scores[40])
    shown = [COLUMNS.index(label) for label in labels[:3]]
    assert_array_equal([bar.get_width() for bar in bars[:3]], display.contributions[shown])
    low, high = display.ax_.get_ylim()
    assert low > high, "the first bar is at the top"


def test_lines_are_percentiles_and_bars_beyond_them_red(detector, X):
    display = ScoreFeaturesDisplay.from_estimator(detector, X, n_features=7)  # one more than seven: no others
    reference = detector.score_features(X)
    order = np.argsort(reference[40] - np.median(reference, axis=0))
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [COLUMNS[i] for i in order]
    (lines,) = display.ax_.collections
    ends = np.array([line[:, 0] for line in lines.get_segments()])
    assert_allclose(ends, np.percentile(reference, (5, 95), axis=0).T[order])
    median, _ = display.ax_.lines
    assert_allclose(median.get_xdata(), np.median(reference, axis=0)[order])
    red = [bar.get_facecolor() == matplotlib.colors.to_rgba("#bd1f01") for bar in display.ax_.patches]
    assert_array_equal(red, reference[40][order] < ends[:, 0])
    assert red[0]


def test_any_row_of_any_density_with_contributions():
    rows = np.random.RandomState(0).normal(size=(60, 3))
    density = MADEDensity(max_iter=2, random_state=0).fit(rows)
    display = ScoreFeaturesDisplay.from_estimator(density, rows, row=-2)
    assert_allclose(display.contributions, density.score_features(rows)[58])
    assert {label.get_text() for label in display.ax_.get_yticklabels()} == {"x0", "x1", "x2"}
    assert f"{density.score_samples(rows)[58]:.1f} nats" in display.ax_.get_xlabel()


def test_what_cannot_be_explained(X, detector):
    for row in (300, -301, 1.0):
        with pytest.raises(ValueError, match="must be the index of one of the 300 rows of X, or None"):
            ScoreFeaturesDisplay.from_estimator(detector, X, row=row)
    with pytest.raises(ValueError, match="n_features=0 must be an integer, 1 or more"):
        ScoreFeaturesDisplay.from_estimator(detector, X, n_features=0)
    with pytest.raises(TypeError, match="KernelDensity has no score_features"):
        ScoreFeaturesDisplay.from_estimator(KernelDensity().fit(X), X)
    with pytest.raises(NotFittedError):
        ScoreFeaturesDisplay.from_estimator(DensityOutlierDetector(), X)


def test_maps_of_a_detector_of_images(digits):
    density = PixelCNNDensity(image_shape=(8, 8), n_filters=4, n_blocks=1, max_iter=1, random_state=0)
    detector = DensityOutlierDetector(density, method="ratio", random_state=0).fit(digits[:600])
    display = ScoreMapDisplay.from_estimator(detector, digits[600:], n_images=4)
    assert_allclose(display.log_likelihood.sum(axis=(1, 2)), detector.score_samples(digits[600:604]), rtol=1e-6)
