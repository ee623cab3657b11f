"""False alarms at levels that ranks do not reach, by the Pareto tail of the scores that calibrated.

A new score is a false alarm if it is below ``quantile(level)``; the chance of it is known in closed form. In multiples
of the level: mean over calibrations ± standard error, and what one in ten calibrations exceeds.

    python benchmarks/tail.py
"""

import numpy as np
from datasets import parser, versions
from scipy import stats

from sklatent._outliers.tail import _ParetoTail

LEVELS = (1e-2, 1e-3, 1e-4)
STRANGENESS = {  # minus the score, but for a constant and a factor
    "log-density of a normal, 1 feature": stats.chi2(1),
    "2 features: exponential": stats.expon(),
    "20 features": stats.chi2(20),
    "log-density of t3, 5 features": stats.f(5, 3),  # of which the score is a monotone function, below
    "normal": stats.norm(),
    "t3": stats.t(3),
}


def scores(name, strangeness):
    return -np.log1p(5 / 3 * strangeness) if name.startswith("log-density of t3") else -strangeness


def strangeness(name, score):
    return np.expm1(-score) * 3 / 5 if name.startswith("log-density of t3") else -score


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--calibrations", type=int, default=2000)
    arguments = arguments.parse_args()
    print(f"{versions()}\n")
    for n in (100, 400, 2000):
        rng = np.random.default_rng([arguments.seed, n])
        print(f"## {n} scores calibrate\n\n| score | " + " | ".join(f"{level:g} | 1 in 10" for level in LEVELS) + " |")
        print("| --- |" + " ---: |" * (2 * len(LEVELS)))
        for name, distribution in STRANGENESS.items():
            rates = []
            for _ in range(arguments.calibrations):
                draws = distribution.ppf(rng.uniform(size=n))
                tail = _ParetoTail().fit(scores(name, draws))
                rates.append([distribution.sf(strangeness(name, tail.quantile(level))) / level for level in LEVELS])
            mean, tenth = np.mean(rates, axis=0), np.quantile(rates, 0.9, axis=0)
            error = np.std(rates, axis=0, ddof=1) / np.sqrt(len(rates))
            cells = [f"{m:.2f} ± {e:.2f} | {t:.2f}" for m, e, t in zip(mean, error, tenth, strict=True)]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        print()


if __name__ == "__main__":
    main()
