"""How labels get about on a graph: they spread, or flow under volume constraints. The mathematics, on arrays.

References: D. Zhou, O. Bousquet, T. N. Lal, J. Weston, B. Schoelkopf, "Learning with local and global consistency",
2004 (spreading). J. Calder, B. Cook, M. Thorpe, D. Slepcev, "Poisson learning: graph based semi-supervised learning at
very low label rates", 2020 (Poisson learning, and its volume constraints).
"""

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin_min

from .._bridge.state import warn
from .graph import folds, kernel, normalise, one_hot

LINKS = 10  # from a component without a label to what has one
MOST_STEPS = 10_000  # of conjugate gradients
TOLERANCE = 1e-6  # of a residual, relative to the labels
FINER = 1e-12  # what it is multiplied by while rows are not reached
LEAST_TOLERANCE = 1e-130  # whose square is still a number
ROUNDS, STEPS = 5, 20  # of Poisson learning: projections to the volumes, and steps of heat before each
PROJECTION_STEPS, PROJECTION_GAP = 40, 1e-3  # the gap is a share of the rows


class Graph:
    """What follows from the weights alone: S = D^-1/2 W D^-1/2, and the connected components.

    Parameters
    ----------
    W : csr_array of shape (n, n)
        Symmetric, not negative.
    points : ndarray of shape (n, n_features) or None
        The nodes, for ``reaching``.
    """

    def __init__(self, W, points=None):
        self.W, self.points = W, points
        degree = W.sum(axis=1)
        self.degree = np.where(degree > 0, degree, 1)[:, np.newaxis]
        scale = 1 / np.sqrt(self.degree)
        self.S = W.multiply(scale).multiply(scale[:, 0]).tocsr()
        self.component = connected_components(W, directed=False)[1]

    def reaching(self, labelled):
        """A graph in which each component has a labelled node, and the mask of the nodes whose components had none.

        Such a component is linked to the nodes with a label in theirs that are nearest to it, ``LINKS`` of its own at
        most, by the kernel's weights, as if it were one row.
        """
        lost = ~np.isin(self.component, self.component[labelled])
        if not lost.any():
            return self, lost
        ends, starts = np.flatnonzero(lost), np.flatnonzero(~lost)
        nearest, distances = pairwise_distances_argmin_min(self.points[ends], self.points[starts])
        links = []
        order = np.lexsort((distances, self.component[ends]))
        for chosen in np.split(order, np.flatnonzero(np.diff(self.component[ends[order]])) + 1):
            chosen = chosen[:LINKS]
            weights = kernel(distances[np.newaxis, chosen])[0]
            links.append((ends[chosen], starts[nearest[chosen]], weights))
        one, other, weights = (np.concatenate(parts) for parts in zip(*links, strict=True))
        added = sparse.csr_array((weights, (one.astype(np.int32), other.astype(np.int32))), shape=self.W.shape)
        return Graph((self.W + added + added.T).tocsr(), self.points), lost

    def spread(self, Y, alpha):
        """F = (1 - alpha) (I - alpha S)^-1 Y, by conjugate gradients on all columns at once.

        It is where F <- alpha S F + (1 - alpha) Y comes to rest (Zhou et al. 2004). Each step reaches one neighbour on,
        and there are enough of them to reach all rows that are linked to a label, as far as float64 tells them from 0.

        Parameters
        ----------
        Y : ndarray of shape (n, n_classes)
        alpha : float in (0, 1)

        Returns
        -------
        F : ndarray of shape (n, n_classes), not negative
        """
        linked = np.isin(self.component, self.component[Y.any(axis=1)])
        F, converged = solve(
            lambda F: F - alpha * (self.S @ F), (1 - alpha) * Y, lambda F: (F[linked] > 0).any(axis=1).all()
        )
        if not converged:
            warn(
                f"Conjugate gradients had not converged after {MOST_STEPS} steps: labels may have spread less far than "
                f'alpha={alpha} says. Pass a smaller alpha; alpha="auto" takes 0.99 at most.',
                ConvergenceWarning,
            )
        return np.maximum(F, 0)

    def flow(self, q, Y, volumes):
        """Distributions by Poisson learning with volume constraints (Calder et al. 2020), started at q.

        In turn, each node is put wholly into its class, so that the classes have their volumes, and heat flows from
        the labels: U <- D^-1 (W U + Y - mean label), which comes to rest where (D - W) U = Y - mean label.

        Parameters
        ----------
        q, Y : ndarrays of shape (n, n_classes)
        volumes : ndarray of shape (n_classes,) or None
            Shares of the nodes; None is no constraint.

        Returns
        -------
        q : ndarray of shape (n, n_classes)
        """
        source = Y - Y.sum(axis=1, keepdims=True) * (Y.sum(axis=0) / Y.sum())
        classes = np.eye(Y.shape[1])
        for _ in range(ROUNDS):
            U = classes[(q * balance(q, volumes)).argmax(axis=1)]
            q = np.maximum(self.heat(U, source, STEPS), 0)
        return normalise(q * balance(q, volumes), None)

    def heat(self, U, source, n_steps):
        for _ in range(n_steps):
            U = (self.W @ U + source) / self.degree
        return U

    def held_out(self, nodes, codes, n_classes, alphas, prior, poisson=False):
        """For each alpha, distributions of the labelled nodes where their own labels, fold by fold, are not shown.

        NaN in the rows of classes with a single label, which is always shown.
        """
        found = np.full((len(alphas), len(nodes), n_classes), np.nan)
        for shown, hidden in folds(codes):
            graph = self.reaching(nodes[shown])[0]
            Y = one_hot(nodes[shown], codes[shown], (len(self.component), n_classes))
            for alpha, q in zip(alphas, found, strict=True):
                every = normalise(graph.spread(Y, alpha), prior)
                q[hidden] = (graph.flow(every, Y, prior) if poisson else every)[nodes[hidden]]
        return found


def solve(product, B, enough):
    """X where A X = B, by conjugate gradients whose steps are each column's own; and whether it converged.

    Parameters
    ----------
    product : callable
        X -> A X, of a matrix that is symmetric and positive definite.
    B : ndarray of shape (n, n_columns)
    enough : callable
        X -> bool: while it is False, the tolerance is made finer.
    """
    X, R = np.zeros_like(B), B.copy()
    P, squares = R.copy(), _dots(R, R)
    goal, least = TOLERANCE**2 * squares, LEAST_TOLERANCE**2 * squares
    for _ in range(MOST_STEPS):
        AP = product(P)
        step = _ratio(squares, _dots(P, AP))
        X += step * P
        R -= step * AP
        squares, before = _dots(R, R), squares
        if (squares <= goal).all():
            if enough(X) or (goal <= least).all():
                return X, True
            goal *= FINER**2
        P *= _ratio(squares, before)
        P += R
    return X, False


def _dots(A, B):
    return np.einsum("nc,nc->c", A, B)


def _ratio(a, b):
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


def balance(F, volumes):
    """Factors of the classes under which their shares of the largest in each row are the volumes, or nearly."""
    log_factors = np.zeros(F.shape[1])
    if volumes is None:
        return np.exp(log_factors)
    for step in range(PROJECTION_STEPS):
        shares = np.bincount((F * np.exp(log_factors)).argmax(axis=1), minlength=F.shape[1]) / len(F)
        gap = volumes - shares
        if np.abs(gap).max() <= PROJECTION_GAP:
            break
        log_factors += gap / (volumes + shares) / (1 + step / 10)
    return np.exp(log_factors)
