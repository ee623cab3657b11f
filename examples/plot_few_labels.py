"""
The error over the number of labels
===================================

scikit-learn's digits, 1,257 rows for training, of which 1 to 30 of each class have a label; the other rows are there
without. ``EncoderClassifier`` with its defaults, beside what scikit-learn offers: a logistic regression on PCA of all
rows, and ``LabelSpreading`` on the same. Mean and range over three draws of the labelled rows; no method sees the test
rows.

    python examples/plot_few_labels.py [--output FOLDER]

It prints the errors and writes ``few_labels.png``.
"""

import argparse
import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading

from sklatent import EncoderClassifier

PER_CLASS = [1, 3, 10, 30]
N_DRAWS = 3


def few_labels(y, per_class, draw):
    """y with -1 for all but ``per_class`` rows of each class."""
    random = np.random.RandomState(draw)
    kept = np.concatenate([random.choice(np.flatnonzero(y == c), per_class, replace=False) for c in np.unique(y)])
    return np.where(np.isin(np.arange(len(y)), kept), y, -1)


def errors(draw, X, y, X_test, y_test):
    """Test error in % of each method, for each number of labels: (methods, numbers)."""
    warnings.simplefilter("ignore")
    pca = FrozenEstimator(PCA(16, random_state=0).fit(X))
    ours = EncoderClassifier(image_shape=(8, 8), random_state=draw)
    found = []
    for per_class in PER_CLASS:
        few = few_labels(y, per_class, draw)
        labelled = few != -1
        linear = make_pipeline(pca, LogisticRegression(max_iter=2000)).fit(X[labelled], few[labelled])
        spreading = make_pipeline(pca, LabelSpreading(kernel="knn", n_neighbors=10)).fit(X, few)
        classifier = clone(ours).fit(X, few)
        ours.set_params(encoder=FrozenEstimator(classifier.encoder_))  # trained without labels: the same for all
        found.append([100 - 100 * model.score(X_test, y_test) for model in (linear, spreading, classifier)])
    return np.transpose(found)


def main():
    arguments = argparse.ArgumentParser(description="The error over the number of labels.")
    arguments.add_argument("--output", type=Path, default=Path("output"))
    output = arguments.parse_args().output
    start = time.perf_counter()
    X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), test_size=0.3, random_state=0)
    found = np.array(Parallel(n_jobs=2)(delayed(errors)(draw, X, y, X_test, y_test) for draw in range(N_DRAWS)))

    labels = [10 * per_class for per_class in PER_CLASS]
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    print("| test error, % | " + " | ".join(f"{n} labels" for n in labels) + " |")
    print("| --- |" + " ---: |" * len(labels))
    for i, name in enumerate(["PCA + LogisticRegression", "PCA + LabelSpreading", "EncoderClassifier"]):
        mean = found[:, i].mean(axis=0)
        print(f"| {name} | " + " | ".join(f"{error:.1f}" for error in mean) + " |")
        ax.plot(labels, mean, "o-", label=name)
        ax.fill_between(labels, found[:, i].min(axis=0), found[:, i].max(axis=0), alpha=0.2, linewidth=0)
    ax.set(xscale="log", yscale="log", xlabel="labelled rows, of 1,257", ylabel="test error, %")
    ax.set_xticks(labels, labels)
    ax.set_yticks([1, 2, 5, 10, 20, 40], ["1", "2", "5", "10", "20", "40"])
    ax.minorticks_off()
    ax.legend()
    output.mkdir(parents=True, exist_ok=True)
    figure.savefig(output / "few_labels.png", dpi=120)
    print(f"Picture: {output / 'few_labels.png'}; {time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
