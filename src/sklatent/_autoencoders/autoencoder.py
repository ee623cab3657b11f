"""The autoencoder."""

import torch
from sklearn.utils._param_validation import StrOptions

from .._bridge.base import DensityMethods
from .._bridge.docs import fill_doc
from .._bridge.holes import described, learn_holes
from .._bridge.rows import drawn, learn_affine, n_scales, scaled, whole_pixels
from .._nn.autoencoders import LOSSES, Autoencoder
from .._nn.corruption import moves_in_time
from .._nn.gaussians import Gaussians
from .._nn.scaling import Affine
from .base import CoderTransformer
from .starts import pca_start, pooled_start

ROWS_AT_ONCE = 256  # of which the features of kernels are made


@fill_doc
class AutoencoderTransformer(DensityMethods, CoderTransformer):
    r"""Autoencoder: features that a row can be rebuilt from.

    Minimises the reconstruction error, with :math:`\tilde x = x` or a corruption of it,

    .. math:: \sum_i \ell\bigl(x_i,\, g(f(\tilde x_i))\bigr),

    where the encoder f gives ``n_components`` codes and the decoder g rows; both are linear, deep and dense, or
    convolutional. Features are standardised inside: each by itself in a table, all pixels alike in an image, and all
    steps of a channel alike in a series.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of codes. None: as many as features, at most 32.
    {image_shape}
    {coder}
    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"} or callable, default="squared_error"
        :math:`\ell`, summed over features, in the units that they have inside. ``"huber"`` is half the squared error up
        to an error of 1 and linear beyond, so that a few wild values, in any rows, count less. The cross-entropy takes
        the range of X seen in ``fit`` as [0, 1]. A callable maps rows and reconstructions, two tensors (n, n_features),
        to the loss of each row, (n,).
    {training}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    VAETransformer : Codes with a prior: a density of the rows, and samples.
    sklearn.decomposition.PCA : What a linear autoencoder finds, up to a linear map of the codes.

    Notes
    -----
    With any ``loss`` but the cross-entropy, no corruption and a built-in architecture, encoder and decoder are PCA of
    the scaled rows, plus nets whose last layers start at zero; ``fit`` warns where they bring nothing. Warped rows, and
    others' builders, start plain.

    NaN marks what is missing, in ``fit`` and in new rows. A mixture of Gaussians fitted by EM fills it in, by its mean
    given the rest of the row, for the encoder to see; only what is observed counts in the loss and the score.

    Series under ``"affine"`` or ``"elastic"`` start elsewhere: the encoder at PCA of how often each of many kernels
    fits anywhere in the row (Dempster et al. 2021), the decoder at a ridge regression of the rows on these
    codes. They say what happens, not when: good for few labels, poor for rebuilding.

    The encoder sees rows clipped to the range of ``fit``, so that a value outside it moves the code no farther;
    ``score_samples`` compares with the row as it is, in squares whatever the ``loss``. Codes are float32.

    References
    ----------
    G. E. Hinton, R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006.

    Z. Ghahramani, M. I. Jordan, "Supervised learning from incomplete data via an EM approach", 1994.

    P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, "Extracting and composing robust features with denoising
    autoencoders", 2008.

    A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic transform for time series
    classification", 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import AutoencoderTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> encoder = AutoencoderTransformer(8, image_shape=(8, 8), corruption="affine", max_iter=2, random_state=0)
    >>> encoder.fit_transform(X).shape
    (1797, 8)
    """

    _n_steps = 3000  # of max_iter=None where no linear model is there to start at
    _parameter_constraints = {
        **CoderTransformer._parameter_constraints,
        "loss": [StrOptions(set(LOSSES)), callable],
    }

    def __init__(
        self, n_components=None, *, image_shape=None, architecture="auto", hidden_layer_sizes=None, activation="relu",
        corruption=None, loss="squared_error", learning_rate=5e-3, weight_decay=1e-4, max_iter=None, batch_size=128,
        early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, warm_start=False,
        random_state=None, verbose=0, callbacks=None, checkpoint=None, device="auto",
        precision="float32", compile=False,
    ):  # fmt: skip
        self._store(locals())

    def score_samples(self, X):
        """Minus the squared reconstruction error of each row, in standardised features, as they are inside.

        It is no log-density: compare it between rows, not between models with other ``n_components``. Whatever their
        units are, features count alike, and so do all pixels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Higher is more normal. ``-(((X - inverse_transform(transform(X))) / s) ** 2).sum(axis=1)`` with the
            standard deviations s of the features in ``fit``; of all pixels, or the range with the cross-entropy.
        """
        return self._apply_to_seen(lambda module, x, seen: -module.squared_errors(x, seen).sum(1), X, torch.float64)

    def score_features(self, X):
        """Minus the squared reconstruction error of each feature: what it adds to the score of its row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples, n_features), float64
            The rows sum to ``score_samples``.
        """
        return self._apply_to_seen(lambda module, x, seen: -module.squared_errors(x, seen), X, torch.float64)

    def _spec(self):
        return {**super()._spec(), "loss": self.loss}

    def _build(self, spec):
        encoder, decoder, shape, corruption = self._build_coder(spec)
        scaling = Affine(spec["n_features"], clips=spec["clips"])
        holes = Gaussians(spec["n_features"], **spec["holes"])
        return Autoencoder(scaling, encoder, decoder, shape, spec["n_components"], corruption, spec["loss"], holes)

    def _learn(self, X, weights):
        if callable(self.loss):
            check_loss(self.loss, X.shape[1])
        onto = "unit" if self.loss == "binary_cross_entropy" else "standard"
        shared = n_scales(self.image_shape_)
        buffers = learn_affine(X, "scaling", weights, onto=onto, shared=shared)
        decided, gaussians = described(learn_holes(X, buffers["scaling.shift"], buffers["scaling.scale"], weights))
        return decided | {"clips": whole_pixels(X, self.image_shape_)}, buffers | gaussians

    def _linear_model(self, X, weights):
        U, k, weights = scaled(X, self._module.scaling), self._n_features_out, drawn(weights)
        if self._spec_["pooled"]:
            return pooled_start(U, self._pooled_features(U), k, weights)
        return pca_start(U, k, weights)

    def _pooled_features(self, U):
        encoder = self._module.encoder
        rows = torch.from_numpy(U).to(encoder.weight)
        encoder.kernels.learn(rows.unflatten(1, encoder.input_shape))
        chunks = rows.split(ROWS_AT_ONCE)
        return torch.cat([encoder.features(chunk) for chunk in chunks]).cpu().double().numpy()

    def _may_start(self):
        if self.loss == "binary_cross_entropy" or not isinstance(self.architecture, str):
            return False
        return self.corruption is None or moves_in_time(self.corruption, self.image_shape_)


def check_loss(loss, n_features):
    """Run a few rows through a callable loss, so that a wrong one fails with words, not in training."""
    n = 3 if n_features != 3 else 4
    rows = torch.linspace(-1, 1, n * n_features).view(n, n_features)
    words = (
        "A callable loss must map rows and reconstructions, two tensors (n, n_features), to a loss of each row, (n,)"
    )
    try:
        found = loss(rows, torch.zeros_like(rows, requires_grad=True))
    except Exception as error:
        raise ValueError(f"{words}; of {n} rows it failed: {error}") from error
    if not isinstance(found, torch.Tensor) or found.shape != (n,):
        what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else repr(found)
        raise ValueError(f"{words}; of {n} rows it gave {what}. Sum over the features, and not over the rows.")
    if not found.requires_grad:
        raise ValueError(f"{words}, by operations of torch; what it gave has no gradient.")
