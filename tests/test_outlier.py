"""The detector's p-values are valid, and what has no answer is an error in words."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from common_outlier import POOL, Given, Normals, X, frozen, rows
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array
from sklearn import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import DensityOutlierDetector, VAETransformer
from sklatent._outliers.scores import SCORES

# -- p-values --------------------------------------------------------------------------------------------------


def test_p_values_are_counted():
    detector = DensityOutlierDetector(Normals(), random_state=0).fit(X)
    assert detector.calibrated_
    calibration, new = detector.calibration_scores_, rows(50, seed=1)
    assert len(calibration) == 200
    expected = [(1 + sum(c <= score for c in calibration)) / 201 for score in detector.score_samples(new)]
    assert_array_equal(detector.p_values(new), expected)


def test_kept_rows_were_in_no_fit():
    detector = DensityOutlierDetector(Normals(), random_state=0).fit(X)
    scores = detector.estimators_[0].score_samples(X)
    kept = np.isin(scores, detector.calibration_scores_)
    assert kept.sum() == 200
    assert_allclose(detector.estimators_[0].mean_, X[~kept].mean(axis=0))


@pytest.mark.parametrize("case", ["pool", *SCORES])
def test_p_values_are_uniform_over_calibrations(case):
    """P(p <= a) is floor(a (n + 1)) / (n + 1) for scores without ties, whatever the score learns."""
    detector = frozen(case) if case != "pool" else DensityOutlierDetector(POOL)
    repeats, levels = 60 if case == "statistics" else 200, np.array([0.05, 0.1, 0.3, 0.5])
    n_reference = 20 if case == "pool" or SCORES[case].learns else 0
    hits = np.empty((repeats, len(levels)))
    for i in range(repeats):
        old, new = rows(n_reference + 30, seed=i), rows(20, seed=5000 + i)
        if case == "complexity":  # with whole numbers nothing is learned from the rows
            old, new = ((10 * Z + 100).astype(np.uint8) for Z in (old, new))
        detector.random_state = i
        hits[i] = (detector.fit(old).p_values(new)[:, np.newaxis] <= levels).mean(axis=0)
    n = len(detector.calibration_scores_)
    assert detector.calibrated_
    assert n == (25 if n_reference else 30)
    expected = np.floor(levels * (n + 1)) / (n + 1)
    error = hits.std(axis=0) / np.sqrt(repeats)
    assert (np.abs(hits.mean(axis=0) - expected) < 3.5 * error).all()


def test_contamination_is_the_false_alarm_rate():
    train, new = rows(6000, seed=1), rows(20000, seed=2)
    for level in (0.01, 0.05, 0.1):
        detector = DensityOutlierDetector(Normals(), contamination=level, random_state=0).fit(train)
        rate, n = (detector.predict(new) == -1).mean(), len(detector.calibration_scores_)
        error = np.sqrt(level * (1 - level) * (1 / n + 1 / len(new)))
        assert abs(rate - level) < 3.5 * error
    assert_array_equal(
        DensityOutlierDetector(Normals(), random_state=0).fit(train).predict(new),
        DensityOutlierDetector(Normals(), contamination=0.05, random_state=0).fit(train).predict(new),
    )


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("level", [0.01, 0.05, 1 / 3, 0.5, 0.07])
def test_predict_is_the_p_value_at_the_level_and_the_sign(apart, level):
    """With ties and infinities among the scores too."""
    scores = np.random.RandomState(0).randint(0, 300, size=(600, 1)).astype(float)
    scores[:4] = -1e300  # few
    detector = DensityOutlierDetector(
        Given(), contamination=level, calibration_size=0.5 if apart else None, random_state=0
    ).fit(scores)
    new = np.concatenate([np.unique(scores), np.unique(scores) - 0.5, [-1e301, 1e301]])[:, np.newaxis]
    flagged = detector.p_values(new) <= level
    assert 0 < flagged.sum() < len(new)
    assert_array_equal(detector.predict(new), np.where(flagged, -1, 1))
    assert_array_equal(detector.decision_function(new) < 0, flagged)
    assert_allclose(detector.decision_function(new), detector.score_samples(new) - detector.offset_)


@pytest.mark.parametrize("few", [True, False])
def test_scores_of_minus_infinity(few):
    """A kernel of bounded support gives them to whatever lies outside."""
    density = KernelDensity(kernel="tophat", bandwidth=2.0 if few else 0.2)
    detector = DensityOutlierDetector(density, random_state=0).fit(X)
    n_infinite = np.isinf(detector.calibration_scores_).sum()
    far = np.full((2, 3), 1e3)
    assert (detector.score_samples(far) == -np.inf).all()
    assert_allclose(detector.p_values(far), (1 + n_infinite) / 201)
    flagged = detector.p_values(far) <= 0.05
    assert flagged.all() == few
    assert_array_equal(detector.predict(far) == -1, flagged)
    assert not np.isnan(detector.decision_function(np.concatenate([far, X]))).any()


def test_outliers_among_the_rows_of_fit_make_p_values_larger():
    dirty = X.copy()
    dirty[:100] += 20
    clean, dirtied = (DensityOutlierDetector(Given(), random_state=0).fit(-np.abs(Z)) for Z in (X, dirty))
    new = -np.abs(rows(500, seed=1))
    assert (dirtied.p_values(new) >= clean.p_values(new) - 1e-3).all()
    assert (dirtied.predict(new) == -1).sum() < (clean.predict(new) == -1).sum()


# -- too few rows ----------------------------------------------------------------------------------------------


def test_too_few_rows_fall_back_to_ranks_in_training_and_say_so():
    detector = DensityOutlierDetector(Normals(), contamination=0.05, random_state=0)
    with pytest.warns(UserWarning, match="Of 18 rows, too few calibrate even in turn: .* 0.05 takes 19. .* not valid"):
        detector.fit(X[:18])
    assert not detector.calibrated_
    assert_allclose(detector.estimators_[0].mean_, X[:18].mean(axis=0))
    order = np.argsort(detector.score_samples(X[:18]))
    assert_allclose(detector.p_values(X[:18])[order], np.arange(1, 19) / 18)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert detector.fit(X[:19]).calibrated_


@pytest.mark.parametrize(
    ("params", "n_fewest"),
    [
        ({}, 491),  # ceil(0.2 n) >= 99
        ({"contamination": 0.001, "calibration_size": 0.5}, 1997),  # ceil(0.5 n) >= 999
        ({"calibration_size": 99}, 100),
        ({"method": "typicality"}, 981),  # learns from the other half
    ],
)
def test_with_how_many_rows_some_are_kept_apart_and_fewer_calibrate_in_turn(params, n_fewest, recwarn):
    detector = DensityOutlierDetector(Normals(), random_state=0, **params)
    assert detector.fit(rows(n_fewest)).calibrated_
    assert len(detector.estimators_) == 1
    assert len(detector.calibration_scores_) < n_fewest
    assert detector.fit(rows(n_fewest - 1)).calibrated_
    assert len(detector.estimators_) > 1
    assert len(detector.calibration_scores_) == n_fewest - 1
    assert not recwarn


def test_calibration_size_none_is_silent(recwarn):
    assert not DensityOutlierDetector(Normals(), calibration_size=None).fit(X).calibrated_
    assert not recwarn


@pytest.mark.parametrize("case", ["pool", "fisher", "statistics", "complexity"])
def test_a_row_has_one_score_whatever_comes_with_it(case):
    detector = (DensityOutlierDetector(POOL, random_state=0) if case == "pool" else frozen(case)).fit(X)
    together = detector.score_samples(X[:30])
    assert_allclose(np.concatenate([detector.score_samples(X[i : i + 1]) for i in range(30)]), together, rtol=1e-12)


# -- in scikit-learn's machinery -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator",
    [
        KernelDensity(), GaussianMixture(2), PCA(2), IsolationForest(n_estimators=20),
        make_pipeline(StandardScaler(), PCA(2)),
        make_pipeline(StandardScaler(), VAETransformer(2, hidden_layer_sizes=(8,), max_iter=2)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Posterior collapse")
def test_any_estimator_with_score_samples(estimator):
    detector = DensityOutlierDetector(estimator, random_state=0).fit(X)
    far = np.array([[9.0, -40.0, 3.0]])
    assert_array_equal(detector.score_samples(far), detector.estimators_[0].score_samples(far))
    assert detector.predict(far) == -1
    assert not hasattr(estimator, "n_features_in_"), "a clone was fitted"
    again = clone(detector).fit(X)
    assert_array_equal(again.score_samples(X), detector.score_samples(X))


def test_a_frozen_estimator_stays_and_all_rows_calibrate():
    density = Normals().fit(rows(100, seed=1))
    detector = DensityOutlierDetector(FrozenEstimator(density)).fit(X)
    assert detector.estimators_[0].estimator is density
    assert_array_equal(detector.calibration_scores_, np.sort(density.score_samples(X)))


def test_parameters_of_a_list_go_by_name():
    members = [("kernel", KernelDensity()), ("mixture", GaussianMixture(2))]
    detector = DensityOutlierDetector(members, random_state=0)
    assert detector.get_params()["kernel__bandwidth"] == 1.0
    assert clone(detector).set_params(kernel__bandwidth=0.3).get_params()["kernel__bandwidth"] == 0.3
    assert detector.get_params()["kernel__bandwidth"] == 1.0
    detector.set_params(mixture=PCA(1))
    assert isinstance(detector.fit(X).estimators_[1], PCA)
    search = GridSearchCV(
        DensityOutlierDetector(KernelDensity(), random_state=0), {"estimator__bandwidth": [1e-3, 0.5]}, cv=2,
        scoring="roc_auc", error_score="raise",
    )  # fmt: skip
    new = np.concatenate([rows(1100, seed=1), 3 * rows(300, seed=2)])
    order = np.random.RandomState(0).permutation(1400)
    search.fit(new[order], np.r_[np.ones(1100), -np.ones(300)][order])
    assert search.best_params_ == {"estimator__bandwidth": 0.5}


def test_pickle_and_joblib(tmp_path):
    detector = DensityOutlierDetector(POOL, random_state=0).fit(X)
    joblib.dump(detector, tmp_path / "detector.joblib")
    mapped = joblib.load(tmp_path / "detector.joblib", mmap_mode="r")
    for loaded in (pickle.loads(pickle.dumps(detector)), mapped):
        assert_array_equal(loaded.p_values(X), detector.p_values(X))
        assert_array_equal(loaded.recalibrate(X[:200]).predict(X), clone(detector).fit(X[:200]).predict(X))


def test_frames_reach_a_pipeline_with_their_columns():
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(kind=np.where(X[:, 0] > 0, "up", "down"))
    density = make_pipeline(make_column_transformer((StandardScaler(), ["c", "a"])), GaussianMixture(random_state=0))
    detector = DensityOutlierDetector(density, random_state=0).fit(frame)
    assert list(detector.feature_names_in_) == ["a", "b", "c", "kind"]
    scaled = detector.estimators_[0][:-1].transform(frame)
    assert_allclose(detector.score_samples(frame), detector.estimators_[0][-1].score_samples(scaled))
    with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
        detector.predict(frame.drop(columns="kind"))
    assert DensityOutlierDetector(Normals(), method="ratio").fit(frame[["a", "b"]]).predict(frame[["a", "b"]]).any()


def test_last_step_of_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), DensityOutlierDetector(Normals(), random_state=0)).fit(X)
    plain = DensityOutlierDetector(Normals(), random_state=0).fit(StandardScaler().fit_transform(X))
    assert_array_equal(pipeline.predict(X), plain.predict(StandardScaler().fit_transform(X)))


def test_random_state_reaches_estimators_that_have_none():
    fits = [
        DensityOutlierDetector(IsolationForest(n_estimators=5), random_state=s).fit(X).score_samples(X)
        for s in (0, 0, 1)
    ]
    assert_array_equal(fits[0], fits[1])
    assert (fits[0] != fits[2]).any()
    kept = DensityOutlierDetector(IsolationForest(n_estimators=5, random_state=3), random_state=0).fit(X)
    assert kept.estimators_[0].random_state == 3


# -- what there is by default ----------------------------------------------------------------------------------


def test_the_default_takes_any_table():
    rng = np.random.RandomState(0)
    n = 1200
    clean = np.column_stack(
        [
            np.full(n, 3.0), rng.randint(0, 2, n), rng.poisson(4, n), rng.standard_t(1.5, n), 1e6 * rng.normal(size=n),
            1e-6 * rng.exponential(size=n), np.repeat(0.0, n),
        ]
    )  # fmt: skip
    clean[:, 6] = clean[:, 4] / 1e6 + 0.1 * rng.normal(size=n)
    odd = clean[:100].copy()
    odd[:, 6] = -odd[:, 6] + 2  # each value is usual, together they are not
    detector = DensityOutlierDetector(random_state=0).fit(clean[200:])
    scores = detector.score_samples(np.concatenate([clean[100:200], odd]))
    assert np.isfinite(scores).all()
    assert roc_auc_score(np.r_[np.ones(100), np.zeros(100)], scores) > 0.8
    assert detector.predict([[3, 1, 4, 0, 0, 1e-6, 0.0]]) == 1
    assert detector.predict([[3, 1, 4, 0, 0, 1e-6, 1e9]]) == -1


@pytest.mark.filterwarnings("ignore:Of 120 rows")
def test_constant_data():
    detector = DensityOutlierDetector(random_state=0).fit(np.full((120, 2), 5.0))
    assert (detector.predict(np.full((3, 2), 5.0)) == 1).all()
    assert (detector.predict(np.full((3, 2), 6.0)) == -1).all()


# -- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"estimator": StandardScaler()}, TypeError, "estimator must be .* with score_samples, which StandardScaler"),
        ({"estimator": KernelDensity}, TypeError, r"KernelDensity \(a class\)"),
        ({"estimator": [("a", StandardScaler())]}, TypeError, "a must be an estimator with score_samples"),
        ({"estimator": []}, ValueError, r"a list of \(name, estimator\)"),
        ({"estimator": [KernelDensity()]}, ValueError, r"a list of \(name, estimator\)"),
        ({"estimator": [("a", PCA()), ("a", PCA())]}, ValueError, "not unique"),
        ({"estimator": [("method", PCA())]}, ValueError, "conflict with constructor arguments"),
        ({"estimator": 5}, ValueError, "'estimator' parameter"),
        ({"method": "likelihood"}, ValueError, "'method' parameter"),
        ({"method": "regret"}, TypeError, "with likelihood_regret, which KernelDensity has not"),
        ({"method": "fisher"}, TypeError, "with score_features, which KernelDensity has not"),
        ({"background": PCA()}, ValueError, "method='log_likelihood' takes no background"),
        ({"method": "ratio", "background": StandardScaler()}, TypeError, "background must be .* score_samples"),
        ({"method": "ratio", "codelength": "bz2"}, ValueError, "method='ratio' takes no codelength"),
        ({"method": "complexity", "codelength": "rar"}, ValueError, "'codelength' parameter"),
        ({"method": "complexity", "codelength": lambda row: 1 / 0}, ValueError, r"failed on row 0: ZeroDivisionError"),
        ({"method": "complexity", "codelength": lambda row: np.nan}, ValueError, "gave nan for row 0"),
        ({"contamination": 0.0}, ValueError, "'contamination' parameter"),
        ({"contamination": 0.6}, ValueError, "'contamination' parameter"),
        ({"calibration_size": 1.0}, ValueError, "'calibration_size' parameter"),
        ({"calibration_size": 0}, ValueError, "'calibration_size' parameter"),
    ],
)
def test_bad_parameters(params, error, message):
    detector = DensityOutlierDetector(**{"estimator": KernelDensity(), **params})
    with pytest.raises(error, match=message):
        detector.fit(X)
    with pytest.raises(NotFittedError):
        detector.predict(X)


class Broken(Given):
    def score_samples(self, X):
        return np.full(len(X), np.nan)


def test_scores_that_rank_nowhere_and_a_failed_refit():
    with pytest.raises(ValueError, match=r"Broken.score_samples gave nan for a row, which ranks nowhere"):
        DensityOutlierDetector(Broken()).fit(X)
    detector = DensityOutlierDetector(Normals()).fit(X).set_params(estimator=Broken())
    with pytest.raises(ValueError, match="ranks nowhere"):
        detector.fit(X)
    with pytest.raises(NotFittedError):
        detector.predict(X)


def test_wrong_rows():
    detector = DensityOutlierDetector(KernelDensity()).fit(X)
    with pytest.raises(ValueError, match="X has 2 features, but DensityOutlierDetector is expecting 3"):
        detector.p_values(X[:, :2])
    with pytest.raises(ValueError, match="contains NaN"):
        detector.p_values(np.full((1, 3), np.nan))
    with pytest.raises(ValueError, match="Reshape your data"):
        detector.p_values(X[0])


def test_sparse_rows_of_any_format():
    sparse = coo_array(X)
    detector = DensityOutlierDetector(IsolationForest(random_state=0)).fit(sparse)
    assert_allclose(detector.score_samples(sparse), detector.score_samples(X))
