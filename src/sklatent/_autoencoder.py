"""Autoencoders as transformers."""

import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from . import _docs, _training
from ._base import DensityMethods, SampleMethods, TorchEstimator
from ._data import learn_affine
from ._nn import builders
from ._nn.autoencoders import VAE, Autoencoder
from ._nn.corruption import CORRUPTIONS, make_corruption
from ._nn.scaling import Affine, fill
from ._training import LinearWarmUp

MAX_COMPONENTS = 32  # of n_components=None
ROWS_FOR_ACTIVE_UNITS = 10_000
VAE_OPTIONS = ("likelihood", "beta", "free_bits", "variance_floor")


class _CoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TorchEstimator):
    """What the encoder-decoder transformers share."""

    _parameter_constraints = {
        **TorchEstimator._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "architecture": [StrOptions({"auto", "mlp", "conv"}), callable],
        "hidden_layer_sizes": ["array-like", None],
        "activation": [StrOptions(set(builders.ACTIVATIONS))],
        "corruption": [StrOptions(set(CORRUPTIONS)), callable, None],
    }

    def transform(self, X):
        """Codes of the rows of X: deterministic, and the same for a row whatever rows come with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
        """
        return self._apply(lambda module, x: module.encode(x).float(), X)

    def inverse_transform(self, X):
        """Rows that codes stand for, in the units of the rows of ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), float64
        """
        return self._apply_to_codes(lambda module, z: module.decode(z), X)

    @property
    def _n_features_out(self):
        return self._fitted_spec["n_components"]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _spec(self):
        conv = self.image_shape_ is not None if self.architecture == "auto" else self.architecture == "conv"
        if conv and self.image_shape_ is None:
            raise ValueError(
                "architecture='conv' needs image_shape, the (channels, height, width) that the rows of X were "
                "flattened from. For a table use architecture='mlp'."
            )
        return {
            "n_features": self.n_features_in_,
            "image_shape": self.image_shape_,
            "n_components": self.n_components or min(MAX_COMPONENTS, self.n_features_in_),
            "architecture": self.architecture if callable(self.architecture) else "conv" if conv else "mlp",
            "hidden_layer_sizes": self._widths(),
            "activation": self.activation,
            "corruption": self.corruption,
        }

    def _widths(self):
        if self.hidden_layer_sizes is None:
            return None
        widths = np.atleast_1d(self.hidden_layer_sizes).tolist()
        if not all(isinstance(width, int) and width > 0 for width in widths):
            raise ValueError(f"hidden_layer_sizes={self.hidden_layer_sizes!r} must be positive integers, or ().")
        return tuple(widths)

    def _build_coder(self, spec, per_code=1, per_feature=1):
        """What both models are made of: scaling, encoder, decoder, the shape that a row folds to, corruption.

        The encoder gives ``per_code`` numbers for each code and the decoder ``per_feature`` for each feature: 2 for
        a mean and a variance.
        """
        shape = spec["image_shape"] or (spec["n_features"],)
        n_latent = spec["n_components"]
        n_code = per_code * n_latent
        build = spec["architecture"]
        if not callable(build):
            options = {"activation": spec["activation"]}
            if spec["hidden_layer_sizes"] is not None:
                options["widths"] = spec["hidden_layer_sizes"]
            plain = builders.conv if build == "conv" else builders.mlp

            def build(*args):
                return plain(*args, **options)

        encoder, decoder = _check_pair(build(shape, n_code, n_latent))
        out_shape = (per_feature * shape[0], *shape[1:])
        if per_feature > 1:  # the decoder of twice the channels
            _, decoder = _check_pair(build(out_shape, n_code, n_latent))
        _check_shape("encoder", encoder, shape, (n_code,))
        _check_shape("decoder", decoder, (n_latent,), out_shape)
        scaling = fill(Affine(spec["n_features"]), **spec["scaling"])
        return scaling, encoder, decoder, shape, make_corruption(spec["corruption"], spec["image_shape"])


def _check_pair(built):
    if isinstance(built, tuple) and len(built) == 2 and all(isinstance(m, torch.nn.Module) for m in built):
        return built
    raise TypeError(
        "architecture must be a builder(input_shape, n_code, n_latent) that returns two nn.Module, (encoder, "
        f"decoder); it returned {type(built).__name__}."
    )


def _check_shape(name, module, shape_in, shape_out):
    """Run two rows of zeros through a module, so that a wrong builder fails with words, not inside a loss."""
    training = module.training
    try:
        with torch.no_grad():
            found = tuple(module.eval()(torch.zeros(2, *shape_in)).shape)
    except RuntimeError as error:
        raise ValueError(
            f"The builder's {name} cannot take rows of shape (n, {', '.join(map(str, shape_in))}): {error}"
        ) from error
    module.train(training)
    if found != (2, *shape_out):
        raise ValueError(
            f"The builder's {name} must map (n, {', '.join(map(str, shape_in))}) to "
            f"(n, {', '.join(map(str, shape_out))}), but two rows came out with shape {found}."
        )


@_docs.fill_doc(image_shape=_docs.IMAGE_SHAPE, coder=_docs.CODER, training=_docs.TRAINING, attributes=_docs.ATTRIBUTES)
class AutoencoderTransformer(DensityMethods, _CoderTransformer):
    r"""Autoencoder: features that a row can be rebuilt from.

    Minimises the reconstruction error, with :math:`\tilde x = x` or a corruption of it,

    .. math:: \sum_i \ell\bigl(x_i,\, g(f(\tilde x_i))\bigr),

    where the encoder f gives ``n_components`` codes and the decoder g rows; both are linear, deep and dense, or
    convolutional. Features are standardised inside: each by itself in a table, all pixels alike in an image.

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
    The encoder sees rows clipped to the range of ``fit``, so that a value outside it moves the code no farther;
    ``score_samples`` compares with the row as it is. Codes are float32.

    References
    ----------
    G. E. Hinton, R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006.

    P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, "Extracting and composing robust features with denoising
    autoencoders", 2008.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import AutoencoderTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> encoder = AutoencoderTransformer(8, image_shape=(8, 8), corruption="affine", max_iter=2, random_state=0)
    >>> encoder.fit_transform(X).shape
    (1797, 8)
    """

    _parameter_constraints = {
        **_CoderTransformer._parameter_constraints,
        "loss": [StrOptions({"squared_error", "binary_cross_entropy"})],
    }

    def __init__(
        self,
        n_components=None,
        *,
        image_shape=None,
        architecture="auto",
        hidden_layer_sizes=None,
        activation="relu",
        corruption=None,
        loss="squared_error",
        learning_rate=5e-3,
        weight_decay=1e-4,
        max_iter=50,
        batch_size=128,
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
        return Autoencoder(*self._build_coder(spec), loss=spec["loss"])

    def _learn(self, X):
        onto = "unit" if self.loss == "binary_cross_entropy" else "standard"
        return {"scaling": learn_affine(X, onto=onto, shared=self.image_shape_ is not None)}


@_docs.fill_doc(image_shape=_docs.IMAGE_SHAPE, coder=_docs.CODER, training=_docs.TRAINING, attributes=_docs.ATTRIBUTES)
class VAETransformer(SampleMethods, _CoderTransformer):
    r"""Variational autoencoder: features with a prior, a bound on the log-density, and samples.

    .. math::
        p(x) = \int p(x | z)\, N(z; 0, I)\, dz, \qquad
        p(x | z) = N\bigl(x; \mu(z), \operatorname{diag} \sigma^2(z)\bigr), \qquad
        q(z | x) = N\bigl(z; m(x), \operatorname{diag} s^2(x)\bigr).

    Maximises the evidence lower bound :math:`E_q \log p(x | z) - \beta\, KL(q(z | x) \| N(0, I))`, whose KL term
    is in closed form.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of latent units. None: as many as features, at most 32.
    {image_shape}
    {coder}
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        ``"gaussian"`` is a density in the units of X. ``"bernoulli"`` is a probability of rows of 0 and 1. It takes
        other rows too, as is usual with grey images (their range in ``fit`` stands for [0, 1]), but then the score
        is a cross-entropy and no probability.
    beta : float, default=1.0
        Weight of the KL term in training. Below 1 codes keep more of the row, above 1 less.
    kl_warmup : int, default=10
        Epochs of ``fit`` over which the weight of the KL term rises to ``beta``: the decoder learns to use the
        codes before they are charged for.
    free_bits : float, default=0.0
        Nats of KL that each unit is granted in training; guards against posterior collapse.
    variance_floor : float, default=1e-3
        Smallest :math:`\sigma^2`, as a share of the feature's variance (of all pixels' in an image); constant
        features would have an infinite density without it. Compare ``GaussianMixture(reg_covar=)``.
    n_draws : int, default=50
        Draws from q(z | x) for ``score_samples``; its cost grows with it.
    {training}

    Attributes
    ----------
    n_active_units_ : int
        Latent units whose posterior mean varies over the rows of ``fit`` (variance above 0.01; Burda et al.
        2016). The other units have collapsed onto the prior and carry nothing.
    {attributes}

    See Also
    --------
    AutoencoderTransformer : No prior, no density; the stronger features where sampling does not matter.
    sklearn.decomposition.FactorAnalysis : The linear model with one variance for each feature, solved exactly.

    Notes
    -----
    ``transform`` gives the posterior mean, never a draw. ``score_samples`` uses one set of draws of noise for all
    rows, derived from ``random_state`` in ``fit``, so a row has one score. The encoder sees rows clipped to the
    range of ``fit`` while the likelihood sees them as they are: the score falls the farther out a value lies.

    References
    ----------
    D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", 2014.

    Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", 2016.

    D. P. Kingma et al., "Improved variational inference with inverse autoregressive flow", 2016 (free bits).

    I. Higgins et al., "beta-VAE: Learning basic visual concepts with a constrained variational framework", 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import VAETransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VAETransformer(8, image_shape=(8, 8), max_iter=2, random_state=0).fit(X)
    >>> vae.transform(X).shape, vae.score_samples(X).shape, vae.sample(5, random_state=0).shape
    ((1797, 8), (1797,), (5, 64))
    """

    _parameter_constraints = {
        **_CoderTransformer._parameter_constraints,
        "likelihood": [StrOptions({"gaussian", "bernoulli"})],
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warmup": [Interval(Integral, 0, None, closed="left")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "variance_floor": [Interval(Real, 0, None, closed="neither")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=None,
        *,
        image_shape=None,
        architecture="auto",
        hidden_layer_sizes=None,
        activation="relu",
        corruption=None,
        likelihood="gaussian",
        beta=1.0,
        kl_warmup=10,
        free_bits=0.0,
        variance_floor=1e-3,
        n_draws=50,
        learning_rate=5e-3,
        weight_decay=1e-4,
        max_iter=50,
        batch_size=128,
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

    def score_samples(self, X):
        r"""Importance-weighted lower bound on log p(x) of each row, in nats and in the units of X.

        :math:`\log \frac1S \sum_s p(x, z_s) / q(z_s | x)` with S = ``n_draws``; with 1 it is the evidence lower
        bound, from one draw. On average it rises towards log p(x) with more draws.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
            A log-probability with ``likelihood="bernoulli"`` and rows of 0 and 1.
        """
        check_is_fitted(self)
        noise = np.random.RandomState(self._seed).standard_normal((self.n_draws, self._n_features_out))
        noise = torch.from_numpy(noise.astype(np.float32))
        return self._apply(lambda m, x: m.log_prob(x, noise.to(x.device)), X).astype(np.float64)

    def _spec(self):
        return {**super()._spec(), **{name: getattr(self, name) for name in VAE_OPTIONS}}

    def _build(self, spec):
        per_feature = 2 if spec["likelihood"] == "gaussian" else 1
        options = {name: spec[name] for name in VAE_OPTIONS}
        return VAE(*self._build_coder(spec, per_code=2, per_feature=per_feature), **options)

    def _learn(self, X):
        onto = "unit" if self.likelihood == "bernoulli" else "standard"
        return {"scaling": learn_affine(X, onto=onto, shared=self.image_shape_ is not None)}

    def _callbacks(self):
        return [LinearWarmUp("kl_weight", self.kl_warmup)] if self.kl_warmup else []

    def _after_training(self, X):
        codes = _training.apply(self.net_, self._module.encode, X[:: max(1, len(X) // ROWS_FOR_ACTIVE_UNITS)])
        self.n_active_units_ = int((codes.var(axis=0) > 0.01).sum())
        n_components = self._n_features_out
        if len(codes) > 1 and self.n_active_units_ <= n_components // 10:
            warnings.warn(
                f"Posterior collapse: {self.n_active_units_} of {n_components} latent units are active, so the codes "
                "say next to nothing about the row. Try beta below 1, a longer kl_warmup, free_bits of 0.1 to 0.5, "
                "more epochs, or fewer n_components.",
                ConvergenceWarning,
                stacklevel=4,
            )
