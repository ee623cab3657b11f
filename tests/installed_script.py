"""What `make package` runs where the wheel alone is installed, with no extra: python tests/installed_script.py"""

import os
import re
import sys
import warnings
from importlib import metadata, resources
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import blocks  # noqa: E402
import numpy as np  # noqa: E402

import sklatent  # noqa: E402
from sklatent.onnx import to_onnx  # noqa: E402


def error_of(call):
    try:
        call()
    except ImportError as error:
        return str(error)
    return "no error: is an extra installed?"


def of_several():
    os.environ["WORLD_SIZE"] = "2"
    try:
        sklatent.VAETransformer().fit(np.eye(4))
    finally:
        del os.environ["WORLD_SIZE"]


def check_what_is_installed():
    assert not Path(sklatent.__file__).is_relative_to(ROOT / "src")
    assert sklatent.__version__ == metadata.version("sklatent")
    assert f"version: {sklatent.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## [{sklatent.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    for name in ("py.typed", "__init__.pyi", "onnx.pyi"):
        assert (resources.files("sklatent") / name).is_file(), name


def check_that_errors_name_the_extra():
    fitted = sklatent.HistogramDensity().fit(np.eye(4))
    assert "sklatent[plot]" in error_of(lambda: sklatent.ScoreHistogramDisplay.from_estimator(fitted, np.eye(4)))
    assert "sklatent[onnx]" in error_of(lambda: to_onnx(fitted, np.eye(4)))
    assert "sklatent[accelerate]" in error_of(of_several)


def check_readme():
    text = (ROOT / "README.md").read_text()
    assert all(link.startswith("https://") for link in re.findall(r"\]\(([^)]*)\)", text)), "links must be absolute"
    shown = list(blocks.run(ROOT / "README.md"))
    assert shown
    for output in shown:
        assert output.near(0.02), f"{output.printed} for {output.expected}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    check_what_is_installed()
    check_that_errors_name_the_extra()
    check_readme()
    print(f"sklatent {sklatent.__version__} works where it alone is installed")
