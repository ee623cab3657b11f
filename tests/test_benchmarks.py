"""What the page on ADBench says: its means, its protocol, and that its tables are those of the results page."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
MEANS = {  # normal only over 47 and 35 tables, contaminated over 35: averaged before, and apart from this code
    "KNN": (0.834, 0.813, 0.728),
    "DTE-NP": (0.839, 0.813, 0.721),
    "ICL": (0.817, 0.769, 0.658),
    "DDPM": (0.807, 0.782, 0.732),
    "IForest": (0.782, 0.760, 0.749),
    "MCD": (0.767, 0.739, 0.754),
    "DTE-C": (0.827, 0.809, 0.756),
}


@pytest.fixture(scope="module")
def adbench():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("adbench_published")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_published_means(adbench):
    n_rows = adbench.sizes()
    large = [table for table, n in n_rows.items() if n >= 1000]
    assert (len(n_rows), len(large)) == (47, 35)
    figures = {regime: adbench.published(regime) for regime in adbench.FILES}
    for by_method in figures.values():
        assert len(by_method) == 26
        assert all(list(areas) == list(n_rows) for areas in by_method.values())
    normal, contaminated = (figures[regime] for regime in (adbench.NORMAL, adbench.CONTAMINATED))
    for method, expected in MEANS.items():
        found = [np.mean(list(normal[method].values()))]
        found += [np.mean([by_method[method][table] for table in large]) for by_method in (normal, contaminated)]
        np.testing.assert_allclose(found, expected, atol=0.0006)


def test_a_small_table_is_tested_on_copies_and_a_large_one_is_not(adbench):
    random = np.random.RandomState(0)
    for n_rows, shares in ((100, (0.98, 1)), (2000, (0, 0))):
        X, y = random.normal(size=(n_rows, 3)), np.arange(n_rows) < 10
        parts = adbench.split(X, y, 0, adbench.NORMAL)
        assert shares[0] <= adbench.share_of_copies(parts) <= shares[1]
        assert adbench.share_of_copies(adbench.split(X, y, 0, adbench.SHUFFLED, copies=False)) == 0


def test_rows_of_each_side(adbench):
    X, y = np.arange(2000.0)[:, None], np.arange(2000) % 10 == 0
    train, test, labels = adbench.split(X, y, 0, adbench.NORMAL)
    assert len(train) == 900
    assert (np.diff(train[:, 0]) > 0).all()  # the first half, in order
    assert labels.sum() == 200
    assert train.max() < test[~labels].min()
    train, test, labels = adbench.split(X, y, 0, adbench.CONTAMINATED)
    assert np.isin(train, test).all()
    assert len(np.unique(train)) == pytest.approx(2000 * (1 - np.exp(-1)), rel=0.05)
    np.testing.assert_array_equal(labels, y)


def test_the_tables_of_the_page_are_the_results(adbench):
    page, results = adbench.PAGE.read_text(), adbench.RESULTS.read_text()
    for name in ("published", "rerun", "copies"):
        block = re.search(re.escape(adbench.BEGIN.format(name)) + "(.*?)" + adbench.END, page, re.DOTALL)[1]
        assert block.strip() in results
    assert adbench.part_published() in page
    parts = dict.fromkeys(("published", "rerun", "copies"), "new")
    assert adbench.filled(page, parts).count("\nnew\n") == 3
    with pytest.raises(ValueError, match="no line"):
        adbench.filled("", parts)


def test_the_script_for_gpus_says_that_there_is_none_and_runs_without(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    gpu = importlib.import_module("gpu")
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--output", str(tmp_path)])
    gpu.main()
    assert "torch finds no GPU here" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(
        sys, "argv", ["gpu.py", "--device", "cpu", "--quick", "--parts", "moved", "--output"] + [str(tmp_path)]
    )
    gpu.main()
    lines = [line for line in (tmp_path / "gpu_moved.md").read_text().splitlines() if "score" in line or "form" in line]
    assert len(lines) == 4
    assert all("| 0.00e+00 |" in line for line in lines), "a CPU is the device that it was fitted on"
