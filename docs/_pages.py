"""What of the site is made at build time: pages of the API, of results and releases; links, equations, inventories."""

import pkgutil
import re
import shutil
import zlib
from importlib import import_module
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sklearn.base import BaseEstimator
from sphinx.util import logging

import sklatent

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
REPOSITORY = "https://github.com/sklatent/sklatent"
SITE = "https://sklatent.github.io/sklatent/"
LINK = re.compile(r"(?<=\]\()(?!https?://|#)([^)\s]+)(?=\))")
SLOW = "low_label_digits|plot_few_labels"  # minutes each: `make demo`, and README's picture. Not in the gallery
PAGES = re.compile(r"^- \[[^]]+\]\((\w+)\.md\)", re.MULTILINE)


# Pages ---------------------------------------------------------------------------------------------------------------


def write():
    """Write the pages that are not written by hand, each to a folder that git ignores."""
    for folder in ("api", "changes", "guide", "results"):  # what was renamed is not to stay
        shutil.rmtree(DOCS / folder, ignore_errors=True)
    front = (DOCS / "index.md").read_text()
    guide = front[front.index("## Pages") :].replace("## Pages", "# User guide", 1)
    put("guide", on_site(guide, DOCS) + toctree(f"../{page}" for page in PAGES.findall(guide)))
    put("changes", on_site((ROOT / "CHANGELOG.md").read_text().replace("# Changelog", "# Release notes", 1), ROOT))
    put("api", "".join(api()))
    put("results", results())


def put(folder, text, name="index"):
    path = DOCS / folder / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def toctree(pages):
    return "\n```{toctree}\n:hidden:\n:maxdepth: 1\n\n" + "\n".join(pages) + "\n```\n"


def api():
    """The overview: a table for each kind of public name, and one for each public module."""
    yield "# API reference\n\nAll of `sklatent`, from its docstrings. Rows are flat, scores in nats.\n"
    kinds = {"Estimators": [], "Plots": [], "Tools": []}
    for name in sklatent.__all__:
        cls = getattr(sklatent, name)
        kind = "Estimators" if issubclass(cls, BaseEstimator) else "Plots" if name.endswith("Display") else "Tools"
        kinds[kind].append(f"~sklatent.{name}")
    for module in pkgutil.iter_modules(sklatent.__path__):
        if not module.name.startswith("_"):
            public = import_module(f"sklatent.{module.name}")
            kinds[f"`{public.__name__}`"] = [f"~{public.__name__}.{name}" for name in names_in(public)]
    for kind, names in kinds.items():
        rows = "".join(f"   {name}\n" for name in names)
        yield f"\n## {kind}\n\n```{{eval-rst}}\n.. autosummary::\n   :toctree: .\n   :nosignatures:\n\n{rows}```\n"


def names_in(module):
    """What a public module holds out: its ``__all__``, else what is written in it."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return getattr(module, "__all__", [name for name in own if not name.startswith("_")])


def results():
    """Copies the tables under benchmarks/results, and returns the list of them."""
    files = sorted((ROOT / "benchmarks" / "results").glob("*.md"))
    text = ["# Measured results\n"]
    text.append(f"What the scripts under [`benchmarks/`]({REPOSITORY}/tree/main/benchmarks) have written, as it is.\n")
    for file in files:
        table = file.read_text()
        put("results", on_site(table, file.parent), file.stem)
        text.append(f"- [{table.splitlines()[0].removeprefix('# ')}]({file.name})")
    return "\n".join(text) + "\n" + toctree(file.stem for file in files)


# Links ---------------------------------------------------------------------------------------------------------------


def on_site(text, folder):
    """Links of a page in ``folder`` as they are on the site: to pages of it if there are, else to the repository."""

    def lead(match):
        target, _, anchor = match[1].partition("#")
        path = (folder / target).resolve()
        if path.is_relative_to(DOCS):
            return f"/{path.relative_to(DOCS)}" + (f"#{anchor}" if anchor else "")
        inside = path.relative_to(ROOT)
        if inside.match("examples/plot_*.py") and not re.search(SLOW, path.stem):
            return f"/gallery/{path.stem}.rst"
        if inside.match("benchmarks/results/*.md"):
            return f"/results/{path.name}"
        kind = "tree" if path.is_dir() else "blob"
        return f"{REPOSITORY}/{kind}/main/{inside}" + (f"#{anchor}" if anchor else "")

    return LINK.sub(lead, text)


def links_on_site(app, page, source):
    """A page of the guide links into the repository and the API; the front page gets the list of what is at the top."""
    if "/" not in page:
        source[0] = on_site(source[0], DOCS)
        for name in sklatent.__all__:  # where it is named first, but in headings and links
            named, role = rf"^([^#\n].*?|)(?<![\[`])`{name}`", rf"\1{{py:class}}`~sklatent.{name}`"
            source[0] = re.sub(named, role, source[0], count=1, flags=re.MULTILINE)
    if page == "index":
        source[0] += toctree(f"{part}/index" for part in ("guide", "api", "gallery", "results", "changes"))


def inventories():
    """Names of other projects, ``intersphinx_mapping``: from the network, else from ``inventories.txt``."""
    folder = ROOT / "build" / "inventories"
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for part in (DOCS / "inventories.txt").read_text().split("\n> ")[1:]:
        (project, address), *names = [line.split() for line in part.splitlines()]
        lines = "".join(f"{name} {kind} 1 {page if '#' in page else page + '#$'} -\n" for name, kind, page in names)
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n# The remainder is zlib.\n"
        (folder / f"{project}.inv").write_bytes(head.encode() + zlib.compress(lines.encode()))
        mapping[project] = (address, (None, str(folder / f"{project}.inv")))
    return mapping


# Docstrings ----------------------------------------------------------------------------------------------------------


def skip(app, what, name, member, skip, options):
    """Metadata routing adds methods to every class, which scikit-learn documents."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def equation(writer, node, block):
    """MathML, which browsers show without a script."""
    try:
        markup = tex2mathml(node.astext(), as_block=block)
    except MathError as error:  # few of LaTeX's commands are known: \ldots is, \dots is not
        logging.getLogger(__name__).warning("%s In: %s", error, node.astext(), location=node)
        raise nodes.SkipNode from error
    writer.body.append(f'<div class="equation">{markup}</div>' if block else markup)
    raise nodes.SkipNode


MATHML = (
    (lambda writer, node: equation(writer, node, False), None),
    (lambda writer, node: equation(writer, node, True), None),
)
