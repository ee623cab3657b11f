"""What the densities by the chain rule share."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import DensityMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from .._bridge import inference
from .._bridge.base import SampleMethods, fresh_seed
from .._bridge.callbacks import WeightAverage
from .._bridge.devices import place
from .._bridge.frames import framed
from .._bridge.holes import filled
from .._bridge.rows import check_whole, detached, learn_levels, n_scales
from .._bridge.state import warn
from .._bridge.unsupervised import UnsupervisedEstimator
from .._bridge.weights import moments
from .._nn.autoregressive import AutoregressiveModel
from .._nn.layers import cell_sums
from .._nn.likelihoods import LEVEL_LIKELIHOODS
from .._nn.scaling import make_levels

ROWS_FOR_SCALE = 200  # of the features of ``transform``


class AutoregressiveDensity(SampleMethods, DensityMixin, UnsupervisedEstimator):
    """Exact log-likelihoods, samples, completions and features of a model p(x) = prod_i p(x_i | what comes before)."""

    _core = None  # the class of the net: PixelCNN or PixelRNN
    _core_options = ()  # parameters that it takes as they are
    _n_layers = None  # hidden ones that it has by the parameters
    _parameter_constraints = {
        **UnsupervisedEstimator._parameter_constraints,
        "likelihood": [StrOptions(set(LEVEL_LIKELIHOODS))],
        "n_levels": [Interval(Integral, 2, None, closed="left"), None],
        "feature_layer": [Interval(Integral, 0, None, closed="left"), None],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
    }

    def score_samples(self, X):
        """Log-likelihood of each row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float64
            Log-probabilities if ``fit`` saw whole numbers, else log-densities in the units of X.
        """
        return self._apply_to_seen(lambda module, x, seen: module.log_prob(x, seen), X, torch.float64)

    def score_features(self, X):
        """Log-likelihood map: what each feature, given those before it, adds to the score of its row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples, n_features), float64
            The rows sum to ``score_samples``; ``reshape(-1, *image_shape_)`` folds them to maps.
        """
        return self._apply_to_seen(lambda module, x, seen: module.log_prob_map(x, seen), X, torch.float64)

    def score_statistics(self, X):
        """Where the likelihood is low: ``score_features``, of an image summed over the cells of a grid.

        ``DensityOutlierDetector(method="statistics")`` learns from kept-apart rows how these are distributed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        statistics : ndarray of shape (n_samples, n_statistics), float64
            In nats; the rows sum to ``score_samples``. The grid has at most 7 x 7 cells.
        """
        if getattr(self, "image_shape_", None) is None:
            return self.score_features(X)

        def cells(module, x, seen):
            return cell_sums(module.log_prob_map(x, seen), self.image_shape_)

        return self._apply_to_seen(cells, X, torch.float64)

    @framed
    def complete(self, X, random_state=None, n_proposals=64):
        """Draw what is missing, given what is there.

        In the model's order (images: row by row) each missing feature is drawn from its conditional. Where a given
        feature comes after a missing one, a draw knows nothing of it; such rows are drawn ``n_proposals`` times, and
        one of the drawings is kept with probability in proportion to the likelihood of the given features that came
        late (sampling-importance-resampling, Rubin 1987): exact in the limit of many proposals, and poor when few
        proposals fit what is given.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is to be drawn; rows without a NaN come back as they are.
        random_state : int, RandomState instance or None, default=None
            None draws anew in every call.
        n_proposals : int, default=64

        Returns
        -------
        X_complete : ndarray of shape (n_samples, n_features)
            Given values are untouched, to the bit. A frame where ``set_output`` asks for one.
        """
        check_is_fitted(self)
        if not isinstance(n_proposals, Integral) or n_proposals < 1:
            raise ValueError(f"n_proposals={n_proposals!r} must be an integer, 1 or more.")
        options = {"dtype": [np.float64, np.float32], "ensure_all_finite": "allow-nan", "reset": False}
        X = self._fine(validate_data(self, detached(X), **options))
        completed, missing = X.copy(), np.isnan(X)
        self._check_whole(np.where(missing, 0, X))
        rows = missing.any(axis=1)
        if rows.any():
            seed = fresh_seed(random_state)
            drawn, effective = inference.complete(self.net_, X[rows], missing[rows], int(n_proposals), seed)
            completed[missing] = drawn[missing[rows]]
            _warn_of_few(effective, n_proposals)
        return completed

    def transform(self, X):
        """Features of each row: activations of a hidden layer; of an image, averaged over a grid of 4 x 4 cells.

        They are standardised by mean and standard deviation over some rows of ``fit``. ``feature_layer`` may be set
        after ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_units), float32
        """
        check_is_fitted(self)
        layer = self._chosen_layer()
        shift, scale = (torch.from_numpy(np.array(each)) for each in self._feature_scalers_[layer])

        def standardised(module, x, seen):
            Z = module.features(x, layer, seen).float()
            return (Z - place(shift, Z.device)) / place(scale, Z.device)

        return self._apply_to_seen(standardised, X, torch.float32)

    def _chosen_layer(self):
        n_layers = len(self._feature_scalers_)
        if n_layers == 0:
            raise ValueError(f"This {type(self).__name__} has no hidden layer, hence no features to transform to.")
        self._check_layer(n_layers)
        return n_layers // 2 if self.feature_layer is None else self.feature_layer

    def _check_layer(self, n_layers):
        if self.feature_layer is not None and self.feature_layer >= n_layers:
            raise ValueError(
                f"feature_layer={self.feature_layer} must be below the number of hidden layers, {n_layers}."
            )

    def _validate_params(self):
        super()._validate_params()
        self._check_layer(self._n_layers)

    def _after_training(self, X, weights):
        """The mean and standard deviation of each layer's features, over some of the rows."""
        step, self._feature_scalers_ = 1 + len(X) // ROWS_FOR_SCALE, []
        some, weights = filled(self.net_, X[::step]), None if weights is None else weights[::step]
        for layer in range(self._module.core.n_layers):
            Z = self._apply_checked(lambda module, x, layer=layer: module.features(x, layer).float(), some)
            Z = Z.astype(np.float64)
            shift, variance = moments(Z, weights)
            scale = np.sqrt(variance)
            scale[scale < 1e-6 * scale.max(initial=1e-6)] = 1.0  # a unit at rest
            self._feature_scalers_.append([shift, scale])

    @property
    def _n_features_out(self):
        return len(self._feature_scalers_[self._chosen_layer()][0])

    def _check_rows(self, X, *, reset=False):
        X = super()._check_rows(X, reset=reset)
        if not reset:
            self._check_whole(X)
        return X

    def _check_whole(self, X):
        if self._spec_.get("whole"):
            check_whole(X, type(self).__name__)

    @property
    def n_levels_(self):
        return self._spec_["n_levels"]

    def _spec(self):
        shape = self.image_shape_ or (1, 1, self.n_features_in_)  # a table is an image of one line
        options = {name: getattr(self, name) for name in self._core_options}
        asked = {"likelihood": self.likelihood, "n_levels": self.n_levels, "image_shape": shape, **options}
        return {"n_features": self.n_features_in_, **asked}

    def _learn(self, X, weights):
        return learn_levels(X, self.n_levels, shared=n_scales(self.image_shape_))

    def _build(self, spec):
        likelihood = LEVEL_LIKELIHOODS[spec["likelihood"]](spec["n_levels"])
        options = {name: spec[name] for name in ("image_shape", "n_levels", *self._core_options)}
        core = type(self)._core(n_params=likelihood.n_params, **options)
        return AutoregressiveModel(make_levels(spec), core, likelihood)

    def _callbacks(self, n_epochs):
        return [WeightAverage(self.ema_decay)] if self.ema_decay else []


def _warn_of_few(effective, n_proposals):
    share = np.mean(effective < 2)
    if share > 0.1 and n_proposals > 1:
        warn(
            f"In {100 * share:.0f} % of the rows, hardly one of the n_proposals={n_proposals} fits the given values "
            "that come after missing ones, so the draws are far from exact. Pass more n_proposals."
        )
