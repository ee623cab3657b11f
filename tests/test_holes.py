"""Rows with holes, against Gaussians in closed form, quadrature and enumeration."""

from itertools import product

import numpy as np
import pytest
import torch
from common import small
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.distributions import MultivariateNormal
from torch.testing import assert_close

from sklatent import (
    AutoencoderTransformer,
    DensityOutlierDetector,
    EncoderClassifier,
    MADEDensity,
    PixelCNNDensity,
    VAETransformer,
)
from sklatent._bridge import holes, unsupervised
from sklatent._nn.gaussians import Gaussians
from sklatent._nn.likelihoods import bounded

TAKE_HOLES = [AutoencoderTransformer, VAETransformer, MADEDensity]
WEIGHTS = np.array([0.3, 0.7])


def pierced(X, rate, seed=0):
    """X with holes, and where they are; each row keeps a value."""
    gone = np.random.RandomState(seed).random_sample(X.shape) < rate
    gone[gone.all(axis=1), 0] = False
    return np.where(gone, np.nan, X), gone


@pytest.fixture(scope="module")
def linear():
    """Rows of a linear Gaussian model of two factors, 5 features."""
    random = np.random.RandomState(0)
    return random.normal(size=(300, 2)) @ random.normal(size=(2, 5)) + 0.5 * random.normal(size=(300, 5)) + 3


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 40)


# -- the Gaussians -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixture():
    """Two Gaussians of four features: the module, means and covariances; rows, and what is seen of them."""
    generator = torch.Generator().manual_seed(0)
    roots = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64)
    covariances = roots @ roots.mT + 0.5 * torch.eye(4)
    means = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    module = Gaussians(4, 2, 3).set(torch.from_numpy(WEIGHTS), means, covariances, 1e-9)
    rows = torch.randn(16, 4, generator=generator, dtype=torch.float64)
    seen = torch.tensor(list(product([True, False], repeat=4)))
    return module, means, covariances, rows, seen


def _conditional(means, covariances, x, seen):
    """log p of what is seen, and the mean of the row given it, by solving for each component."""
    log_p, filled = [], []
    for weight, mean, covariance in zip(WEIGHTS, means, covariances, strict=True):
        there = covariance[seen][:, seen]
        rest = x[seen] - mean[seen]
        log_p.append(np.log(weight) + (MultivariateNormal(mean[seen], there).log_prob(x[seen]) if seen.any() else 0))
        filled.append(mean + covariance[:, seen] @ torch.linalg.solve(there, rest))
    log_p = torch.stack([torch.as_tensor(each, dtype=torch.float64) for each in log_p])
    mean = (log_p.softmax(0).unsqueeze(1) * torch.stack(filled)).sum(0)
    return log_p.logsumexp(0), torch.where(seen, x, mean)


def test_marginals_and_means_of_gaussians_are_those_in_closed_form(mixture):
    module, means, covariances, rows, seen = mixture
    expected = [_conditional(means, covariances, *each) for each in zip(rows, seen, strict=True)]
    assert_close(module.log_prob(rows, seen), torch.stack([each[0] for each in expected]), rtol=0, atol=1e-12)
    assert_close(module.expected(rows, seen), torch.stack([each[1] for each in expected]), rtol=0, atol=1e-12)
    assert_allclose(module.log_prob(rows, seen)[-1], 0, atol=1e-12)  # of nothing


def test_what_is_not_seen_may_hold_anything(mixture):
    module, _, _, rows, seen = mixture
    other = torch.where(seen, rows, torch.nan)
    assert_array_equal(module.log_prob(other, seen), module.log_prob(rows, seen))
    assert_array_equal(module.expected(other, seen), module.expected(rows, seen))


def test_draws_have_the_mean_and_spread_of_the_conditional(mixture):
    module, _, _, rows, seen = mixture
    drawn = module.draw(rows, seen, module.noise(20_000, 1, torch.Generator().manual_seed(0)))
    assert_allclose(drawn.mean(0), module.expected(rows, seen), atol=0.05)
    assert_array_equal(drawn[:, seen], rows[seen].expand(20_000, -1))
    whole = drawn[:, -1]  # of nothing seen: the mixture itself
    mean = torch.from_numpy(WEIGHTS) @ module.mean
    away = module.mean - mean
    covariances = module.factor @ module.factor.mT + torch.diag_embed(module.variance)
    covariance = torch.einsum("k,kij->ij", torch.from_numpy(WEIGHTS), covariances + away[:, :, None] * away[:, None])
    assert_allclose(torch.cov(whole.T), covariance, atol=0.2)


def test_em_climbs_to_the_likelihood_of_what_is_seen(linear):
    X, gone = pierced(linear, 0.3)
    u, seen = torch.from_numpy(np.nan_to_num(X)), torch.from_numpy(~gone)
    reached = []
    for n_steps in (0, 1, 2, 5, 30):
        one = Gaussians(5, 1, 4)
        one.set(torch.ones(1), u.mean(0, keepdim=True), torch.eye(5, dtype=torch.float64)[None], 1e-6)
        reached.append(one.em(u, seen, 1e-9, n_steps).log_prob(u, seen).mean().item())
    assert reached == sorted(reached)
    covariance = (one.factor[0] @ one.factor[0].T + one.variance[0].diag()).numpy()
    whole = np.cov(linear.T)
    assert np.abs(covariance - whole).max() < 0.25 * whole.max()  # rows with holes say nearly as much
    by_mean = np.cov(SimpleImputer().fit_transform(X).T)
    assert np.linalg.norm(covariance - whole) < 0.3 * np.linalg.norm(by_mean - whole)


def test_without_holes_the_gaussian_is_that_of_the_moments(linear):
    one = holes.learn_holes(linear, linear.mean(axis=0), linear.std(axis=0))
    covariance = one.factor[0] @ one.factor[0].T + one.variance[0].diag()
    assert_allclose(covariance, np.corrcoef(linear.T), atol=0.02)  # of 299 degrees of freedom, not 300


def test_a_mixture_is_taken_where_it_tells_more():
    random = np.random.RandomState(0)
    angle = random.uniform(0, 2 * np.pi, 300)
    ring = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)]) + 0.05 * random.normal(size=(300, 3))
    apart = pierced(ring, 0.2)[0]
    straight = pierced(random.normal(size=(300, 3)) @ random.normal(size=(3, 3)), 0.2, seed=1)[0]
    sizes = [len(holes.learn_holes(X, np.nanmean(X, axis=0), np.nanstd(X, axis=0)).mean) for X in (apart, straight)]
    assert sizes[0] > 1
    assert sizes[1] == 1


# -- fit, transform, score ---------------------------------------------------------------------------------------------


def test_the_bound_of_a_vae_is_exact_at_its_linear_start(linear, short):
    """Whatever is missing: log N(x_o; mean_o, (W W' + V)_oo), by scipy."""
    vae = VAETransformer(2, random_state=0, n_draws=3).fit(linear)
    vae._module.encoder.scale.zero_()  # the nets add nothing
    vae._module.decoder.scale.zero_()
    W = vae._module.decoder.weight[:5].double().numpy()
    mean, log_variance = vae._module.decoder.bias.double().numpy().reshape(2, 5)
    variance = bounded(torch.from_numpy(log_variance), 1e-3).exp().numpy()
    scale, shift = (getattr(vae._module.scaling, name).numpy() for name in ("scale", "shift"))
    mean, covariance = shift + scale * mean, (W @ W.T + np.diag(variance)) * np.outer(scale, scale)
    X, gone = pierced(linear[:40], 0.4)
    exact = [
        multivariate_normal(mean[~out], covariance[~out][:, ~out]).logpdf(x[~out])
        for x, out in zip(X, gone, strict=True)
    ]
    assert_allclose(vae.score_samples(X), exact, atol=2e-5)


@pytest.mark.parametrize("cls", TAKE_HOLES)
def test_rows_with_holes_are_fitted_scored_and_encoded(cls, linear, short):
    X, gone = pierced(linear, 0.3)
    estimator = cls(random_state=0).fit(X)
    Z, scores = estimator.transform(X), estimator.score_samples(X)
    assert np.isfinite(Z).all()
    assert np.isfinite(scores).all()
    for some in (X[:1], X[17:40]):  # whatever comes along
        rows = slice(0, 1) if len(some) == 1 else slice(17, 40)
        assert_allclose(estimator.transform(some), Z[rows], rtol=1e-4, atol=1e-5)
        assert_allclose(estimator.score_samples(some), scores[rows], rtol=1e-4, atol=1e-5)
    complete = ~gone.any(axis=1)
    assert_allclose(estimator.score_samples(linear[complete]), scores[complete], rtol=1e-5, atol=1e-5)
    before = estimator.score(X)
    assert np.isfinite(estimator.partial_fit(X).score(X))
    assert estimator.score(X) != before


def test_an_autoencoder_scores_what_is_seen(linear):
    X, gone = pierced(linear, 0.3)
    auto = AutoencoderTransformer(2, random_state=0, max_iter=3).fit(X)
    rebuilt, scale = auto.inverse_transform(auto.transform(X)), auto._module.scaling.scale.numpy()
    squares = np.where(gone, 0, np.square((np.nan_to_num(X) - rebuilt) / scale))
    assert_allclose(auto.score_samples(X), -squares.sum(axis=1), rtol=1e-5, atol=1e-6)
    assert_allclose(auto.score_features(X), -squares, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", TAKE_HOLES)
def test_a_value_that_is_missing_says_nothing(cls, linear):
    """Of a feature that is pure noise, hiding it costs a density what it adds, and moves no code."""
    noise = np.random.RandomState(1).normal(size=(300, 1))
    X = np.column_stack([linear, noise])
    estimator = small(cls, n_components=6, max_iter=None).fit(X)
    hidden = X[:50].copy()
    hidden[:, 5] = np.nan
    if cls is AutoencoderTransformer:
        assert_allclose(estimator.complete(hidden)[:, 5], noise.mean(), atol=0.5)
        return
    lost = estimator.score_samples(X[:50]) - estimator.score_samples(hidden)
    alone = multivariate_normal(noise.mean(), noise.var()).logpdf(X[:50, 5])
    assert_allclose(lost, alone, atol=0.6)
    assert_allclose(lost.mean(), alone.mean(), atol=0.05)


def test_the_marginal_of_a_made_is_that_by_quadrature(linear):
    made = MADEDensity(random_state=0, max_iter=15).fit(linear)
    grid = np.linspace(-60, 60, 6001)
    for feature, atol in ((0, 0.1), (2, 0.1), (4, 1e-6)):  # the last comes after all that is seen: exact
        rows = np.repeat(linear[:4], len(grid), axis=0)
        rows[:, feature] = np.tile(grid, 4)
        exact = np.log(np.exp(made.score_samples(rows)).reshape(4, -1).sum(axis=1) * (grid[1] - grid[0]))
        hidden = linear[:4].copy()
        hidden[:, feature] = np.nan
        assert_allclose(made.score_samples(hidden), exact, atol=atol)


def test_the_marginal_of_a_made_over_levels_is_near_the_sum():
    random = np.random.RandomState(0)
    bits = (random.random_sample((600, 3)) < 0.5).astype(float)
    bits = np.column_stack([bits, bits.sum(axis=1) > 1])
    made = MADEDensity(random_state=0, max_iter=100).fit(pierced(bits, 0.2)[0])
    assert made.likelihood_ == "bernoulli"
    every = np.array(list(product([0.0, 1.0], repeat=4)))
    p = np.exp(made.score_samples(every))
    assert_allclose(p.sum(), 1, atol=1e-6)
    away = []
    for seen in product([False, True], repeat=4):
        seen = np.array(seen)
        rows = np.unique(np.where(seen, every, np.nan), axis=0)
        exact = [p[(every == row)[:, seen].all(axis=1)].sum() for row in rows]
        away += list(np.exp(made.score_samples(rows)) - exact)
        if not seen[np.argmin(seen) :].any():
            assert_allclose(np.exp(made.score_samples(rows)), exact, atol=0.02)
    assert np.abs(away).mean() < 0.03


def test_score_features_add_up_and_are_zero_where_nothing_is_seen(linear):
    for options in ({}, {"n_masks": 2}):
        X, gone = pierced(linear[:40], 0.3)
        made = MADEDensity(random_state=0, max_iter=3, **options).fit(X)
        maps = made.score_features(X)
        assert_allclose(maps.sum(axis=1), made.score_samples(X), rtol=1e-5, atol=1e-5)
        assert (maps[gone] == 0).all()


def test_a_fit_to_rows_with_holes_beats_one_to_rows_filled_by_the_mean(linear, short):
    X, T = pierced(linear[:200], 0.3)[0], pierced(linear[200:], 0.3, seed=1)[0]
    by_mean = SimpleImputer().fit_transform(X)
    for cls in (VAETransformer, MADEDensity):
        ours, other = (cls(random_state=0).fit(rows).score(T) for rows in (X, by_mean))
        assert ours > other + 0.1


# -- complete ----------------------------------------------------------------------------------------------------------


def test_complete_beats_the_imputers(short):
    X = StandardScaler().fit_transform(load_breast_cancer().data[:, :10])
    train, _ = pierced(X[:400], 0.3)
    held_out, gone_there = pierced(X[400:], 0.3, seed=1)
    errors = [
        np.square(filled - X[400:])[gone_there].mean()
        for filled in (
            VAETransformer(4, random_state=0).fit(train).complete(held_out),
            KNNImputer().fit(train).transform(held_out),
            SimpleImputer().fit(train).transform(held_out),
        )
    ]
    assert errors[0] < 0.8 * errors[1] < errors[2]


@pytest.mark.parametrize("cls", TAKE_HOLES)
def test_complete_leaves_what_is_there(cls, linear, short):
    X, gone = pierced(linear, 0.3)
    for dtype in (np.float64, np.float32):
        rows = X.astype(dtype)
        estimator = cls(random_state=0).fit(rows)
        for random_state in (None, 0, 1):
            filled = estimator.complete(rows, random_state=random_state)
            assert filled.dtype == dtype
            assert_array_equal(filled[~gone], rows[~gone])
            assert np.isfinite(filled).all()
    assert_array_equal(estimator.complete(rows, random_state=1), filled)
    assert (estimator.complete(rows, random_state=2)[gone] != filled[gone]).mean() > 0.9
    assert_array_equal(estimator.complete(linear), linear)


def test_several_draws_spread_as_the_conditional_does(linear, short):
    """Multiple imputation: within rows the variance of the draws is that of what is missing given the rest."""
    X = linear.copy()
    X[:, 0] = np.nan
    auto = AutoencoderTransformer(random_state=0).fit(pierced(linear, 0.05)[0])
    draws = np.stack([auto.complete(X, random_state=seed)[:, 0] for seed in range(60)])
    residual = linear[:, 0] - auto.complete(X)[:, 0]
    assert_allclose(draws.var(axis=0).mean(), np.mean(residual**2), rtol=0.25)


def test_holes_only_in_new_rows(linear, short):
    X, gone = pierced(linear[200:], 0.3)
    vae = VAETransformer(random_state=0).fit(linear[:200])
    by_mean = np.where(gone, linear[:200].mean(axis=0), X)
    assert np.square(vae.complete(X) - linear[200:])[gone].mean() < 0.8 * np.square(by_mean - linear[200:])[gone].mean()
    assert np.isfinite(vae.score_samples(X)).all()
    bits = np.random.RandomState(0).randint(2, size=(60, 4)).astype(float)
    made = MADEDensity(random_state=0, max_iter=2).fit(bits)
    with pytest.raises(ValueError, match="has never seen a row with something missing. Fit it on rows with NaN"):
        made.score_samples(pierced(bits, 0.3)[0])
    assert np.isfinite(
        MADEDensity(random_state=0, max_iter=2, input_dropout=0.2).fit(bits).score(pierced(bits, 0.3)[0])
    )


def test_a_pipeline_takes_holes(short):
    X, y = load_digits(return_X_y=True)
    X, y = pierced(X[:400], 0.2)[0], y[:400]
    model = make_pipeline(AutoencoderTransformer(16, random_state=0), LogisticRegression(max_iter=500)).fit(
        X[:300], y[:300]
    )
    assert model.score(X[300:], y[300:]) > 0.8


def test_images_take_holes():
    X = load_digits().images[:200].reshape(200, -1).astype(np.float32)
    X = pierced(X, 0.2)[0].astype(np.float32)
    for cls in (AutoencoderTransformer, VAETransformer):
        estimator = small(cls, image_shape=(8, 8), hidden_layer_sizes=(4, 8)).fit(X)
        assert np.isfinite(estimator.score_samples(X)).all()
        filled = estimator.complete(X)
        assert filled.min() >= 0  # whole-numbered pixels stay in their range
        assert filled.max() <= 16


# -- those that take an encoder or a density ---------------------------------------------------------------------------


def test_a_classifier_takes_holes_as_its_encoder_does():
    X, y = load_breast_cancer(return_X_y=True)
    X, y = pierced(StandardScaler().fit_transform(X[:240, :10]), 0.2)[0], y[:240]
    labels = np.where(np.arange(240) < 40, y, -1)
    encoder = AutoencoderTransformer(4, max_iter=5, random_state=0)
    classifier = EncoderClassifier(encoder, max_iter=3, random_state=0).fit(X, labels)
    assert (classifier.predict(X[200:]) == y[200:]).mean() > 0.85
    filled = classifier.encoder_.complete(X[200:])
    assert_allclose(classifier.predict_proba(filled), classifier.predict_proba(X[200:]), atol=1e-4)


def test_a_detector_takes_holes_as_its_density_does(short):
    X, y = load_breast_cancer(return_X_y=True)
    X = pierced(StandardScaler().fit_transform(X[:, :8]), 0.2)[0]
    detector = DensityOutlierDetector(VAETransformer(4, random_state=0), random_state=0).fit(X[y == 1][:250])
    assert roc_auc_score(y, detector.score_samples(X)) > 0.85
    with pytest.raises(ValueError, match=r"X has NaN, .* Pass density=MADEDensity\(\) or VAETransformer\(\)"):
        DensityOutlierDetector().fit(X)


def test_levels_are_filled_with_levels(short):
    random = np.random.RandomState(0)
    side = random.randint(2, size=200).astype(float)
    X = np.column_stack([side, side + 0.3 * random.normal(size=200), np.rint(4 * side + random.normal(size=200))])
    holes, gone = pierced(X, 0.2)
    vae = VAETransformer(random_state=0).fit(holes)
    for random_state in (None, 0):
        filled = vae.complete(holes, random_state)
        assert set(filled[:, 0]) == {0, 1}
        assert_array_equal(filled[:, 2], np.rint(filled[:, 2]))
        assert (filled[:, 0] == side)[gone[:, 0]].mean() > 0.7
        assert np.isfinite(vae.score_samples(filled)).all()


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", TAKE_HOLES)
def test_columns_and_rows_of_nothing(cls, linear, short):
    X = pierced(linear, 0.1)[0]
    X[:, 2] = np.nan
    with pytest.raises(ValueError, match="Feature 2 of X is NaN in every row: there is nothing to learn it from"):
        cls(random_state=0).fit(X)
    X[:, 2] = linear[:, 2]
    X[7] = np.nan
    estimator = cls(random_state=0).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    if cls is not AutoencoderTransformer:
        assert_allclose(estimator.score_samples(X)[7], 0, atol=1e-9)  # the probability of anything is one
    X[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        estimator.transform(X)
    with pytest.raises(ValueError, match="infinity"):
        cls(random_state=0).fit(X)


def test_others_still_refuse_nan():
    X = pierced(np.random.RandomState(0).normal(size=(30, 4)), 0.2)[0]
    with pytest.raises(ValueError, match="NaN"):
        PixelCNNDensity(max_iter=1).fit(X)
