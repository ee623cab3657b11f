"""Opinions on the rows of a table: their shares, who is right where, and what EncoderClassifier does with them."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtri
from sklearn.linear_model import LogisticRegression

from sklatent import AutoencoderTransformer, EncoderClassifier, GraphLabelSpreading
from sklatent._semi_supervised import pool, views
from sklatent._semi_supervised.pool import best_shares
from sklatent._semi_supervised.recipes import of_tables
from sklatent._semi_supervised.views import _NormalScores


def few(y, per_class, seed=0):
    random = np.random.RandomState(seed)
    kept = np.concatenate([random.choice(np.flatnonzero(y == c), per_class, False) for c in np.unique(y)])
    return np.where(np.isin(np.arange(len(y)), kept), y, -1)


@pytest.fixture(scope="module")
def ring():
    """A ball in a shell, and codes that mean nothing."""
    random = np.random.RandomState(0)
    X = random.normal(size=(600, 5))
    y = (np.square(X).sum(axis=1) > 4.35).astype(int)  # the median of chi^2 with 5 degrees of freedom
    Z = random.normal(size=(600, 4)).astype(np.float32)
    return X, Z, y


def asked(X, Z, known, weights=None):
    return of_tables(None, 0).fit(X, Z, GraphLabelSpreading().fit(Z, known), known, weights)


def test_shares_are_the_most_likely_of_a_grid():
    random = np.random.RandomState(0)
    chances, weights = random.uniform(0.05, 1, (3, 25)) ** [[1], [2], [0.5]], random.uniform(0.5, 2, 25)
    steps = np.linspace(0.002, 0.996, 498)
    a, b = (each.ravel() for each in np.meshgrid(steps, steps))
    grid = np.stack([a, b, 1 - a - b])[:, a + b < 0.999]
    cost = np.log(grid.T @ chances) @ weights + pool.BALANCE * np.log(grid).sum(axis=0)
    found = best_shares(chances, weights)
    assert_allclose(found, grid[:, cost.argmax()], atol=2e-3)
    assert_allclose(found.sum(), 1)
    doubled = best_shares(np.repeat(chances, 2, axis=1), np.ones(50))
    assert_allclose(doubled, best_shares(chances, np.full(25, 2.0)), atol=1e-6)


def test_normal_scores_are_ranks():
    X = np.random.RandomState(0).normal(size=(views.N_QUANTILES, 1))
    ranks = np.argsort(np.argsort(X[:, 0])) / (len(X) - 1)
    assert_allclose(_NormalScores().fit(X).transform(X)[:, 0], np.clip(ndtri(ranks), -3, 3), atol=1e-9)
    twos = np.repeat([[0.0], [1.0]], [75, 25], axis=0)
    found = _NormalScores().fit(twos).transform(twos)
    assert_allclose(found[[0, -1], 0], ndtri([0.375, 0.875]), atol=0.03)  # the middles of 0 to .75 and .75 to 1
    assert_array_equal(_NormalScores().fit(np.ones((5, 1))).transform(np.ones((3, 1))), np.zeros((3, 1)))


def test_the_kernel_machine_has_the_share_where_it_is_right(ring):
    X, Z, y = ring
    known = few(y, 40)
    opinions = asked(X, Z, known)
    shares = opinions.shares_
    assert_allclose(sum(shares.values()), 1)
    assert not opinions.by_codes_
    assert shares["kernel"] > 0.5
    error = np.mean(opinions.predict_proba(X, Z).argmax(axis=1) != y)
    plane = LogisticRegression().fit(X[known >= 0], y[known >= 0])
    assert error < 0.12 < 0.3 < min(np.mean(opinions.graph_.transduction_ != y), np.mean(plane.predict(X) != y)), (
        "graph and plane are wrong"
    )


def test_the_graph_has_the_share_where_classes_are_clusters(ring):
    y = ring[2]
    Z = np.c_[6 * y, np.zeros(600)] + np.random.RandomState(1).normal(size=(600, 2))
    shown = np.random.RandomState(2).normal(size=(600, 3))
    opinions = asked(shown, Z.astype(np.float32), few(y, 20))
    assert opinions.by_codes_
    assert opinions.shares_["graph"] + opinions.shares_["codes"] > 0.6


def test_new_rows_and_those_of_fit_get_the_weighted_mean(ring):
    X, Z, y = ring
    known = few(y, 10)
    opinions = asked(X, Z, known)
    found = opinions.distributions(X, Z)
    assert_allclose(found.sum(axis=1), 1)
    said = {"graph": opinions.graph_.label_distributions_}
    seen = opinions._seen(X, Z)
    for name, model in opinions._classifiers_.items():
        said[name] = pool._distributions(model, seen[opinions.members[name][0]])
    powers = opinions._powers_
    expected = sum(
        opinions.shares_[name] * q ** powers[name] / (q ** powers[name]).sum(axis=1, keepdims=True)
        for name, q in said.items()
    )
    expected = expected**opinions._power_
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(found, expected, atol=1e-9)
    assert_allclose(opinions.predict_proba(X[:5], Z[:5]).sum(axis=1), 1)


def test_one_label_of_each_class_and_equal_shares(ring):
    X, Z, y = ring
    opinions = asked(X, Z, few(y, 1))
    assert_allclose(list(opinions.shares_.values()), 1 / 6)
    assert not opinions.by_codes_
    assert np.isfinite(opinions.predict_proba(X, Z)).all()


def test_a_class_with_a_single_label(ring):
    X, Z, y = ring
    y = np.where(X[:, 2] > 0.5, 2, y)
    known = few(y, 10)
    known[np.flatnonzero(known == 2)[1:]] = -1
    assert asked(X, Z, known).predict_proba(X[:3], Z[:3]).shape == (3, 3)


def test_rows_weigh(ring):
    X, Z, y = ring
    known = few(y, 10)
    same = asked(X, Z, known, np.full(600, 3.0))
    assert_allclose(same.distributions(X, Z), asked(X, Z, known).distributions(X, Z))
    heavy = asked(X, Z, known, np.where(np.arange(600) < 300, 5.0, 1.0))
    assert not np.allclose(heavy.distributions(X, Z), same.distributions(X, Z))


def test_some_of_many_labels_are_learned_and_one_of_each_class(monkeypatch):
    monkeypatch.setattr(pool, "MOST_LABELLED", 20)
    codes = np.r_[np.zeros(500, dtype=int), 1, 2]
    some = pool._some(codes, 0)
    assert len(some) == len(np.unique(some)) == 20
    assert set(codes[some]) == {0, 1, 2}
    assert_array_equal(pool._some(codes[-20:], 0), np.arange(20))


def test_values_beyond_float32_and_constant_columns(ring):
    X, Z, y = ring
    known, constant = few(y, 10), np.c_[Z, np.ones(600, dtype=np.float32)]
    found = asked(np.c_[1e150 * X, np.zeros(600)], constant, known).predict_proba(
        np.c_[1e160 * X, np.ones(600)], constant
    )
    assert np.isfinite(found).all()
    assert_allclose(found.sum(axis=1), 1)


def test_a_file_of_opinions_holds_arrays_alone(ring):
    X, Z, y = ring
    opinions = asked(X, Z, few(y, 10))
    kinds = {type(value) for value in opinions.__getstate__().values()}
    assert kinds <= {np.ndarray, int, float, str, bool, dict, GraphLabelSpreading}
    assert "_classifiers_" not in opinions.__getstate__()
    loaded = pickle.loads(pickle.dumps(opinions))
    assert_array_equal(loaded.predict_proba(X, Z), opinions.predict_proba(X, Z))


def test_a_table_without_clusters_is_predicted_by_opinions(ring):
    X, _, y = ring
    encoder = AutoencoderTransformer(3, hidden_layer_sizes=(8,), max_iter=2, random_state=0)
    known = few(y, 40)
    classifier = EncoderClassifier(encoder, random_state=0, max_iter=2).fit(X, known)
    assert (classifier.n_rounds_, classifier.steps_) == (0, [])
    assert classifier.shares_ == classifier.opinions_.shares_
    graph = np.mean(classifier.graph_.transduction_ != y)
    assert np.mean(classifier.predict(X) != y) < 0.15 < graph
    q = classifier.label_distributions_
    assert_array_equal(q.argmax(axis=1)[known == -1], classifier.transduction_[known == -1])
    assert np.mean(q.argmax(axis=1) != y) < 0.15
    loaded = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    rounds = EncoderClassifier(encoder, random_state=0, max_iter=2, n_rounds=1).fit(X, known)
    assert (rounds.n_rounds_, len(rounds.steps_)) == (1, 1)
    assert rounds.shares_ == classifier.shares_, "codes that have seen no label"
