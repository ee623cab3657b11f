"""The documentation holds: its code runs and prints what is shown, its links lead somewhere, README stands alone."""

import re
import warnings
from pathlib import Path

import blocks
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pytest

import sklatent
from sklatent._semi_supervised import recipes

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [*sorted((ROOT / "docs").glob("*.md")), README]
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")
REPOSITORY = "https://github.com/sklatent/sklatent"
TOLERANCE = 0.1  # of what is shown; `make docs-check` compares to the letter
every = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every
def test_the_code_of_a_page_runs_and_prints_what_is_shown(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what a page writes goes here
    monkeypatch.setattr(recipes, "MOST_EPOCHS", 8)  # by default an EncoderClassifier takes half a minute
    shortened = "EncoderClassifier(" in page.read_text()  # and so it does not print what is shown
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fits in the docs are short
        shown = list(blocks.run(page))
    plt.close("all")
    wrong = [output for output in shown if not output.near(TOLERANCE)]
    assert shortened or wrong == []


def test_a_page_that_shows_what_it_does_not_print_is_found(tmp_path):
    page = tmp_path / "page.md"
    text = '```python\nprint("a", 2 / 3)  # 0.667\nprint(1, 0.5)\n```\n\n```\n1 0.5\n```\n'
    for said, exact, near in (
        (text, [True, True], [True, True]),
        (text.replace("67", "71"), [False, True], [True, True]),
    ):
        page.write_text(said)
        shown = list(blocks.run(page))
        assert [output.exact() for output in shown] == exact
        assert [output.near(0.05) for output in shown] == near
    for old, new in (("# 0.667", "# 0.5"), ("1 0.5\n```", "1 0.7\n```"), ("1 0.5\n```", "1 0.5 2\n```")):
        page.write_text(text.replace(old, new))
        assert not all(output.near(0.05) for output in blocks.run(page))


@every
def test_links_between_files_lead_somewhere(page):
    text = page.read_text()
    links = [page.parent / link for link in LINK.findall(text)]
    links += [ROOT / path for path in re.findall(REPOSITORY + r"/(?:blob|tree|raw)/main/([^)#\s]+)", text)]
    assert [link for link in links if not link.exists()] == []


def test_readme_stands_alone():
    text = README.read_text()
    assert LINK.findall(text) == []  # relative links break on the package index
    assert all(
        link.startswith((f"{REPOSITORY}/", "https://skorch.")) for link in re.findall(r"\]\((http[^)]+)\)", text)
    )
    missing = [name for name in sklatent.__all__ if not name.endswith("Display") and f"`{name}`" not in text]
    assert missing in ([], ["LabeledKFold"])


def test_each_page_is_in_the_list():
    listed = re.findall(r"^- \[[^]]+\]\((\w+)\.md\)", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(page.stem for page in PAGES if page.stem not in ("index", "README"))


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("plot_*.py")), ids=lambda script: script.stem)
def test_a_script_of_the_gallery_is_one(script):
    text = script.read_text()
    compile(text, script, "exec")
    assert re.match(r'"""\n[^\n]+\n=+\n\n', text)
    assert text.rstrip().endswith(("plt.show()", "main()"))
