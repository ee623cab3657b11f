"""Rows that come back from codes, holes and draws are frames where ``set_output`` asks for them."""

import numpy as np
import pandas as pd
import pytest
from common import NETS, small
from numpy.testing import assert_array_equal
from sklearn import config_context

NAMES = [f"p{i}" for i in range(16)]
INDEX = np.arange(40) + 1000


def rows(with_holes=False):
    X = np.random.RandomState(0).randint(0, 5, size=(40, 16)).astype(float)
    if with_holes:
        X[::3, -1] = np.nan
    return pd.DataFrame(X, columns=NAMES, index=INDEX)


def answers(estimator, codes):
    """Method -> what it gives; those that the estimator has."""
    said = {
        "sample": lambda: estimator.sample(40, random_state=0),
        "complete": lambda: estimator.complete(rows(with_holes=True), random_state=0),
        "inverse_transform": lambda: estimator.inverse_transform(codes),
    }
    return {name: call() for name, call in said.items() if hasattr(estimator, name)}


def fitted(cls, X):
    return small(cls, max_iter=1, image_shape=(4, 4)).fit(X)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", NETS, ids=lambda cls: cls.__name__)
def test_frames_come_back(cls):
    estimator = fitted(cls, rows())
    codes = estimator.transform(rows())
    as_they_are = answers(estimator, codes)
    assert all(isinstance(values, np.ndarray) for values in as_they_are.values())
    estimator.set_output(transform="pandas")
    frames = answers(estimator, estimator.transform(rows()))
    for name, frame in frames.items():
        assert isinstance(frame, pd.DataFrame), name
        assert list(frame.columns) == NAMES
        assert_array_equal(frame.index, np.arange(40) if name == "sample" else INDEX)
        assert_array_equal(frame, as_they_are[name])


@pytest.mark.filterwarnings("ignore")
def test_names_where_fit_saw_none_and_the_global_setting():
    estimator = fitted(NETS[0], rows().to_numpy())
    with config_context(transform_output="pandas"):
        frame = estimator.inverse_transform(np.zeros((2, 3)))
    assert list(frame.columns) == [f"x{i}" for i in range(16)]
    assert isinstance(estimator.inverse_transform(np.zeros((2, 3))), np.ndarray)


@pytest.mark.filterwarnings("ignore")
def test_frames_of_polars():
    pl = pytest.importorskip("polars")
    X = pl.DataFrame(rows().to_numpy(), schema=NAMES)
    for cls in NETS:
        estimator = fitted(cls, X).set_output(transform="polars")
        for frame in answers(estimator, np.zeros((40, 3))).values():
            assert isinstance(frame, pl.DataFrame)
            assert frame.columns == NAMES
