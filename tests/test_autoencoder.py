"""The autoencoders as estimators: numbers known by other means."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from common import small
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture

from sklatent import AutoencoderTransformer, VAETransformer
from sklatent._nn import vae as nn_vae
from sklatent._nn.builders import mlp


def linear(n_components, **params):
    """A linear autoencoder, trained to convergence."""
    return AutoencoderTransformer(
        n_components, architecture="mlp", hidden_layer_sizes=(), learning_rate=0.04, weight_decay=0, max_iter=200,
        random_state=0, **params,
    )  # fmt: skip


@pytest.mark.parametrize("n_components", [8, 16])
def test_linear_autoencoder_reaches_pca_on_pixels(n_components, digits):
    """Its codes span PCA's subspace; all pixels share one scale, so the error is PCA's own, within the range."""
    pca = PCA(n_components).fit(digits)
    rebuilt = pca.inverse_transform(pca.transform(digits)).clip(0, 16)
    best = ((digits - rebuilt) ** 2).sum(axis=1).mean() / digits.var()
    error = -linear(n_components, image_shape=(8, 8)).fit(digits).score(digits)
    assert 0.99 * best < error < 1.01 * best  # clipped, PCA is not the very best


def test_linear_autoencoder_reaches_pca_of_standardised_features_on_a_table(digits):
    X = digits[:, digits.std(axis=0) > 1]
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    pca = PCA(8).fit(Z)
    best = ((Z - pca.inverse_transform(pca.transform(Z))) ** 2).sum(axis=1).mean()
    encoder = linear(8).fit(X)
    rebuilt = (encoder.inverse_transform(encoder.transform(X)) - X.mean(axis=0)) / X.std(axis=0)
    assert best * (1 - 1e-6) <= ((Z - rebuilt) ** 2).sum(axis=1).mean() < 1.01 * best


@pytest.mark.parametrize("loss", ["squared_error", "huber", "binary_cross_entropy"])
@pytest.mark.parametrize("image_shape", [None, (8, 8)])
def test_score_is_minus_the_squared_error_of_scaled_features(loss, image_shape, digits):
    X = digits[:200]
    encoder = small(AutoencoderTransformer, image_shape=image_shape, loss=loss, architecture="mlp").fit(X)
    if loss == "binary_cross_entropy":
        scale = np.ptp(X) if image_shape else np.ptp(X, axis=0)
    else:
        scale = X.std() if image_shape else X.std(axis=0)
    scale = np.where(scale > 0, scale, 1)  # of what is constant
    parts = -(((digits - encoder.inverse_transform(encoder.transform(digits))) / scale) ** 2)
    assert_allclose(encoder.score_features(digits), parts, rtol=1e-5, atol=1e-9)
    assert_allclose(encoder.score_samples(digits), parts.sum(axis=1), rtol=1e-5)


def test_deep_beats_linear(digits):
    deep = AutoencoderTransformer(4, hidden_layer_sizes=(128, 64), image_shape=(8, 8), architecture="mlp", max_iter=60)
    assert deep.set_params(random_state=0).fit(digits).score(digits) > 1.15 * linear(4, image_shape=(8, 8)).fit(
        digits
    ).score(digits)


@pytest.mark.parametrize("corruption", ["noise", "mask", "swap", "affine", "elastic", lambda u: u.roll(1, 0)])
def test_corruption_is_in_training_alone(corruption, digits):
    """The corrupted row goes in and the clean one is the target: training pays for it, the score does not."""
    params = {"image_shape": (8, 8), "n_components": 32, "max_iter": 15}
    plain = small(AutoencoderTransformer, **params).fit(digits[:400])
    other = small(AutoencoderTransformer, corruption=corruption, **params).fit(digits[:400])
    assert other.history_[-1]["train_loss"] > plain.history_[-1]["train_loss"]
    assert_allclose(other.transform(digits), other.transform(digits), rtol=0)


def test_warped_pretraining_pays_with_few_labels(digits, labels):
    """The main job, in small: ten labels, codes of all rows."""
    first = np.concatenate([np.flatnonzero(labels == c)[:1] for c in range(10)])
    params = {"image_shape": (8, 8), "loss": "binary_cross_entropy", "max_iter": 25, "random_state": 0}

    def accuracy(Z):
        return LogisticRegression(max_iter=2000).fit(Z[first], labels[first]).score(Z, labels)

    elastic = AutoencoderTransformer(32, corruption="elastic", **params).fit_transform(digits)
    assert accuracy(elastic) > accuracy(digits) + 0.05


# -- VAE -----------------------------------------------------------------------------------------------------


def factor_analysis_as_vae(fa, X, n_draws):
    """A linear-Gaussian VAE with the loadings, noise and posterior of a FactorAnalysis.

    The loadings are turned by 45 degrees, which leaves the marginal as it is but correlates the exact posterior,
    whereas the VAE's is diagonal: its ELBO has a gap to close.
    """
    k, d = fa.components_.shape
    turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    plain = partial(mlp, widths=())  # a builder has no start
    vae = VAETransformer(k, architecture=plain, max_iter=1, n_draws=n_draws, kl_warmup=0, random_state=0).fit(X)
    module = vae.net_.module_
    shift, scale = (getattr(module.scaling, name).numpy() for name in ("shift", "scale"))
    loadings, noise = fa.components_.T @ turn / scale[:, None], fa.noise_variance_ / scale**2
    covariance = np.linalg.inv(np.eye(k) + loadings.T @ (loadings / noise[:, None]))
    to_code = covariance @ (loadings / noise[:, None]).T  # (k, d): E[z | u] = to_code (u - mean)
    mean = (fa.mean_ - shift) / scale
    layers = {
        module.encoder[-1]: (np.vstack([to_code, np.zeros((k, d))]),
                             np.concatenate([-to_code @ mean, -np.log(np.diag(np.linalg.inv(covariance)))])),
        module.decoder[0]: (np.vstack([loadings, np.zeros((d, k))]), np.concatenate([mean, np.log(noise)])),
    }  # fmt: skip
    with torch.no_grad():
        for layer, (weight, bias) in layers.items():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    return vae


def test_linear_gaussian_vae_s_bound_is_below_and_near_the_exact_marginal():
    random = np.random.RandomState(0)
    X = random.normal(size=(500, 2)) * [4, 1.5] @ random.normal(size=(2, 6)) + random.normal(size=(500, 6)) * 2 + 30
    fa = FactorAnalysis(2, tol=1e-8, max_iter=5000).fit(X)
    exact = fa.score_samples(X)
    gaps = {n: exact - factor_analysis_as_vae(fa, X, n).score_samples(X) for n in (1, 50, 5000)}
    assert gaps[1].mean() > 0.1
    assert gaps[50].mean() < gaps[1].mean(), "tighter with more draws"
    assert -0.01 < gaps[5000].mean() < 0.1
    assert np.abs(gaps[5000]).max() < 0.1


def test_trained_vae_is_near_the_best_gaussian():
    """Gaussian rows: no model can have a higher mean log-density than their own density."""
    random = np.random.RandomState(1)
    A = np.hstack([random.normal(size=(5, 2)), 0.5 * np.eye(5)])
    X, X_test = (random.normal(size=(n, 7)) @ A.T * 3 for n in (3000, 1000))
    exact = GaussianMixture(1).fit(X).score(X_test)
    vae = VAETransformer(2, hidden_layer_sizes=(32,), max_iter=60, random_state=0).fit(X)
    assert exact - 0.3 < vae.score(X_test) < exact + 0.05
    assert vae.n_active_units_ == 2


def test_units_are_those_of_x(digits):
    X = digits[:300, 18:24] + np.random.RandomState(0).uniform(size=(300, 6))
    scores = [small(VAETransformer, max_iter=10).fit(c * X).score(c * X) for c in (1, 1000)]
    assert_allclose(scores[1], scores[0] - 6 * np.log(1000), rtol=1e-4)


def test_bernoulli_is_a_probability():
    rows = (np.random.RandomState(0).rand(300, 4) < [0.1, 0.5, 0.7, 0.9]).astype(float)
    every = np.array(np.meshgrid(*[[0, 1]] * 4)).reshape(4, -1).T
    vae = VAETransformer(2, likelihood="bernoulli", hidden_layer_sizes=(16,), max_iter=40, n_draws=5000, random_state=0)
    vae.fit(rows)
    assert_allclose(np.exp(vae.score_samples(every)).sum(), 1, atol=0.01)
    assert set(np.unique(vae.sample(100, random_state=0))) == {0, 1}
    images = small(VAETransformer, likelihood="bernoulli").fit((255 * rows).astype(np.uint8))
    assert set(np.unique(images.sample(100, random_state=0))) == {0, 255}


@pytest.mark.parametrize("likelihood", ["categorical", "logistic_mixture"])
def test_levels_are_a_probability(likelihood):
    random = np.random.RandomState(0)
    rows = random.binomial(2, [0.1, 0.5, 0.7], size=(300, 3)) + 5
    every = np.array(np.meshgrid(*[[5, 6, 7]] * 3)).reshape(3, -1).T
    vae = VAETransformer(2, likelihood=likelihood, hidden_layer_sizes=(16,), max_iter=40, n_draws=5000, random_state=0)
    scores = vae.fit(rows).score_samples(every)
    assert_allclose(np.exp(scores).sum(), 1, atol=0.01)
    drawn = vae.sample(3000, random_state=0)
    assert set(np.unique(drawn)) == {5, 6, 7}
    assert_allclose(drawn.mean(axis=0), rows.mean(axis=0), atol=0.15)
    assert_array_equal(pickle.loads(pickle.dumps(vae)).score_samples(every), scores)
    with pytest.raises(ValueError, match="fitted on whole numbers, but X holds others, such as 5.5"):
        vae.score_samples(every + 0.5)


def test_binned_levels_are_a_density_in_the_units_of_x(digits):
    X = digits[:300, 18:24] + np.random.RandomState(0).uniform(size=(300, 6))
    params = {"likelihood": "categorical", "n_levels": 8, "max_iter": 10}
    scores = [small(VAETransformer, **params).fit(c * X).score(c * X) for c in (1, 1000)]
    assert_allclose(scores[1], scores[0] - 6 * np.log(1000), rtol=1e-4)
    far = np.vstack([X[:1], X.max(axis=0) + [[1], [10], [1e3], [1e30]]])
    fall = np.diff(small(VAETransformer, **params).fit(X).score_samples(far))
    assert (fall[:-1] < 0).all()


def test_coarse_levels_of_images_are_still_a_probability_of_the_values(digits):
    """Bins of two values: half of the bin's probability each."""
    params = {"image_shape": (8, 8), "likelihood": "categorical", "max_iter": 5}
    coarse = small(VAETransformer, n_levels=9, **params).fit(digits.astype(int))
    halves = small(VAETransformer, **params).fit(digits.astype(int) // 2)
    assert_allclose(coarse.score(digits), halves.score(digits // 2) - 64 * np.log(2), rtol=0.02)


def test_likelihood_regret(digits):
    vae = VAETransformer(8, image_shape=(8, 8), max_iter=15, random_state=0).fit(digits[:1000])
    inside, noise = digits[1000:1100], np.random.RandomState(0).permutation(digits[:100].ravel()).reshape(100, 64)
    regret = vae.likelihood_regret(inside)
    assert regret.dtype == np.float64
    assert (regret >= 0).all()
    assert np.median(vae.likelihood_regret(noise)) > 2 * np.median(regret)
    assert_array_equal(vae.likelihood_regret(inside[3:5]), regret[3:5])
    assert (vae.likelihood_regret(inside, n_steps=60) >= regret).all()
    for params in ({"n_steps": 0}, {"n_steps": 1.5}, {"learning_rate": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(params))}=.* must be"):
            vae.likelihood_regret(inside, **params)


@pytest.mark.filterwarnings("ignore:Posterior collapse")
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "categorical"])
def test_score_statistics_are_where_the_likelihood_is_low_and_the_code(likelihood, digits, monkeypatch):
    """With one draw of zero noise the bound is log p(x | m), plus what q and the prior say of m alone."""
    X = digits[:200]
    vae = small(VAETransformer, image_shape=(8, 8), likelihood=likelihood).fit(X)
    statistics = vae.score_statistics(X)
    assert statistics.shape == (200, 16 + 3), "cells of 2 x 2 pixels"
    assert statistics.dtype == np.float64
    assert_allclose(statistics[:, 16:] * vae.code_scale_, vae.transform(X), rtol=1e-6)
    assert_array_equal(vae.score_statistics(X[5:7]), statistics[5:7])
    spoilt = X.copy().reshape(-1, 8, 8)
    spoilt[:, 7, 7] = 16 - spoilt[:, 7, 7]
    with torch.no_grad():  # codes that do not see the row: only the cell of the pixel may change
        encoder = vae._module.encoder
        for tensor in [encoder.weight, encoder.scale] if likelihood == "gaussian" else [encoder[-1].weight]:
            tensor.zero_()
    change = vae.score_statistics(spoilt.reshape(-1, 64)) - vae.score_statistics(X)
    assert_array_equal(np.flatnonzero(np.abs(change).max(axis=0)), [15])
    monkeypatch.setattr(nn_vae, "LINEAR_SHARE", 1e-300)
    alike = vae._apply(lambda m, x: m.log_prob(x, torch.zeros(1, 3)), X)
    assert_allclose(np.ptp(vae.score_statistics(X)[:, :16].sum(axis=1) - alike), 0, atol=1e-3)
    table = small(VAETransformer, likelihood=likelihood).fit(X)
    assert table.score_statistics(X).shape == (200, 1 + 3)


def test_free_bits_and_small_beta_keep_units_active(digits):
    def n_active(**params):
        shared = {"image_shape": (8, 8), "architecture": "mlp", "corruption": "noise", "random_state": 0}
        vae = VAETransformer(16, max_iter=40, **shared, **params)
        return vae.fit(digits[:600]).n_active_units_

    costly = n_active(beta=4.0)
    assert n_active(beta=0.05) > costly + 2
    assert n_active(beta=4.0, free_bits=0.5) > costly + 2


def test_vae_samples_have_the_moments_of_the_rows():
    random = np.random.RandomState(0)
    X = random.normal(size=(2000, 2)) @ np.array([[3.0, 1, 0], [0, 2, -2]]) + random.normal(size=(2000, 3)) + 100
    vae = VAETransformer(2, max_iter=60, hidden_layer_sizes=(32,), random_state=0).fit(X)
    drawn = vae.sample(20_000, random_state=0)
    assert_allclose(drawn.mean(axis=0), X.mean(axis=0), atol=0.3)
    assert_allclose(np.cov(drawn.T), np.cov(X.T), atol=0.15 * np.var(X, axis=0).max())


def test_a_score_has_the_digits_of_float64():
    """Steps of float32 are .001 nats at -12,000: here 500 rows hardly differ."""
    X = np.random.RandomState(0).normal(size=(300, 3000))
    vae = VAETransformer(2, hidden_layer_sizes=(4,), max_iter=1, n_draws=2, random_state=0).fit(X)
    scores = vae.score_samples(X)
    assert np.abs(scores).mean() > 4000
    assert (scores != scores.astype(np.float32)).mean() > 0.9


def test_codes_become_rows_in_batches_of_the_size_of_rows(digits, monkeypatch):
    sizes = []
    encoder = small(AutoencoderTransformer, image_shape=(8, 8), max_iter=1).fit(digits[:100])
    decode = encoder._module.decode
    monkeypatch.setattr(encoder._module, "decode", lambda z: (sizes.append(len(z)), decode(z))[1])
    Z = encoder.transform(digits[:3])
    rebuilt = encoder.inverse_transform(Z)
    encoder.score_samples(digits[:3])
    assert sizes[0] == sizes[1], "as many as when rows are scored"
    assert_array_equal(encoder.inverse_transform(Z[:1]), rebuilt[:1])


def test_the_encoder_in_torch(digits):
    encoder = small(AutoencoderTransformer, image_shape=(8, 8), corruption="affine").fit(digits[:100])
    module = encoder.encoder_module().eval()
    with torch.no_grad():
        assert_allclose(
            module.encode(torch.from_numpy(digits[:9])), encoder.transform(digits[:9]), rtol=1e-4, atol=1e-4
        )
        module.train()
        assert_allclose(
            module.encode(torch.from_numpy(digits[:9])), encoder.transform(digits[:9]), rtol=1e-4, atol=1e-4
        )
        module.encoder[0].weight.zero_()
    assert encoder.net_.module_.encoder[0].weight.any(), "it is a copy"
