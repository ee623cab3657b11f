"""EncoderClassifier: few labels, many rows."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from common import small
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import entropy
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from skorch.callbacks import Callback
from test_label_spreading import few

from sklatent import (
    AutoencoderTransformer,
    EncoderClassifier,
    GraphLabelSpreading,
    LabeledKFold,
    PixelCNNDensity,
    VAETransformer,
)
from sklatent._nn.classifier import Classifier
from sklatent._semi_supervised import recipes, stages
from sklatent._semi_supervised.recipes import COLOR, IMAGES, SERIES, TABLES, recipe
from sklatent._semi_supervised.targets import (
    class_weights,
    one_hot,
    pseudo_labels,
    repeated,
    with_labels_repeated,
)


@pytest.fixture(scope="module")
def encoder(digits):
    options = {"image_shape": (8, 8), "corruption": "elastic", "loss": "binary_cross_entropy"}
    return FrozenEstimator(AutoencoderTransformer(32, max_iter=20, random_state=0, **options).fit(digits))


@pytest.fixture(scope="module")
def rows():
    return load_iris(return_X_y=True)


def quick(encoder=None, **params):
    return EncoderClassifier(encoder, **{"random_state": 0, "max_iter": 3, **params})


def tiny(**params):
    return AutoencoderTransformer(4, hidden_layer_sizes=(16,), max_iter=30, random_state=0, **params)


# -- what it is good for ---------------------------------------------------------------------------------------------


def test_net_and_graph_beat_the_graph_and_the_stock_pipeline(digits, labels, encoder):
    digits, labels = digits[:1000], labels[:1000]
    graph, ours, stock = [], [], []
    for seed in range(2):
        y = few(labels, 3, seed)
        rest = y == -1
        graph.append(
            np.mean(GraphLabelSpreading().fit(encoder.transform(digits), y).transduction_[rest] == labels[rest])
        )
        ours.append(np.mean(quick(encoder, max_iter=20).fit(digits, y).transduction_[rest] == labels[rest]))
        pipeline = make_pipeline(PCA(16, random_state=0), LogisticRegression(max_iter=2000)).fit(
            digits[~rest], y[~rest]
        )
        stock.append(pipeline.score(digits[rest], labels[rest]))
    assert np.mean(ours) > np.mean(graph) + 0.005
    assert np.mean(ours) > np.mean(stock) + 0.08


def test_the_recipe_is_that_of_the_kind_of_rows():
    kinds = {None: TABLES, (8, 8): IMAGES, (1, 8, 8): IMAGES, (3, 8, 8): COLOR, (1, 8): SERIES, (3, 1, 8): SERIES}
    assert {shape: recipe(shape) for shape in kinds} == kinds


def test_the_augmentation_makes_the_views_of_images(digits, labels):
    classifier = EncoderClassifier(image_shape=(8, 8), augmentation={"affine": 0.6}, max_iter=1, random_state=0)
    assert classifier.fit(digits[:50], labels[:50]).encoder_.corruption == {"affine": 0.6}
    assert classifier.set_params(augmentation="auto").fit(digits[:50], labels[:50]).encoder_.corruption == "auto"


def test_defaults_classify_images_in_color():
    """Red stripes on blue that lie or stand, at any place: four labels a class."""
    random, n = np.random.RandomState(0), 120
    y, place = np.arange(n) % 2, random.randint(4, size=(n, 1, 1))
    red = ((np.indices((16, 16))[:, np.newaxis] + place) % 4 < 2)[y, np.arange(n)]
    X = np.stack([red, 0 * red, 1 - red], axis=1) + 0.1 * random.normal(size=(n, 3, 16, 16))
    X = X.reshape(n, -1)
    classifier = EncoderClassifier(image_shape=(3, 16, 16), random_state=0).fit(X[:80], few(y[:80], 4))
    assert classifier.score(X[80:], y[80:]) > 0.95
    assert classifier.augmentation_ == {"affine": 0.6, "flip": 0.5, "color": 1.0}


def test_defaults_classify_a_table_and_images(digits, labels, rows):
    X, y = rows
    assert EncoderClassifier(random_state=0).fit(X, few(y, 3)).score(X, y) > 0.85
    y = few(labels[:600], 5)
    classifier = EncoderClassifier(image_shape=(8, 8), random_state=0).fit(digits[:600], y)
    assert classifier.score(digits[600:], labels[600:]) > 0.8
    assert classifier.encoder_.image_shape_ == (1, 8, 8)


def test_all_rows_labelled_is_ordinary_fine_tuning(digits, labels, encoder):
    classifier = EncoderClassifier(encoder, random_state=0).fit(digits[:1200], labels[:1200])
    assert not hasattr(classifier, "graph_")
    assert classifier.score(digits[1200:], labels[1200:]) > 0.93
    proba = classifier.predict_proba(digits[:9])
    assert proba.shape == (9, 10)
    assert_allclose(proba.sum(axis=1), 1)
    assert not np.allclose(classifier.transform(digits[:9]), encoder.transform(digits[:9]), atol=0.01)


# -- targets and losses ------------------------------------------------------------------------------------------------


def test_targets_weigh_rows_by_how_sure_the_graph_is():
    distributions = np.array([[1.0, 0, 0], [0.6, 0.4, 0], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]])
    codes = np.array([-1, -1, -1, 2])
    sure = 1 - entropy(distributions, axis=1) / np.log(3)
    found = pseudo_labels(distributions, codes, np.array([1.0, 1.0, 2.0]))
    expected = np.diag([1.0, 1.0, 2.0])[[0, 0, 2, 2]] * np.append((sure / sure.mean())[:3], 1)[:, None]
    assert_allclose(found, expected, rtol=1e-6)


def test_labelled_rows_are_a_fifth_of_what_is_shown():
    known = few(np.repeat([0, 1], 500), 5)
    labelled, unlabelled = np.flatnonzero(known >= 0), np.flatnonzero(known < 0)
    index = with_labels_repeated(labelled, unlabelled)
    assert_allclose(np.mean(known[index] >= 0), 0.2, atol=0.005)
    assert_array_equal(np.unique(index), np.arange(1000))
    alone = repeated(np.array([3, 5, 8]), batch_size=10)
    assert_array_equal(np.bincount(alone)[[3, 5, 8]], [67, 67, 67])  # about 20 batches
    assert_array_equal(repeated(np.arange(500), batch_size=10), np.arange(500))


def test_class_weights_are_scikit_learn_s():
    codes = np.array([0, 0, 0, 1, -1])
    assert_allclose(class_weights("balanced", np.array(["a", "b"]), codes), [2 / 3, 2])
    assert_allclose(class_weights({"a": 3, "b": 5}, np.array(["a", "b"]), codes), [3, 5])
    assert_allclose(one_hot(codes, np.array([3.0, 5.0])), [[3, 0], [3, 0], [3, 0], [0, 5], [0, 0]])


class Plain(torch.nn.Module):
    started = False

    def encode(self, x):
        return x

    inside = code_of = encode


def test_loss_is_the_weighted_cross_entropy():
    torch.manual_seed(0)
    module = Classifier(Plain(), 5, 3).double().eval()
    x, y, weight = torch.randn(8, 5).double(), torch.randint(3, (8,)), torch.rand(8).double()
    target = torch.nn.functional.one_hot(y, 3) * weight[:, None]
    exact = weight * torch.nn.functional.cross_entropy(module.head(x), y, reduction="none")
    torch.testing.assert_close(module(x, target), exact)


def test_mixup_mixes_rows_and_targets_alike():
    torch.manual_seed(0)
    module = Classifier(Plain(), 2, 3, mixup=1.0)
    x, target = torch.randn(500, 2).double(), torch.rand(500, 3).double()
    y = torch.cat([x, target], 1)
    torch.manual_seed(1)
    mixed = torch.cat(module._mixed(x, target), 1)
    torch.manual_seed(1)
    share = torch.distributions.Beta(torch.tensor(1.0).double(), torch.tensor(1.0).double()).sample((500, 1))
    other = torch.randperm(500)
    torch.testing.assert_close(mixed, share * y + (1 - share) * y[other])


def test_virtual_adversarial_change_of_a_logistic_regression():
    """Two classes: the worst direction is that of the difference of the weights, whichever way it points."""
    torch.manual_seed(0)
    module = Classifier(Plain(), 5, 2, vat=0.3).double()
    u = torch.rand(40, 5).double()  # not negative: the head's ReLU is linear there
    difference = (module.head[2].weight[0] - module.head[2].weight[1]).detach()
    distance = torch.pdist(u).square().mul(2).sum().div(40 * 40).sqrt()
    step = 0.3 * distance * difference / difference.norm()
    u += 2 * step.abs().max()

    def log_p(v):
        return module._clean_log_proba(v).detach()

    exact = [(log_p(u).exp() * (log_p(u) - log_p(u + sign * step))).sum(1) for sign in (1, -1)]
    found = module._adversarial_change(u).detach()
    nearest = torch.stack([(each - found).abs() / found for each in exact]).amin(0)
    assert nearest.max() < 1e-6
    half = Classifier(Plain(), 5, 2, vat=0.15).double()
    half.load_state_dict(module.state_dict())
    assert (half._adversarial_change(u) < found).all()


def test_virtual_adversarial_training_is_part_of_the_loss_in_training_alone():
    torch.manual_seed(0)
    plain, smooth = (Classifier(Plain(), 5, 3, dropout=0.0, vat=vat).double() for vat in (0.0, 0.2))
    smooth.load_state_dict(plain.state_dict())
    x, target = torch.randn(8, 5).double(), torch.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]].double()
    assert (smooth.train()(x, target) > plain.train()(x, target)).all()
    torch.testing.assert_close(smooth.eval()(x, target), plain.eval()(x, target))
    smooth.train()(x, target).sum().backward()
    assert all(parameter.grad is not None for parameter in smooth.head.parameters())


# -- parameters ---------------------------------------------------------------------------------------------


def weights_of(classifier, part):
    state = classifier.net_.module_.state_dict()
    return {name: tensor.clone() for name, tensor in state.items() if name.startswith(part)}


def test_compile_changes_nothing_but_the_speed(rows, monkeypatch):
    original = torch.nn.Module.compile  # traced as ever, but without the minutes that code generation takes
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **_: original(self, backend="eager"))
    X, y = rows
    frozen = FrozenEstimator(tiny().fit(X))
    compiled, plain = (quick(frozen, compile=each, vat=0.1).fit(X, y) for each in (True, False))
    assert_allclose(compiled.predict_proba(X), plain.predict_proba(X), rtol=1e-3, atol=1e-4)


def test_freeze_trains_the_head_alone_and_then_the_whole(digits, labels, encoder):
    for freeze, moved in [(3, False), (2, True)]:
        classifier = quick(encoder, freeze=freeze).fit(digits[:200], labels[:200])
        before = encoder.estimator.net_.module_.state_dict()
        after = weights_of(classifier, "coder.")
        different = [not torch.equal(before[name.removeprefix("coder.")], tensor) for name, tensor in after.items()]
        assert any(different) == moved
        assert all(parameter.requires_grad for parameter in classifier.net_.module_.parameters())


def test_rates_of_encoder_and_head_are_apart(digits, labels, encoder):
    class Rates(Callback):
        def on_batch_begin(self, net, **kwargs):
            rates.append([group["lr"] for group in net.optimizer_.param_groups])

    rates = []
    options = {"encoder_learning_rate": 1e-3, "learning_rate": 4e-3, "callbacks": [Rates()]}
    quick(encoder, **options).fit(digits[:200], labels[:200])
    one, other = np.array(rates).T
    assert_allclose(np.max(rates), 4e-3)
    assert_allclose(np.sort(np.stack([one, other]), axis=0)[0] * 4, np.maximum(one, other))
    still = quick(encoder, encoder_learning_rate=0.0).fit(digits[:200], labels[:200])
    assert_array_equal(still.transform(digits[:9]), encoder.transform(digits[:9]))


def test_a_frozen_encoder_stays_as_it_is_and_another_is_fitted_to_all_rows(digits, labels, encoder):
    before = encoder.transform(digits[:20])
    classifier = quick(encoder).fit(digits[:300], few(labels[:300], 2))
    assert classifier.encoder_ is encoder.estimator
    assert_array_equal(encoder.transform(digits[:20]), before)
    own = tiny()
    classifier = quick(own).fit(digits[:300], few(labels[:300], 2))
    assert not hasattr(own, "net_")
    assert_array_equal(classifier.encoder_.transform(digits[:9]), clone(own).fit(digits[:300]).transform(digits[:9]))


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_any_encoder(architecture, digits, labels):
    vae = VAETransformer(6, image_shape=(8, 8), architecture=architecture, max_iter=3, random_state=0)
    classifier = quick(vae).fit(digits[:300], few(labels[:300], 3))
    assert classifier.transform(digits).shape == (1797, 6)
    assert list(classifier.get_feature_names_out()) == [f"encoderclassifier{i}" for i in range(6)]


def test_early_stopping_watches_labelled_rows_that_training_does_not_see(digits, labels, encoder):
    options = {"early_stopping": True, "validation_fraction": 0.5, "n_iter_no_change": 2, "tol": 0.05, "max_iter": 100}
    for y in (labels[:400], few(labels[:400], 10)):
        classifier = EncoderClassifier(encoder, augmentation=None, random_state=0, **options).fit(digits[:400], y)
        assert "valid_loss" in classifier.history_[-1]
        assert classifier.n_iter_ < 100
        assert classifier.score(digits[400:], labels[400:]) > 0.7


def test_rounds_go_on_with_the_net(digits, labels, encoder):
    classifier = quick(encoder, n_rounds=3, max_iter=2).fit(digits[:300], few(labels[:300], 3))
    n = 2 * len(classifier.steps_)  # the labels, and up to three rounds
    assert classifier.n_iter_ == n >= 4
    assert [row["epoch"] for row in classifier.history_] == list(range(1, n + 1))


def test_tables_go_to_the_graph_at_once(rows):
    X, y = (each[:100] for each in rows)  # of which no two are copies, that would come in another order
    assert len(np.unique(X, axis=0)) == 100
    steps = quick(tiny(), n_rounds=1, max_iter=2).fit(X, few(y, 3)).steps_
    assert [step["learns"] for step in steps] == ["graph"]
    none = quick(tiny(), n_rounds=0).fit(X, few(y, 3))
    assert none.n_iter_ == 0
    expected = GraphLabelSpreading().fit(none.encoder_.transform(X), few(y, 3)).label_distributions_
    assert_allclose(none.graph_.label_distributions_, expected)


def test_parameters_of_the_graph(digits, labels, encoder):
    y = few(labels[:400], 3)
    one = quick(encoder).fit(digits[:400], y)
    other = quick(encoder, graph=GraphLabelSpreading(alpha=0.5)).fit(digits[:400], y)
    assert other.graph_.alpha == 0.5
    assert (one.label_distributions_ != other.label_distributions_).any()


def test_agreement_warns_of_codes_that_are_worse_than_pca(digits, labels):
    y = few(labels, 10)
    poor = AutoencoderTransformer(1, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match=r"The codes tell less than PCA's: of labels held out, \d+% are found"):
        classifier = quick(poor).fit(digits, y)
    assert classifier.agreement_["codes"] < 0.6 < 0.8 < classifier.agreement_["pca"]
    assert quick(poor).fit(digits, few(labels, 1)).agreement_ is None


def test_the_graph_that_predicts_has_all_labels(rows):
    X, y = rows
    known = few(y, 20)
    options = {"early_stopping": True, "validation_fraction": 0.2, "n_rounds": 1}
    classifier = quick(tiny(), **options).fit(X, known)
    rest = known >= 0
    expected = GraphLabelSpreading().fit(classifier.transform(X), known)
    assert_allclose(classifier.graph_.label_distributions_, expected.label_distributions_)
    assert_array_equal(classifier.transduction_[rest], y[rest])


def test_image_shape_belongs_to_the_encoder(digits, labels, encoder):
    with pytest.raises(ValueError, match=r"image_shape=\(8, 8\) is for encoder=None, but the encoder .*None. Pass it"):
        quick(tiny(), image_shape=(8, 8)).fit(digits[:100], labels[:100])
    quick(encoder, image_shape=(1, 8, 8), max_iter=1).fit(digits[:100], labels[:100])


def test_what_the_defaults_stood_for_can_be_read(rows):
    X, y = rows
    classifier = quick(tiny(), max_iter=None, n_rounds=1).fit(X, few(y, 3))
    assert (classifier.augmentation_, classifier.vat_, classifier.n_rounds_) == ({"mask": 0.3}, 0.1, 1)
    (step,) = classifier.steps_
    assert step == {"learns": "graph", "max_iter": classifier.n_iter_, "encoder_learning_rate": 3e-4}
    all_labelled = quick(tiny(), freeze=1).fit(X, y)
    assert [step["learns"] for step in all_labelled.steps_] == ["labels"]


# -- in scikit-learn's machinery ------------------------------------------------------------------------------


def test_fit_is_reproducible_and_moves_no_global_generator(rows):
    X, y = rows
    np.random.seed(3)
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    one, other = (quick(tiny()).fit(X, few(y, 3)).predict_proba(X) for _ in range(2))
    assert_array_equal(one, other)
    quick(AutoencoderTransformer(2, max_iter=1), random_state=None).fit(X, y)
    assert_array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.get_rng_state())


def test_a_row_s_result_does_not_depend_on_its_neighbours(digits, labels, encoder):
    classifier = quick(encoder).fit(digits[:300], few(labels[:300], 3))
    whole = classifier.transform(digits)
    assert_array_equal(classifier.transform(digits[:7]), whole[:7])
    assert_allclose(classifier.predict_proba(digits[:7]), classifier.predict_proba(digits)[:7])


def test_grid_search_and_cross_validation_over_partly_labelled_rows(rows):
    X, y = rows
    y = np.array(["setosa", "versicolor", "virginica"], dtype=object)[y]
    y[np.arange(150) % 3 == 0] = -1
    pipeline = make_pipeline(StandardScaler(), quick(tiny(), max_iter=20))
    grid = {"encoderclassifier__graph": [GraphLabelSpreading(alpha=alpha) for alpha in (0.9, 0.99)]}
    search = GridSearchCV(pipeline, grid, cv=LabeledKFold(2), error_score="raise").fit(X, y)
    assert search.best_score_ > 0.8
    assert set(search.predict(X)) == {"setosa", "versicolor", "virginica"}
    assert cross_val_score(pipeline, X, y, cv=LabeledKFold(2)).min() > 0.7


def test_self_training_around_our_pipelines(rows):
    X, y = rows
    y = few(y, 5)
    for inner in (make_pipeline(tiny(), LogisticRegression()), quick(tiny(), max_iter=300)):
        model = SelfTrainingClassifier(inner, max_iter=2).fit(X, y)
        assert model.score(X, load_iris().target) > 0.6


def test_pandas_and_codes_as_a_frame(rows):
    X, y = rows
    frame = pd.DataFrame(X, columns=list("abcd"))
    classifier = quick(tiny()).set_output(transform="pandas").fit(frame, pd.Series(few(y, 3)))
    assert list(classifier.feature_names_in_) == list("abcd")
    assert list(classifier.transform(frame).columns) == [f"encoderclassifier{i}" for i in range(4)]


def test_imbalanced_labels_and_a_class_that_no_label_names(digits, labels, encoder):
    digits, labels = digits[:1000], labels[:1000]
    y = few(labels, 2)
    y[labels == 9] = -1
    ones = np.flatnonzero(labels == 1)[:60]
    y[ones] = 1
    classifier = quick(encoder, class_weight="balanced", max_iter=15).fit(digits, y)
    assert_array_equal(classifier.classes_, np.arange(9))
    known = labels != 9
    assert np.mean(classifier.transduction_[known] == labels[known]) > 0.8


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [PCA(2), PixelCNNDensity(), FrozenEstimator(PCA(2))])
def test_an_encoder_of_another_kind(encoder, rows):
    with pytest.raises(
        TypeError, match="encoder must be a TwoViewTransformer, an AutoencoderTransformer or a VAETransformer"
    ):
        quick(encoder).fit(*rows)


def test_an_encoder_without_transform_or_not_fitted(rows):
    with pytest.raises(ValueError, match="The 'encoder' parameter of EncoderClassifier must be"):
        quick(LogisticRegression()).fit(*rows)
    with pytest.raises(NotFittedError):
        quick(FrozenEstimator(tiny())).fit(*rows)


def test_a_frozen_encoder_of_other_features(rows, encoder):
    with pytest.raises(ValueError, match="X has 4 features, but AutoencoderTransformer is expecting 64 features"):
        quick(encoder).fit(*rows)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(150, -1), "y labels no row"),
        (np.linspace(0, 1, 150), "Unknown label type"),
        (np.r_[np.nan, np.zeros(149)], "y holds NaN. Unlabelled rows are marked by the number -1"),
    ],
)
def test_labels_that_cannot_be_learned(y, message, rows):
    with pytest.raises(ValueError, match=message):
        quick(tiny()).fit(rows[0], y)


def test_early_stopping_that_takes_all_rows_of_a_class(rows):
    X, y = rows
    with pytest.raises(ValueError, match=r"early_stopping=True keeps all rows of the class .* apart"):
        quick(tiny(), early_stopping=True, validation_fraction=0.6, random_state=1).fit(X, few(y, 1))


def test_a_class_with_one_row_and_more_neighbours_than_rows(rows):
    X, y = rows
    assert quick(tiny(), graph=GraphLabelSpreading(500), max_iter=30).fit(X, few(y, 1)).score(X, y) > 0.6


def test_a_learning_rate_that_explodes_leaves_the_classifier_unfitted(rows):
    classifier = quick(tiny(), learning_rate=1e30, max_iter=50)
    with pytest.raises(ValueError, match="loss became"):
        classifier.fit(*rows)
    with pytest.raises(NotFittedError):
        classifier.predict(rows[0])
    assert small(EncoderClassifier).get_params()["max_iter"] == 3


@pytest.mark.parametrize(
    "params",
    [{"class_weight": {7: 1.0}}, {"graph": GraphLabelSpreading(class_prior=[0.5, 0.5])}, {"augmentation": "elastic"}],
)
def test_a_fit_that_fails_leaves_nothing_fitted(params, rows):
    X, y = rows
    classifier = quick(tiny()).fit(X, few(y, 3))
    with pytest.raises(ValueError, match="class_prior|class_weight|augmentation='elastic' warps images"):
        classifier.set_params(**params).fit(X, few(y, 3))
    with pytest.raises(NotFittedError):
        classifier.predict(X)
    assert not hasattr(classifier, "encoder_")


def test_frames_keep_their_columns_and_pandas_output_changes_nothing(rows, recwarn):
    X, y = load_iris(return_X_y=True, as_frame=True)
    known = few(y.to_numpy(), 3)
    plain = quick(tiny()).fit(X.to_numpy(), known).predict_proba(X.to_numpy())
    with config_context(transform_output="pandas"):
        assert_array_equal(quick(tiny()).fit(X, known).predict_proba(X), plain)
    encoder = tiny().set_output(transform="pandas").fit(X)
    classifier = quick(FrozenEstimator(encoder)).fit(X, known).set_output(transform="pandas")
    assert_array_equal(classifier.predict_proba(X), plain)
    assert not [str(warning.message) for warning in recwarn if "feature names" in str(warning.message)]
    with pytest.raises(ValueError, match="feature names should match"):
        quick(FrozenEstimator(encoder)).fit(X.iloc[:, ::-1], known)


def test_agreement_warns_of_nothing_that_chance_explains(rows, recwarn):
    X, y = rows
    for seed in range(10):
        noise = X + np.random.RandomState(seed).normal(size=X.shape)
        quick(tiny(), n_rounds=0).fit(noise, few(y, 5, seed))
    assert sum("The codes tell less" in str(warning.message) for warning in recwarn) <= 1


# -- stages ----------------------------------------------------------------------------------------------------------


def test_rounds_end_where_the_graph_says_what_it_said_before(rows, monkeypatch):
    X, y = (each[:100] for each in rows)
    said = iter([y, 1 - y, 1 - y, y])  # the third round would learn what the second did
    monkeypatch.setattr(EncoderClassifier, "_said_by_graph", lambda *_: (np.eye(2)[next(said)], None))
    classifier = quick(tiny(), n_rounds=4, max_iter=1).fit(X, few(y, 3))
    assert [step["learns"] for step in classifier.steps_] == ["graph", "graph"]


def test_few_rows_are_taught_of_many(monkeypatch):
    monkeypatch.setattr(recipes, "MOST_TAUGHT", 50)
    known = np.full(1000, -1)
    known[:10] = np.arange(10) % 2
    _, step = recipes.IMAGES.steps(known, np.arange(0), 320, 1, 1, seed=0)
    taught = np.unique(step.index)
    assert len(taught) == 60
    assert set(range(10)) < set(taught)


def test_verbose_names_the_stages_and_what_is_left(digits, labels, capsys):
    encoder = tiny(image_shape=(8, 8), verbose=0)
    quick(encoder, image_shape=(8, 8), verbose=1, max_iter=1, n_rounds=1).fit(digits[:100], few(labels[:100], 2))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["1 of 4", "2 of 4", "3 of 4", "4 of 4"]
    assert "the encoder learns 100 rows, 30 epochs" in lines[0]
    assert all(re.search(r"; about \d+ (s|min) to the end$", line) for line in lines)


def test_what_is_left_follows_from_what_has_passed(monkeypatch, capsys):
    now = iter([0.0, 0.0, 20.0, 50.0])
    monkeypatch.setattr(stages.time, "perf_counter", lambda: next(now))
    told = stages.Stages(1, [("one", 10.0), ("two", 20.0), ("three", 100.0)])
    for _ in range(3):
        told.begin()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 of 3: one; about 2 min to the end"  # 130 s, as expected
    assert lines[1] == "2 of 3: two; about 4 min to the end"  # twice as slow: 240 s
    assert lines[2] == "3 of 3: three; about 3 min to the end"  # 50 s for 30: 167 s


def test_nothing_is_tried_or_told_without_verbose(rows, monkeypatch, capsys):
    monkeypatch.setattr(EncoderClassifier, "_expected", None)
    quick(tiny(), max_iter=1).fit(rows[0], few(rows[1], 3))
    assert capsys.readouterr().out == ""


# -- warm_start ------------------------------------------------------------------------------------------------------


def test_more_labels_go_on_with_encoder_and_net(digits, labels):
    X, y = digits[:400], labels[:400]
    classifier = quick(tiny(image_shape=(8, 8)), image_shape=(8, 8), max_iter=20, warm_start=True).fit(X, few(y, 1))
    encoder, n_before = classifier.encoder_, classifier.n_iter_
    net = {name: value.clone() for name, value in classifier.net_.module_.coder.state_dict().items()}
    before = np.mean(classifier.transduction_ == y)
    started = {}
    learn = EncoderClassifier._learn

    def looked_at(self, *args, **options):
        started.update({name: value.clone() for name, value in self._module.coder.state_dict().items()})
        return learn(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EncoderClassifier, "_learn", looked_at)
        classifier.fit(X, few(y, 5))
    assert classifier.encoder_ is encoder
    assert all(torch.equal(net[name], started[name]) for name in net)  # the net as it was trained before
    assert [step["learns"] for step in classifier.steps_] == ["graph"]
    assert classifier.n_iter_ == n_before + 20 == len(classifier.history_)
    assert np.mean(classifier.transduction_ == y) > before


def test_a_class_may_come_later(digits, labels):
    X, y = digits[:300], labels[:300]
    nine = few(y, 3)
    nine[nine == 9] = -1
    classifier = quick(tiny(), warm_start=True).fit(X, nine)
    assert classifier.classes_.tolist() == list(range(9))
    classifier.fit(X, few(y, 3))
    assert classifier.classes_.tolist() == list(range(10))
    assert classifier.predict_proba(X[:5]).shape == (5, 10)


def test_other_rows_cannot_be_gone_on_with(rows):
    X, y = rows
    classifier = quick(tiny(), warm_start=True).fit(X, few(y, 3))
    said = classifier.label_distributions_
    for other, weight in ((X[::-1], None), (X[:140], None), (X, np.arange(150.0))):
        with pytest.raises(ValueError, match=r"other labels of the same rows.*Set warm_start=False"):
            classifier.fit(other, few(y, 3)[: len(other)], weight)
    assert_array_equal(classifier.label_distributions_, said)  # as it was
    classifier.set_params(warm_start=False).fit(X[::-1], few(y[::-1], 3))


def test_going_on_works_after_pickling_and_without_unlabelled_rows(rows):
    X, y = rows
    classifier = quick(tiny(), warm_start=True, max_iter=300).fit(X, few(y, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier = pickle.loads(pickle.dumps(classifier))
    classifier.fit(X, y)  # now all are labelled: there is no graph
    assert not hasattr(classifier, "graph_")
    assert classifier.score(X, y) > 0.5
    assert not hasattr(classifier, "transduction_")
