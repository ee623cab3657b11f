"""What a detector answers beyond scores: what would have to change, and whether a stream still comes as it did."""

import pickle
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import skops.io
from common_outlier import Normals, X, rows
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from sklatent import DensityOutlierDetector
from sklatent._outliers import counterfactuals
from sklatent._outliers.drift import _Drift
from sklatent._outliers.streams import numbers


class Boxed(BaseEstimator):
    """Minus how far each numeric feature is outside of [-1, 1], with a penalty for colours that are not known."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def score_samples(self, X):
        if not hasattr(X, "iloc"):
            return -np.maximum(np.abs(np.asarray(X, dtype=float)) - 1, 0).sum(axis=1) + 0.0
        colours, numbers = (
            X.select_dtypes(exclude=["number", "bool"]),
            X.select_dtypes("number").to_numpy(float, na_value=0),
        )
        return self.score_samples(numbers) - 5.0 * (colours == "pink").to_numpy().sum(axis=1)


class Flat(BaseEstimator):
    """All rows score alike."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def score_samples(self, X):
        return np.zeros(X.shape[0])


class Sums(Normals):
    """Of sparse rows too; trained further it scores all else."""

    def score_samples(self, X):
        return np.asarray(X.sum(axis=1), dtype=float).ravel() * getattr(self, "sign_", 1)

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def partial_fit(self, X, y=None):
        self.sign_ = -5
        return self.fit(X)


# -- what would have to change -----------------------------------------------------------------------------------


NORMAL = np.random.RandomState(4).uniform(-1, 1, size=(200, 3))


def boxed(normal=NORMAL):
    """A row is an outlier if anything in it is: the normal ones score 0, and a hundredth below that is too much."""
    detector = DensityOutlierDetector(FrozenEstimator(Boxed().fit(None)))
    detector.fit(normal, groups=np.arange(len(normal)))
    detector.offset_ = -0.01
    return detector


def test_the_feature_that_is_off_is_changed_and_no_other():
    X = np.array([[0.5, 9.0, 0.1], [0.0, 0.0, 0.0], [-7.0, 0.2, 0.3], [0.3, 0.2, 1.5]])
    detector = boxed()
    assert_array_equal(detector.predict(X), [-1, 1, -1, -1])
    before, changed = X.copy(), detector.counterfactuals(X, NORMAL)
    assert_array_equal(detector.predict(changed), 1)
    assert_array_equal(changed != X, [[False, True, False], [False] * 3, [True, False, False], [False, False, True]])
    assert_array_equal(changed[[0, 2, 3], [1, 0, 2]], [NORMAL[:, 1].max(), NORMAL[:, 0].min(), NORMAL[:, 2].max()])
    assert_array_equal(X, before)
    assert not np.shares_memory(detector.counterfactuals(X[1:2], NORMAL), X)


def test_two_that_are_off_take_two_changes():
    X, detector = np.array([[4.0, 0.5, -9.0]]), boxed()
    one, two = (detector.counterfactuals(X, NORMAL, max_features=k) for k in (1, 2))
    assert_array_equal(one[:, :2], X[:, :2])  # the farther one is changed
    assert np.abs(one[0, 2]) <= 1
    assert detector.predict(one) == -1
    assert detector.predict(two) == 1
    assert_array_equal(two != X, [[True, False, True]])
    assert_array_equal(detector.counterfactuals(X, NORMAL, max_features=9), two)


def test_of_all_single_changes_that_suffice_the_nearest_is_taken():
    X = np.random.RandomState(0).normal(size=(800, 3)) * [1, 10, 0.1]
    detector = DensityOutlierDetector(Normals(), contamination=0.1, random_state=0).fit(X)
    odd = X[detector.predict(X) == -1][:25]
    changed, normal, n_single = detector.counterfactuals(odd, X), np.sort(X, axis=0), 0
    for row, answer in zip(odd, changed, strict=True):
        distances, answers = [], []
        for j in range(3):
            for value in np.quantile(X[:, j], np.linspace(0, 1, 16), method="inverted_cdf"):
                other = np.where(np.arange(3) == j, value, row)
                if detector.predict([other]) == 1:
                    distances.append(abs((normal[:, j] < value).mean() - (normal[:, j] < row[j]).mean()))
                    answers.append(other)
        if answers:
            n_single += 1
            assert_array_equal(answer, answers[np.argmin(distances)])
    assert n_single > 15


def test_rows_that_cannot_be_helped_are_never_made_worse():
    detector = boxed()
    X = np.array([[5.0, 6.0, 7.0], [1.5, 0.0, 0.0]])
    assert_array_equal(detector.counterfactuals(X, NORMAL + 10), X)  # all that could be tried is worse
    half = detector.counterfactuals(X, np.where(np.arange(3) == 2, NORMAL, NORMAL + 10))
    assert_array_equal(half[:, :2], X[:, :2])
    assert_array_equal(np.abs(half[:, 2]) <= 1, True)
    minus_infinity = boxed()
    minus_infinity.decision_function = lambda X: np.full(len(X), -np.inf)
    assert_array_equal(minus_infinity.counterfactuals(X, NORMAL), X)


def frame(n, seed=0):
    rng = np.random.RandomState(seed)
    return pd.DataFrame(
        {
            "whole": rng.randint(-1, 2, size=n), "real": rng.uniform(-1, 1, size=n), "flag": rng.rand(n) < 0.5,
            "colour": rng.choice(["red", "blue"], size=n), "same": np.zeros(n, dtype=np.int8),
            "kind": pd.Categorical(rng.choice(["a", "b"], size=n), categories=["a", "b", "pink"]),
            "maybe": pd.array([None, *rng.randint(-1, 2, size=n - 1)], dtype="Int64"),
        }, index=[f"row {i}" for i in range(n)],
    )  # fmt: skip


def test_frames_keep_their_types_index_and_columns():
    normal, X = frame(150), frame(8, seed=1)
    X.iloc[1, 0], X.iloc[2, 3], X.iloc[3, 5], X.iloc[4, 6], X.iloc[5, 1], X.iloc[5, 3] = (
        9,
        "pink",
        "pink",
        -8,
        3.0,
        "pink",
    )
    X.index = [f"new {i}" for i in range(6)] + ["new 6", "new 6"]
    detector = boxed(frame(150, seed=2).fillna({"maybe": 0}))
    assert_array_equal(detector.predict(X), [1, -1, -1, -1, -1, -1, 1, 1])
    changed = detector.counterfactuals(X, normal)
    assert_array_equal(detector.predict(changed), 1)
    pd.testing.assert_series_equal(changed.dtypes, X.dtypes)
    pd.testing.assert_index_equal(changed.index, X.index)
    same = (changed == X) | (changed.isna() & X.isna())
    off = np.argwhere(~same.fillna(False).to_numpy(bool)).tolist()
    assert off == [[1, 0], [2, 3], [3, 5], [4, 6], [5, 1], [5, 3]]
    assert (changed.iloc[1, 0], changed.iloc[4, 6]) == (1, -1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, bool, object])
def test_arrays_keep_their_dtype(dtype):
    normal = (np.random.RandomState(0).rand(200, 3) < [0.5, 0.5, 0.0]).astype(dtype)  # the last is constant
    detector = DensityOutlierDetector(FrozenEstimator(Normals().fit(normal.astype(float))))
    detector.fit(normal, groups=np.arange(200))
    detector.offset_ = detector.score_samples(normal).min() - 1e-6
    X = np.array([[0, 1, 0], [0, 0, 1]]).astype(dtype)
    changed = detector.counterfactuals(X, normal)
    assert changed.dtype == (np.float64 if dtype is object else dtype)  # objects that are numbers become these
    assert_array_equal(changed, [[0, 1, 0], [0, 0, 0]])
    assert detector.counterfactuals([[0, 0, 1]], normal.astype(float)).dtype == np.float64


def test_missing_values_are_not_what_is_tried():
    class Whole(Boxed):
        def score_samples(self, X):
            return super().score_samples(np.nan_to_num(X, nan=50.0))

    normal = np.where(np.random.RandomState(0).rand(200, 3) < 0.3, np.nan, NORMAL)
    normal[:, 2] = np.nan
    detector = DensityOutlierDetector(FrozenEstimator(Whole().fit(None))).fit(NORMAL)
    detector.offset_ = -0.01
    changed = detector.counterfactuals([[np.nan, 0.5, 0.5], [0.1, 7.0, 0.5], [0.1, 0.1, 0.5]], normal)
    assert_array_equal(detector.predict(changed), 1)
    assert_array_equal(changed[:, 2], 0.5)
    assert_array_equal(changed[2], [0.1, 0.1, 0.5])


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_what_cannot_be_asked_for_says_so():
    detector = boxed()
    for max_features in (0, 1.5, None):
        with pytest.raises(ValueError, match=f"max_features={max_features} must be a whole number, 1 or more"):
            detector.counterfactuals(NORMAL, NORMAL, max_features=max_features)
    for some, normal in ((csr_array(NORMAL), NORMAL), (NORMAL, csr_array(NORMAL))):
        with pytest.raises(TypeError, match=r"of dense rows. Pass X.toarray\(\)"):
            detector.counterfactuals(some, normal)
    with pytest.raises(TypeError, match="One of X and X_normal is a frame"):
        boxed(frame(150)).counterfactuals(frame(9), np.zeros((9, 7)))


def test_normal_rows_and_many_features_cost_next_to_nothing(monkeypatch):
    detector = boxed(np.zeros((200, 300)))
    wide = np.random.RandomState(0).uniform(-1, 1, size=(8000, 300))
    wide[::1000, 7] = 5
    monkeypatch.setattr(counterfactuals, "N_VALUES", 4)
    start = time.perf_counter()
    changed = detector.counterfactuals(wide, wide[:200])
    assert time.perf_counter() - start < 2
    assert np.argwhere(changed != wide).tolist() == [[i, 7] for i in range(0, 8000, 1000)]


# -- watch -------------------------------------------------------------------------------------------------------


def watching(X=None, **params):
    params = {"random_state": 0} | params
    return DensityOutlierDetector(Normals(), **params).fit(rows(600) if X is None else X)


@pytest.mark.filterwarnings("ignore:Rows do not come any more")
def test_evidence_is_the_same_however_the_stream_is_cut():
    first, stream = rows(80, seed=1), rows(150, seed=2) + 0.3
    whole, single, cut = watching(), watching(), watching()
    start = whole.watch(first)
    assert_array_equal(single.watch(first), start)
    assert_array_equal(np.concatenate([cut.watch(first[:80])]), start)
    evidence = whole.watch(stream)
    assert evidence.shape == (150,)
    assert_array_equal(np.concatenate([single.watch(stream[[i]]) for i in range(150)]), evidence)
    assert_array_equal(np.concatenate([cut.watch(part) for part in np.split(stream, [1, 7, 100])]), evidence)
    assert watching().watch(first[:1]).shape == (1,)


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_it_warns_once_of_the_feature_that_has_moved(kind):
    X, first, stream = rows(600), rows(200, seed=1), rows(600, seed=2)
    stream[:, 1] += 5
    if kind == "frame":
        X, first, stream = (
            pd.DataFrame(Z, columns=["a", "b", "c"]).assign(s="text")[["s", "a", "b", "c"]] for Z in (X, first, stream)
        )
    flat = DensityOutlierDetector(FrozenEstimator(Flat().fit(None)), random_state=0).fit(X)  # the score says nothing
    flat.watch(first)
    name = "'b'" if kind == "frame" else 1
    message = f"the evidence, most of it from feature {name}, is .* Call recalibrate"
    with pytest.warns(UserWarning, match=message) as caught:
        evidence = flat.watch(stream)
    assert [warning.filename for warning in caught] == [__file__]
    assert evidence.max() >= np.log(1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert flat.watch(stream).max() > np.log(1000)
    flat.recalibrate(X)
    assert flat.watch(first).max() < np.log(1000)
    with pytest.warns(UserWarning, match="feature"):  # anew
        flat.watch(stream)


def test_fit_and_recalibrate_start_anew_and_partial_fit_leaves_the_score_out():
    first, stream = rows(150, seed=1), rows(100, seed=2)
    detector = DensityOutlierDetector(Sums(), random_state=0).fit(X)
    evidence = [detector.watch(part) for part in (first, stream)]
    recalibrated = DensityOutlierDetector(Sums(), random_state=0).fit(X).recalibrate(X[-120:])
    assert_array_equal(detector.recalibrate(X[-120:]).watch(first), recalibrated.watch(first))
    assert_array_equal(detector.fit(X).watch(first), evidence[0])
    detector.partial_fit(rows(50, seed=3))  # the score is another now
    after = detector.watch(stream)
    features = _Drift(detector._seed_).fit(first)
    assert_allclose(after, features.update(stream) - np.log(2), rtol=1e-12)
    assert not np.array_equal(after, evidence[1])


def test_scores_are_not_compared_with_those_of_another_density():
    """Too few rows wait to calibrate anew, or none do: those that calibrated were scored before more was trained."""
    first, stream = rows(150, seed=1), rows(300, seed=2)
    for size in (0.2, None):
        detector = DensityOutlierDetector(Sums(), calibration_size=size, random_state=0).fit(X).recalibrate(X[:200])
        detector.partial_fit(rows(50, seed=3))
        assert detector.calibrated_
        assert_array_equal(detector.watch(first), -np.inf)
        assert detector.watch(stream).max() < np.log(1000)
        assert detector.recalibrate(X[:200]).watch(first).min() > -np.inf
    waited = DensityOutlierDetector(Sums(), random_state=0).partial_fit(X).partial_fit(rows(50, seed=3))
    assert waited.watch(first).min() > -np.inf  # these calibrate anew with each batch


def test_sparse_rows_are_watched_by_their_score_alone():
    X, first, stream = (np.maximum(rows(n, seed=seed), 0) for n, seed in ((600, 0), (50, 1), (400, 2)))
    detector = DensityOutlierDetector(Sums(), random_state=0).fit(csr_array(X))
    drift = _Drift(detector._seed_).fit(detector.calibration_scores_[:, np.newaxis])
    scores = detector.score_samples(np.concatenate([first, stream]))[:, np.newaxis]
    expected = drift.update(scores) - np.log(2)
    assert_allclose(detector.watch(csr_array(first)), expected[:50], rtol=1e-12)
    assert_allclose(detector.watch(csr_array(stream)), expected[50:], rtol=1e-12)
    with pytest.warns(UserWarning, match="most of it from the score"):
        detector.watch(csr_array(3 * stream))


def test_the_evidence_is_the_higher_of_score_and_features():
    first, stream = rows(150, seed=1), rows(100, seed=2) * 1.2
    detector = watching()
    of_scores = _Drift(detector._seed_).fit(detector.calibration_scores_[:, np.newaxis])
    of_features = _Drift(detector._seed_).fit(first)
    of_scores.update(detector.score_samples(first)[:, np.newaxis])
    detector.watch(first)
    by_score = of_scores.update(detector.score_samples(stream)[:, np.newaxis])
    expected = np.maximum(by_score, of_features.update(stream)) - np.log(2)
    assert_allclose(detector.watch(stream), expected, rtol=1e-12)
    in_folds = watching(rows(120))
    assert_array_equal(in_folds.watch(first), -np.inf)  # no score to compare with, and no feature yet
    assert np.isfinite(in_folds.watch(stream)).all()


def test_a_call_that_fails_changes_nothing():
    first, stream = rows(100, seed=1), rows(100, seed=2)
    detector, twin = watching(), watching()
    broken = stream.copy()
    broken[50, 1] = np.nan
    for one in (first, stream):
        with pytest.raises(ValueError, match="gave nan for a row"):
            detector.watch(broken)
        with pytest.raises(ValueError, match="features"):
            detector.watch(stream[:, :2])
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # so that the alarm fails too
            with pytest.raises(UserWarning, match="Rows do not come"):
                detector.watch(np.tile(stream, (3, 1)) * 9)
        assert_array_equal(detector.watch(one), twin.watch(one))


def test_numeric_features_of_frames_are_those_of_arrays():
    table = frame(300).drop(columns="maybe")
    values, names = numbers(table)
    assert names == ["whole", "real", "flag", "same"]
    assert_array_equal(values, table[names].astype(float))
    missing, names = numbers(frame(5)[["maybe", "colour"]].assign(time=pd.to_timedelta(np.arange(5), unit="s")))
    assert names == ["maybe"]
    assert_array_equal(np.isnan(missing[:, 0]), [True, False, False, False, False])


@pytest.mark.parametrize("estimator", [None, Sums()], ids=["default", "trained"])
def test_a_watching_detector_comes_back_from_files(estimator):
    detector = DensityOutlierDetector(estimator, random_state=0).fit(X)
    detector.watch(rows(60, seed=1))
    detector.watch(rows(300, seed=2))
    others = [pickle.loads(pickle.dumps(detector))]
    if estimator is None:
        dumped = skops.io.dumps(detector)
        trusted = skops.io.get_untrusted_types(data=dumped)
        assert all(name.startswith("sklatent.") and "_outliers" not in name for name in trusted), trusted
        assert "sklatent._Drift" in trusted
        others.append(skops.io.loads(dumped, trusted=trusted))
    evidence = detector.watch(rows(50, seed=3))
    for other in others:
        assert_array_equal(other.watch(rows(50, seed=3)), evidence)


def test_quiet_streams_raise_no_alarm():
    highest = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(20):
            stream = rows(1200, seed=100 + seed)
            detector = watching(stream[:800], random_state=seed)
            highest += [detector.watch(part).max() for part in (stream[800:900], stream[900:])]
    assert max(highest) < np.log(1000)
    assert np.mean(np.array(highest) >= np.log(5)) <= 0.25
