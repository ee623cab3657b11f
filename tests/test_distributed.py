"""Several processes that train one net: as one process does, all alike, one that speaks, none that waits for ever."""

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import ranks_script
from common import said

from sklatent._bridge import distributed

pytest.importorskip("accelerate")
SCRIPT = Path(ranks_script.__file__)
SOON = 300  # seconds, for what takes ten where nothing else runs


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _environment(**variables):
    path = os.pathsep.join([str(SCRIPT.parent), str(Path(distributed.__file__).parents[2])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **variables}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def survivor(folder):
    """What the first of two processes finds where the second is killed; started by hand, as a cluster would."""
    both = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, folder, "dies"],
            env=_environment(RANK=rank, LOCAL_RANK=rank, **both), stderr=subprocess.PIPE, text=True,
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    try:
        errors = [process.communicate(timeout=SOON)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, -9], errors
    return pickle.loads((folder / "0.pickle").read_bytes()) | {"files": sorted(folder.rglob("died/*.checkpoint"))}


@pytest.fixture(scope="module")
def two(folder, survivor):
    """What two processes find, that torchrun has started."""
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", _free_port()]
    subprocess.run([sys.executable, *command, SCRIPT, folder, "fits"], env=_environment(), check=True, timeout=SOON)
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone():
    return dict(ranks_script.same_everywhere())


def test_two_processes_learn_what_one_does(two, alone):
    for name, estimator in alone.items():
        found = two[0]["history"][name]
        assert two[0]["n_steps"][name] == estimator.n_steps_ > 0
        for loss in {"train_loss", "valid_loss"} & set(estimator.history_[0]):
            expected = [epoch[loss] for epoch in estimator.history_]
            np.testing.assert_allclose([epoch[loss] for epoch in found], expected, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(two[0]["codes"][name], estimator.transform(ranks_script.X[:5]), rtol=0, atol=2e-3)


def test_the_fits_are_those_that_they_should_be(two, alone):
    assert 3 < alone["stopped early"].n_iter_ < 60
    assert alone["looks"].held_out_loss_ < alone["looks"].baseline_loss_
    assert len(ranks_script.X) % ranks_script.SMALL["batch_size"] == 1  # a batch that is too small for two


def test_all_have_the_same_to_the_bit(two):
    assert len(two[0]["weights"]) == 6
    assert len(two[0]["said"]) == 5
    for name, weights in two[0]["weights"].items():
        assert weights == two[1]["weights"][name], name
    for name, found in two[0]["said"].items():
        np.testing.assert_array_equal(found, two[1]["said"][name], err_msg=name)


def test_one_speaks_and_writes(two, folder):
    assert "epoch 4/4" in two[0]["printed"]
    assert "train_loss    " in two[0]["printed"]  # of skorch's PrintLog
    assert "can be kept apart" in two[0]["printed"]
    assert two[1]["printed"] == ""
    assert list(folder.glob("skorch0/*"))
    assert not (folder / "skorch1").exists()


def test_the_first_pickles_an_estimator_like_any_other(two, alone):
    estimator = pickle.loads(two[0]["pickle"])
    X = ranks_script.X[:5]
    np.testing.assert_allclose(said(estimator, X), said(alone["conv"], X), rtol=1e-4)
    estimator.partial_fit(ranks_script.X)


def test_a_callback_in_one_of_them_stops_all_at_the_end_of_its_epoch(two):
    assert [found["stopped"] for found in two] == [3, 3]


def test_what_fails_in_all_parts_none(two):
    """A loss that is no number, and after it fits that go on together."""
    for found in two:
        assert found["diverged"].startswith("Diverged: The train loss became nan")


def test_other_rows_or_parameters_are_refused_by_all(two):
    for found in two:
        assert found["other rows"].startswith("ValueError: The 2 processes must all call fit with the same rows")
        assert found["other rows"].endswith("But the rows are others.")
        assert found["other parameters"].endswith("But weight_decay is 0.0 on rank 0, 0.1 on rank 1.")


def test_what_fails_in_one_of_them_ends_the_others(two):
    assert two[1]["failed"] == "ZeroDivisionError: "
    assert two[0]["failed"].startswith("RuntimeError: Another of the processes that train together has failed")
    for found in two:
        assert found["seconds"] < 20
        assert found["after"] == (
            "RuntimeError: The processes have parted after a fit failed in one of them. Start all of them again."
        )


def test_no_global_generator_moves(two):
    assert all(found["random"] for found in two)


def test_one_that_is_killed_ends_the_others(survivor):
    assert survivor["error"].startswith("RuntimeError: Another of the processes that train together has failed")
    assert survivor["seconds"] < 30
    assert not survivor["fitted"]


def test_they_go_on_from_where_one_was_killed(survivor, two, folder):
    assert len(survivor["files"]) == 1  # of the first alone
    assert not list(folder.rglob("died/*"))  # done with
    estimator = ranks_script.autoencoder(max_iter=6).fit(ranks_script.X)
    expected = [epoch["train_loss"] for epoch in estimator.history_]
    for found in two:
        np.testing.assert_allclose([epoch["train_loss"] for epoch in found["going on"]], expected, rtol=1e-5)
        assert found["taken up"] == ""  # no warning that a file is another's


# -- one process of its own -----------------------------------------------------------------------------------------


def test_without_accelerate_the_error_names_the_extra(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"pip install 'sklatent\[accelerate\]'"):
        ranks_script.autoencoder().fit(ranks_script.X)


def test_an_accelerator_that_was_made_for_one_process_is_told_of(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("accelerate.PartialState", lambda **_: "as it was made: alone")
    with pytest.raises(RuntimeError, match=r"accelerate was told before that it is alone.*Accelerator\(cpu=True\)"):
        ranks_script.autoencoder().fit(ranks_script.X)


def test_one_of_one_and_a_worker_of_one_of_many_are_alone(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not distributed.several()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert distributed.several()
    monkeypatch.setattr(distributed.multiprocessing, "parent_process", lambda: "the rank that has started it")
    assert not distributed.several()
    assert distributed.join().n == 1


def test_shares_make_a_batch():
    batch, ranks = np.arange(8), [distributed.Ranks(rank, 3) for rank in range(3)]
    for training in (True, False):
        np.testing.assert_array_equal(np.concatenate([rank.share(batch, training) for rank in ranks]), batch)
    assert [len(rank.share(batch[:2], True)) for rank in ranks] == [2, 2, 2]
    assert [len(rank.share(batch[:2], False)) for rank in ranks] == [1, 1, 0]
