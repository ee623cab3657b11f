"""The encoder that learns from two views, against numbers known by other means."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from common import said, small
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import EncoderClassifier, TwoViewTransformer
from sklatent._autoencoders.two_views import effective_rank
from sklatent._nn import two_views
from sklatent._nn.scaling import Affine
from sklatent._nn.two_views import TwoViews, nt_xent, vicreg

quiet = pytest.mark.filterwarnings("ignore:Collapse")


def views(n=7, d=5, scale=0.5):
    return scale * torch.randn(2, n, d, dtype=torch.float64)


# -- the losses --------------------------------------------------------------------------------------------------------


def test_vicreg_is_its_three_terms():
    a, b = views()
    mean_of_squares = ((a - b).numpy() ** 2).mean()
    terms = [25 * mean_of_squares]
    for view in (a.numpy(), b.numpy()):
        covariance = np.cov(view.T)
        deviations = np.sqrt(np.diag(covariance) + 1e-4)
        terms.append(25 * np.maximum(0, 1 - deviations).mean() / 2)
        terms.append((covariance**2)[~np.eye(5, dtype=bool)].sum() / 5)
    assert_allclose(vicreg(a, b).mean(), sum(terms), rtol=1e-12)


def test_vicreg_by_hand():
    """Two rows, two columns: variance 2 in the first, 0 in the second; a row that differs by (0, 2)."""
    a = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    b = a + torch.tensor([[0.0, 2.0], [0.0, 0.0]], dtype=torch.float64)
    of_a = 25 / 2 * (0 + 1 - 0.01) / 2
    of_b = 2 * 2**2 / 2  # both columns vary by 2, and together
    assert_allclose(vicreg(a, b), [25 * 4 / 2 + of_a + of_b, of_a + of_b], rtol=1e-12)


def test_nt_xent_is_a_loop_over_the_pairs():
    a, b = views()
    rows = [*a.numpy(), *b.numpy()]
    expected = np.empty(14)
    for i, one in enumerate(rows):
        likeness = [np.exp(one @ other / np.linalg.norm(one) / np.linalg.norm(other) / 0.2) for other in rows]
        expected[i] = -np.log(likeness[(i + 7) % 14] / (sum(likeness) - likeness[i]))
    assert_allclose(nt_xent(a, b), (expected[:7] + expected[7:]) / 2, rtol=1e-12)


def test_equal_rows_are_told_apart_by_chance():
    """Of 2n equal outputs, any of the other 2n - 1 may be the view: log(2n - 1) nats."""
    same = torch.ones(4, 3, dtype=torch.float64)
    assert_allclose(nt_xent(same, same), np.full(4, np.log(7)))


@pytest.mark.parametrize("loss", [vicreg, nt_xent])
def test_one_row_has_a_finite_loss_and_gradient(loss):
    a, b = views(n=1).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(a, b).sum(), a)
    assert loss(a, b).isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("loss", [vicreg, nt_xent])
def test_gradients_are_those_of_differences(loss):
    a, b = views(scale=0.1).requires_grad_()  # short of a standard deviation of 1, where the hinge is flat
    assert torch.autograd.gradcheck(loss, (a, b))


# -- the module --------------------------------------------------------------------------------------------------------


def module(corruption, loss="vicreg"):
    encoder = torch.nn.Linear(6, 3)
    return TwoViews(Affine(6), encoder, (6,), 3, corruption, loss).double()


def test_the_loss_is_that_of_two_views_through_encoder_and_head():
    net, x = module(lambda u: u + torch.randn_like(u)), torch.randn(9, 6, dtype=torch.float64)
    torch.manual_seed(5)
    found = net(x)
    torch.manual_seed(5)
    outputs = net.head(net.encoder(torch.cat([x + torch.randn_like(x), x + torch.randn_like(x)])))
    assert_allclose(found.detach(), vicreg(outputs[:9], outputs[9:]).detach(), rtol=1e-12)


def test_the_views_of_held_out_rows_are_the_same_in_each_call_and_move_no_generator():
    net, x = module(lambda u: u + torch.randn_like(u)).eval(), torch.randn(9, 6, dtype=torch.float64)
    state = torch.get_rng_state()
    one = net(x)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(7)
    assert torch.equal(net(x), one)


def test_codes_are_of_rows_as_they_are():
    net, x = module(lambda u: 0 * u), torch.randn(9, 6, dtype=torch.float64)
    assert torch.equal(net.eval().encode(x), net.encoder(x))


# -- what it learns ----------------------------------------------------------------------------------------------------


def error(codes, labels, per_class=3):
    """Of logistic regression on three labels a class, in three draws."""
    codes, errors = StandardScaler().fit_transform(codes), []
    for draw in range(3):
        random = np.random.RandomState(draw)
        known = np.concatenate([random.choice(np.flatnonzero(labels == c), per_class, False) for c in range(10)])
        score = LogisticRegression(max_iter=1000).fit(codes[known], labels[known]).score(codes, labels)
        errors.append(1 - score)
    return np.mean(errors)


@pytest.mark.parametrize("loss", ["vicreg", "nt_xent"])
def test_few_labels_tell_more_of_codes_than_of_pixels(loss, digits, labels):
    X, y = digits[:1000], labels[:1000]
    encoder = TwoViewTransformer(
        image_shape=(8, 8), hidden_layer_sizes=(16, 32), loss=loss, max_iter=25, random_state=0
    )
    baseline = min(error(X, y), error(PCA(16).fit_transform(X), y))
    assert error(encoder.fit_transform(X), y) < 0.75 * baseline
    assert encoder.effective_rank_ > 8
    assert encoder.output_std_ > 0.5


def test_without_what_keeps_rows_apart_they_collapse_and_fit_says_so(digits, monkeypatch):
    monkeypatch.setattr(two_views, "VARIANCE", 0.0)
    encoder = TwoViewTransformer(8, image_shape=(8, 8), hidden_layer_sizes=(16,), max_iter=60, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"Collapse: the codes vary in .* of 8 directions"):
        encoder.fit(digits[:500])
    assert encoder.output_std_ < 0.1


def test_with_it_they_do_not(digits):
    encoder = TwoViewTransformer(8, image_shape=(8, 8), hidden_layer_sizes=(16,), max_iter=60, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.fit(digits[:500])
    assert encoder.output_std_ > 0.5


def test_effective_rank_of_known_spectra():
    turn = np.linalg.qr(np.random.RandomState(0).normal(size=(6, 6)))[0]
    axes = np.concatenate([np.eye(6), -np.eye(6)])
    for scales, expected in (([1] * 6, 6), ([1, 1, 0, 0, 0, 0], 2), ([0] * 6, 0)):
        assert_allclose(effective_rank(5 + axes * scales @ turn), expected, atol=1e-6)
    p = np.array([2, 1]) / 3
    assert_allclose(effective_rank(axes * [2, 1, 0, 0, 0, 0]), np.exp(-(p * np.log(p)).sum()))
    counts = np.arange(1, 13)
    codes = np.random.RandomState(1).normal(size=(12, 6))
    assert_allclose(effective_rank(codes, counts / 12), effective_rank(codes.repeat(counts, axis=0)))


# -- the estimator -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_shape", "expected"), [(None, {"swap": 0.2}), ((8, 8), {"elastic": 0.7}), ((1, 64), {"elastic": 0.7})]
)
def test_the_corruption_is_that_of_the_kind_of_rows(image_shape, expected, digits):
    encoder = small(TwoViewTransformer, image_shape=image_shape, max_iter=1).fit(digits[:60])
    assert encoder.corruption_ == expected
    named = small(TwoViewTransformer, image_shape=image_shape, max_iter=1, corruption=expected).fit(digits[:60])
    assert_array_equal(named.transform(digits), encoder.transform(digits))


def test_the_head_is_there_to_go_on_with_and_not_beside_the_encoder(digits):
    encoder = small(TwoViewTransformer, warm_start=True, image_shape=(8, 8)).fit(digits[:100])
    again = pickle.loads(pickle.dumps(encoder))
    for name, weight in encoder.net_.module_.head.state_dict().items():
        assert torch.equal(weight, again.net_.module_.head.state_dict()[name])
    module = encoder.encoder_module().eval()
    assert module.head is None
    assert_allclose(module.encode(torch.from_numpy(digits[:9])).detach(), encoder.transform(digits[:9]), rtol=1e-4)
    before = encoder.transform(digits[:9])
    assert encoder.fit(digits[:100]).n_iter_ == 6
    assert (encoder.transform(digits[:9]) != before).any()


@quiet
@pytest.mark.parametrize("n", [1, 5])
def test_a_last_batch_of_few_rows_is_no_harm(n, digits):
    encoder = small(TwoViewTransformer, image_shape=(8, 8), batch_size=40).fit(digits[: 40 + n])
    assert np.isfinite([epoch["train_loss"] for epoch in encoder.history_]).all()
    assert encoder.n_steps_ == 6


def test_early_stopping_takes_the_best_epoch_of_held_out_rows(digits):
    encoder = small(TwoViewTransformer, image_shape=(8, 8), early_stopping=True, max_iter=12).fit(digits[:400])
    losses = [epoch["valid_loss"] for epoch in encoder.history_]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("frozen", [False, True])
def test_the_classifier_goes_on_with_it(frozen, digits, labels):
    encoder = TwoViewTransformer(image_shape=(8, 8), hidden_layer_sizes=(16, 32), max_iter=15, random_state=0)
    known = np.where(np.arange(600) < 40, labels[:600], -1)
    given = FrozenEstimator(encoder.fit(digits[:600])) if frozen else encoder
    classifier = EncoderClassifier(given, max_iter=5, random_state=0).fit(digits[:600], known)
    assert np.mean(classifier.transduction_ == labels[:600]) > 0.85
    again = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(said(again, digits[:50]), said(classifier, digits[:50]))


def test_holes_are_filled_for_it(digits):
    X = digits[:200, 20:30].copy()
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.1] = np.nan
    pipeline = make_pipeline(small(TwoViewTransformer), LogisticRegression())
    assert np.isfinite(pipeline[0].fit(X).transform(X)).all()


def test_no_corruption_is_an_error(digits):
    with pytest.raises(ValueError, match="The 'corruption' parameter of TwoViewTransformer"):
        TwoViewTransformer(corruption=None).fit(digits)
