"""Test error with few labels: EncoderClassifier beside what scikit-learn has.

Each draw takes the same number of labelled rows of each class (``RandomState(draw).choice`` class by class); all other
training rows are there without their labels. Pretraining is repeated with each draw and shared by its numbers of
labels; its time counts in each. ``EncoderClassifier`` has its defaults, but for the augmentation of Fashion-MNIST. The
stock pipelines: logistic regression and SVC on the labelled rows, on raw values and on PCA of all rows, and
LabelSpreading on PCA of all rows. ``-permuted``: the pixels in an unknown order, so that nothing knows it is an image.
Tables: standardised, 70 % for training; error is the mean of the classes' errors.

Series: 70 % of the rows for training; beside the pipelines above 1-NN by Euclidean distance and, where aeon is
installed, by dynamic time warping (a window of a tenth), and MiniRocket before a linear classifier.

    python benchmarks/low_label.py --task mnist
    python benchmarks/low_label.py --task digits

On the pixels in another order the stock pipelines err as on the images: they know of no neighbours.
"""

import contextlib
import sys
import time
import warnings
from collections import defaultdict
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from datasets import cifar10_subset, images, parser, versions
from series import CHOSEN_ON, REPORTED
from series import split as series_split
from sklearn.base import clone
from sklearn.datasets import fetch_covtype, load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC

from sklatent import EncoderClassifier, GraphLabelSpreading

PER_CLASS = {
    "mnist": [1, 10, 100], "mnist-permuted": [10], "fashion-mnist": [10, 100], "digits": [1, 3, 10],
    "digits-126": [3], "tables": [10], "series": [5], "cifar": [20],
}  # fmt: skip
AUGMENTATION = {"fashion-mnist": {"affine": 0.6, "flip": 0.5}}  # clothes may be mirrored and are not bent
MOST_ROWS = 2000  # of a table


def stock():
    """Name -> estimator, whether it is fitted to all rows, and whether it takes PCA's codes."""
    logistic = LogisticRegression(max_iter=2000)
    return {
        "raw + LogisticRegression": (logistic, False, False),
        "raw + SVC": (SVC(), False, False),
        "PCA + LogisticRegression": (logistic, False, True),
        "PCA + SVC": (SVC(), False, True),
        "PCA + LabelSpreading": (LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.9), True, True),
        "PCA + GraphLabelSpreading": (GraphLabelSpreading(), True, True),
    }


def stock_of_series(shape):
    """The same of what is usual for series alone."""
    found = {"1-NN, Euclidean": KNeighborsClassifier(1)}
    with contextlib.suppress(ImportError):
        from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier
        from aeon.transformations.collection.convolution_based import MiniRocket

        folded = FunctionTransformer(partial(np.reshape, shape=(-1, shape[0], shape[2])))
        warping = KNeighborsTimeSeriesClassifier(distance="dtw", distance_params={"window": 0.1})
        found["1-NN, DTW"] = make_pipeline(folded, warping)
        kernels = MiniRocket(random_state=0), StandardScaler()
        for model in (RidgeClassifierCV(np.logspace(-3, 3, 10)), LogisticRegression(max_iter=2000)):
            found[f"MiniRocket + {type(model).__name__}"] = make_pipeline(folded, *kernels, model)
    return {name: (model, False, False) for name, model in found.items()}


def task_data(task, data, draw):
    """Name -> X, y, X_test, y_test, image_shape."""
    if task.startswith("digits"):
        X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), test_size=0.3, random_state=0)
        if task == "digits-126":  # so few rows in all
            X, y = X[:126], y[:126]
        return {task: (X, y, X_test, y_test, (8, 8))}
    if task == "tables":
        return {name: table_split(X, y, draw) for name, X, y in tables(data)}
    if task == "cifar":
        return {task: cifar_task(data)}
    if task == "series":
        return {name: series_task(name, data, draw) for name in (*REPORTED, *CHOSEN_ON)}
    X, y, X_test, y_test = images(task.removesuffix("-permuted"), data)
    if task.endswith("-permuted"):
        order = np.random.RandomState(0).permutation(784)
        return {task: (X[:, order], y, X_test[:, order], y_test, None)}
    return {task: (X, y, X_test, y_test, (28, 28))}


def cifar_task(data):
    with np.load(Path(data) / "cifar10-subset" / "cifar10_4000_1000.npz") as arrays:
        y, y_test = arrays["y_train"], arrays["y_test"]
    X, X_test = cifar10_subset(data)
    return X, y, X_test, y_test, (3, 32, 32)


def series_task(name, data, draw):
    X, X_test, y, y_test, shape = series_split(name, data, draw)
    y, y_test = (np.unique(classes, return_inverse=True)[1] for classes in (y, y_test))
    return X, y, X_test, y_test, shape


def tables(data):
    for load in (load_iris, load_wine, load_breast_cancer):
        yield load.__name__.removeprefix("load_"), *load(return_X_y=True)
    with contextlib.suppress(OSError):  # not in scikit-learn's cache
        yield "covtype", *fetch_covtype(return_X_y=True, download_if_missing=data is None)
    for path in sorted((Path(data) / "adbench").glob("*.npz")) if data else []:
        with np.load(path) as arrays:
            X, y = arrays["X"], arrays["y"]
        if np.bincount(y.astype(int)).min() >= 100:  # enough for the labels and for the test
            yield path.stem.split("_")[1], X, y


def table_split(X, y, draw):
    if len(X) > MOST_ROWS:
        X, _, y, _ = train_test_split(X, y, train_size=MOST_ROWS, stratify=y, random_state=draw)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=draw)
    scaler = StandardScaler().fit(X)
    return scaler.transform(X), y, scaler.transform(X_test), y_test, None


def labelled_rows(y, per_class, draw):
    random = np.random.RandomState(draw)
    return np.concatenate([random.choice(np.flatnonzero(y == c), per_class, False) for c in np.unique(y)])


def is_series(image_shape):
    return image_shape is not None and image_shape[-2] == 1


def expected_calibration_error(proba, classes, y, n_bins=15):
    """Mean gap between confidence and accuracy, over bins of confidence (Naeini et al. 2015)."""
    confidence, right = proba.max(axis=1), classes[proba.argmax(axis=1)] == y
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [abs(np.sum(right[bins == b]) - np.sum(confidence[bins == b])) for b in range(n_bins)]
    return 100 * np.sum(gaps) / len(y)


def few_labels(y, per_class, draw):
    rows = labelled_rows(y, per_class, draw)
    few = np.full(len(y), -1)
    few[rows] = y[rows]
    return few


def run_ours(split, counts, draw, augmentation):
    """Yield (method, labels a class, model, CPU seconds of its fit)."""
    X, y, _, _, image_shape = split
    encoder, before = None, 0.0
    for per_class in counts:
        start = time.process_time()
        model = EncoderClassifier(encoder, image_shape=image_shape, augmentation=augmentation, random_state=draw)
        model.fit(X, few_labels(y, per_class, draw))
        yield "EncoderClassifier", per_class, model, before + time.process_time() - start
        if encoder is None:  # the same for all numbers of labels
            before = sum(epoch["dur"] for epoch in model.encoder_.history_)
            encoder = FrozenEstimator(model.encoder_)


def run_stock(split, counts, draw, augmentation):
    X, y = split[:2]
    start = time.process_time()
    n_codes = min(50, X.shape[1])
    pca = FrozenEstimator(PCA(n_codes, random_state=draw).fit(X))
    before = time.process_time() - start
    series = stock_of_series(split[4]) if is_series(split[4]) else {}
    for name, (model, on_all, on_codes) in (stock() | series).items():
        for per_class in counts:
            few = few_labels(y, per_class, draw)
            rows = slice(None) if on_all else few != -1
            steps = [pca] if on_codes else [FunctionTransformer(lambda X: X / 255)] if X.dtype == np.uint8 else []
            start = time.process_time()
            fitted = make_pipeline(*steps, clone(model)).fit(X[rows], few[rows])
            yield name, per_class, fitted, on_codes * before + time.process_time() - start


RUNS = {"stock": run_stock, "ours": run_ours}


def measured(model, X_test, y_test):
    """Mean over the classes of the test error, and the calibration error where there are probabilities, in %."""
    error = 100 - 100 * balanced_accuracy_score(y_test, model.predict(X_test))
    calibration = np.nan
    if hasattr(model, "predict_proba"):
        calibration = expected_calibration_error(model.predict_proba(X_test), model.classes_, y_test)
    return error, calibration


def run_all(task, arguments):
    """(data set, method, labels a class) -> a list of (error, calibration error, seconds), one for each draw."""
    found = defaultdict(list)
    for draw in range(arguments.draws):
        for name, split in task_data(task, arguments.data, draw).items():
            options = PER_CLASS[task], draw, AUGMENTATION.get(task, "auto")
            runs = [run for kind, run in RUNS.items() if arguments.methods in (kind, "all")]
            for method, per_class, model, seconds in chain(*(run(split, *options) for run in runs)):
                row = (*measured(model, *split[2:4]), seconds)
                found[name, method, per_class].append(row)
                print(f"{name}, draw {draw}: {method}, {per_class} a class: {row}", file=sys.stderr, flush=True)
    return found


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--task", choices=PER_CLASS, default="digits")
    arguments.add_argument("--draws", type=int, default=5)
    arguments.add_argument("--methods", choices=[*RUNS, "all"], default="all")
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore")
    print(f"{versions()}; {arguments.draws} draws\n")
    print("| data | labels a class | method | test error, % | deviation | calibration error, % | CPU s |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for (name, method, per_class), rows in run_all(arguments.task, arguments).items():
        error, calibration, seconds = np.mean(rows, axis=0)
        print(
            f"| {name} | {per_class} | {method} | {error:.2f} | {np.std(rows, axis=0)[0]:.2f} | {calibration:.1f} | "
            f"{seconds:.0f} |"
        )


if __name__ == "__main__":
    main()
