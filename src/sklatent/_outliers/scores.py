"""Scores of rows, higher = more normal, from fitted densities: the likelihood and what makes up for its failures.

A score is an estimator: ``fit(X)`` takes what it needs from rows that no density was fitted on; ``score_samples(X)``;
and, where it is a sum over the features, ``score_features(X)``, whose rows add up to it.
"""

from copy import copy
from itertools import zip_longest

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from .._bridge.state import Estimator, warn
from .conformal import _Ranks
from .densities import _Mixture, ask, check_density, no_features, unwrap
from .views import roughness, uprightness


def check_scores(estimator, X):
    """``score_samples`` in float64; -inf may be, NaN and +inf may not."""
    scores = np.asarray(estimator.score_samples(X), dtype=np.float64)
    if np.isnan(scores).any() or (scores == np.inf).any():
        bad = scores[~(scores < np.inf)][0]
        raise ValueError(
            f"{type(estimator).__name__}.score_samples gave {bad} for a row, which ranks nowhere. If a feature is "
            "constant, remove it or give the estimator a floor for its variance."
        )
    return scores


def halves(X):
    """The first half of the rows and the rest; a single row is both."""
    middle = _num_samples(X) // 2
    return _safe_indexing(X, slice(max(1, middle))), _safe_indexing(X, slice(middle, None))


def finite_mean(parts):
    """Mean over the rows without an infinity; 0 if there are none."""
    finite = np.isfinite(parts) if parts.ndim == 1 else np.isfinite(parts).all(axis=1)
    return parts[finite].mean(axis=0) if finite.any() else np.zeros(parts.shape[1:])


class AvailableIfSplit:
    """A method of what holds a ``_score_`` that splits; else the error says why, unlike that of ``available_if``."""

    def __init__(self, method):
        self.method = method

    def __get__(self, holder, owner):
        if holder is not None and (why := "_score_" in vars(holder) and holder._score_.whole):
            kind, name = f"{owner.__name__!r} with method={holder.method_!r}", self.method.__name__
            raise AttributeError(f"This {kind} has no attribute {name!r}: {why}.")
        return self.method.__get__(holder, owner)


class _Score(Estimator):
    """Base: what a score is computed from.

    Parameters
    ----------
    density : fitted estimator with ``score_samples``
    background : fitted estimator or None
    codelength : fitted _CodeLength or None
    random_state : int
    """

    takes = ()  # which of background and codelength
    needs = ()  # methods of the density, beside score_samples
    learns = False
    splits = False  # whether the score splits among the features, given densities with score_features

    def __init__(self, density, background=None, codelength=None, random_state=0):
        self.density, self.background, self.codelength = density, background, codelength
        self.random_state = random_state

    def fit(self, X):
        return self

    @property
    def whole(self):
        """Why the score does not split among the features; None if it does."""
        if not self.splits:
            return "the score is no sum over the features"
        return no_features(self.density) or ("background" in self.takes and no_features(self.background)) or None


class _LogLikelihood(_Score):
    splits = True

    def score_samples(self, X):
        return check_scores(self.density, X)

    def score_features(self, X):
        return ask(self.density, "score_features", X)


class _Ratio(_Score):
    takes, splits = ("background",), True

    def score_samples(self, X):
        own = check_scores(self.density, X)
        with np.errstate(invalid="ignore"):
            return np.where(own == -np.inf, own, own - check_scores(self.background, X))

    def score_features(self, X):
        return ask(self.density, "score_features", X) - ask(self.background, "score_features", X)


class _Complexity(_Score):
    takes = ("codelength",)

    def score_samples(self, X):
        return check_scores(self.density, X) + self.codelength.nats(X)


class _Regret(_Score):
    needs = ("likelihood_regret",)

    def score_samples(self, X):
        return -ask(self.density, "likelihood_regret", X)


class _Typicality(_LogLikelihood):
    learns = True

    def fit(self, X):
        self.centre_ = float(finite_mean(super().score_samples(X)))
        self.means_ = None if self.whole else super().score_features(X).mean(axis=0)
        return self

    def score_samples(self, X):
        return -np.abs(super().score_samples(X) - self.centre_)

    def score_features(self, X):
        excess = super().score_features(X) - self.means_  # the sum of the means is the centre
        return -np.sign(excess.sum(axis=1, keepdims=True)) * excess


class _Fisher(_LogLikelihood):
    learns, needs = True, ("score_features",)

    def fit(self, X):
        self.ranks_ = [_Ranks().fit(column) for column in super().score_features(X).T]
        return self

    def score_samples(self, X):
        return self.score_features(X).sum(axis=1)

    def score_features(self, X):
        columns = zip(super().score_features(X).T, self.ranks_, strict=True)
        return np.stack([ranks.log_p(column) for column, ranks in columns], axis=1)


class _Statistics(_Score):
    """Sum of two log ranks: of the likelihood and the code length added up, and of a mixture over all statistics.

    The first is one-sided, and low for what is unlikely though simple; the second is two-sided, and low for what is
    unlike the reference rows in anything that the statistics tell, such as where in an image the likelihood is low.
    Of images the first adds up ``uprightness`` too, and the second sees it and ``roughness``.
    """

    takes, learns = ("codelength",), True

    def _statistics(self, X):  # -> (n,), (n, k)
        own, codelength = check_scores(self.density, X), self.codelength
        terms, parts = [own[:, np.newaxis]], []
        if codelength is not None:
            terms.append(codelength.nats(X)[:, np.newaxis])
        if (shape := getattr(codelength, "image_shape", None)) is not None:
            terms.append(uprightness(own, lambda rows: check_scores(self.density, rows), X, shape))
            parts.append(roughness(X, shape, codelength.step_))
        if hasattr(unwrap(self.density)[1], "score_statistics"):
            parts.append(ask(self.density, "score_statistics", X))
        terms = np.hstack(terms)
        return terms.sum(axis=1), np.hstack([terms, *parts])

    def fit(self, X):
        first, second = halves(X)
        (_, statistics), density = self._statistics(first), unwrap(self.density)[1]
        if not hasattr(density, "score_statistics"):
            used = "the log-likelihood" if self.codelength is None else "the log-likelihood and the code length"
            kind, n_used = type(density).__name__, 1 if self.codelength is None else 2
            warn(f"{kind} tells no score_statistics, so that method='statistics' uses only {n_used} of it: {used}.")
        self.mixture_ = _Mixture(self.random_state).fit(statistics)
        total, statistics = self._statistics(second)
        self.ranks_ = [_Ranks().fit(total), _Ranks().fit(self.mixture_.score_samples(statistics))]
        return self

    def score_samples(self, X):
        total, statistics = self._statistics(X)
        by_total, by_mixture = self.ranks_
        return by_total.log_p(total) + by_mixture.log_p(self.mixture_.score_samples(statistics))


class _Pool(Estimator):
    """Several scores as one: the mean logarithm of their p-values among reference rows, 0 for a row of mean scores.

    Copies of the ``scores`` are fitted; clones would lose their densities.
    """

    learns = True

    def __init__(self, scores):
        self.scores = scores

    def fit(self, X):
        first, X = halves(X) if any(score.learns for score in self.scores) else (X, X)
        self.members_ = []
        for score in self.scores:
            self.members_.append(self._ranked(copy(score).fit(first), X))
        return self

    @staticmethod
    def _ranked(score, X):
        """The score, its ranks among these rows, their mean contributions, and the log p-value of these."""
        parts = score.score_samples(X)[:, np.newaxis] if score.whole else score.score_features(X)
        ranks, means = _Ranks().fit(parts.sum(axis=1)), finite_mean(parts)
        return score, ranks, means, float(ranks.log_p(means.sum()))

    @property
    def whole(self):
        return next(filter(None, (score.whole for score, *_ in self.members_)), None)

    def score_samples(self, X):
        each = [ranks.log_p(score.score_samples(X)) - centre for score, ranks, _, centre in self.members_]
        return np.mean(each, axis=0)

    def score_features(self, X):
        """Each member's excess over the mean contributions, times the slope from the mean row to this one.

        The rows add up to ``score_samples``: the rescale rule of A. Shrikumar, P. Greenside, A. Kundaje, "Learning
        important features through propagating activation differences", 2017.
        """
        total = 0.0
        for score, ranks, means, centre in self.members_:
            parts = score.score_features(X)
            excess, rise = parts - means, ranks.log_p(parts.sum(axis=1)) - centre
            run = excess.sum(axis=1)
            slope = np.divide(rise, run, out=np.zeros_like(run), where=run != 0)
            total = total + slope[:, np.newaxis] * excess
        return total / len(self.members_)


SCORES = {
    "log_likelihood": _LogLikelihood, "ratio": _Ratio, "complexity": _Complexity, "typicality": _Typicality,
    "regret": _Regret, "fisher": _Fisher, "statistics": _Statistics,
}  # fmt: skip


def check_method(method, members, background, codelength):
    """Raise if the densities lack what the method needs, or something is passed that it takes no notice of."""
    takes = SCORES[method].takes
    for name, value in (("background", background), ("codelength", codelength)):
        if value is not None and name not in takes:
            raise ValueError(f"method={method!r} takes no {name}; pass {name}=None, or another method.")
    for name, member in members:
        check_density(name, member, SCORES[method].needs)
    if background is not None:
        check_density("background", background)


def make_score(method, densities, backgrounds, codelength, random_state):
    """The score of one density, or the pool of those of several; to be fitted if it learns."""
    pairs = zip_longest(densities, backgrounds)
    scores = [SCORES[method](*pair, codelength, random_state) for pair in pairs]
    return scores[0] if len(scores) == 1 else _Pool(scores)
