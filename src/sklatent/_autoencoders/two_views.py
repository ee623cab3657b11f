"""The encoder that learns from two views."""

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import StrOptions

from .._bridge.docs import fill_doc
from .._bridge.holes import described, filled, learn_holes
from .._bridge.rows import learn_affine, n_scales, whole_pixels
from .._bridge.state import warn
from .._nn.corruption import CORRUPTIONS
from .._nn.gaussians import Gaussians
from .._nn.scaling import Affine
from .._nn.two_views import LOSSES, TwoViews
from .base import EncoderTransformer

ROWS_TO_LOOK_AT = 10_000  # for signs of collapse
COLLAPSED = 0.1  # of ``output_std_``
CORRUPTION, CORRUPTION_OF_TABLES = {"elastic": 0.7}, {"swap": 0.2}  # of "auto"; a full warp takes twice the steps


@fill_doc
class TwoViewTransformer(EncoderTransformer):
    r"""Encoder that gives two corrupted views of a row like codes, and different rows different ones.

    Each row of a batch is corrupted twice, a and b. The encoder f and a projection head h, two dense layers that are
    there in training alone, give :math:`u_i = h(f(a_i))` and :math:`v_i = h(f(b_i))` in d = 128 dimensions. Minimises
    how far these are apart, and what keeps all of them from being one point. VICReg:

    .. math::
        \frac{25}{nd} \sum_i |u_i - v_i|^2 + \sum_{w \in \{u, v\}} \Bigl( \frac{25}{2d} \sum_j \max(0, 1 - s_j(w))
        + \frac1d \sum_{j \ne k} C_{jk}(w)^2 \Bigr)

    with the standard deviations s and the covariances C over the n rows of the batch. NT-Xent: the cross-entropy of
    telling, of all other views in the batch, the one that is of the same row,

    .. math::
        -\frac{1}{2n} \sum_i \log \frac{\exp(\cos(u_i, v_i) / t)}{\sum_{w \ne u_i} \exp(\cos(u_i, w) / t)}
        + \text{the same with u and v exchanged}, \qquad t = 0.2.

    What the corruption changes, the codes leave out, and what tells rows apart they keep; nothing is rebuilt.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of codes. None: as many as features, at most 32.
    {image_shape}
    {encoder}
    corruption : "auto", name, list, dict or callable, default="auto"
        What makes the views, in the terms of ``AutoencoderTransformer``: what may change while the row stays what it
        is. ``"auto"`` is ``{"elastic": 0.7}`` for images and series, ``{"swap": 0.2}`` for tables.
    loss : {"vicreg", "nt_xent"}, default="vicreg"
    {training}

    Attributes
    ----------
    effective_rank_ : float
        How many directions the codes of the rows of ``fit`` vary in: the exponential of the entropy of the shares of
        their singular values, about the mean; from 1 to ``n_components``.
    output_std_ : float
        How far the outputs of the head are spread over the rows of ``fit``: the mean of :math:`\min(1, s_j)`, for
        NT-Xent of outputs scaled to the length :math:`\sqrt d`. 1 is as far as the loss asks for, 0 is all rows at
        one point.
    corruption_ : name, list, dict or callable
        What ``"auto"`` stood for.
    {attributes}

    See Also
    --------
    AutoencoderTransformer : Codes that rows can be rebuilt from; with ``inverse_transform`` and scores.
    EncoderClassifier : Fine-tunes the encoder, with few labels.

    Notes
    -----
    ``fit`` warns of collapse: where ``output_std_`` is below 0.1, or ``effective_rank_`` at most a tenth of
    ``n_components``.

    A loss of a batch has no rows of its own. What is reported, and weighted by ``sample_weight``, is the share of each
    row; spread and covariances are those of the batch, whatever its rows weigh. Held-out rows are compared by views
    that are the same in every epoch. A batch of one row has views to bring together, but none to keep apart.

    NaN marks what is missing, in ``fit`` and in new rows. A mixture of Gaussians fitted by EM fills it in, by its mean
    given the rest of the row, for the encoder to see. The encoder sees rows clipped to the range of ``fit``, so that
    a value outside it moves the code no farther. Codes are float32.

    References
    ----------
    A. Bardes, J. Ponce, Y. LeCun, "VICReg: variance-invariance-covariance regularization for self-supervised
    learning", 2022.

    T. Chen, S. Kornblith, M. Norouzi, G. Hinton, "A simple framework for contrastive learning of visual
    representations", 2020 (SimCLR, NT-Xent).

    D. Bahri, H. Jiang, Y. Tay, D. Metzler, "SCARF: self-supervised contrastive learning using random feature
    corruption", 2022 (tables).

    O. Roy, M. Vetterli, "The effective rank: a measure of effective dimensionality", 2007; of codes: Q. Garrido,
    R. Balestriero, L. Najman, Y. LeCun, "RankMe", 2023.

    X. Chen, K. He, "Exploring simple Siamese representation learning", 2021 (what collapse looks like).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import TwoViewTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> encoder = TwoViewTransformer(8, image_shape=(8, 8), max_iter=2, random_state=0)
    >>> encoder.fit_transform(X).shape
    (1797, 8)
    """

    _n_steps = 500
    _fewest_epochs = 2
    _left_behind = ("head", "holes")
    _parameter_constraints = {
        **EncoderTransformer._parameter_constraints,
        "corruption": [StrOptions({"auto"} | set(CORRUPTIONS)), list, tuple, dict, callable],
        "loss": [StrOptions(set(LOSSES))],
    }

    def __init__(
        self, n_components=None, *, image_shape=None, architecture="auto", hidden_layer_sizes=None, activation="relu",
        corruption="auto", loss="vicreg", learning_rate=3e-3, weight_decay=1e-4, max_iter=None, batch_size=128,
        early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, warm_start=False,
        random_state=None, verbose=0, callbacks=None, checkpoint=None, device="auto",
        precision="float32", compile=False,
    ):  # fmt: skip
        self._store(locals())

    @property
    def corruption_(self):
        return self._spec_["corruption"]

    def _spec(self):
        spec = {**super()._spec(), "loss": self.loss}
        if isinstance(self.corruption, str) and self.corruption == "auto":
            spec["corruption"] = CORRUPTION_OF_TABLES if self.image_shape_ is None else CORRUPTION
        return spec

    def _build(self, spec):
        encoder, _, shape, corruption = self._build_coder(spec)
        scaling = Affine(spec["n_features"], clips=spec["clips"])
        holes = Gaussians(spec["n_features"], **spec["holes"])
        return TwoViews(scaling, encoder, shape, spec["n_components"], corruption, spec["loss"], holes)

    def _learn(self, X, weights):
        buffers = learn_affine(X, "scaling", weights, onto="standard", shared=n_scales(self.image_shape_))
        decided, gaussians = described(learn_holes(X, buffers["scaling.shift"], buffers["scaling.scale"], weights))
        return decided | {"clips": whole_pixels(X, self.image_shape_)}, buffers | gaussians

    def _may_start(self):
        return False

    def _after_training(self, X, weights):
        step = max(1, len(X) // ROWS_TO_LOOK_AT)
        some, weights = filled(self.net_, X[::step]), None if weights is None else weights[::step]
        codes = self._apply_checked(lambda module, x: module.encode(x).float(), some)
        self.effective_rank_ = effective_rank(codes.astype(np.float64), weights)
        with torch.no_grad():
            self.output_std_ = self._module.spread(torch.from_numpy(codes).to(self.net_.device)).item()
        dull = self.effective_rank_ <= self._n_features_out // 10
        if len(some) > 1 and (dull or self.output_std_ < COLLAPSED):
            warn(
                f"Collapse: the codes vary in {self.effective_rank_:.2g} of {self._n_features_out} directions, and "
                f"the outputs that the loss compares have a standard deviation of {self.output_std_:.2g} where 1 is "
                "asked for, so the codes say little about the row. Try another loss, a lower learning_rate, a larger "
                "batch_size, or a weaker corruption.",
                ConvergenceWarning,
            )


def effective_rank(codes, weights=None):
    """How many directions rows of codes, (n, k), vary in; 0.0 if they do not."""
    centred = codes - np.average(codes, axis=0, weights=weights)
    centred = centred if weights is None else np.sqrt(weights)[:, np.newaxis] * centred
    values = np.linalg.svd(centred, compute_uv=False)
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0
