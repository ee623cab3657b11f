"""Files of ONNX say what Python says: of one row, of seven, of a thousand."""

import sys
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import logsumexp, ndtri
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from torch.onnx._internal.exporter._registration import ONNXRegistry

from sklatent import (
    AutoencoderTransformer,
    DensityOutlierDetector,
    EncoderClassifier,
    GraphLabelSpreading,
    HistogramDensity,
    MADEDensity,
    NeighborsDensity,
    PixelCNNDensity,
    PixelRNNDensity,
    TwoViewTransformer,
    VAETransformer,
)
from sklatent._onnx import check
from sklatent._onnx.nets import density
from sklatent._onnx.tables import NormalQuantile, NormalScores
from sklatent._onnx.verdicts import Verdicts, score
from sklatent._outliers.marginals import _Forest, _Marginals, _NormalScores, _Tails
from sklatent._outliers.pool import _TablePool
from sklatent.onnx import to_onnx

pytestmark = pytest.mark.filterwarnings("ignore:Posterior collapse", "ignore:Collapse", "ignore:The loss of rows")
ONE = {"max_iter": 1, "random_state": 0}
NET = {"hidden_layer_sizes": (8,), **ONE}


@pytest.fixture(scope="module", autouse=True)
def _one_registry():
    """Half of the time of a small export is for the list of operators that torch makes anew each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


@cache
def table():
    """1,000 rows of real values, of two groups."""
    X = np.random.RandomState(0).normal(size=(1000, 4)) @ np.random.RandomState(1).normal(size=(4, 4))
    X[:500] += 4
    return X


@cache
def images():
    """1,000 of 4 x 4 pixels of 5 levels, in float32."""
    return np.clip(np.random.RandomState(0).normal(2, 1, size=(1000, 16)).round(), 0, 4).astype(np.float32)


def levels():
    """Two real columns, and two of levels."""
    X = table().copy()
    X[:, 2:] = np.clip(X[:, 2:].round(), -2, 9)
    return X


def classes(X):
    return (X[:, 0] > np.median(X[:, 0])).astype(int)


def few_labels(X):
    return np.where(np.arange(len(X)) < 50, classes(X), -1)


def _scaled_net():
    X = images()
    steps = [("scaler", StandardScaler()), ("nothing", "passthrough")]
    encoder = AutoencoderTransformer(3, image_shape=(4, 4), corruption="affine", **ONE)
    return Pipeline([*steps, ("encoder", encoder), ("classifier", LogisticRegression())]).fit(X, classes(X)), X


def _classifier_of_strings():
    X = table()
    encoder = FrozenEstimator(AutoencoderTransformer(3, **NET).fit(X))
    return EncoderClassifier(encoder, **ONE).fit(X, np.array(["no", "yes"])[classes(X)]), X


def _graph_of_images():
    X = images()
    classifier = EncoderClassifier(TwoViewTransformer(3, image_shape=(4, 4), **ONE), n_rounds=0, **ONE)
    return classifier.fit(X[:200], few_labels(X[:200])), X


def _detector(estimator, n=1000, **options):
    return DensityOutlierDetector(estimator, random_state=0, **options).fit(table()[:n]), table()


def _label_spreading():
    return make_pipeline(PCA(2), GraphLabelSpreading()).fit(table(), few_labels(table())), table()


def _pixel_rnn():
    X = np.ascontiguousarray(images()[:, :4])
    return PixelRNNDensity(image_shape=(2, 2), cell="row_lstm", n_filters=2, n_layers=1, **ONE).fit(X), X


def _pool():
    behind = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0))
    members = [("kernel", KernelDensity(bandwidth=0.5)), ("mixture", behind)]
    return _detector(members, method="typicality", tail="pareto")


MODELS = {
    "an autoencoder": lambda: (AutoencoderTransformer(3, **NET).fit(table()), table()),
    "a pipeline of images": _scaled_net,
    "a VAE": lambda: (VAETransformer(2, **NET).fit(table()), table()),
    "a VAE of columns of several kinds": lambda: (VAETransformer(2, **NET).fit(levels()), levels()),
    "two views": lambda: (TwoViewTransformer(3, image_shape=(4, 4), **ONE).fit(images()), images()),
    "MADE": lambda: (MADEDensity(**NET).fit(table()), table()),
    "PixelCNN": lambda: (PixelCNNDensity(image_shape=(4, 4), n_filters=4, n_blocks=1, **ONE).fit(images()), images()),
    "PixelRNN": _pixel_rnn,
    "a net's classes": _classifier_of_strings,
    "a graph's classes": _graph_of_images,
    "label spreading": _label_spreading,
    "a pool of densities": _pool,
    "the default detector": lambda: _detector(None),
    "calibrated in turn": lambda: _detector(PCA(2), n=60, calibration_size=0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_file_says_what_python_says(name):
    estimator, X = MODELS[name]()
    model = to_onnx(estimator, X)
    onnx.checker.check_model(model)
    new = X + np.random.RandomState(2).choice([0, 1], size=X.shape).astype(X.dtype)
    if name == "calibrated in turn":
        new = new + 1e-3  # a row of fit would be another to Python
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    for n in (1, 7, 1000):
        found = check.run(model, new[:n])
        rows = estimator[:-1].transform(new[:n]) if last is not estimator else new[:n]
        assert {"predict", "transform", "score_samples"} & set(found)
        for method, values in found.items():
            expected = np.asarray(getattr(last, method)(rows))
            assert values.shape == expected.shape, method
            if method == "predict":
                assert np.mean(values == expected) >= 0.999  # but for ties
            elif method == "p_values":
                assert_allclose(values, expected, atol=2 / len(last.calibration_scores_))
            else:
                off = np.abs(values - expected) / np.maximum(1, np.abs(expected))
                assert np.quantile(off, 0.999) < 1e-4, method  # in one row of 1,000 rounding may move a rank


def test_a_frame_makes_an_input_of_each_column():
    pd = pytest.importorskip("pandas")
    names = ["a/b (%)", "b", "c", "d"]
    X = pd.DataFrame(table()[:200], columns=names).assign(kind=np.where(np.arange(200) % 3, "x", "y"))
    columns = ColumnTransformer([("kinds", OneHotEncoder(), ["kind"]), ("rest", StandardScaler(), names)])
    pipeline = make_pipeline(columns, AutoencoderTransformer(3, **NET)).fit(X)
    model = to_onnx(pipeline, X)
    assert [each.name for each in model.graph.input] == [*names, "kind"]
    assert_allclose(check.run(model, X[:7])["transform"], pipeline.transform(X[:7]), atol=1e-4)


# -- the densities, without a file: to the last digits -----------------------------------------------------------------


def _far():
    """Rows far out, and equal to some of fit, beside common ones."""
    X = table()
    return np.concatenate([X[:50], 1e3 * X[50:60], X[60:100] + 0.3, np.zeros((1, 4))])


@pytest.mark.parametrize(
    "estimator",
    [
        HistogramDensity(), NeighborsDensity(3), NeighborsDensity(support_fraction=0.5, random_state=0), _Marginals(),
        _Tails(), _Forest(random_state=0), _TablePool(random_state=0), PCA(2), PCA(),
        *(GaussianMixture(3, covariance_type=kind, random_state=0) for kind in ("full", "tied", "diag", "spherical")),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("of", [table, levels], ids=["real", "levels"])
def test_torch_says_of_a_table_what_numpy_says(estimator, of):
    X = of()[:300]
    fitted = estimator.fit(X)
    found = density(fitted)(torch.from_numpy(_far())).numpy()
    assert_allclose(found, fitted.score_samples(_far()), rtol=1e-9, atol=1e-9)


def test_kernels_are_those_of_the_formula():
    """scikit-learn's own sum over its tree is off by tens of nats in the tails, where terms cancel (1.9)."""
    rows, width = table()[:300], 0.7
    found = density(KernelDensity(bandwidth=width).fit(rows))(torch.from_numpy(_far())).numpy()
    squares = np.square(_far()[:, np.newaxis] - rows).sum(axis=2) / width**2
    expected = logsumexp(-0.5 * squares, axis=1) - np.log(300 * (width * np.sqrt(2 * np.pi)) ** 4)
    assert_allclose(found, expected, rtol=1e-9)
    weights = np.arange(1, 301.0)
    weighted = KernelDensity(bandwidth=width).fit(rows, sample_weight=weights)
    expected += logsumexp(-0.5 * squares, axis=1, b=weights / weights.mean()) - logsumexp(-0.5 * squares, axis=1)
    assert_allclose(density(weighted)(torch.from_numpy(_far())).numpy(), expected, rtol=1e-9)


def test_normal_scores_and_quantiles():
    p = np.concatenate([np.logspace(-10, -0.31, 500), 1 - np.logspace(-10, -0.31, 500)])
    assert_allclose(NormalQuantile()(torch.from_numpy(p)).numpy(), ndtri(p), rtol=1e-12, atol=1e-14)
    scores = _NormalScores().fit(levels())
    assert_allclose(NormalScores(scores)(torch.from_numpy(_far())).numpy(), scores.transform(_far()), atol=1e-12)


@pytest.mark.parametrize(
    "options", [{"tail": "pareto"}, {}, {"method": "ratio", "background": PCA(2)}, {"never": True}], ids=str
)
def test_verdicts_are_those_of_numpy(options):
    never = options.pop("never", False)
    detector = DensityOutlierDetector(GaussianMixture(random_state=0), random_state=0, **options).fit(table())
    if never:  # no score is so low
        detector.offset_ = -np.inf
    densities, module = score(detector._score_)
    said = [torch.from_numpy(each.score_samples(_far())) for each in densities]
    labels, decision, _, p, *_ = (each.numpy() for each in Verdicts(detector, module, len(said))(*said))
    assert_allclose(p, detector.p_values(_far()), rtol=1e-9)
    assert_allclose(decision, detector.decision_function(_far()), rtol=1e-9)
    assert (labels == detector.predict(_far())).all()


# -- what cannot be ----------------------------------------------------------------------------------------------------


def test_without_the_extra_the_error_names_it(monkeypatch):
    for name in [each for each in sys.modules if each.startswith("sklatent._onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"skl2onnx, which is not installed: pip install \"sklatent\[onnx\]\""):
        to_onnx(HistogramDensity().fit(table()), table())


def test_an_unfitted_estimator_says_so():
    with pytest.raises(NotFittedError):
        to_onnx(make_pipeline(StandardScaler(), HistogramDensity()), table())


@pytest.mark.parametrize("opset", [17, 999, "18"])
def test_an_opset_that_is_none(opset):
    with pytest.raises(ValueError, match=r"opset=.* from 18, the oldest that torch exports"):
        to_onnx(HistogramDensity().fit(table()), table(), opset=opset)


def test_an_opset_that_is_asked_for():
    model = to_onnx(HistogramDensity().fit(table()), table(), opset=20)
    assert {each.domain: each.version for each in model.opset_import}[""] == 20


def test_a_step_that_skl2onnx_does_not_know():
    class Own(FunctionTransformer):
        pass

    pipeline = make_pipeline(Own(np.abs), HistogramDensity()).fit(table())
    with pytest.raises(TypeError, match=r"(?s)no ONNX that skl2onnx knows of: .*Own.*update_registered_converter"):
        to_onnx(pipeline, table())


@pytest.mark.parametrize(
    ("detector", "words"),
    [
        (
            DensityOutlierDetector(GaussianMixture(), method="complexity", random_state=0),
            r"method='complexity' has no ONNX",
        ),
        (DensityOutlierDetector(IsolationForest(), random_state=0), r"IsolationForest.score_samples has no ONNX"),
        (DensityOutlierDetector(KernelDensity(kernel="tophat"), random_state=0), r"kernel='tophat'"),
        (
            DensityOutlierDetector(HistogramDensity(), tail="pareto", calibration_size=0.5, random_state=0),
            r"tail='pareto' whose rows calibrated in turn",
        ),
    ],
    ids=["complexity", "forest", "kernel", "tail in turn"],
)
def test_a_detector_that_has_no_graph(detector, words):
    rows = table()[:60] if detector.tail else table()
    with pytest.raises(TypeError, match=words):
        to_onnx(detector.fit(rows), table())


def test_a_pool_of_opinions_says_what_to_do():
    classifier, X = _classifier_of_strings()
    classifier.opinions_ = None  # as of a table with unlabelled rows
    with pytest.raises(TypeError, match=r"pool of opinions.*fit\(X, classifier.transduction_\)"):
        to_onnx(classifier, X)


def test_rows_with_holes():
    X = table().copy()
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        to_onnx(AutoencoderTransformer(3, **NET).fit(X), X)


def test_a_sampler():
    with pytest.raises(TypeError, match=r"sample and complete draw, and have no ONNX"):
        to_onnx(VAETransformer(2, **NET).fit(table()).sample, table())


def test_a_density_as_a_step_before_the_last():
    pipeline = make_pipeline(MADEDensity(hidden_layer_sizes=(), **ONE), LogisticRegression())
    with pytest.raises((TypeError, ValueError), match="no hidden layer|gives no codes"):
        to_onnx(pipeline.fit(table(), classes(table())), table())


def test_a_graph_that_differs_is_refused(monkeypatch):
    monkeypatch.setattr(HistogramDensity, "score_samples", lambda self, X: np.full(len(X), -3.0))
    with pytest.raises(ValueError, match=r"ONNX of HistogramDensity.score_samples differs .* in 1000 of 1000 rows"):
        to_onnx(HistogramDensity().fit(table()), table())
