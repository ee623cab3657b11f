"""The PixelRNN."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from .._bridge.docs import fill_doc
from .._nn.pixelrnn import PixelRNN
from .base import AutoregressiveDensity


@fill_doc
class PixelRNNDensity(AutoregressiveDensity):
    r"""PixelRNN: the exact likelihood of an image by the chain rule, from two-dimensional recurrent layers.

    .. math:: p(x) = \prod_i p(x_i \mid x_1, \ldots, x_{i-1}),

    pixel by pixel in raster order, and channel by channel within a pixel. Each layer carries a state through the
    image, so that a pixel can depend on others however far away.

    Parameters
    ----------
    {image_shape}
    cell : {"row_lstm", "diagonal_bilstm"}, default="diagonal_bilstm"
        ``"row_lstm"`` works row by row and sees a triangle of the past; ``"diagonal_bilstm"`` works along the
        diagonals in both directions and sees all of it, at about 1.4 times the cost.
    {n_levels}
    {likelihood}
    n_filters : int, default={n_filters}
        Units of the state at each pixel; the residual stream between layers is twice as wide.
    n_layers : int, default={n_layers}
        Recurrent layers after the first masked convolution.
    dropout : float, default={dropout}
        Share of activations dropped in each layer in training.
    {density}
    {training}

    Attributes
    ----------
    n_levels_ : int
    {attributes}

    See Also
    --------
    PixelCNNDensity : Convolutions in the place of the recurrences: much faster to train.
    MADEDensity : Fully connected; for tables, and fast.

    Notes
    -----
    Scores are in nats, as those of ``PixelCNNDensity``, which see for whole numbers, real values and values outside
    the range of ``fit``.

    References
    ----------
    A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel recurrent neural networks", 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import PixelRNNDensity
    >>> X, _ = load_digits(return_X_y=True)
    >>> density = PixelRNNDensity(image_shape=(8, 8), n_filters=4, n_layers=1, max_iter=2, random_state=0).fit(X)
    >>> density.score_samples(X).shape, density.sample(3, random_state=0).shape
    ((1797,), (3, 64))
    """

    _core = PixelRNN
    _core_options = ("cell", "n_filters", "n_layers", "dropout")
    _n_steps = 1200  # of max_iter=None where no linear model is there to start at
    _parameter_constraints = {
        **AutoregressiveDensity._parameter_constraints,
        "cell": [StrOptions({"row_lstm", "diagonal_bilstm"})],
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self, *, image_shape=None, cell="diagonal_bilstm", n_levels=None, likelihood="categorical", n_filters=16,
        n_layers=4, dropout=0.0, ema_decay=0.0, feature_layer=None, learning_rate=5e-3, weight_decay=1e-4,
        max_iter=None, batch_size=32, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4,
        warm_start=False, random_state=None, verbose=0, callbacks=None, checkpoint=None, device="auto",
        precision="float32", compile=False,
    ):  # fmt: skip
        self._store(locals())

    @property
    def _n_layers(self):
        return self.n_layers
