"""Published AUROC on ADBench's classical tables, without those whose test rows are copies of training rows, and ours.

Part one averages the figures in ``published/`` over all 47 tables, and over the 35 that have 1,000 rows or more. Part
two runs ours, k-nearest neighbours and an isolation forest on those of the 35 that are in the folder, in the protocol
of Livernoche et al. (2024): at most 50,000 rows, each column standardised, and

- normal only: trained on the first half of the normal rows, in the order of the file, scored on all others;
- normal only, random halves: the same after a shuffle, which is ours and not in the published figures;
- contaminated: trained on as many rows as there are, drawn with replacement, outliers included; scored on all rows.

Where a side has more than ``--rows`` rows, so many are drawn. Part three takes tables of fewer than 1,000 rows, with
their resampling to 1,000 and without.

    python benchmarks/adbench_published.py --data FOLDER --write

prints all that, and writes it into ``results/`` and the tables of ``docs/adbench.md``.
"""

import csv
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from anomaly import OURS, tables
from datasets import parser, versions
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from sklatent import DensityOutlierDetector

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "adbench_published_cpu.md"
PAGE = HERE.parent / "docs" / "adbench.md"
COMMAND = "python benchmarks/adbench_published.py --data FOLDER --write"
BEGIN, END = "<!-- {}: written by benchmarks/adbench_published.py -->\n", "<!-- to here -->\n"

NORMAL, SHUFFLED, CONTAMINATED = "normal only", "normal only, random halves", "contaminated"
FILES = {NORMAL: "dte_normal_only.csv", CONTAMINATED: "dte_contaminated.csv"}
SMALL, LARGE = 1000, 50000  # fewer rows are resampled to so many, more are cut to so many
N_NEIGHBORS = {NORMAL: 5, SHUFFLED: 5, CONTAMINATED: 32}  # those that the published figures of KNN come out with
REFERENCES = {NORMAL: "KNN", CONTAMINATED: "IForest"}  # what the others are compared with
BESIDE = ("KNN", "IForest", "DTE-NP", "DTE-C", "ICL", "DDPM", "LOF", "CBLOF", "MCD")

# -- published figures ------------------------------------------------------------------------------------------------


def read(name):
    """The rows of a file in ``published/``, by the table's name."""
    with (HERE / "published" / name).open(newline="") as file:
        return {row.pop("table"): row for row in csv.DictReader(line for line in file if not line.startswith("#"))}


def published(regime):
    """AUROC from 0 to 1: by method, by table."""
    rows = read(FILES[regime])
    return {method: {t: float(row[method]) / 100 for t, row in rows.items()} for method in next(iter(rows.values()))}


def sizes():
    """The number of rows of each table."""
    return {table: int(row["rows"]) for table, row in read("adbench_rows.csv").items()}


def values(areas, chosen):
    return np.array([areas[table] for table in chosen])


def with_error(numbers, sign=""):
    """The mean and its standard error, over tables."""
    return f"{np.mean(numbers):{sign}.3f} ± {np.std(numbers, ddof=1) / np.sqrt(len(numbers)):.3f}"


def markdown(heads, rows):
    """A table, its first column to the left."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def part_published():
    n_rows = sizes()
    large = [table for table, n in n_rows.items() if n >= SMALL]
    small = [table for table, n in n_rows.items() if n < SMALL]
    heads, rows = ["method"], {method: [method] for method in published(NORMAL)}
    for regime, reference in REFERENCES.items():
        figures = published(regime)
        heads += [f"{regime}: {len(n_rows)}", f"{len(large)}", f"{len(small)}", f"{len(large)}, less {reference}"]
        for method, areas in figures.items():
            rows[method] += [f"{values(areas, group).mean():.3f}" for group in (n_rows, large, small)]
            less = values(areas, large) - values(figures[reference], large)
            rows[method].append(with_error(less, "+") if method != reference else "")
    return markdown(heads, sorted(rows.values(), key=lambda row: float(row[2]), reverse=True))


# -- the same protocol ------------------------------------------------------------------------------------------------


class KNN:
    """The distance to the k-th neighbour, as PyOD's ``KNN``."""

    def __init__(self, n_neighbors):
        self.neighbors = NearestNeighbors(n_neighbors=n_neighbors)

    def fit(self, X):
        self.neighbors.fit(X)
        return self

    def score_samples(self, X):
        return -self.neighbors.kneighbors(X)[0][:, -1]


def drawn(n_rows, random, copies=True):
    """The rows of a table that are used: all, or LARGE of them, or SMALL draws with replacement."""
    if n_rows < SMALL and copies:
        return random.choice(n_rows, SMALL)
    if n_rows > LARGE:
        return random.choice(n_rows, LARGE, replace=False)
    return np.arange(n_rows)


def sides(y, regime, random):
    """Indices of the rows to train on, and of those to score."""
    if regime == CONTAMINATED:
        random.choice(np.flatnonzero(y), 0, replace=False)  # none, but the published draws come after this one
        return random.choice(len(y), len(y)), np.arange(len(y))
    normal = np.flatnonzero(~y)
    if regime == SHUFFLED:
        normal = random.permutation(normal)
    half = round(len(normal) / 2)
    return normal[:half], np.concatenate([normal[half:], np.flatnonzero(y)])


def split(X, y, seed, regime, n_rows=None, copies=True):
    """Rows to train on, rows to score and the labels of these; at most ``n_rows`` on each side."""
    random = np.random.RandomState(seed)
    rows = drawn(len(y), random, copies)
    X, y = X[rows], y[rows]
    train, test = sides(y, regime, random)
    scaler = StandardScaler().fit(X if regime == CONTAMINATED else X[train])
    train, test = (side if n_rows is None else random.permutation(side)[:n_rows] for side in (train, test))
    return scaler.transform(X[train]), scaler.transform(X[test]), y[test]


def methods(regime):
    return {
        "KNN": lambda seed: KNN(N_NEIGHBORS[regime]),
        "IForest": lambda seed: IsolationForest(random_state=seed),
        OURS: lambda seed: DensityOutlierDetector(random_state=seed),
    }


def area(detector, parts):
    train, test, y = parts
    return roc_auc_score(y, -detector.fit(train).score_samples(test))


def rerun(arguments):
    """AUROC by regime, by method, by table: means over seeds."""
    areas = {regime: {name: {} for name in methods(regime)} for regime in N_NEIGHBORS}
    for table, X, y in tables(arguments.data):
        name = table.split("_", 1)[1].lower()
        if len(y) < SMALL:
            continue
        for regime, found in areas.items():
            each = [(seed, split(X, y, seed, regime, arguments.rows)) for seed in arguments.seeds]
            for method, make in methods(regime).items():
                found[method][name] = np.mean([area(make(seed), parts) for seed, parts in each])
    return areas


def part_rerun(arguments):
    again, figures = rerun(arguments), {regime: published(regime) for regime in FILES}
    tables_here = list(again[NORMAL][OURS])
    heads = ["method", *(head for regime in again for head in (regime, "ours less it"))]
    rows = [_beside(f"`{OURS}()`", OURS, again, again)]
    for method in BESIDE:
        if method in again[NORMAL]:
            rows.append(_beside(f"{method}, run here", method, again, again))
        rows.append(_beside(f"{method}, published", method, figures, again))
    head = f"{len(tables_here)} tables ({', '.join(tables_here)}), seeds {', '.join(map(str, arguments.seeds))}, "
    head += f"at most {arguments.rows:,} rows on each side:\n\n"
    return head + markdown(heads, rows), part_each(again, figures, arguments.rows)


def _beside(label, method, figures, again):
    """A row: the method's figures, and ours less these."""
    cells = [label]
    for regime in again:
        if regime in figures:
            ours = values(again[regime][OURS], again[regime][OURS])
            theirs = values(figures[regime][method], again[regime][OURS])
            cells += [with_error(theirs), with_error(ours - theirs, "+") if method != OURS else ""]
        else:
            cells += ["", ""]
    return cells


def part_each(again, figures, most):
    """Each table's AUROC, and how far KNN is from what was published, for the results page."""
    tables_here = list(again[NORMAL][OURS])
    columns = {f"{regime}: {method}": areas for regime, found in again.items() for method, areas in found.items()}
    columns |= {f"{regime}: KNN published": found["KNN"] for regime, found in figures.items()}
    rows = [[table, *(f"{areas[table]:.4f}" for areas in columns.values())] for table in tables_here]
    n_rows = sizes()
    whole = [table for table in tables_here if n_rows[table] <= most]
    gaps = [np.abs(values(again[r]["KNN"], whole) - values(figures[r]["KNN"], whole)).max() for r in FILES]
    note = f"KNN run here and published, the largest difference on the {len(whole)} tables that are not cut: "
    note += ", ".join(f"{gap:.5f} {regime}" for gap, regime in zip(gaps, FILES, strict=True))
    return f"{markdown(['table', *columns], rows)}\n\n{note}."


# -- tables that are resampled ----------------------------------------------------------------------------------------


def share_of_copies(parts):
    """The share of the normal rows that are scored which equal a row of training."""
    train, test, y = parts
    seen = {row.tobytes() for row in train}
    return np.mean([row.tobytes() in seen for row in test[~y]])


def part_copies(arguments):
    heads = ["table", "rows", "copies among normal rows scored", "without"]
    heads += ["1-nearest neighbour", "without", "KNN", "without", "KNN published", f"`{OURS}()`", "without"]
    makers = lambda seed: KNN(1), *(methods(NORMAL)[method] for method in ("KNN", OURS))
    figures, rows, every = published(NORMAL)["KNN"], [], []
    for table, X, y in tables(arguments.data):
        if len(y) < SMALL:
            name, found = table.split("_", 1)[1].lower(), []
            for seed in arguments.seeds:
                both = split(X, y, seed, NORMAL), split(X, y, seed, SHUFFLED, copies=False)
                found.append([f(parts) for f in measures(makers, seed) for parts in both])
            every.append(np.insert(np.mean(found, axis=0), 6, figures[name]))
            rows.append([name, f"{len(y)}", *(f"{cell:.3f}" for cell in every[-1])])
    rows.append(["mean", "", *(f"{cell:.3f}" for cell in np.mean(every, axis=0))])
    return markdown(heads, rows)


def measures(makers, seed):
    return share_of_copies, *(partial(area, make(seed)) for make in makers)


# -- output -----------------------------------------------------------------------------------------------------------


def filled(page, parts):
    """The page with its tables anew."""
    for name, text in parts.items():
        begin = BEGIN.format(name)
        before, found, rest = page.partition(begin)
        if not found:
            raise ValueError(f"The page has no line {begin!r}.")
        page = before + begin + f"\n{text}\n\n" + END + rest.partition(END)[2]
    return page


def main():
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options.add_argument("--rows", type=int, default=10000, help="the most on each side of a split")
    options.add_argument("--write", action="store_true", help="into results/ and docs/adbench.md, too")
    arguments = options.parse_args()
    warnings.simplefilter("ignore")
    again, each = part_rerun(arguments)
    parts = {"published": part_published(), "rerun": again, "copies": part_copies(arguments)}
    seconds = f"{time.process_time():.0f} s of CPU time"
    text = f"# Published AUROC on ADBench, and ours\n\n`{COMMAND}`\n\n{versions()}; {seconds}\n"
    text += "".join(f"\n## {name.capitalize()}\n\n{part}\n" for name, part in {**parts, "each table": each}.items())
    print(text)
    if arguments.write:
        RESULTS.write_text(text)
        PAGE.write_text(filled(PAGE.read_text(), parts))


if __name__ == "__main__":
    main()
