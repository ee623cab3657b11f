"""Opinions on the rows of a table that are wrong on different tables, and the share that each has."""

import numpy as np
from scipy.special import ndtri, softmax
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from .._bridge.state import Estimator
from .graph import calibrate, folds, sharpen
from .labels import UNLABELLED

MOST_LABELLED = 2000  # rows that the members but the graph learn from
N_QUANTILES = 500  # of a feature
FARTHEST = 3.0  # normal scores
LARGEST = 1e38  # that trees, which are float32, can hold
FLOOR = 1e-3  # of a probability, where its logarithm counts
BALANCE = 1.0  # of the shares, whose prior is Dirichlet(1 + BALANCE, ...)
EM_STEPS, EM_GAP = 1000, 1e-7


class _Opinions(Estimator):
    """Weighted mean of what a graph over codes says, and five classifiers that learn from the labelled rows alone.

    The graph is right where classes are clusters. Logistic regression on codes, and on normal scores of the features,
    where they are sides of a plane; an SVC on normal scores where they are balls; two forests on the values, where
    they are boxes. Each is calibrated by a power, as the graph is; the shares are those under which labels held out
    are most likely (D. H. Wolpert, "Stacked generalization", 1992), with a prior for equal ones.

    A file of it holds the labelled rows, and no model: loading it fits them anew, which takes less than a second.

    Parameters
    ----------
    random_state : int

    Attributes
    ----------
    shares_ : dict of str to float
    by_codes_ : bool
        Whether the graph and the regression on codes have more than half of the shares: classes are clusters, of which
        a net can make better ones.
    rows_ : ndarray of shape (n_learned, n_features)
        Labelled ones, ``MOST_LABELLED`` at most, that all but the graph learn from.
    graph_ : GraphLabelSpreading
    """

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, Z, graph, known, weights=None):
        """Find the shares, by codes that have seen no label.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), without NaN
        Z : ndarray of shape (n_samples, n_components)
            Codes of the rows.
        graph : GraphLabelSpreading
            Fitted to Z and ``known``.
        known : ndarray of shape (n_samples,)
            0, 1, ... are classes, -1 is unlabelled.
        weights : ndarray of shape (n_samples,) or None
        """
        labelled = np.flatnonzero(known != UNLABELLED)
        some = _some(known[labelled], self.random_state)
        rows = labelled[some]
        self._codes_, self._weights_ = known[rows], np.ones(len(some)) if weights is None else weights[rows]
        self._weights_ = self._weights_ / self._weights_.mean()
        self._quantiles_ = np.quantile(X, np.linspace(0, 1, N_QUANTILES), axis=0)
        self.rows_ = X[rows]
        self._take_codes(Z, graph, Z[rows])
        held_out = self._hold_out()
        by_graph = graph.held_out_distributions_
        held_out["graph"] = np.full_like(held_out["codes"], np.nan) if by_graph is None else by_graph[some]
        self._weigh(held_out)
        self._grow()
        return self

    def recoded(self, Z, graph, Z_learned):
        """Take other codes Z and their graph; ``Z_learned`` are those of ``rows_``. The shares stay: the net that makes
        them may have seen the labels."""
        self._take_codes(Z, graph, Z_learned)
        self._grow()
        return self

    def predict_proba(self, X, Z):
        """Distributions of new rows X, whose codes are Z."""
        return self._mixed(X, Z, self.graph_.predict_proba(Z))

    def distributions(self, X, Z):
        """Of the rows that the graph was fitted to."""
        return self._mixed(X, Z, self.graph_.label_distributions_)

    def _take_codes(self, Z, graph, Z_learned):
        self.graph_ = graph
        scale = Z.std(axis=0)
        self._center_, self._scale_ = Z.mean(axis=0), np.where(scale > 0, scale, 1)
        self._Z_ = Z_learned

    def _view(self, name, X, Z):
        """What a member sees of rows."""
        if name == "codes":
            return (Z - self._center_) / self._scale_
        if name in ("plane", "kernel"):
            return normal_scores(X, self._quantiles_)
        return np.clip(X, -LARGEST, LARGEST)

    def _mixed(self, X, Z, by_graph):
        said = {name: _distributions(model, self._view(name, X, Z)) for name, model in self._members_.items()}
        said["graph"] = by_graph
        return sum(share * sharpen(said[name], self._powers_[name]) for name, share in self.shares_.items())

    def _hold_out(self):
        """Member -> distributions of the labelled rows by those of other folds; NaN where there are none."""
        codes, weights = self._codes_, self._weights_
        found = {}
        for name, model in members(self.random_state).items():
            rows, found[name] = self._view(name, self.rows_, self._Z_), np.full((len(codes), codes.max() + 1), np.nan)
            for shown, hidden in folds(codes):
                fitted = clone(model).fit(rows[shown], codes[shown], weights[shown])
                found[name][hidden] = _distributions(fitted, rows[hidden])
        return found

    def _weigh(self, held_out):
        """Powers and shares, by labels held out; all alike where none can be."""
        codes, tested = self._codes_, ~np.isnan(held_out["codes"][:, 0])
        names = list(held_out)
        self.by_codes_ = False
        self._powers_, self.shares_ = dict.fromkeys(names, 1.0), dict.fromkeys(names, 1 / len(names))
        if tested.any():
            codes = codes[tested]
            self._powers_ = {name: calibrate(held_out[name][tested], codes) for name in names}
            chances = [
                sharpen(held_out[name][tested], power)[np.arange(len(codes)), codes]
                for name, power in self._powers_.items()
            ]
            shares = best_shares(np.array(chances), self._weights_[tested])
            self.shares_ = dict(zip(names, shares.tolist(), strict=True))
            self.by_codes_ = self.shares_["graph"] + self.shares_["codes"] > 0.5

    def _grow(self):
        """The members follow from the labelled rows."""
        self._members_ = {
            name: model.fit(self._view(name, self.rows_, self._Z_), self._codes_, self._weights_)
            for name, model in members(self.random_state).items()
        }

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "_members_"}

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "shares_"):
            self._grow()


def members(seed):
    """Name -> classifier, not fitted."""
    return {
        "plane": LogisticRegression(max_iter=1000),
        "kernel": SVC(),
        "extra trees": ExtraTreesClassifier(max_features=None, random_state=seed),
        "forest": RandomForestClassifier(random_state=seed),
        "codes": LogisticRegression(max_iter=1000),
    }


def _some(codes, seed):
    """Indices of ``MOST_LABELLED`` at most, among them one of each class."""
    if len(codes) <= MOST_LABELLED:
        return np.arange(len(codes))
    order = np.random.RandomState(seed).permutation(len(codes))
    first = order[np.unique(codes[order], return_index=True)[1]]
    rest = order[~np.isin(order, first)]
    return np.sort(np.concatenate([first, rest])[:MOST_LABELLED])


def _distributions(model, rows):
    if hasattr(model, "predict_proba"):
        return model.predict_proba(rows)
    margins = model.decision_function(rows)
    return softmax(np.stack([-margins, margins], axis=1) if margins.ndim == 1 else margins, axis=1)


def normal_scores(X, quantiles):
    """Each value's rank among quantiles of its feature, as a normal quantile; where these are equal, the middle rank.

    Values to their ranks: B. L. van der Waerden, "Order tests for the two-sample problem and their power", 1952.
    """
    levels = np.linspace(0, 1, len(quantiles))
    ranks = np.empty(X.shape)
    for j, (x, q) in enumerate(zip(np.asarray(X, dtype=np.float64).T, quantiles.T, strict=True)):
        ranks[:, j] = (np.interp(x, q, levels) + 1 - np.interp(-x, -q[::-1], levels)) / 2
    return np.clip(ndtri(ranks), -FARTHEST, FARTHEST)


def best_shares(chances, weights):
    """The shares under which labels are most likely, times their prior, by expectation and maximisation.

    Parameters
    ----------
    chances : ndarray of shape (n_members, n)
        What each gives to the right class.
    weights : ndarray of shape (n,)

    Returns
    -------
    shares : ndarray of shape (n_members,), of sum 1
    """
    chances = np.maximum(chances, FLOOR)
    shares = np.full(len(chances), 1 / len(chances))
    for _ in range(EM_STEPS):
        joint = shares[:, np.newaxis] * chances
        counts = (joint / joint.sum(axis=0)) @ weights + BALANCE
        shares, before = counts / counts.sum(), shares
        if np.abs(shares - before).max() < EM_GAP:
            break
    return shares
