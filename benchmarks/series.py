"""Series: codes for few labels and held-out reconstruction, beside PCA of as many components and the values themselves.

    python benchmarks/series.py --data FOLDER

Five sets of the UCR and UEA archives, in ``series/`` of the folder; 70 % of the rows, drawn with the seed and by class,
are for training. Each channel is standardised by its mean and deviation over the training rows, so that all see the
same. There are 32 components, or half as many as values. Everything else is a default.

The first table has the accuracy of ``LogisticRegression`` on the other rows, in points: all training rows teach the
features and five a class have labels, of which each seed has five draws. Before the classifier stands nothing, or a
``StandardScaler``: both figures are given. The second has the held-out squared error of the plain autoencoder over
PCA's.

Choices were made on Trace and ACSF1 alone.
"""

import sys
import time
import warnings

import numpy as np
from datasets import parser, versions
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklatent import AutoencoderTransformer

CHOSEN_ON, REPORTED = ("Trace", "ACSF1"), ("GunPoint", "ItalyPowerDemand", "BasicMotions")
COMPONENTS, LABELS, DRAWS = 32, 5, 5


def load(name, data):
    """Rows, classes, image_shape."""
    with np.load(f"{data}/series/{name}.npz") as arrays:
        X, y = arrays["X"].astype(np.float64), arrays["y"]
    return X, y, (X.shape[1], 1, X.shape[2])


def split(name, data, seed):
    X, y, shape = load(name, data)
    train, test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    mean, deviation = (of(train, axis=(0, 2), keepdims=True) for of in (np.mean, np.std))
    rows, test = ((part - mean) / deviation for part in (train, test))
    return rows.reshape(len(rows), -1), test.reshape(len(test), -1), y, y_test, shape


def features(shape, k, seed):
    """What makes features, by name."""
    options = {"image_shape": shape, "random_state": seed}
    return {
        "values": FunctionTransformer(),
        "PCA": PCA(k, random_state=seed),
        "autoencoder": AutoencoderTransformer(k, **options),
        'autoencoder, "elastic"': AutoencoderTransformer(k, corruption="elastic", **options),
    }


def accuracy(scaler, Z, Z_test, y, y_test):
    """Mean over the draws of labels, in points."""
    found = []
    for draw in range(DRAWS):
        random = np.random.RandomState(draw)
        labelled = np.concatenate([random.permutation(np.flatnonzero(y == c))[:LABELS] for c in np.unique(y)])
        classifier = make_pipeline(*scaler, LogisticRegression(max_iter=5000)).fit(Z[labelled], y[labelled])
        found.append(100 * classifier.score(Z_test, y_test))
    return np.mean(found)


def squared_error(model, X):
    return np.square(model.inverse_transform(model.transform(X)) - X).sum()


def runs(name, data, seed):
    """Accuracies by features, (plain, standardised, seconds of the fit), and the error over PCA's."""
    X, X_test, y, y_test, shape = split(name, data, seed)
    found, errors = {}, {}
    for kind, model in features(shape, min(COMPONENTS, X.shape[1] // 2), seed).items():
        start = time.perf_counter()
        model.fit(X)
        seconds = time.perf_counter() - start
        Z, Z_test = model.transform(X), model.transform(X_test)
        found[kind] = [accuracy(scaler, Z, Z_test, y, y_test) for scaler in ([], [StandardScaler()])] + [seconds]
        errors[kind] = squared_error(model, X_test) if hasattr(model, "inverse_transform") else np.nan
        print(name, seed, kind, np.round(found[kind], 1), file=sys.stderr, flush=True)
    return found, errors["autoencoder"] / errors["PCA"]


def spread(values, form):
    return f"{np.mean(values):{form}} ({np.min(values):{form}} to {np.max(values):{form}})"


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--sets", nargs="+", default=[*REPORTED, *CHOSEN_ON])
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore")
    lines = []
    print(f"{versions()}; seeds {arguments.seeds}\n")
    print("| set | features | plain | standardised | fit, s |\n| --- | --- | ---: | ---: | ---: |", flush=True)
    for name in arguments.sets:
        found, ratios = zip(*(runs(name, arguments.data, seed) for seed in arguments.seeds), strict=True)
        for kind in found[0]:
            plain, standardised, seconds = np.transpose([one[kind] for one in found])
            cells = f"{spread(plain, '.1f')} | {spread(standardised, '.1f')} | {seconds.mean():.1f}"
            print(f"| {name} | {kind} | {cells} |", flush=True)
        lines.append(f"| {name} | {spread(ratios, '.3f')} |")
    print("\n| set | error over PCA's |\n| --- | ---: |", *lines, sep="\n")


if __name__ == "__main__":
    main()
