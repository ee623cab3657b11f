"""What a fitted detector says, as torch modules: scores of its densities, (n,) each, to one, and to its verdicts."""

from functools import singledispatch

import numpy as np
import torch
from torch import nn

from .._outliers.folds import EDGE, _Folded
from .._outliers.pool import _TablePool
from .._outliers.scores import SCORES, _LogLikelihood, _Pool, _Ratio, _Typicality
from .nets import Arrays, density
from .tables import interpolated, n_below


def count_below(values, scores):
    """How many of the sorted values are no more than each score: (m,), (n,) -> (n,)."""
    return n_below(values.unsqueeze(0), scores.unsqueeze(1)).squeeze(1)


VERDICTS = ("predict", "decision_function", "score_samples", "p_values")


@singledispatch
def score(score_):
    """The densities that a score asks, and the module that makes one score of theirs."""
    method = next((name for name, kind in SCORES.items() if kind is type(score_)), type(score_).__name__)
    raise TypeError(
        f"A DensityOutlierDetector with method={method!r} has no ONNX: it takes more than densities. Use "
        "method='log_likelihood', 'ratio' or 'typicality'."
    )


class First(nn.Module):
    def forward(self, own):
        return own


class Ratio(nn.Module):
    def forward(self, own, background):
        return torch.where(torch.isinf(own), own, own - background)


class Typicality(Arrays):
    def forward(self, own):
        return -(own - self.centre).abs()


@score.register
def _(score_: _LogLikelihood):
    if type(score_) is not _LogLikelihood:
        return score.dispatch(object)(score_)
    return [score_.density], First()


@score.register
def _(score_: _Ratio):
    return [score_.density, score_.background], Ratio()


@score.register
def _(score_: _Typicality):
    return [score_.density], Typicality(centre=score_.centre_)


class Several(nn.Module):
    """Each of several scores by its own module, from its share of the densities' scores."""

    def __init__(self, scores):
        super().__init__()
        found = [score(each) for each in scores]
        self.densities = [one for densities, _ in found for one in densities]
        self.sizes = [len(densities) for densities, _ in found]
        self.scores = nn.ModuleList(module for _, module in found)

    def each(self, said):
        said = iter(said)
        return [module(*(next(said) for _ in range(n))) for module, n in zip(self.scores, self.sizes, strict=True)]


class Ranks(Arrays):
    """``_Ranks.log_p``."""

    def __init__(self, ranks):
        super().__init__(
            knots=ranks.knots_[np.newaxis], log_p=ranks.log_p_[np.newaxis], lowest=ranks.knots_[0] - ranks.rounding_,
            scale=ranks.scale_, log_p_below=ranks.log_p_below_, most=np.finfo(np.float64).max,
        )  # fmt: skip

    def forward(self, scores):
        t = torch.minimum(((self.lowest - scores) / self.scale).clamp(min=0), self.most)
        within = interpolated(scores.unsqueeze(1), self.knots, self.log_p).squeeze(1)
        return torch.where(scores < self.lowest, self.log_p_below - t.log1p(), within)


class Pool(Several):
    def __init__(self, pool):
        super().__init__([member for member, *_ in pool.members_])
        self.ranks = nn.ModuleList(Ranks(ranks) for _, ranks, *_ in pool.members_)
        self.centre = Arrays(value=np.mean([centre for *_, centre in pool.members_]))

    def forward(self, *said):
        parts = zip(self.each(said), self.ranks, strict=True)
        return torch.stack([ranks(scores) for scores, ranks in parts]).mean(0) - self.centre.value


@score.register
def _(score_: _Pool):
    module = Pool(score_)
    return module.densities, module


class TablePool(nn.Module):
    """The density of the default detector."""

    def __init__(self, estimator):
        super().__init__()
        self.pool = Pool(estimator._pool_)
        self.members = nn.ModuleList(density(one) for one in self.pool.densities)

    def forward(self, x):
        return self.pool(*(member(x) for member in self.members))


density.register(_TablePool, TablePool)


class Folded(Several):
    """Log p among rows that calibrated in turn; a row of ``fit`` counts as a new one."""

    def __init__(self, folded):
        super().__init__(folded.scores)
        own, fold = folded.own_[folded.ranked_], folded.fold_of_[folded.ranked_]
        knots = [np.sort(own[fold == k]) for k in range(len(self.scores))]
        self.folds = nn.ModuleList(Arrays(knots=each, scale=_width(each)) for each in knots)
        self.rest = Arrays(log_n=folded._log_n())

    def forward(self, *said):
        total = 0.0
        for scores, fold in zip(self.each(said), self.folds, strict=True):
            count, fraction = _position(fold.knots, scores, fold.scale)
            total = total + count + fraction / len(self.folds)
        return torch.log1p(total) - self.rest.log_n


def _width(knots):
    finite = knots[np.isfinite(knots)]
    return (np.ptp(finite) if len(finite) else 0.0) or 1.0


def _position(knots, scores, scale):
    """See ``folds.position``."""
    count = count_below(knots, scores)
    low, high = (knots[each.clamp(0, len(knots) - 1)] for each in (count - 1, count))
    below, above = 1 / (1 + (high - scores) / scale), 1 - 1 / (1 + (scores - low) / scale)
    between = (scores - low) / torch.where(high > low, high - low, 1)
    first = (count == 0) | torch.isinf(low)
    fraction = torch.where(first, below, torch.where(count == len(knots), above, between))
    return count, fraction.clamp(EDGE, 1 - EDGE)


@score.register
def _(score_: _Folded):
    if score_.tail:
        raise TypeError(
            "A DensityOutlierDetector with tail='pareto' whose rows calibrated in turn has no ONNX. Fit it on more "
            "rows, so that some are kept apart, or with tail=None."
        )
    module = Folded(score_)
    return module.densities, module


class Tail(Arrays):
    """exp of ``_ParetoTail.log_p``."""

    def __init__(self, tail):
        super().__init__(
            scores=tail.scores_, threshold=tail.threshold_, shape=tail.shape_, scale=tail.scale_,
            p_lowest=getattr(tail, "p_lowest_", 0.0), weight=getattr(tail, "weight_", 0.0),
        )  # fmt: skip

    def forward(self, scores):  # -> p
        ranked = (1 + count_below(self.scores, scores)).double() / (len(self.scores) + 1)
        y = ((self.threshold - scores) / self.scale).clamp(min=0)
        p = self.p_lowest + self.weight * (-(self.shape * y).log1p() / self.shape).exp()
        return torch.where(scores < self.threshold, p, ranked)  # there is no tail where that is -inf


class Verdicts(nn.Module):
    """What a detector says, from the scores of its densities, which follow for whoever checks them."""

    def __init__(self, detector, module, n_densities):
        super().__init__()
        self.names = (*VERDICTS, *(f"said_{i}" for i in range(n_densities)))
        self.score, self.n_different, offset = module, detector._n_different_, detector.offset_
        self.is_never = offset == -np.inf  # then what would be infinitely above is measured from another
        if self.is_never:
            finite = detector.calibration_scores_[np.isfinite(detector.calibration_scores_)]
            offset = finite[0] if len(finite) else 0.0
        self.calibration = Arrays(scores=detector.calibration_scores_, offset=offset)
        self.tail = None if detector._tail_ is None else Tail(detector._tail_)

    def forward(self, *said):
        scores, offset = self.score(*said), self.calibration.offset
        decision = (torch.where(scores > offset, scores, offset) if self.is_never else scores) - offset
        return torch.where(decision < 0, -1, 1), decision, scores, self._p(scores), *(each + 0 for each in said)

    def _p(self, scores):
        calibration = self.calibration.scores
        count, n = count_below(calibration, scores), len(calibration)
        if self.n_different is None:
            return count.clamp(1, n) / n
        p = (1 + self.n_different * count.double() / n) / (self.n_different + 1)
        if self.tail is None:
            return p
        return torch.where(scores < calibration[0], torch.minimum(p, self.tail(scores)), p)
