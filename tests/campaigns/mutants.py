"""Faults planted one at a time in the nets and in what trains them, each of which the tests should see."""

# They go into a copy of the tree, never into the tree itself. Each has a process of its own, forked from one that has
# torch but not sklatent in memory, and meets the tests that call the function it is in, the quick ones first. Which
# those are is measured once, and again for test files that changed. ``output/mutants`` holds that, and the results;
# with --resume what was caught counts, survivors and what was not tried yet are run.

import argparse
import ast
import gc
import hashlib
import importlib
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

import pytest
from faults import EQUIVALENT, FILES, SOURCE, drawn

ROOT = SOURCE.parents[1]
OUTPUT = ROOT / "output/mutants"
IN_MEMORY = ("pandas", "torch", "skops.io", "skorch.callbacks", "sklearn.utils.estimator_checks", "scipy.stats")
TESTS = [p.name for p in sorted((ROOT / "tests").glob("test_nn_*.py"))]
TESTS += [f"test_{name}.py" for name in (
    "bridge", "training", "callbacks", "starts", "state", "density", "autoencoder", "classifier", "persistence",
    "bad_input",
)]  # fmt: skip  # the others are of other rooms, and slow
QUICK = 0.3  # seconds; such tests come before others
BUDGET = 90  # seconds of tests that a fault has to get through, as measured
NONE = {"key": "no fault", "file": FILES[0], "start": 0, "end": 0, "new": "", "place": None, "constant": ""}


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
    """Of the tests of a file that pass: name -> [seconds, what they call]."""
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
    """The functions that name a constant."""
    for path in sorted(SOURCE.rglob("*.py")) if constant else ():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and constant in ast.unparse(node):
                yield f"{path.relative_to(SOURCE)}:{min(each.lineno for each in (node, *node.decorator_list))}"


def plant(fault):
    """A function that puts a fault, and no other, into the sources of a tree."""

    def prepare(tree):
        for file in FILES:  # what the fault before has left
            shutil.copy2(SOURCE / file, tree / "src/sklatent" / file)
        text = (SOURCE / fault["file"]).read_text()
        text = text[: fault["start"]] + fault["new"] + text[fault["end"] :]
        (tree / "src/sklatent" / fault["file"]).write_text(text)

    return prepare


def line_of(fault):
    """What is printed of a fault."""
    return f"{fault['kind']}, line {fault['line']}: {fault['key']}"


def main(n=200, seed=0, resume=False, n_workers=2):
    """(How many faults were tried, those that no test saw, as strings)."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for name in IN_MEMORY:
        importlib.import_module(name)
    record, chosen = OUTPUT / f"seed_{seed}.jsonl", drawn(n, seed)
    lines = record.read_text().splitlines() if resume and record.exists() else []
    results = {key: by for key, by, _ in map(json.loads, lines) if by}
    chosen = [fault for fault in chosen if fault["key"] not in EQUIVALENT]
    faults_by_key = {fault["key"]: fault for fault in chosen}
    tests, start = callers(n_workers), time.perf_counter()
    left = [fault for fault in chosen if fault["key"] not in results]
    jobs = (
        (fault["key"], plant(fault), lambda tree, fault=fault: tested(plan_of(fault, tests))) for fault in [NONE, *left]
    )
    with record.open("a" if resume else "w") as file:
        for key, by in in_turn(jobs, n_workers):
            if key == NONE["key"]:
                if by:
                    raise RuntimeError(f"{by} fails where there is no fault.")
                continue
            results[key] = by
            file.write(json.dumps([key, by, time.perf_counter() - start]) + "\n")
            file.flush()
            if not by:
                print("survived", line_of(faults_by_key[key]), flush=True)
    survivors = [line_of(fault) for key, fault in faults_by_key.items() if not results[key]]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} caught, {n - len(chosen)} more change nothing")
    return len(chosen), survivors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on with what output/mutants holds")
    began = time.perf_counter()
    tried, survivors = main(**vars(parser.parse_args()))
    print("\n".join(survivors))
    print(json.dumps({"tried": tried, "found": survivors, "seconds": round(time.perf_counter() - began)}))
    sys.exit(len(survivors) > 0.05 * tried)
