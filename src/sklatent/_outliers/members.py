"""The densities of one training: clones of what the user passed, their backgrounds, and the code length."""

import numpy as np
from sklearn.frozen import FrozenEstimator

from .._bridge.state import Estimator
from .codelength import _CodeLength
from .densities import corrupted, image_shape, leaving_one_out, seeded, thawed, train
from .pool import _TablePool
from .scores import SCORES, make_score


def named(estimator):
    """The (name, estimator) that the parameter ``estimator`` stands for."""
    if estimator is None:
        return [("pool", _TablePool())]
    if not isinstance(estimator, list):
        return [("estimator", estimator)]
    if not estimator or not all(isinstance(item, tuple) and len(item) == 2 for item in estimator):
        raise ValueError(f"estimator={estimator!r} must be an estimator or a list of (name, estimator).")
    return estimator


def goes_on(detector):
    """Whether all that is not frozen has ``partial_fit``, clones as backgrounds too; else an error says what has."""
    densities = [member for _, member in named(detector.estimator)]
    clones = [thawed(density) for density in densities] if detector.method == "ratio" else []
    densities += clones if detector.background is None else [detector.background]
    for density in densities:
        if not isinstance(density, FrozenEstimator) and not hasattr(density, "partial_fit"):
            kind = "The default pool" if detector.estimator is None else type(density).__name__
            raise AttributeError(
                f"{kind} has no partial_fit. MADEDensity has one, for tables, VAETransformer, PixelCNNDensity and "
                "PixelRNNDensity; or call recalibrate as rows come, and fit from time to time."
            )
    return True


class _Members(Estimator):
    """What is trained on the same rows, and scored together.

    Parameters
    ----------
    method : str
        One of ``SCORES``.
    codelength : str, tuple of str, callable or None
    random_state : int
    """

    def __init__(self, method, codelength, random_state):
        self.method, self.codelength, self.random_state = method, codelength, random_state

    def begin(self, estimators, background, rng):
        """Unfitted clones; those without a seed find one in ``rng``, if it is one."""
        self.n_trained_, self.corrupts_, self.backgrounds_ = 0, background is None, []
        self.estimators_ = [seeded(estimator, rng) for estimator in estimators]
        if "background" in SCORES[self.method].takes:
            models = [thawed(estimator) if self.corrupts_ else background for estimator in estimators]
            self.backgrounds_ = [seeded(model, rng) for model in models]
        self.codelength_ = None if self.codelength is None else _CodeLength(self.codelength)
        return self

    def train(self, verb, X):
        """``verb`` is that of the densities, fit or partial_fit."""
        rng = np.random.default_rng(self.random_state + self.n_trained_)
        for density in self.estimators_:
            train(density, verb, X)
        for density in self.backgrounds_:
            train(density, verb, corrupted(X, rng) if self.corrupts_ else X)
        if self.n_trained_ == 0 and self.codelength_ is not None:
            self.codelength_.set_params(image_shape=self.image_shape).fit(X)
        self.n_trained_ += 1
        return self

    @property
    def image_shape(self):
        return image_shape(self.estimators_[0])

    @property
    def n_to_fit(self):
        """How many of them are not frozen."""
        return sum(not isinstance(density, FrozenEstimator) for density in (*self.estimators_, *self.backgrounds_))

    @property
    def learns(self):
        """Whether the score learns from rows that no density was fitted on."""
        return len(self.estimators_) > 1 or SCORES[self.method].learns

    def score(self, *, apart):
        """To be fitted, if it ``learns``, and to be asked of rows kept apart, or of those trained on."""
        seen = self.estimators_, self.backgrounds_
        densities, backgrounds = seen if apart else ([leaving_one_out(one) for one in some] for some in seen)
        return make_score(self.method, densities, backgrounds, self.codelength_, self.random_state)
