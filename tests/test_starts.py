"""Nets start where the linear model ends, and leave it only for something better."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from common_nn import take_steps
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import pdist
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture as SklearnMixture

from sklatent import AutoencoderTransformer, MADEDensity, PixelCNNDensity, VAETransformer
from sklatent._autoencoders.starts import factors, log_likelihood
from sklatent._autoregressive import starts as mixtures
from sklatent._autoregressive.starts import chain, chosen_mixture, log_density, mixture_start, started_at
from sklatent._bridge import unsupervised
from sklatent._bridge.base import fill
from sklatent._nn import likelihoods
from sklatent._nn import made as nn_made
from sklatent._nn.builders import mlp
from sklatent._nn.likelihoods import AnchoredMixture, bounded, unbounded
from sklatent._nn.made import StartedMADE

RANDOM = np.random.RandomState(0)
LINEAR = RANDOM.normal(size=(600, 3)) @ RANDOM.normal(size=(3, 8)) + 0.3 * RANDOM.normal(size=(600, 8))
Z = RANDOM.uniform(-2, 2, size=(1500, 2))
CURVED = np.column_stack([Z, Z[:, 0] ** 2, Z[:, 0] * Z[:, 1], np.sin(2 * Z[:, 1]), np.cos(Z[:, 0])])
CURVED = CURVED + 0.05 * RANDOM.normal(size=CURVED.shape)
GROUPS = np.concatenate([RANDOM.normal(size=(250, 4)) @ RANDOM.normal(size=(4, 4)) + shift for shift in (-3, 0, 4)])
GROUPS[:250, 1] *= -1
quiet = pytest.mark.filterwarnings("ignore:The net does not beat", "ignore:The loss of rows kept apart still fell")


@pytest.fixture
def no_steps(monkeypatch):
    """Fits end at the start."""
    monkeypatch.setattr(unsupervised.Looks, "gains", lambda self: False)
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 1)


@pytest.fixture(scope="module")
def vae_of_curved():
    return VAETransformer(2, random_state=0).fit(CURVED[:500])


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def started_core(U, order, n_copies):
    """A core at the mixture of three components of U, in float64."""
    core = StartedMADE(U.shape[1], (8,), 3, n_copies, order=order).double()
    chosen = {"n_components": 3, "covariance_type": "full", "reg_covar": 1e-3, "towards": "diagonal", "share": 0.0}
    buffers = mixture_start(started_at(U, **chosen), core.order, n_copies, 1e-3)
    fill(core, {name.removeprefix("core."): value for name, value in buffers.items()})
    return core


def squared_error(model, X):
    return np.square(model.inverse_transform(model.transform(X)) - X).sum(axis=1).mean()


# -- the starts are exact ----------------------------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_an_autoencoder_starts_at_pca(architecture, digits, no_steps):
    X, shape = (digits, (8, 8)) if architecture == "conv" else (standardised(LINEAR), None)
    model = AutoencoderTransformer(3, architecture=architecture, image_shape=shape, random_state=0).fit(X)
    pca = PCA(3).fit(X)
    far = 20 * X[:50]  # outside the range the linear part sees rows as they are
    scale = digits.std() if shape else 1.0
    for rows in (X, far):
        Z, expected = model.transform(rows), pca.transform(rows) / scale
        assert_allclose(Z, expected * np.sign(np.sum(Z * expected, axis=0)), atol=1e-5 * np.abs(expected).max())
        rebuilt = pca.inverse_transform(pca.transform(rows))
        rebuilt = rebuilt.clip(0, 16) if shape else rebuilt  # pixels, whole numbers, stay within their range
        assert_allclose(model.inverse_transform(Z), rebuilt, atol=1e-5 * np.abs(rebuilt).max())


@quiet
def test_a_vae_starts_where_its_bound_is_the_exact_likelihood_of_a_linear_model(no_steps):
    X = LINEAR[:400] * np.arange(1, 9)
    vae = VAETransformer(3, random_state=0, n_draws=1).fit(X)
    U, scale = standardised(X), X.std(axis=0)
    candidates = [log_likelihood(U, *factors(U, 3, share, 1e-3)) - np.log(scale).sum() for share in (0.03, 0.1, 0.3, 1)]
    assert min(np.abs(each - vae.score_samples(X)).max() for each in candidates) < 2e-3
    mean, W, variance = factors(U, 3, 0.3, 1e-3)
    exact = multivariate_normal(mean, W @ W.T + np.diag(variance)).logpdf(U)
    assert_allclose(log_likelihood(U, mean, W, variance), exact, rtol=1e-9)
    assert vae.n_active_units_ == 3


@pytest.mark.parametrize("order", ["natural", "random"])
def test_a_made_starts_at_a_mixture(order, monkeypatch):
    """Exactly, but for the anchor and the bound on the weights, which are small and none here."""
    monkeypatch.setattr(likelihoods, "ANCHOR", 1e-300)
    monkeypatch.setattr(nn_made, "LEAST", -1e9)
    U = standardised(GROUPS)
    core = started_core(U, order, n_copies=1)
    mixture = SklearnMixture(3, random_state=0, reg_covar=1e-3).fit(U)
    for rows in (U, 3 * U):
        with torch.no_grad():
            log_p = AnchoredMixture(3).log_prob(core(torch.from_numpy(rows)), torch.from_numpy(rows))
        assert_allclose(log_p.sum(1), mixture.score_samples(rows), rtol=1e-6)
    shuffled = torch.from_numpy(U[::-1].copy())
    assert sorted(core.order) == list(range(4))
    assert (core.order == list(range(4))) == (order == "natural")
    assert_allclose(take_steps(core.steps(len(U)), core.order, shuffled), core(shuffled)[:, core.order].detach())


def test_copies_of_a_component_are_about_one_normal():
    U = standardised(GROUPS)
    exact = SklearnMixture(3, random_state=0, reg_covar=1e-3).fit(U).score_samples(U)
    with torch.no_grad():
        params = started_core(U, "natural", n_copies=2)(torch.from_numpy(U))
    log_p = AnchoredMixture(6).log_prob(params, torch.from_numpy(U)).numpy()
    assert_allclose(log_p.sum(1).mean(), exact.mean(), atol=0.06)
    assert np.median(np.abs(log_p.sum(1) - exact)) < 0.1


@quiet
def test_codes_of_a_vae_keep_the_distances_of_rows(no_steps):
    """At probabilistic PCA they are PCA's, but for what the prior shrinks them by."""
    pca, vae = PCA(3).fit(U := standardised(LINEAR)), VAETransformer(3, random_state=0).fit(LINEAR)
    assert_allclose(pdist(vae.transform(LINEAR[:100])), pdist(pca.transform(U[:100])), rtol=0.15, atol=0.1)
    rebuilt = vae.inverse_transform(vae.transform(LINEAR))
    assert np.square(standardised(rebuilt) - U).sum() < 0.2 * np.square(U).sum()


@quiet
def test_no_row_is_far_below_the_linear_model_of_a_vae(vae_of_curved):
    far, vae = CURVED[500:] * [30, 1, 1, 5, 1, 1], vae_of_curved
    assert vae.n_steps_ > 0
    with torch.no_grad():
        module, u = vae._module, vae._module._scaled(torch.from_numpy(far))
        nothing = torch.full((len(far),), -torch.inf, dtype=torch.float64)
        linear = module._with_linear(u, nothing).numpy()  # less log 50
    alone = log_likelihood_of_linear(vae, far)
    assert_allclose(linear, alone + np.log(0.02), rtol=1e-4)
    assert (vae.score_samples(far) >= linear - 1e-6).all()


def log_likelihood_of_linear(vae, X):
    """By the covariance that the decoder's linear part stands for, in the units of X."""
    module, d = vae._module, X.shape[1]
    W, constant = (part.double().numpy() for part in (module.decoder.weight, module.decoder.bias))
    variance = bounded(torch.from_numpy(constant[d:]), 1e-3).exp().numpy()
    shift, scale = module.scaling.shift.numpy(), module.scaling.scale.numpy()
    normal = multivariate_normal(constant[:d], W[:d] @ W[:d].T + np.diag(variance))
    return normal.logpdf((X - shift) / scale) - np.log(scale).sum()


@quiet
def test_pixels_come_back_within_their_range_and_means_are_the_decoders(digits, no_steps):
    images = digits[:300].astype(np.uint8)
    for X, low, high in ((images, 0, 16), (images / 16, -np.inf, np.inf)):
        vae = VAETransformer(4, image_shape=(8, 8), random_state=0).fit(X)
        drawn, means = vae.sample(50, random_state=1), vae.sample(50, random_state=1, means=True)
        for rows in (drawn, means, vae.inverse_transform(20 * vae.transform(X))):
            assert low <= rows.min() < 0.1 * X.max()
            assert 0.9 * X.max() < rows.max() <= high
        assert np.abs(np.diff(means)).mean() < np.abs(np.diff(drawn)).mean(), "no noise"


@quiet
@pytest.mark.parametrize("order", ["natural", "random"])
def test_draws_from_the_start_are_the_mixtures(order, no_steps):
    made = MADEDensity(order=order, random_state=0).fit(GROUPS)
    assert made._spec_["started"]["n_components"] == 3
    U = standardised(GROUPS)
    weights, means, covariances = started_at(U, **made._spec_["started"])
    mixture = list(zip(weights, means, covariances, strict=True))
    exact = logsumexp([np.log(w) + multivariate_normal(m, c).logpdf(U) for w, m, c in mixture], axis=0)
    assert_allclose(log_density(U, weights, means, covariances), exact)
    assert_allclose(made.score(GROUPS), exact.mean() - np.log(GROUPS.std(axis=0)).sum(), atol=0.06)
    drawn = made.sample(20_000, random_state=0)
    assert_allclose(np.cov(drawn.T), np.cov(GROUPS.T), atol=0.1 * GROUPS.var(axis=0).max())  # the anchor is wide
    assert_allclose(drawn.mean(axis=0), GROUPS.mean(axis=0), atol=0.1)
    given = np.tile(GROUPS[0], (4000, 1))
    given[:, 2:] = np.nan
    u = U[0, :2]
    share = np.array([w * multivariate_normal(m[:2], c[:2, :2]).pdf(u) for w, m, c in mixture])
    each = [m[2:] + c[2:, :2] @ np.linalg.solve(c[:2, :2], u - m[:2]) for _, m, c in mixture]
    expected = GROUPS.mean(axis=0)[2:] + share @ each / share.sum() * GROUPS.std(axis=0)[2:]
    assert_allclose(made.complete(given, random_state=0)[:, 2:].mean(axis=0), expected, atol=0.15)


def test_the_chain_is_that_of_least_squares():
    order = np.array([2, 0, 3, 1])
    X = LINEAR[:, :4]
    A, b, variance = chain(X.mean(axis=0), np.cov(X.T, bias=True), order)
    for place, feature in enumerate(order[1:], 1):
        before = order[:place]
        model = LinearRegression().fit(X[:, before], X[:, feature])
        assert_allclose(A[feature, before], model.coef_)
        assert_allclose(b[feature], model.intercept_)
        assert_allclose(variance[feature], np.mean((X[:, feature] - model.predict(X[:, before])) ** 2))
        assert_array_equal(np.delete(A[feature], before), 0)


def test_unbounded_is_the_inverse_of_bounded():
    log_variance = torch.linspace(np.log(1.1e-3), 9.5, 50, dtype=torch.float64)
    assert_allclose(bounded(unbounded(log_variance, 1e-3), 1e-3), log_variance)


# -- where they lead ---------------------------------------------------------------------------------------------------


@quiet
def test_a_net_leaves_the_start_for_something_better_only():
    for X, ratio in ((CURVED, 0.7), (LINEAR, 1.001)):
        for n in (100, 500):
            X = standardised(X)
            model = AutoencoderTransformer(2, random_state=0).fit(X[:n])
            assert squared_error(model, X[n:]) < ratio * squared_error(PCA(2).fit(X[:n]), X[n:]) or n == 100
            assert squared_error(model, X[n:]) < 1.02 * squared_error(PCA(2).fit(X[:n]), X[n:])


@quiet
def test_densities_beat_their_linear_models(vae_of_curved, monkeypatch):
    monkeypatch.setattr(mixtures, "SIZES", (1, 5))  # all of them take three times as long
    X, test = CURVED[:500], CURVED[500:]
    gaussian = multivariate_normal(X.mean(axis=0), np.cov(X.T)).logpdf(test).mean()
    assert MADEDensity(random_state=0).fit(X).score(test) > gaussian + 3
    assert vae_of_curved.held_out_loss_ < vae_of_curved.baseline_loss_ - 1
    assert vae_of_curved.score(test) > gaussian


def test_what_was_done_can_be_read_and_a_net_in_vain_is_told_in_words(monkeypatch):
    with pytest.warns(UserWarning, match="does not beat the linear model that it starts at, on 40 rows kept apart"):
        model = AutoencoderTransformer(3, random_state=0).fit(LINEAR[:200])
    assert model.n_steps_ == 0
    assert model.n_iter_ == len(model.history_) > 0
    assert_allclose(model.held_out_loss_, model.baseline_loss_, rtol=0.1)
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 60)
    with pytest.warns(ConvergenceWarning, match=r"kept apart still fell, .* steps. Pass max_iter, of more than \d+ ep"):
        curved = AutoencoderTransformer(2, random_state=0).fit(CURVED[:500])
    assert curved.n_steps_ > 50
    assert curved.held_out_loss_ < curved.baseline_loss_


@quiet
def test_fits_are_reproducible_and_pickle(monkeypatch):
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 200)
    monkeypatch.setattr(mixtures, "SIZES", (1, 2))
    for model in (AutoencoderTransformer(2), VAETransformer(2), MADEDensity()):
        one, other = (clone(model).set_params(random_state=0).fit(CURVED[:150]) for _ in range(2))
        assert one.n_steps_ > 0
        assert_array_equal(one.score_samples(CURVED), other.score_samples(CURVED))
        assert_array_equal(pickle.loads(pickle.dumps(one)).score_samples(CURVED), one.score_samples(CURVED))


@quiet
def test_many_rows_keep_the_best_weights(monkeypatch):
    monkeypatch.setattr(unsupervised, "FEW_ROWS", 500)
    monkeypatch.setattr(unsupervised, "STEPS_OF_MANY", 300)
    X = standardised(CURVED)
    model = AutoencoderTransformer(2, random_state=0).fit(X[:1000])
    assert 0 < model.n_steps_ <= 300
    assert squared_error(model, X[1000:]) < 0.7 * squared_error(PCA(2).fit(X[:1000]), X[1000:])


# -- bad input ---------------------------------------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize("rows", [LINEAR[:3], LINEAR[:12], np.ones((30, 5)), np.c_[LINEAR[:40], np.full(40, 7.0)]])
def test_fewer_rows_than_codes_and_constants(cls, rows):
    model = cls(6, random_state=0).fit(rows)
    assert model.transform(rows).shape == (len(rows), 6)
    assert np.isfinite(model.score_samples(rows)).all()
    assert hasattr(model, "baseline_loss_") == (len(np.unique(rows, axis=0)) >= 10)


@quiet
@pytest.mark.parametrize("order", ["natural", "random"])
@pytest.mark.parametrize(
    "rows",
    [
        LINEAR[:1],
        LINEAR[:3],
        RANDOM.normal(size=(12, 30)),
        np.full((30, 5), 0.5),
        np.c_[GROUPS[:300], np.full(300, 7.0)],
    ],
)
def test_a_mixture_of_few_rows_and_constants(order, rows, monkeypatch):
    if order == "random":  # what follows from the rows alone has been seen
        monkeypatch.setattr(mixtures, "SIZES", (1, 2))
        monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 200)
    made = MADEDensity(order=order, random_state=0).fit(rows)
    assert np.isfinite(made.score_samples(rows)).all()
    assert np.isfinite(made.score_samples(rows + 1e6)).all()
    constant = np.ptp(rows, axis=0) == 0
    off = np.abs(made.sample(200, random_state=0) - rows[0])[:, constant]
    assert (off.mean(axis=0) < 0.1).all()


def test_wide_rows_start_at_one_gaussian():
    chosen = chosen_mixture(RANDOM.normal(size=(200, 300)))
    assert chosen["n_components"] == 1
    assert all(isinstance(value, (int, float, str)) for value in chosen.values())


@quiet
def test_max_iter_overrides_and_builders_start_plain(digits):
    assert AutoencoderTransformer(3, max_iter=4, random_state=0).fit(LINEAR).n_iter_ == 4
    plain = AutoencoderTransformer(3, architecture=partial(mlp, widths=(4,)), random_state=0).fit(LINEAR)
    assert plain.n_iter_ == 200
    assert not hasattr(plain, "baseline_loss_")
    assert plain.n_steps_ == 1000
    assert PixelCNNDensity(n_filters=4, n_blocks=0, random_state=0).fit(digits[:640, :3]).n_steps_ == 1200
