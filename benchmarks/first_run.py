"""The first run: defaults only, beside the linear model of the same size.

    python benchmarks/first_run.py --data FOLDER --part autoencoder

``autoencoder``: held-out squared error over that of PCA fitted to the same rows, in the units that both see: of images
those of X, of tables standardised ones. ``vae``: held-out evidence bound less probabilistic PCA's exact log-likelihood,
in nats a row (floor of the variance 0.001, as the VAE has it). ``codes``: accuracy of logistic regression with ten
labels a class on codes of 8 components and all rows, less that on PCA's, in points. ``made``: held-out log-density less
that of a GaussianMixture tuned by cross-validation (1 to 10 components, full or diagonal, three floors), in nats a row.
``time``: seconds of a fit from the linear start over one from a plain start, as many steps of each.

Rows are drawn with the seed; the rest, at most 1,000, are held out. Nothing was chosen on these sets: choices were made
on normal rows of OddBench, MNIST, Trace and ACSF1.
"""

import sys
import time
import warnings

import numpy as np
from datasets import cifar10_subset, images, parser, versions
from low_label import labelled_rows, table_split, tables
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler
from tables_density import tables as tables_of_densities

from sklatent import AutoencoderTransformer, MADEDensity, VAETransformer

SIZES, CODES, MOST_TEST = (100, 300, 1000, 10_000), (8, 16, 32), 1000


def sets(data):
    """Name -> rows, image_shape."""
    yield "digits", load_digits().data, (8, 8)
    yield "breast cancer", load_breast_cancer().data, None
    yield "Fashion-MNIST", images("fashion-mnist", data)[0], (28, 28)
    if data is not None:
        yield "CIFAR-10 subset", np.concatenate(cifar10_subset(data)), (3, 32, 32)
        for name in ("31_satimage-2", "7_Cardiotocography", "27_PageBlocks", "41_Waveform"):
            with np.load(f"{data}/adbench/{name}.npz") as arrays:
                yield name.split("_")[1], arrays["X"], None


def draws(arguments):
    for name, X, shape in sets(arguments.data):
        for n in arguments.sizes:
            if n + 100 > len(X) or name not in (arguments.sets or [name]):
                continue
            for seed in arguments.seeds:
                order = np.random.RandomState(seed).permutation(len(X))
                rows, test = (X[part].astype(np.float64) for part in (order[:n], order[n : n + MOST_TEST]))
                if shape is None:  # what both models see, so that one error means the same
                    scaler = StandardScaler().fit(rows)
                    rows, test = scaler.transform(rows), scaler.transform(test)
                yield name, n, seed, rows, test, shape


def squared_error(model, X):
    return np.square(model.inverse_transform(model.transform(X)) - X).sum(axis=1).mean()


def autoencoder(arguments):
    for name, n, seed, X, test, shape in draws(arguments):
        for k in arguments.codes:
            if k < X.shape[1]:
                model, seconds = fitted(AutoencoderTransformer(k, image_shape=shape, random_state=seed), X)
                ratio = squared_error(model, test) / squared_error(PCA(min(k, n), random_state=0).fit(X), test)
                yield (name, n, k), ratio, seconds, model.n_steps_


def exact_ppca(X, test, k, floor=1e-3, shared=False):
    """Log-likelihood of probabilistic PCA in the units of X; scaled as the VAE scales, with its floor."""
    shift, scale = (X.mean(), X.std()) if shared else (X.mean(axis=0), X.std(axis=0))
    scale = np.where(np.asarray(scale) > 0, scale, 1.0)
    U, test = (X - shift) / scale, (test - shift) / scale
    n, d = U.shape
    pca = PCA(min(k, n, d), random_state=0).fit(U)
    values = pca.explained_variance_ * (n - 1) / n
    rest = max((U.var(axis=0).sum() - values.sum()) / max(d - k, 1), floor)
    Z = (test - pca.mean_) @ pca.components_.T
    values = np.maximum(values, rest)
    left = np.square(test - pca.mean_).sum(axis=1) - np.square(Z).sum(axis=1)
    squares = (np.square(Z) / values).sum(axis=1) + left / rest
    log_det = np.log(values).sum() + (d - len(values)) * np.log(rest)
    return (-0.5 * (squares + log_det + d * np.log(2 * np.pi)) - np.log(scale * np.ones(d)).sum()).mean()


def vae(arguments):
    for name, n, seed, X, test, shape in draws(arguments):
        for k in arguments.codes[:2]:
            if k < X.shape[1]:
                model, seconds = fitted(VAETransformer(k, image_shape=shape, random_state=seed), X)
                gain = model.score(test) - exact_ppca(X, test, k, shared=shape is not None)
                yield (name, n, f"{k}; {model.n_active_units_} active"), gain, seconds, model.n_steps_


def codes(arguments):
    for seed in arguments.seeds:
        for name, X, y in tables(arguments.data):
            X, y, X_test, y_test, _ = table_split(X, y, seed)
            labelled = labelled_rows(y, 10, seed)
            k = min(8, X.shape[1])
            scores = []
            for encoder in (AutoencoderTransformer, VAETransformer):
                model, seconds = fitted(encoder(k, random_state=seed), X)
                scores.append((encoder.__name__, model, seconds))
            plain = accuracy(PCA(k, random_state=0).fit(X), X[labelled], y[labelled], X_test, y_test)
            for kind, model, seconds in scores:
                gain = accuracy(model, X[labelled], y[labelled], X_test, y_test) - plain
                yield (name, len(X), kind), gain, seconds, model.n_steps_


def accuracy(encoder, X, y, X_test, y_test):
    classifier = LogisticRegression(max_iter=2000).fit(encoder.transform(X), y)
    return 100 * classifier.score(encoder.transform(X_test), y_test)


def made(arguments):
    grid = {
        "n_components": [1, 2, 3, 5, 7, 10], "covariance_type": ["full", "diag"], "reg_covar": [1e-3, 1e-2, 1e-1],
    }  # fmt: skip
    for name, data in tables_of_densities(arguments.data):
        data = data[:, data.std(axis=0) > 0]
        for seed in arguments.seeds:
            X, test = train_test_split(data, test_size=0.3, random_state=seed)
            scaler = StandardScaler().fit(X)
            X, test = scaler.transform(X), scaler.transform(test)
            model, seconds = fitted(MADEDensity(random_state=seed), X)
            tuned = GridSearchCV(GaussianMixture(random_state=seed), grid, cv=3, error_score=-np.inf).fit(X)
            yield (name, len(X), X.shape[1]), model.score(test) - tuned.score(test), seconds, model.n_steps_


def timing(arguments):
    X = images("fashion-mnist", arguments.data)[0][:10_000].astype(np.float32)
    for shape in (None, (28, 28)):
        for seed in arguments.seeds:
            started, own = fitted(AutoencoderTransformer(16, image_shape=shape, max_iter=4, random_state=seed), X)
            plain = AutoencoderTransformer(16, image_shape=shape, max_iter=4, corruption=same, random_state=seed)
            yield (
                ("Fashion-MNIST", len(X), "dense" if shape is None else "conv"),
                own / fitted(plain, X)[1],
                own,
                started.n_steps_,
            )


def same(u):
    return u


def fitted(model, X):
    start = time.perf_counter()
    return model.fit(X), time.perf_counter() - start


PARTS = {"autoencoder": autoencoder, "vae": vae, "codes": codes, "made": made, "time": timing}


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--part", choices=PARTS, default="autoencoder")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    arguments.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments.add_argument("--codes", type=int, nargs="+", default=CODES)
    arguments.add_argument("--sets", nargs="+", help="names of sets, of the first two parts; default all")
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore")
    found = {}
    for key, value, seconds, n_steps in PARTS[arguments.part](arguments):
        found.setdefault(key, []).append((value, seconds, n_steps))
        print(arguments.part, *key, f"{value:.3f}, {seconds:.1f} s, {n_steps} steps", file=sys.stderr, flush=True)
    print(
        f"{versions()}; seeds {arguments.seeds}\n\n| set | rows | | {arguments.part}: mean | least | most | s | steps |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for key, runs in found.items():
        values, seconds, steps = np.transpose(runs)
        cells = (
            f"{values.mean():.3f} | {values.min():.3f} | {values.max():.3f} | {seconds.mean():.1f} | {steps.mean():.0f}"
        )
        print("| " + " | ".join(map(str, key)) + f" | {cells} |")
    every = np.concatenate([[run[0] for run in runs] for runs in found.values()])
    print(f"\nAll: mean {every.mean():.3f}, least {every.min():.3f}, most {every.max():.3f}")


if __name__ == "__main__":
    main()
