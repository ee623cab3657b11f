"""More labels on the same rows: which rows to label next, and going on with a fit against a fit anew.

    python benchmarks/more_labels.py --task digits
    python benchmarks/more_labels.py --task mnist --data FOLDER

A first fit has some labels of each class. Then ten more rows are labelled: drawn at random; those of which the graph is
least sure; or one from each of ten clusters of the codes, in which rows count by their doubt (F. Zhdanov, "Diverse
mini-batch active learning", 2019), the line that the guide gives. The fit goes on with ``warm_start``, or starts anew.
The error is the mean over the classes, on rows that are no part of any fit; seconds are CPU time.
"""

import pickle
import sys
import time
import warnings
from collections import defaultdict

import numpy as np
from datasets import parser, versions
from low_label import few_labels, task_data
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import balanced_accuracy_score, pairwise_distances_argmin

from sklatent import EncoderClassifier

MORE = 10  # labels
LABELS = {"digits": [1, 3], "mnist": [10]}


def at_random(classifier, X, unlabelled, draw):
    return np.random.RandomState(draw).choice(unlabelled, MORE, False)


def least_sure(classifier, X, unlabelled, draw):
    sureness = classifier.label_distributions_[unlabelled].max(axis=1)
    return unlabelled[np.argsort(sureness)[:MORE]]


def doubtful_clusters(classifier, X, unlabelled, draw):
    doubt = entropy(classifier.label_distributions_[unlabelled], axis=1)
    Z = classifier.transform(X[unlabelled])
    centers = KMeans(MORE, random_state=draw).fit(Z, sample_weight=doubt).cluster_centers_
    return unlabelled[np.unique(pairwise_distances_argmin(centers, Z))]


RULES = {"at random": at_random, "least sure": least_sure, "clusters by doubt": doubtful_clusters}


def fitted(classifier, X, few):
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(X, few)
    return classifier, time.process_time() - start


def run(task, per_class, draw, data):
    """Yield (what, error, seconds)."""
    ((X, y, X_test, y_test, image_shape),) = task_data(task, data, draw).values()

    def error(classifier):
        return 100 - 100 * balanced_accuracy_score(y_test, classifier.predict(X_test))

    few = few_labels(y, per_class, draw)
    new = EncoderClassifier(image_shape=image_shape, random_state=draw, warm_start=True)
    first, seconds = fitted(clone(new), X, few)
    yield "the first fit", error(first), seconds
    for rule, choose in RULES.items():
        rows = choose(first, X, np.flatnonzero(few == -1), draw)
        more = few.copy()
        more[rows] = y[rows]
        if rule == "at random":
            again, seconds = fitted(clone(new), X, more)
            yield f"{rule}, anew", error(again), seconds
        again, seconds = fitted(copy_of(first), X, more)
        yield f"{rule}, going on", error(again), seconds


def copy_of(classifier):
    return pickle.loads(pickle.dumps(classifier))


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--task", choices=LABELS, default="digits")
    arguments.add_argument("--draws", type=int, default=5)
    arguments = arguments.parse_args()
    print(f"{versions()}; {arguments.draws} draws\n")
    print("| data | labels a class | ten more labels | error, % | deviation | CPU s |\n" + "| --- " * 6 + "|")
    for per_class in LABELS[arguments.task]:
        found = defaultdict(list)
        for draw in range(arguments.draws):
            for what, *figures in run(arguments.task, per_class, draw, arguments.data):
                found[what].append(figures)
                print(arguments.task, per_class, draw, what, figures, file=sys.stderr, flush=True)
        for what, figures in found.items():
            (error, seconds), (deviation, _) = np.mean(figures, axis=0), np.std(figures, axis=0)
            print(
                f"| {arguments.task} | {per_class} | {what} | {error:.2f} | {deviation:.2f} | {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
