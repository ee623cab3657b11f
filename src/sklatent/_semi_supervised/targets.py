"""What a net is to learn of each row: its label, or what the graph says of it.

``codes`` are indices of classes, -1 where there is no label. Targets are float32, (n, n_classes): a distribution over
the classes times the weight of the row.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_class_weight

from .._bridge.weights import copies
from .graph import folds
from .labels import UNLABELLED

STEPS_OF_LABELS = 20  # in an epoch of labelled rows alone
LABELLED_SHARE = 0.2  # of the rows of a batch, as long as some have no label

BALANCE = 3.0  # of a pool's two sides: its share has the prior Beta(1 + BALANCE, 1 + BALANCE)
FLOOR = 1e-3  # of a probability, where its logarithm counts


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


def pooled_with_linear(graph, Z, known, weights=None):
    """The graph's distributions of all rows, and those of logistic regression on their codes Z, in a weighted mean.

    Each is right where the other is not: a graph where classes are clusters, a plane where they are sides. Their shares
    are those under which labels held out are most likely (D. H. Wolpert, "Stacked generalization", 1992).
    """
    labelled = np.flatnonzero(known != UNLABELLED)
    codes, scaler = known[labelled], StandardScaler().set_output(transform="default")
    Z = scaler.fit(Z, sample_weight=weights).transform(Z)
    weights = np.ones(len(codes)) if weights is None else weights[labelled] / weights[labelled].mean()
    linear, found = LogisticRegression(max_iter=1000), np.full((len(codes), len(graph.classes_)), np.nan)

    def fitted(rows):
        return linear.fit(Z[labelled[rows]], codes[rows], weights[rows])

    for shown, hidden in folds(codes):
        found[hidden] = fitted(shown).predict_proba(Z[labelled[hidden]])
    by_graph = graph.held_out_distributions_
    share = 0.5 if by_graph is None else _best_share(by_graph, found, codes, weights)
    return share * graph.label_distributions_ + (1 - share) * fitted(slice(None)).predict_proba(Z)


def _best_share(one, other, codes, weights):
    rows = np.flatnonzero(~np.isnan(one[:, 0]))
    p, q = (np.maximum(each[rows, codes[rows]], FLOOR) for each in (one, other))

    def cost(share):
        return -(weights[rows] * np.log(share * p + (1 - share) * q)).sum() - BALANCE * np.log(share * (1 - share))

    return float(minimize_scalar(cost, bounds=(0.001, 0.999), method="bounded").x)


def with_labels_repeated(labelled, unlabelled):
    """Indices of the unlabelled rows, and of the labelled ones as often as makes up ``LABELLED_SHARE``."""
    times = round(LABELLED_SHARE / (1 - LABELLED_SHARE) * len(unlabelled) / len(labelled))
    return np.concatenate([unlabelled, np.tile(labelled, max(1, times))])


def repeated(labelled, batch_size):
    """The labelled rows as often as makes ``STEPS_OF_LABELS`` full batches, once at least."""
    return np.tile(labelled, max(1, round(STEPS_OF_LABELS * batch_size / len(labelled))))
