"""What editors and type checkers are told: the stubs beside the package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import stubs

import sklatent

ROOT = Path(__file__).parents[1]
RIGHT = """\
import numpy as np
from numpy.typing import NDArray
from sklatent import AutoencoderTransformer, DensityOutlierDetector, LatentSpaceDisplay, VAETransformer
from sklatent.onnx import to_onnx

X = np.zeros((20, 64))
vae = VAETransformer(n_components=4, image_shape=(8, 8), likelihood="bernoulli", random_state=None).fit(X, None)
codes: NDArray[np.float32] = vae.transform(X.tolist())
scores: NDArray[np.float64] = vae.partial_fit(X).score_samples(X)
mean: float = vae.score(X, sample_weight=[1.0] * 20)
AutoencoderTransformer(hidden_layer_sizes=[32], architecture=lambda *shapes: shapes, callbacks=[]).set_fit_request()
shape: tuple[int, ...] | None = DensityOutlierDetector(vae, method="typicality").fit(X).image_shape_
LatentSpaceDisplay.from_estimator(vae, X).ax_.set_title("codes")
to_onnx(vae, X, opset=None).SerializeToString()
"""
WRONG = {
    'VAETransformer(n_components="4")': "arg-type",
    'VAETransformer(likelihood="normal")': "arg-type",
    "VAETransformer(4)": "",  # the first may be given without its name
    "VAETransformer(4, (8, 8))": "call-arg",
    "VAETransformer(n_component=4)": "call-arg",
    "VAETransformer(image_shape=8)": "arg-type",
    'VAETransformer().sample("2")': "arg-type",
    "VAETransformer().sample(2).nothing": "attr-defined",
    "DensityOutlierDetector(contamination=None)": "arg-type",
}


def call(*command, **env):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env={**os.environ, **env})
    return done.stdout + done.stderr


def test_the_stubs_are_those_that_the_docstrings_make():
    for path, text in stubs.stubs():
        assert path.read_text() == text, "run make stubs"
        assert not re.search(r"^ *\{\w+\}$|default=\{\w+\}|\{n_steps\}|\{fewest_epochs\}", text, flags=re.MULTILINE)
    assert (Path(sklatent.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize(
    ("words", "annotation"),
    [
        ("int or None, default=None", "int | None"),
        ("float in (0, 1), default=0.1", "float"),
        ("ndarray of shape (n_samples, n_components), float32", "NDArray[np.float32]"),
        ("ndarray of shape (n, k), float64, or None", "NDArray[np.float64] | None"),
        ('{"a", "b"}, callable or None, default="a"', 'Literal["a", "b"] | Callable[..., Any] | None'),
        ("tuple of int or None", "tuple[int, ...] | None"),
        ("str, path-like or None", "str | os.PathLike[str] | None"),
        ("estimator or None", "Any"),
    ],
)
def test_words_of_docstrings_as_types(words, annotation):
    assert stubs.annotation(words) == annotation


def test_a_type_checker_takes_right_use_and_refuses_wrong(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(RIGHT + "\n".join(WRONG) + "\n")
    config, n_right = ROOT / "pyproject.toml", len(RIGHT.splitlines())
    told = call("-m", "mypy", "--config-file", str(config), "--cache-dir", str(tmp_path / "cache"), str(script))
    found = {
        int(line): kind for line, kind in re.findall(r"script.py:(\d+): error: .*\[([\w-]+)\]$", told, re.MULTILINE)
    }
    assert found == {n_right + 1 + i: kind for i, kind in enumerate(WRONG.values()) if kind}, told


def test_the_stubs_fit_the_package(tmp_path):
    """``stubtest`` imports the package and compares names, parameters and defaults."""
    typed = tmp_path / "typed" / "sklatent"
    typed.mkdir(parents=True)
    for path, text in stubs.stubs():  # by themselves, or else all the files of the package would be read
        (typed / path.name).write_text(text)
    config, allowed = tmp_path / "mypy.ini", tmp_path / "allowed"
    config.write_text(
        "[mypy]\n[mypy-numpy.*,torch.*,sklearn.*,skorch.*,matplotlib.*,onnx.*]\n"
        "follow_imports = skip\nignore_missing_imports = true\n"
    )
    allowed.write_text("sklatent\\._.*\nsklatent\\.[A-Z]\\w*\n")  # what is private; metaclasses
    options = ["--mypy-config-file", str(config), "--allowlist", str(allowed), "--ignore-unused-allowlist"]
    paths = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    told = call("-m", "mypy.stubtest", "sklatent", "--concise", *options, MYPYPATH=str(typed.parent), PYTHONPATH=paths)
    assert not told
