"""GraphLabelSpreading, and how labels are read."""

import pickle
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_moons
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

from sklatent import GraphLabelSpreading, LabeledKFold
from sklatent._semi_supervised import diffusion, label_spreading, neighbors
from sklatent._semi_supervised import graph as _graph
from sklatent._semi_supervised.labels import encode_labels


def few(y, per_class, seed=0):
    """y with all but some labels of each class removed."""
    random = np.random.RandomState(seed)
    kept = np.concatenate([random.choice(np.flatnonzero(y == c), per_class, False) for c in np.unique(y)])
    return np.where(np.isin(np.arange(len(y)), kept), y, -1)


# -- labels --------------------------------------------------------------------------------------------------


def test_labels_of_any_kind():
    for y, classes, codes in [
        ([3, -1, 7, 3], [3, 7], [0, -1, 1, 0]),
        ([0.0, -1.0, 2.0], [0, 2], [0, -1, 1]),
        (np.array(["b", -1, "a"], dtype=object), ["a", "b"], [1, -1, 0]),
        (["b", "a"], ["a", "b"], [1, 0]),
        ([-1, 1, 1], [-1, 1], [0, 1, 1]),  # the binary coding
        ([-1, 1, 2], [1, 2], [-1, 0, 1]),
        ([True, False], [False, True], [1, 0]),
        ([5, 5], [5], [0, 0]),
    ]:
        found, indices = encode_labels(y)
        assert found.tolist() == classes
        assert indices.tolist() == codes


def test_numbers_in_an_object_array_are_numbers():
    classes, codes = encode_labels(np.array([3, -1, 7], dtype=object))
    assert classes.dtype.kind == "i"
    assert_array_equal(codes, [0, -1, 1])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([-1, -1, -1], "y labels no row"),
        ([-1, 5, 5], "one class, .*5.* beside -1.*give it another name"),
        ([0.5, 1.2, -1], "Unknown label type"),
        (["a", "-1", "b"], "the string '-1'.*dtype=object"),
        (np.array(["a", "-1", "b"], dtype=object), "the string '-1'.*dtype=object"),
        (np.array(["a", None, "b"], dtype=object), "y holds None.*number -1"),
        (np.array([0.5, 1.2, -1], dtype=object), "Unknown label type"),
    ],
)
def test_labels_that_cannot_be_meant(y, message):
    with pytest.raises(ValueError, match=message):
        encode_labels(y)
    with pytest.raises(ValueError, match=message):
        GraphLabelSpreading().fit(np.zeros((3, 1)), y)


@pytest.mark.parametrize(
    "y",
    [
        [0.0, np.nan, 1.0],
        np.array([0, np.nan, 1], dtype=object),
        ["a", np.nan, "b"],
        np.array(["a", np.nan, "b"], dtype=object),
        np.array(["a", pd.NA, "b"], dtype=object),
        pd.Series([0, pd.NA, 1], dtype="Int64"),
        pd.Series([True, pd.NA, False], dtype="boolean"),
        pd.Series(["a", pd.NA, "b"], dtype="string"),
        pd.Series(["a", np.nan, "b"]),
        pd.Series(["a", np.nan, "b"], dtype="category"),
    ],
    ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_labels_that_are_missing(y):
    X = np.zeros((3, 1))
    for call in (encode_labels, lambda y: GraphLabelSpreading().fit(X, y), lambda y: list(LabeledKFold(2).split(X, y))):
        with pytest.raises(ValueError, match=r"y holds NaN\. Unlabelled rows are marked by the number -1\."):
            call(y)


def test_no_labels_at_all_and_infinite_ones():
    for y, message in [(None, "requires y to be passed"), ([0, np.inf, 1], "y contains infinity")]:
        with pytest.raises(ValueError, match=message):
            GraphLabelSpreading().fit(np.zeros((3, 1)), y)


def test_the_empty_string_is_a_class_with_a_warning():
    X, names = np.arange(4.0)[:, None], ["a", "", "b", ""]
    for y in (names, np.array(names), np.array(names, dtype=object), pd.Series(names)):
        with pytest.warns(UserWarning, match="rows with '' are taken for a class.*marked by the number -1") as caught:
            spreading = GraphLabelSpreading().fit(X, y)
        assert caught[0].filename == __file__
        assert spreading.classes_.tolist() == ["", "a", "b"]


# -- the mathematics ---------------------------------------------------------------------------------------------


def planted(n=60):
    """Random symmetric weights in three blocks that are not linked, and a node on its own."""
    random = np.random.RandomState(0)
    dense = np.triu(random.uniform(size=(n, n)) * (random.uniform(size=(n, n)) < 0.3), 1)
    block = np.arange(n) % 3
    dense[block[:, None] != block] = 0
    dense[7] = dense[:, 7] = 0
    return dense + dense.T, random


@pytest.mark.parametrize("alpha", [0.1, 0.9, 0.99])
def test_spreading_solves_its_equation(alpha):
    """All columns at once, against a direct solve: one of much mass, one of little, one of none."""
    dense, random = planted()
    Y = np.eye(4)[random.randint(3, size=60)] * (random.uniform(size=(60, 1)) < 0.5) * [1, 1e-6, 1e6, 1]
    degree = np.where(dense.sum(1) > 0, dense.sum(1), 1)
    S = dense / np.sqrt(np.outer(degree, degree))
    exact = (1 - alpha) * np.linalg.solve(np.eye(60) - alpha * S, Y)
    found = diffusion.Graph(csr_array(dense)).spread(Y, alpha)
    assert_allclose(found, exact, rtol=1e-3, atol=1e-9)
    assert (np.linalg.norm(found - exact, axis=0) <= 1e-4 * np.linalg.norm(exact, axis=0)).all()
    F = Y
    for _ in range(3000):
        F = alpha * S @ F + (1 - alpha) * Y
    assert_allclose(F, exact, atol=1e-10)


def test_heat_comes_to_rest_at_the_poisson_equation():
    """(D - W) U = Y - mean label, by the pseudo-inverse; heat keeps the mean of U that it starts with."""
    random = np.random.RandomState(0)
    dense = np.triu(random.uniform(size=(30, 30)), 1)
    dense += dense.T
    Y = np.eye(3)[np.arange(30) % 3] * (np.arange(30) < 7)[:, None]
    source = np.where(Y.any(axis=1, keepdims=True), Y - Y.sum(axis=0) / 7, 0)
    degree = dense.sum(axis=1)
    exact = np.linalg.pinv(np.diag(degree) - dense) @ source
    exact -= degree @ exact / degree.sum()  # which of its solutions
    found = diffusion.Graph(csr_array(dense)).heat(np.zeros((30, 3)), source, 500)
    assert_allclose(found, exact, atol=1e-12)


def test_volumes_are_those_of_the_prior():
    q = np.random.RandomState(0).dirichlet([5, 2, 1], size=5000)
    for volumes in ([1 / 3, 1 / 3, 1 / 3], [0.1, 0.2, 0.7], [0.01, 0.04, 0.95]):
        won = (q * diffusion.balance(q, np.array(volumes))).argmax(axis=1)
        assert_allclose(np.bincount(won, minlength=3) / 5000, volumes, atol=1.1e-3)
    assert_array_equal(diffusion.balance(q, None), np.ones(3))


def test_components_without_a_label_are_linked_to_the_nearest_that_have_one():
    """Against a search by hand, ten links each."""
    X = np.concatenate([np.random.RandomState(i).normal(at, size=(12, 2)) for i, at in enumerate([0, 30, 60, 90])])
    nodes, block = X, np.repeat(np.arange(4), 12)
    W = csr_array((block[:, None] == block) & ~np.eye(48, dtype=bool), dtype=float)
    links = diffusion.Graph(W, nodes)
    assert links.reaching([0, 12, 24, 36])[0] is links, "nothing to do"
    linked, lost = links.reaching([0, 15])
    assert_array_equal(lost, block > 1)
    added = (linked.W - W).toarray()
    assert_array_equal(added, added.T)
    for b in (2, 3):
        mine, others = np.flatnonzero(block == b), np.flatnonzero(block < 2)
        distances = np.linalg.norm(X[mine][:, None] - X[others], axis=2)
        best = np.argsort(distances.min(axis=1))[:10]
        expected = np.zeros((12, 24))
        least = distances.min(axis=1)[best]
        expected[best, distances.argmin(axis=1)[best]] = np.exp(-4 * (least / least[-1]) ** 2)
        assert_allclose(added[np.ix_(mine, others)], expected)
    assert (linked.component[block > 0] == linked.component[12]).all(), "all hang on the second block"


def test_weights_are_symmetric_gaussians_of_the_nearest():
    X = np.random.RandomState(0).normal(size=(50, 3))
    spreading = GraphLabelSpreading(4).fit(X, np.arange(50) % 2)
    nodes = spreading._nodes_
    distances = np.linalg.norm(nodes[:, None] - nodes[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    last = np.sort(distances, axis=1)[:, [3]]
    one = np.where(distances <= last, np.exp(-4 * (distances / last) ** 2), 0)
    assert_allclose(spreading._connect().toarray(), (one + one.T) / 2, rtol=1e-6)


def test_class_mass_follows_the_prior():
    F = np.random.RandomState(0).uniform(size=(40, 3)) * [1, 5, 20]
    prior = np.array([0.2, 0.3, 0.5])
    scaled = np.stack([F[:, c] * prior[c] / F[:, c].sum() for c in range(3)], axis=1)
    assert_allclose(scaled.sum(axis=0), prior)
    assert_allclose(_graph.normalise(F, prior), scaled / scaled.sum(axis=1, keepdims=True))
    assert_allclose(_graph.normalise(F, None), F / F.sum(axis=1, keepdims=True))
    X, y = make_blobs(300, centers=3, cluster_std=4.0, random_state=0)
    y = few(y, 5)
    y[np.flatnonzero(y == 2)[1:]] = -1  # one labelled row of class 2: the labelled shares are no longer equal
    shares = [predicted_share(prior, X, y) for prior in ("labelled", "uniform", [0.05, 0.05, 0.9])]
    assert shares[0] < shares[1] < shares[2]


def test_labels_held_out_are_not_shown():
    X, y = make_moons(30, noise=0.2, random_state=0)
    spreading = GraphLabelSpreading(class_prior=None).fit(X, y)
    links, nodes = diffusion.Graph(spreading._connect(), spreading._nodes_), np.arange(10)
    codes = np.array([0, 0, 1, 1, 1, 1, 0, 0, 0, 2])
    found = links.held_out(nodes, codes, 3, [0.9], None)[0]
    assert np.isnan(found[9]).all(), "the only label of its class is always shown"
    splits = StratifiedKFold(3, shuffle=True, random_state=0).split(codes[:9], codes[:9])
    for shown, hidden in splits:
        Y = np.zeros((30, 3))
        Y[[*shown, 9], [*codes[shown], 2]] = 1
        reaching = links.reaching([*shown, 9])[0]
        assert_allclose(found[hidden], _graph.normalise(reaching.spread(Y, 0.9), None)[hidden])
    assert _graph.folds(np.arange(5)) == []


def test_alpha_and_accuracy_are_chosen_by_labels_held_out(digits, labels):
    y = np.where(np.arange(len(labels)) < 1200, labels, -1)
    spreading = GraphLabelSpreading().fit(digits, y)
    assert spreading.alpha_ < 0.99, "many labels"
    assert abs(spreading.held_out_accuracy_ - np.mean(spreading.transduction_[1200:] == labels[1200:])) < 0.04
    assert GraphLabelSpreading().fit(digits, few(labels, 2)).alpha_ == 0.99
    assert GraphLabelSpreading(alpha=0.7).fit(digits, y).alpha_ == 0.7
    one = GraphLabelSpreading().fit(digits, few(labels, 1))
    assert one.held_out_accuracy_ is None
    assert one.held_out_distributions_ is None


def test_distributions_held_out_are_of_the_labelled_rows_in_their_order(digits, labels):
    y = few(labels, 5)
    y[np.flatnonzero(y == 3)[1:]] = -1  # the only label of its class
    spreading, known = GraphLabelSpreading().fit(digits, y), y[y != -1]
    q = spreading.held_out_distributions_
    assert q.shape == (46, 10)
    assert_array_equal(np.isnan(q), np.repeat(known[:, None] == 3, 10, axis=1))
    assert_allclose(q[known != 3].sum(axis=1), 1)
    found = spreading.classes_[q[known != 3].argmax(axis=1)]
    assert_allclose(spreading.held_out_accuracy_, np.mean(found == known[known != 3]))
    assert_array_equal(spreading.transduction_[y != -1], known)  # whereas here they were shown


def test_what_follows_from_the_weights_is_found_once(digits, labels, monkeypatch):
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return components(*args, **kwargs)

    components = diffusion.connected_components
    monkeypatch.setattr(diffusion, "connected_components", counted)
    assert GraphLabelSpreading(50).fit(digits, few(labels, 5)).n_linked_ == 0
    assert len(calls) == 1, "alphas, folds and methods share one graph"


def test_too_few_steps_are_warned_of(monkeypatch):
    X, y = make_blobs(200, centers=2, random_state=0)  # three steps reach all rows, but not exactly
    monkeypatch.setattr(diffusion, "MOST_STEPS", 3)
    with pytest.warns(ConvergenceWarning, match=r"not converged after 3 steps.*alpha=0\.9 says.*smaller") as caught:
        GraphLabelSpreading(50, alpha=0.9).fit(X, few(y, 20))
    assert caught[0].filename == __file__


def test_components_of_a_graph_with_the_indices_that_all_of_scipy_reads():
    W = _graph.similarity(np.ones((4, 1)), np.array([[1], [0], [3], [2]]))
    assert W.indices.dtype == W.indptr.dtype == np.int32
    assert_array_equal(diffusion.Graph(W).component, [0, 0, 1, 1])


@pytest.mark.parametrize(("n_labelled", "n_rows"), [(2500, 4000), (3500, 4000), (100, 200)])
def test_codes_are_compared_on_3000_rows_at_most(n_labelled, n_rows, monkeypatch):
    seen = []

    class Recorder:
        held_out_accuracy_ = 0.5

        def fit(self, X, y):
            seen.append((X[:, 0], y))
            return self

    monkeypatch.setattr(label_spreading, "GraphLabelSpreading", Recorder)
    codes = np.where(np.arange(n_rows) < n_labelled, np.arange(n_rows) % 2, -1)
    X = np.random.RandomState(0).normal(size=(n_rows, 3))
    label_spreading.compare_with_pca(X, np.arange(n_rows)[:, None], codes, 0)
    rows, known = seen[0]
    assert len(rows) == len(np.unique(rows)) == len(seen[1][1]) == min(n_rows, 3000)
    assert_array_equal(known, codes[rows])
    assert np.sum(known != -1) == min(n_labelled, 3000)
    assert n_labelled < 3000 or rows.max() > 3400, "any of the labelled rows, not the first"


def test_probabilities_are_calibrated(digits, labels):
    y = few(labels, 10)
    rest = y == -1
    q = GraphLabelSpreading().fit(digits, y).label_distributions_[rest]
    right = q.argmax(axis=1) == labels[rest]
    assert abs(q.max(axis=1).mean() - right.mean()) < 0.08
    assert q.max(axis=1)[right].mean() > q.max(axis=1)[~right].mean() + 0.1


def test_calibration_finds_the_power():
    random = np.random.RandomState(0)
    q = random.dirichlet(np.ones(4), size=20000)
    truth = _graph.sharpen(q, 2.5)
    assert_allclose(truth, q**2.5 / (q**2.5).sum(axis=1, keepdims=True))
    codes = (random.uniform(size=(20000, 1)) > truth.cumsum(axis=1)).sum(axis=1)
    assert_allclose(_graph.calibrate(q, codes), 2.5, rtol=0.05)


def predicted_share(prior, X, y):
    return np.mean(GraphLabelSpreading(class_prior=prior).fit(X, y).transduction_ == 2)


def test_a_new_row_gets_the_weighted_vote_of_its_neighbours():
    X, y = make_moons(200, noise=0.1, random_state=0)
    spreading = GraphLabelSpreading(5).fit(X, few(y, 3))
    new = X[:20] + 0.05
    for row, found in zip(new, spreading.predict_proba(new), strict=True):
        squares = ((spreading._nodes_ - row) ** 2).sum(axis=1)
        nearest = np.argsort(squares)[:5]
        weights = np.exp(-4 * squares[nearest] / squares[nearest[-1]])
        assert_allclose(found, weights @ spreading._distributions_[nearest] / weights.sum(), rtol=1e-9)
    far = spreading.predict_proba(np.array([[1e6, 1e6]]))
    assert_allclose(far.sum(), 1)


# -- what it is good for -------------------------------------------------------------------------------------------


def test_moons_from_one_label_each():
    X, y = make_moons(500, noise=0.06, random_state=0)
    spreading = GraphLabelSpreading().fit(X[:400], few(y[:400], 1))
    assert (spreading.transduction_ == y[:400]).all()
    assert spreading.score(X[400:], y[400:]) == 1.0
    assert LogisticRegression().fit(X[:400], y[:400]).score(X[400:], y[400:]) < 0.95, "not a linear task"


def test_labels_reach_the_far_end_of_what_they_are_linked_to():
    """Two threads, each labelled at one end: k steps of conjugate gradients reach k links."""
    line = np.c_[np.arange(1500.0), np.zeros(1500)]
    X, y = np.concatenate([line, line + [0, 1e4]]), np.repeat([0, 1], 1500)
    known = np.where(np.arange(3000) % 1500 == 0, y, -1)
    spreading = GraphLabelSpreading(2).fit(X, known)
    assert spreading.n_undecided_ == 0
    assert_array_equal(spreading.transduction_, y)


def test_better_than_label_spreading_of_scikit_learn_on_digits(digits, labels):
    ours, stock = [], []
    for seed in range(3):
        y = few(labels, 3, seed)
        unlabelled = y == -1
        for scores, model in [(ours, GraphLabelSpreading()), (stock, LabelSpreading(kernel="knn", n_neighbors=10))]:
            scores.append(np.mean(model.fit(digits, y).transduction_[unlabelled] == labels[unlabelled]))
    assert np.mean(ours) > np.mean(stock) + 0.01


def test_behind_a_transformer_and_in_a_grid_search(digits, labels):
    y = few(labels, 10)
    pipeline = make_pipeline(StandardScaler(), PCA(16, random_state=0), GraphLabelSpreading())
    search = GridSearchCV(pipeline, {"pca__n_components": [1, 16]}, cv=LabeledKFold(3), error_score="raise")
    assert search.fit(digits, y).best_params_ == {"pca__n_components": 16}
    assert search.best_score_ > 0.8
    names = np.array([f"digit {c}" if c >= 0 else -1 for c in y], dtype=object)
    assert cross_val_score(pipeline, digits, names, cv=LabeledKFold(3)).mean() > 0.8
    assert pipeline.fit(digits, names).predict(digits[:1])[0] == f"digit {labels[0]}"


def test_folds_hold_all_unlabelled_rows_in_training_and_no_test_row():
    y = few(np.repeat([0, 1, 2], 20), 5)
    tested = []
    for train, test in LabeledKFold(5, shuffle=True, random_state=0).split(np.zeros(60), y):
        assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(60))
        assert (y[test] != -1).all()
        assert sorted(y[test]) == [0, 1, 2]
        tested.extend(test)
    assert_array_equal(np.sort(tested), np.flatnonzero(y != -1))


# -- bad input --------------------------------------------------------------------------------------------------


def test_a_class_with_one_label_is_in_no_test_part():
    y = np.array([0, 1, 1, 1, -1, -1])
    for train, test in LabeledKFold(3).split(np.zeros((6, 1)), y):
        assert 0 in train
        assert not np.isin(0, test)
        assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(6))


def test_more_folds_than_labels_of_classes_with_several():
    with pytest.raises(ValueError, match="n_splits=3 is more than the 2 labelled rows of classes with two labels"):
        list(LabeledKFold(3).split(np.zeros((5, 1)), [0, 1, 2, 2, -1]))


def test_all_rows_labelled_is_nearest_neighbours():
    X, y = make_blobs(100, centers=3, random_state=0)
    spreading = GraphLabelSpreading().fit(X, y)
    assert_array_equal(spreading.transduction_, y)
    assert spreading.score(X, y) > 0.9


def test_a_given_label_stays_in_the_transduction():
    X, y = make_blobs(100, centers=2, cluster_std=0.1, random_state=0)
    wrong = few(y, 5)
    row = np.flatnonzero(wrong == 0)[0]
    wrong[row] = 1
    spreading = GraphLabelSpreading().fit(X, wrong)
    assert spreading.transduction_[row] == 1
    assert spreading.label_distributions_[row].argmax() == 0, "its neighbours say otherwise"


def test_more_neighbours_than_rows_and_a_single_row():
    X, y = make_blobs(12, centers=2, random_state=0)
    assert GraphLabelSpreading(50).fit(X, y).score(X, y) > 0.9
    assert GraphLabelSpreading().fit(X[:1], [4]).predict(X).tolist() == [4] * 12


def test_a_component_without_a_label_gets_the_class_that_is_nearest_and_is_counted():
    X = np.concatenate([np.random.RandomState(i).normal(at, size=(30, 2)) for i, at in enumerate([0, 100, 160])])
    y = np.full(90, -1)
    y[[0, 1, 2, 30]] = [0, 0, 0, 1]
    for method in ("spreading", "poisson", "auto"):
        spreading = GraphLabelSpreading(5, method=method, class_prior=[1 / 3, 2 / 3]).fit(X, y)
        assert (spreading.n_linked_, spreading.n_undecided_) == (30, 0)
        assert_array_equal(spreading.transduction_, np.repeat([0, 1, 1], 30))


def test_poisson_learning_where_sizes_are_known_and_spreading_where_they_are_not(digits, labels):
    errors, chosen = {}, set()
    for method in ("spreading", "poisson", "auto"):
        models = [
            GraphLabelSpreading(alpha=0.99, method=method).fit(digits, few(labels, 10, seed)) for seed in range(3)
        ]
        errors[method] = np.mean([model.transduction_ != labels for model in models])
        chosen = {model.method_ for model in models}
    assert errors["poisson"] < 0.8 * errors["spreading"]
    assert errors["auto"] < 0.95 * errors["spreading"]
    assert "poisson" in chosen
    X, y = make_blobs([900, 100], centers=[[0, 0], [4, 0]], random_state=0)
    for per_class in (1, 10):
        assert GraphLabelSpreading().fit(X, few(y, per_class)).method_ == "spreading", "nine to one, not one to one"
    assert GraphLabelSpreading(class_prior=[0.9, 0.1]).fit(X, few(y, 10)).method_ == "poisson"


def test_duplicates_by_the_thousand_are_one_node():
    X, y = make_moons(200, noise=0.06, random_state=0)
    once = GraphLabelSpreading().fit(X, few(y, 2))
    often = np.concatenate([X, np.repeat(X[:2], 3000, axis=0)])
    spreading = GraphLabelSpreading().fit(often, np.concatenate([few(y, 2), np.full(6000, -1)]))
    assert_allclose(spreading.label_distributions_[:200], once.label_distributions_)
    assert (spreading.transduction_[200:] == np.repeat(y[:2], 3000)).all()
    constant = GraphLabelSpreading().fit(np.zeros((50, 2)), np.arange(50) % 2)
    assert_allclose(constant.predict_proba(np.zeros((1, 2))), [[0.5, 0.5]])


def test_class_prior_that_does_not_fit():
    X, y = make_blobs(30, centers=3, random_state=0)
    for prior in ([0.5, 0.5], [0.5, 0.5, 0.5], [1.0, 0.0, 0.0]):
        with pytest.raises(ValueError, match=r"class_prior=.* must hold 3 positive shares that sum to 1.*\[0, 1, 2\]"):
            GraphLabelSpreading(class_prior=prior).fit(X, y)


# -- neighbours among many rows --------------------------------------------------------------------------------------

CLOUDS = {
    "one": lambda random: random.normal(size=(900, 20)),
    "clusters": lambda random: random.normal(size=(900, 20)) + 40 * (np.arange(900) % 7)[:, None],
    "rising": lambda random: np.linspace(0, 1, 900)[:, None] ** 3 + 1e-3 * random.normal(size=(900, 20)),
    "closer than float32 can tell": lambda random: 1e-9 * random.normal(size=(900, 20)) + np.arange(900)[:, None] % 3,
    "whole numbers, far from zero": lambda random: 1e6 + random.randint(3, size=(900, 20)),
}

HARD = ("clusters", "rising", "closer than float32 can tell", "whole numbers, far from zero")  # for float32


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbours_among_many_rows_are_exact(monkeypatch, cloud, dtype):
    """By differences in float64; which of those equally far are taken is open."""
    random = np.random.RandomState(0)
    Z = CLOUDS[cloud](random).astype(dtype)
    Q = np.concatenate([Z[:50] + random.normal(size=(50, 20)).astype(dtype), Z[50:60]])
    for name, value in {"FEWEST_PAIRS": 0, "FIRST": 64, "BLOCK": 100, "CHUNK": 150}.items():
        monkeypatch.setattr(neighbors, name, value)
    index, asked = neighbors.Neighbors(Z, 10), 0
    for rows in (None, Q):
        with mock.patch.object(index.general, "kneighbors", wraps=index.general.kneighbors) as general:
            distances, found = index.kneighbors(rows)
        asking = Z if rows is None else rows
        apart = np.linalg.norm(Z.astype(float) - asking[:, None].astype(float), axis=2)
        if rows is None:
            np.fill_diagonal(apart, np.inf)
        asked += general.call_count
        rounding = {"rtol": 2e-6, "atol": 1e-7 if dtype == np.float64 else 1e-6}
        assert_allclose(distances, np.sort(apart, axis=1)[:, :10], **rounding)
        assert_allclose(np.take_along_axis(apart, found, axis=1), distances, **rounding)
        assert distances.dtype == dtype
        assert all(len(set(row)) == 10 for row in found.tolist())
    assert (asked > 0) == (cloud in HARD), "the general search has the last word where rounding hides neighbours"


def test_of_many_rows_only_a_few_are_looked_at(monkeypatch):
    """Of n rows about k log n, in whatever order they come: what makes the search fast."""
    looked_at = []
    monkeypatch.setattr(neighbors, "FEWEST_PAIRS", 0)
    best = neighbors._Search._best
    monkeypatch.setattr(
        neighbors._Search, "_best", lambda self, rows, *rest: looked_at.append(len(rows)) or best(self, rows, *rest)
    )
    Z = np.sort(np.random.RandomState(0).normal(size=(20_000, 16)).astype(np.float32), axis=0)
    neighbors.Neighbors(Z, 10).kneighbors(Z[::200])
    assert sum(looked_at) / 100 < 5 * 16 * 3  # three stages, each of four times as many rows as those before


def test_a_fit_that_fails_leaves_nothing_fitted():
    X, y = make_blobs(30, centers=2, random_state=0)
    spreading = GraphLabelSpreading().fit(X, y)
    with pytest.raises(ValueError, match="y labels no row"):
        spreading.fit(X, np.full(30, -1))
    with pytest.raises(NotFittedError):
        spreading.predict(X)
    assert vars(spreading) == GraphLabelSpreading().get_params()


@pytest.mark.parametrize("n_features", [2, 40])  # a tree, and none
def test_a_file_holds_arrays_alone(n_features):
    """An index of scikit-learn's in a file that was changed can crash the process which loads it."""
    X, y = make_blobs(200, n_features=n_features, centers=3, random_state=0)
    spreading = GraphLabelSpreading(7).fit(X, few(y, 3))
    assert all(name.endswith("_") for name in set(vars(spreading)) - set(spreading.get_params()))
    kinds = {type(value) for name, value in spreading.__getstate__().items() if name.endswith("_")}
    assert kinds <= {np.ndarray, float, int, str}
    expected = spreading.predict_proba(X + 0.5)
    spreading.set_params(n_neighbors=3)  # the graph has 7 still
    dumped = skops.io.dumps(spreading)
    assert set(skops.io.get_untrusted_types(data=dumped)) == {"sklatent.GraphLabelSpreading"}
    by_skops = skops.io.loads(dumped, trusted=["sklatent.GraphLabelSpreading"])
    for loaded in (pickle.loads(pickle.dumps(spreading)), by_skops, spreading):
        assert_array_equal(loaded.predict_proba(X + 0.5), expected)
    one = GraphLabelSpreading().fit(X[:1], [4])  # has no index
    assert pickle.loads(pickle.dumps(one)).predict(X[:2]).tolist() == [4, 4]


def test_the_folds_have_a_path_that_stays():
    folds = LabeledKFold(3, shuffle=True, random_state=0)
    assert repr(folds) == "LabeledKFold(n_splits=3, random_state=0, shuffle=True)"
    dumped = pickle.dumps(folds)
    assert b"sklatent" in dumped
    assert b"_semi_supervised" not in dumped
    search = clone(GridSearchCV(GraphLabelSpreading(), {"n_neighbors": [3]}, cv=pickle.loads(dumped)))
    assert "LabeledKFold(n_splits=3" in repr(search)
    assert vars(search.cv) == vars(folds)


def test_values_whose_distances_overflow():
    X, y = make_blobs(30, n_features=20, centers=2, random_state=0)
    spreading = GraphLabelSpreading().fit(X, y)
    assert_allclose(spreading.predict_proba(1e100 * X).sum(axis=1), 1)
    for call in (
        lambda: spreading.predict_proba(1e160 * X),
        lambda: GraphLabelSpreading().fit(1e160 * X, y),
        lambda: GraphLabelSpreading().fit((1e25 * X).astype(np.float32), y),
    ):
        with pytest.raises(ValueError, match="Distances overflow.*Rescale X"):
            call()


def test_rows_too_far_from_all_labels_are_counted():
    line = np.c_[np.arange(1500.0), np.zeros(1500)]
    X = np.concatenate([line, line + [0, 1e4]])
    known = np.full(3000, -1)
    known[[0, 1500]] = 0, 1
    with pytest.warns(UserWarning, match="1[0-9]{3}|2[0-9]{3} of 3000 rows lie too many links from all"):
        spreading = GraphLabelSpreading(2, alpha=0.3).fit(X, known)
    undecided = spreading.label_distributions_[:, 0] == 0.5
    assert 500 < undecided.sum() == spreading.n_undecided_ < 3000
    assert_array_equal(spreading.transduction_[~undecided], np.repeat([0, 1], 1500)[~undecided])
