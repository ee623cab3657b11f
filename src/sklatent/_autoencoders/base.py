"""What the transformers with an encoder share, and those with a decoder too."""

import inspect
from functools import partial
from numbers import Integral

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted

from .._bridge.base import check_widths, fresh_seed
from .._bridge.frames import framed
from .._bridge.holes import filled, has_holes, with_draws
from .._bridge.rows import detached
from .._bridge.unsupervised import UnsupervisedEstimator
from .._nn import builders
from .._nn.corruption import CORRUPTIONS, make_corruption
from .._nn.kernels import PooledPlus
from .._nn.linear import LinearPlus

CODE_REACH = 6.0  # of a standardised code, beyond which the decoder's net sees no farther
MAX_COMPONENTS = 32  # of n_components=None


class EncoderTransformer(UnsupervisedEstimator):
    """What the transformers with an encoder share."""

    _takes_holes = True
    _left_behind = ("decoder", "holes")  # parts of the module that codes do without
    _parameter_constraints = {
        **UnsupervisedEstimator._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "architecture": [StrOptions({"auto", "mlp", "conv"}), callable],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(builders.ACTIVATIONS))],
        "corruption": [StrOptions(set(CORRUPTIONS)), list, tuple, dict, callable, None],
    }

    def transform(self, X):
        """Codes of the rows of X: deterministic, and the same for a row whatever rows come with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is missing; the encoder sees its mean given the rest of the row.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
        """
        return self._apply(lambda module, x: module.encode(x).float(), X)

    def encoder_module(self, corruption=None):
        """The encoder in torch, to go on with: a copy of what is fitted, without what only training takes.

        Parameters
        ----------
        corruption : callable or None, default=None
            Tensors ``(n, *input_shape)`` in scaled units to tensors alike: what is done to rows in training mode.

        Returns
        -------
        module : torch.nn.Module
            ``module.encode(x)`` maps rows in the units of X, (n, n_features), to codes, (n, n_components).
        """
        check_is_fitted(self)
        drawn = callable(self._spec_["architecture"])  # a user's builder may draw constants, which must come back
        module = self._built() if drawn else self._build(self._spec_)
        if not next(module.parameters()).is_meta:  # else only its shapes are asked for
            module.load_state_dict({name: value.cpu() for name, value in self._module.state_dict().items()})
        for part in self._left_behind:
            setattr(module, part, None)
        module.corruption = corruption
        return module

    @property
    def code_scale_(self):
        return self._module.code_scale.cpu().numpy()

    @property
    def _n_features_out(self):
        return self._spec_["n_components"]

    def _may_start(self):
        return isinstance(self.architecture, str) and self.corruption is None

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
            "hidden_layer_sizes": check_widths(self.hidden_layer_sizes),
            "activation": self.activation,
            "corruption": self.corruption,
            "started": self._may_start(),
            "pooled": self._may_start() and self.corruption is not None,
        }

    def _build_coder(self, spec, per_code=1, per_feature=1):
        """Encoder, decoder, the shape that a row folds to, the corruption.

        The encoder gives ``per_code`` numbers for each code and the decoder ``per_feature`` for each feature: 2 for
        a mean and a variance.
        """
        shape = spec["image_shape"] or (spec["n_features"],)
        out_shape = (per_feature * shape[0], *shape[1:])
        n_latent = spec["n_components"]
        n_code = per_code * n_latent
        build = spec["architecture"]
        if not callable(build):
            options = {"activation": spec["activation"]}
            if spec["hidden_layer_sizes"] is not None:
                options["widths"] = spec["hidden_layer_sizes"]
            build = partial(builders.built_in(build, shape), **options)
        encoder, decoder = _built(build, shape, out_shape, n_code, n_latent)
        _check_shape("encoder", encoder, shape, (n_code,))
        _check_shape("decoder", decoder, (n_latent,), out_shape)
        if spec["started"]:
            pooled, n_in = spec["pooled"], spec["n_features"]
            encoder = PooledPlus(encoder, shape, (n_code,)) if pooled else LinearPlus(encoder, n_in, (n_code,))
            decoder = LinearPlus(decoder, n_latent, out_shape, reach=CODE_REACH)
        return encoder, decoder, shape, make_corruption(spec["corruption"], spec["image_shape"])


class CoderTransformer(EncoderTransformer):
    """What the encoder-decoder transformers share."""

    @framed
    def inverse_transform(self, X):
        """Rows that codes stand for, in the units of the rows of ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), float64
            A frame with the columns of ``fit`` where ``set_output`` asks for one.
        """
        check_is_fitted(self)
        Z = check_array(detached(X), dtype=[np.float64, np.float32], input_name="codes")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"The codes have {Z.shape[1]} columns, but {type(self).__name__} was fitted with n_components="
                f"{self._n_features_out}."
            )
        dtype = next(self._module.parameters()).dtype
        return self._apply_checked(lambda module, z: module.decode(z.to(dtype)), Z)

    @framed
    def complete(self, X, random_state=None):
        """Fill in what is missing, given what is there.

        By the mixture of Gaussians that EM fits to the rows of ``fit``, and that fills the rows which the encoder sees:
        what a net that was trained on a thousand rows says of missing values was behind it on nearly every table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is missing; rows without a NaN come back as they are.
        random_state : int, RandomState instance or None, default=None
            None fills in expected values, of a column of levels the nearest to it. Else they are drawn: for multiple
            imputation call it with several seeds.

        Returns
        -------
        X_complete : ndarray of shape (n_samples, n_features)
            Given values are untouched, to the bit. A frame where ``set_output`` asks for one.

        References
        ----------
        Z. Ghahramani, M. I. Jordan, "Supervised learning from incomplete data via an EM approach", 1994.

        D. B. Rubin, "Multiple imputation for nonresponse in surveys", 1987.
        """
        check_is_fitted(self)
        X = self._check_rows(detached(X))
        if not has_holes(X):
            return X.copy()
        if random_state is not None:
            return with_draws(self.net_, X, 1, fresh_seed(random_state))
        completed = filled(self.net_, X)
        rows = np.isnan(X).any(axis=1)
        completed[rows] = self._apply_checked(lambda m, *some: m.settled(*some), completed[rows], ~np.isnan(X[rows]))
        return completed


def _built(build, *args):
    """The pair that a builder returns."""
    words = "architecture must be a builder(input_shape, output_shape, n_code, n_latent)"
    try:
        inspect.signature(build).bind(*args)
    except TypeError as error:
        raise TypeError(f"{words}; called with these four, it failed: {error}.") from error
    pair = build(*args)
    if isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(module, torch.nn.Module) for module in pair):
        return pair
    raise TypeError(f"{words} that returns two nn.Module, (encoder, decoder); it returned {type(pair).__name__}.")


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
