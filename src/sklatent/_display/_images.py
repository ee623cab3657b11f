"""Rows as images or series: reconstructions, samples, maps of the log-likelihood."""

from numbers import Integral

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, check_is_fitted

from .._nn.series import is_series
from . import _lines, _mosaics
from ._common import Display, import_pyplot


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


def _painter(images):
    """What draws rows of this kind: series as lines, images as pixels."""
    return _lines if is_series(images.shape) else _mosaics


class ReconstructionDisplay(Display):
    """Images over what an encoder and its decoder make of them; series and it as lines, one on the other.

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

    Of series, ``(channels, 1, n_steps)``, each channel has a colour and a scale of its own, the same for both.

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
        return _painter(self.images).size_of_reconstructions(self.images)

    def _draw(self, ax):
        _painter(self.images).draw_reconstructions(ax, self.images, self.reconstructions)


class SampleDisplay(Display):
    """Images that a model draws, or series, as lines.

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

    def _figsize(self):
        return _painter(self.images).size_of_samples(self.images)

    def _draw(self, ax):
        _painter(self.images).draw_samples(ax, self.images)


class ScoreMapDisplay(Display):
    """Images, or series, over the log-likelihood of each of their pixels, or steps, given those before it.

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
        return _painter(self.images).size_of_score_maps(self.images)

    def _draw(self, ax):
        _painter(self.images).draw_score_maps(ax, self.images, self.log_likelihood)
