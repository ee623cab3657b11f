"""What ``method="statistics"`` sees of an image beside its likelihood: by other formulas, and by what it finds."""

import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter
from scipy.signal import correlate2d
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import DensityOutlierDetector, PixelCNNDensity, VAETransformer
from sklatent._outliers import scores
from sklatent._outliers.views import FINEST, mirrored, roughness, uprightness

COLOUR = (3, 5, 4)
IMAGES = np.random.RandomState(0).normal(size=(200, 60))
FILTERS = [[[1, -1]], [[1], [-1]], [[1, -2, 1]], [[1], [-2], [1]], [[1, -1], [-1, 1]]]


class Around(BaseEstimator):
    """Normal around one image, with unit variances, up to a constant."""

    def __init__(self, image_shape=None):
        self.image_shape = image_shape

    def fit(self, X, y=None):
        self.mean_, self.image_shape_ = np.asarray(X).mean(axis=0), self.image_shape
        return self

    def score_samples(self, X):
        return -0.5 * ((np.asarray(X) - self.mean_) ** 2).sum(axis=1)

    def score_statistics(self, X):
        return np.asarray(X)[:, :2]


# -- roughness -------------------------------------------------------------------------------------------------


def test_roughness_is_the_moments_of_five_filters():
    expected = []
    for image in IMAGES[:20].reshape(-1, *COLOUR):
        for kernel in FILTERS:
            found = np.abs([correlate2d(channel, kernel, mode="valid") for channel in image])
            expected += [np.mean(found**k) ** (1 / k) for k in (1, 2, 4)]
    expected = np.reshape(expected, (20, 15))
    assert_allclose(roughness(IMAGES[:20], COLOUR, 0.5), np.log(0.5 * FINEST + expected))


def test_roughness_of_a_slope_and_of_a_blank_image():
    slope = 3.0 * np.arange(6)[np.newaxis] + 2.0 * np.arange(4)[:, np.newaxis]
    found = roughness(np.stack([slope.ravel(), np.ones(24)]), (1, 4, 6), 1.0)
    assert_allclose(np.exp(found[0]) - FINEST, np.repeat([3, 2, 0, 0, 0], 3), atol=1e-12)
    assert_allclose(found[1], np.log(FINEST))


def test_roughness_knows_neither_the_unit_nor_the_mirror():
    plain = roughness(IMAGES, COLOUR, 1.0)
    assert_allclose(roughness(100 * IMAGES, COLOUR, 100.0), plain + np.log(100))
    for turned in mirrored(IMAGES, COLOUR):
        assert_allclose(roughness(turned, COLOUR, 1.0), plain)


@pytest.mark.parametrize(
    ("shape", "n"), [((1, 1, 1), 0), ((2, 1, 1), 0), ((1, 1, 2), 3), ((1, 1, 9), 6), ((1, 2, 2), 9)]
)
def test_roughness_of_images_of_few_pixels(shape, n):
    assert roughness(np.ones((7, np.prod(shape))), shape, 1.0).shape == (7, n)


def test_roughness_is_the_same_in_chunks(monkeypatch):
    whole = roughness(IMAGES, COLOUR, 1.0)
    monkeypatch.setattr("sklatent._outliers.views.CHUNK", 100)
    assert_array_equal(roughness(IMAGES, COLOUR, 1.0), whole)


# -- mirrors ---------------------------------------------------------------------------------------------------


def test_mirrored_turns_images_and_nothing_else():
    images = np.arange(120, dtype=np.uint8).reshape(2, 60)
    square = images.reshape(2, *COLOUR)
    down, across = mirrored(images, COLOUR)
    assert_array_equal(down.reshape(square.shape), square[:, :, ::-1])
    assert_array_equal(across.reshape(square.shape), square[..., ::-1])
    frame = pd.DataFrame(images, columns=[f"pixel{i}" for i in range(60)], index=["a", "b"])
    for turned, rows in zip(mirrored(frame, COLOUR), (down, across), strict=True):
        pd.testing.assert_frame_equal(turned, pd.DataFrame(rows, columns=frame.columns, index=frame.index))


def test_uprightness_is_bayes_rule():
    """Of two normals with unit variances the posterior is logistic: p(Mx) at M mu is p(x) at mu."""
    density = Around().fit(IMAGES[:1])
    found = uprightness(density.score_samples(IMAGES), density.score_samples, IMAGES, COLOUR)
    for column, turned in zip(found.T, mirrored(density.mean_[np.newaxis], COLOUR), strict=True):
        assert_allclose(np.exp(column), expit(IMAGES @ (density.mean_ - turned[0])))


def test_uprightness_of_what_is_impossible():
    own, other = np.array([-np.inf, -np.inf, -3.0]), np.array([-np.inf, -3.0, -np.inf])
    found = uprightness(own, lambda _: other, np.zeros((3, 60)), COLOUR)
    assert_array_equal(found, np.repeat([[-np.inf], [-np.inf], [0.0]], 2, axis=1))


def test_uprightness_of_what_is_symmetric_has_no_rounding():
    own = -np.exp(np.linspace(-5, 30, 100))
    assert_array_equal(uprightness(own, lambda _: own, np.zeros((100, 60)), COLOUR), np.full((100, 2), -np.log(2)))


# -- the detector ----------------------------------------------------------------------------------------------


def test_both_are_among_the_statistics_of_an_image_and_mirrors_in_the_sum():
    detector = DensityOutlierDetector(FrozenEstimator(Around(COLOUR).fit(IMAGES[:50])), calibration_size=0.99).fit(
        IMAGES
    )
    total, statistics = detector._score_._statistics(IMAGES)
    density, codelength = detector._score_.density, detector._score_.codelength
    own = density.score_samples(IMAGES)
    upright = uprightness(own, density.score_samples, IMAGES, COLOUR)
    rough = roughness(IMAGES, COLOUR, codelength.step_)
    expected = np.column_stack([own, codelength.nats(IMAGES), upright, rough, IMAGES[:, :2]])
    assert_array_equal(statistics, expected)
    assert_allclose(total, expected[:, :4].sum(axis=1))


def test_there_are_none_where_the_features_are_no_pixels():
    mixed = make_pipeline(PCA(60), Around(COLOUR)).fit(IMAGES)
    for density, n in ((mixed, 4), (Around().fit(IMAGES), 4), (make_pipeline(StandardScaler(), Around(COLOUR)), 21)):
        frozen = FrozenEstimator(density.fit(IMAGES))
        detector = DensityOutlierDetector(frozen, method="statistics", codelength="zlib", calibration_size=0.99)
        assert detector.fit(IMAGES)._score_._statistics(IMAGES)[1].shape == (200, n)


@pytest.fixture(scope="module")
def vae(digits):
    options = {"image_shape": (8, 8), "hidden_layer_sizes": (16, 32), "max_iter": 20, "n_draws": 4}
    return FrozenEstimator(VAETransformer(8, **options, random_state=0).fit(digits[:800].astype(np.uint8)))


def outsiders(images):
    square = images.reshape(-1, 8, 8)
    blurred = np.rint(gaussian_filter(square.astype(float), (0, 0.7, 0.7)))
    kinds = {"down": square[:, ::-1], "across": square[..., ::-1], "blurred": blurred}
    return {name: kind.reshape(images.shape).astype(np.uint8) for name, kind in kinds.items()}


def found(detector, images):
    normal = detector.score_samples(images)
    labels = np.repeat([0, 1], len(images))
    others = outsiders(images)
    return {name: roc_auc_score(labels, -np.append(normal, detector.score_samples(others[name]))) for name in others}


def test_digits_in_a_mirror_or_blurred_are_found_better_with_them(vae, digits, monkeypatch):
    images = digits.astype(np.uint8)
    detector = DensityOutlierDetector(vae, random_state=0).fit(images[800:1300])
    both = found(detector, images[1300:])
    monkeypatch.setattr(scores, "uprightness", lambda own, *_: np.zeros((len(own), 2)))
    monkeypatch.setattr(scores, "roughness", lambda X, *_: np.zeros((len(X), 15)))
    neither = found(detector.fit(images[800:1300]), images[1300:])
    assert all(both[name] > neither[name] + 0.04 for name in both)


def test_false_alarms_on_fresh_images():
    random, rates = np.random.RandomState(0), []
    density = FrozenEstimator(Around((1, 3, 3)).fit(np.zeros((1, 9))))
    for _ in range(30):
        images = random.randint(0, 9, size=(600, 9)).astype(np.uint8)
        detector = DensityOutlierDetector(density, random_state=0, contamination=0.1).fit(images[:300])
        rates.append((detector.predict(images[300:]) == -1).mean())
    error = np.sqrt(0.1 * 0.9 * (1 / 150 + 1 / 300) / 30)
    assert abs(np.mean(rates) - 0.1) < 4 * error


def test_frames_score_as_arrays(digits):
    images = digits.astype(np.float32)
    frame = pd.DataFrame(images, columns=[f"pixel{i}" for i in range(64)])
    density = PixelCNNDensity(image_shape=(8, 8), n_filters=4, n_blocks=1, max_iter=1, random_state=0)
    plain, by_frame = (DensityOutlierDetector(density, random_state=0).fit(X) for X in (images, frame))
    assert_allclose(by_frame.score_samples(frame[:50]), plain.score_samples(images[:50]), rtol=1e-5)


def test_a_file_of_a_detector_of_images_scores_the_same(digits):
    density = PixelCNNDensity(image_shape=(8, 8), n_filters=4, n_blocks=1, max_iter=1, random_state=0)
    detector = DensityOutlierDetector(density, random_state=0).fit(digits)
    dumped, new = skops.io.dumps(detector), outsiders(digits[:50].astype(np.uint8))["down"]
    trusted = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("sklatent.") and "_outliers" not in name for name in trusted), trusted
    for loaded in (skops.io.loads(dumped, trusted=trusted), pickle.loads(pickle.dumps(detector))):
        assert_array_equal(loaded.p_values(new), detector.p_values(new))
    again = DensityOutlierDetector(density, random_state=0).fit(digits)
    assert_array_equal(again.p_values(new), detector.p_values(new))
    one_by_one = np.concatenate([detector.score_samples(row[np.newaxis]) for row in new])
    assert_allclose(one_by_one, detector.score_samples(new), rtol=1e-4)
