"""The code of the documentation runs: each page, top to bottom, in one namespace."""

import re
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pytest

from sklatent._semi_supervised import recipes

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")
every = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what a page writes goes here
    monkeypatch.setattr(recipes, "MOST_EPOCHS", 8)  # by default an EncoderClassifier takes half a minute
    text = page.read_text()
    namespace = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fits in the docs are short
        for block in BLOCK.finditer(text):
            line = text[: block.start(1)].count("\n")
            exec(compile("\n" * line + block[1], page, "exec"), namespace)  # errors show the page's own line
    plt.close("all")


@every
def test_links_between_files_lead_somewhere(page):
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert broken == []
