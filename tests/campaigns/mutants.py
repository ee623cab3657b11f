"""Faults planted one at a time in ``_nn`` and ``_bridge``: does the suite see them?

    python tests/campaigns/mutants.py --n 200 --seed 0 [--resume]

Faults go into a copy of the tree, never into the tree itself. Each has a process of its own, forked from one that has
torch but not sklatent in memory, and meets the tests that call the function it is in, the quick ones first. Which those
are is measured once, and again for test files that changed. ``output/mutants`` holds that, and the results;
with ``--resume`` what was caught counts, survivors and what was not tried yet are run.

Left out, as no test here could or should see a difference: texts (docstrings, errors, warnings), ``docs.py``, default
arguments (estimators pass their own; signatures and docs are held together elsewhere), ``strict`` of zips, ``detach``
where no gradient flows, and branches for cuda and mps.
"""

import argparse
import ast
import gc
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import pandas  # noqa: F401  what the tests import is in memory before the forks
import pytest
import sklearn.utils.estimator_checks  # noqa: F401
import skops.io  # noqa: F401
import skorch.callbacks  # noqa: F401
import torch  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
SOURCE, OUTPUT = ROOT / "src/sklatent", ROOT / "output/mutants"
FILES = [f"{room}/{p.name}" for room in ("_nn", "_bridge") for p in sorted((SOURCE / room).glob("*.py"))]
FILES = [name for name in FILES if not name.endswith(("__init__.py", "docs.py"))]
TESTS = [p.name for p in sorted((ROOT / "tests").glob("test_nn_*.py"))]
TESTS += [f"test_{name}.py" for name in (
    "bridge", "training", "callbacks", "starts", "state", "density", "autoencoder", "classifier", "persistence",
    "bad_input",
)]  # fmt: skip  # the others are of other rooms, and slow
QUICK = 0.3  # seconds; such tests come before others
BUDGET = 90  # seconds of tests that a fault has to get through, as measured
EQUIVALENT = {  # name of a fault: why it changes nothing that a test could or should see
    "_nn/layers.py cell_sums: True -> False in maps = maps.unflatten(1, image_shape).sum(1, keepdim=True)": (
        "avg_pool2d takes (n, h, w) as well, and what follows is flattened"
    ),
    "_nn/layers.py at_least_float32: x.dtype.itemsize < 4 -> x.dtype.itemsize <= 4": "float32 to float32",
    "_nn/corruption.py __call__: torch.rand_like(u) >= self.fraction -> torch.rand_like(u) > self.fraction": (
        "one draw in 2^24 is equal"
    ),
    "_bridge/loading.py check_saved: arrays.keys() - tensors.keys() -> arrays.keys()": "names in both are seen twice",
    "_bridge/training.py complete: 0 -> 1 in known = np.where(missing, 0, X)": "no one reads what is missing",
    "_bridge/base.py fresh_seed: 31 -> 32 in return int(check_random_state(random_state).randint(2**31 - 1))": (
        "a seed is as good as another"
    ),
    '_bridge/callbacks.py on_epoch_begin: False -> True in self.bar_.set_description(f"epoch {self.n_epochs_}/'
    '{net.max_epochs}", refresh=False)': "the bar is drawn once more",
}

SWAPS = {
    "min": "max", "amin": "amax", "minimum": "maximum", "cummin": "cummax", "floor": "ceil", "any": "all",
    "mean": "sum", "logsumexp": "amax", "logaddexp": "maximum",
}  # fmt: skip
SWAPS |= {"sum": "mean"} | {new: old for old, new in SWAPS.items() if old not in ("mean", "logsumexp", "logaddexp")}
DROPPED = {
    "abs", "clamp", "clamp_min", "exp", "log", "square", "sqrt", "relu", "sigmoid", "tanh", "detach", "clone", "round",
    "floor", "eval", "sort", "rint", "deepcopy", "log1p", "ceil",
}  # fmt: skip
LENGTHENED = {"view", "unsqueeze", "mul", "norm", "log_softmax", "softmax", "flatten"} | DROPPED | set(SWAPS)
OPERATORS = {
    ast.Add: ("sign", "+", "-"), ast.Sub: ("sign", "-", "+"), ast.Mult: ("factor", "*", "/"),
    ast.Div: ("factor", "/", "*"), ast.Lt: ("comparison", "<", "<="), ast.LtE: ("comparison", "<=", "<"),
    ast.Gt: ("comparison", ">", ">="), ast.GtE: ("comparison", ">=", ">"), ast.Eq: ("comparison", "==", "!="),
    ast.NotEq: ("comparison", "!=", "=="), ast.Is: ("condition", "is", "is not"), ast.And: ("condition", "and", "or"),
    ast.IsNot: ("condition", "is not", "is"), ast.Or: ("condition", "or", "and"), ast.In: ("condition", "in", "not in"),
    ast.NotIn: ("condition", "not in", "in"), ast.BitAnd: ("condition", "&", "|"), ast.BitOr: ("condition", "|", "&"),
}  # fmt: skip


def text_of(node, text):
    """What stands there, in brackets where what is around it could tear it apart."""
    found = ast.get_source_segment(text, node)
    return found if isinstance(node, ast.Name | ast.Constant | ast.Call | ast.Attribute) else f"({found})"


def exchanged(parts, text, old, new):
    """The node with another operator between its first two parts."""
    node, left, right = parts
    between = slice(left.end, right.start)
    return text[node.start : left.end] + text[between].replace(old, new, 1) + text[right.start : node.end]


def faults_of(node, text, here):
    """(kind, node to replace, what to put there) for each fault at a node; ``here``: its parents, the nearest last."""
    parent = here[-1]
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.Compare):
        left, right = {
            ast.BinOp: lambda: (node.left, node.right), ast.BoolOp: lambda: node.values[:2],
            ast.Compare: lambda: (node.left, node.comparators[0]),
        }[type(node)]()  # fmt: skip
        operator = type(node.ops[0] if isinstance(node, ast.Compare) else node.op)
        if isinstance(getattr(right, "value", None), str):  # of texts; of kinds of devices
            return
        if operator in OPERATORS:
            kind, *signs = OPERATORS[operator]
            yield kind, node, exchanged((node, left, right), text, *signs)
        if operator in (ast.Add, ast.Sub, ast.Mult, ast.Div):
            yield ("term" if kind == "sign" else kind), node, text_of(left, text)
        if operator is ast.Add:
            yield "term", node, text_of(right, text)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield ("sign" if isinstance(node.op, ast.USub) else "condition"), node, text_of(node.operand, text)
    elif isinstance(node, ast.If):
        yield "condition", node.test, "False"
    elif isinstance(node, ast.IfExp):
        yield from (("condition", node, text_of(part, text)) for part in (node.body, node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "flag", node, str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        of_call = isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute)
        kind = "dim" if of_call else "index" if any(isinstance(each, ast.Slice) for each in here[-2:]) else "constant"
        yield kind, node, str(node.value + 1 if isinstance(node.value, int) else 2 * node.value or 1.0)
    elif isinstance(node, ast.Call):
        yield from faults_of_call(node, text, here)
    elif isinstance(node, ast.AugAssign | ast.Expr | ast.Assign):  # in __init__ what follows would fail for sure
        target = node.targets[0] if isinstance(node, ast.Assign) else ast.unparse(node)
        if not isinstance(target, ast.Name | ast.Tuple) and getattr(parent, "name", "") != "__init__":
            yield "statement", node, "pass"


def faults_of_call(node, text, here):
    name = getattr(node.func, "attr", getattr(node.func, "id", None))
    whole = ast.get_source_segment(text, node)
    if name in SWAPS and (isinstance(node.func, ast.Attribute) or name in ("min", "max", "any", "all")):
        start = node.func.end - node.start
        yield "extreme", node, whole[: start - len(name)] + SWAPS[name] + whole[start:]
    receiver = getattr(node.func, "value", None)
    if name in DROPPED and receiver is not None:
        of_module = isinstance(receiver, ast.Name) and receiver.id in ("np", "torch", "math", "copy")
        yield "dropped", node, text_of(node.args[0] if of_module else receiver, text)
    of_module = isinstance(receiver, ast.Name) and receiver.id in ("np", "math")
    learns = here[0].file.startswith("_nn") and not here[0].file.endswith(("scaling.py", "corruption.py"))
    learns &= not of_module and not whole.endswith(".detach()") and not any(map(no_gradient, here))
    if learns and isinstance(node.func, ast.Attribute) and name in LENGTHENED:
        yield "detach", node, f"{whole}.detach()"
    if name in ("manual_seed", "RandomState") and node.args and not isinstance(node.args[0], ast.Constant):
        yield "seed", node.args[0], "0"
    for word in node.keywords:
        if word.arg == "generator":
            yield "seed", word.value, "None"
        elif word.arg in ("min", "max"):
            yield "extreme", node, whole.replace(f"{word.arg}=", f"{SWAPS[word.arg]}=", 1)


def no_gradient(node):
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return False
    return any("no_grad" in ast.unparse(each) for each in node.decorator_list) or node.name.endswith((
        "Cache", "ByDegree", "draw", "sample", "statistics", "features", "cell_sums", "pooled", "held_out_loss",
        "regret", "resample", "late", "limits", "table", "degrees", "positions", "log_width", "__init__", "matrix",
        "unbounded", "row", "_pick", "_chosen",
    ))  # fmt: skip


def skipped(node, text, here):
    """Whether what is here is a text, a default, an annotation, or for a device that is not here."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.arguments):
        return True
    if isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: a check of ours
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "warn":
        return True
    if isinstance(node, ast.If | ast.IfExp) and any(
        word in ast.unparse(node.test) for word in ("cuda", "mps", ".type ==")
    ):
        return True
    line = text[text.rfind("\n", 0, node.start) + 1 : node.start] if hasattr(node, "start") else ""
    return isinstance(here[-1], ast.FunctionDef) and (node in here[-1].decorator_list or "cuda" in line)


def told(file, functions, text, old, new):
    before, whole = " ".join(text[old.start : old.end].split()), text.splitlines()[old.lineno - 1].strip()
    where = f"{file} {'.'.join(each.name for each in functions)}".strip()
    return f"{where}: {before} -> {' '.join(new.split())}" + (f" in {whole}" if len(before) < 20 else "")


def faults(file):
    """All faults of a file, in the order of its text: dicts that say what, where, and which function it is in."""
    text = (SOURCE / file).read_text()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tree, found = ast.parse(text), []
    tree.file = file
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            node.start = starts[node.lineno - 1] + node.col_offset
            node.end = starts[node.end_lineno - 1] + node.end_col_offset

    def visit(node, here):
        if here and skipped(node, text, here):
            return
        for kind, old, new in faults_of(node, text, here) if here else ():
            functions = [each for each in here if isinstance(each, ast.FunctionDef)]
            first = min(each.lineno for each in (functions[-1], *functions[-1].decorator_list)) if functions else None
            names = [each.targets[0] for each in here if isinstance(each, ast.Assign)]
            found.append({
                "file": file, "kind": kind, "start": old.start, "end": old.end, "new": new, "line": old.lineno,
                "place": first and f"{file}:{first}", "constant": "" if functions else ast.unparse(names).strip("[]"),
                "name": told(file, functions, text, old, new),
            })  # fmt: skip
        for child in ast.iter_child_nodes(node):
            visit(child, [*here, node])

    visit(tree, [])
    for i, fault in enumerate(found):
        same = sum(other["name"] == fault["name"] for other in found[:i])
        fault["key"] = fault["name"] + (f" #{same + 1}" if same else "")
    return found


def drawn(n, seed):
    """``n`` faults, as even over files and kinds as there are some: round after round one of each pair that has any.

    By a hash of each: a change elsewhere leaves most of them what they were.
    """
    every = [fault for file in FILES for fault in faults(file)]
    unknown = EQUIVALENT.keys() - {fault["key"] for fault in every}
    if unknown:
        raise ValueError(f"EQUIVALENT explains faults that there are not: {sorted(unknown)}")
    cells = {}
    for fault in sorted(every, key=lambda fault: hashlib.sha256(f"{seed} {fault['key']}".encode()).digest()):
        cells.setdefault((fault["file"], fault["kind"]), []).append(fault)
    rounds = (cell[i] for i in range(max(map(len, cells.values()))) for cell in cells.values() if i < len(cell))
    return [fault for fault, _ in zip(rounds, range(n), strict=False)]


# -- tests in a process of their own -----------------------------------------------------------------------------------


class Chosen:
    """A plugin: these tests, in this order; which of them failed first; and what each passed test called."""

    def __init__(self, names=None, tree=None):
        self.names, self.tree, self.failed, self.seen, self.passed = names, tree, None, set(), {}

    def pytest_collection_modifyitems(self, items):
        if self.names is not None:
            ranks = {name: i for i, name in enumerate(self.names)}
            items[:] = sorted((item for item in items if item.nodeid in ranks), key=lambda item: ranks[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        if self.tree is None:
            return (yield)
        self.seen, start = set(), time.process_time()
        sys.settrace(self.call)
        threading.settrace(self.call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            if item.nodeid in self.passed:
                places = [f"{code.co_filename}:{code.co_firstlineno}" for code in self.seen]
                places = sorted(p.removeprefix(self.tree) for p in places if p.startswith(self.tree))
                self.passed[item.nodeid] = [time.process_time() - start, places]

    def call(self, frame, event, arg):
        self.seen.add(frame.f_code)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed = self.failed or report.nodeid
        elif report.when == "call" and report.passed:
            self.passed[report.nodeid] = None

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed = self.failed or report.nodeid


def forked(tree, work):
    """``work()`` in a fork that imports sklatent from ``tree``, and leaves its result there; the id of the process."""
    pid = os.fork()
    if pid:
        return pid
    try:
        log = os.open(tree / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        os.chdir(tree)
        os.environ["PYTHONPATH"] = str(tree / "src")
        sys.path.insert(0, str(tree / "src"))
        sys.dont_write_bytecode = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # where the shell has set it to be ignored
        (tree / "result").write_text(json.dumps(work()))
    except BaseException as error:
        (tree / "result").write_text(json.dumps(repr(error)))
    finally:
        os._exit(0)


def tested(plan):
    """The first test that fails, of pairs of a file and [[seconds, name], ...]; None if none does."""
    for file, tests in plan:
        limit = 20 + 3 * sum(seconds for seconds, _ in tests)  # then the process ends: the fault made a loop
        signal.setitimer(signal.ITIMER_PROF, limit)  # of the processor's time, whoever else has some of it
        signal.alarm(300 + int(10 * limit))  # where it waits for nothing
        chosen = Chosen([name for _, name in tests])
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"tests/{file}"], plugins=[chosen])
        if code:
            return chosen.failed or f"{file}, exit code {code}"
    return None


def measured(file, tree):
    chosen = Chosen(tree=f"{tree}/src/sklatent/")
    pytest.main(["-q", "-p", "no:cacheprovider", f"tests/{file}"], plugins=[chosen])
    return chosen.passed


def in_turn(jobs, n_workers):
    """Run (name, prepare(tree), work(tree)) in so many processes at a time; yield (name, result) as they end."""
    with tempfile.TemporaryDirectory() as folder:
        free, running = [], {}
        for i in range(n_workers):
            free.append(Path(folder) / str(i))
            shutil.copytree(ROOT / "src", free[-1] / "src")
            shutil.copytree(ROOT / "tests", free[-1] / "tests")  # with what pytest has compiled
            for name in ("pyproject.toml", "CONTRIBUTING.md"):
                shutil.copy(ROOT / name, free[-1])
        try:
            gc.freeze()  # a collection would touch, and so copy, all that a fork shares
            jobs = iter(jobs)
            gc.freeze()
            while True:
                for name, prepare, work in jobs if free else ():
                    tree = free.pop()
                    (tree / "result").unlink(missing_ok=True)
                    prepare(tree)
                    running[forked(tree, lambda tree=tree, work=work: work(tree))] = name, tree
                    if not free:
                        break
                if not running:
                    return
                pid, status = os.wait()
                name, tree = running.pop(pid)
                free.append(tree)
                ended = os.WIFEXITED(status) and (tree / "result").exists()
                yield name, json.loads((tree / "result").read_text()) if ended else f"signal {status}"
        finally:
            for pid in running:
                os.kill(pid, signal.SIGKILL)


def key_of(file):
    """A digest of a test file and of all that it imports."""
    text = (ROOT / "tests" / file).read_text()
    helpers = [path for path in sorted((ROOT / "tests").glob("co*.py")) if path.stem in ("conftest", *text.split())]
    paths = [ROOT / "tests" / file, *helpers, *sorted(SOURCE.rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def callers(n_workers):
    """Which tests call which function: a dict, test name -> [seconds, places]."""
    known = OUTPUT / "callers.json"
    found = json.loads(known.read_text()) if known.exists() else {}
    keys = {file: key_of(file) for file in TESTS}
    stale = [file for file in TESTS if found.get(file, {}).get("key") != keys[file]]
    jobs = ((file, lambda tree: None, lambda tree, file=file: measured(file, tree)) for file in stale)
    for file, tests in in_turn(jobs, n_workers):
        print(f"measured {file}: {len(tests)} tests, {sum(each[0] for each in tests.values()):.0f} s", flush=True)
        found[file] = {"key": keys[file], "tests": tests}
        known.write_text(json.dumps(found))
    return {name: each for file in TESTS for name, each in found[file]["tests"].items()}


def plan_of(fault, tests):
    """The tests that can see a fault, as ``tested`` takes them, within the budget."""
    places = {fault["place"]}
    if fault["place"] is None:  # of a constant: the functions that name it, else all of the file
        places = set(users(fault["constant"])) or {p for _, each in tests.values() for p in each if fault["file"] in p}
    chosen = sorted((seconds, name) for name, (seconds, each) in tests.items() if places & set(each))
    files = {name: name.partition("::")[0].removeprefix("tests/") for _, name in chosen}
    plan, left = {}, BUDGET
    for seconds, name in chosen:  # the quick ones of all files come before the others of any
        left -= seconds
        if left > 0:
            plan.setdefault((seconds > QUICK, "_nn_" not in name, files[name]), []).append([seconds, name])
    return [(file, each) for (*_, file), each in sorted(plan.items())]


def users(constant):
    for path in sorted(SOURCE.rglob("*.py")) if constant else ():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and constant in ast.unparse(node):
                yield f"{path.relative_to(SOURCE)}:{min(each.lineno for each in (node, *node.decorator_list))}"


def plant(fault):
    def prepare(tree):
        for file in FILES:  # what the fault before has left
            shutil.copy2(SOURCE / file, tree / "src/sklatent" / file)
        text = (SOURCE / fault["file"]).read_text()
        text = text[: fault["start"]] + fault["new"] + text[fault["end"] :]
        (tree / "src/sklatent" / fault["file"]).write_text(text)

    return prepare


def line_of(fault):
    return f"{fault['kind']}, line {fault['line']}: {fault['key']}"


def main(n=200, seed=0, resume=False, n_workers=2):
    """(How many faults were tried, those that no test saw, as strings)."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    record, chosen = OUTPUT / f"seed_{seed}.jsonl", drawn(n, seed)
    lines = record.read_text().splitlines() if resume and record.exists() else []
    results = {key: by for key, by, _ in map(json.loads, lines) if by}
    chosen = [fault for fault in chosen if fault["key"] not in EQUIVALENT]
    faults_by_key = {fault["key"]: fault for fault in chosen}
    tests, start = callers(n_workers), time.perf_counter()
    jobs = (
        (key, plant(fault), lambda tree, fault=fault: tested(plan_of(fault, tests)))
        for key, fault in faults_by_key.items()
        if key not in results
    )
    with record.open("a" if resume else "w") as file:
        for key, by in in_turn(jobs, n_workers):
            results[key] = by
            file.write(json.dumps([key, by, time.perf_counter() - start]) + "\n")
            file.flush()
            if not by:
                print("survived", line_of(faults_by_key[key]), flush=True)
    survivors = [line_of(fault) for key, fault in faults_by_key.items() if not results[key]]
    n_equal = n - len(chosen)
    n_caught, seconds = len(chosen) - len(survivors), time.perf_counter() - start
    print(f"{n_caught} of {len(chosen)} caught, {n_equal} equivalent, {seconds:.0f} s")
    return len(chosen), survivors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    tried, survivors = main(options.n, options.seed, options.resume)
    print("\n".join(survivors))
    sys.exit(len(survivors) > 0.05 * tried)
