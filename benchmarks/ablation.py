"""What each stage of EncoderClassifier brings: test error and core-seconds without it and with it.

Tables: 10 labels a class; the sets are those that the stages were chosen on, not those of ``low_label.py``: tables of
OddBench (two classes with 40 rows at least; every ``--stride``-th), digits without their shape, and two of
``make_classification``. Error is the mean over the classes, of rows that no fit has seen.

    OMP_NUM_THREADS=1 python benchmarks/ablation.py --data FOLDER --task tables

Digits: 1 and 3 labels a class, in splits of the rows that ``low_label.py`` trains on; error on all rows without a
label, a quarter of which no fit has seen.

    OMP_NUM_THREADS=1 python benchmarks/ablation.py --task digits
"""

import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasets import parser, versions
from low_label import few_labels, table_split
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklatent import AutoencoderTransformer, EncoderClassifier, GraphLabelSpreading, TwoViewTransformer
from sklatent._semi_supervised import recipes
from sklatent._semi_supervised.recipes import IMAGES, TABLES

FEWEST, PER_CLASS, MOST_ROWS = 40, 10, 1400


def tables(data, stride):
    for path in sorted((Path(data) / "oddbench").glob("*.npz"))[::stride]:
        with np.load(path) as arrays:
            X, y = arrays["test"].astype(float), arrays["y"].astype(int)
        if np.bincount(y, minlength=2).min() >= FEWEST:
            yield path.stem, X, y
    yield "digits", *load_digits(return_X_y=True)
    yield "two classes", *make_classification(2000, 20, n_informative=5, random_state=0)
    yield "three classes", *make_classification(2000, 10, n_informative=6, n_classes=3, random_state=1)


class Stock:
    """A classifier of the labelled rows, or of all, with the face of the rest."""

    def __init__(self, model, on_all=False):
        self.model, self.on_all = model, on_all

    def fit(self, X, known):
        rows = slice(None) if self.on_all else known != -1
        self.fitted = clone(self.model).fit(X[rows], known[rows])
        return self

    def predict(self, X):
        return self.fitted.predict(X)


class Pool:
    """The opinions over codes, without a net."""

    def __init__(self, coder):
        self.coder = coder

    def fit(self, X, known):
        Z, codes = self._codes(self.coder.fit(X), X), np.unique(known, return_inverse=True)[1] - 1
        self.classes_ = np.unique(known)[1:]
        self.opinions = TABLES.opinions(None, 0).fit(X, Z, GraphLabelSpreading().fit(Z, codes), codes)
        return self

    def _codes(self, coder, X):
        return coder.transform(X).astype(np.float32)

    def predict_proba(self, X):
        return self.opinions.predict_proba(X, self._codes(self.coder, X))

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def autoencoder():
    n_epochs = max(3, round(TABLES.pretraining.n_steps(MOST_ROWS) * TABLES.options["batch_size"] / MOST_ROWS))
    return AutoencoderTransformer(
        64,
        loss="squared_error",
        max_iter=n_epochs,
        learning_rate=TABLES.pretraining.rate,
        random_state=0,
        **TABLES.options,
    )


def stages():
    """Name -> what is fitted."""
    return {
        "values + LogisticRegression": Stock(LogisticRegression(max_iter=1000)),
        "values + SVC": Stock(SVC()),
        "values + GraphLabelSpreading": Stock(GraphLabelSpreading(), True),
        "values + opinions": Pool(StandardScaler()),
        "pretraining + GraphLabelSpreading": Stock(make_pipeline(autoencoder(), GraphLabelSpreading()), True),
        "pretraining + opinions": Pool(autoencoder()),
        "pretraining + opinions + two rounds on every table": EncoderClassifier(n_rounds=2, random_state=0),
        "pretraining + opinions + rounds where codes have the share: the default": EncoderClassifier(random_state=0),
    }


def image_stages():
    """Name -> changes of the recipe, and parameters."""
    options = {"image_shape": (8, 8), "hidden_layer_sizes": (16, 32, 64), "random_state": 0}
    untrained = TwoViewTransformer(64, max_iter=1, learning_rate=1e-9, **options)
    rebuilding = AutoencoderTransformer(64, corruption={"elastic": 1.0, "mask": 0.3}, learning_rate=3e-3, **options)
    return {
        "two views; labels; two rounds with PCA: the default": ({}, {}),
        "no pretraining": ({}, {"encoder": untrained}),
        "reconstruction, 3,000 steps": ({}, {"encoder": rebuilding}),
        "no learning of labels": ({"labels_first": False}, {}),
        "no round": ({}, {"n_rounds": 0}),
        "one round": ({}, {"n_rounds": 1}),
        "rounds without PCA": ({"asks_pca": False}, {}),
    }


def digits(n_splits):
    """Lines of the table for images."""
    rows, _, classes, _ = train_test_split(*load_digits(return_X_y=True), test_size=0.3, random_state=0)
    for name, (changes, parameters) in image_stages().items():
        recipes.IMAGES = replace(IMAGES, **changes)
        found = []
        for split in range(1, n_splits + 1):
            X, X_test, y, y_test = train_test_split(rows, classes, test_size=0.25, random_state=split)
            for per_class in (1, 3):
                known = few_labels(y, per_class, 100 + split)
                start = time.process_time()
                model = EncoderClassifier(**{"image_shape": (8, 8), "random_state": split, **parameters}).fit(X, known)
                seconds = time.process_time() - start
                unknown = known == -1
                wrong = np.concatenate([model.predict(X_test) != y_test, (model.transduction_ != y)[unknown]])
                found.append((100 * wrong.mean(), seconds))
        recipes.IMAGES = IMAGES
        (one, three), (_, seconds) = np.reshape(found, (-1, 2, 2)).mean(axis=0).T
        yield f"| {name} | {one:.1f} | {three:.1f} | {seconds:.1f} |"


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--task", choices=["tables", "digits"], default="tables")
    arguments.add_argument("--stride", type=int, default=8)
    arguments.add_argument("--splits", type=int, default=4)
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore")
    if arguments.task == "digits":
        print(f"{versions()}; {arguments.splits} splits\n")
        print("| stages | error, %, 1 label a class | 3 labels | core-seconds |\n| --- | ---: | ---: | ---: |")
        for line in digits(arguments.splits):
            print(line, flush=True)
        return
    found = {name: [] for name in stages()}
    for table, X, y in tables(arguments.data, arguments.stride):
        X, y, X_test, y_test, _ = table_split(X, y, arguments.seed)
        known = few_labels(y, PER_CLASS, arguments.seed)
        for name, model in stages().items():
            start = time.process_time()
            error = 100 - 100 * balanced_accuracy_score(y_test, model.fit(X, known).predict(X_test))
            found[name].append((error, time.process_time() - start))
        print(table, [round(rows[-1][0], 1) for rows in found.values()], file=sys.stderr, flush=True)
    print(f"{versions()}; {len(found[name])} tables, seed {arguments.seed}\n")
    print("| stages | mean test error, % | core-seconds |")
    print("| --- | ---: | ---: |")
    for name, rows in found.items():
        error, seconds = np.mean(rows, axis=0)
        print(f"| {name} | {error:.1f} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
