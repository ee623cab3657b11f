"""The default of the detector: densities of tables that fail on different rows, chosen by whether a core stands out."""

from copy import copy

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._bridge.base import fit_seed
from .._bridge.diagram import members_block
from .._bridge.rows import detached
from .._bridge.state import all_or_nothing
from .densities import leaving_one_out
from .histogram import TableDensity
from .marginals import _Forest, _Marginals, _NormalScores, _Tails
from .neighbors import NeighborsDensity
from .scores import _LogLikelihood, _Pool

N_RANKED, N_NEIGHBORS = 4000, 2000  # rows of fit, at most: that rank the members' scores; that are neighbours, but for
# the nearest of 5000. Beyond these time is linear in the rows.
HEAVY = 1.25  # of the tail below; 1.1 to 1.4 did as well
EQUAL = 1e-12  # nats that differ by rounding


def tail(scores):
    """How far the lowest fiftieth lies below the median, in units of the distance between the quartiles."""
    lowest, low, middle, high = np.quantile(scores, [0.02, 0.25, 0.5, 0.75])
    return (middle - lowest) / max(high - low, EQUAL)


class _TablePool(TableDensity):
    """Mean log p-value of five densities of a table, each among the rows of ``fit``.

    Always the distance to the nearest row, frequencies of each feature's values, and an isolation forest. If half of
    the rows are a core that a few lie far from, as where a tenth are outliers or the features are many and normal, two
    cores of neighbours; else neighbours among normal scores, and the features' tails.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
    """

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        with all_or_nothing(self):
            X = self._check_rows(X, reset=True)
            seed = fit_seed(self.random_state)
            some = X[np.random.RandomState(seed).permutation(len(X))[:N_RANKED]]
            few = {"max_samples": N_NEIGHBORS, "random_state": seed}
            core = NeighborsDensity(support_fraction=0.5, **few).fit(X)
            self.members_ = {
                "rows": NeighborsDensity(1, random_state=seed).fit(X), "marginals": _Marginals().fit(X),
                "forest": _Forest(random_state=seed).fit(X),
            }  # fmt: skip
            if tail(leaving_one_out(core).score_samples(some)) > HEAVY:
                most = NeighborsDensity(support_fraction=0.8, **few).fit(X)
                self.members_ |= {"core": core, "most": most}
            else:
                ranks = make_pipeline(_NormalScores(), NeighborsDensity(**few)).fit(X)
                self.members_ |= {"ranks": ranks, "tails": _Tails().fit(some)}
            self._pool_ = _Pool([_LogLikelihood(leaving_one_out(one)) for one in self.members_.values()]).fit(some)
            self._pool_ = self._asking(self.members_.values())
        return self

    @available_if(lambda self: hasattr(self, "members_"))
    def _sk_visual_block_(self):
        return members_block(self.members_)

    def _check_rows(self, X, *, reset=False):
        options = {"dtype": np.float64, "ensure_min_samples": 2 if reset else 1, "ensure_all_finite": "allow-nan"}
        X = validate_data(self, detached(X), reset=reset, **options)
        if np.isnan(X).any():
            raise ValueError(
                "X has NaN, which the densities of density=None do not take. Pass density=MADEDensity() or "
                "VAETransformer(), which score what is there."
            )
        return X

    def _asking(self, densities):
        pool = copy(self._pool_)
        pool.members_ = [
            (_LogLikelihood(one), *ranks) for one, (_, *ranks) in zip(densities, pool.members_, strict=True)
        ]
        pool.scores = [score for score, *_ in pool.members_]
        return pool

    def _log_density(self, X):
        return self._pool_.score_samples(X)

    def score_features(self, X):
        check_is_fitted(self)
        return self._pool_.score_features(self._check_rows(X))

    def _leaving_one_out(self):
        twin = copy(self)
        twin._pool_ = self._asking([leaving_one_out(one) for one in self.members_.values()])
        return twin
