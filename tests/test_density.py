"""The autoregressive densities as estimators: numbers known by other means, completion, features."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
from common import ESTIMATORS, small
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklatent import MADEDensity, PixelCNNDensity, PixelRNNDensity
from sklatent._autoregressive.base import AutoregressiveDensity

DENSITIES = [cls for cls in ESTIMATORS if issubclass(cls, AutoregressiveDensity)]
every = pytest.mark.parametrize("cls", DENSITIES, ids=lambda cls: cls.__name__)
random = np.random.RandomState(0)
BINARY = (random.rand(200, 6) < 0.3).cumsum(axis=1) % 2  # each value depends on those before it
ALL_BINARY = np.array(list(product([0, 1], repeat=6)))
REAL = random.normal(size=(150, 3)) @ random.normal(size=(3, 3)) * 3 + 100


@every
@pytest.mark.parametrize("likelihood", ["categorical", "logistic_mixture"])
def test_total_probability_is_one(cls, likelihood):
    density = small(cls, image_shape=(2, 3), likelihood=likelihood).fit(BINARY)
    assert_allclose(np.exp(density.score_samples(ALL_BINARY)).sum(), 1, rtol=1e-5)


@every
def test_learns_dependence(cls):
    """Better than independent features, which are fair coins here: log 2 nats each."""
    density = small(cls, max_iter=60, learning_rate=0.02, batch_size=50).fit(BINARY)
    assert density.score(BINARY) > -6 * np.log(2) + 0.3
    assert_allclose(density.bits_per_dim(BINARY), -density.score(BINARY) / 6 / np.log(2))


@every
def test_map_sums_to_the_score(cls, digits):
    density = small(cls, image_shape=(8, 8), max_iter=1).fit(digits[:100])
    per_pixel = density.score_features(digits[:10])
    assert per_pixel.shape == (10, 64)
    assert_allclose(per_pixel.sum(axis=1), density.score_samples(digits[:10]), rtol=1e-10)


def test_score_statistics_are_score_features_by_cells(digits):
    density = small(PixelCNNDensity, image_shape=(8, 8), max_iter=1).fit(digits[:100])
    cells = density.score_statistics(digits[:10])
    maps = density.score_features(digits[:10]).reshape(10, 4, 2, 4, 2)
    assert_allclose(cells, maps.sum(axis=(2, 4)).reshape(10, 16), rtol=1e-5)
    table = small(PixelCNNDensity, max_iter=1).fit(digits[:100, :5])
    assert_array_equal(table.score_statistics(digits[:10, :5]), table.score_features(digits[:10, :5]))


@every
def test_units_are_those_of_x(cls):
    """score(c X) of a model fitted on c X is score(X) - d log c: the bin width or scale is paid for."""
    scores = [small(cls).fit(c * REAL).score(c * REAL) for c in (1, 1000)]
    assert_allclose(scores[1], scores[0] - 3 * np.log(1000), rtol=1e-3)


@every
def test_binned_density_integrates_to_one(cls):
    x = REAL[:, :1]
    density = small(cls, n_levels=8, likelihood="categorical", max_iter=5).fit(x)
    grid = np.linspace(x.min(), x.max(), 20_001)
    mass = np.exp(density.score_samples(grid[:, None])).mean() * (grid[-1] - grid[0])
    assert_allclose(mass, 1, rtol=1e-3)


def test_gaussian_mixture_integrates_to_one_and_finds_a_normal():
    x = norm(50, 7).rvs((2000, 1), random_state=0)
    density = MADEDensity(max_iter=20, random_state=0).fit(x)
    assert density.likelihood_ == "gaussian_mixture"
    grid = np.linspace(-50, 150, 20_001)
    assert_allclose(np.exp(density.score_samples(grid[:, None])).mean() * 200, 1, rtol=1e-3)
    assert_allclose(density.score(x), norm(50, 7).logpdf(x).mean(), atol=0.03)


def test_likelihood_auto_decides_by_the_data():
    for X, likelihood in [
        (BINARY, "bernoulli"),
        (BINARY * 3 + BINARY[:, ::-1], "categorical"),
        (REAL, "gaussian_mixture"),
    ]:
        assert MADEDensity(max_iter=1).fit(X).likelihood_ == likelihood
    assert MADEDensity(max_iter=1).fit((REAL * 1000).astype(int)).likelihood_ == "gaussian_mixture"


def test_fvbn_equals_chained_logistic_regressions():
    density = MADEDensity(hidden_layer_sizes=(), max_iter=300, learning_rate=0.05, weight_decay=0, random_state=0)
    density.fit(BINARY)
    chained = np.zeros(len(ALL_BINARY))
    frequency = BINARY[:, 0].mean()
    chained += np.where(ALL_BINARY[:, 0] == 1, np.log(frequency), np.log(1 - frequency))
    for i in range(1, 6):
        regression = LogisticRegression(C=np.inf, tol=1e-8).fit(BINARY[:, :i], BINARY[:, i])
        chained += regression.predict_log_proba(ALL_BINARY[:, :i])[np.arange(64), ALL_BINARY[:, i]]
    assert_allclose(density.score_samples(ALL_BINARY), chained, atol=5e-3)


@every
def test_colour_channels_are_conditioned_on_one_another(cls):
    """Three equal channels cost what one does."""
    grey = BINARY[:, :4]
    rgb = np.tile(grey, (1, 3))
    density = small(cls, image_shape=(3, 2, 2), max_iter=100, learning_rate=0.02).fit(rgb)
    assert density.score(rgb) > -4 * np.log(2) - 0.3
    sample = density.sample(200, random_state=0).reshape(-1, 3, 4)
    assert (sample[:, 0] == sample[:, 2]).mean() > 0.95


# -- complete ------------------------------------------------------------------------------------------------


@every
def test_complete_keeps_given_values_to_the_bit(cls, digits):
    density = small(cls, image_shape=(8, 8), max_iter=1).fit(digits[:100])
    for dtype in (np.float64, np.float32):
        X = digits[:6].astype(dtype)
        X[0, 32:] = np.nan
        X[1, ::3] = np.nan
        X[2] = np.nan
        completed = density.complete(X, random_state=0, n_proposals=4)
        given = ~np.isnan(X)
        assert completed.dtype == dtype
        assert_array_equal(completed[given], X[given])
        assert_array_equal(completed[3:], X[3:])
        assert set(np.unique(completed)) <= set(range(17))
        assert_array_equal(completed, density.complete(X, random_state=0, n_proposals=4))
    assert_array_equal(density.complete(digits[:5]), digits[:5])


@every
@pytest.mark.parametrize("given", [[0, 1], [4, 5], [0, 3, 5]], ids=["first", "last", "some"])
def test_complete_draws_from_the_exact_conditional(cls, given):
    """Beside enumeration: p(missing | given) is p(row) over the sum of p over the rows that agree."""
    density = small(cls, image_shape=(2, 3), max_iter=60, learning_rate=0.02).fit(BINARY)
    row = np.array([1, 0, 0, 1, 0, 1.0])
    agree = ALL_BINARY[(ALL_BINARY[:, given] == row[given]).all(axis=1)]
    p = np.exp(density.score_samples(agree))
    p /= p.sum()
    gaps = np.full(6, np.nan)
    gaps[given] = row[given]
    drawn = density.complete(np.tile(gaps, (4000, 1)), random_state=0, n_proposals=32)
    found = np.array([(drawn == candidate).all(axis=1).mean() for candidate in agree])
    assert_allclose(found.sum(), 1)
    assert_allclose(found, p, atol=0.04)


def test_complete_continues_a_series():
    """A cosine goes on as a cosine: forecasting by sampling."""
    phase = np.random.RandomState(0).uniform(0, 2 * np.pi, size=(400, 1))
    X = np.cos(phase + np.arange(24) * 0.6)
    density = PixelCNNDensity(
        image_shape=(1, 24), n_levels=32, n_filters=16, n_blocks=2, dropout=0.0, max_iter=30, learning_rate=0.01,
        random_state=0,
    ).fit(X[:300])  # fmt: skip
    gaps = X[300:].copy()
    gaps[:, 16:] = np.nan
    error = np.abs(density.complete(gaps, random_state=0) - X[300:])[:, 16:]
    naive = np.abs(X[300:, 15:16] - X[300:])[:, 16:]
    assert error.mean() < 0.3 * naive.mean()


@every
def test_complete_refuses_what_does_not_fit(cls):
    with pytest.raises(NotFittedError):
        small(cls).complete(BINARY)
    density = small(cls).fit(BINARY)
    with pytest.raises(ValueError, match="X has 5 features, but"):
        density.complete(BINARY[:, :5])
    with pytest.raises(ValueError, match="infinity"):
        density.complete(np.full((1, 6), np.inf))
    with pytest.raises(ValueError, match="n_proposals=0 must be an integer, 1 or more"):
        density.complete(BINARY, n_proposals=0)


def test_complete_says_when_proposals_are_too_few(digits):
    density = small(PixelCNNDensity, image_shape=(8, 8), n_filters=16, max_iter=15).fit(digits[:500])
    gaps = 16 - digits[:100]  # below the gap stands a negative, which no drawn upper half leads to
    gaps[:, :32] = np.nan
    with pytest.warns(UserWarning, match="of the rows, hardly one of the n_proposals=4 fits"):
        density.complete(gaps, random_state=0, n_proposals=4)


# -- levels --------------------------------------------------------------------------------------------------


@every
def test_levels_outside_the_fitted_range_score_lower_than_any_inside(cls, digits):
    density = small(cls, image_shape=(8, 8), max_iter=3, n_levels=None).fit(digits[:200])
    rows = np.repeat(digits[:1], 22, axis=0)
    rows[:, 63] = np.arange(22)  # the last pixel: nothing follows it; 16 is the largest level of fit
    scores = density.score_samples(rows)
    assert np.isfinite(scores).all()
    assert scores[17:].max() < scores[:17].min()
    assert_allclose(np.diff(scores[17:]), -1, atol=1e-3)


@every
def test_rows_between_the_levels_are_refused_by_a_model_of_whole_numbers(cls):
    density = small(cls).fit(BINARY)
    with pytest.raises(ValueError, match="was fitted on whole numbers, but X holds others, such as 0.5"):
        density.score_samples(BINARY + 0.5)


@every
@pytest.mark.parametrize("likelihood", ["categorical", "logistic_mixture"])
def test_features_may_have_different_numbers_of_levels(cls, likelihood):
    """All rows that can be sum to one, and no other is ever drawn."""
    X = np.column_stack([random.randint(0, n, size=60) for n in (2, 7, 4)]) + [0, -3, 10]
    density = small(cls, likelihood=likelihood, max_iter=1).fit(X)
    rows = np.array(list(product(range(2), range(-3, 4), range(10, 14))))
    assert_allclose(np.exp(density.score_samples(rows)).sum(), 1, rtol=1e-5)
    drawn = density.sample(500, random_state=0)
    assert (drawn.min(axis=0) >= X.min(axis=0)).all()
    assert (drawn.max(axis=0) <= X.max(axis=0)).all()
    beyond = density.score_samples(np.array([[0, 0, 13], [0, 0, 14], [0, 0, 20]]))
    assert (np.diff(beyond) < 0).all()


def test_bins_of_whole_numbers_are_as_wide_as_their_feature_needs(digits):
    X = np.column_stack([random.randint(0, 2, size=2000), random.randint(0, 100_000, size=2000)])
    density = small(PixelCNNDensity, max_iter=10).fit(X)
    assert_allclose(np.exp(density.score_features(X)[:, 0]).mean(), 0.5, atol=0.02)
    assert set(np.unique(density.sample(200, random_state=0)[:, 0])) == {0, 1}
    binned = small(PixelCNNDensity, n_levels=10, max_iter=2).fit(digits[:100, 20:21])  # 0 to 16 in bins of 2
    assert_allclose(np.exp(binned.score_samples(np.arange(18)[:, None])).sum(), 1, rtol=1e-5)
    assert binned.sample(500, random_state=0).max() <= 17


def test_complete_weighs_the_members_of_a_mixture():
    """What is given first still tells which of the mask sets the row is likely to come from."""
    density = MADEDensity(n_masks=4, hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(BINARY)
    for parameter in density.net_.module_.parameters():
        parameter.data *= 4  # members that differ
    agree = ALL_BINARY[(ALL_BINARY[:, :3] == [1, 0, 1]).all(axis=1)]
    p = np.exp(density.score_samples(agree))
    drawn = density.complete(np.tile([1, 0, 1, np.nan, np.nan, np.nan], (6000, 1)), random_state=0, n_proposals=16)
    found = np.array([(drawn == row).all(axis=1).mean() for row in agree])
    assert_allclose(found, p / p.sum(), atol=0.025)


def test_constant_rows_and_values_far_beyond():
    constant = MADEDensity(max_iter=1).fit(np.full((50, 3), 7.0))
    assert set(np.unique(constant.sample(100, random_state=0))) <= {7, 8}
    density = small(PixelCNNDensity).fit(BINARY)
    far = np.array([[0, 1, 0, 1, 0, value] for value in (5, 3e9, 1e300)])
    scores = density.score_samples(far)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()


def test_small_batches_leave_the_scale_of_features_alone(digits):
    density = small(MADEDensity, hidden_layer_sizes=(20,)).partial_fit(digits[:200])
    before = density.transform(digits).std()
    density.set_params(learning_rate=1e-9).partial_fit(digits[:1])
    assert_allclose(density.transform(digits).std(), before, rtol=1e-3)


def test_a_fresh_fit_on_few_rows_keeps_nothing_of_the_last(digits):
    used = small(PixelCNNDensity, image_shape=(8, 8), max_iter=1).fit(digits[:200])
    used.set_params(n_filters=12).fit(digits[200:230])
    fresh = small(PixelCNNDensity, image_shape=(8, 8), max_iter=1, n_filters=12).fit(digits[200:230])
    assert_array_equal(used.transform(digits[:5]), fresh.transform(digits[:5]))


def test_more_weights_than_can_be():
    images = np.random.RandomState(0).randint(0, 256, size=(20, 3072)).astype(np.uint8)
    with pytest.raises(ValueError, match="output layer would have 4e\\+08 weights.*logistic_mixture"):
        MADEDensity(image_shape=(3, 32, 32)).fit(images)


def test_n_levels(digits):
    def n_levels(X, **params):
        return small(PixelCNNDensity, max_iter=1, **params).fit(X).n_levels_

    assert n_levels(digits[:50], image_shape=(8, 8)) == 17
    assert n_levels(digits[:50], image_shape=(8, 8), n_levels=20) == 20
    assert n_levels(digits[:50], n_levels=4) == 4
    assert n_levels(REAL) == 32
    assert n_levels(REAL, image_shape=(1, 3)) == 256
    assert n_levels((REAL * 1e5).astype(int)) <= 256


# -- features ------------------------------------------------------------------------------------------------


@every
def test_features_drop_into_a_pipeline(cls, digits, labels):
    density = small(cls, image_shape=(8, 8), hidden_layer_sizes=(100,), n_filters=24, max_iter=8)
    pipeline = make_pipeline(density, LogisticRegression(max_iter=2000))
    pipeline.fit(digits[:500], labels[:500])
    Z = pipeline[0].transform(digits[:500:3])  # the rows whose mean and deviation are used
    assert Z.dtype == np.float32
    assert_allclose(Z.mean(axis=0), 0, atol=1e-4)
    assert_allclose(Z.std(axis=0)[Z.std(axis=0) > 0], 1, atol=1e-3)
    assert len(pipeline[0].get_feature_names_out()) == pipeline[0].transform(digits[:3]).shape[1]
    assert pipeline.score(digits[500:1000], labels[500:1000]) > 0.6


@every
def test_feature_layer_must_exist(cls):
    density = small(cls, n_blocks=2, n_layers=2, hidden_layer_sizes=(4, 6)).fit(BINARY)
    first, second = (density.set_params(feature_layer=layer).transform(BINARY) for layer in (0, 1))
    assert first.shape != second.shape or not np.allclose(first, second)
    with pytest.raises(ValueError, match="feature_layer=9 must be below the number of hidden layers"):
        density.set_params(feature_layer=9).transform(BINARY)
    with pytest.raises(ValueError, match="has no hidden layer, hence no features"):
        MADEDensity(hidden_layer_sizes=(), max_iter=1).fit(BINARY).transform(BINARY)


def test_moving_average_takes_the_place_of_the_weights(digits):
    """An average over noisy steps at a constant, high rate scores better than where they end."""
    X, held_out = digits[:400], digits[400:800]
    params = {"image_shape": (8, 8), "hidden_layer_sizes": (64,), "learning_rate": 0.03, "batch_size": 20}
    plain = MADEDensity(max_iter=6, random_state=0, **params).fit(X)
    averaged = MADEDensity(max_iter=6, ema_decay=0.95, random_state=0, **params).fit(X)
    assert not np.array_equal(plain.score_samples(X), averaged.score_samples(X))
    stopped = MADEDensity(
        max_iter=30, ema_decay=0.95, early_stopping=True, random_state=0, n_iter_no_change=3, **params
    )
    stopped.fit(X)
    assert min(epoch["valid_loss"] for epoch in stopped.history_) < plain.history_[0]["train_loss"]
    assert averaged.score(held_out) > plain.score(held_out)


def test_bernoulli_needs_two_levels(digits):
    with pytest.raises(ValueError, match="likelihood='bernoulli' needs whole numbers of two levels"):
        MADEDensity(likelihood="bernoulli").fit(digits)


@pytest.mark.parametrize("cell", ["row_lstm", "diagonal_bilstm"])
def test_both_cells_draw_what_they_score(cell):
    density = small(PixelRNNDensity, cell=cell, image_shape=(2, 3), max_iter=40, learning_rate=0.02).fit(BINARY)
    drawn = density.sample(4000, random_state=0)
    found = np.array([(drawn == row).all(axis=1).mean() for row in ALL_BINARY])
    assert_allclose(found, np.exp(density.score_samples(ALL_BINARY)), atol=0.02)


def test_scores_of_many_rows_take_the_memory_of_a_batch():
    rows = np.random.RandomState(0).randint(2, size=(20_000, 200), dtype=np.uint8)
    density = MADEDensity(hidden_layer_sizes=(), max_iter=1, random_state=0).fit(rows[:100])
    tracemalloc.start()
    scores = density.score_samples(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6, "one map of all rows would be 32 MB"
    assert_allclose(scores[:50], density.score_features(rows[:50]).sum(axis=1), rtol=1e-12)
