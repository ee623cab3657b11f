"""The autoencoder."""

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions

from .._bridge.base import DensityMethods
from .._bridge.docs import fill_doc
from .._bridge.rows import learn_affine, n_scales, scaled, whole_pixels
from .._nn.autoencoders import Autoencoder
from .._nn.corruption import moves_in_time
from .._nn.scaling import Affine
from .base import CoderTransformer
from .starts import pca_start, pooled_start

ROWS_AT_ONCE = 256  # of which the features of random kernels are made


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
    loss : {"squared_error", "binary_cross_entropy"}, default="squared_error"
        :math:`\ell`, summed over features. The cross-entropy takes the range of X seen in ``fit`` as [0, 1].
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
    With ``loss="squared_error"``, no corruption and a built-in architecture, encoder and decoder are PCA of the scaled
    rows, plus nets whose last layers start at zero; ``fit`` warns where they bring nothing. Warped rows, and others'
    builders, start plain.

    Series under ``"affine"`` or ``"elastic"`` start elsewhere: the encoder at PCA of how often each of many random
    kernels fits anywhere in the row (Dempster et al. 2020), the decoder at a ridge regression of the rows on these
    codes. They say what happens, not when: good for few labels, poor for rebuilding.

    The encoder sees rows clipped to the range of ``fit``, so that a value outside it moves the code no farther;
    ``score_samples`` compares with the row as it is. Codes are float32.

    References
    ----------
    G. E. Hinton, R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006.

    P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, "Extracting and composing robust features with denoising
    autoencoders", 2008.

    A. Dempster, F. Petitjean, G. I. Webb, "ROCKET: exceptionally fast and accurate time series classification using
    random convolutional kernels", 2020.

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
        "loss": [StrOptions({"squared_error", "binary_cross_entropy"})],
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
        """Minus the squared reconstruction error of each row, in the units of X squared.

        It is no log-density: compare it between rows, not between models with other ``n_components``. Features
        of large units outweigh the others, as in PCA; a ``StandardScaler`` in front makes them count alike.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            ``-((X - inverse_transform(transform(X))) ** 2).sum(axis=1)``; higher is more normal.
        """

        def minus_error(module, x):
            rebuilt = module.decode(module.encode(x))
            farthest = torch.finfo(rebuilt.dtype).max ** 0.5 / 1e4  # the sum of squares must stay finite
            return -(x.to(rebuilt.dtype) - rebuilt).clamp(-farthest, farthest).square().sum(1)

        return self._apply(minus_error, X).astype(np.float64)

    def _spec(self):
        return {**super()._spec(), "loss": self.loss}

    def _build(self, spec):
        encoder, decoder, shape, corruption = self._build_coder(spec)
        scaling = Affine(spec["n_features"], clips=spec["clips"])
        return Autoencoder(scaling, encoder, decoder, shape, spec["n_components"], corruption, spec["loss"])

    def _learn(self, X):
        onto = "unit" if self.loss == "binary_cross_entropy" else "standard"
        shared = n_scales(self.image_shape_)
        return {"clips": whole_pixels(X, self.image_shape_)}, learn_affine(X, "scaling", onto=onto, shared=shared)

    def _linear_model(self, X):
        U, k = scaled(X, self._module.scaling), self._n_features_out
        return pooled_start(U, self._pooled_features(U), k) if self._spec_["pooled"] else pca_start(U, k)

    def _pooled_features(self, U):
        encoder = self._module.encoder
        chunks = torch.from_numpy(U).to(encoder.weight).split(ROWS_AT_ONCE)
        return torch.cat([encoder.features(chunk) for chunk in chunks]).cpu().double().numpy()

    def _may_start(self):
        if self.loss != "squared_error" or not isinstance(self.architecture, str):
            return False
        return self.corruption is None or moves_in_time(self.corruption, self.image_shape_)
