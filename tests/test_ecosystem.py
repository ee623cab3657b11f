"""Our estimators in scikit-learn's own machinery."""

import numpy as np
import pandas as pd
import pytest
from common import NETS, said, small
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import clone, config_context
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import AutoencoderTransformer, PixelCNNDensity, VAETransformer

CODERS = pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])


def classifier():
    return LogisticRegression(max_iter=1000)


@CODERS
def test_pipeline_and_cross_val_score(cls, digits, labels):
    pipeline = make_pipeline(small(cls, n_components=16, hidden_layer_sizes=(64,), max_iter=20), classifier())
    scores = cross_val_score(pipeline, digits[:600], labels[:600], cv=3)
    assert scores.mean() > 0.75


def test_grid_search_between_pca_and_ours_in_two_processes(digits, labels):
    pipeline = Pipeline([("reduce", PCA()), ("classify", classifier())])
    options = {"hidden_layer_sizes": (32,), "max_iter": 20, "random_state": 0}
    grid = {
        "reduce": [PCA(), AutoencoderTransformer(**options), VAETransformer(**options)],
        "reduce__n_components": [4, 8],
    }
    search = GridSearchCV(pipeline, grid, n_jobs=2, cv=2, error_score="raise").fit(digits[:300], labels[:300])
    assert len(search.cv_results_["params"]) == 6
    assert (search.cv_results_["mean_test_score"] > 0.4).all()
    assert search.score(digits[300:], labels[300:]) > 0.6


def test_grid_search_over_densities_by_their_own_score(digits):
    search = GridSearchCV(small(PixelCNNDensity, image_shape=(8, 8)), {"max_iter": [1, 6]}, cv=2).fit(digits[:200])
    assert search.best_params_ == {"max_iter": 6}


@CODERS
def test_feature_union_and_column_transformer(cls, digits):
    union = FeatureUnion([("pca", PCA(2)), ("ours", small(cls))]).fit(digits[:100])
    assert union.transform(digits[:5]).shape == (5, 5)
    name = cls.__name__.lower()
    assert list(union.get_feature_names_out())[2:] == [f"ours__{name}{i}" for i in range(3)]
    columns = ColumnTransformer([("ours", small(cls), slice(0, 32)), ("rest", "passthrough", [40])])
    assert columns.fit_transform(digits[:100]).shape == (100, 4)


@CODERS
def test_pretrained_on_all_rows_and_frozen(cls, digits, labels):
    encoder = small(cls, n_components=16, hidden_layer_sizes=(64,), max_iter=10).fit(digits)
    pipeline = make_pipeline(FrozenEstimator(encoder), classifier()).fit(digits[:100], labels[:100])
    assert pipeline[0].estimator is encoder
    assert encoder.n_iter_ == 10
    assert pipeline.score(digits[100:], labels[100:]) > 0.6
    assert cross_val_score(pipeline, digits[:100], labels[:100], cv=2).min() > 0.4


@CODERS
def test_pipeline_memory_fits_once(cls, digits, labels, tmp_path):
    pipeline = Pipeline([("encode", small(cls)), ("classify", classifier())], memory=str(tmp_path))
    first = pipeline.fit(digits[:100], labels[:100]).predict(digits)
    files = sorted(tmp_path.rglob("output.pkl"))
    assert len(files) == 1
    stamp = files[0].stat().st_mtime_ns
    assert_array_equal(
        clone(pipeline).set_params(classify__C=1.0).fit(digits[:100], labels[:100]).predict(digits), first
    )
    assert [path.stat().st_mtime_ns for path in tmp_path.rglob("output.pkl")] == [stamp], "read, not fitted again"


@pytest.mark.parametrize("cls", NETS, ids=lambda cls: cls.__name__)
def test_clone_holds_nothing_fitted(cls, digits):
    fitted = small(cls).fit(digits[:50])
    twin = clone(fitted)
    assert not hasattr(twin, "net_")
    assert twin.get_params() == fitted.get_params()
    assert_array_equal(said(twin.fit(digits[:50]), digits[:9]), said(fitted, digits[:9]))


@CODERS
def test_pandas_in_and_out(cls, digits):
    frame = pd.DataFrame(digits[:60], columns=[f"p{i}" for i in range(64)], index=np.arange(60) + 1000)
    encoder = small(cls).set_output(transform="pandas").fit(frame)
    codes = encoder.transform(frame)
    assert isinstance(codes, pd.DataFrame)
    assert list(codes.columns) == list(encoder.get_feature_names_out())
    assert_array_equal(codes.index, frame.index)
    assert (codes.dtypes == np.float32).all()
    with config_context(transform_output="pandas"):
        assert isinstance(make_pipeline(StandardScaler(), small(cls)).fit_transform(frame), pd.DataFrame)


def test_scores_pass_through_a_pipeline(digits):
    pipeline = make_pipeline(StandardScaler(), small(VAETransformer)).fit(digits[:100])
    assert_allclose(pipeline.score(digits), pipeline.score_samples(digits).mean())
