"""Losses of the autoencoder, and its scores, which know no units."""

import pickle

import numpy as np
import pytest
import torch
from common import small
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import huber
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from sklatent import AutoencoderTransformer, DensityOutlierDetector
from sklatent._bridge import unsupervised
from sklatent._nn.likelihoods import AbsoluteError, Huber

RANDOM = np.random.RandomState(0)
Z = RANDOM.uniform(-2, 2, size=(600, 2))
CURVED = np.column_stack([Z, Z[:, 0] ** 2, Z[:, 0] * Z[:, 1], np.sin(2 * Z[:, 1]), np.cos(Z[:, 0])])
CURVED = CURVED + 0.05 * RANDOM.normal(size=CURVED.shape)
quiet = pytest.mark.filterwarnings("ignore:The net does not beat", "ignore:The loss of rows kept apart still fell")


def squared(rows, rebuilt):
    return (rebuilt - rows).square().sum(1)


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


# -- what is minimised -------------------------------------------------------------------------------------------------


def test_values_of_the_losses():
    u, params = torch.linspace(-3, 3, 40, dtype=torch.float64), torch.full((40, 1), 0.25, dtype=torch.float64)
    error = u.numpy() - 0.25
    assert_allclose(Huber().log_prob(params, u), -huber(1, error))
    assert_allclose(AbsoluteError().log_prob(params, u), -np.abs(error))


@pytest.mark.parametrize(
    ("loss", "of"),
    [("squared_error", np.square), ("absolute_error", np.abs), ("huber", lambda e: huber(1, e)), (squared, np.square)],
)
def test_the_loss_of_a_row_is_summed_over_standardised_features(loss, of):
    X = 3 * CURVED + 1
    model = small(AutoencoderTransformer, loss=loss).fit(X)
    error = (X - model.inverse_transform(model.transform(X))) / X.std(axis=0)
    with torch.no_grad():
        assert_allclose(model._module(torch.from_numpy(X)), of(error).sum(axis=1), rtol=1e-4, atol=1e-6)


@quiet
@pytest.mark.parametrize("params", [{"max_iter": 3}, {}])
def test_a_callable_does_what_a_name_does(params, monkeypatch):
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 60)
    one, other = (AutoencoderTransformer(2, loss=loss, random_state=0, **params) for loss in ("squared_error", squared))
    one, other = one.fit(CURVED[:300]), clone(other).fit(CURVED[:300])
    assert one.n_steps_ > 0
    assert_allclose(one.transform(CURVED), other.transform(CURVED), rtol=1e-3, atol=1e-3)
    assert_array_equal(pickle.loads(pickle.dumps(other)).transform(CURVED), other.transform(CURVED))


@quiet
@pytest.mark.parametrize("loss", ["absolute_error", "huber", squared])
def test_they_start_at_pca(loss, monkeypatch):
    monkeypatch.setattr(unsupervised.Looks, "gains", lambda self: False)
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 1)
    model = AutoencoderTransformer(2, loss=loss, random_state=0).fit(CURVED)
    pca = PCA(2).fit(U := standardised(CURVED))
    expected = np.square(U - pca.inverse_transform(pca.transform(U))).sum(axis=1)
    assert_allclose(-model.score_samples(CURVED), expected, rtol=1e-4)


@quiet
@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_robust_losses_rebuild_clean_rows_better_where_some_are_wild(loss):
    X = CURVED[:300].copy()
    X[:15] += 10 * RANDOM.normal(size=(15, 6))
    errors = {}
    for each in ("squared_error", loss):
        model = AutoencoderTransformer(2, loss=each, max_iter=150, random_state=0).fit(X)
        errors[each] = (
            np.square(CURVED[300:] - model.inverse_transform(model.transform(CURVED[300:]))).sum(axis=1).mean()
        )
    assert errors[loss] < 0.8 * errors["squared_error"]


# -- scores know no units ----------------------------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("times", [1000.0, 1024.0])
def test_a_detector_over_an_autoencoder_knows_no_units(times, monkeypatch):
    monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 60)
    normal, odd = CURVED[:400], standardised(CURVED[400:])
    odd[100:] = np.column_stack([column[RANDOM.permutation(100)] for column in odd[100:].T])  # each value is usual
    odd, is_odd = odd * CURVED[400:].std(axis=0) + CURVED[400:].mean(axis=0), np.arange(200) >= 100
    units = np.array([1, 1, 1, 1, times, 1])
    found = []
    for scale in (np.ones(6), units):
        detector = DensityOutlierDetector(AutoencoderTransformer(2, random_state=0), calibration_size=0.3)
        detector.set_params(random_state=0).fit(normal * scale)
        found.append(-detector.score_samples(odd * scale))
        assert_allclose(detector.score_features(odd * scale).sum(axis=1), -found[-1])
    one, other = (roc_auc_score(is_odd, score) for score in found)
    assert one > 0.8
    assert_allclose(other, one, atol=0 if times == 1024 else 0.02)  # a power of two rounds nothing


# -- bad input ---------------------------------------------------------------------------------------------------------


def refused(rows, rebuilt):
    raise RuntimeError("no such thing")


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            lambda rows, rebuilt: squared(rows, rebuilt).mean(),
            r"of 3 rows it gave a tensor of shape \(\)\. Sum over the",
        ),
        (lambda rows, rebuilt: (rebuilt - rows).square(), r"of 3 rows it gave a tensor of shape \(3, 6\)"),
        (lambda rows, rebuilt: (rebuilt - rows).square().sum(0), r"it gave a tensor of shape \(6,\)"),
        (lambda rows, rebuilt: 1.5, r"it gave 1\.5\. Sum"),
        (lambda rows, rebuilt: squared(rows, rebuilt).detach(), "by operations of torch; what it gave has no gradient"),
        (refused, "of 3 rows it failed: no such thing"),
        (lambda rows: rows.sum(1), "of 3 rows it failed: "),
    ],
)
def test_bad_callables(loss, message):
    model = AutoencoderTransformer(2, loss=loss, max_iter=1)
    with pytest.raises(ValueError, match="A callable loss must map rows and reconstructions.*" + message):
        model.fit(CURVED)
    assert not hasattr(model, "net_")


def test_a_loss_of_as_many_features_as_rows_that_are_tried():
    with pytest.raises(ValueError, match=r"of 4 rows it gave a tensor of shape \(3,\)"):
        AutoencoderTransformer(2, loss=lambda rows, rebuilt: (rebuilt - rows).square().sum(0)).fit(CURVED[:, :3])


def test_a_module_is_no_loss():
    with pytest.raises(TypeError, match="loss is an instance of HuberLoss.*Pass a function of rows and recon"):
        AutoencoderTransformer(2, loss=torch.nn.HuberLoss()).fit(CURVED)
