"""The variational autoencoder."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._bridge.base import SampleMethods
from .._bridge.callbacks import LinearWarmUp
from .._bridge.columns import check_levels, kinds_of, learn_columns
from .._bridge.docs import fill_doc
from .._bridge.holes import described, filled, learn_holes
from .._bridge.rows import check_whole, drawn, learn_affine, learn_levels, n_scales, scaled, whole_pixels
from .._bridge.state import warn
from .._bridge.weights import moments
from .._nn.gaussians import Gaussians
from .._nn.likelihoods import LEVEL_LIKELIHOODS, Gaussian, GreyBernoulli
from .._nn.mixed import Columns, MixedVAE, Rounded
from .._nn.scaling import Reals, Shares, make_levels
from .._nn.vae import VAE
from .base import CoderTransformer
from .starts import ppca_start

NAMES = ("gaussian", "bernoulli", *LEVEL_LIKELIHOODS)
OPTIONS = ("beta", "free_bits")  # parameters that the module takes as they are
ROWS_FOR_ACTIVE_UNITS = 10_000
ACTIVE = 0.01  # variance of the posterior mean
REGRET_DRAWS, ROWS_OF_REGRET = 4, 16


@fill_doc
class VAETransformer(SampleMethods, CoderTransformer):
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
    likelihood : {"auto", "gaussian", "bernoulli", "categorical", "logistic_mixture"}, list or dict, default="auto"
        ``"auto"`` is ``"gaussian"`` for images and real values; in a table each column of whole numbers of up to 256
        levels has its own: ``"bernoulli"`` for two, else ``"logistic_mixture"``, of one logistic distribution for each
        code. A list of names, one for each feature, or a dict from a feature's name or index, decides instead. One
        name is for all: ``"gaussian"`` is a density in the units of X. ``"bernoulli"`` is a probability of rows of 0
        and 1. It takes other rows too, as is usual with grey images (their range in ``fit`` stands for [0, 1]), but
        then the score is a cross-entropy and no probability. ``"categorical"``, a softmax, and
        ``"logistic_mixture"``, ten logistic distributions, are distributions over levels, as in ``PixelCNNDensity``:
        whole-numbered rows get a log-probability. The first is the better one for few levels, the second for many.
    {n_levels}
        Used only with the last two likelihoods.
    beta : float, default=1.0
        Weight of the KL term in training. Below 1 codes keep more of the row, above 1 less.
    kl_warmup : int, default=10
        Epochs of ``fit`` over which the weight of the KL term rises to ``beta``, at most half of ``max_iter``: the
        decoder learns to use the codes before they are charged for.
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
    likelihood_ : str or list of str
        The one that ``"auto"`` chose; of a table with levels, the one of each column.
    n_active_units_ : int
        Latent units whose posterior mean varies over the rows of ``fit`` (variance above 0.01; Burda et al.
        2016). The other units have collapsed onto the prior and carry nothing.
    code_scale_ : ndarray of shape (n_components,), float32
        What the posterior mean is multiplied by to give the codes; see Notes.
    {attributes}

    See Also
    --------
    AutoencoderTransformer : No prior, no density; the stronger features where sampling does not matter.
    sklearn.decomposition.FactorAnalysis : The linear model with one variance for each feature, solved exactly.

    Notes
    -----
    In a table with levels a column of these is taken for a real one that was rounded: the probability of a level is
    what a logistic distribution has between its edges, for two levels a logistic regression on the code. Categories
    without an order belong into columns of 0 and 1 (``OneHotEncoder``). The score bounds the log of the density of the
    real columns, in their units, times the probability of the others.

    With ``likelihood="auto"`` or ``"gaussian"``, no corruption and a built-in architecture it starts at probabilistic
    PCA, with a residual variance of each feature's own where held-out rows gain by it. There the bound of real
    values is exact, ``kl_warmup`` is of no use, and the code follows rows outside the range of ``fit``. Nets whose
    last layers start at zero are added. A fiftieth of the density stays that of the linear model, so that no row
    scores less than it does by more than log 50 = 3.9 nats: what a net has learned of the noise can be far too sure
    of rows farther out (a defensive mixture, Hesterberg 1995).

    NaN marks what is missing, in ``fit`` and in new rows. A mixture of Gaussians fitted by EM fills it in, by its mean
    given the rest of the row, for the encoder to see; only what is observed counts in the bound, which there too is
    exact at the linear start: a bound on the log-density of the observed features (compare MIWAE).

    ``transform`` gives the posterior mean, never a draw. Of such a net each latent unit comes times ``code_scale_``,
    how far it moves the scaled row at the start, so that distances between codes are about those between rows. The
    prior's own units, of variance one each, cost PCA's codes of digits 18 points at ten labels.

    ``score_samples`` uses one set of draws of noise for all rows, derived from ``random_state`` in ``fit``, so a row
    has one score. Else than from a linear start, the encoder sees rows clipped to the range of ``fit`` while the
    likelihood sees them as they are: the score falls the farther out a value lies. Rows of an image that are whole
    numbers in ``fit`` come back within its range.

    References
    ----------
    D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", 2014.

    Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", 2016.

    D. P. Kingma et al., "Improved variational inference with inverse autoregressive flow", 2016 (free bits).

    Z. Ghahramani, M. I. Jordan, "Supervised learning from incomplete data via an EM approach", 1994.

    P.-A. Mattei, J. Frellsen, "MIWAE: deep generative modelling and imputation of incomplete data sets", 2019.

    T. Hesterberg, "Weighted average importance sampling and defensive mixture distributions", 1995.

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

    _n_steps = 3000  # of max_iter=None where no linear model is there to start at
    _parameter_constraints = {
        **CoderTransformer._parameter_constraints,
        "likelihood": [StrOptions({"auto", *NAMES}), list, tuple, dict],
        "n_levels": [Interval(Integral, 2, None, closed="left"), None],
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warmup": [Interval(Integral, 0, None, closed="left")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "variance_floor": [Interval(Real, 0, None, closed="neither")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, n_components=None, *, image_shape=None, architecture="auto", hidden_layer_sizes=None, activation="relu",
        corruption=None, likelihood="auto", n_levels=None, beta=1.0, kl_warmup=10, free_bits=0.0,
        variance_floor=1e-3, n_draws=50, learning_rate=5e-3, weight_decay=1e-4, max_iter=None, batch_size=128,
        early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, warm_start=False,
        random_state=None, verbose=0, callbacks=None, checkpoint=None, device="auto",
        precision="float32", compile=False,
    ):  # fmt: skip
        self._store(locals())

    @property
    def likelihood_(self):
        return self._spec_["likelihood"]

    def score_samples(self, X):
        r"""Importance-weighted lower bound on log p(x) of each row, in nats and in the units of X.

        :math:`\log \frac1S \sum_s p(x, z_s) / q(z_s | x)` with S = ``n_draws``; with 1 it is the evidence lower
        bound, from one draw. On average it rises towards log p(x) with more draws.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is missing; the score is then that of what is there.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
            A log-probability with ``likelihood="bernoulli"`` and rows of 0 and 1, and with the likelihoods over levels
            if ``fit`` saw whole numbers; of a table with levels and real values, the sum of both kinds.
        """
        check_is_fitted(self)
        noise = self._noise(self.n_draws)
        return self._apply_to_seen(lambda m, x, seen: m.log_prob(x, noise.to(x.device), seen), X, torch.float64)

    def sample(self, n_samples=1, random_state=None, means=False):
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            May be 0.
        random_state : int, RandomState instance or None, default=None
            None draws anew in every call.
        means : bool, default=False
            Whether only the codes are drawn, and the rows are the means of p(x | z): of images the ones to look at, as
            p(x | z) has noise that is independent in each pixel.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            A frame with the columns of ``fit`` where ``set_output`` asks for one.
        """
        return self._sample(n_samples, random_state, means=bool(means))

    def likelihood_regret(self, X, *, n_steps=25, learning_rate=0.05):
        """What the evidence lower bound of each row gains by a posterior of its own, in nats: high for anomalies.

        The mean and variance of q(z | x) that the encoder gives are refined, row by row, by steps of Adam. The
        encoder is good for rows like those of ``fit``; how much it leaves to be gained tells rows that are not, and
        unlike ``score_samples`` it is not low for what is merely complex. It is slow: on one CPU core some 25 ms for
        an image of 28 x 28 pixels, twenty times what ``score_samples`` takes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_steps : int, default=25
            Each costs about three times as much as decoding the ``REGRET_DRAWS`` = 4 draws that stand for q.
        learning_rate : float, default=0.05

        Returns
        -------
        regret : ndarray of shape (n_samples,), float64
            0 or more; the same for a row whatever rows come with it.

        References
        ----------
        Z. Xiao, Q. Yan, Y. Amit, "Likelihood regret: an out-of-distribution detection score for variational
        auto-encoder", 2020.
        """
        check_is_fitted(self)
        if not isinstance(n_steps, Integral) or n_steps < 1:
            raise ValueError(f"n_steps={n_steps!r} must be an integer, 1 or more.")
        if not learning_rate > 0:
            raise ValueError(f"learning_rate={learning_rate!r} must be positive.")
        noise = self._noise(REGRET_DRAWS)
        options = {"dtype": torch.float64, "n_rows": ROWS_OF_REGRET}
        return self._apply(lambda m, x: m.regret(x, noise.to(x.device), n_steps, learning_rate), X, **options)

    def score_statistics(self, X):
        """What else tells strange rows: where in the row the likelihood is low, and the code.

        ``DensityOutlierDetector(method="statistics")`` learns from kept-apart rows how these are distributed. A row
        may have a common likelihood and yet an uncommon place for its losses, as images upside down have.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        statistics : ndarray of shape (n_samples, n_statistics), float64
            log p(x | z) in nats at the posterior mean z, summed over the cells of a grid of at most 7 x 7 (of a
            table: over all features), up to a constant; then z.
        """
        return self._apply(lambda module, x: module.statistics(x), X, torch.float64)

    def _noise(self, n_draws):
        """Standard normal noise that all rows share; the first draws are the same whatever their number."""
        noise = np.random.RandomState(self._spec_["seed"]).standard_normal((n_draws, self._n_features_out))
        return torch.from_numpy(noise.astype(np.float32))

    def _check_rows(self, X, *, reset=False):
        X = super()._check_rows(X, reset=reset)
        if not reset and isinstance(self.likelihood_, list):
            check_levels(X, self, self._module.scaling)
        elif not reset and self._spec_.get("whole"):
            check_whole(X, type(self).__name__)
        return X

    def _spec(self):
        own = ("likelihood", "n_levels", "variance_floor", *OPTIONS)
        return {**super()._spec(), **{name: getattr(self, name) for name in own}}

    def _build(self, spec):
        likelihood, scaling, levels = self._likelihood(spec)
        encoder, decoder, shape, corruption = self._build_coder(spec, per_code=2, per_feature=likelihood.n_params)
        options = {name: spec[name] for name in OPTIONS}
        return (MixedVAE if isinstance(spec["likelihood"], list) else VAE)(
            scaling, encoder, decoder, shape, likelihood, spec["n_components"], levels=levels, corruption=corruption,
            holes=Gaussians(spec["n_features"], **spec["holes"]), **options,
        )  # fmt: skip

    @staticmethod
    def _likelihood(spec):
        """The likelihood, the scaling, and the levels of one over levels."""
        name, n_features = spec["likelihood"], spec["n_features"]
        if isinstance(name, list):
            return Rounded(Gaussian(spec["variance_floor"])), Columns(n_features), None
        if name == "bernoulli":
            return GreyBernoulli(), Shares(n_features, spec["clips"]), None
        if name == "gaussian":
            return Gaussian(spec["variance_floor"]), Reals(n_features, spec["clips"]), None
        return LEVEL_LIKELIHOODS[name](spec["n_levels"]), Reals(n_features), make_levels(spec)

    def _learn(self, X, weights):
        likelihood, widths = self._decide(X)
        decided, shared = {"likelihood": likelihood}, n_scales(self.image_shape_)
        if mixed := isinstance(likelihood, list):
            buffers = learn_columns(X, "scaling", widths, weights)
        else:
            onto = "unit" if likelihood == "bernoulli" else "standard"
            buffers = learn_affine(X, "scaling", weights, onto=onto, shared=shared)
        of_holes, gaussians = described(learn_holes(X, buffers["scaling.shift"], buffers["scaling.scale"], weights))
        decided, buffers = decided | of_holes, buffers | gaussians
        if mixed or likelihood not in LEVEL_LIKELIHOODS:
            return decided | {"clips": whole_pixels(X, self.image_shape_)}, buffers
        of_bins, of_levels = learn_levels(X, self.n_levels, shared=shared)
        return decided | of_bins, buffers | of_levels

    def _decide(self, X):
        """The name of a likelihood; or one for each column of a table with levels, and the widths of these."""
        if self.likelihood in NAMES:
            return self.likelihood, None
        kinds, widths = kinds_of(X, self, "gaussian", categories=False)
        return kinds or "gaussian", widths

    def _linear_model(self, X, weights):
        U = scaled(X, self._module.scaling)
        return ppca_start(U, self._n_features_out, self.variance_floor, drawn(weights))

    def _may_start(self):
        return super()._may_start() and self.likelihood not in ("bernoulli", *LEVEL_LIKELIHOODS)

    def _callbacks(self, n_epochs):
        n_epochs = 0 if self._spec_["started"] else min(self.kl_warmup, n_epochs // 2)  # the start uses its codes
        return [LinearWarmUp("kl_weight", n_epochs, self.n_iter_)] if n_epochs else []

    def _after_training(self, X, weights):
        step = max(1, len(X) // ROWS_FOR_ACTIVE_UNITS)
        some, weights = filled(self.net_, X[::step]), None if weights is None else weights[::step]
        codes = self._apply_checked(lambda module, x: module.encode(x), some) / self.code_scale_
        self.n_active_units_ = int((moments(codes, weights)[1] > ACTIVE).sum())
        n_components = self._n_features_out
        if len(codes) > 1 and self.n_active_units_ <= n_components // 10:
            warn(
                f"Posterior collapse: {self.n_active_units_} of {n_components} latent units are active, so the codes "
                "say next to nothing about the row. Try beta below 1, a longer kl_warmup, free_bits of 0.1 to 0.5, "
                "more epochs, or fewer n_components.",
                ConvergenceWarning,
            )
