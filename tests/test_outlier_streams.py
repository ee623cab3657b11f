"""Streams: what is calibrated anew and when, and that a call which fails undoes itself."""

import warnings

import numpy as np
import pandas as pd
import pytest
from common_outlier import POOL, Given, Normals, X, frozen, rows
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KernelDensity

from sklatent import DensityOutlierDetector, MADEDensity
from sklatent._bridge.state import Interrupted


class Stream(Normals):
    """Moments over all rows so far, which it remembers; it breaks on NaN and on sevens, and says so."""

    def fit(self, X, y=None):
        self.seen_ = []
        return self.partial_fit(X)

    def partial_fit(self, X, y=None):
        rows = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        self.seen_ = [*getattr(self, "seen_", []), rows]
        together = np.vstack(self.seen_)
        self.mean_, self.sd_ = together.mean(axis=0), together.std(axis=0)
        if np.isnan(rows).any() or (rows == 7).all():
            raise RuntimeError("NaN or sevens")
        return self

    def score_samples(self, X):
        return super().score_samples(X.toarray() if hasattr(X, "toarray") else X)


# -- recalibration ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["log_likelihood", "statistics"])
def test_recalibration_is_a_fresh_calibration(method):
    other = rows(400, seed=1) + 0.5
    moved, fresh = frozen(method).fit(X).recalibrate(other), frozen(method).fit(other)
    assert_array_equal(moved.calibration_scores_, fresh.calibration_scores_)
    assert moved.offset_ == fresh.offset_
    assert_array_equal(moved.p_values(X), fresh.p_values(X))


def test_recalibration_brings_back_the_false_alarm_rate():
    detector = DensityOutlierDetector(Normals(), random_state=0).fit(X)
    drifted = 1.5 * rows(4000, seed=1)
    assert (detector.predict(drifted) == -1).mean() > 0.2
    before = detector.estimators_[0].mean_.copy()
    detector.recalibrate(drifted[:2000])
    assert abs((detector.predict(drifted[2000:]) == -1).mean() - 0.05) < 3.5 * np.sqrt(0.05 * 0.95 / 1000)
    assert_array_equal(detector.estimators_[0].mean_, before)
    with pytest.raises(
        ValueError, match=r"18 of 18 rows calibrate, but a p-value of 0.05 takes 19. Pass 19 rows or more, or"
    ):
        detector.recalibrate(X[:18])
    assert detector.recalibrate(X[:19]).calibrated_


def test_too_few_rows_to_recalibrate_with_say_how_many_it_takes():
    detector = DensityOutlierDetector(POOL, contamination=0.01).fit(X)
    message = (
        r"50 of 100 rows calibrate, as the other half ranks the .* p-value of 0.01 takes 99. Pass 197 rows or more"
    )
    with pytest.raises(ValueError, match=message):
        detector.recalibrate(X[:100])
    with pytest.raises(ValueError, match="Pass 197"):
        detector.recalibrate(X[:196])
    assert len(detector.recalibrate(X[:197]).calibration_scores_) == 99
    halved = DensityOutlierDetector(FrozenEstimator(Given().fit(X)), method="typicality", contamination=0.5).fit(X)
    with pytest.raises(ValueError, match="0 of 1 rows calibrate.* takes 1. Pass 2 rows"):
        halved.recalibrate(X[:1])
    assert halved.recalibrate(X[:2]).calibrated_


# -- partial_fit -----------------------------------------------------------------------------------------------


def test_partial_fit_goes_on_and_calibrates_anew():
    made = MADEDensity(hidden_layer_sizes=(8,), likelihood="gaussian_mixture", max_iter=3, random_state=0)
    detector = DensityOutlierDetector(made, method="ratio", calibration_size=0.5, random_state=0).partial_fit(X[:500])
    first = detector.calibration_scores_
    assert detector.estimators_[0].n_iter_ == 1
    detector.partial_fit(X[500:])
    assert [density.n_iter_ for density in (*detector.estimators_, *detector.backgrounds_)] == [2, 2]
    assert detector.calibrated_
    assert not np.isin(first, detector.calibration_scores_).any()
    assert detector.fit(X).estimators_[0].n_iter_ == 3


def test_partial_fit_is_there_if_the_estimators_have_it():
    assert not hasattr(DensityOutlierDetector(KernelDensity()), "partial_fit")
    assert hasattr(DensityOutlierDetector(MADEDensity()), "partial_fit")
    assert not hasattr(DensityOutlierDetector(MADEDensity(), background=KernelDensity()), "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as caught:
        DensityOutlierDetector().partial_fit(X)
    assert "The default pool has no partial_fit. MADEDensity has one" in str(caught.value.__cause__)
    mixed = [("made", MADEDensity()), ("kernel", POOL[1][1])]
    assert hasattr(DensityOutlierDetector(mixed), "partial_fit")
    thawed = DensityOutlierDetector(FrozenEstimator(KernelDensity().fit(X)), method="ratio")
    assert not hasattr(thawed, "partial_fit"), "its clone, the background, has none"


def test_false_alarms_over_twenty_batches():
    """Ranks among the rows just trained on, of each batch, flag up to twice as many."""
    new, rates = rows(4000, seed=999, d=3), []
    for seed in range(3):
        made = MADEDensity(hidden_layer_sizes=(16,), random_state=seed)
        detector = DensityOutlierDetector(made, horizon=120, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for batch in np.array_split(rows(2000, seed=seed), 20):
                detector.partial_fit(batch)
        assert detector.calibrated_
        assert len(detector.calibration_scores_) == 120, "of the last batches, five to seven"
        rates.append((detector.predict(new) == -1).mean())
    assert abs(np.mean(rates) - 0.05) < 3.5 * np.sqrt(0.05 * 0.95 / 100 / 3)


def test_ranks_stay_until_enough_new_rows_were_kept_apart():
    detector = DensityOutlierDetector(Stream(), random_state=0).fit(rows(3000))
    old = detector.calibration_scores_
    assert len(old) == 600
    batches = [rows(50, seed=1 + i) for i in range(20)]
    for n, batch in enumerate(batches, 1):
        detector.partial_fit(batch)
        assert detector.calibrated_
        trained, seen = np.vstack(detector.estimators_[0].seen_[1:]), np.vstack(batches[:n])
        apart = np.array([row for row in seen if not (row == trained).all(axis=1).any()])
        if len(apart) >= 99:
            break
        assert_array_equal(detector.calibration_scores_, old)
    assert 5 < n < 15
    assert len(apart) + len(trained) == 50 * n
    assert_allclose(np.sort(detector.estimators_[0].score_samples(apart)), detector.calibration_scores_)


def test_a_first_batch_that_is_too_small_ranks_among_its_own_rows_and_says_so_once():
    detector = DensityOutlierDetector(Stream(), random_state=0)
    with pytest.warns(
        UserWarning, match="Of 100 rows, .* leaves 87 to fit on and 13 to calibrate on, but 99"
    ) as caught:
        detector.partial_fit(X[:100])
    assert [warning.filename for warning in caught] == [__file__]
    assert not detector.calibrated_
    assert len(detector.calibration_scores_) == 87
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in range(1, 4):
            assert not detector.partial_fit(X[100 * i : 100 * i + 100]).calibrated_
        assert detector.partial_fit(X[400:600]).calibrated_
    assert 99 <= len(detector.calibration_scores_) < 140


def test_without_rows_kept_apart_only_recalibration_calibrates():
    detector = DensityOutlierDetector(Stream(), calibration_size=None).partial_fit(X[:200])
    assert len(detector.partial_fit(X[200:300]).calibration_scores_) == 100
    ranks = detector.recalibrate(X[300:500]).calibration_scores_
    assert_array_equal(detector.partial_fit(X[500:510]).calibration_scores_, ranks)
    assert detector.calibrated_


@pytest.mark.parametrize("kind", [lambda X: pd.DataFrame(X, columns=list("abc")), csr_array], ids=["frame", "sparse"])
@pytest.mark.filterwarnings("ignore:Of 250 rows")
def test_rows_of_any_kind_wait(kind):
    detector, plain = (DensityOutlierDetector(Stream(), random_state=0) for _ in range(2))
    for batch in (X[:250], X[250:700]):
        detector.partial_fit(kind(batch))
        plain.partial_fit(batch)
    assert detector.calibrated_
    assert_allclose(detector.calibration_scores_, plain.calibration_scores_)


# -- what fails ------------------------------------------------------------------------------------------------


def test_what_fails_changes_no_calibration():
    detector = DensityOutlierDetector(Normals(), calibration_size=None).fit(X)
    before = detector.p_values(X)
    with pytest.raises(ValueError, match="ranks nowhere"):
        detector.recalibrate(np.where([True, False, False], np.nan, X[:50]))
    assert not detector.calibrated_
    assert_array_equal(detector.p_values(X), before)


def test_a_refit_with_a_wrong_parameter_leaves_nothing_fitted():
    detector = DensityOutlierDetector(KernelDensity(), method="ratio").fit(X)
    with pytest.raises(ValueError, match="takes no codelength"):
        detector.set_params(method="log_likelihood", codelength="zlib").fit(X)
    with pytest.raises(NotFittedError):
        detector.score_samples(X)


def test_a_bad_batch_does_not_undo_training():
    made = MADEDensity(hidden_layer_sizes=(8,), random_state=0)
    detector = DensityOutlierDetector(made, calibration_size=None).partial_fit(X).partial_fit(X)
    with pytest.raises(ValueError, match="infinity"):
        detector.partial_fit(np.full((50, 3), np.inf))
    assert detector.partial_fit(X).estimators_[0].n_iter_ == 3


@pytest.mark.parametrize("bad", [np.full((50, 3), np.nan), np.full((50, 3), 7.0), X[:50, :2]])
@pytest.mark.parametrize("calibration_size", [0.2, None])
@pytest.mark.parametrize(
    "density", [Stream(), MADEDensity(hidden_layer_sizes=(8,), random_state=0)], ids=["own", "made"]
)
def test_a_partial_fit_that_fails_leaves_the_detector_as_it_was(density, bad, calibration_size):
    members = [("one", density), ("other", Stream())]
    detector = DensityOutlierDetector(members, calibration_size=calibration_size, random_state=0)
    detector.partial_fit(X).partial_fit(X[:90])
    twin = DensityOutlierDetector(members, calibration_size=calibration_size, random_state=0)
    twin.partial_fit(X).partial_fit(X[:90])
    before = detector.p_values(X)
    with pytest.raises((ValueError, RuntimeError)):
        detector.partial_fit(bad)
    assert_array_equal(detector.p_values(X), before)
    detector.partial_fit(X[90:]), twin.partial_fit(X[90:])
    assert_array_equal(detector.p_values(X), twin.p_values(X))


def test_what_fails_the_first_time_leaves_nothing_fitted():
    for verb, bad in (("fit", np.full((50, 3), np.nan)), ("partial_fit", np.full((50, 3), 7.0))):
        detector = DensityOutlierDetector(Stream(), calibration_size=None)
        with pytest.raises((ValueError, RuntimeError)):
            getattr(detector, verb)(bad)
        assert not [name for name in vars(detector) if name.endswith("_")]
        with pytest.raises(NotFittedError):
            detector.p_values(X)


class Stopped(Stream):
    def fit(self, X, y=None):
        super().fit(X)
        raise Interrupted("kept what there was")


def test_a_density_that_was_interrupted_makes_no_detector():
    detector = DensityOutlierDetector(Stopped())
    with pytest.raises(KeyboardInterrupt) as caught:
        detector.fit(X)
    assert not isinstance(caught.value, Interrupted)
    with pytest.raises(NotFittedError):
        detector.p_values(X)


def test_answers_do_not_hide_that_a_score_is_not_what_it_was():
    detector = DensityOutlierDetector(Stream(), random_state=0).fit(rows(1000)).partial_fit(rows(20, seed=1))
    detector.recalibrate(rows(1000)[detector.rows_to_label(3)], [1, 1, 1])
    detector.watch(rows(50, seed=2))
    assert detector._watched_[0] is None
