"""Run all campaigns, two at a time, and write what they found into docs/reliability.md."""

import ast
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sklearn
import torch

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reliability.md"
MARKS = "<!-- written by make campaigns -->\n", "<!-- to here -->\n"
CAMPAIGNS = ("fuzz", "p_values", "threads", "signals", "leaks", "changed_files", "kills")  # the longest first
SECONDS = 2400  # for one of them


def result(name):
    """What a campaign printed last, as a dict; its log goes to standard output."""
    command = [sys.executable, str(HERE / f"{name}.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return {"tried": 0, "found": [f"not over after {SECONDS} seconds"], "seconds": SECONDS}
    print(f"{name}\n{done.stdout}", flush=True)
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"tests/campaigns/{name}.py itself failed.")
    return json.loads(done.stdout.splitlines()[-1])


def table(results):
    """Markdown: a row for each campaign, and below what was found."""
    lines = ["| campaign | what is tried | number tried | found | seconds |", "| --- | --- | ---: | ---: | ---: |"]
    for name, each in results.items():
        what = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())).rstrip(".")
        link = f"[`{name}`](../tests/campaigns/{name}.py)"
        lines.append(f"| {link} | {what} | {each['tried']:,} | {len(each['found'])} | {each['seconds']} |")
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, scikit-learn {sklearn.__version__}"
    lines += ["", f"{versions}; {os.cpu_count()} CPU cores, two campaigns at a time.", ""]
    lines += [f"- `{name}`: {' '.join(words.split())}" for name, each in results.items() for words in each["found"]]
    return "\n".join(lines).rstrip() + "\n"


def written(page, results):
    """The page with its table anew."""
    before, _, rest = page.partition(MARKS[0])
    return before + MARKS[0] + "\n" + table(results) + "\n" + MARKS[1] + rest.partition(MARKS[1])[2]


def main():
    with ThreadPoolExecutor(2) as pool:
        results = dict(zip(CAMPAIGNS, pool.map(result, CAMPAIGNS), strict=True))
    PAGE.write_text(written(PAGE.read_text(), results))
    sys.exit(any(each["found"] for each in results.values()))


if __name__ == "__main__":
    main()
