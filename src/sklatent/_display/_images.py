"""Rows as images: reconstructions, samples, maps of the log-likelihood."""

import math
from numbers import Integral

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._common import Display, import_pyplot

TILE, WIDEST, DIGIT = 0.8, 12.0, 0.13  # inches: an image, a new figure, a digit of a label and what keeps it apart


def _image_shape(estimator, n_images):
    """``image_shape_`` of a fitted estimator; the arguments are checked before any work is done."""
    if not isinstance(n_images, Integral) or n_images < 1:
        raise ValueError(f"n_images={n_images!r} must be an integer, 1 or more.")
    check_is_fitted(estimator)
    shape = getattr(estimator, "image_shape_", None)
    if shape is None:
        raise ValueError(
            f"This {type(estimator).__name__} has no image_shape_, so its rows do not fold to images. Fit it with "
            "image_shape=(channels, height, width), or (height, width), that the rows of X were flattened from."
        )
    return shape


def _first_rows(X, n):
    return _safe_indexing(X, np.arange(min(n, _num_samples(X))))


def _fold(rows, shape):
    return np.asarray(rows, dtype=np.float64).reshape(-1, *shape)


def _visible(images):
    """Three channels are red, green and blue; of any other number the first is shown."""
    return images if images.shape[1] == 3 else images[:, :1]


def _gap(images):
    return max(1, min(images.shape[2:]) // 12)  # pixels


def _mosaic(images, n_columns):
    """Images side by side with NaN between them: (n, c, h, w) -> (height, width, c)."""
    n, c, h, w = images.shape
    n_rows, gap = math.ceil(n / n_columns), _gap(images)
    tiles = np.full((n_rows * n_columns, h + gap, w + gap, c), np.nan)
    tiles[:n, :h, :w] = images.transpose(0, 2, 3, 1)
    tiles = tiles.reshape(n_rows, n_columns, h + gap, w + gap, c).swapaxes(1, 2)
    return tiles.reshape(n_rows * (h + gap), n_columns * (w + gap), c)[:-gap, :-gap]


def _limits(images, tail=0):
    """Values drawn darkest and lightest; ``tail`` percent of all values lie beyond either."""
    low, high = np.percentile(images, (tail, 100 - tail))
    if low == high:
        low, high = images.min(), images.max()
    return low, (high if high > low else low + 1)


def _show(ax, images, n_columns, limits, top=0, cmap="gray"):
    """Draw a mosaic of images from pixel row ``top`` of the Axes on; what is NaN stays white."""
    pixels, (low, high) = _mosaic(images, n_columns), limits
    height, width, n_channels = pixels.shape
    if n_channels == 3:
        pixels = np.nan_to_num(np.clip((pixels - low) / (high - low), 0, 1), nan=1.0)
    extent = (-0.5, width - 0.5, top + height - 0.5, top - 0.5)
    shown = ax.imshow(pixels, cmap=cmap, vmin=low, vmax=high, interpolation="nearest", extent=extent)
    ax.set(xticks=[], yticks=[], ylim=(top + height - 0.5, -0.5))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return shown


def _centres(n, size, gap):
    return (size - 1) / 2 + np.arange(n) * (size + gap)


def _figsize(images, n_columns, n_rows, margin=(0.15, 0.15)):
    """Inches of a new figure for a mosaic, with a margin (width, height) for what stands beside it."""
    h, w = images.shape[2:]
    scale = min(TILE / max(h, w), WIDEST / (n_columns * w))
    return n_columns * w * scale + margin[0], n_rows * h * scale + margin[1]


class ReconstructionDisplay(Display):
    """Images over what an encoder and its decoder make of them.

    Parameters
    ----------
    images : ndarray of shape (n_images, channels, height, width)
    reconstructions : ndarray of shape (n_images, channels, height, width)

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    Notes
    -----
    Both rows are drawn on one scale, from the smallest to the largest value of ``images``. Three channels are
    red, green and blue; of other numbers of channels the first is shown.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import AutoencoderTransformer, ReconstructionDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> encoder = AutoencoderTransformer(8, image_shape=(8, 8), max_iter=2, random_state=0).fit(X)
    >>> ReconstructionDisplay.from_estimator(encoder, X).reconstructions.shape
    (10, 1, 8, 8)
    """

    def __init__(self, images, reconstructions):
        self.images = images
        self.reconstructions = reconstructions

    @classmethod
    def from_estimator(cls, estimator, X, *, n_images=10, ax=None):
        """Reconstruct the first rows of X and plot them.

        Parameters
        ----------
        estimator : fitted transformer
            With ``inverse_transform`` and ``image_shape_``.
        X : array-like of shape (n_samples, n_features)
        n_images : int, default=10
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : ReconstructionDisplay
        """
        import_pyplot(cls.__name__)
        shape = _image_shape(estimator, n_images)
        rows = _first_rows(X, n_images)
        rebuilt = estimator.inverse_transform(estimator.transform(rows))
        return cls(_fold(rows, shape), _fold(rebuilt, shape)).plot(ax=ax)

    def _figsize(self):
        return _figsize(self.images, len(self.images), 2, margin=(1.1, 0.15))

    def _draw(self, ax):
        images = _visible(self.images)
        _show(ax, np.concatenate([images, _visible(self.reconstructions)]), len(images), _limits(images))
        ax.set_yticks(_centres(2, images.shape[2], _gap(images)), ["image", "reconstruction"])


class SampleDisplay(Display):
    """Images that a model draws.

    Parameters
    ----------
    images : ndarray of shape (n_images, channels, height, width)

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    Notes
    -----
    The scale runs from the 1st to the 99th percentile of the values: a Gaussian's rare extremes would grey the rest.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import SampleDisplay, VAETransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VAETransformer(8, image_shape=(8, 8), max_iter=2, random_state=0).fit(X)
    >>> SampleDisplay.from_estimator(vae, random_state=0).images.shape
    (16, 1, 8, 8)
    """

    def __init__(self, images):
        self.images = images

    @classmethod
    def from_estimator(cls, estimator, *, n_images=16, random_state=None, ax=None):
        """Draw rows from a model and plot them.

        Parameters
        ----------
        estimator : fitted density
            With ``sample`` and ``image_shape_``.
        n_images : int, default=16
        random_state : int, RandomState instance or None, default=None
            Of ``sample``.
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : SampleDisplay
        """
        import_pyplot(cls.__name__)
        shape = _image_shape(estimator, n_images)
        return cls(_fold(estimator.sample(n_images, random_state=random_state), shape)).plot(ax=ax)

    def _n_columns(self):
        return math.ceil(math.sqrt(len(self.images)))

    def _figsize(self):
        return _figsize(self.images, self._n_columns(), math.ceil(len(self.images) / self._n_columns()))

    def _draw(self, ax):
        images = _visible(self.images)
        _show(ax, images, self._n_columns(), _limits(images, tail=1))


class ScoreMapDisplay(Display):
    """Images over the log-likelihood of each of their pixels, given those before it.

    Parameters
    ----------
    images : ndarray of shape (n_images, channels, height, width)
    log_likelihood : ndarray of shape (n_images, height, width)
        In nats, summed over the channels; an image's map sums to its ``score_samples``, the number below it.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import PixelCNNDensity, ScoreMapDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> density = PixelCNNDensity(image_shape=(8, 8), n_filters=8, n_blocks=1, max_iter=2, random_state=0).fit(X)
    >>> ScoreMapDisplay.from_estimator(density, X).log_likelihood.shape
    (8, 8, 8)
    """

    def __init__(self, images, log_likelihood):
        self.images = images
        self.log_likelihood = log_likelihood

    @classmethod
    def from_estimator(cls, estimator, X, *, n_images=8, ax=None):
        """Score the pixels of the first rows of X and plot them.

        Parameters
        ----------
        estimator : fitted density
            With ``score_features`` and ``image_shape_``.
        X : array-like of shape (n_samples, n_features)
        n_images : int, default=8
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : ScoreMapDisplay
        """
        import_pyplot(cls.__name__)
        shape = _image_shape(estimator, n_images)
        rows = _first_rows(X, n_images)
        log_likelihood = _fold(estimator.score_features(rows), shape).sum(axis=1)
        return cls(_fold(rows, shape), log_likelihood).plot(ax=ax)

    def _figsize(self):
        return _figsize(self.images, len(self.images), 2, margin=(2.1, 0.5))

    def _draw(self, ax):
        images, maps, n = _visible(self.images), self.log_likelihood[:, np.newaxis], len(self.images)
        height, width, gap = *images.shape[2:], _gap(images)
        _show(ax, images, n, _limits(images))
        shown = _show(ax, maps, n, _limits(maps), top=height + gap, cmap="viridis")
        ax.set_yticks(_centres(2, height, gap), ["image", "log-likelihood"])
        numbers = [f"{total:.0f}" for total in maps.sum(axis=(1, 2, 3))]
        tile = ax.get_window_extent().width / ax.figure.dpi / n  # inches
        upright = tile < DIGIT * max(map(len, numbers))
        ax.set_xticks(_centres(n, width, gap), numbers, rotation=90 if upright else 0)
        ax.set_xlabel("sum over the image (nats)")
        bar = ax.inset_axes([1 + 0.15 / n, 0, 0.15 / n, 1])  # as high as the mosaic, whatever the Axes' shape
        ax.figure.colorbar(shown, cax=bar, label="nats per pixel")
