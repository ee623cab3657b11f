"""Outliers in 21 tables of ADBench: DensityOutlierDetector() beside scikit-learn's and PyOD's detectors.

Each table (at most 4,000 of its rows, drawn at random) is split 70/30 by label and scaled to [0, 1] by its training
rows. Labels enter no fit. Mean AUROC on the 30 %, for a fit to the 70 % as they are ("contaminated") and to the normal
rows among them ("normal only"); every method has one setting for all tables. ``--part alarms`` is about p-values:
false alarms on fresh normal rows. ``--part contamination`` is about a share of outliers among the rows of ``fit``,
those kept apart included.

    python benchmarks/anomaly.py --data FOLDER --seeds 2 3 4
    python benchmarks/anomaly.py --data FOLDER --part contamination --figure docs/images/anomaly_contamination.png
"""

import time
import warnings
from pathlib import Path

import numpy as np
from datasets import parser, versions
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.preprocessing import MinMaxScaler

from sklatent import DensityOutlierDetector

CHOSEN_ON = ("1", "5", "9")  # last digits of the tables that settings were chosen on, with seeds 0 and 1
OURS = "DensityOutlierDetector"
LEVELS = (0.01, 0.05, 0.1)
SHARES = (0.0, 0.01, 0.05, 0.1)


def tables(data):
    for path in sorted((Path(data) / "adbench").glob("*.npz"), key=lambda path: int(path.stem.split("_")[0])):
        with np.load(path) as arrays:
            yield path.stem, arrays["X"].astype(np.float64), arrays["y"].ravel().astype(bool)


def split(X, y, seed):
    rows = np.random.RandomState(seed).permutation(len(X))[:4000] if len(X) > 4000 else np.arange(len(X))
    return train_test_split(X[rows], y[rows], test_size=0.3, stratify=y[rows], random_state=seed)


class FromPyOD:
    """A PyOD detector, whose scores are high for outliers."""

    def __init__(self, detector):
        self.detector = detector

    def fit(self, X):
        self.detector.fit(X)
        return self

    def score_samples(self, X):
        return -self.detector.decision_function(X)


def methods(wanted):
    """By name: a function of the seed that makes the detector."""
    found = {
        "IsolationForest": lambda seed: IsolationForest(random_state=seed),
        "LocalOutlierFactor": lambda seed: LocalOutlierFactor(novelty=True),
        "PCA": lambda seed: PCA(0.9),
        "KernelDensity": lambda seed: KernelDensity(bandwidth=0.2),
        "GaussianMixture": lambda seed: GaussianMixture(5, reg_covar=1e-2, random_state=seed),
    }
    found |= _of_pyod()
    found[OURS] = lambda seed: DensityOutlierDetector(random_state=seed)
    return {name: make for name, make in found.items() if wanted is None or name in (*wanted, OURS)}


def _of_pyod():
    try:
        from pyod.models.auto_encoder import AutoEncoder
        from pyod.models.ecod import ECOD
        from pyod.models.hbos import HBOS
        from pyod.models.knn import KNN
        from pyod.models.vae import VAE
    except ImportError:
        return {}
    return {
        "PyOD HBOS": lambda seed: FromPyOD(HBOS()),
        "PyOD ECOD": lambda seed: FromPyOD(ECOD()),
        "PyOD KNN": lambda seed: FromPyOD(KNN()),
        "PyOD AutoEncoder": lambda seed: FromPyOD(AutoEncoder(random_state=seed, verbose=0)),
        "PyOD VAE": lambda seed: FromPyOD(VAE(random_state=seed, verbose=0)),
    }


def auroc(make, seed, train, X_test, y_test):
    """AUROC and seconds of a fit and the scores; a method that fails counts as chance."""
    start = time.perf_counter()
    try:
        scores = make(seed).fit(train).score_samples(X_test)
    except (ValueError, np.linalg.LinAlgError):
        return 0.5, time.perf_counter() - start, True
    return (
        roc_auc_score(y_test, -np.nan_to_num(scores, posinf=1e300, neginf=-1e300)),
        time.perf_counter() - start,
        False,
    )


def ranking(arguments):
    makers = methods(arguments.methods)
    names, areas, seconds, failed = [], {}, {}, {}
    for table, X, y in tables(arguments.data):
        names.append(table)
        for seed in arguments.seeds:
            X_train, X_test, y_train, y_test = split(X, y, seed)
            for regime, train in (("contaminated", X_train), ("normal only", X_train[~y_train])):
                scaler = MinMaxScaler().fit(train)
                for name, make in makers.items():
                    key = name, regime, table, seed
                    areas[key], seconds[key], failed[key] = auroc(
                        make, seed, scaler.transform(train), scaler.transform(X_test), y_test
                    )
    seeds = arguments.seeds

    def mean(name, regime, chosen):
        return np.mean([[areas[name, regime, table, seed] for table in chosen] for seed in seeds])

    other = [table for table in names if not table.split("_")[0].endswith(CHOSEN_ON)]
    print(f"{len(names)} tables, seeds {', '.join(map(str, seeds))}; seconds of one seed, both fits and scores\n")
    print("| method | contaminated | normal only | the same on tables not used for choices | | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in makers:
        cells = [mean(name, regime, chosen) for chosen in (names, other) for regime in ("contaminated", "normal only")]
        spent = sum(value for key, value in seconds.items() if key[0] == name) / len(seeds)
        n_failed = sum(value for key, value in failed.items() if key[0] == name)
        note = f" ({n_failed} fits failed)" if n_failed else ""
        print(f"| {name}{note} | " + " | ".join(f"{cell:.3f}" for cell in cells) + f" | {spent:.1f} |")
    print("\nOurs less another's, contaminated / normal only: mean of the tables, its standard error, tables won.\n")
    print("| method | contaminated | normal only |\n| --- | --- | --- |")
    for name in makers:
        if name != OURS:
            cells = [_paired(areas, name, regime, names, seeds) for regime in ("contaminated", "normal only")]
            print(f"| {name} | " + " | ".join(cells) + " |")
    if arguments.each:
        for regime in ("contaminated", "normal only"):
            print(f"\n{regime.capitalize()}:\n\n| table | " + " | ".join(makers) + " |")
            print("| --- |" + " ---: |" * len(makers))
            for table in names:
                cells = [f"{mean(name, regime, [table]):.3f}" for name in makers]
                print(f"| {table.split('_', 1)[1]} | " + " | ".join(cells) + " |")


def _paired(areas, name, regime, names, seeds):
    gains = [np.mean([areas[OURS, regime, t, s] - areas[name, regime, t, s] for s in seeds]) for t in names]
    error = np.std(gains, ddof=1) / np.sqrt(len(gains))
    return f"{np.mean(gains):+.3f} ± {error:.3f}, {np.sum(np.array(gains) > 0)} of {len(gains)}"


def alarms(arguments):
    """Shares of p-values at or below each level, on normal rows that no fit has seen."""
    rates = []
    for _, X, y in tables(arguments.data):
        for seed in arguments.seeds:
            X_train, X_test, y_train, y_test = split(X, y, seed)
            detector = DensityOutlierDetector(random_state=seed).fit(X_train[~y_train])
            if detector.calibrated_:
                p = detector.p_values(X_test[~y_test])
                rates.append([(p <= level).mean() for level in LEVELS])
    print(f"{len(rates)} fits to normal rows, of tables and seeds with enough rows to calibrate\n")
    print("| level | " + " | ".join(f"{level:g}" for level in LEVELS) + " |\n| --- |" + " ---: |" * len(LEVELS))
    print("| false alarms | " + " | ".join(f"{rate:.4f}" for rate in np.mean(rates, axis=0)) + " |")
    errors = np.std(rates, axis=0, ddof=1) / np.sqrt(len(rates))
    print("| standard error | " + " | ".join(f"{error:.4f}" for error in errors) + " |")


def contamination(arguments):
    """Power and false alarms at 0.05, with a share of outliers among the rows of ``fit``."""
    rates, used = {share: [] for share in SHARES}, []
    for table, X, y in tables(arguments.data):
        for seed in arguments.seeds:
            X_train, X_test, y_train, y_test = split(X, y, seed)
            normal, odd = X_train[~y_train], X_train[y_train]
            n_odd = {share: round(len(normal) * share / (1 - share)) for share in SHARES}
            if len(normal) < 990 or n_odd[SHARES[-1]] > len(odd):
                continue
            used.append(table.split("_", 1)[1])
            odd = odd[np.random.RandomState(seed).permutation(len(odd))]
            for share, n in n_odd.items():
                detector = DensityOutlierDetector(random_state=seed).fit(np.concatenate([normal, odd[:n]]))
                p = detector.p_values(X_test)
                alarmed = p <= 0.05
                rates[share].append(
                    [
                        alarmed[y_test].mean(),
                        alarmed[~y_test].mean(),
                        roc_auc_score(y_test, -detector.score_samples(X_test)),
                    ]
                )
    n = len(rates[0.0])
    print(f"{n} fits each, of {', '.join(dict.fromkeys(used))}; mean ± standard error of the change from no outliers\n")
    print("| outliers among the rows of fit | power at 0.05 | false alarms at 0.05 | AUROC |")
    print("| ---: | ---: | ---: | ---: |")
    for share, values in rates.items():
        mean, change = np.mean(values, axis=0), np.array(values) - np.array(rates[0.0])
        error = change.std(axis=0, ddof=1) / np.sqrt(n)
        cells = [f"{m:.3f} ± {e:.3f}" if share else f"{m:.3f}" for m, e in zip(mean, error, strict=True)]
        print(f"| {100 * share:.0f} % | " + " | ".join(cells) + " |")
    if arguments.figure:
        draw({share: np.mean(values, axis=0) for share, values in rates.items()}, arguments.figure)


def draw(means, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
    percent = [100 * share for share in means]
    for ax, column, title in zip(axes, (0, 1), ("power", "false alarms"), strict=True):
        ax.plot(percent, [values[column] for values in means.values()], marker="o", clip_on=False)
        ax.set(title=f"{title} at level 0.05", xlabel="outliers among the rows of fit, %", ylim=(0, None))
    axes[1].axhline(0.05, color="gray", linestyle="--", linewidth=1)
    axes[1].set_ylim(0, 0.06)
    figure.savefig(path, dpi=150)


def main():
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    options.add_argument("--part", choices=["ranking", "alarms", "contamination", "all"], default="all")
    options.add_argument("--figure", type=Path, help="where to save the picture of --part contamination")
    options.add_argument("--each", action="store_true", help="each table's AUROC, too")
    options.add_argument("--methods", nargs="+", help="of the ranking, beside ours; else all installed")
    arguments = options.parse_args()
    run_parts({"ranking": ranking, "alarms": alarms, "contamination": contamination}, arguments)


def run_parts(parts, arguments):
    """Those of ``--part``, by name, each under its heading."""
    warnings.simplefilter("ignore")
    print(f"{versions()}\n")
    for name in parts if arguments.part == "all" else [arguments.part]:
        print(f"## {name.capitalize()}\n")
        parts[name](arguments)
        print(flush=True)


if __name__ == "__main__":
    main()
