"""Rows with holes: what is filled in, classifiers behind it, likelihoods of what is there, and what it costs.

    python benchmarks/missing_values.py --data FOLDER --part filled

``filled``: error of what is filled in beside three imputers of scikit-learn with their defaults. Features are
standardised by the training rows; the error is the root of the mean over features of the mean square over what was
removed. All are fitted to training rows with holes and fill in held-out rows with holes. Values are removed at random,
or (``--by others``) by another column: a third of the columns stays whole, each of the others misses values with
log-odds of a constant and twice a standardised whole column. ``classifier``: accuracy of logistic regression on filled
rows, 30 % removed, and of HistGradientBoosting on rows with holes. ``likelihood``: mean log-density in nats, of what is
there in held-out rows, of densities fitted to rows with holes and to rows filled by the mean. ``cost``: seconds of a
fit to rows with 10 % removed over one to whole rows, and over another fit to whole rows with as many steps.

scikit-learn's bundled tables; with ``--data`` ADBench's, too. Choices (sizes of mixtures, shares, how to choose) were
made on normal rows of OddBench.
"""

import sys
import time
import warnings

import numpy as np
from datasets import parser, versions
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import AutoencoderTransformer, MADEDensity, VAETransformer

BUNDLED = {"breast cancer": load_breast_cancer, "diabetes": load_diabetes, "digits": load_digits, "wine": load_wine}
ADBENCH = ("7_Cardiotocography", "23_mammography", "27_PageBlocks", "31_satimage-2", "35_SpamBase", "47_yeast")
MOST, N_DRAWS = 1000, 20
IMPUTERS = {"mean": SimpleImputer, "KNN": KNNImputer, "Iterative": IterativeImputer}


def tables(arguments):
    """Name -> X, y; no constant columns."""
    names = arguments.sets
    for name, load in BUNDLED.items():
        if name in (names or [name]):
            yield name, *_kept(*load(return_X_y=True))
    for name in ADBENCH if arguments.data else ():
        if name.split("_")[1] in (names or [name.split("_")[1]]):
            with np.load(f"{arguments.data}/adbench/{name}.npz") as arrays:
                yield name.split("_")[1], *_kept(arrays["X"], arrays["y"])


def _kept(X, y):
    return X[:, X.std(axis=0) > 0].astype(np.float64), y


def draws(arguments, rates):
    """Rows and held-out rows, standardised by the former, with the same of which values were removed."""
    for name, X, y in tables(arguments):
        for rate in rates:
            for seed in arguments.seeds:
                random = np.random.RandomState(seed)
                order, n = random.permutation(len(X)), min(MOST, 2 * len(X) // 3)
                train, test = order[:n], order[n : n + MOST]
                scaler = StandardScaler().fit(X[train])
                X_train, X_test = (scaler.transform(X[part]) for part in (train, test))
                gone = [removed(part, rate, random, arguments.by) for part in (X_train, X_test)]
                yield name, rate, seed, (X_train, X_test), gone, (y[train], y[test])


def removed(X, rate, random, by):
    """Whether each value is removed; one of each row stays."""
    n, d = X.shape
    if by == "others" and d > 1:
        n_whole = max(1, d // 3)
        log_odds = 2 * X[:, random.randint(n_whole, size=d)] + np.log(rate / (1 - rate))
        gone = random.random_sample((n, d)) < 1 / (1 + np.exp(-log_odds))
        gone[:, :n_whole] = False
        return gone
    gone = random.random_sample((n, d)) < rate
    gone[gone.all(axis=1), 0] = False
    return gone


def holes(X, gone):
    return np.where(gone, np.nan, X)


def error(X, filled, gone):
    squares = np.where(gone, X - filled, 0) ** 2
    return np.sqrt(np.mean(squares.sum(axis=0)[gone.any(axis=0)] / gone.sum(axis=0)[gone.any(axis=0)]))


def by_draws(made, X):
    return np.mean([made.complete(X, random_state=i) for i in range(N_DRAWS)], axis=0)


def filled(arguments):
    for name, rate, seed, (X, T), (gone, gone_test), _ in draws(arguments, arguments.rates):
        cells, n, width = {}, len(X), X.shape[1]
        for imputer, cls in IMPUTERS.items():
            options = {"random_state": seed} if cls is IterativeImputer else {}
            fitted = cls(keep_empty_features=True, **options).fit(holes(X, gone))
            cells[imputer] = error(T, fitted.transform(holes(T, gone_test)), gone_test)
        for model in (VAETransformer(random_state=seed), MADEDensity(random_state=seed)):
            if type(model).__name__ in arguments.models:
                model.fit(holes(X, gone))
                fill = by_draws if isinstance(model, MADEDensity) else VAETransformer.complete
                cells[type(model).__name__] = error(T, fill(model, holes(T, gone_test)), gone_test)
        best = min(cells[imputer] for imputer in IMPUTERS)
        ratios = [f"{cells[each] / best:.3f}" for each in cells if each not in IMPUTERS]
        tell(name, f"{n} x {width}", f"{rate:.0%}", seed, *(f"{cell:.3f}" for cell in cells.values()), *ratios)


def classifier(arguments):
    for name, _, seed, (X, T), (gone, gone_test), (y, y_test) in draws(arguments, [0.3]):
        if name == "diabetes":
            continue
        cells = []
        for cls in (*IMPUTERS.values(), VAETransformer):
            fill = cls(random_state=seed) if cls is VAETransformer else cls(keep_empty_features=True)
            rows = [fill.fit(holes(X, gone))] and [
                getattr(fill, "complete", getattr(fill, "transform", None))(holes(part, out))
                for part, out in ((X, gone), (T, gone_test))
            ]
            logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(rows[0], y)
            cells.append(100 * logistic.score(rows[1], y_test))
        trees = HistGradientBoostingClassifier(random_state=seed).fit(holes(X, gone), y)
        tell(name, seed, *(f"{cell:.1f}" for cell in cells), f"{100 * trees.score(holes(T, gone_test), y_test):.1f}")


def likelihood(arguments):
    for name, rate, seed, (X, T), (gone, gone_test), _ in draws(arguments, arguments.rates):
        cells = []
        for cls in (VAETransformer, MADEDensity):
            if cls.__name__ not in arguments.models:
                continue
            ours = cls(random_state=seed).fit(holes(X, gone)).score(holes(T, gone_test))
            by_mean = cls(random_state=seed).fit(SimpleImputer().fit_transform(holes(X, gone)))
            cells += [ours, by_mean.score(holes(T, gone_test)), ours - by_mean.score(holes(T, gone_test))]
        tell(name, f"{rate:.0%}", seed, *(f"{cell:.2f}" for cell in cells))


def cost(arguments):
    for name, _, seed, (X, _), (gone, _), _ in draws(arguments, [0.1]):
        cells = []
        for cls in (AutoencoderTransformer, VAETransformer, MADEDensity):
            for options in ({}, {"max_iter": 100}):
                seconds = []
                for rows in (X, holes(X, gone)):
                    start = time.perf_counter()
                    cls(random_state=seed, **options).fit(rows)
                    seconds.append(time.perf_counter() - start)
                cells += [f"{seconds[1]:.1f}", f"{seconds[1] / seconds[0]:.2f}"]
        tell(name, f"{len(X)} x {X.shape[1]}", *cells)


def tell(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


PARTS = {"filled": filled, "classifier": classifier, "likelihood": likelihood, "cost": cost}


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--part", choices=PARTS, default="filled")
    arguments.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.3, 0.5])
    arguments.add_argument("--by", choices=("chance", "others"), default="chance")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments.add_argument("--sets", nargs="+")
    arguments.add_argument("--models", nargs="+", default=["VAETransformer", "MADEDensity"])
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore")
    print(f"{versions()}; {' '.join(sys.argv[1:])}\n")
    PARTS[arguments.part](arguments)


if __name__ == "__main__":
    main()
