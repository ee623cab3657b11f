"""Autoregressive densities."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils._param_validation import Interval

from . import _docs
from ._base import SampleMethods, TorchEstimator
from ._data import learn_levels
from ._nn.autoregressive import AutoregressiveModel, Categorical
from ._nn.pixelcnn import PixelCNN
from ._nn.scaling import Levels, fill


class _AutoregressiveDensity(SampleMethods, DensityMixin, TorchEstimator):
    """What the densities by the chain rule share."""

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
        return self.score_features(X).sum(axis=1)

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
        return self._apply(lambda module, x: module.log_prob_map(x), X).astype(np.float64)


@_docs.fill_doc(image_shape=_docs.IMAGE_SHAPE, training=_docs.TRAINING, attributes=_docs.ATTRIBUTES)
class PixelCNNDensity(_AutoregressiveDensity):
    r"""Gated PixelCNN: the exact likelihood of a row by the chain rule, from masked convolutions.

    .. math:: p(x) = \prod_i p(x_i \mid x_1, \dots, x_{i-1}),

    in raster order, each conditional a softmax over the levels of :math:`x_i`. Two stacks of gated convolutions,
    one over the rows above and one over the pixels to the left, see all of the past and nothing else.

    Parameters
    ----------
    {image_shape}
    n_levels : int or None, default=None
        Levels of a feature. None: whole numbers keep theirs (up to 256), real values are binned to 256 levels if
        ``image_shape`` is given, else to 32. Bins are of equal width: over the range of each feature in a table,
        over the range of all of them in an image. Whole numbers from 0 to ``n_levels - 1`` keep their values.
    n_filters : int, default={n_filters}
        Channels of each stack.
    n_blocks : int, default={n_blocks}
        Gated residual blocks after the first masked convolution.
    dropout : float, default={dropout}
        Share of activations dropped in each block in training.
    {training}

    Attributes
    ----------
    n_levels_ : int
    {attributes}

    See Also
    --------
    VAETransformer : A bound on the density only, but codes, and samples in one pass.
    sklearn.neighbors.KernelDensity : For few features.

    Notes
    -----
    Scores are in nats. For whole numbers they are log-probabilities; for real values the probability of a bin is
    divided by its width, which makes them log-densities in the units of X. Outside the range of ``fit``, where a
    binned model has no mass, a value scores as its least likely level, less one nat for each bin width of distance.

    Sampling keeps the activations of earlier pixels, so that a pixel costs one column of them.

    References
    ----------
    A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel recurrent neural networks", 2016.

    A. van den Oord, N. Kalchbrenner, O. Vinyals, L. Espeholt, A. Graves, K. Kavukcuoglu, "Conditional image
    generation with PixelCNN decoders", 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import PixelCNNDensity
    >>> X, _ = load_digits(return_X_y=True)
    >>> density = PixelCNNDensity(image_shape=(8, 8), n_filters=16, n_blocks=2, max_iter=2, random_state=0).fit(X)
    >>> density.n_levels_, density.score_samples(X).shape, density.sample(3, random_state=0).shape
    (17, (1797,), (3, 64))
    """

    _parameter_constraints = {
        **TorchEstimator._parameter_constraints,
        "n_levels": [Interval(Integral, 2, None, closed="left"), None],
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "n_blocks": [Interval(Integral, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        *,
        image_shape=None,
        n_levels=None,
        n_filters=48,
        n_blocks=4,
        dropout=0.3,
        learning_rate=3e-3,
        weight_decay=0.01,
        max_iter=40,
        batch_size=64,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        random_state=None,
        verbose=0,
        callbacks=None,
        device="auto",
        precision="float32",
        compile=False,
    ):
        self._store(locals())

    @property
    def n_levels_(self):
        return self._fitted_spec["n_levels"]

    def _spec(self):
        shape = self.image_shape_ or (1, 1, self.n_features_in_)
        return {"shape": shape} | {name: getattr(self, name) for name in ("n_filters", "n_blocks", "dropout")}

    def _learn(self, X):
        return learn_levels(X, self.n_levels, shared=self.image_shape_ is not None)

    def _build(self, spec):
        levels = Levels(self.n_features_in_, spec["n_levels"], whole=spec["whole"])
        core = PixelCNN(spec["shape"], spec["n_levels"], spec["n_filters"], spec["n_blocks"], spec["dropout"])
        return AutoregressiveModel(fill(levels, **spec["levels"]), core, Categorical(spec["n_levels"]))
