"""Clusters: a search on two worker processes of Dask is that of one process, to the bit, also where one is killed."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from dask_script import kills_once
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, KFold

from sklatent import AutoencoderTransformer, MADEDensity

distributed = pytest.importorskip("distributed")
dask_array = pytest.importorskip("dask.array")
X = np.random.RandomState(0).normal(size=(1200, 8)).astype(np.float32)
FOLDS = list(KFold(2).split(X))
ALL = [X, *(index for fold in FOLDS for index in fold)]  # on each worker: what only one has is lost with it


@pytest.fixture(scope="module")
def client():
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", paths)
        patch.setenv("OMP_NUM_THREADS", "1")
        options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
            yield client


def search(**options):
    encoder = AutoencoderTransformer(2, hidden_layer_sizes=(8,), max_iter=2, random_state=0, device="cpu")
    return GridSearchCV(encoder, {"learning_rate": [1e-3, 1e-2]}, cv=FOLDS, **options)


@pytest.fixture(scope="module")
def alone():
    return search().fit(X)


def assert_same(found, expected):
    for split in range(2):
        name = f"split{split}_test_score"
        np.testing.assert_array_equal(found.cv_results_[name], expected.cv_results_[name])
    assert found.best_params_ == expected.best_params_
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))


def test_a_search_on_two_workers_is_that_of_one_process(client, alone):
    with parallel_config(backend="dask", scatter=ALL):
        assert_same(search().fit(X), alone)
    assert len(client.run(os.getpid)) == 2


def test_blocks_are_scored_as_the_array(client):
    density = MADEDensity(hidden_layer_sizes=(8,), max_iter=1, random_state=0, device="cpu").fit(X > 0)
    blocks = dask_array.from_array((X > 0).astype(np.float64), chunks=(500, -1))
    scores = blocks.map_blocks(density.score_samples, drop_axis=1, dtype=np.float64)
    np.testing.assert_array_equal(scores.compute(), density.score_samples(X > 0))


def test_a_search_survives_a_worker_that_is_killed(client, alone, tmp_path):
    before = client.run(os.getpid)
    kills = partial(kills_once, flag=tmp_path / "killed", main=os.getpid())
    with parallel_config(backend="dask", scatter=ALL):
        assert_same(search(scoring=kills).fit(X), alone)
    assert (tmp_path / "killed").exists()
    client.wait_for_workers(2, timeout=60)
    assert set(client.run(os.getpid).values()) != set(before.values())
