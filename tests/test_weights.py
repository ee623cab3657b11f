"""A weight of a row is so many copies of it, and a weight of 0 is none."""

import numpy as np
import pytest
import torch
from common import NETS, SCORERS, said, small
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklatent import AutoencoderTransformer, EncoderClassifier, HistogramDensity, MADEDensity, VAETransformer
from sklatent._autoencoders.starts import SHARES, factors, log_likelihood, most_likely, pca_start
from sklatent._autoregressive import starts as mixtures
from sklatent._autoregressive.starts import chosen_mixture, mixture_of, started_at
from sklatent._bridge import rows, unsupervised
from sklatent._bridge.batches import Rows
from sklatent._bridge.callbacks import Looks
from sklatent._bridge.checkpoints import identity
from sklatent._bridge.weights import check_weights, copies, merged, standard_error
from sklatent._semi_supervised.targets import class_weights

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(40, 3)) @ RANDOM.normal(size=(3, 6)) + 0.3 * RANDOM.normal(size=(40, 6))
COUNTS = RANDOM.randint(0, 4, size=40)
REAL = RANDOM.uniform(0.1, 3, size=40)
ORDER = RANDOM.permutation(40)
Y = (X[:, 0] > 0).astype(int)
quiet = pytest.mark.filterwarnings("ignore:The net does not beat", "ignore:The loss of rows", "ignore:Posterior")
every_net = pytest.mark.parametrize("cls", NETS, ids=lambda cls: cls.__name__)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 30)
    monkeypatch.setattr(unsupervised, "STEPS_OF_MANY", 15)
    monkeypatch.setattr(unsupervised, "EPOCHS", (2, 3))
    monkeypatch.setattr(mixtures, "REGS", (0.1,))


def classifier(**params):
    params = {"max_iter": 2, "random_state": 0, "n_rounds": 1, **params}
    return EncoderClassifier(small(AutoencoderTransformer, max_iter=2), **params)


def same(one, other):
    assert_array_equal(one.transform(X), other.transform(X))
    assert_array_equal(said(one, X), said(other, X))


# -- a weight is so many copies ----------------------------------------------------------------------------------------


@quiet
@every_net
@pytest.mark.parametrize("max_iter", [None, 3])
def test_whole_weights_are_repeated_rows_to_the_bit(cls, max_iter):
    model = small(cls, max_iter=max_iter, batch_size=20)
    given = clone(model).fit(X.repeat(COUNTS, axis=0))
    same(clone(model).fit(X[ORDER], sample_weight=COUNTS[ORDER]), given)
    same(clone(model).fit(X, sample_weight=0.5 * COUNTS), given)


@pytest.mark.parametrize("labels", [Y, np.where(np.arange(40) % 4, -1, 2 + Y)], ids=["all", "some"])
def test_whole_weights_are_repeated_rows_of_a_classifier(labels):
    given = classifier().fit(X.repeat(COUNTS, axis=0), labels.repeat(COUNTS))
    weighted = classifier().fit(X[ORDER], labels[ORDER], sample_weight=COUNTS[ORDER])
    assert_array_equal(weighted.transform(X), given.transform(X))
    assert_array_equal(weighted.predict_proba(X), given.predict_proba(X))
    if -1 in labels:
        present = COUNTS[ORDER] > 0
        assert weighted.transduction_.shape == (present.sum(),)  # in the order of the rows that are there
        known = labels[ORDER][present]
        assert_array_equal(weighted.transduction_[known != -1], known[known != -1])
        assert_array_equal(
            given.transduction_, weighted.transduction_[np.argsort(ORDER[present]).repeat(COUNTS[COUNTS > 0])]
        )


@quiet
@every_net
def test_a_weight_of_0_is_a_row_that_is_not_there(cls):
    there, weights = COUNTS > 0, np.where(COUNTS > 0, REAL, 0)
    model = small(cls, early_stopping=True)
    for some in (weights, np.where(there, 0.3, 0)):
        one = clone(model).fit(X, sample_weight=some)
        same(one, clone(model).fit(X[there], sample_weight=some[there]))
    same(one, clone(model).fit(X[there]))  # all alike
    start = [clone(model).partial_fit(X, sample_weight=weights) for _ in range(2)]
    one, other = (
        start[0].partial_fit(X, sample_weight=weights),
        start[1].partial_fit(X[there], sample_weight=REAL[there]),
    )
    same(one, other)


@quiet
@every_net
def test_weights_that_are_all_alike_are_none(cls):
    for model in (small(cls), small(cls, max_iter=None)):
        same(clone(model).fit(X), clone(model).fit(X, sample_weight=np.full(40, 0.3)))


def test_rows_that_stand_for_their_copies():
    table = np.array([[2.0, 1.0], [np.nan, 0.0], [1.0, 9.0], [2.0, 1.0], [np.nan, 0.0], [2.0, 0.0]])
    which, weights, place = merged(table, None)
    assert_array_equal(table[which], [[1, 9], [2, 0], [2, 1], [np.nan, 0]])
    assert_array_equal(weights, [0.5, 0.5, 1, 1])
    assert_array_equal(table[which][place], table)
    which, weights, place = merged(table, np.arange(1.0, 7), codes=np.array([0, 0, 0, 1, 0, 0]))
    assert_array_equal(table[which], [[1, 9], [2, 0], [2, 1], [2, 1], [np.nan, 0]])
    assert_allclose(7 * weights, [3, 6, 1, 4, 7])
    assert_array_equal(place, [2, 4, 0, 3, 4, 1])
    many = np.zeros((2001, 1))
    for rows_, options in ((X, {}), (many, {}), (table, {"early_stopping": True})):  # as they are
        assert merged(rows_, None, **options) == (slice(None), None, slice(None))
    assert_array_equal(X[merged(X, REAL)[0]], X[np.lexsort(X.T[::-1])])


def test_how_often_a_row_counts():
    assert_array_equal(copies(np.array([0.5, 1, 1 / 6])), [3, 6, 1])
    for weights in (None, np.array([1, 2.5]), np.array([1, 3000.0])):
        assert copies(weights) is None
    assert_array_equal(Rows(X[:3], np.array([0, 2, 2]), weights=np.array([2.0, 1, 3])).index, [0, 0, 2, 2, 2, 2, 2, 2])


# -- losses, statistics, starts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_loss_of_a_batch_is_the_weighted_mean(early_stopping):
    model = small(AutoencoderTransformer, max_iter=1, learning_rate=1e-12, batch_size=40, early_stopping=early_stopping)
    model.fit(X, sample_weight=REAL)
    apart = model._validation_rows(40, np.random.RandomState(0).randint(2**31 - 1))
    rest = np.setdiff1d(np.arange(40), apart)
    with torch.no_grad():
        losses = model._module(torch.from_numpy(X)).numpy()
    assert_allclose(model.history_[0]["train_loss"], np.average(losses[rest], weights=REAL[rest]), rtol=1e-5)
    if early_stopping:
        assert_allclose(model.history_[0]["valid_loss"], np.average(losses[apart], weights=REAL[apart]), rtol=1e-5)


def test_weighted_batches_are_unbiased():
    """The mean over the rows of an epoch, whatever the batches, is that of all."""
    weights = Rows(X, weights=REAL).weights
    assert_allclose(weights, REAL / REAL.mean(), rtol=1e-6)
    assert_allclose(Rows(X, np.array([3, 3, 5]), weights=REAL).weights[[3, 3, 5]].mean(), 1, rtol=1e-6)
    assert Rows(X).weights is None


@pytest.mark.parametrize("shared", [False, True])
def test_scaling_is_learned_by_weight(shared):
    found = rows.learn_affine(X, "u", REAL, shared=shared)
    mean, variance = np.average(X, axis=0, weights=REAL), np.diag(np.cov(X.T, bias=True, aweights=REAL))
    if shared:
        mean, variance = np.full(6, mean.mean()), np.full(6, variance.mean() + mean.var())
    assert_allclose(found["u.shift"], mean)
    assert_allclose(found["u.scale"], np.sqrt(variance))


def test_pca_of_weighted_rows():
    start = pca_start(X, 3, REAL)
    values, vectors = np.linalg.eigh(np.cov(X.T, bias=True, aweights=REAL))
    best = vectors[:, -3:] @ vectors[:, -3:].T
    assert_allclose(start["decoder.weight"] @ start["encoder.weight"], best, atol=1e-9)
    assert_allclose(start["decoder.bias"], np.average(X, axis=0, weights=REAL))
    assert_allclose(start["decoder.scale"], np.sqrt(values[:3].sum() / 6))
    repeated, whole = pca_start(X.repeat(COUNTS, axis=0), 3), pca_start(X[COUNTS > 0], 3, COUNTS[COUNTS > 0])
    for name in ("decoder.bias", "decoder.scale", "code_scale"):
        assert_allclose(whole[name], repeated[name])


def test_probabilistic_pca_of_weighted_rows():
    """With one variance for all features: the maximum of the weighted likelihood, in closed form."""
    _, W, variance = factors(X, 2, 1.0, 1e-6, REAL)
    values, vectors = np.linalg.eigh(np.cov(X.T, bias=True, aweights=REAL))
    noise = values[:4].mean()
    best = vectors[:, 4:] @ np.diag(values[4:] - noise) @ vectors[:, 4:].T + noise * np.eye(6)
    assert_allclose(W @ W.T + np.diag(variance), best, atol=1e-9)

    def fit(U, share, weights):
        return factors(U, 2, share, 1e-6, weights)

    def chosen(U, weights=None):
        return most_likely(SHARES, fit, log_likelihood, U, weights)

    alike = np.full(40, 0.4)
    assert chosen(X, alike) == chosen(X)
    random = np.random.RandomState(0)
    noise = np.repeat([np.ones(6), [0.1, 0.1, 0.1, 3, 3, 3]], 100, axis=0) * random.normal(size=(200, 6))
    heavy = np.repeat([1.0, 1e-3], 100) * random.uniform(0.9, 1.1, size=200)
    assert chosen(noise, heavy) == 1 > chosen(noise, heavy[::-1])


def test_mixture_of_weighted_rows():
    there = COUNTS > 0
    _, means, covariances = mixture_of(X, 1, "full", 0.1, REAL)
    assert_allclose(means[0], np.average(X, axis=0, weights=REAL))
    assert_allclose(covariances[0], np.cov(X.T, bias=True, aweights=REAL) + 0.1 * np.eye(6))
    given, weighted = (
        mixture_of(X.repeat(COUNTS, axis=0), 2, "full", 0.1),
        mixture_of(X[there], 2, "full", 0.1, COUNTS[there]),
    )
    for one, other in zip(given, weighted, strict=True):
        assert_array_equal(one, other)
    weights, means, _ = mixture_of(X, 2, "diag", 0.1, REAL)
    assert_allclose(weights @ means, np.average(X, axis=0, weights=REAL), atol=5e-3)  # drawn in 2,000 rows
    alike = np.full(40, 0.4)
    for one, other in zip(*(started_at(X, **chosen_mixture(X, each)) for each in (None, alike)), strict=True):
        assert_allclose(one, other)  # one component is shrunk towards the mean of all by nothing, whatever the share


def test_standard_error_of_a_weighted_mean():
    assert_allclose(standard_error(X[:, 0]), X[:, 0].std(ddof=1) / np.sqrt(40))
    assert_allclose(standard_error(X[:, 0], np.full(40, 3.0)), standard_error(X[:, 0]))
    draws = np.random.RandomState(1).normal(size=(4000, 40))
    errors = [standard_error(row, REAL) ** 2 for row in draws]
    assert_allclose(np.mean(errors), np.average(draws, axis=1, weights=REAL).var(), rtol=0.06)


def test_looks_at_rows_kept_apart_are_weighted():
    looks = Looks(None, weights := np.array([1.0, 1, 1, 9]))
    looks.best_step_, looks.start_, looks.best_ = 5, np.ones(4), np.array([0.5, 0.5, 0.5, 1.2])
    assert looks.mean(looks.best_) == np.average(looks.best_, weights=weights)
    assert not looks.gains()
    looks.best_ = np.array([1.2, 1.1, 1.2, 0.1])
    assert looks.gains()
    looks.weights = None
    assert not looks.gains()


@quiet
@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer, MADEDensity])
def test_what_is_heavy_is_modelled(cls):
    """Two clouds of 1,500 rows each, more than are merged: the heavy one is what counts."""
    random = np.random.RandomState(0)
    table = random.normal(size=(3000, 4)) * np.repeat([[3, 1, 0.1, 0.1], [0.1, 0.1, 1, 3]], 1500, axis=0)
    heavy = np.repeat([1.0, 1e-3], 1500) * random.uniform(0.5, 1.5, size=3000)
    model = small(cls, n_components=2, max_iter=None, batch_size=500)
    one, other = (clone(model).fit(table, sample_weight=weights) for weights in (heavy, heavy[::-1]))
    assert np.mean(one.score_samples(table)[:1500] > other.score_samples(table)[:1500]) > 0.9
    assert np.mean(one.score_samples(table)[1500:] < other.score_samples(table)[1500:]) > 0.9


@pytest.mark.parametrize("cls", SCORERS)
def test_score_is_a_weighted_mean(cls):
    model = small(cls).fit(X)
    scores = model.score_samples(X)
    assert_allclose(model.score(X, sample_weight=REAL), np.average(scores, weights=REAL))
    assert_allclose(model.score(X, None, COUNTS), np.average(scores, weights=COUNTS))
    assert model.score(X, sample_weight=np.full(40, 2.0)) == model.score(X) == scores.mean()


def test_a_row_of_weight_0_is_not_scored():
    density = HistogramDensity().fit(X)
    density.score_samples = lambda X: np.array([-np.inf, 1.0, 4.0])
    assert density.score(X[:3], sample_weight=[0, 1, 2]) == 3


def test_statistics_of_features_and_units_are_weighted():
    model = small(MADEDensity, max_iter=2).fit(X, sample_weight=REAL)
    Z = model.transform(X)
    assert_allclose(np.average(Z, axis=0, weights=REAL), 0, atol=1e-5)
    spread = np.average(Z**2, axis=0, weights=REAL)
    assert_allclose(spread[spread > 0], 1, rtol=1e-3)
    assert np.mean(spread > 0) > 0.5  # the others are at rest


def test_another_weight_is_another_training():
    model = small(AutoencoderTransformer).fit(X)
    known = [identity(model, model._phase(Rows(X, weights=w)), 0) for w in (None, REAL, 2 * REAL, REAL**2)]
    assert known[0]["training"] != known[1]["training"] == known[2]["training"] != known[3]["training"]


# -- classifiers -------------------------------------------------------------------------------------------------------


def test_labels_count_by_weight():
    """Every row has both labels, and the heavier one is learned; by whole weights and by others."""
    twice, both = np.concatenate([X, X]), np.repeat([0, 1], 40)
    for heavy in (5.0, 4.7):
        weights = np.where(both, heavy, 1) if heavy == 5 else np.where(both, heavy, 1) * np.tile(1 + 0.01 * REAL, 2)
        for flip in (False, True):
            model = classifier(max_iter=40, learning_rate=0.1)
            model.fit(twice, both, sample_weight=weights[::-1] if flip else weights)
            assert np.mean(model.predict(X) == (0 if flip else 1)) > 0.95


def test_rows_kept_apart_count_by_weight():
    one = classifier(early_stopping=True, validation_fraction=0.3).fit(X, Y)
    other = clone(one).fit(X, Y, sample_weight=(weights := np.where(np.arange(40) % 2, 2.0, 1.0)))
    known, apart = other._labels_apart(Y, weights, 0)
    alone = np.unique(apart)
    assert_array_equal(np.bincount(apart)[alone], weights[alone])
    assert (known[alone] == -1).all()
    assert len(alone) == len(one._labels_apart(Y, None, 0)[1]) == 12


def test_balanced_classes_are_balanced_by_weight():
    codes = np.array([0, 0, 1, -1, 1])
    found = class_weights("balanced", np.array([0, 1]), codes, np.array([1.0, 2, 4, 100, 5]))
    given = class_weights("balanced", np.array([0, 1]), np.array([0] * 3 + [1] * 9))
    assert_allclose(found, given)
    assert_allclose(class_weights({0: 2, 1: 1}, np.array([0, 1]), codes, np.ones(5)), [2, 1])


# -- metadata routing --------------------------------------------------------------------------------------------------


def test_weights_are_routed():
    with config_context(enable_metadata_routing=True):
        encoder = small(AutoencoderTransformer).set_fit_request(sample_weight=True)
        head = LogisticRegression().set_fit_request(sample_weight=False)
        routed = make_pipeline(encoder, head).fit(X, Y, sample_weight=REAL)
        assert_array_equal(
            routed[0].transform(X), small(AutoencoderTransformer).fit(X, sample_weight=REAL).transform(X)
        )
        last = make_pipeline(classifier().set_fit_request(sample_weight=True)).fit(X, Y, sample_weight=REAL)
        assert_array_equal(last.predict_proba(X), classifier().fit(X, Y, sample_weight=REAL).predict_proba(X))
        density = make_pipeline(small(MADEDensity).set_score_request(sample_weight=True)).fit(X)
        assert density.score(X, sample_weight=REAL) == density[0].score(X, sample_weight=REAL) != density[0].score(X)


# -- bad input ---------------------------------------------------------------------------------------------------------

BAD = [
    (np.ones(39), r"one weight for each of the 40 rows of X, an array of shape \(40,\), but has shape \(39,\)"),
    (np.ones((40, 1)), r"has shape \(40, 1\)"),
    (2.0, r"has shape \(\)"),
    (
        np.where(np.arange(40) == 7, -0.5, 1),
        r"not negative, but sample_weight\[7\] is -0.5. A weight of 0 leaves a row",
    ),
    (np.where(np.arange(40) == 7, np.nan, 1), r"finite and not negative, but sample_weight\[7\] is nan"),
    (np.where(np.arange(40) == 7, np.inf, 1), r"sample_weight\[7\] is inf"),
    (np.zeros(40), r"sample_weight is zero for all of the 40 rows of X, which leaves none"),
]


@pytest.mark.parametrize(("weights", "message"), BAD)
def test_bad_weights(weights, message):
    fitted = small(AutoencoderTransformer, max_iter=1).fit(X)
    calls = (
        small(VAETransformer).fit, small(MADEDensity).partial_fit, fitted.score, fitted.partial_fit,
        lambda X, **options: classifier().fit(X, Y, **options),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call(X, sample_weight=weights)
    assert fitted.n_iter_ == 1


def test_weights_of_any_size():
    """Only ratios count, at whatever size floats have; what is nothing beside the others is not there."""
    assert check_weights(np.full(3, 1e308), 3) is None
    assert_array_equal(check_weights([1e308, 5e307], 2), [1, 0.5])
    assert_array_equal(check_weights([1e-320, 1e300], 2), [0, 1])
    one, other = (small(AutoencoderTransformer).fit(X, sample_weight=c * REAL) for c in (2.0**-900, 2.0**900))
    same(one, other)


def test_one_class_is_left():
    with pytest.raises(ValueError, match="class"):
        EncoderClassifier(max_iter=1).fit(X, np.where(np.arange(40) < 20, 2 + Y, -1), sample_weight=Y)
