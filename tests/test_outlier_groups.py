"""What was drawn as one, copies of a row or a given group, lies on one side of the split, and p-values stay valid."""

import warnings

import numpy as np
import pandas as pd
import pytest
from common_outlier import Given, Normals, X, frozen, rows
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import DensityOutlierDetector, HistogramDensity, NeighborsDensity
from sklatent._outliers.units import Units, group_keys, row_keys


class Known(Given):
    """Remembers its rows, and finds strange what is far from the nearest."""

    def fit(self, X, y=None):
        self.known_ = np.empty((0, np.shape(X)[1]))
        return self.partial_fit(X)

    def partial_fit(self, X, y=None):
        self.known_ = np.unique(np.vstack([getattr(self, "known_", np.empty((0, X.shape[1]))), X]), axis=0)
        return self

    def score_samples(self, X):
        return -np.linalg.norm(np.asarray(X)[:, np.newaxis] - self.known_, axis=2).min(axis=1)


def rate(fits, level=0.05):
    """The mean over (detector, new rows) of the share flagged, and its standard error."""
    shares = [(detector.p_values(new) <= level).mean() for detector, new in fits]
    return np.mean(shares), np.std(shares) / np.sqrt(len(shares))


# -- rows that are equal ---------------------------------------------------------------------------------------


POOL = [("near", NeighborsDensity(1)), ("marginals", HistogramDensity())]  # of which half of the kept rows learn


@pytest.mark.parametrize("n_copies", [1, 2, 5, 20])
@pytest.mark.parametrize("how", ["fit", "recalibrate", "pool"])
def test_copies_of_rows_do_not_raise_the_false_alarm_rate(n_copies, how):
    """100 different rows calibrate, each as often as the others: exactly 5 / 101."""
    fits = []
    for seed in range(40):
        rng, estimator = np.random.RandomState(seed), POOL if how == "pool" else POOL[0][1]
        detector = DensityOutlierDetector(estimator, calibration_size=200 if how == "pool" else 100, random_state=seed)
        detector.fit(rng.permutation(np.repeat(rows(500, seed=seed), n_copies, axis=0)))
        if how == "recalibrate":
            detector.recalibrate(rng.permutation(np.repeat(rows(100, seed=1000 + seed), n_copies, axis=0)))
        fits.append((detector, rows(200, seed=2000 + seed)))
    assert detector.calibrated_
    assert len(detector.calibration_scores_) == 100 * n_copies
    mean, error = rate(fits)
    assert abs(mean - 5 / 101) < 3 * error


def test_copies_are_on_one_side():
    old = np.repeat(X[:500], np.random.RandomState(0).randint(1, 5, size=500), axis=0)
    detector = DensityOutlierDetector(Known(), random_state=0).fit(old)
    assert len(detector.estimators_[0].known_) == 400
    assert (detector.calibration_scores_ < 0).all(), "no row that calibrates is known"


def test_rows_seen_most_often_are_trained_on():
    """One row in three is the same: among the kept rows it would have half of the ranks, in one fit of five."""
    fits, blank = [], []
    for seed in range(60):
        old, new = rows(500, seed=seed), rows(200, seed=1000 + seed)
        old = np.random.RandomState(seed).permutation(np.vstack([old, np.repeat(old[:1], 250, axis=0)]))
        detector = DensityOutlierDetector(NeighborsDensity(1), calibration_size=100, random_state=seed).fit(old)
        assert len(detector.calibration_scores_) == 100
        fits.append((detector, new))
        blank.append(detector.predict(rows(1, seed=seed))[0])
    mean, error = rate(fits)
    assert abs(mean - 5 / 101) < 3 * error
    assert blank == [1] * 60


def test_p_values_count_the_share_of_all_copies_and_the_number_of_different_rows():
    scores = np.array([1.0, 1, 1, 2, 3, 3, 4, 4, 4, 4])[:, np.newaxis]  # n = 10, m = 4
    detector = DensityOutlierDetector(FrozenEstimator(Given().fit(scores)), contamination=0.4).fit(scores)
    new = np.array([[0.5], [1], [2], [3], [5]])
    expected = (1 + 4 * np.array([0, 3, 4, 6, 10]) / 10) / 5
    assert_allclose(detector.p_values(new), expected)
    assert_array_equal(detector.predict(new) == -1, expected <= 0.4)
    detector.fit(scores, groups=np.arange(10))
    assert_allclose(detector.p_values(new), (1 + np.array([0, 3, 4, 6, 10])) / 11)


def test_ties_make_p_values_too_large_never_too_small():
    """Rows drawn independently from ten values, with and without a word that each is a draw of its own."""
    for groups in (None, np.arange(200)):
        fits = []
        for seed in range(100):
            old, new = (np.random.RandomState(s).binomial(9, 0.5, size=(200, 1)) for s in (seed, 1000 + seed))
            detector = DensityOutlierDetector(FrozenEstimator(Given().fit(old)), contamination=0.2)
            fits.append((detector.fit(old, groups=groups), new))
        for level in (0.1, 0.2, 0.5):
            mean, error = rate(fits, level)
            assert mean < level + 3 * error
        assert mean < 0.5 - 0.1, "of ten values, 0 to 3 have .25 together, and 0 to 4 half"


CELLS = np.random.RandomState(0).randint(0, 3, size=(1000, 3)).astype(float)


def test_a_table_of_few_categories_says_what_to_do():
    detector = DensityOutlierDetector(Normals(), random_state=0)
    message = (
        r"Only 27 of 1000 rows are different, and each calibrates once. If equal rows were drawn independently, pass "
        r"groups=np.arange\(len\(X\)\)"
    )
    with pytest.warns(UserWarning, match=message):
        assert 19 <= len(detector.fit(CELLS).calibration_scores_) <= 27
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert detector.fit(CELLS, groups=np.arange(1000)).calibrated_
    assert len(detector.calibration_scores_) == 200
    new = np.random.RandomState(1).randint(0, 3, size=(1000, 3)).astype(float)
    assert (detector.predict(new) == -1).mean() < 0.05 + 3.5 * np.sqrt(0.05 * 0.95 * (1 / 200 + 1 / 1000))
    with pytest.raises(ValueError, match=r"12 of 12 different rows calibrate.* takes 19. Pass 19 different rows or"):
        detector.recalibrate(np.repeat(X[:12], 10, axis=0))


# -- groups that are given -------------------------------------------------------------------------------------


def grouped(n_groups, seed, *, largest=30):
    """Groups of very unequal size; rows are near their group's centre, so that a group known is a row known."""
    rng = np.random.RandomState(seed)
    groups = rng.permutation(np.repeat(np.arange(n_groups), 1 + (largest * rng.rand(n_groups) ** 4).astype(int)))
    return rng.normal(size=(n_groups, 3))[groups] + 0.01 * rng.normal(size=(len(groups), 3)), groups


@pytest.mark.parametrize("how", ["fit", "recalibrate"])
def test_p_values_hold_for_a_row_of_a_new_group(how):
    fits, blind = [], []
    for seed in range(60):
        old, groups = grouped(500, seed)
        new = np.random.RandomState(5000 + seed).normal(size=(200, 3))
        detector = DensityOutlierDetector(NeighborsDensity(1), calibration_size=100, random_state=seed)
        if how == "fit":
            blind.append((DensityOutlierDetector(NeighborsDensity(1), random_state=seed).fit(old), new))
            detector.fit(old, groups=groups)
        else:
            fresh, labels = grouped(100, 1000 + seed)
            detector.fit(new + 0.0).recalibrate(fresh, groups=labels)
            new = np.random.RandomState(9000 + seed).normal(size=(200, 3))
        fits.append((detector, new))
    assert len(detector.calibration_scores_) == 100, "one row of each group"
    mean, error = rate(fits)
    assert abs(mean - 5 / 101) < 3 * error
    assert not blind or rate(blind)[0] > 0.2


@pytest.mark.parametrize("kind", [np.asarray, lambda g: np.char.add("patient ", g.astype(str)), list, pd.Series])
def test_groups_stay_together_whatever_names_them(kind):
    old, groups = grouped(500, 0)
    detector = DensityOutlierDetector(Known(), random_state=0).fit(old, groups=kind(groups))
    known = (old[:, np.newaxis] == detector.estimators_[0].known_).all(axis=2).any(axis=1)
    assert not np.isin(groups[known], groups[~known]).any()
    assert len(np.unique(groups[~known])) == len(detector.calibration_scores_) == 100
    other = DensityOutlierDetector(Known(), random_state=0).fit(old, groups=groups)
    assert_array_equal(other.calibration_scores_, detector.calibration_scores_)


def test_a_score_learns_from_other_groups_than_those_that_calibrate():
    old, groups = grouped(600, 0)
    detector = DensityOutlierDetector(Normals(), method="fisher", calibration_size=0.5, random_state=0)
    detector.fit(old, groups=groups)
    reference = detector._score_.ranks_[0].knots_
    assert len(reference) == len(detector.calibration_scores_) == 150

    copies = Units.of(np.repeat(X[:101], 3, axis=0)).shuffled(np.random.RandomState(0), one_each=False)
    first, second = copies.halves()
    assert (len(first.keys), len(second.keys)) == (150, 153)
    assert not np.isin(first.keys, second.keys).any()


def test_groups_go_through_scikit_learn_s_verbs():
    old, groups = grouped(600, 0)
    detector = DensityOutlierDetector(Normals(), random_state=0)
    flags = detector.fit_predict(old, groups=groups)
    assert_array_equal(flags, detector.fit(old, groups=groups).predict(old))
    pipeline = make_pipeline(FrozenEstimator(StandardScaler().fit(old)), detector)
    pipeline.fit(old, densityoutlierdetector__groups=groups)
    assert len(detector.calibration_scores_) == 120


def test_too_few_groups_are_counted_as_groups():
    old, groups = grouped(18, 0)
    detector = DensityOutlierDetector(Normals(), random_state=0)
    message = f"Of {len(old)} rows in 18 groups, too few calibrate even in turn: .* 0.05 takes 19.* Pass more groups or"
    with pytest.warns(UserWarning, match=message) as caught:
        assert not detector.fit(old, groups=groups).calibrated_
    assert "arange" not in str(caught[0].message)
    with pytest.raises(ValueError, match=r"18 of 18 groups calibrate, .* Pass 19 groups or more"):
        detector.recalibrate(X, groups=np.arange(1000) % 18)
    assert detector.recalibrate(X, groups=np.arange(1000) % 19).calibrated_


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(999), r"groups has shape \(999,\), but X has 1000 rows. Pass one label for each row"),
        (
            np.r_[np.nan, np.arange(999)],
            r"groups is missing \(NaN or None\) for 1 of 1000 rows, the first of them row 0",
        ),
        (["a", None] * 500, r"groups is missing \(NaN or None\) for 500 of 1000 rows, the first of them row 1"),
        (pd.array([1, None] * 500), r"groups is missing .* for 500 of 1000 rows"),
        (np.array(["2020-01-01", "NaT"] * 500, dtype="M8[D]"), r"groups is missing .* for 500 of 1000 rows"),
        (np.full(1000, "one"), "groups is one group only"),
        (np.zeros((1000, 2)), r"groups has shape \(1000, 2\)"),
        (pd.Series(["a", pd.NA] * 500), r"groups is missing .* for 500 of 1000 rows"),
    ],
)
@pytest.mark.parametrize("verb", ["fit", "recalibrate"])
def test_bad_groups(groups, message, verb):
    detector = DensityOutlierDetector(Normals(), random_state=0)
    if verb == "recalibrate":
        ranks = detector.fit(X).calibration_scores_
        message = message.replace("groups is one group only", "1 of 1 groups calibrate")
    with pytest.raises(ValueError, match=message):
        getattr(detector, verb)(X, groups=groups)
    if verb == "fit":
        with pytest.raises(NotFittedError):
            detector.predict(X)
    else:
        assert_array_equal(detector.calibration_scores_, ranks)


# -- streams ---------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Of .* rows")
def test_rows_and_groups_that_come_back_stay_on_their_side():
    old, groups = grouped(300, 0)
    for labels in (None, groups):
        detector = DensityOutlierDetector(Known(), random_state=0)
        four_times = np.tile(np.random.RandomState(0).permutation(len(old)), 4)
        for batch in np.array_split(four_times, 20):
            detector.partial_fit(old[batch], groups=None if labels is None else labels[batch])
        known = (old[:, np.newaxis] == detector.estimators_[0].known_).all(axis=2).any(axis=1)
        units = np.arange(len(old)) if labels is None else labels
        assert 0.1 < 1 - known.mean() < 0.3
        assert not np.isin(units[known], units[~known]).any()
        assert detector.calibrated_ == (labels is None), "some sixty groups are kept apart, however often they come"
        if labels is None:
            assert (detector.calibration_scores_ < 0).all()
        else:
            assert len(np.unique(detector._waiting_[1])) == len(np.unique(groups[~known]))


@pytest.mark.filterwarnings("ignore:Of 1 rows")
def test_a_batch_that_is_kept_apart_as_a_whole_trains_nothing():
    detector = DensityOutlierDetector(Known(), random_state=0).partial_fit(X)
    sides = []
    for i in range(30):
        before = len(detector.estimators_[0].known_)
        detector.partial_fit(X[:3] + i + 1, groups=np.full(3, i))
        sides.append(len(detector.estimators_[0].known_) - before)
    assert sorted(set(sides)) == [0, 3]
    assert 1 <= sides.count(0) <= 13
    assert detector.calibrated_
    assert len(DensityOutlierDetector(Known(), calibration_size=0.99).partial_fit(X[:1]).estimators_[0].known_) == 1


# -- keys ------------------------------------------------------------------------------------------------------


def test_keys_are_of_values_whatever_holds_them(tmp_path):
    whole = np.random.RandomState(0).randint(0, 4, size=(3000, 5))
    keys = row_keys(whole)
    _, index = np.unique(whole, axis=0, return_inverse=True)
    _, by_key = np.unique(keys, return_inverse=True)
    pairs = set(zip(index.ravel().tolist(), by_key.tolist(), strict=True))
    assert len(pairs) == len(np.unique(index)) == len(np.unique(keys)) > 900
    np.save(tmp_path / "rows.npy", whole.astype(np.float32))
    others = [
        whole.astype(np.uint8), np.asfortranarray(whole, dtype=float), -1.0 * -whole, coo_array(whole).tocsr(),
        np.load(tmp_path / "rows.npy", mmap_mode="r"), pd.DataFrame(whole), pd.DataFrame(whole).astype({0: "Int64"}),
        np.where(whole == 0, -0.0, whole),
    ]  # fmt: skip
    for other in others:
        assert_array_equal(row_keys(other), keys)
    frame = pd.DataFrame(whole).assign(word=np.where(whole[:, 0] > 1, "up", "down"))
    assert len(np.unique(row_keys(frame))) == len(np.unique(keys))
    assert len(np.unique(row_keys(frame.assign(word=np.arange(3000).astype(str))))) == 3000
    cells = pd.DataFrame({"any": [[1], [1], {"a": 2}, None, "x", "x"], "kind": pd.Categorical(list("aabbcc"))})
    assert len(np.unique(row_keys(cells))) == 4


def test_rows_that_nearly_agree_have_different_keys():
    real = rows(20_000, d=3)
    near = [real, np.nextafter(real, 9), real[:, ::-1], real * [1, 1, 2], real + np.eye(3)[0], real * [1, 1, 0]]
    assert len(np.unique(np.concatenate([row_keys(Z) for Z in near]))) == 6 * 20_000
    missing = np.where(np.random.RandomState(0).rand(1000, 12) < 0.5, np.nan, 1.0)
    assert len(np.unique(row_keys(missing))) == len(np.unique(np.isnan(missing), axis=0))
    assert len(np.unique(group_keys(np.arange(50_000), 50_000))) == 50_000


# -- decision_function -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_infinite", [1, 5, 20, 100])
def test_a_decision_is_finite_or_minus_infinity_and_agrees_with_predict(n_infinite):
    scores = np.arange(1.0, 101.0)[:, np.newaxis]
    scores[:n_infinite] = -np.inf
    detector = DensityOutlierDetector(FrozenEstimator(Given().fit(scores[-1:])), contamination=0.05)
    detector.fit(np.where(np.isinf(scores), -np.inf, scores), groups=np.arange(100))
    assert np.isinf(detector.offset_) == (n_infinite >= 5)
    new = np.array([-np.inf, -1e308, -3.0, 20.5, 21.0, 50.0, 1e308])[:, np.newaxis]
    decision = detector.decision_function(new)
    assert not np.isnan(decision).any()
    assert (decision < np.inf).all()
    assert (np.diff(decision) >= 0).all()
    assert_array_equal(decision < 0, detector.p_values(new) <= 0.05)
    assert_array_equal(decision < 0, detector.predict(new) == -1)
    if n_infinite == 20:
        assert_array_equal(decision[:6], [0, 0, 0, 0, 0, 29]), "above 21, the lowest that calibrated and is finite"


def test_a_row_possible_to_the_density_but_not_to_the_background_has_a_finite_decision():
    class Never(Given):
        def score_samples(self, X):
            return np.where(np.asarray(X)[:, 0] > 3, -np.inf, 0.0)

    detector = frozen("ratio").set_params(background=FrozenEstimator(Never().fit(X))).fit(X)
    decision = detector.decision_function([[4.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert np.isfinite(decision).all()
    assert decision[0] > decision[1] > 0
