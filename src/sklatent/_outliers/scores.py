"""Scores of rows, higher = more normal, from fitted densities: the likelihood and what makes up for its failures.

A score has ``learn(X)``, which takes what it needs from rows that no density was fitted on; ``score(X)``; and, where
it is a sum over the features, ``features(X)``, whose rows add up to it.
"""

import bz2
import lzma
import math
import zlib

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import _num_samples

from .._bridge.rows import is_whole
from .conformal import learn_ranks, smooth_log_p

COMPRESSORS = {"bz2": bz2.compress, "lzma": lzma.compress, "zlib": zlib.compress}
MUTATION_RATE = 0.2  # of the background's rows; 0.1 and 0.3 were as good
N_HEAD_COMPONENTS, HEAD_REG_COVAR = 4, 1e-2  # of the mixture over the statistics, which are standardised
FARTHEST = 1e3  # ranges of the reference rows beyond which a statistic is cut off: infinity has no density


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


def conditionals(estimator, X):
    """``score_features`` in float64: log-likelihoods of the features, that sum to that of the row."""
    return np.asarray(estimator.score_features(X), dtype=np.float64)


def corrupted(X, rng):
    """Rows in which each value is, with probability ``MUTATION_RATE``, a uniform draw from its feature's range.

    Whole numbers stay whole, and dtype and column names stay. Ren et al. 2019.
    """
    rows = check_array(X, copy=True)
    low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    whole = is_whole(rows)
    where = np.nonzero(rng.random(rows.shape, dtype=np.float32) < MUTATION_RATE)
    draws = low[where[1]] + rng.random(len(where[1])) * (high - low + whole)[where[1]]
    rows[where] = np.floor(draws) if whole else draws
    return type(X)(rows, columns=X.columns, index=X.index) if hasattr(X, "iloc") else rows


def halves(X):
    """The first half of the rows and the rest; a single row is both."""
    if _num_samples(X) == 1:
        return X, X
    middle = _num_samples(X) // 2
    indices = np.arange(_num_samples(X))
    return _safe_indexing(X, indices[:middle]), _safe_indexing(X, indices[middle:])


def learn_bytes(X):
    """Which value becomes which byte: itself if all are whole and from 0 to 255, else one of 256 levels of a range."""
    X = check_array(X)
    low, high = float(X.min()), float(X.max())
    if is_whole(X) and low >= 0 and high <= 255:
        return {"low": 0.0, "step": 1.0}
    return {"low": low, "step": (high - low) / 255 or 1.0}


def code_lengths(X, codec, low, step, image_shape=None):
    """Nats that lossless compressors need for each row.

    ``codec`` is a name in ``COMPRESSORS``, a tuple of names, whose lengths are averaged, or maps a uint8 array to
    bytes or to a number of nats. Named ones read an image by its rows and by its columns, and are averaged too.
    """
    X = check_array(X)
    if callable(codec):
        return _code_lengths(X, codec, codec, low, step)
    scans = [X]
    if image_shape is not None and math.prod(image_shape) == X.shape[1]:  # else a step of a Pipeline chose columns
        scans.append(X.reshape(-1, *image_shape).swapaxes(-1, -2).reshape(X.shape))
    names = (codec,) if isinstance(codec, str) else codec
    each = [_code_lengths(scan, COMPRESSORS[name], name, low, step) for name in names for scan in scans]
    return np.mean(each, axis=0)


def _code_lengths(X, encode, name, low, step):
    lengths = []
    for i, row in enumerate(X):
        levels = np.clip(np.rint((row.astype(np.float64) - low) / step), 0, 255).astype(np.uint8)
        try:
            code = encode(levels)
            nats = 8 * math.log(2) * len(code) if isinstance(code, bytes | bytearray) else float(code)
        except Exception as error:
            raise ValueError(f"codelength={name!r} failed on row {i}: {error!r}") from error
        if not math.isfinite(nats):
            raise ValueError(f"codelength={name!r} gave {nats} for row {i}; it must give bytes or finite nats.")
        lengths.append(nats)
    return np.array(lengths)


class Score:
    """Base: what a score is computed from. What it learns is plain values, ``learned``.

    Parameters
    ----------
    estimator : fitted estimator with ``score_samples``
    background : fitted estimator or None
    codelength : callable or None
        Rows to nats.
    seed : int
    """

    takes_background = takes_codelength = learns = False
    splits = False  # whether the score splits among the features, given estimators with score_features
    needs = ()  # methods of the estimator, beside score_samples

    def __init__(self, estimator, background=None, codelength=None, seed=0):
        self.estimator, self.background, self.codelength, self.seed = estimator, background, codelength, seed

    def learn(self, X):
        """Take what the score needs from the reference rows, and return it."""
        self.learned = self._learn(X)
        return self.learned

    def restore(self, learned):
        self.learned = learned
        return self

    @property
    def has_features(self):
        densities = (self.estimator, self.background) if self.takes_background else (self.estimator,)
        return self.splits and all(hasattr(density, "score_features") for density in densities)


class LogLikelihood(Score):
    splits = True

    def score(self, X):
        return check_scores(self.estimator, X)

    def features(self, X):
        return conditionals(self.estimator, X)


class Ratio(Score):
    takes_background = splits = True

    def score(self, X):
        own = check_scores(self.estimator, X)
        with np.errstate(invalid="ignore"):
            return np.where(own == -np.inf, own, own - check_scores(self.background, X))

    def features(self, X):
        return conditionals(self.estimator, X) - conditionals(self.background, X)


class Complexity(Score):
    takes_codelength = True

    def score(self, X):
        return check_scores(self.estimator, X) + self.codelength(X)


class Regret(Score):
    needs = ("likelihood_regret",)

    def score(self, X):
        return -np.asarray(self.estimator.likelihood_regret(X), dtype=np.float64)


class Typicality(LogLikelihood):
    learns = True

    def _learn(self, X):
        scores = super().score(X)
        means = super().features(X).mean(axis=0) if self.has_features else None
        return {"centre": float(finite_mean(scores)), "means": means}

    def score(self, X):
        return -np.abs(super().score(X) - self.learned["centre"])

    def features(self, X):
        excess = super().features(X) - self.learned["means"]  # the sum of the means is the centre
        return -np.sign(excess.sum(axis=1, keepdims=True)) * excess


class Fisher(LogLikelihood):
    learns, needs = True, ("score_features",)

    def _learn(self, X):
        return {"ranks": [learn_ranks(column) for column in conditionals(self.estimator, X).T]}

    def score(self, X):
        return self.features(X).sum(axis=1)

    def features(self, X):
        columns = zip(conditionals(self.estimator, X).T, self.learned["ranks"], strict=True)
        return np.stack([smooth_log_p(column, ranks) for column, ranks in columns], axis=1)


class Statistics(Score):
    """Sum of two log ranks: of the likelihood and the code length added up, and of a mixture over all statistics.

    The first is one-sided, and low for what is unlikely though simple; the second is two-sided, and low for what is
    unlike the reference rows in anything that the statistics tell, such as where in an image the likelihood is low.
    """

    takes_codelength = learns = True

    def _statistics(self, X):  # -> (n,), (n, k)
        columns = [check_scores(self.estimator, X)]
        if self.codelength is not None:
            columns.append(self.codelength(X))
        total, parts = np.sum(columns, axis=0), [np.stack(columns, axis=1)]
        if hasattr(self.estimator, "score_statistics"):
            parts.append(np.asarray(self.estimator.score_statistics(X), dtype=np.float64))
        return total, np.hstack(parts)

    def _learn(self, X):
        first, second = halves(X)
        head = learn_head(self._statistics(first)[1], self.seed)
        total, statistics = self._statistics(second)
        return {"head": head, "ranks": [learn_ranks(total), learn_ranks(head_score(head, statistics))]}

    def score(self, X):
        total, statistics = self._statistics(X)
        by_total, by_head = self.learned["ranks"]
        return smooth_log_p(total, by_total) + smooth_log_p(head_score(self.learned["head"], statistics), by_head)


def learn_head(rows, seed):
    """A small Gaussian mixture over standardised statistics, and the range beyond which they are cut off."""
    rows = np.repeat(rows, 2, axis=0) if len(rows) == 1 else rows  # a mixture takes no fewer than two
    finite = np.where(np.isfinite(rows), rows, np.nan)
    low, high = np.nan_to_num(np.nanmin(finite, axis=0)), np.nan_to_num(np.nanmax(finite, axis=0))
    span = FARTHEST * np.maximum(high - low, 1.0)
    mixture = GaussianMixture(  # one covariance for all: there are many statistics and not many rows
        min(N_HEAD_COMPONENTS, len(rows)), covariance_type="tied", reg_covar=HEAD_REG_COVAR, random_state=seed
    )
    mixture = make_pipeline(StandardScaler(), mixture).fit(np.where(np.isnan(finite), low, finite))
    return {"low": low - span, "high": high + span, "mixture": mixture}


def head_score(head, rows):
    return head["mixture"].score_samples(np.clip(rows, head["low"], head["high"]))


def finite_mean(parts):
    """Mean over the rows without an infinity; 0 if there are none."""
    finite = np.isfinite(parts) if parts.ndim == 1 else np.isfinite(parts).all(axis=1)
    return parts[finite].mean(axis=0) if finite.any() else np.zeros(parts.shape[1:])


class Pool:
    """Several scores as one: the mean logarithm of their p-values among reference rows, 0 for a row of mean scores.

    Parameters
    ----------
    scores : list of Score
    """

    def __init__(self, scores):
        self.scores = scores

    def learn(self, X):
        inner = any(score.learns for score in self.scores)
        first, second = halves(X) if inner else (None, X)
        members = [self._learn_member(score, first, second) for score in self.scores]
        self.learned = {"members": members}
        return self.learned

    def restore(self, learned):
        self.learned = learned
        for score, member in zip(self.scores, learned["members"], strict=True):
            score.restore(member["learned"])
        return self

    @staticmethod
    def _learn_member(score, first, second):
        learned = score.learn(first) if score.learns else None
        parts = score.features(second) if score.has_features else score.score(second)[:, np.newaxis]
        ranks, means = learn_ranks(parts.sum(axis=1)), finite_mean(parts)
        centre = float(smooth_log_p(means.sum(), ranks))
        return {"learned": learned, "ranks": ranks, "means": means, "centre": centre}

    def score(self, X):
        members = zip(self.scores, self.learned["members"], strict=True)
        return np.mean([smooth_log_p(score.score(X), m["ranks"]) - m["centre"] for score, m in members], axis=0)

    def features(self, X):
        """Each member's excess over the mean contributions, times the slope from the mean row to this one.

        The rows add up to ``score``: the rescale rule of A. Shrikumar, P. Greenside, A. Kundaje, "Learning
        important features through propagating activation differences", 2017.
        """
        total = 0.0
        for score, member in zip(self.scores, self.learned["members"], strict=True):
            parts = score.features(X)
            excess = parts - member["means"]
            rise = smooth_log_p(parts.sum(axis=1), member["ranks"]) - member["centre"]
            run = excess.sum(axis=1)
            slope = np.divide(rise, run, out=np.zeros_like(run), where=run != 0)
            total = total + slope[:, np.newaxis] * excess
        return total / len(self.scores)


SCORES = {
    "log_likelihood": LogLikelihood,
    "ratio": Ratio,
    "complexity": Complexity,
    "typicality": Typicality,
    "regret": Regret,
    "fisher": Fisher,
    "statistics": Statistics,
}
