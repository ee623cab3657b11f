"""Rows through fitted nets: batches of fixed shapes, the same bits whatever comes with a row, tensors in and out."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.decomposition import PCA
from torch import nn

from sklatent import (
    AutoencoderTransformer,
    EncoderClassifier,
    GraphLabelSpreading,
    MADEDensity,
    PixelCNNDensity,
    PixelRNNDensity,
    TwoViewTransformer,
    VAETransformer,
)
from sklatent._bridge import inference

random = np.random.RandomState(0)
REAL = random.normal(size=(80, 16))
LEVELS = random.randint(5, size=(80, 16)).astype(np.uint8)
Y = np.where(np.arange(80) < 30, (REAL[:, 0] > 0).astype(int), -1)
FEW = {"max_iter": 2, "random_state": 0}
IMAGE = {"image_shape": (4, 4)}
WITHOUT_GRAPH = {"hidden_layer_sizes": (12, 7)}


def fitted(cls, X=REAL, *args, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(**(FEW | parameters)).fit(X, *args)


MODELS = {
    "dense": (AutoencoderTransformer, REAL, {"n_components": 3, "hidden_layer_sizes": (24,)}),
    "odd widths": (AutoencoderTransformer, REAL, {"n_components": 3, "hidden_layer_sizes": (13, 7)}),
    "convolutions": (AutoencoderTransformer, REAL, {"n_components": 3, **IMAGE}),
    "series": (AutoencoderTransformer, REAL, {"n_components": 3, "image_shape": (1, 16)}),
    "two views": (TwoViewTransformer, REAL, {"n_components": 8, **IMAGE}),
    "VAE": (VAETransformer, REAL, {"n_components": 3, "n_draws": 5}),
    "VAE of images": (VAETransformer, LEVELS, {"n_components": 3, "n_draws": 5, **IMAGE}),
    "MADE": (MADEDensity, REAL, {"hidden_layer_sizes": (20,)}),
    "MADE of levels": (MADEDensity, LEVELS, {"hidden_layer_sizes": (20,)}),
    "PixelCNN": (PixelCNNDensity, LEVELS, {"n_filters": 4, "n_blocks": 1, **IMAGE}),
    "Row LSTM": (PixelRNNDensity, LEVELS, {"n_filters": 4, "n_layers": 1, "cell": "row_lstm", **IMAGE}),
    "Diagonal BiLSTM": (PixelRNNDensity, LEVELS, {"n_filters": 4, "n_layers": 1, **IMAGE}),
}
VERBS = ("transform", "score_samples", "score_features", "score_statistics", "likelihood_regret")


def test_batches_are_small_for_few_rows_and_hold_about_as_many_numbers_for_many():
    dense, convolved = net_of(nn.Linear(1, 1)), net_of(nn.Sequential(nn.Flatten(), nn.Conv2d(1, 1, 1)))
    strided = net_of(nn.Conv2d(1, 1, 3, stride=2))
    assert [inference.batch_sizes(strided, d) for d in (128, 784)] == [(4, 128), (4, 64)]
    assert [inference.batch_sizes(dense, d) for d in (1, 784, 10**6)] == [(4, 1024), (4, 256), (4, 64)]
    assert [inference.batch_sizes(convolved, d) for d in (1, 128, 784)] == [(16, 256), (16, 128), (16, 64)]
    dense.device = "cuda"
    assert [inference.batch_sizes(dense, d) for d in (1, 784, 10**6)] == [(4096, 4096), (1024, 1024), (16, 16)]


def test_draws_are_of_a_million_numbers_at_a_time():
    assert [inference._rows_to_draw(d) for d in (1, 128, 1000, 2**20, 2**21)] == [8192, 8192, 1048, 1, 1]


def net_of(module):
    return SimpleNamespace(device="cpu", module_=module)


def test_batches_are_larger_where_there_are_more_rows_and_compared_first():
    seen = []

    def function(batch):
        seen.append(len(batch))
        return batch + 1

    for n, sizes in ((1, [4]), (5, 2 * [4]), (31, 8 * [4]), (32, 4 * [4] + 3 * [16]), (600, 16 * [4] + 4 * [256])):
        seen.clear()
        rows = np.arange(2.0 * n).reshape(n, 2)
        assert_array_equal(inference.apply(net_of(nn.Identity()), function, rows), rows + 1)
        assert seen == sizes
    seen.clear()
    rows = np.arange(2.0 * 1024 * 17).reshape(-1, 2)
    assert_array_equal(inference.apply(net_of(nn.Identity()), function, rows), rows + 1)
    assert seen == 16 * [4] + 18 * [1024]


@pytest.mark.parametrize(("most", "used"), [(4, 4), (15, 4), (16, 16), (999, 256)])
def test_large_batches_are_not_used_where_they_would_give_other_bits(most, used):
    """As of a kernel whose sums go another way in a batch of more than ``most`` rows."""
    seen = []

    def function(batch):
        seen.append(len(batch))
        return batch.sum(1) * (1 + 1e-7 * (len(batch) > most))

    rows = np.random.RandomState(1).normal(size=(1024 * 17, 2))
    assert_array_equal(inference.apply(net_of(nn.Identity()), function, rows), rows.sum(axis=1))
    assert seen[-1] == used


@pytest.mark.parametrize("name", MODELS)
def test_a_row_gives_the_same_bits_alone_among_few_and_among_many(name, monkeypatch):
    cls, X, parameters = MODELS[name]
    model = fitted(cls, X, **parameters)
    many = X[np.random.RandomState(1).randint(len(X), size=2100)]
    used = []
    in_batches = inference._in_batches
    monkeypatch.setattr(inference, "_in_batches", lambda *args: used.append(args[-1]) or in_batches(*args))
    for verb in VERBS:
        if not hasattr(model, verb):
            continue
        of_many = getattr(model, verb)(many)
        if verb != "likelihood_regret":  # where torch has gradients to take, its kernels differ
            assert used[-1] > 16, "large batches were seen to give the same bits"
        for rows in (slice(0, 1), slice(0, 5), slice(0, 40), slice(0, 700), slice(2087, 2100), slice(16, 48)):
            assert_array_equal(getattr(model, verb)(many[rows]), of_many[rows], err_msg=verb)


@pytest.mark.parametrize("name", ["dense", "odd widths", "VAE", "MADE"])
def test_how_rows_lie_in_memory_changes_no_bit(name):
    cls, X, parameters = MODELS[name]
    model, columns = fitted(cls, X, **parameters), np.asfortranarray(X[:7])
    for verb in ("transform", "score_samples"):
        expected = getattr(model, verb)(X[:7])
        assert_array_equal(getattr(model, verb)(columns), expected)
        assert_array_equal(getattr(model, verb)(torch.from_numpy(columns)).numpy(), expected)
        assert_array_equal(getattr(model, verb)(columns[:3]), expected[:3])


def test_out_of_memory_halves_the_batch_once_and_says_so():
    def function(batch):
        if len(batch) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return batch + 1

    rows, most = np.arange(40.0).reshape(20, 2), 2
    with pytest.warns(UserWarning, match="Out of memory with 4 rows at a time, so 2 are taken"):
        assert_array_equal(inference.apply(net_of(nn.Identity()), function, rows), rows + 1)
    most = 1
    with pytest.warns(UserWarning, match="Out of memory"), pytest.raises(torch.cuda.OutOfMemoryError):
        inference.apply(net_of(nn.Identity()), function, rows)


# -- tensors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore")
def test_a_tensor_gives_what_its_rows_give_as_a_tensor(name):
    cls, X, parameters = MODELS[name]
    model, T = fitted(cls, X, **parameters), torch.from_numpy(X)
    for verb in (*VERBS, "score"):
        if hasattr(model, verb):
            found, expected = getattr(model, verb)(T), getattr(model, verb)(X)
            if verb != "score":
                assert isinstance(found, torch.Tensor)
                assert found.numpy().dtype == expected.dtype
            assert_array_equal(np.asarray(found), expected)
    of_tensor = fitted(cls, T, **parameters)
    assert_array_equal(of_tensor.transform(X), model.transform(X))  # the same fit
    if hasattr(model, "sample"):
        drawn = of_tensor.sample(3, random_state=0)
        assert isinstance(drawn, torch.Tensor)
        assert_array_equal(drawn.numpy(), model.sample(3, random_state=0))
    if hasattr(model, "inverse_transform"):
        Z = model.transform(X)
        assert_array_equal(model.inverse_transform(torch.from_numpy(Z)).numpy(), model.inverse_transform(Z))
    if hasattr(model, "complete"):
        holes = X.astype(float)
        holes[:5, 3] = np.nan
        found = model.complete(torch.from_numpy(holes), random_state=0)
        assert_array_equal(found.numpy(), model.complete(holes, random_state=0))


def test_rows_of_a_tensor_do_not_pass_through_numpy(monkeypatch):
    model, T = fitted(AutoencoderTransformer, n_components=3), torch.from_numpy(REAL)
    expected = model.transform(REAL)
    for name in ("__array__", "numpy"):
        monkeypatch.setattr(torch.Tensor, name, lambda *_, **__: pytest.fail("on the host"))
    assert torch.equal(model.transform(T), torch.tensor(expected.tolist()))


@pytest.mark.filterwarnings("ignore")
def test_what_a_tensor_may_be():
    model = fitted(AutoencoderTransformer, n_components=3)
    T = torch.from_numpy(REAL).requires_grad_()
    assert not model.transform(T).requires_grad
    for dtype, wide in ((torch.float16, "f8"), (torch.bfloat16, "f4"), (torch.bool, "f8")):
        cast = T.detach().to(dtype)
        found = model.transform(cast)
        assert found.dtype == torch.float32
        assert_array_equal(found.numpy(), model.transform(cast.float().numpy().astype(wide)))
    holes = T.detach().clone()
    holes[0, 0] = torch.nan
    assert_array_equal(model.transform(holes).numpy(), model.transform(holes.numpy()))
    density = fitted(MADEDensity, LEVELS)
    for wrong, words in (
        (T[:, :3], "X has 3 features, but AutoencoderTransformer is expecting 16"),
        (T[0], "Expected 2D array"),
        (torch.full_like(T, torch.inf), "infinity"),
    ):
        with pytest.raises(ValueError, match=words):
            model.transform(wrong)
    with pytest.raises(ValueError, match="fitted on whole numbers"):
        density.score_samples(T)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("graph", [True, False])
def test_probabilities_of_a_tensor(graph):
    y = Y if graph else (REAL[:, 0] > 0).astype(int)
    for model in (fitted(EncoderClassifier, REAL, y, **IMAGE), GraphLabelSpreading().fit(REAL, Y)):
        found = model.predict_proba(torch.from_numpy(REAL))
        assert isinstance(found, torch.Tensor)
        assert_array_equal(found.numpy(), model.predict_proba(REAL))
        assert_array_equal(model.predict(torch.from_numpy(REAL)), model.predict(REAL))


def test_codes_go_on_as_tensors_into_scikit_learn():
    encoder, T = fitted(AutoencoderTransformer, n_components=3), torch.from_numpy(REAL)
    with config_context(array_api_dispatch=True):
        reduced = PCA(2, svd_solver="full").fit_transform(encoder.transform(T))
    assert isinstance(reduced, torch.Tensor)
    expected = PCA(2, svd_solver="full").fit_transform(encoder.transform(REAL))
    np.testing.assert_allclose(np.abs(reduced), np.abs(expected), rtol=1e-3, atol=1e-4)
