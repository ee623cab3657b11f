"""The scikit-learn contract, for every public estimator, with no exemption."""

import ast
import inspect
import os
import re
from pathlib import Path

import pytest
from common import ESTIMATORS
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklatent

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # else one of the checks is skipped
SOURCES = sorted(Path(sklatent.__file__).parent.rglob("*.py"))


@parametrize_with_checks([cls() for cls in ESTIMATORS])
@pytest.mark.filterwarnings("ignore:Posterior collapse")
def test_scikit_learn_contract(estimator, check):
    check(estimator)  # asserts


def test_there_is_something_to_check():
    assert {cls.__name__ for cls in ESTIMATORS} >= {
        "AutoencoderTransformer", "VAETransformer", "MADEDensity", "PixelCNNDensity", "PixelRNNDensity",
        "EncoderClassifier", "GraphLabelSpreading", "DensityOutlierDetector",
    }  # fmt: skip


LAYERS = [
    "_nn",
    "_data",
    "_conformal",
    "_scores",
    "_detector",
    "_labels",
    "_graph",
    "_pseudo_labels",
    "_callbacks",
    "_training",
    "_base",
    "_tables",
    "_coder",
    "_density",
    "_label_spreading",
]  # what comes later may import what comes earlier
META = ["_classifier", "_outlier"]  # estimators made of estimators
PARTS_OF_META = ["_recipes"]  # import estimators too


def _imports(path):
    """Names of the package's own top modules that a file imports, and of foreign packages."""
    package = path.relative_to(Path(sklatent.__file__).parent).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            for name in names:
                yield "own", (*base, *name.split("."))[0]
        elif isinstance(node, ast.ImportFrom):
            yield "foreign", node.module.split(".")[0]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield "foreign", alias.name.split(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_layers_import_downwards_only(path):
    relative = path.relative_to(Path(sklatent.__file__).parent)
    layer = relative.parts[0].removesuffix(".py")
    own = {name for kind, name in _imports(path) if kind == "own"} - {"_docs"}
    if layer == "_display":
        own -= {"_display"}  # its files share helpers
    foreign = {name for kind, name in _imports(path) if kind == "foreign"}
    if layer == "_nn":
        assert own <= {"_nn"}
        assert not foreign & {"numpy", "sklearn", "skorch", "joblib", "scipy"}
    elif layer in LAYERS:
        assert own <= set(LAYERS[: LAYERS.index(layer)])
    elif layer in META + PARTS_OF_META:
        assert not own & {*META, "_display"}
    elif layer not in ("__init__", "_docs"):
        assert own <= set(LAYERS), "estimators do not import one another"
    if layer not in ("_callbacks", "_training"):
        assert "skorch" not in foreign, "skorch is known to the bridge alone"


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
