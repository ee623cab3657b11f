"""Held-out log-density of ordinary tables: MADEDensity beside grid-searched scikit-learn densities.

Mean over the test rows (30 %) of the log-density in nats, in units of each feature's standard deviation, so that
tables compare. ``GaussianMixture`` and ``KernelDensity`` are grid-searched by cross-validation on the training rows;
MADE has its defaults, or one option. scikit-learn's bundled tables; with ``--data`` some of ADBench's too.

    python benchmarks/tables_density.py
"""

import time
import warnings
from pathlib import Path

import numpy as np
from datasets import parser, versions
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KernelDensity

from sklatent import MADEDensity

ADBENCH = ["19_landsat", "23_mammography", "27_PageBlocks", "41_Waveform", "47_yeast"]


def tables(data):
    bundled = {"iris": load_iris, "wine": load_wine, "breast cancer": load_breast_cancer, "diabetes": load_diabetes}
    for name, load in bundled.items():
        yield name, load().data
    for name in ADBENCH if data else []:
        with np.load(Path(data) / "adbench" / f"{name}.npz") as arrays:
            yield name.split("_")[1], arrays["X"][:4000]


def models(seed):
    mixture = {"n_components": [1, 2, 5, 10, 20], "reg_covar": [1e-3, 1e-2, 1e-1]}
    made = {"random_state": seed}
    return {
        "GaussianMixture": GridSearchCV(GaussianMixture(random_state=seed), mixture, cv=3),
        "KernelDensity": GridSearchCV(KernelDensity(), {"bandwidth": np.geomspace(0.05, 1, 10)}, cv=3),
        "MADE": MADEDensity(**made),
        "MADE, early stopping": MADEDensity(early_stopping=True, max_iter=100, **made),
        "MADE, input_dropout=0": MADEDensity(input_dropout=0.0, **made),
    }


def main():
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    names = list(models(arguments.seed))
    print(f"{versions()}; seed {arguments.seed}\n")
    print("| table | rows x features | " + " | ".join(names) + " |")
    print("| --- | --- |" + " ---: |" * len(names))
    seconds = dict.fromkeys(names, 0.0)
    for table, X in tables(arguments.data):
        X = X[:, X.std(axis=0) > 0]
        X_train, X_test = train_test_split(X, test_size=0.3, random_state=arguments.seed)
        shift, scale = X_train.mean(axis=0), np.where(X_train.std(axis=0) > 0, X_train.std(axis=0), 1)
        X_train, X_test = (X_train - shift) / scale, (X_test - shift) / scale
        cells = []
        for name, model in models(arguments.seed).items():
            start = time.perf_counter()
            cells.append(model.fit(X_train).score(X_test))
            seconds[name] += time.perf_counter() - start
        cells[1] /= len(X_test)  # KernelDensity.score is a sum, the others' a mean
        print(
            f"| {table} | {len(X)} x {X.shape[1]} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |", flush=True
        )
    print("| seconds in all | |" + " | ".join(f"{seconds[name]:.0f}" for name in names) + " |")


if __name__ == "__main__":
    main()
