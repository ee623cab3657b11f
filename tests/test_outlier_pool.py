"""The default of the detector, and what it is made of, against sums and ranks that are found another way."""

import pickle
import warnings

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import ks_2samp, norm, rankdata
from sklearn.ensemble import IsolationForest

from sklatent import NeighborsDensity
from sklatent._outliers.densities import leaving_one_out
from sklatent._outliers.marginals import _Forest, _Marginals, _NormalScores, _Tails
from sklatent._outliers.pool import HEAVY, _TablePool, tail

HUGE = pytest.mark.filterwarnings("ignore:invalid value encountered in reduce:RuntimeWarning")  # scikit-learn's own sum


def rows(n, d=4, seed=0):
    return np.random.RandomState(seed).normal(size=(n, d))


def mixed(n, seed=0):
    """Real, heavy-tailed, few levels, constant."""
    rng = np.random.RandomState(seed)
    return np.stack([rng.normal(size=n), rng.standard_t(2, size=n), rng.randint(0, 4, size=n), np.full(n, 3.0)], axis=1)


def clustered(n=600, d=4, seed=0):
    """A tenth is a cluster, far away."""
    X = rows(n, d, seed)
    X[: n // 10] = 8 + 0.3 * X[: n // 10]
    return X


def loaded(estimator):
    """From a pickle, and from a skops file that names this library's classes alone."""
    dumped = skops.io.dumps(estimator)
    trusted = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("sklatent.") and "_outliers" not in name for name in trusted), trusted
    return pickle.loads(pickle.dumps(estimator)), skops.io.loads(dumped, trusted=trusted)


# -- the forest ------------------------------------------------------------------------------------------------

TABLES = {
    "real": rows(400), "mixed": mixed(300), "fewer than 256": rows(40), "two": rows(2), "three": rows(3, 1),
    "constant": np.ones((20, 3)), "integers": np.random.RandomState(0).randint(-5, 6, size=(500, 3)),
    "wide": rows(30, 80), "timestamps": 1.7e9 + np.random.RandomState(0).permutation(600)[:, np.newaxis],
}  # fmt: skip


def scaled(forest, X):
    return np.clip((X - forest.low_) / np.where(forest.high_ > forest.low_, forest.high_ - forest.low_, 1), -1, 2)


@pytest.mark.parametrize("name", TABLES)
def test_the_forest_is_that_of_scikit_learn(name):
    X = TABLES[name]
    forest = _Forest(random_state=5).fit(X)
    new = np.concatenate([X, X + 0.3, X - 100, X[::-1] * 1.1])
    peer = IsolationForest(random_state=5).fit(scaled(forest, X).astype(np.float32))
    depth = -np.log2(-peer.score_samples(scaled(forest, new).astype(np.float32)))
    assert_allclose(forest.score_samples(new), depth, rtol=1e-12, atol=1e-12)
    parts = forest.score_features(new)
    assert parts.shape == new.shape
    assert_allclose(parts.sum(axis=1), depth, rtol=1e-11, atol=1e-12)


def mean_path(n):
    return 0.0 if n < 2 else 1.0 if n == 2 else 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n


def depths(tree, node=0, level=0):
    """For each node the mean depth of the rows of fit below it, leaves of many rows counted as Liu et al. do."""
    n, left, right = tree.n_node_samples, tree.children_left[node], tree.children_right[node]
    if left < 0:
        return {node: level + mean_path(n[node])}
    below = depths(tree, left, level + 1) | depths(tree, right, level + 1)
    return below | {node: (n[left] * below[left] + n[right] * below[right]) / n[node]}


def test_contributions_are_those_of_a_walk_down_the_trees():
    X, new = mixed(60), np.concatenate([mixed(10, seed=1), [[9.0, -50.0, 7.0, 2.0]]])
    forest = _Forest(random_state=2).fit(X)
    U, peer = scaled(forest, new).astype(np.float32), IsolationForest(random_state=2).fit(scaled(forest, X))
    expected = np.zeros(new.shape)
    for tree in (one.tree_ for one in peer.estimators_):
        mean = depths(tree)
        for i, u in enumerate(U):
            node = 0
            expected[i] += mean[0] / new.shape[1]
            while tree.children_left[node] >= 0:
                feature, above = tree.feature[node], mean[node]
                children = tree.children_left if u[feature] <= tree.threshold[node] else tree.children_right
                node = children[node]
                expected[i, feature] += mean[node] - above
    assert_allclose(forest.score_features(new), expected / (100 * mean_path(60)), rtol=1e-10, atol=1e-12)
    assert_allclose(forest.score_features(new)[:, 3], forest.score_features(X)[0, 3])  # no cut is in a constant


def test_chunks_of_rows_change_nothing_and_a_file_is_small():
    forest = _Forest(random_state=0).fit(rows(3000, 20))
    new = rows(5000, 20, seed=1)
    assert_array_equal(forest.score_samples(new)[4000:], forest.score_samples(new[4000:]))
    assert_array_equal(forest.score_features(new)[4090:4100], forest.score_features(new[4090:4100]))
    assert len(pickle.dumps(forest)) < 1e6


def test_timestamps_are_told_apart():
    seconds = np.r_[np.arange(300.0), 400 + np.arange(300.0)][:, np.newaxis]
    forest = _Forest(random_state=0).fit(1.7e9 + seconds)
    assert_allclose(forest.score_samples(1.7e9 + seconds), _Forest(random_state=0).fit(seconds).score_samples(seconds))
    assert len(np.unique(forest.score_samples(1.7e9 + seconds[:300:20]))) > 10


# -- levels, bins, tails, normal scores ------------------------------------------------------------------------


def test_levels_sum_to_one_and_a_new_one_is_half_a_row():
    x = np.random.RandomState(0).choice([-1.0, 0.0, 2.5], p=[0.1, 0.3, 0.6], size=200)[:, np.newaxis]
    scores = _Marginals().fit(x).score_samples([[-1.0], [0.0], [2.5], [1.0], [9.0], [-9.0]])
    assert_allclose(np.exp(scores[:3]), [(x == level).mean() for level in (-1, 0, 2.5)])
    assert_allclose(np.exp(scores[:3]).sum(), 1)
    assert_allclose(np.exp(scores[3:]), 1 / 400)


@pytest.mark.parametrize(("shift", "factor"), [(0.0, 1.0), (1.7e9, 100.0), (-5.0, 1e-200), (0.0, 1e200)])
def test_bins_integrate_to_one_over_the_range_whatever_its_scale(shift, factor):
    u = np.sort(np.random.RandomState(0).exponential(size=(500, 1)), axis=0)
    x = shift * factor + factor * u
    density = _Marginals().fit(x)
    grid = np.linspace(x.min(), x.max(), 200_001)[:-1, np.newaxis]
    assert_allclose(np.exp(density.score_samples(grid)).mean(), 1 + 16 / 1000, rtol=2e-3)  # c + 1/2 of 500 in 16 bins
    lowest = density.score_samples(grid).min()
    beyond = density.score_samples([x[0] - 0.1 * factor, x[-1] + 0.1 * factor])
    assert_allclose(beyond, min(lowest, -np.log(1000)))


def test_few_and_many_levels():
    """Up to ten, or a fiftieth of the rows, are levels; a feature of more, bins."""
    n = 1000
    for n_levels, are_levels in ((10, True), (20, True), (21, False)):
        x = np.r_[np.arange(n_levels), np.zeros(n - n_levels)][:, np.newaxis]
        score = _Marginals().fit(x).score_samples([[n_levels - 1.0], [0.5], [0.0]])
        assert (score[0] == np.log(1 / n)) == are_levels
        assert (score[1] == -np.log(2 * n)) == are_levels


def test_tails_count_rows_on_the_nearer_side():
    X, new = mixed(50), np.concatenate([mixed(20, seed=1), mixed(50)[:10], [[99.0, -99.0, 1.0, 3.0]]])
    expected = [
        [np.log((1 + min((X[:, j] <= v).sum(), (X[:, j] >= v).sum())) / 51) for j, v in enumerate(row)] for row in new
    ]
    assert_allclose(_Tails().fit(X).score_features(new), expected)


@pytest.mark.parametrize("n", [2, 3, 7, 30, 49, 50, 99, 1000])
def test_normal_scores_are_quantiles_of_middle_ranks(n):
    X = np.stack([rows(n, 1, seed=n)[:, 0], np.sort(np.arange(n) % 3), np.repeat([0.1, 0.7], n)[::2]], axis=1)
    expected = norm.ppf((rankdata(X, axis=0) - 1) / (n - 1)).clip(-4, 4)
    assert_allclose(_NormalScores().fit(X).transform(X), expected, atol=1e-9)


def test_normal_scores_rise_are_clipped_and_need_few_quantiles():
    X, grid = rows(20_000, 1), np.linspace(-6, 6, 500)[:, np.newaxis]
    scores = _NormalScores().fit(X).transform(grid)[:, 0]
    assert (np.diff(scores) >= 0).all()
    assert (scores[0], scores[-1]) == (-4, 4)
    near = np.abs(grid[:, 0]) < 2
    assert_allclose(scores[near], grid[near, 0], atol=0.06)
    assert_array_equal(_NormalScores().fit(np.full((9, 1), 2.0)).transform([[2.0], [1.0], [3.0]])[:, 0], [0, -4, 4])


@HUGE
@pytest.mark.parametrize("kind", [_Marginals, _Tails, _Forest, _NormalScores, NeighborsDensity, _TablePool])
def test_nothing_overflows(kind):
    X = rows(200)
    X[:3] = [[1e308, -1e308, 1e300, 0], [-1e308, 1e308, 1e300, 1], [1e308] * 4]
    new = np.concatenate([X[:6], np.full((1, 4), 1.7e308), np.full((1, 4), -1.7e308), np.full((1, 4), 5e-324)])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=RuntimeWarning)
        warnings.filterwarnings("ignore", "invalid value encountered in reduce")
        apart = np.concatenate([1e-8 * rows(1200), np.full((1, 4), 1e308)])
        far = 1.7e308 * np.random.RandomState(0).uniform(-1, 1, size=(1500, 4))
        for table in (X, rows(200), 1e-110 * rows(200), apart, far):
            fitted = kind().fit(table)
            scores = fitted.transform(new) if kind is _NormalScores else fitted.score_features(new)
            assert np.isfinite(scores).all()
            if kind is not _NormalScores:
                assert_allclose(fitted.score_samples(new), scores.sum(axis=1), rtol=1e-9, atol=1e-9)


# -- the pool --------------------------------------------------------------------------------------------------


def test_the_tail_by_hand():
    assert tail(np.arange(101.0)) == (50 - 2) / (75 - 25)
    scores = np.r_[-100.0, -90.0, np.arange(99.0)]
    assert_allclose(tail(scores), (48 - 0) / 50)  # the lowest fiftieth begins at the third of 101
    assert tail(np.zeros(9)) == 0


def test_cores_where_a_tenth_is_elsewhere_and_ranks_where_nothing_is():
    always = ["rows", "marginals", "forest"]
    for seed in range(2):
        apart, plain = clustered(seed=seed), rows(600, 2, seed)
        pool = _TablePool(random_state=seed).fit(apart)
        assert list(pool.members_) == [*always, "core", "most"]
        for name, share in (("core", 0.5), ("most", 0.8)):
            assert not pool.members_[name].support_[:60].any()
            assert pool.members_[name].support_.sum() == share * 600
        assert list(_TablePool(random_state=seed).fit(plain).members_) == [*always, "ranks", "tails"]
        few = NeighborsDensity(support_fraction=0.5, random_state=seed)
        heavy = [tail(leaving_one_out(few.fit(X)).score_samples(X)) for X in (apart, plain)]
        assert heavy[0] > HEAVY > heavy[1]


@pytest.mark.parametrize(
    "X",
    [rows(600), clustered(), mixed(300), rows(20, 60), rows(2), np.ones((50, 3)), np.r_[np.zeros((400, 4)), rows(99)]],
    ids=["normal", "clustered", "mixed", "wide", "two", "constant", "copies"],
)  # fmt: skip
def test_the_pool_adds_up_takes_rows_one_by_one_and_comes_back_from_files(X):
    new = np.concatenate([X[:20], X[:20] + 0.7, 50 * X[:5] - 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pool = _TablePool(random_state=1).fit(X)
        scores = pool.score_samples(new)
    assert np.isfinite(scores).all()
    assert_allclose(pool.score_features(new).sum(axis=1), scores, rtol=1e-9, atol=1e-9)
    for i in range(0, len(new), 7):
        assert_allclose(pool.score_samples(new[[i]]), scores[i], atol=1e-12)
    assert_array_equal(_TablePool(random_state=1).fit(X).score_samples(new), scores)
    for other in loaded(pool):
        assert_array_equal(other.score_samples(new), scores)
        assert_array_equal(leaving_one_out(other).score_samples(X), leaving_one_out(pool).score_samples(X))


def test_the_pool_is_the_mean_log_p_value_of_its_members():
    """Of the rows of ``fit``, each left out of its own neighbours: at the scores of these the ranks are exact."""
    X = rows(300)
    pool = _TablePool(random_state=0).fit(X)
    order = np.argsort(leaving_one_out(pool).score_samples(X))
    each = np.stack([leaving_one_out(one).score_samples(X) for one in pool.members_.values()], axis=1)
    log_p = np.log((1 + np.minimum(rankdata(each.round(9), method="max", axis=0), 300)) / 301).mean(axis=1)
    assert_allclose(np.ptp(leaving_one_out(pool).score_samples(X) - log_p), 0, atol=1e-6)
    assert_array_equal(np.argsort(log_p)[:5], order[:5])


def test_rows_of_fit_score_as_new_ones_only_if_left_out():
    X, new = rows(1500, 6), rows(1500, 6, seed=1)
    pool = _TablePool(random_state=0).fit(X)
    twin = leaving_one_out(pool)
    assert ks_2samp(twin.score_samples(X), pool.score_samples(new)).pvalue > 0.01
    assert ks_2samp(pool.score_samples(X), pool.score_samples(new)).pvalue < 1e-10
    assert_array_equal(twin.score_samples(new), pool.score_samples(new))


# -- rows that are looked at -----------------------------------------------------------------------------------


def test_max_samples_is_the_fit_on_these_rows_alone():
    X, new = rows(900), rows(50, seed=1)
    some = NeighborsDensity(max_samples=400, random_state=3).fit(X)
    assert some.support_.shape == (900,)
    assert some.support_.sum() == 400
    alone = NeighborsDensity().fit(X[some.support_])
    assert_allclose(some.score_samples(new), alone.score_samples(new), rtol=1e-12)
    assert_allclose(some.score_features(new), alone.score_features(new), rtol=1e-12)
    assert NeighborsDensity(support_fraction=0.6, max_samples=400, random_state=3).fit(X).support_.sum() == 240
    others = [NeighborsDensity(max_samples=400, random_state=seed).fit(X).support_ for seed in (3, 4)]
    assert_array_equal(others[0], some.support_)
    assert (others[1] != some.support_).any()
    every = NeighborsDensity(support_fraction=0.5, random_state=0).fit(X)
    for most in (900, 5000):
        same = NeighborsDensity(support_fraction=0.5, max_samples=most, random_state=0).fit(X)
        assert_array_equal(same.score_samples(new), every.score_samples(new))
    assert NeighborsDensity().fit(rows(5001, 1)).support_.sum() == 5000


@pytest.mark.parametrize("X", [mixed(100), 1e200 * rows(30), 1e-110 * rows(30), np.ones((9, 2)), rows(4, 900)])
def test_both_ways_to_a_score_of_neighbours_agree(X):
    density = NeighborsDensity().fit(X)
    new = np.concatenate([X, 1.5 * X, X[:3] + 1])
    assert_allclose(density.score_features(new).sum(axis=1), density.score_samples(new), rtol=1e-9)


def test_neighbours_do_not_mind_the_unit_however_small():
    X, new = rows(100), rows(20, seed=1)
    shift = NeighborsDensity().fit(X).score_samples(new) - NeighborsDensity().fit(1e-110 * X).score_samples(
        1e-110 * new
    )
    assert_allclose(shift, 4 * np.log(1e-110))
