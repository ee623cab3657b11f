"""The densities of tables are their formulas, in the units of X, and hold on any column."""

import math
import pickle

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import digamma, gammaln
from scipy.stats import multivariate_normal
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import DensityOutlierDetector, HistogramDensity, NeighborsDensity

SHEAR = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 2.0]])
EVERY = [HistogramDensity(), NeighborsDensity(3), NeighborsDensity(1, support_fraction=0.5, random_state=0)]
every = pytest.mark.parametrize("density", EVERY, ids=["histogram", "neighbors", "core"])


def rows(n, seed=0):
    return np.random.RandomState(seed).normal(size=(n, 3)) @ SHEAR


X, NEW = rows(400), rows(60, seed=1)

# -- exact values ----------------------------------------------------------------------------------------------


def test_histogram_counts():
    density = HistogramDensity(4).fit([[0.0], [1.0], [2.0], [8.0]])  # bins of width 2 hold 2, 1, 0 and 1
    expected = np.log(np.array([2.5, 1.5, 0.5, 1.5, 1.5]) / (4 + 2) / 2)
    assert_allclose(density.score_samples([[1.9], [2.0], [5.0], [6.0], [8.0]]), expected)
    empty = math.log(0.5 / 6 / 2)
    assert_allclose(density.score_samples([[-4.0], [9.0]]), [empty - math.log(1 + 2), empty - math.log(1 + 0.5)])


def test_histogram_is_numpy_s():
    density = HistogramDensity(7).fit(X)
    total = np.zeros(len(X))
    for column in X.T:
        counts, edges = np.histogram(column, bins=7)
        bins = np.clip(np.digitize(column, edges) - 1, 0, 6)
        total += np.log((counts[bins] + 0.5) / (len(X) + 3.5) / np.diff(edges)[bins])
    assert_allclose(density.score_samples(X), total)


def test_histogram_integrates_to_one_over_its_range():
    density = HistogramDensity().fit(X[:, :1])
    edges = np.linspace(X[:, 0].min(), X[:, 0].max(), 16 * 100 + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    assert_allclose(np.exp(density.score_samples(middles[:, np.newaxis])).sum() * np.diff(edges)[0], 1)


@pytest.mark.parametrize("k", [1, 4])
def test_neighbors_are_the_formula_by_brute_force(k):
    density = NeighborsDensity(k).fit(X)

    def squash(rows):  # beyond 3 standard deviations: towards 4
        U = (rows - X.mean(axis=0)) / X.std(axis=0)
        return np.where(np.abs(U) > 3, np.sign(U) * (4 - 1 / (np.abs(U) - 2)), U)

    new = np.vstack([NEW, X[:3], [[4.0, 0.0, 30.0]]])
    squares = ((squash(new)[:, np.newaxis] - squash(X)) ** 2).sum(axis=2)
    assert (squares[np.arange(60, 63), np.arange(3)] == 0).all(), "a row that equals one of fit is at distance zero"
    nearest = np.sort(squares, axis=1)[:, :k] + 3 * 1e-8
    volume = 1.5 * math.log(math.pi) - gammaln(2.5)
    level = digamma(np.arange(1, k + 1)).mean() - math.log(400) - volume
    expected = level - 1.5 * np.log(nearest).mean(axis=1) - np.log(X.std(axis=0)).sum()
    assert_allclose(density.score_samples(new), expected)


def test_neighbors_are_near_the_exact_density_of_normal_rows():
    train, new = rows(4000), rows(2000, seed=1)
    exact = multivariate_normal(cov=SHEAR.T @ SHEAR).logpdf(new)
    bias = {k: NeighborsDensity(k).fit(train).score_samples(new) - exact for k in (1, 20)}
    assert abs(bias[1].mean()) < 0.1  # the digamma takes out the mean error of one neighbour, 0.58 nats
    assert abs(bias[20].mean()) < 0.1
    assert bias[20].std() < 0.4 < 0.8 < bias[1].std()


# -- what holds for all ----------------------------------------------------------------------------------------


@every
def test_contributions_add_up_and_score_is_the_mean(density):
    density.fit(X)
    new = np.vstack([NEW, 50 * NEW, X[:5]])
    assert density.score_features(new).shape == new.shape
    assert_allclose(density.score_features(new).sum(axis=1), density.score_samples(new), rtol=1e-12, atol=1e-11)
    assert density.score(new) == pytest.approx(density.score_samples(new).mean(), rel=1e-12)
    odd = np.zeros((1, 3))
    odd[0, 1] = 30.0
    assert density.score_features(odd).argmin() == 1


@every
def test_scores_are_in_the_units_of_x(density):
    plain = density.fit(X).score_samples(NEW)
    for factor in ([8.0, 1.0, 1.0], [1e-6, 1e9, 3.0], [1e200, 1e250, 1e150]):
        scaled = density.fit(X * factor).score_samples(NEW * factor)
        assert_allclose(scaled, plain - np.log(factor).sum(), rtol=1e-6, atol=1e-6)
    assert_allclose(density.fit(X + 1e3).score_samples(NEW + 1e3), plain, rtol=1e-6)


@every
def test_rows_far_out_score_lower_the_farther_and_finite(density):
    density.fit(X)
    far = np.outer([2.0, 4.0, 8.0, 16.0, 1e3, 1e6], np.abs(X).max(axis=0))
    scores = density.score_samples(far)
    assert (np.diff(scores) < 0).all()
    assert scores[0] < density.score_samples(X).min()
    assert np.isfinite(density.score_samples(np.full((1, 3), 1.7e308))).all()


@every
def test_any_column(density):
    rng = np.random.RandomState(0)
    n = 500
    table = np.column_stack(
        [
            np.full(n, 0.1), rng.randint(0, 2, n), rng.poisson(3, n), rng.standard_cauchy(n), 1e-8 * rng.normal(size=n),
            1e15 + rng.randint(0, 5, n), np.r_[np.zeros(n - 1), 1.0],
        ]
    )  # fmt: skip
    usual = density.fit(table).score_samples(table)
    assert np.isfinite(usual).all()
    assert np.isfinite(density.score_features(table)).all()
    for column, value in ((0, 0.2), (1, 7.0), (2, 60.0), (3, 1e12), (4, 1.0), (5, 1e15 + 50)):
        odd = table.copy()
        odd[:, column] = value
        assert (density.score_samples(odd) < usual).mean() > 0.9, column


@every
def test_constant_rows_and_duplicates(density):
    density.fit(np.full((30, 2), 5.0))
    same, near, far = density.score_samples([[5.0, 5.0], [5.0, 5.1], [5.0, 9.0]])
    assert np.isfinite([same, near, far]).all()
    assert same > near > far
    twice = np.repeat(X[:50], 8, axis=0)
    scores = density.fit(twice).score_samples(twice).reshape(50, 8)
    assert np.isfinite(scores).all()
    assert_allclose(scores, np.repeat(scores[:, :1], 8, axis=1))
    assert np.median(scores) > np.median(density.score_samples(NEW))


@every
def test_two_rows_and_more_neighbors_than_rows(density):
    if isinstance(density, NeighborsDensity):
        density = NeighborsDensity(99, support_fraction=density.support_fraction)
    density.fit(X[:2])
    assert np.isfinite(density.score_samples(NEW)).all()
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        density.fit(X[:1])


@every
def test_a_fit_is_reproducible_and_a_pickle_holds_arrays(density):
    scores = density.fit(X).score_samples(NEW)
    state = np.random.get_state()[1].copy()
    assert_array_equal(density.fit(X).score_samples(NEW), scores)
    assert_array_equal(np.random.get_state()[1], state)
    assert_array_equal(pickle.loads(pickle.dumps(density)).score_samples(NEW), scores)
    dumped = skops.io.dumps(density)
    unknown = skops.io.get_untrusted_types(data=dumped)
    assert unknown == [f"{type(density).__module__}.{type(density).__name__}"]
    assert_array_equal(skops.io.loads(dumped, trusted=unknown).score_samples(NEW), scores)


def test_a_new_row_that_equals_one_of_fit_is_nearer_than_any_other():
    density = NeighborsDensity(1).fit(X)
    scores = density.score_samples(X[:1] + np.array([[0.0], [1e-3], [1e-2], [1e-1]]))
    assert (np.diff(scores) < 0).all()
    assert_allclose(density.score_features(X).sum(axis=1), density.score_samples(X))


@pytest.mark.parametrize("piped", [False, True])
def test_rows_of_fit_are_left_out_of_their_own_neighbors_where_they_rank(piped):
    density = make_pipeline(StandardScaler(), NeighborsDensity(1)) if piped else NeighborsDensity(1)
    detector = DensityOutlierDetector(density, contamination=0.1, calibration_size=None).fit(X)
    U = StandardScaler().fit_transform(X) if piped else X
    apart = [NeighborsDensity(1).fit(np.delete(U, i, axis=0)).score_samples(U[i : i + 1]) for i in range(20)]
    assert np.corrcoef(np.ravel(apart), detector.score_samples(X[:20]))[0, 1] > 0.999
    assert (detector.predict(X) == -1).sum() == 40
    assert_array_equal(detector.fit_predict(X), detector.predict(X))
    plain = detector.estimators_[0].score_samples(X)
    assert (plain > detector.score_samples(X) + 1).all(), "as new rows"
    assert_array_equal(np.sort(plain)[-20:], detector.recalibrate(X).calibration_scores_[-20:])


# -- the core --------------------------------------------------------------------------------------------------


def test_the_core_leaves_out_a_cluster_of_outliers():
    rng = np.random.RandomState(0)
    cluster = [4.0, -4.0, 4.0] + 0.2 * rng.normal(size=(240, 3))
    dirty = np.vstack([rng.normal(size=(1080, 3)), cluster[:120]])  # 10 %
    new, y = np.vstack([rng.normal(size=(500, 3)), cluster[120:]]), np.r_[np.ones(500), np.zeros(120)]
    areas = {}
    for share in (0.5, 0.8, 1.0):
        density = NeighborsDensity(support_fraction=share, random_state=0).fit(dirty)
        assert density.support_.sum() == math.ceil(share * 1200)
        assert density.support_[1080:].any() == (share == 1.0)
        areas[share] = roc_auc_score(y, density.score_samples(new))
    assert min(areas[0.5], areas[0.8]) > 0.99
    assert areas[1.0] < 0.1


def test_bad_parameters():
    for density in (HistogramDensity(0), NeighborsDensity(0), NeighborsDensity(support_fraction=0.0)):
        with pytest.raises(ValueError, match="parameter of"):
            density.fit(X)
        with pytest.raises(NotFittedError):
            density.score_samples(X)


def test_a_parameter_set_after_fit_waits_for_the_next():
    X = np.random.RandomState(0).normal(size=(100, 2))
    density = HistogramDensity().fit(X)
    before = density.score_samples(X)
    assert_array_equal(density.set_params(n_bins=32).score_samples(X), before)
