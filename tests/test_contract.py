"""The scikit-learn contract, for every public estimator, with no exemption."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from common import ESTIMATORS
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklatent
from sklatent._bridge import unsupervised
from sklatent._semi_supervised import recipes

SOURCES = sorted(Path(sklatent.__file__).parent.rglob("*.py"))


@parametrize_with_checks([cls() for cls in ESTIMATORS])
@pytest.mark.filterwarnings(
    "ignore:Posterior collapse", "ignore:Collapse", "ignore:The loss of rows kept apart still fell"
)
def test_scikit_learn_contract(estimator, check, monkeypatch):
    """The checks are about calls, types and shapes: defaults train as ever, but for as long in one of them alone."""
    if check.func.__name__ != "check_fit2d_1feature":
        monkeypatch.setattr(unsupervised, "STEPS_OF_FEW", 40)
        monkeypatch.setattr(unsupervised, "EPOCHS", (2, 10))
        monkeypatch.setattr(recipes, "MOST_EPOCHS", 10)
    check(estimator)  # asserts


def test_there_is_something_to_check():
    assert {cls.__name__ for cls in ESTIMATORS} >= {
        "AutoencoderTransformer", "VAETransformer", "MADEDensity", "PixelCNNDensity", "PixelRNNDensity",
        "EncoderClassifier", "GraphLabelSpreading", "DensityOutlierDetector",
    }  # fmt: skip


# -- the rooms ---------------------------------------------------------------------------------------------------------

PACKAGE = Path(sklatent.__file__).parent
RANK = ["_nn", "_bridge", "_autoencoders", "_autoregressive", "_semi_supervised", "_outliers", "_display", "_onnx"]


def room_of(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def _imports(path):
    """The rooms that a file imports from, and the foreign packages."""
    package = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (("room", (*base, *name.split("."))[0]) for name in names)
        elif isinstance(node, ast.ImportFrom):
            yield "foreign", node.module.split(".")[0]
        elif isinstance(node, ast.Import):
            yield from (("foreign", alias.name.split(".")[0]) for alias in node.names)


def test_what_is_imported_is_declared():
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["project"]
    of_extra = project["optional-dependencies"]
    extras = [each for extra in ("plot", "accelerate", "dask", "onnx") for each in of_extra[extra]]
    declared, optional = ({re.match(r"[\w-]+", each)[0] for each in some} for some in (project["dependencies"], extras))
    imported = {name for path in SOURCES for kind, name in _imports(path) if kind == "foreign"}
    lent = {"pandas", "sklatent"} | (optional - declared)  # the first where the caller's rows or plots are of it
    found = {name.replace("sklearn", "scikit-learn") for name in imported - sys.stdlib_module_names - lent}
    assert found == declared


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{room_of(path)}/{path.stem}")
def test_a_room_imports_only_from_those_above_it(path):
    room = room_of(path)
    if room == "":
        return  # the front door: it imports what is public
    rooms, foreign = ({name for kind, name in _imports(path) if kind == which} for which in ("room", "foreign"))
    assert rooms <= set(RANK[: RANK.index(room) + 1])
    if room == "_outliers":
        assert "_semi_supervised" not in rooms
    if room == "_nn":
        assert not foreign & {"numpy", "sklearn", "skorch", "joblib", "scipy"}
    if room not in ("_nn", "_bridge"):
        assert "skorch" not in foreign, "skorch is known to the bridge alone"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{room_of(path)}/{path.stem}")
def test_files_and_functions_are_short(path):
    assert len(path.read_text().splitlines()) < 400
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            has_doc = ast.get_docstring(node) is not None
            first = node.body[1] if has_doc and len(node.body) > 1 else node.body[0]
            n_lines = node.end_lineno - first.lineno + 1
            assert n_lines < 40, f"{node.name}: {n_lines} lines"


def test_importing_asks_for_no_notebook_widgets():
    """tqdm.auto warns where a notebook has no ipywidgets."""
    code = "import sys, sklatent; assert 'tqdm.auto' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_contributing_draws_the_files_that_there_are():
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
    tree = re.search(r"src/sklatent/\n(.*?)```", text, flags=re.DOTALL)[1]
    drawn = {}
    for line in tree.splitlines():
        room, files = re.match(r"  (?:(_\w+)/)? *(.*?)(?:  .*)?$", line).groups()
        if room:
            files_of_room = drawn.setdefault(room, [])
        files_of_room += files.replace(",", "").split()
    assert list(drawn) == RANK
    for room, files in drawn.items():
        assert sorted(files) == sorted(p.stem for p in (PACKAGE / room).glob("*.py") if p.stem != "__init__"), room


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_docstring_names_every_parameter_and_section(cls):
    doc = inspect.getdoc(cls)
    documented = re.findall(r"^(\w+) : ", doc.split("Attributes\n")[0], flags=re.MULTILINE)
    assert documented == list(inspect.signature(cls).parameters)
    for section in ("Parameters", "Attributes", "See Also", "References", "Examples"):
        assert f"\n{section}\n---" in doc
    assert not re.search(r"^ *\{\w+\}$|default=\{", doc, flags=re.MULTILINE), "a placeholder was not filled"


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_docstring_defaults_are_the_signature_s(cls):
    doc = inspect.getdoc(cls)
    for name, parameter in inspect.signature(cls).parameters.items():
        stated = re.search(rf"^{name} : .*default=(.*)$", doc, flags=re.MULTILINE)
        assert stated, f"{name} states no default"
        assert ast.literal_eval(stated.group(1)) == parameter.default, name


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_public_methods_are_documented(cls):
    for name, member in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_") and member.__module__.startswith("sklatent"):
            assert member.__doc__, name
            assert "Parameters\n" in member.__doc__, name
