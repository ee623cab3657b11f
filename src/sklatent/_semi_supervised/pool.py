"""Opinions on the classes of rows that are wrong on different data, and the share that each has."""

import numpy as np
from scipy.special import softmax
from sklearn.base import clone

from .._bridge.state import Estimator
from .graph import calibrate, folds, sharpen
from .label_spreading import GraphLabelSpreading, some_rows
from .labels import UNLABELLED

OF_CODES = ("codes", "plain codes")  # each standardised, or all on one scale
MOST_LABELLED = 2000  # rows that the members but the graphs learn from
LARGEST = 1e38  # value that trees, which are float32, can hold
FLOOR = 1e-3  # of a probability, where its logarithm counts
BALANCE = 1.0  # of the shares, whose prior is Dirichlet(1 + BALANCE, ...)
EM_STEPS, EM_GAP = 1000, 1e-7


class _Opinions(Estimator):
    """Weighted mean of what a graph over codes says, and others: graphs, and classifiers of the labelled rows.

    A graph is right where classes are clusters, logistic regression where they are sides of a plane, trees where they
    are boxes; and each of what it sees. Each is calibrated by a power, as a graph is, and so is the mean; the shares
    are those under which labels held out are most likely (D. H. Wolpert, "Stacked generalization", 1992), with a prior
    for equal ones.

    A file of it holds the labelled rows, and no classifier: loading it fits these anew, which takes less than a second.

    Parameters
    ----------
    views : dict of str to transformer
        Of the rows as they are, not fitted.
    members : dict of str to (str, classifier)
        Beside "graph", the graph over codes: who else is asked, not fitted, and what it sees: a view or one of
        ``OF_CODES``.
    random_state : int

    Attributes
    ----------
    shares_ : dict of str to float
    by_codes_ : bool
        Whether "graph" and who else sees codes have more than half of the shares: classes are clusters, of which a net
        can make better ones.
    rows_ : ndarray of shape (n_learned, n_features)
        Labelled ones, ``MOST_LABELLED`` at most, that all but graphs learn from.
    graph_ : GraphLabelSpreading
    """

    def __init__(self, views, members, random_state=0):
        self.views = views
        self.members = members
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
        X, labelled = _held(X), np.flatnonzero(known != UNLABELLED)
        some = _some(known[labelled], self.random_state)
        rows = labelled[some]
        self._codes_, self._weights_ = known[rows], np.ones(len(some)) if weights is None else weights[rows]
        self._weights_ = self._weights_ / self._weights_.mean()
        self.rows_ = X[rows]
        self._views_ = {name: clone(view).fit(X) for name, view in self.views.items()}
        self._take_codes(Z, graph, Z[rows])
        seen = self._seen(X, Z)
        graphs = {name: member for name, member in self.members.items() if _is_graph(member)}
        self._graphs_ = {name: clone(model).fit(seen[view], known) for name, (view, model) in graphs.items()}
        held_out = self._hold_out()
        none = np.full((len(some), len(graph.classes_)), np.nan)
        for name, other in {**self._graphs_, "graph": graph}.items():
            found = other.held_out_distributions_
            held_out[name] = none if found is None else found[some]
        self._weigh(held_out)
        self._grow()
        return self

    def recoded(self, Z, graph, Z_learned):
        """Take other codes Z and the graph over them; ``Z_learned`` are those of ``rows_``.

        The shares stay: the net that makes the codes may have seen the labels.
        """
        self._take_codes(Z, graph, Z_learned)
        self._grow()
        return self

    def predict_proba(self, X, Z):
        """Distributions of new rows X, whose codes are Z."""
        return self._mixed(X, Z, self.graph_.predict_proba(Z))

    def distributions(self, X, Z):
        """Of the rows that the graph over codes was fitted to."""
        return self._mixed(X, Z, self.graph_.label_distributions_)

    def _take_codes(self, Z, graph, Z_learned):
        self.graph_ = graph
        scale = Z.std(axis=0)
        self._center_, self._scale_ = Z.mean(axis=0), np.where(scale > 0, scale, 1)
        self._Z_ = Z_learned

    def _seen(self, X, Z):
        """View -> what it makes of rows."""
        seen = {name: view.transform(_held(X)) for name, view in self._views_.items()}
        Z = Z - self._center_
        return {**seen, "codes": Z / self._scale_, "plain codes": Z / np.sqrt(np.square(self._scale_).mean())}

    def _mixed(self, X, Z, by_graph):
        seen, models = self._seen(X, Z), {**self._classifiers_, **self._graphs_}
        said = {name: _distributions(model, seen[self.members[name][0]]) for name, model in models.items()}
        said["graph"] = by_graph
        return sharpen(self._mean(said), self._power_)

    def _mean(self, said):
        return sum(share * sharpen(said[name], self._powers_[name]) for name, share in self.shares_.items())

    def _hold_out(self):
        """Classifier -> distributions of the labelled rows by those of other folds; NaN where there are none."""
        codes, weights, seen, found = self._codes_, self._weights_, self._seen(self.rows_, self._Z_), {}
        for name, (view, model) in self._supervised():
            found[name] = np.full((len(codes), codes.max() + 1), np.nan)
            for shown, hidden in folds(codes):
                fitted = clone(model).fit(seen[view][shown], codes[shown], weights[shown])
                found[name][hidden] = _distributions(fitted, seen[view][hidden])
        return found

    def _weigh(self, held_out):
        """Powers and shares, by labels held out; all alike where none can be."""
        codes, names = self._codes_, list(held_out)
        tested = ~np.isnan(held_out["graph"][:, 0])
        self.by_codes_, self._power_ = False, 1.0
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
            self._power_ = calibrate(self._mean({name: q[tested] for name, q in held_out.items()}), codes)
            others = [name for name, (view, _) in self.members.items() if view not in OF_CODES]
            self.by_codes_ = sum(self.shares_[name] for name in others) < 0.5

    def _supervised(self):
        return [(name, member) for name, member in self.members.items() if not _is_graph(member)]

    def _grow(self):
        """The classifiers follow from the labelled rows."""
        seen = self._seen(self.rows_, self._Z_)
        self._classifiers_ = {
            name: clone(model).fit(seen[view], self._codes_, self._weights_)
            for name, (view, model) in self._supervised()
        }

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "_classifiers_"}

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "shares_"):
            self._grow()


def _is_graph(member):
    return isinstance(member[1], GraphLabelSpreading)


def _held(X):
    return np.clip(X, -LARGEST, LARGEST) if X.dtype.kind == "f" else X


def _some(codes, seed):
    """Indices of ``MOST_LABELLED`` at most, among them one of each class."""
    return np.sort(some_rows(codes, MOST_LABELLED, seed))


def _distributions(model, rows):
    if hasattr(model, "predict_proba"):
        return model.predict_proba(rows)
    margins = model.decision_function(rows)
    return softmax(np.stack([-margins, margins], axis=1) if margins.ndim == 1 else margins, axis=1)


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
