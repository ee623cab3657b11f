"""Codes for few labels: two views that must agree, beside reconstruction, PCA and the values themselves.

    python benchmarks/two_views.py --data FOLDER

Features learn from all training rows without their labels: 70 % of digits, 8,400 of MNIST, 70 % of up to 2,000 rows of
a table (drawn at random) or of a series (``series.py``). Some of them have labels, drawn class by class, five draws.
Error on the other rows (of MNIST on its 10,000 test images), the mean of the classes' errors, in %: first of
``LogisticRegression`` on the standardised features of the labelled rows, then of ``GraphLabelSpreading`` over the
features of all training rows. "core-s" is the processor time of the transformer's fit.

Defaults, but for networks of 16, 32, 64 channels on MNIST. The autoencoder sees ``"elastic"`` rows, or ``"swap"`` on
tables.

The defaults of ``TwoViewTransformer`` were chosen on training rows of digits (other splits) and MNIST, on breast
cancer, wine, and the series Trace.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import series
from datasets import images, parser, versions
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklatent import AutoencoderTransformer, GraphLabelSpreading, TwoViewTransformer

DRAWS, MNIST_ROWS, TABLE_ROWS = 5, 8400, 2000
TABLES = ("19_landsat", "27_PageBlocks", "35_SpamBase")


def tasks(data, seed):
    """Name, labels a class, (X, X_test, y, y_test), parameters of both encoders."""
    split = {"test_size": 0.3, "random_state": seed}
    digits = train_test_split(*load_digits(return_X_y=True), **split)
    yield "digits", 3, digits, {"image_shape": (8, 8)}
    yield "digits as a table", 10, digits, {}
    if data is None:
        return
    X, y, X_test, y_test = images("mnist", data)
    some = np.random.RandomState(seed).choice(len(X), MNIST_ROWS, replace=False)
    parts = X[some], X_test, y[some], y_test
    yield "MNIST, 8,400 rows", 10, parts, {"image_shape": (28, 28), "hidden_layer_sizes": (16, 32, 64)}
    for name in TABLES:
        with np.load(Path(data) / "adbench" / f"{name}.npz") as arrays:
            X, y = arrays["X"], arrays["y"]
        some = np.random.RandomState(seed).permutation(len(X))[:TABLE_ROWS]
        X, X_test, y, y_test = train_test_split(X[some], y[some], stratify=y[some], **split)
        scaler = StandardScaler().fit(X)
        yield name.split("_")[1], 10, (scaler.transform(X), scaler.transform(X_test), y, y_test), {}
    for name in series.REPORTED:
        *parts, shape = series.split(name, data, seed)
        yield name, 5, parts, {"image_shape": shape}


def features(n_features, options):
    """What makes features, by name."""
    corruption = "elastic" if "image_shape" in options else "swap"
    return {
        "values": FunctionTransformer(),
        "PCA": PCA(min(32, n_features // 2)),
        "autoencoder": AutoencoderTransformer(corruption=corruption, random_state=0, **options),
        "VICReg": TwoViewTransformer(random_state=0, **options),
        "NT-Xent": TwoViewTransformer(loss="nt_xent", random_state=0, **options),
    }


def errors(Z, Z_test, y, y_test, per_class):
    """Of logistic regression and of the graph, mean over the draws, in %."""
    scaler, found = StandardScaler().fit(Z), []
    S, S_test = scaler.transform(Z), scaler.transform(Z_test)
    for draw in range(DRAWS):
        random = np.random.RandomState(draw)
        known = np.concatenate([random.permutation(np.flatnonzero(y == c))[:per_class] for c in np.unique(y)])
        few = np.full(len(y), -1)
        few[known] = np.unique(y, return_inverse=True)[1][known]
        linear = LogisticRegression(max_iter=5000).fit(S[known], few[known]).predict(S_test)
        graph = GraphLabelSpreading().fit(Z, few).predict(Z_test)
        truth = np.searchsorted(np.unique(y), y_test)
        found.append([100 - 100 * balanced_accuracy_score(truth, each) for each in (linear, graph)])
    return np.mean(found, axis=0)


def main(data, seed):
    """Print the table as it grows."""
    names = list(features(64, {}))
    lines = [f"# {Path(sys.argv[0]).name}", versions(), ""]
    lines += [f"| rows, labels a class | {' | '.join(names)} |", "| --- |" + " ---: |" * len(names)]
    print("\n".join(lines))
    for name, per_class, (X, X_test, y, y_test), options in tasks(data, seed):
        cells = []
        for made in features(X.shape[1], options).values():
            start = time.process_time()
            made.fit(X)
            seconds = time.process_time() - start
            linear, graph = errors(
                made.transform(X).astype(float), made.transform(X_test).astype(float), y, y_test, per_class
            )
            cells.append(f"{linear:.1f}, {graph:.1f}" + (f" ({seconds:.1f} core-s)" if seconds > 0.5 else ""))
        print(f"| {name}, {per_class} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    arguments = parser(__doc__).parse_args()
    warnings.simplefilter("ignore")
    main(arguments.data, arguments.seed)
