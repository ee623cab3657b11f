"""Writes what an editor and a type checker read, `src/sklatent/*.pyi`, from the docstrings: `make stubs`.

    python docs/stubs.py

Docstrings share texts that are filled in at import, and say the types in numpydoc's words. A stub has both at length.
"""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import sklatent

PACKAGE = Path(sklatent.__file__).parent
HEADER = '''"""{doc}"""
# Written by docs/stubs.py from the docstrings (make stubs): not to be edited.
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from onnx import ModelProto
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNet
'''
WORDS = {
    r"None": "None",
    r"self|object": "Self",
    r"(int|float|bool|str|bytes)\b.*": r"\1",
    r"path-like": "os.PathLike[str]",
    r"name": "str",
    r"array-like.*": "ArrayLike",
    r"RandomState instance": "np.random.RandomState",
    r"callable|function.*": "Callable[..., Any]",
    r"dict of str to float": "dict[str, float]",
    r"dict of str to ndarray.*": "dict[str, NDArray[Any]]",
    r"dict of str to array-like": "dict[str, Any]",
    r"dict( of these)?": "dict[Any, Any]",
    r"list of dict": "list[dict[str, Any]]",
    r"list of (int|float|str)": r"list[\1]",
    r"lists?\b.*": "list[Any]",
    r"sequence of (int|float|str)": r"Sequence[\1]",
    r"tuple of two int": "tuple[int, int]",
    r"tuple of (int|float|str)": r"tuple[\1, ...]",
    r"skorch\.NeuralNet": "NeuralNet",
    r"torch\.nn\.Module": "torch.nn.Module",
    r"onnx\.ModelProto": "ModelProto",
    r"matplotlib (Axes|Figure)|(Axes|Figure)": r"\1\2",
    r"FrozenEstimator": "FrozenEstimator",
}
DTYPES = {"float32": "np.float32", "float64": "np.float64", "int": "np.intp", "uint8": "np.uint8", "bool": "np.bool_"}


def parts(text):
    """What a type in numpydoc's words names, one by one: split at commas and "or", but not within brackets."""
    text = re.sub(r",? default=.*$", "", text)
    depth, words = 0, [""]
    for token in re.split(r"(, or | or |, |[{}()\[\]])", text):
        depth += token in {"{", "(", "["}
        depth -= token in {"}", ")", "]"}
        if token in {", or ", " or ", ", "} and not depth:
            words.append("")
        else:
            words[-1] += token
    return words


def annotation(text, *, given=False):
    """A type in numpydoc's words as Python writes it, ``Any`` if one word is not known; ``given``: of a parameter."""
    found = []
    for word in parts(text):
        if word in DTYPES and found and found[-1].startswith("NDArray"):  # "ndarray of shape (n,), float32"
            found[-1] = f"NDArray[{DTYPES[word]}]"
            continue
        found.append(one(word.strip()))
        if given:  # a list is as good as a tuple
            found[-1] = re.sub(r"tuple\[(\w+), \.\.\.\]", r"Sequence[\1]", found[-1])
    if "Any" in found:
        return "Any"
    found = [each for each in dict.fromkeys(found) if not ("str" in found and each.startswith("Literal"))]
    return " | ".join(sorted(found, key=lambda each: each == "None"))


def one(word):
    if re.fullmatch(r'\{".*"\}|".*"', word):
        return f"Literal[{word.strip('{}')}]"
    if word in sklatent.__all__:
        return word
    if re.match(r"ndarrays? ", word):
        return "NDArray[Any]"
    for pattern, written in WORDS.items():
        if re.fullmatch(pattern, word):
            return re.fullmatch(pattern, word).expand(written)
    return "Any"


def section(doc, title):
    """Names and types of a section of a docstring, as (name, type)."""
    text = re.search(rf"^{title}\n-+\n(.*?)(?=^[A-Z][\w ]*\n-+\n|\Z)", doc, flags=re.MULTILINE | re.DOTALL)
    for line in (text[1] if text else "").splitlines():
        if not line or line[0] == " ":
            continue
        names, _, kind = line.rpartition(" : ")
        names = names.split(", ")
        kinds = re.split(" and |; ", kind)
        kinds = kinds if len(kinds) == len(names) else [kind] * len(names)
        yield from zip(names, kinds, strict=True)


def signature(function, kind, doc, returns):
    """``(self, X: ArrayLike) -> Self``; the default stays where it is one that can be written."""
    types = dict(section(doc, "Parameters"))
    written = []
    for name, parameter in inspect.signature(function).parameters.items():
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in [each[:1] for each in written]:
            written.append("*")
        if name in ("self", "cls") and kind != "function":
            written.append(name)
            continue
        asked = types.get(stars + name, "")
        hint = "Any" if stars or asked in ("", "None") else annotation(asked, given=True)  # None: ignored
        if parameter.default is None and hint != "Any" and "None" not in hint:
            hint += " | None"
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        written.append(f"{stars}{name}: {hint}{default}")
    return f"({', '.join(written)}) -> {returns}"


def returned(doc, own):
    """Type of what a docstring says is returned or yielded."""
    given, yielded = list(section(doc, "Returns")), list(section(doc, "Yields"))
    kinds = [own if kind == own or name == "self" else annotation(kind) for name, kind in given or yielded]
    kinds = ["Self" if kind == own else kind for kind in kinds]
    if not kinds:
        return "None"
    kind = kinds[0] if len(kinds) == 1 else f"tuple[{', '.join(kinds)}]"
    return f"Iterator[{kind}]" if yielded else kind


def quoted(doc, indent):
    """A docstring of the given depth."""
    lines = [indent + line if line else "" for line in inspect.cleandoc(doc).splitlines()]
    text = "\n".join(lines).lstrip()
    end = f"\n{indent}" if "\n" in text else ""
    return f'{indent}{"r" if chr(92) in text else ""}"""{text}{end}"""\n'


def written_function(function, name, kind="function", own=""):
    doc = inspect.cleandoc(function.__doc__ or "")
    head = {"classmethod": "@classmethod\n", "staticmethod": "@staticmethod\n"}.get(kind, "")
    indent = "" if kind == "function" else "    "
    asked = getattr(function, "__func__", function)  # with cls
    lines = f"{head}def {name}{signature(asked, kind, doc, returned(doc, own))}:".splitlines()
    return "".join(f"{indent}{line}\n" for line in lines) + quoted(doc, indent + "    ")


def written_class(cls):
    """A class with its attributes and all public methods that are written in this package, those of bases too."""
    doc = inspect.cleandoc(cls.__doc__)
    ours = [base for base in cls.__mro__ if base.__module__.split(".")[0] == "sklatent"]
    bases = []
    for base in cls.__mro__:
        if base not in ours and base is not object and not any(issubclass(other, base) for other in bases):
            bases.append(base)
    text = f"class {cls.__name__}({', '.join(base.__name__ for base in bases)}):\n{quoted(doc, '    ')}\n"
    parameters = dict(section(doc, "Parameters")) if "__init__" in dir(cls) else {}
    for name in inspect.signature(cls).parameters:
        if name in parameters and not cls.__name__.endswith("Display"):
            text += f"    {name}: {annotation(parameters[name], given=True)}\n"
    members = {name: inspect.getattr_static(cls, name) for base in reversed(ours) for name in vars(base)}
    for name, kind in section(doc, "Attributes"):
        if name in members:
            text += f"    @property\n    def {name}(self) -> {annotation(kind)}: ...\n"
        else:
            text += f"    {name}: {annotation(kind)}\n"
    text += f"\n    def __init__{signature(cls.__init__, 'method', doc, 'None')}: ...\n"
    for name, member in members.items():
        if name.startswith("_") or name in dict(section(doc, "Attributes")) or not (getattr(cls, name).__doc__):
            continue
        if isinstance(member, property):
            text += f"\n    @property\n{written_function(member.fget, name, 'method')}"
        elif callable(getattr(cls, name)) and not name.endswith("_request"):
            kind = type(member).__name__ if isinstance(member, classmethod | staticmethod) else "method"
            text += "\n" + written_function(getattr(cls, name), name, kind, own=cls.__name__)
    return text + "".join(written_requests(cls)), bases


def written_requests(cls):
    """Methods that scikit-learn adds for what ``fit`` and others take beside rows and labels."""
    for name in dir(cls):
        if re.fullmatch(r"set_\w+_request", name):
            method = name.removeprefix("set_").removesuffix("_request")
            _, *names = inspect.signature(getattr(cls, name)).parameters
            asked = [f"{each}: bool | str | None = ..." for each in names]
            yield f"\n    def {name}(self, *, {', '.join(asked)}) -> Self:\n"
            yield f'        """What is passed on to ``{method}``, in scikit-learn\'s metadata routing."""\n'


def stub(module):
    """Text of a module's stub."""
    names = getattr(module, "__all__", None) or [n for n, f in vars(module).items() if is_own(module, n, f)]
    bodies, bases = [], set()
    for name in names:
        member = getattr(module, name)
        if inspect.isclass(member):
            text, foreign = written_class(member)
            bodies.append(text)
            bases |= set(foreign)
        else:
            bodies.append(written_function(member, name))
    text = HEADER.format(doc=(module.__doc__ or "").strip())
    text += "".join(f"from {base.__module__} import {base.__name__}\n" for base in bases)
    if module is sklatent:
        text += "\n__version__: str\n"
    elif any(name in "\n".join(bodies) for name in sklatent.__all__):
        text += f"from sklatent import {', '.join(sklatent.__all__)}\n"
    return formatted(text + f"\n__all__ = {names!r}\n\n" + "\n\n".join(bodies))


def is_own(module, name, member):
    return not name.startswith("_") and callable(member) and member.__module__ == module.__name__


def formatted(text):
    """As ruff has it, which also drops imports that are not used."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--fix-only", "--quiet", "--select", "F401,I"], ["format", "--quiet"]):
        call = [*ruff, *command, "--stdin-filename", str(PACKAGE / "made.pyi"), "-"]
        text = subprocess.run(call, input=text, capture_output=True, text=True, check=True).stdout
    return text


def stubs():
    """Paths and texts of all stubs."""
    yield PACKAGE / "__init__.pyi", stub(sklatent)
    for found in pkgutil.iter_modules(sklatent.__path__):
        if not found.name.startswith("_"):
            yield PACKAGE / f"{found.name}.pyi", stub(importlib.import_module(f"sklatent.{found.name}"))


if __name__ == "__main__":
    for path, text in stubs():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(PACKAGE.parents[1]), f"{len(text.splitlines())} lines")
