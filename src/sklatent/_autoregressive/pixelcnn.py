"""The PixelCNN."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval

from .._bridge.docs import fill_doc
from .._nn.pixelcnn import PixelCNN
from .base import AutoregressiveDensity


@fill_doc
class PixelCNNDensity(AutoregressiveDensity):
    r"""Gated PixelCNN: the exact likelihood of a row by the chain rule, from masked convolutions.

    .. math:: p(x) = \prod_i p(x_i \mid x_1, \ldots, x_{i-1}),

    pixel by pixel in raster order, and channel by channel within a pixel; each conditional is a distribution over
    the levels of :math:`x_i`. Two stacks of gated convolutions, one over the rows above and one over the pixels to
    the left, see all of the past and nothing else. Without ``image_shape`` a row is an image of one line.

    Parameters
    ----------
    {image_shape}
    {n_levels}
    {likelihood}
    n_filters : int, default={n_filters}
        Channels of each stack.
    n_blocks : int, default={n_blocks}
        Gated residual blocks after the first masked convolution, at each resolution.
    n_scales : int, default={n_scales}
        Resolutions: 2 also runs blocks at half the resolution, 3 at a quarter too, with shortcuts between layers of
        the same resolution (PixelCNN++), which sees farther for the same work.
    dropout : float, default={dropout}
        Share of activations dropped in each block in training.
    {density}
    {training}

    Attributes
    ----------
    n_levels_ : int
    {attributes}

    See Also
    --------
    PixelRNNDensity : Recurrent layers in the place of the convolutions: slower, sees all of the past in each layer.
    MADEDensity : Fully connected; for tables, and fast.
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

    T. Salimans, A. Karpathy, X. Chen, D. P. Kingma, "PixelCNN++: Improving the PixelCNN with discretized logistic
    mixture likelihood and other modifications", 2017.

    M. Chen et al., "Generative pretraining from pixels", 2020 (hidden activations as features).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import PixelCNNDensity
    >>> X, _ = load_digits(return_X_y=True)
    >>> density = PixelCNNDensity(image_shape=(8, 8), n_filters=16, n_blocks=2, max_iter=2, random_state=0).fit(X)
    >>> density.n_levels_, density.score_samples(X).shape, density.sample(3, random_state=0).shape
    (17, (1797,), (3, 64))
    """

    _core = PixelCNN
    _core_options = ("n_filters", "n_blocks", "n_scales", "dropout")
    _n_steps = 1200  # of max_iter=None where no linear model is there to start at
    _parameter_constraints = {
        **AutoregressiveDensity._parameter_constraints,
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "n_blocks": [Interval(Integral, 0, None, closed="left")],
        "n_scales": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self, *, image_shape=None, n_levels=None, likelihood="categorical", n_filters=48, n_blocks=4, n_scales=1,
        dropout=0.3, ema_decay=0.0, feature_layer=None, learning_rate=3e-3, weight_decay=0.01, max_iter=None,
        batch_size=64, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, warm_start=False,
        random_state=None, verbose=0, callbacks=None, checkpoint=None, device="auto",
        precision="float32", compile=False,
    ):  # fmt: skip
        self._store(locals())

    @property
    def _n_layers(self):
        """The first; blocks, down and up again, but once at the lowest resolution; the steps between resolutions."""
        return 1 + self.n_blocks * (2 * self.n_scales - 1) + 2 * (self.n_scales - 1)
