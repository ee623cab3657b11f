"""What the p-values of ``DensityOutlierDetector`` are worth on the 21 tables of ADBench: few rows, answers, many tests.

``--part few``: false alarms at 0.05 on fresh normal rows, where ``fit`` has seen 100, 300 or 1,000 normal rows.
``--part answers``: power at 0.05 where 5 % of the rows of ``fit`` are outliers, before and after somebody has looked at
the rows that ``rows_to_label`` names. ``--part fdr``: false ones among those that ``predict_fdr`` flags, of 95 normal
rows and 5 outliers a call.

    python benchmarks/anomaly_p_values.py --data FOLDER
"""

import numpy as np
from anomaly import run_parts, split, tables
from datasets import parser

from sklatent import DensityOutlierDetector, MADEDensity

N_FEW, ANSWERS = (100, 300, 1000), (0, 5, 10, 20)
DENSITIES = {"default": lambda: None, "MADEDensity": MADEDensity}


def cell(values):
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def few(arguments):
    """Tables with that many normal rows to fit on, and 30 fresh ones."""
    print("| rows of `fit` | fits | " + " | ".join(arguments.densities) + " |")
    print("| ---: | ---: |" + " ---: |" * len(arguments.densities), flush=True)
    for n in N_FEW:
        rates = {name: [] for name in arguments.densities}
        for _, X, y in tables(arguments.data):
            normal = X[~y]
            if len(normal) < n + 30:
                continue
            for seed in arguments.seeds:
                rows = normal[np.random.RandomState(seed).permutation(len(normal))[: n + 2000]]
                for name in rates:
                    detector = DensityOutlierDetector(DENSITIES[name](), random_state=seed).fit(rows[:n])
                    rates[name].append((detector.p_values(rows[n:]) <= 0.05).mean())
        n_fits = len(next(iter(rates.values())))
        print(f"| {n} | {n_fits} | " + " | ".join(cell(rate) for rate in rates.values()) + " |", flush=True)


def answers(arguments):
    """As in ``anomaly.py --part contamination``: tables with 990 normal rows to fit on, and enough outliers."""
    power, alarms = {n: [] for n in ANSWERS}, {n: [] for n in ANSWERS}
    for _, X, y in tables(arguments.data):
        for seed in arguments.seeds:
            X_train, X_test, y_train, y_test = split(X, y, seed)
            normal, odd = X_train[~y_train], X_train[y_train]
            n_odd = round(len(normal) * 0.05 / 0.95)
            if len(normal) < 990 or round(len(normal) / 9) > len(odd):
                continue
            rows = np.concatenate([normal, odd[np.random.RandomState(seed).permutation(len(odd))[:n_odd]]])
            truth = np.where(np.arange(len(rows)) < len(normal), 1, -1)
            detector = DensityOutlierDetector(random_state=seed).fit(rows)
            for n in ANSWERS:
                asked = detector.rows_to_label(n - len(detector._looked_at_))
                if len(asked):
                    detector.recalibrate(rows[asked], truth[asked])
                flagged = detector.predict(X_test) == -1
                power[n].append(flagged[y_test].mean())
                alarms[n].append(flagged[~y_test].mean())
    print(f"{len(power[0])} fits\n\n| answers | power at 0.05 | false alarms |\n| ---: | ---: | ---: |")
    for n in ANSWERS:
        print(f"| {n} | {np.mean(power[n]):.3f} | {cell(alarms[n])} |")


def fdr(arguments):
    """Fits to normal rows, of tables with 100 fresh normal rows; 20 calls each."""
    print("| density | fits | level | false among the flagged | power | calls that flag any |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for tail in (None, "pareto"):
        false, found, fired = ({level: [] for level in (0.1, 0.2)} for _ in range(3))
        for _, X, y in tables(arguments.data):
            for seed in arguments.seeds:
                X_train, X_test, y_train, y_test = split(X, y, seed)
                normal, fresh, odd = X_train[~y_train], X_test[~y_test], X_test[y_test]
                if len(fresh) < 100 or len(odd) < 5 or len(normal) < 990:
                    continue
                detector, rng = (
                    DensityOutlierDetector(tail=tail, random_state=seed).fit(normal),
                    np.random.RandomState(seed),
                )
                for level in false:
                    calls = np.array([_call(detector, fresh, odd, level, rng) for _ in range(20)])
                    for kept, column in zip((false, found, fired), calls.T, strict=True):
                        kept[level].append(column.mean())
        for level in false:
            cells = [cell(false[level]), cell(found[level]), f"{np.mean(fired[level]):.2f}"]
            print(f"| default, tail={tail} | {len(false[level])} | {level} | " + " | ".join(cells) + " |", flush=True)


def _call(detector, fresh, odd, level, rng):
    """Share of false ones among the flagged, of the outliers flagged, and whether any row was."""
    rows = np.concatenate([fresh[rng.choice(len(fresh), 95, False)], odd[rng.choice(len(odd), 5, False)]])
    flagged = detector.predict_fdr(rows, fdr=level) == -1
    return flagged[:95].sum() / max(1, flagged.sum()), flagged[95:].mean(), flagged.any()


def main():
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    options.add_argument("--part", choices=["few", "answers", "fdr", "all"], default="all")
    options.add_argument("--densities", nargs="+", choices=DENSITIES, default=list(DENSITIES), help="of --part few")
    arguments = options.parse_args()
    run_parts({"few": few, "answers": answers, "fdr": fdr}, arguments)


if __name__ == "__main__":
    main()
