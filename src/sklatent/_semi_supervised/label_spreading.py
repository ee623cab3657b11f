"""Label spreading, or Poisson learning, over a graph of nearest neighbours."""

import math
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from .._bridge.inference import as_given
from .._bridge.rows import detached
from .._bridge.state import Estimator, all_or_nothing, warn
from . import graph
from .diffusion import Graph
from .labels import UNLABELLED, MostLikelyClass, check_missing, encode_labels
from .neighbors import Neighbors

ALPHAS = (0.99, 0.95, 0.8, 0.5)  # of alpha="auto": the first that errs no more than the best, but for chance
POWER = 4.0  # of the distributions, where no label can be held out
FEW_MOVED = 0.1  # rows of all: that many may change their class for volume constraints, where no label speaks for them
ROWS_TO_COMPARE = 3000  # at most


class GraphLabelSpreading(MostLikelyClass, Estimator):
    r"""Spread the labels of few rows to all rows, over a sparse graph of nearest neighbours.

    With :math:`W` the symmetric Gaussian weights between neighbours, :math:`D` its row sums, :math:`S = D^{-1/2} W
    D^{-1/2}`, and :math:`Y` the one-hot labels,

    .. math:: F = (1 - \alpha) (I - \alpha S)^{-1} Y,

    whose columns are scaled to the class prior. Poisson learning goes on from there: in turn, each row is put wholly
    into its class, so that each class has the share of rows that the prior says, and heat flows from the labels,
    :math:`U \leftarrow D^{-1} (W U + Y - \bar y)`. Rows are then made distributions, sharpened by the power that fits
    labels held out best. New rows are given the weighted vote of their neighbours. It is as good as the distances
    between its rows are: put an encoder in front, ``make_pipeline(encoder, GraphLabelSpreading())``, whose ``fit``
    trains the encoder on all rows.

    Parameters
    ----------
    n_neighbors : int, default=10
        Neighbours of each row in the graph, and of a new row in the vote; all others if there are fewer.
    alpha : float or "auto", default="auto"
        In (0, 1): how far labels spread. ``"auto"`` takes the largest of 0.99, 0.95, 0.8 and 0.5 that finds labels
        held out as well as the best of them does, up to one standard error: far where they are few, less far where
        they are many.
    method : {"auto", "spreading", "poisson"}, default="auto"
        Poisson learning with volume constraints errs less than spreading where classes have about the sizes that
        ``class_prior`` says, and more where they do not. ``"auto"`` takes it where it finds more of the labels held
        out; and where both find as many, or none can be held out, if it changes the class of less than a tenth of the
        rows.
    class_prior : {"uniform", "labelled"}, array-like of shape (n_classes,) or None, default="uniform"
        What the mass of each class, its column's sum in F, is scaled to: equal shares, the shares of the classes
        among the labelled rows, or those given, in the order of ``classes_``. None leaves F as it is. How many rows
        each class then wins by spreading is still up to the graph: equal mass errs less than the other two even where
        classes are of unequal size, since the few labels tell their sizes poorly. By Poisson learning it is its share.
    n_jobs : int or None, default=None
        Processes of the search for neighbours.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    label_distributions_ : ndarray of shape (n_samples, n_classes), float64
        Of the rows of ``fit``.
    transduction_ : ndarray of shape (n_samples,)
        The most likely class of each row of ``fit``; the given one where a row has a label.
    alpha_ : float
        The one that ``"auto"`` chose.
    method_ : {"spreading", "poisson"}
        The one that ``"auto"`` chose.
    held_out_accuracy_ : float or None
        Share of the labels found when they are held out, a third at a time, and spread from the others: compares
        features for the graph where no rows can be spared for a test. None if each class has one label, or there is
        one class.
    held_out_distributions_ : ndarray of shape (n_labelled, n_classes), float64, or None
        Of the labelled rows, in the order of ``fit``, each where its own label was held out so; NaN where a class has
        no other label. None where ``held_out_accuracy_`` is.
    n_linked_ : int
        Rows in parts of the graph that hold no label: these were linked to the nearest rows of those that do.
    n_undecided_ : int
        Rows hundreds of links from all labels: they get the class prior, and the class that it makes most likely.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has column names, all of them strings.

    See Also
    --------
    EncoderClassifier : Trains an encoder and a classifier with the help of such graphs.
    sklearn.semi_supervised.LabelSpreading : Weights of 0 and 1 that are not symmetric, and no class mass.

    Notes
    -----
    Distances are Euclidean: features of different units need a ``StandardScaler`` in front. Rows that coincide are
    one node of the graph. Neighbours are exact: their search takes time in proportion to the square of the number of
    rows, and memory in proportion to the number.

    The fitted object holds the rows of ``fit``, and so does a pickle of it: new rows are compared with them. Whom it is
    given to can read them; they cannot be left out. What it says of each, ``label_distributions_`` and
    ``transduction_``, can: ``predict`` does without, so delete these two to make a pickle smaller. It holds no index of
    the neighbours: loading it builds that anew.

    A y of -1 and 1 alone is the binary coding, in which -1 is a class; in all others it marks the unlabelled rows.

    References
    ----------
    D. Zhou, O. Bousquet, T. N. Lal, J. Weston, B. Schölkopf, "Learning with local and global consistency", 2004.

    J. Calder, B. Cook, M. Thorpe, D. Slepčev, "Poisson learning: graph based semi-supervised learning at very low label
    rates", 2020.

    X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields and harmonic functions", 2003
    (class mass normalisation).

    J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods",
    1999 (calibration by labels held out).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import GraphLabelSpreading
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.where(np.arange(len(y)) < 100, y, -1)
    >>> spreading = GraphLabelSpreading().fit(X, few)
    >>> bool(np.mean(spreading.transduction_ == y) > 0.9)
    True
    """

    _parameter_constraints = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, 1, closed="neither"), StrOptions({"auto"})],
        "method": [StrOptions({"auto", "spreading", "poisson"})],
        "class_prior": [StrOptions({"uniform", "labelled"}), "array-like", None],
        "n_jobs": [Integral, None],
    }

    def __init__(self, n_neighbors=10, *, alpha="auto", method="auto", class_prior="uniform", n_jobs=None):
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.method = method
        self.class_prior = class_prior
        self.n_jobs = n_jobs

    def fit(self, X, y):
        """Spread the labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Classes; -1 marks an unlabelled row. Strings beside -1 take ``dtype=object``.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If no row has a label, if labels are missing or real numbers, if ``class_prior`` does not fit the
            classes, or if distances overflow.
        """
        with all_or_nothing(self):
            self._validate_params()
            check_missing(y)  # in better words than those of the next line
            X, y = validate_data(self, detached(X), y, dtype=[np.float64, np.float32])
            self.classes_, codes = encode_labels(y)
            self._nodes_, node = np.unique(X, axis=0, return_inverse=True)
            node = node.reshape(-1)  # shape differs between versions of numpy
            labelled = codes != UNLABELLED
            linked, undecided = self._spread(node[labelled], codes[labelled])
            self.label_distributions_ = self._distributions_[node]
            self.transduction_ = self.classes_[self.label_distributions_.argmax(axis=1)]
            self.transduction_[labelled] = self.classes_[codes[labelled]]
            self.n_linked_, self.n_undecided_ = int(linked[node].sum()), int(undecided[node].sum())
            if self.n_undecided_:
                warn(
                    f"{self.n_undecided_} of {len(X)} rows lie too many links from all labels for any to arrive; they "
                    "get the class prior. Label a row there, or pass more n_neighbors or a larger alpha."
                )
        return self

    def predict_proba(self, X):
        """Class probabilities of new rows, by the vote of their neighbours.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        check_is_fitted(self)
        given, X = X, validate_data(self, detached(X), dtype=[np.float64, np.float32], reset=False)
        if len(self._nodes_) == 1:
            return as_given(np.repeat(self._distributions_, len(X), axis=0), given)
        distances, rows = self._index_.kneighbors(X)
        _check_finite(distances, X)
        return as_given(graph.vote(distances, rows, self._distributions_), given)

    def _spread(self, nodes, codes):
        """Distributions of all nodes; returns the masks of those that were linked, and that no label reaches."""
        n_classes, prior = len(self.classes_), self._prior(codes)
        links = Graph(self._connect(), self._nodes_)
        held_out = self._hold_out(links, nodes, codes, prior)
        links, linked = links.reaching(nodes)
        Y = graph.one_hot(nodes, codes, (len(self._nodes_), n_classes))
        F = links.spread(Y, self.alpha_)
        found = {"spreading": graph.normalise(F, prior)}
        if self.method != "spreading":
            found["poisson"] = links.flow(found["spreading"], Y, prior)
        power = self._choose(found, held_out, codes)
        self._distributions_ = graph.sharpen(found[self.method_], power)
        undecided = ~F.any(axis=1)
        self._distributions_[undecided] = 1 / n_classes if prior is None else prior
        return linked, undecided

    def _hold_out(self, links, nodes, codes, prior):
        """Method -> distributions of the labelled nodes, their labels held out; none if none can be. Chooses alpha."""
        alphas = [self.alpha] if self.alpha != "auto" else list(ALPHAS)
        self.alpha_, counts = alphas[0], np.bincount(codes)
        if counts.max() < 2 or len(counts) < 2:
            return {}
        found = links.held_out(nodes, codes, len(counts), alphas, prior)
        wrong = np.array([_wrong(q, codes) for q in found])
        more = wrong - wrong[wrong.sum(axis=1).argmin()]  # 1: wrong where the best alpha is right
        chosen = int(np.argmax(more.sum(axis=1) <= np.sqrt(np.abs(more).sum(axis=1))))
        self.alpha_, held_out = alphas[chosen], {"spreading": found[chosen]}
        if self.method != "spreading":
            held_out["poisson"] = links.held_out(nodes, codes, len(counts), [self.alpha_], prior, poisson=True)[0]
        return held_out

    def _choose(self, found, held_out, codes):
        """The method, and the power that calibrates; keeps what the labels held out were found to be."""
        self.method_ = self.method
        if self.method == "auto":
            one, other = (found[name].argmax(axis=1) for name in ("spreading", "poisson"))
            more = (
                sum(_wrong(held_out["spreading"], codes)) - sum(_wrong(held_out["poisson"], codes)) if held_out else 0
            )
            better = more > 0 or (more == 0 and np.mean(one != other) < FEW_MOVED)
            self.method_ = "poisson" if better else "spreading"
        self.held_out_accuracy_ = self.held_out_distributions_ = None
        if not held_out:
            return POWER
        q = held_out[self.method_]
        tested = ~np.isnan(q[:, 0])
        self.held_out_accuracy_ = float(1 - _wrong(q, codes).mean())
        power = graph.calibrate(q[tested], codes[tested])
        self.held_out_distributions_ = graph.sharpen(q, power)
        return power

    def _connect(self):
        """The weights between the nodes; keeps the index for new rows."""
        n = len(self._nodes_)
        if n == 1:
            return graph.sparse.csr_array((1, 1))
        with np.errstate(over="ignore"):
            farthest = np.sqrt(np.square(np.ptp(self._nodes_, axis=0)).sum())
        _check_finite(farthest, self._nodes_)
        self._k_ = min(self.n_neighbors, n - 1)
        self._grow()
        distances, rows = self._index_.kneighbors()
        return graph.similarity(distances, rows)

    def _grow(self):
        """The index follows from the nodes, so a pickle holds these alone."""
        self._index_ = Neighbors(self._nodes_, self._k_, self.n_jobs)

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "_index_"}

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "_k_"):
            self._grow()

    def _prior(self, codes):
        n_classes = len(self.classes_)
        if self.class_prior is None:
            return None
        if isinstance(self.class_prior, str):
            counts = np.bincount(codes) if self.class_prior == "labelled" else np.ones(n_classes)
            return counts / counts.sum()
        prior = np.asarray(self.class_prior, dtype=float)
        if prior.shape != (n_classes,) or not np.isclose(prior.sum(), 1) or (prior <= 0).any():
            raise ValueError(
                f"class_prior={self.class_prior!r} must hold {n_classes} positive shares that sum to 1, one for each "
                f"of the classes {self.classes_.tolist()}."
            )
        return prior


def _wrong(distributions, codes):
    """Of the labels that could be held out, 1 where another class is the most likely."""
    tested = ~np.isnan(distributions[:, 0])
    return (distributions[tested].argmax(axis=1) != codes[tested]).astype(int)


def _check_finite(distances, X):
    if not np.all(distances < np.sqrt(np.finfo(X.dtype).max) / 2):  # as some searches have it instead of infinity
        raise ValueError("Distances overflow: X holds values beyond 1e150, or 1e18 in float32. Rescale X first.")


def some_rows(codes, most, seed):
    """Indices of the labelled rows, or of ``most`` of them, one of each class, and then of others, up to ``most``."""
    random = np.random.RandomState(seed)
    labelled, rest = np.flatnonzero(codes != UNLABELLED), np.flatnonzero(codes == UNLABELLED)
    if len(labelled) > most:
        labelled = random.permutation(labelled)
        first = np.unique(codes[labelled], return_index=True)[1]
        labelled = np.concatenate([labelled[first], np.delete(labelled, first)])
    return np.concatenate([labelled, random.permutation(rest)])[:most]


def compare_with_pca(X, Z, codes, seed):
    """``held_out_accuracy_`` over codes Z and over a PCA of X: {"codes": , "pca": }; None if each class has one label.

    On ``ROWS_TO_COMPARE`` rows at most: the labelled ones, or that many of them, and then others.
    """
    rows = some_rows(codes, ROWS_TO_COMPARE, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of undecided rows, and of PCA where X is constant
        pca = PCA(min(50, X.shape[1], len(rows)), random_state=seed).fit_transform(X[rows])
        one, other = (GraphLabelSpreading().fit(each, codes[rows]).held_out_accuracy_ for each in (Z[rows], pca))
    return None if one is None else {"codes": one, "pca": other}


def tell_if_behind(found, known):
    """Warn of codes that are worse than PCA's beyond chance."""
    if found is None:
        return
    n = min(np.sum(known != UNLABELLED), ROWS_TO_COMPARE)
    share = (n * found["pca"] + 2) / (n + 4)  # A. Agresti, B. A. Coull 1998: an error also where all are found
    if found["codes"] < found["pca"] - 2 * math.sqrt(2 * share * (1 - share) / n):
        warn(
            f"The codes tell less than PCA's: of labels held out, {found['codes']:.0%} are found from "
            f"the codes, {found['pca']:.0%} from PCA. Train the encoder longer, with more n_components, or "
            "with another corruption."
        )
