"""The encoder that learns from two views."""

import numpy as np
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

ROWS_FOR_RANK = 10_000


@fill_doc
class TwoViewTransformer(EncoderTransformer):
    r"""Encoder of which two corrupted views of a row get like codes, while codes of different rows stay apart."""

    _n_steps = 1000
    _fewest_epochs = 2
    _left_behind = ("head", "holes")
    _parameter_constraints = {
        **EncoderTransformer._parameter_constraints,
        "corruption": [StrOptions({"auto"} | set(CORRUPTIONS)), list, tuple, dict, callable],
        "loss": [StrOptions(set(LOSSES))],
    }

    def __init__(
        self, n_components=None, *, image_shape=None, architecture="auto", hidden_layer_sizes=None, activation="relu",
        corruption="auto", loss="vicreg", learning_rate=3e-3, weight_decay=1e-4, max_iter=None, batch_size=256,
        early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, warm_start=False,
        random_state=None, verbose=0, callbacks=None, checkpoint=None, device="auto",
        precision="float32", compile=False,
    ):  # fmt: skip
        self._store(locals())

    def _spec(self):
        spec = super()._spec()
        if isinstance(self.corruption, str) and self.corruption == "auto":
            spec["corruption"] = {"swap": 0.4} if self.image_shape_ is None else "elastic"
        return {**spec, "started": False, "pooled": False, "loss": self.loss}

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
        step = max(1, len(X) // ROWS_FOR_RANK)
        codes = self._apply_checked(lambda module, x: module.encode(x), filled(self.net_, X[::step]))
        self.effective_rank_ = effective_rank(codes.astype(np.float64), None if weights is None else weights[::step])


def effective_rank(codes, weights=None):
    centred = codes - np.average(codes, axis=0, weights=weights)
    values = np.linalg.svd(centred if weights is None else centred * np.sqrt(weights)[:, np.newaxis], compute_uv=False)
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))
