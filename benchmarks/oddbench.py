"""Outliers that are real rare classes, in 110 tables of OddBench, with and without outliers among the rows of fit.

Every other table (the first, the third, ...) served to choose the default pool of ``DensityOutlierDetector``; the means
are those of the others. At most 1,200 normal rows are fitted on, with 0, 2 or 8 % of outliers mixed in; the rest of the
outliers and the normal rows of the test part are scored. One setting for all tables, no label enters a fit.

    python benchmarks/oddbench.py --data FOLDER
"""

import warnings
from pathlib import Path

import numpy as np
from datasets import parser, versions
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from sklatent import DensityOutlierDetector

SHARES, N_NORMAL = (0, 2, 8), 1200


class Nearest:
    """Minus the distance to the fifth neighbour among standardised rows."""

    def fit(self, X):
        self.scaler = StandardScaler().fit(X)
        self.tree = NearestNeighbors(n_neighbors=5).fit(self.scaler.transform(X))
        return self

    def score_samples(self, X):
        return -self.tree.kneighbors(self.scaler.transform(X))[0][:, -1]


METHODS = {
    "DensityOutlierDetector": lambda seed: DensityOutlierDetector(random_state=seed),
    "IsolationForest": lambda seed: IsolationForest(random_state=seed),
    "5 nearest neighbours": lambda seed: Nearest(),
}


def mixed(path, percent, seed):
    """Rows to fit on, rows to score, and which of these are outliers."""
    with np.load(path) as arrays:
        normal, test, odd = arrays["normal"].astype(float), arrays["test"].astype(float), arrays["y"].astype(bool)
    rng = np.random.RandomState(seed)
    normal, outliers = normal[rng.permutation(len(normal))[:N_NORMAL]], rng.permutation(test[odd])
    n = min(round(len(normal) * percent / (100 - percent)), len(outliers) // 2)
    scored = np.concatenate([test[~odd], outliers[n:]])
    return np.concatenate([normal, outliers[:n]]), scored, np.arange(len(scored)) >= np.sum(~odd)


def main():
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--chosen", action="store_true", help="the half that the default was chosen on")
    arguments = options.parse_args()
    warnings.simplefilter("ignore")
    paths = sorted((Path(arguments.data) / "oddbench").glob("*.npz"))[0 if arguments.chosen else 1 :: 2]
    areas = {name: np.empty((len(SHARES), len(paths))) for name in METHODS}
    for j, path in enumerate(paths):
        for i, percent in enumerate(SHARES):
            train, scored, odd = mixed(path, percent, arguments.seed)
            for name, make in METHODS.items():
                scores = make(arguments.seed).fit(train).score_samples(scored)
                areas[name][i, j] = roc_auc_score(odd, -scores)
    print(f"{versions()}; {len(paths)} tables, seed {arguments.seed}\n")
    print("| method | " + " | ".join(f"{percent} % outliers in fit" for percent in SHARES) + " |")
    print("| --- |" + " ---: |" * len(SHARES))
    for name, area in areas.items():
        print(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in area.mean(axis=1)) + " |")
    ours, *others = areas.values()
    gains = []
    for i in range(len(SHARES)):
        better = max((other[i] for other in others), key=np.mean)
        gain = ours[i] - better
        gains.append(f"{gain.mean():+.3f} ± {gain.std(ddof=1) / np.sqrt(len(gain)):.3f}")
    print("| ours less the better of the others | " + " | ".join(gains) + " |")


if __name__ == "__main__":
    main()
