"""MADE and the fully visible belief network."""

import math
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._bridge.base import check_widths
from .._bridge.batches import Rows
from .._bridge.columns import blurred, check_levels, kinds_of, learn_columns, n_levels
from .._bridge.docs import fill_doc
from .._bridge.holes import described, has_holes, learn_holes, of_mixture, with_draws, with_scaled_draws
from .._bridge.rows import MAX_LEVELS, drawn, learn_affine, learn_levels, n_scales, n_whole_levels, scaled
from .._bridge.weights import FEW_ROWS
from .._nn.autoregressive import AutoregressiveModel
from .._nn.gaussians import Gaussians
from .._nn.likelihoods import LEVEL_LIKELIHOODS, AnchoredMixture, Bernoulli, GaussianMixture
from .._nn.made import MADE, MixtureOfOrders, StartedMADE, columns_of_levels
from .._nn.marginal import MarginalModel
from .._nn.mixed import Columns, Rounded
from .._nn.scaling import Reals, make_levels
from .base import AutoregressiveDensity
from .starts import MOST_ROWS, chosen_mixture, mixture_start, started_at

NAMES = ("bernoulli", "gaussian_mixture", *LEVEL_LIKELIHOODS)
MAX_WEIGHTS = 2 * 10**8  # of the output layer
N_DRAWS = 5  # of each row with holes, where rows are few
N_MIXTURES = 5  # of a conditional at least, for the net to work with
MOST_CATEGORICAL = 32  # levels, up to which a table of nothing but levels is categorical


@fill_doc
class MADEDensity(AutoregressiveDensity):
    r"""Masked autoencoder for distribution estimation: a density of tables by the chain rule.

    .. math:: p(x) = \prod_i p(x_i \mid x_1, \ldots, x_{i-1}),

    all conditionals from one fully connected net, whose masks cut every path from a feature to itself and to those
    before it. With ``hidden_layer_sizes=()`` it is the fully visible belief network (FVBN): for features of two
    levels, a logistic regression of each on those before it.

    Parameters
    ----------
    {image_shape}
    hidden_layer_sizes : tuple of int or None, default=None
        Units of the hidden layers. ``()`` is the FVBN. None is (64,), or (500,) with ``image_shape``.
    likelihood : str, list or dict, default="auto"
        The conditionals. ``"bernoulli"`` is for two levels. ``"categorical"``, any distribution over the levels, and
        ``"logistic_mixture"``, one that knows their order, bin real values. ``"gaussian_mixture"``, of five
        components, is a density of real values. ``"auto"`` gives each column of a table its own: the first for two
        whole numbers, the second for up to 16 levels (32 in a table of nothing but levels), the third for up to 256,
        else the last. Images have one for all pixels: the first, the second for up to 256 levels, or the last. A list
        of names, one for each feature, or a dict from a feature's name or index, decides instead.
    {n_levels}
    order : {"natural", "random"}, default="natural"
        The order of the features in the product.
    n_masks : int, default={n_masks}
        Sets of masks over the same weights, each with its own order if that is random. The density is the mean of
        theirs.
    input_dropout : float or None, default=None
        Mean share of a row's features that is hidden from the net in training; it is told which. Guards against
        overfitting. None is 0.2 with ``"gaussian_mixture"`` (0.1 with several masks), where it helped on most tables,
        and where rows of ``fit`` have NaN; else 0.
    {density}
    {training}

    Attributes
    ----------
    likelihood_ : str or list of str
        The one that ``"auto"`` chose; of a table of several kinds, the one of each column.
    n_levels_ : int or None
        None of real values, and of a table of several kinds.
    {attributes}

    See Also
    --------
    PixelCNNDensity : For images and series, where near values tell most.
    sklearn.mixture.GaussianMixture : A joint mixture; hard to beat on a few hundred rows.

    Notes
    -----
    In a table of several kinds a column of levels is taken for a real one that was rounded: the probability of a level
    is what a mixture of logistic distributions has between its edges, which for two levels can be any. A
    categorical column has as many of them as levels; counts, of more than 16 levels, have no last one. The score is
    then a density of the real columns, in their units, times the probability of the others.

    Over real values, and these tables, with one mask, it starts at a mixture of Gaussians, each by its chain of
    regressions, plus a net that starts at zero. The size of the mixture, up to 12 components, and its shrinkage are
    those under which rows held out are most likely. A fiftieth of each conditional stays a wide normal.

    NaN marks what is missing, in ``fit`` and in new rows; what is observed is what is trained on and scored. Where it
    starts at a mixture of Gaussians, that draws what is missing, and the score is an importance-weighted estimate of
    the marginal, by 50 draws that all rows share: exact where nothing is observed after what is missing, and where the
    net has brought nothing. Else missing inputs are hidden from the net, and the score is what it has learned to say
    without them: on rows of five two-valued features within 0.1 nats of the exact marginal, on average.

    All that ``image_shape`` does here is to let the features share one scale, as pixels do; the net knows of no
    neighbours.

    Scores are in nats: log-probabilities for whole numbers of up to 256 levels, and log-densities in the units of
    X. The variances of ``"gaussian_mixture"`` have a floor of 0.001 of the feature's variance (compare
    ``GaussianMixture(reg_covar=)``), without which a constant feature had an infinite density. Outside the range of
    ``fit`` a level, but of counts, scores below any inside, and lower the farther out.

    References
    ----------
    M. Germain, K. Gregor, I. Murray, H. Larochelle, "MADE: Masked autoencoder for distribution estimation", 2015.

    B. J. Frey, "Graphical models for machine learning and digital communication", 1998 (FVBN).

    Z. Ghahramani, M. I. Jordan, "Supervised learning from incomplete data via an EM approach", 1994.

    B. Uria, I. Murray, H. Larochelle, "RNADE: The real-valued neural autoregressive density-estimator", 2013
    (mixtures of Gaussians as conditionals).

    T. Salimans, A. Karpathy, X. Chen, D. P. Kingma, "PixelCNN++", 2017 (levels as what lies between their edges).

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklatent import MADEDensity
    >>> X, _ = load_wine(return_X_y=True)
    >>> density = MADEDensity(max_iter=5, random_state=0).fit(X)
    >>> density.likelihood_[4:6], density.score_samples(X).shape, density.sample(3, random_state=0).shape
    (['logistic_mixture', 'gaussian_mixture'], (178,), (3, 13))
    """

    _takes_holes = True
    _n_steps = 1500  # of max_iter=None where no linear model is there to start at
    _parameter_constraints = {
        **AutoregressiveDensity._parameter_constraints,
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "likelihood": [StrOptions({"auto", *NAMES}), list, tuple, dict],
        "order": [StrOptions({"natural", "random"})],
        "n_masks": [Interval(Integral, 1, None, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left"), None],
    }

    def __init__(
        self, *, image_shape=None, hidden_layer_sizes=None, likelihood="auto", n_levels=None, order="natural",
        n_masks=1, input_dropout=None, ema_decay=0.0, feature_layer=None, learning_rate=5e-3, weight_decay=1e-4,
        max_iter=None, batch_size=100, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4,
        warm_start=False, random_state=None, verbose=0, callbacks=None, checkpoint=None, device="auto",
        precision="float32", compile=False,
    ):  # fmt: skip
        self._store(locals())

    @property
    def likelihood_(self):
        return self._spec_["likelihood"]

    def _spec(self):
        widths = (500,) if self.image_shape_ else (64,)
        if self.hidden_layer_sizes is not None:
            widths = check_widths(self.hidden_layer_sizes)
        names = ("likelihood", "n_levels", "order", "n_masks", "input_dropout")
        asked = {name: getattr(self, name) for name in names}
        return {"n_features": self.n_features_in_, "widths": widths, "started": False, **asked}

    @property
    def _n_layers(self):
        return 1 if self.hidden_layer_sizes is None else len(check_widths(self.hidden_layer_sizes))

    def _may_start(self):
        return self.likelihood not in ("bernoulli", *LEVEL_LIKELIHOODS) and self.n_masks == 1

    def _learn(self, X, weights):
        shared, n_whole = n_scales(self.image_shape_), n_whole_levels(X)
        likelihood, widths = self._decide(X, n_whole)
        decided = {"likelihood": likelihood, "holes": has_holes(X)}
        if (mixed := isinstance(likelihood, list)) or likelihood == "gaussian_mixture":
            decided |= {"n_levels": None, "started": False}
            if not mixed:
                return self._with_start(X, weights, decided, learn_affine(X, "levels", weights, shared=shared))
            # as many normals as categories make any distribution of them
            categories = n_levels(X, widths)[np.array(likelihood) == "categorical"]
            decided["n_mixtures"] = int(max(N_MIXTURES, categories.max(initial=0)))
            return self._with_start(X, weights, decided, learn_columns(X, "levels", widths, weights))
        if likelihood != "bernoulli":
            of_levels, buffers = learn_levels(X, self.n_levels, shared=shared)
            return decided | of_levels, buffers
        if n_whole is None or n_whole > 2:
            raise ValueError(
                "likelihood='bernoulli' needs whole numbers of two levels, such as 0 and 1. Use "
                "likelihood='categorical' for more levels, or 'gaussian_mixture' for real values."
            )
        _, buffers = learn_levels(X, 2, shared=shared)
        buffers["levels.upper"] = buffers["levels.lower"] + 1  # two levels, also where fit saw one
        return decided | {"n_levels": 2, "whole": True, "ragged": False}, buffers

    def _decide(self, X, n_whole):
        """The name of a likelihood; or one for each column of a table of several kinds, and the widths of levels."""
        if self.likelihood in NAMES:
            return self.likelihood, None
        kinds, widths = kinds_of(X, self, "gaussian_mixture")
        most = MAX_LEVELS if self.image_shape_ else MOST_CATEGORICAL
        if self.likelihood == "auto" and n_whole is not None and n_whole <= most and widths.max() <= 1:
            return "bernoulli" if n_whole <= 2 else "categorical", None
        return kinds or "gaussian_mixture", widths

    def _with_start(self, X, weights, decided, buffers):
        """With the mixture to start at, and Gaussians to draw holes of X from until it is fitted to all rows."""
        if not self._may_start():
            return decided, buffers
        shift, scale = buffers["levels.shift"], buffers["levels.scale"]
        U, of_rows = (drawn(X, MOST_ROWS) - shift) / scale, drawn(weights, MOST_ROWS)
        if has_holes(X):
            U = with_scaled_draws(learn_holes(X, shift, scale, weights), U)
        U = blurred(U, buffers["levels.radius"]) if "levels.radius" in buffers else U
        started = chosen_mixture(U, of_rows)
        of_holes, gaussians = described(of_mixture(*started_at(U, **started, of_rows=of_rows)))
        return decided | of_holes | {"started": started}, buffers | gaussians

    def _rows(self, X, index=None, weights=None):
        """What is missing is drawn, of few rows several times: a mean would look like a value."""
        if not (self._spec_["started"] and has_holes(X)):
            return super()._rows(X, index, weights)
        n_draws = N_DRAWS if len(X) <= FEW_ROWS else 1
        return Rows(with_draws(self.net_, X, n_draws, self._spec_["seed"]), index, ~np.isnan(X), weights, n_draws)

    def _check_rows(self, X, *, reset=False):
        X = super()._check_rows(X, reset=reset)
        if not reset and has_holes(X) and not (self._spec_["started"] or self._module.core.tells_hidden):
            raise ValueError(
                "X has NaN, but this MADEDensity has never seen a row with something missing. Fit it on rows with NaN, "
                "or with input_dropout=0.2, which hides some of each row from the net and tells it so."
            )
        return X

    def _build(self, spec):
        name, n_features, n_levels = spec["likelihood"], spec["n_features"], spec["n_levels"]
        mixed = isinstance(name, list)
        real = mixed or name == "gaussian_mixture"
        if real:
            n_mixtures = spec.get("n_mixtures", N_MIXTURES)
            values, likelihood = Reals(n_features), GaussianMixture(n_mixtures)
            if spec["started"]:
                n_components = spec["started"]["n_components"]
                n_copies = math.ceil(n_mixtures / n_components)
                likelihood = AnchoredMixture(n_components * n_copies)
            if mixed:
                values, likelihood = Columns(n_features), Rounded(likelihood)
        else:
            values = make_levels(spec)
            likelihood = Bernoulli() if name == "bernoulli" else LEVEL_LIKELIHOODS[name](n_levels)
        self._check_size(spec, likelihood.n_params)
        dropout = spec["input_dropout"]
        if dropout is None:
            dropout = 0.2 if spec["started"] or spec["holes"] else 0.1 if real else 0.0
        options = {name: spec[name] for name in ("order", "n_masks", "seed")}
        options |= {"input_dropout": dropout, "tells_hidden": spec["holes"] is True}
        if spec["started"]:
            core = StartedMADE(n_features, spec["widths"], n_components, n_copies, **options)
        else:
            core = MADE(n_features, spec["widths"], likelihood.n_params, n_levels=n_levels, **options)
        if spec["started"]:
            return MarginalModel(values, core, likelihood, Gaussians(n_features, **spec["holes"]), spec["seed"])
        return (AutoregressiveModel if spec["n_masks"] == 1 else MixtureOfOrders)(values, core, likelihood)

    def _linear_model(self, X, weights):
        core = self._module.core
        values, likelihood = self._module.levels, self._module.likelihood
        U = scaled(X, values)
        if self._is_mixed:
            U, likelihood = blurred(U, values.radius.cpu().numpy()), likelihood.likelihood
        mixture = started_at(U, **self._spec_["started"], of_rows=drawn(weights))
        _, of_holes = described(of_mixture(*mixture))
        return of_holes | mixture_start(mixture, core.order, core.n_copies, likelihood.reg_covar)

    @property
    def _is_mixed(self):
        return isinstance(self._spec_["likelihood"], list)

    def _check_whole(self, X):
        if self._is_mixed:
            check_levels(X, self, self._module.levels)
        else:
            super()._check_whole(X)

    @staticmethod
    def _check_size(spec, n_params):
        seen = spec["n_features"] * columns_of_levels(spec["n_levels"])
        n_weights = [seen, *spec["widths"]][-1] * spec["n_features"] * n_params
        if n_weights > MAX_WEIGHTS:
            raise ValueError(
                f"The output layer would have {n_weights:.0e} weights: {n_params} parameters for each of "
                f"{spec['n_features']} features. Use likelihood='logistic_mixture', a smaller n_levels, fewer "
                "units in the last hidden layer (one at least), or PixelCNNDensity for images."
            )
