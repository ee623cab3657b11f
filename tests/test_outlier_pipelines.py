"""What a score needs is found behind the steps of a Pipeline, or the detector says what is lost; files of detectors."""

import io
import pickle
import warnings
import zipfile

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from common_outlier import Normals, X, rows
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import OneToOneFeatureMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklatent import DensityOutlierDetector, MADEDensity, NeighborsDensity, PixelCNNDensity, VAETransformer
from sklatent._outliers.scores import SCORES

NEW = rows(60, seed=1)
SCALER = FrozenEstimator(StandardScaler().fit(X))  # so that both ways the same rows are scaled alike

# -- through the steps -----------------------------------------------------------------------------------------


def piped(density):
    return Pipeline([("none", "passthrough"), ("scale", SCALER), ("density", density)])


@pytest.mark.parametrize("method", sorted(set(SCORES) - {"complexity"}))  # which reads X itself
@pytest.mark.parametrize("how", ["plain", "frozen", "list", "nested"])
def test_scaling_in_a_pipeline_is_scaling_by_hand(method, how):
    scaled, new = SCALER.transform(X), SCALER.transform(NEW)
    density, in_pipeline = Normals(), piped(Normals())
    if how == "frozen":
        density = FrozenEstimator(Normals().fit(scaled[:50]))
        in_pipeline = FrozenEstimator(piped(density))
    elif how == "list":
        density, in_pipeline = [("a", density), ("b", Normals(2))], [("a", in_pipeline), ("b", piped(Normals(2)))]
    elif how == "nested":
        in_pipeline = make_pipeline(make_pipeline(SCALER), make_pipeline(Normals()))
    backgrounds = (Normals(3), piped(Normals(3))) if method == "ratio" else (None, None)
    by_hand, detector = (
        DensityOutlierDetector(estimator, method=method, background=background, random_state=0)
        for estimator, background in zip((density, in_pipeline), backgrounds, strict=True)
    )
    by_hand.fit(scaled)
    detector.fit(X)
    assert_array_equal(detector.score_samples(NEW), by_hand.score_samples(new))
    assert_array_equal(detector.p_values(NEW), by_hand.p_values(new))
    assert hasattr(detector, "score_features") == SCORES[method].splits
    if SCORES[method].splits:
        assert_array_equal(detector.score_features(NEW), by_hand.score_features(new))


@pytest.mark.filterwarnings("ignore:Posterior collapse")
def test_no_statistic_of_a_vae_is_lost_behind_a_scaler(digits):
    vae = VAETransformer(3, hidden_layer_sizes=(8,), max_iter=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), vae).fit(digits[:600])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector = DensityOutlierDetector(FrozenEstimator(pipeline), method="statistics").fit(digits[600:])
    assert detector._score_.mixture_.mixture_.n_features_in_ == 1 + 1 + 3  # log-likelihood, log p(x | z), z


def test_statistics_of_an_estimator_that_tells_none_are_missed_aloud():
    detector = DensityOutlierDetector(make_pipeline(StandardScaler(), GaussianMixture()), method="statistics")
    with pytest.warns(
        UserWarning, match="GaussianMixture tells no score_statistics, so .* uses only 1 of it"
    ) as caught:
        detector.fit(X)
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(UserWarning, match="uses only 2 of it: the log-likelihood and the code length"):
        detector.set_params(codelength="zlib").fit(X)


class Log(OneToOneFeatureMixin, FunctionTransformer):
    pass


@pytest.mark.parametrize(
    ("step", "lost"),
    [
        (None, None),
        (VarianceThreshold(), None),  # all features vary
        (FunctionTransformer(np.cbrt, feature_names_out="one-to-one"), None),
        (Log(np.cbrt), None),
        (make_column_transformer(("passthrough", [0, 1, 2]), verbose_feature_names_out=False), None),
        (make_pipeline(StandardScaler(), StandardScaler()), None),
        (make_column_transformer(("passthrough", [2, 1, 0]), verbose_feature_names_out=False), "ColumnTransformer"),
        (FunctionTransformer(np.cbrt), "FunctionTransformer"),
        (PCA(2), "PCA"),
        (FrozenEstimator(PCA(2).fit(X)), "PCA"),
    ],
)
def test_contributions_come_through_one_to_one_steps_only(step, lost):
    pipeline = Pipeline([("scale", StandardScaler()), ("second", step), ("density", NeighborsDensity())])
    detector = DensityOutlierDetector(pipeline, random_state=0).fit(X)
    assert hasattr(detector, "score_features") == (lost is None)
    if lost is None:
        assert_allclose(detector.score_features(NEW).sum(axis=1), detector.score_samples(NEW))
    else:
        with pytest.raises(AttributeError, match=f"'score_features': the step 'second', {lost}, is not one-to-one"):
            detector.score_features(NEW)


def test_statistics_and_regret_come_through_any_steps():
    pca = FrozenEstimator(PCA(2).fit(X))
    for method in ("statistics", "regret", "fisher"):
        detector = DensityOutlierDetector(make_pipeline(pca, Normals()), method=method, random_state=0).fit(X)
        by_hand = DensityOutlierDetector(Normals(), method=method, random_state=0).fit(pca.transform(X))
        assert_array_equal(detector.score_samples(NEW), by_hand.score_samples(pca.transform(NEW)))
    with pytest.raises(TypeError, match="likelihood_regret, which GaussianMixture has not"):
        DensityOutlierDetector(make_pipeline(pca, GaussianMixture()), method="regret").fit(X)


def test_the_image_of_other_features_is_not_that_of_x(digits):
    density = PixelCNNDensity(image_shape=(8, 8), n_filters=4, n_blocks=1, max_iter=1, random_state=0)
    shuffle = make_column_transformer(("passthrough", np.arange(64)[::-1]), verbose_feature_names_out=False)
    for first, shape in ((StandardScaler(), (1, 8, 8)), (shuffle, None)):
        detector = DensityOutlierDetector(make_pipeline(first, density), calibration_size=0.5, random_state=0)
        assert detector.fit(digits[:500]).method_ == "statistics"
        assert detector.image_shape_ == shape
        assert detector._score_.codelength.image_shape == shape


def test_pandas_through_the_steps():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), NeighborsDensity())
    detector = DensityOutlierDetector(pipeline, random_state=0).fit(frame)
    plain = DensityOutlierDetector(make_pipeline(StandardScaler(), NeighborsDensity()), random_state=0).fit(X)
    assert_allclose(detector.score_features(frame), plain.score_features(X))


# -- files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [None, *SCORES])
@pytest.mark.filterwarnings("ignore:Posterior collapse", "ignore:Of 300 rows")
def test_files_name_this_library_s_classes_alone_and_score_the_same(method, tmp_path):
    vae = VAETransformer(2, hidden_layer_sizes=(8,), max_iter=1, random_state=0)
    made = MADEDensity(hidden_layer_sizes=(8,), max_iter=1, random_state=0)
    members = [("one", make_pipeline(StandardScaler(), vae if method == "regret" else made)), ("other", vae)]
    estimator = members[:1] if method == "fisher" else members
    detector = DensityOutlierDetector(None if method is None else estimator, method=method or "auto", random_state=0)
    for n in (40, 1000):  # in folds, and with some rows kept apart
        detector.fit(X[:n])
        dumped = skops.io.dumps(detector)
        trusted = skops.io.get_untrusted_types(data=dumped)
        assert all(name.startswith("sklatent.") and "_outliers" not in name for name in trusted), trusted
        joblib.dump(detector, tmp_path / "detector.joblib")
        loaded = [
            skops.io.loads(dumped, trusted=trusted), pickle.loads(pickle.dumps(detector)),
            joblib.load(tmp_path / "detector.joblib", mmap_mode="r"),
        ]  # fmt: skip
        before, after = detector.p_values(NEW), detector.recalibrate(X[:400]).p_values(X)
        for other in loaded:
            assert_array_equal(other.p_values(NEW), before)
            assert_array_equal(other.recalibrate(X[:400]).p_values(X), after)


def test_a_file_holds_the_rows_of_the_default_pool_once_for_each_member_and_no_tree():
    """All, four fifths and half of the rows that are trained on, four fifths of those of fit; arrays of the forest."""
    wide = np.random.RandomState(0).normal(size=(2000, 50))
    detector = DensityOutlierDetector(random_state=0).fit(wide)
    schema = zipfile.ZipFile(io.BytesIO(skops.io.dumps(detector))).read("schema.json").decode()
    assert "NeighborsDensity" in schema
    assert not any(tree in schema for tree in ("KDTree", "BallTree", "NearestNeighbors", "sklearn.tree"))
    members = detector.estimators_[0].members_
    assert list(members) == ["rows", "marginals", "forest", "core", "most"]
    forest = len(pickle.dumps(members["forest"]))
    assert forest < 1.3e6
    assert 1.84 < (len(pickle.dumps(detector)) - forest) / wide.nbytes < 2.1


# -- at the end of a pipeline ----------------------------------------------------------------------------------


def test_the_last_step_of_a_pipeline_is_asked_about_rows_that_the_others_transformed():
    """As the guide says: a table of strings too, and contributions of one-hot columns add up by their source."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"weight": rng.gamma(9, size=600), "kind": rng.choice(["disc", "ring", "plate"], 600)})
    new = pd.DataFrame({"weight": [9.0, 60.0], "kind": ["ring", "disc"]})
    columns = make_column_transformer((StandardScaler(), ["weight"]), (OneHotEncoder(sparse_output=False), ["kind"]))
    pipe = make_pipeline(columns, DensityOutlierDetector(random_state=0)).fit(frame)
    by_hand = DensityOutlierDetector(random_state=0).fit(clone(columns).fit_transform(frame))
    seen = pipe[:-1].transform(new)
    assert_array_equal(pipe[-1].p_values(seen), by_hand.p_values(seen))
    assert_array_equal(pipe.predict(new), np.where(pipe[-1].p_values(seen) <= 0.05, -1, 1))
    assert pipe.predict(new).tolist() == [1, -1]

    levels = pipe[0].named_transformers_["onehotencoder"].categories_
    sources = ["weight", *np.repeat(["kind"], [len(level) for level in levels])]
    assert [name.split("__")[1].split("_")[0] for name in pipe[:-1].get_feature_names_out()] == sources
    terms = pd.DataFrame(pipe[-1].score_features(seen)).T.groupby(sources, sort=False).sum().T
    assert list(terms) == ["weight", "kind"]
    assert_allclose(terms.sum(axis=1), pipe.score_samples(new))
    assert terms.loc[1].idxmin() == "weight"  # 60 is what is odd, not the disc


def test_over_one_hot_columns_p_values_and_counterfactuals_remain():
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"weight": rng.gamma(9, size=600), "kind": rng.choice(["disc", "ring"], 600)})
    columns = make_column_transformer((StandardScaler(), ["weight"]), (OneHotEncoder(sparse_output=False), ["kind"]))
    detector = DensityOutlierDetector(make_pipeline(columns, NeighborsDensity()), random_state=0).fit(frame)
    odd = pd.DataFrame({"weight": [60.0], "kind": ["disc"]})
    assert detector.p_values(odd) <= 0.05
    with pytest.raises(AttributeError, match="the step 'columntransformer', ColumnTransformer, is not one-to-one"):
        detector.score_features(odd)
    changed = detector.counterfactuals(odd, frame)
    assert changed["kind"].tolist() == ["disc"]
    assert frame["weight"].min() <= changed["weight"][0] <= frame["weight"].max()
    assert detector.predict(changed) == 1
