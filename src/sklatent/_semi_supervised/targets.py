"""What a net is to learn of each row: its label, or what the graph says of it.

``codes`` are indices of classes, -1 where there is no label. Targets are float32, (n, n_classes): a distribution over
the classes times the weight of the row.
"""

import numpy as np
from scipy.stats import entropy
from sklearn.utils import compute_class_weight

from .._bridge.weights import copies
from .labels import UNLABELLED

STEPS_OF_LABELS = 20  # in an epoch of labelled rows alone
LABELLED_SHARE = 0.2  # of the rows of a batch, as long as some have no label


def class_weights(class_weight, classes, codes, weights=None):
    """Weight of each class: 1, or as scikit-learn's ``class_weight`` says for the labelled rows and their weights."""
    if class_weight is None:
        return np.ones(len(classes))
    labelled = codes != UNLABELLED
    if weights is not None and isinstance(class_weight, str):  # "balanced"
        sums = np.bincount(codes[labelled], weights[labelled], len(classes))
        return sums.mean() / sums
    return compute_class_weight(class_weight, classes=classes, y=classes[codes[labelled]])


def one_hot(codes, weights):
    """Targets of the labelled rows, zeros for the rest."""
    targets = np.zeros((len(codes), len(weights)), dtype=np.float32)
    labelled = np.flatnonzero(codes != UNLABELLED)
    targets[labelled, codes[labelled]] = weights[codes[labelled]]
    return targets


def pseudo_labels(distributions, codes, weights):
    """Targets of all rows: labelled ones have their class, the rest the most likely, weighted by how sure it is.

    The weight is 1 - H(q) / log C for the distribution q of the row, divided by its mean over the rows.
    """
    sureness = 1 - entropy(distributions, axis=1) / np.log(distributions.shape[1])
    best = distributions.argmax(axis=1)
    targets = one_hot(best, weights) * (sureness / max(sureness.mean(), 1e-12))[:, None].astype(np.float32)
    labelled = codes != UNLABELLED
    targets[labelled] = one_hot(codes, weights)[labelled]
    return targets


def weighted(targets, weights, index):
    """Targets times the weights of their rows, whose mean over the rows of the index is 1, unless it counts them.

    So rows that are mixed with others take their weights along.
    """
    if weights is None or copies(weights) is not None:
        return targets
    return targets * (weights / weights[index].mean())[:, np.newaxis].astype(np.float32)


def with_labels_repeated(labelled, unlabelled):
    """Indices of the unlabelled rows, and of the labelled ones as often as makes up ``LABELLED_SHARE``."""
    times = round(LABELLED_SHARE / (1 - LABELLED_SHARE) * len(unlabelled) / len(labelled))
    return np.concatenate([unlabelled, np.tile(labelled, max(1, times))])


def repeated(labelled, batch_size):
    """The labelled rows as often as makes ``STEPS_OF_LABELS`` full batches, once at least."""
    return np.tile(labelled, max(1, round(STEPS_OF_LABELS * batch_size / len(labelled))))
