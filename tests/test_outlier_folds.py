"""Where rows are too few to keep any apart, all calibrate in turn; answers, tails, many tests at once."""

import pickle
import warnings

import numpy as np
import pytest
from common_outlier import POOL, Given, Normals, X, frozen, rows
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from sklatent import DensityOutlierDetector, MADEDensity, NeighborsDensity
from sklatent._outliers.folds import position
from sklatent._outliers.units import Units

FEW = X[:100]
LIST = [("normals", Normals()), ("kernel", KernelDensity())]


def folded(estimator=None, n=100, **params):
    detector = DensityOutlierDetector(estimator or Normals(), random_state=0, **params)
    return detector.fit(X[:n])


# -- ranks -----------------------------------------------------------------------------------------------------


def test_positions_are_counted_and_rise_in_between():
    knots = np.array([-np.inf, 1.0, 2.0, 2.0, 5.0])
    scores = np.array([-np.inf, -1e300, -7.0, 0.99, 1.0, 1.5, 2.0, 3.0, 4.9, 5.0, 6.0, 1e300])
    count, fraction = position(knots, scores)
    assert_array_equal(count, [(knots <= score).sum() for score in scores])
    assert_allclose(fraction[[5, 7, 8]], [0.5, 1 / 3, 2.9 / 3])
    assert ((fraction > 0) & (fraction < 1)).all()
    assert (np.diff(count + fraction) > 0).sum() == len(scores) - 2  # -1e300 and 1e300 are at the ends
    for empty in (np.empty(0), np.full(3, -np.inf), np.full(3, 2.0)):
        count, fraction = position(empty, scores)
        assert_array_equal(count, [(empty <= score).sum() for score in scores])
        assert ((fraction > 0) & (fraction < 1)).all()


@pytest.mark.parametrize("estimator", [Normals(), LIST, NeighborsDensity(1)], ids=["one", "list", "neighbors"])
def test_p_values_are_the_cross_conformal_ones(estimator):
    """Counted from the folds, each by the densities of the others."""
    detector = DensityOutlierDetector(estimator, random_state=0).fit(FEW)
    units, new = Units.of(FEW), rows(60, seed=1)
    folds = [fold.X for _, fold in units.folds(0.2, detector._seed_)]
    assert len(folds) == len(detector._score_.scores) == 5
    assert_array_equal(np.sort(np.vstack(folds), axis=0), np.sort(FEW, axis=0))
    count = 0
    for score, fold in zip(detector._score_.scores, folds, strict=True):
        count = count + (score.score_samples(fold) <= score.score_samples(new)[:, np.newaxis]).sum(axis=1)
    assert_allclose(detector.p_values(new), (1 + count) / 101)
    assert len(detector.calibration_scores_) == 100
    if isinstance(estimator, Normals):
        for density, (rest, _) in zip(detector.estimators_, units.folds(0.2, detector._seed_), strict=True):
            assert_allclose(density.mean_, rest.X.mean(axis=0))


@pytest.mark.parametrize(("size", "n_folds"), [(0.2, 5), (0.5, 2), (0.9, 2), (0.1, 10), (25, 4), (1, 30)])
def test_calibration_size_is_that_of_a_fold(size, n_folds):
    n = 30 if size == 1 else 100
    detector = folded(n=n, calibration_size=size)
    assert len(detector.estimators_) == n_folds
    assert len(detector.calibration_scores_) == n


@pytest.mark.parametrize("level", [0.05, 0.1, 1 / 3])
def test_predict_is_the_p_value_at_the_level_and_the_score_refines_it(level):
    detector = folded(contamination=level)
    new = np.vstack([rows(300, seed=1), 3 * rows(300, seed=2)])
    p, scores = detector.p_values(new), detector.score_samples(new)
    assert_array_equal(detector.predict(new) == -1, p <= level)
    assert_array_equal(detector.decision_function(new) < 0, p <= level)
    assert (np.diff(p[np.argsort(scores)]) >= 0).all()
    assert len(np.unique(scores)) == 600
    assert (np.exp(scores) >= p).all()
    assert (np.exp(scores) <= p + 1 / 101).all()


@pytest.mark.parametrize("how", ["one", "list", "neighbors", "made"])
@pytest.mark.filterwarnings("ignore")
def test_false_alarms_with_few_rows(how):
    """At most 2 a + ... is proved; in practice about a. A MADE of 100 rows, ranked among these, has .3."""
    made = MADEDensity(hidden_layer_sizes=(16,), max_iter=10)
    estimator = {"one": GaussianMixture(3), "list": LIST, "neighbors": NeighborsDensity(1), "made": made}[how]
    rates = []
    for seed in range(5 if how == "made" else 60):
        detector = DensityOutlierDetector(estimator, random_state=seed).fit(rows(100, seed=seed))
        rates.append((detector.predict(rows(400, seed=1000 + seed)) == -1).mean())
    error = np.std(rates, ddof=1) / np.sqrt(len(rates))
    assert 0.02 < np.mean(rates) < 0.05 + 3 * error
    assert np.mean(rates) < 0.075


# -- rows of fit -----------------------------------------------------------------------------------------------


def test_a_row_of_fit_is_ranked_among_the_others_by_densities_that_have_not_seen_it():
    detector = folded(NeighborsDensity(1), contamination=0.1)
    own, fold_of = np.empty(100), np.empty(100, dtype=int)
    for k, (score, (_, fold)) in enumerate(
        zip(detector._score_.scores, Units.of(FEW).folds(0.2, detector._seed_), strict=True)
    ):
        own[fold.rows], fold_of[fold.rows] = score.score_samples(fold.X), k
    others = np.array([(np.delete(own, i) <= own[i]).sum() for i in range(100)])
    assert_allclose(detector.p_values(FEW), (1 + others) / 101)
    assert (detector.fit_predict(FEW) == -1).sum() == 10
    shuffled = np.random.RandomState(1).permutation(100)[:30]
    assert_array_equal(detector.score_samples(FEW[shuffled]), detector.score_samples(FEW)[shuffled])
    assert (detector.p_values(FEW + 1e-12) > detector.p_values(FEW)).mean() > 0.5, (
        "a near copy was seen by four of five"
    )


def test_equal_rows_and_groups_are_in_one_fold_and_calibrate_once():
    twice = np.random.RandomState(0).permutation(np.repeat(rows(60), 2, axis=0))
    detector = DensityOutlierDetector(NeighborsDensity(1), random_state=0).fit(twice)
    assert len(detector.calibration_scores_) == 60
    new = rows(500, seed=1)
    assert (detector.predict(new) == -1).mean() < 0.1
    groups = np.arange(300) % 75
    detector = DensityOutlierDetector(Normals(), random_state=0).fit(rows(300), groups=groups)
    assert len(detector.calibration_scores_) == 75
    assert len(np.unique(groups[detector.calibration_indices_])) == 75


def test_false_alarms_where_rows_repeat_by_nature():
    """Rows without a copy calibrate: a new row that was never seen is like these, not like the frequent ones."""
    rates = []
    for seed in range(30):
        draw = np.random.RandomState(seed)
        old, new = (np.round(np.exp(draw.normal(size=(n, 2)))) for n in (300, 2000))
        detector = DensityOutlierDetector(NeighborsDensity(1), random_state=seed).fit(old)
        fresh = ~np.isin(Units.of(new).keys, Units.of(old).keys)
        assert len(detector.calibration_scores_) < 100
        rates.append(((detector.predict(new) == -1).mean(), (detector.predict(new[fresh]) == -1).mean()))
    over_all, over_fresh = np.mean(rates, axis=0)
    assert over_all < 0.05
    assert over_fresh < 0.1


@pytest.mark.parametrize("table", ["constant", "two values", "wide", "ties"])
@pytest.mark.filterwarnings("ignore:Only", "ignore:Of 60 rows")
def test_tables_that_are_hard(table):
    rng = np.random.RandomState(0)
    few = {
        "constant": np.full((60, 2), 3.0), "two values": rng.randint(0, 2, (60, 1)).astype(float),
        "wide": rng.normal(size=(60, 300)), "ties": rng.randint(0, 4, (60, 3)).astype(float),
    }[table]  # fmt: skip
    detector = DensityOutlierDetector(random_state=0).fit(few)
    p = detector.p_values(np.vstack([few, few + 100]))
    assert ((p > 0) & (p <= 1)).all()
    assert np.isfinite(detector.decision_function(few + 100)).all()
    if table != "wide":
        assert (p[:60] <= 0.05).mean() <= 0.1


# -- what is asked of it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator", [None, NeighborsDensity(1), LIST[:1]], ids=["default", "neighbors", "list of one"]
)
def test_contributions_add_up(estimator):
    detector = DensityOutlierDetector(estimator, random_state=0).fit(FEW)
    new = np.vstack([rows(40, seed=1), FEW[:20], [[0.0, 60.0, 0.0]]])
    parts = detector.score_features(new)
    assert_allclose(parts.sum(axis=1), detector.score_samples(new), atol=1e-10)
    assert parts[-1].argmin() == 1


def test_a_file_and_a_recalibration():
    detector, new = folded(LIST), rows(200, seed=3)
    again = pickle.loads(pickle.dumps(detector))
    assert_array_equal(again.p_values(new), detector.p_values(new))
    scores = detector.score_samples(new)
    detector.recalibrate(new)
    assert_array_equal(detector.calibration_scores_, np.sort(scores))
    assert detector.p_values(1e3 * new[:1]) == 1 / 201


def test_partial_fit_goes_on_with_all_folds():
    made = MADEDensity(hidden_layer_sizes=(8,), max_iter=2)
    detector = DensityOutlierDetector(made, random_state=0).fit(FEW)
    levels, before = detector.calibration_scores_, detector.score_samples(rows(5, seed=9))
    detector.partial_fit(rows(300, seed=1))
    assert_array_equal(detector.calibration_scores_, levels)
    assert (detector.score_samples(rows(5, seed=9)) != before).any()
    detector.partial_fit(rows(300, seed=2))
    assert 99 <= len(detector.calibration_scores_) < 150
    assert detector.calibrated_


# -- answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [100, 1000])
def test_confirmed_outliers_leave_the_ranks(n):
    """As a calibration without them; the densities stay."""
    dirty = X[:n].copy()
    dirty[: n // 20] += [9.0, 0.0, 0.0]
    detector = DensityOutlierDetector(Given2(), random_state=0).fit(dirty)
    asked = detector.rows_to_label(8)
    assert len(asked) == 8
    assert (np.diff(detector.p_values(dirty[asked])) >= 0).all(), "the strangest first"
    y = np.where(asked < n // 20, -1, 1)
    assert (y == -1).sum() >= 3
    new = np.abs(rows(50, seed=1)) + 2.0
    before, n_before = detector.p_values(new), len(detector.calibration_scores_)
    ranks = np.isin(detector._keys_, Units.of(dirty[asked][y == -1]).keys)
    detector.recalibrate(dirty[asked], y)
    n_left = n_before - ranks.sum()
    assert len(detector.calibration_scores_) == n_left
    strange = before * (n_before + 1) - 1  # how many were as strange; all that left were
    gone = np.array([(dirty[asked][y == -1, 0] >= value).sum() for value in new[:, 0]])
    assert_allclose(detector.p_values(new), (1 + strange - gone) / (n_left + 1))
    left = detector.rows_to_label(n)
    assert not np.isin(asked, left).any()
    assert len(left) == n_left - (y == 1).sum()


class Given2(Given):
    """The higher the first value, the stranger."""

    def score_samples(self, X):
        return -super().score_samples(X)


def test_answers_bring_power_back():
    power = []
    for seed in range(10):
        dirty = np.vstack([rows(900, seed=seed), rows(100, seed=100 + seed) + [6.0, 0.0, 0.0]])
        odd = rows(300, seed=200 + seed) + [6.0, 0.0, 0.0]
        detector = DensityOutlierDetector(Normals(), random_state=seed).fit(dirty)
        power.append([(detector.predict(odd) == -1).mean()])
        asked = detector.rows_to_label(25)
        detector.recalibrate(dirty[asked], np.where(asked >= 900, -1, 1))
        power[-1].append((detector.predict(odd) == -1).mean())
    before, after = np.mean(power, axis=0)
    assert before < 0.4
    assert after > before + 0.3


@pytest.mark.parametrize("n", [100, 1000])
def test_bad_answers(n):
    detector = folded(n=n)
    asked = detector.rows_to_label(10)
    for X_, y, message in (
        (X[asked], np.full(10, 2), r"y has the label 2\. Pass -1 for an outlier, 1 for a normal row"),
        (X[asked] + 1, np.full(10, -1), r"10 of 10 rows do not calibrate, the first of them row 0\. Pass rows that"),
        (X[asked], np.full(9, -1), "inconsistent numbers of samples"),
        (X[detector.calibration_indices_], np.full(len(detector.calibration_indices_), -1), r"0 of \d+ rows calibrate"),
    ):
        before = detector.calibration_scores_
        with pytest.raises(ValueError, match=message):
            detector.recalibrate(X_, y)
        assert_array_equal(detector.calibration_scores_, before)
    assert len(detector.rows_to_label(5000)) == len(detector.calibration_scores_)


def test_rows_of_a_stream_are_gone():
    made = MADEDensity(hidden_layer_sizes=(8,), max_iter=1, random_state=0)
    detector = DensityOutlierDetector(made, random_state=0).partial_fit(X)
    with pytest.raises(ValueError, match="came by partial_fit, and X is gone. Call recalibrate"):
        detector.rows_to_label()
    assert len(detector.recalibrate(X[:200]).rows_to_label()) == 10


# -- tails -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [100, 1000])
def test_a_tail_goes_on_where_ranks_end(n):
    level = 1e-4
    plain, smooth = folded(n=n), folded(n=n, tail="pareto", contamination=level)
    new = np.vstack([rows(200, seed=1), np.outer(np.linspace(1, 30, 200), [1.0, 5.0, 0.2])])
    p, lowest = smooth.p_values(new), 1 / (len(plain.calibration_scores_) + 1)
    ranked = plain.p_values(new)
    assert_array_equal(p[ranked > lowest], ranked[ranked > lowest])
    far = p[200:][ranked[200:] == lowest]
    assert len(far) > 50
    assert (np.diff(far) <= 0).all()
    assert 0 < far[-1] < level < far[0] <= lowest
    assert_array_equal(smooth.predict(new) == -1, p <= level)
    assert (plain.set_params(contamination=level).fit(X[:n]).predict(new) == 1).all() if n == 0 else True


def test_levels_that_ranks_cannot_reach_need_a_tail():
    with pytest.warns(UserWarning, match="a p-value of 0.001 takes 999"):
        assert not folded(n=300, contamination=0.001).calibrated_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert folded(n=300, contamination=0.001, tail="pareto").calibrated_


# -- many tests ------------------------------------------------------------------------------------------------


def test_false_discoveries_are_as_few_as_asked_for():
    false, power = [], []
    for seed in range(40):
        detector = DensityOutlierDetector(Normals(), random_state=seed).fit(rows(4000, seed=seed))
        new = np.vstack([rows(180, seed=1000 + seed), rows(20, seed=2000 + seed) + [5.0, 0, 0]])
        flagged = detector.predict_fdr(new, fdr=0.1) == -1
        false.append(flagged[:180].sum() / max(1, flagged.sum()))
        power.append(flagged[180:].mean())
    assert np.mean(false) < 0.1 + 3 * np.std(false) / np.sqrt(40)
    assert np.mean(power) > 0.8


def test_ranks_that_are_too_coarse_say_how_many_it_takes():
    """One of 200 rows at .1: its p-value must be 1 / 2000."""
    detector = DensityOutlierDetector(Given(), random_state=0).fit(X)
    new = np.vstack([np.abs(rows(199, seed=1)), [[-50.0, 0, 0]]])
    message = r"1 of 200 rows are stranger than all 200 that calibrate, but at fdr=0.1 it takes 1999 of these"
    with pytest.warns(UserWarning, match=message):
        assert (detector.predict_fdr(new) == 1).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (detector.predict_fdr(np.abs(new)) == 1).all(), "nothing strange, and nothing to say"
        enough = frozen("log_likelihood").fit(rows(1999, seed=5))
        new = np.vstack([rows(199, seed=1) / 10, [[50.0, 0, 0]]])
        assert (enough.predict_fdr(new) == -1).nonzero()[0].tolist() == [199]
        by_tail = DensityOutlierDetector(Normals(), tail="pareto", random_state=0).fit(X)
        assert by_tail.predict_fdr(new)[-1] == -1


@pytest.mark.parametrize("fdr", [0, 1, -0.1, 1.5, "0.1", None])
def test_a_false_discovery_rate_out_of_range(fdr):
    with pytest.raises(ValueError, match="must be a number between 0 and 1"):
        folded().predict_fdr(X, fdr=fdr)


# -- streams ---------------------------------------------------------------------------------------------------


def test_old_rows_are_forgotten_beyond_the_horizon():
    made = MADEDensity(hidden_layer_sizes=(8,), max_iter=1, random_state=0)
    detector = DensityOutlierDetector(made, horizon=150, calibration_size=0.5, random_state=0)
    for seed in range(4):
        detector.partial_fit(rows(400, seed=seed))
        assert len(detector.calibration_scores_) == 150
    kept = np.isin(np.random.RandomState(3).normal(size=(400, 3)) * [1.0, 5.0, 0.2], detector._waiting_[0]).all(axis=1)
    assert kept.sum() == 150, "all of the last batch"


def test_frozen_and_listed_forests_calibrate_as_before():
    forest = IsolationForest(n_estimators=10, random_state=0).fit(rows(100, seed=3))
    ready = DensityOutlierDetector(FrozenEstimator(forest)).fit(FEW)
    assert len(ready.calibration_scores_) == 100
    assert len(DensityOutlierDetector(POOL, random_state=0).fit(FEW).calibration_scores_) in (50, 100)
