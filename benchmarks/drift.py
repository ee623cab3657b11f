"""How soon a conformal test martingale finds that one of 20 features has changed, how often it is wrong, and its cost.

Normal features; n rows calibrate, some quiet rows follow, and then the first feature moves by half a standard
deviation, or spreads by a half. "Rows" are those from the change to the alarm, log evidence >= log(1000), at most 1000
followed. False alarms are streams without a change in which the evidence ever reached log(1 / a).

    python benchmarks/drift.py
"""

import copy
import time

import numpy as np
from datasets import parser, versions

from sklatent._outliers.drift import _Drift

K, FOLLOWED, THRESHOLD = 20, 1000, np.log(1000)
CHANGES = {"mean + 0.5 sd": lambda column: column + 0.5, "sd x 1.5": lambda column: column * 1.5}
LEVELS = (0.1, 0.05, 0.01, 0.001)


def normal(rng, n, correlation=0.0):
    """Rows whose features have the same correlation pairwise."""
    shared, own = rng.normal(size=(n, 1)), rng.normal(size=(n, K))
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own


def delays(n_streams, seed, n_reference, n_quiet):
    """Rows to the alarm of each stream after each change; infinite where there was none, NaN if it came before."""
    found = {name: [] for name in CHANGES}
    for stream in range(n_streams):
        rng = np.random.default_rng([seed, stream, n_reference, n_quiet])
        quiet = _Drift(random_state=stream).fit(normal(rng, n_reference))
        false = n_quiet and quiet.update(normal(rng, n_quiet)).max() >= THRESHOLD
        later = normal(rng, FOLLOWED)
        for name, change in CHANGES.items():
            rows = later.copy()
            rows[:, 0] = change(rows[:, 0])
            alarms = np.flatnonzero(copy.deepcopy(quiet).update(rows) >= THRESHOLD)
            found[name].append(np.nan if false else alarms[0] + 1 if len(alarms) else np.inf)
    return found


def detection(arguments):
    print("| change | rows that calibrated | quiet rows | median rows | 90 % | not within 1000 | alarm before |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for n_reference in (200, 1000):
        for n_quiet in (0, 1000, 5000):
            for name, rows in delays(arguments.streams, arguments.seed, n_reference, n_quiet).items():
                after = np.array(rows)[~np.isnan(rows)]
                cells = [f"{cell:.0f}" if np.isfinite(cell) else "> 1000" for cell in quantiles(after)]
                missed, before = np.isinf(after).sum(), np.isnan(rows).sum()
                print(f"| {name} | {n_reference} | {n_quiet} | {' | '.join(cells)} | {missed} | {before} |", flush=True)


def quantiles(rows):
    """Median and 90 % by rank: no mean of a number and infinity."""
    ordered = np.sort(rows)
    return [ordered[int(np.ceil(share * len(rows))) - 1] for share in (0.5, 0.9)]


def alarms(arguments):
    n = arguments.quiet_streams
    print(f"| {n} streams of 10,000 rows | " + " | ".join(f"a = {level:g}" for level in LEVELS) + " | lowest, nats |")
    print("| --- |" + " ---: |" * (len(LEVELS) + 1))
    print("| at most, on average | " + " | ".join(f"{level * n:g}" for level in LEVELS) + " | |")
    for correlation in (0.0, 0.9):
        highest, lowest = [], []
        for stream in range(n):
            rng = np.random.default_rng([arguments.seed, stream])
            detector = _Drift(random_state=stream).fit(normal(rng, 200, correlation))
            evidence = detector.update(normal(rng, 10_000, correlation))
            highest.append(evidence.max()), lowest.append(evidence.min())
        counts = [(np.array(highest) >= -np.log(level)).sum() for level in LEVELS]
        name = f"correlation {correlation:g}"
        print(f"| {name} | " + " | ".join(map(str, counts)) + f" | {min(lowest):.1f} |", flush=True)


def cost(arguments):
    print("| columns | rows kept | fit, s | ms a row, 1024 at once | ms a row, one by one |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    rng = np.random.default_rng(arguments.seed)
    for k in (1, 20, 785):
        for n in (1000, 12_000, 100_000):
            reference, rows = rng.normal(size=(n, k)), rng.normal(size=(1024, k))
            start = time.perf_counter()
            detector = _Drift().fit(reference)
            fitted = time.perf_counter()
            kept = detector.table_.shape[1]
            detector.update(rows)
            together = time.perf_counter()
            for row in rows[:256]:
                detector.update(row[np.newaxis])
            each = 1e3 * (time.perf_counter() - together) / 256
            cells = f"{fitted - start:.2f} | {1e3 * (together - fitted) / 1024:.3f} | {each:.2f}"
            print(f"| {k} | {kept} of {n} | {cells} |", flush=True)


def main():
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--streams", type=int, default=100, help="with a change, of each kind")
    options.add_argument("--quiet-streams", type=int, default=200)
    arguments = options.parse_args()
    print(f"{versions()}\n")
    for title, part in (("Rows to the alarm", detection), ("False alarms", alarms), ("Cost", cost)):
        print(f"## {title}\n")
        part(arguments)
        print(flush=True)


if __name__ == "__main__":
    main()
