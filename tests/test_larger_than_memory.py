"""Rows that stay in a file: fits, what comes of them into another file, and files that are cut short."""

import faulthandler
import multiprocessing
import os
import signal
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from common import NETS, small
from skorch.callbacks import Callback

from sklatent import AutoencoderTransformer, EncoderClassifier, HistogramDensity

X = np.random.RandomState(0).normal(size=(300, 12)).astype(np.float32)


def autoencoder(**options):
    return small(AutoencoderTransformer, device="cpu", **options)


@pytest.fixture
def path(tmp_path):
    np.save(tmp_path / "X.npy", X)
    return tmp_path / "X.npy"


def test_codes_streamed_into_a_file_are_those_of_one_call(path, tmp_path):
    rows = np.load(path, mmap_mode="r")
    encoder = autoencoder().fit(rows)
    codes = np.lib.format.open_memmap(tmp_path / "Z.npy", mode="w+", dtype=np.float32, shape=(len(rows), 3))
    for start in range(0, len(rows), 100):
        codes[start : start + 100] = encoder.transform(rows[start : start + 100])
    codes.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "Z.npy"), autoencoder().fit(X).transform(X))


@pytest.mark.parametrize("cls", NETS)
@pytest.mark.parametrize("verb", ["fit", "partial_fit"])
def test_batches_are_refused_with_the_line_that_takes_them(cls, verb):
    data = torch.utils.data.TensorDataset(torch.from_numpy(X))
    for given in (data, torch.utils.data.DataLoader(data), iter([X, X])):
        with pytest.raises(TypeError, match=rf"X is a {type(given).__name__}.*for X in batches: estimator.partial_fit"):
            getattr(small(cls), verb)(given)


def test_the_classifier_refuses_batches():
    with pytest.raises(TypeError, match=r"X is a DataLoader.*mmap_mode='r'"):
        EncoderClassifier().fit(torch.utils.data.DataLoader(X), np.zeros(len(X)))


def test_the_line_for_batches_works():
    estimator = autoencoder()
    for batch, *_ in torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(X)), batch_size=100):
        estimator.partial_fit(batch.numpy())
    expected = autoencoder().partial_fit(X[:100]).partial_fit(X[100:200]).partial_fit(X[200:])
    np.testing.assert_array_equal(estimator.transform(X), expected.transform(X))


@pytest.mark.parametrize("cut", [slice(None), slice(17, None, 2)])
def test_a_file_that_was_cut_short_is_found_before_it_is_read(path, cut):
    rows = np.load(path, mmap_mode="r")[cut]
    autoencoder().fit(rows)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ValueError, match=rf"X is mapped from '.*{path.name}', which has been cut to 7264 bytes since"):
        autoencoder().fit(rows)


class Cuts(Callback):
    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            os.truncate(self.path, 0)


def _fit_on(path, checkpoint):
    faulthandler.disable()
    autoencoder(max_iter=5, checkpoint=checkpoint, callbacks=[Cuts(path)]).fit(np.load(path, mmap_mode="r"))


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="of Linux and macOS")
def test_a_file_that_is_cut_under_a_fit_ends_the_process_and_a_checkpoint_remains(path, tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_fit_on, args=(path, tmp_path / "checkpoint"))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGBUS
    np.save(path, X)
    assert list((tmp_path / "checkpoint").glob("*.checkpoint"))
    estimator = autoencoder(max_iter=5, checkpoint=tmp_path / "checkpoint", callbacks=[Cuts(tmp_path / "none")])
    (tmp_path / "none").touch()
    estimator.fit(np.load(path, mmap_mode="r"))
    np.testing.assert_array_equal(estimator.transform(X), autoencoder(max_iter=5).fit(X).transform(X))


def test_scores_of_a_histogram_are_made_in_parts(monkeypatch):
    """To the bit, and in memory that does not grow with the rows."""
    rows = np.random.RandomState(1).randint(0, 9, size=(800, 8000), dtype=np.uint8)
    density = HistogramDensity().fit(rows[:20])
    expected = density.score_features(rows).sum(axis=1)
    largest = []
    monkeypatch.setattr(density, "_bins", lambda X, bins=density._bins: largest.append(len(X)) or bins(X))
    np.testing.assert_array_equal(density.score_samples(rows), expected)
    assert largest == [524, 276]
    assert density._check_rows(rows).dtype == np.uint8


def test_a_histogram_of_named_columns_scores_without_a_warning():
    table = pd.DataFrame(X[:, :3], columns=list("abc"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HistogramDensity().fit(table).score_samples(table)
