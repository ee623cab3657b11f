"""What all estimators with a net share: training parameters, validation, training, persistence; verbs of densities."""

import contextlib
import math
import os
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from . import inference, training
from .callbacks import copied
from .checkpoints import Checkpoint, check_folder, differences, identity
from .devices import place, resolve_device, seeded
from .diagram import net_block
from .distributed import join
from .frames import as_asked
from .holes import check_columns, filled, has_holes
from .inference import as_given
from .loading import Aside, check_saved
from .rows import check_image_shape, detached, tell_of_rounding
from .state import Estimator, Interrupted, warn
from .training import Phase
from .weights import check_weights, present

DTYPES = [np.float64, np.float32, np.uint8, np.int8, np.int16, np.int32, np.int64]  # the first is for the rest
MODULE_ADVICE = {
    "architecture": "a function that builds it: builder(input_shape, output_shape, n_code, n_latent) -> (encoder, "
    "decoder)",
    "corruption": "a function that maps a tensor (n, *input_shape) to one alike, such as functools.partial("
    "torch.nn.functional.dropout, p=0.2)",
    "loss": "a function of rows and reconstructions, two tensors (n, n_features), that gives a loss of each row, (n,)",
}  # what to pass in the place of an nn.Module
MODULE_ADVICE["augmentation"] = MODULE_ADVICE["corruption"]
MOST_MADE = 10_000  # tensors, as with thousands of masks, beside 20 for each that is kept


def fresh_seed(random_state):
    """An integer seed. None takes entropy from the system: no call moves numpy's global generator."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    return int(check_random_state(random_state).randint(2**31 - 1))


def fit_seed(random_state):
    """As ``fresh_seed``, and the same in all processes that fit together."""
    seed = fresh_seed(random_state)
    return seed if random_state is not None else join().from_first(seed)


def check_widths(hidden_layer_sizes):
    """A tuple of positive integers; None stays None."""
    if hidden_layer_sizes is None:
        return None
    widths = np.atleast_1d(hidden_layer_sizes).tolist()
    if not all(isinstance(width, int) and width > 0 for width in widths):
        raise ValueError(f"hidden_layer_sizes={hidden_layer_sizes!r} must be positive integers, or ().")
    return tuple(widths)


class TorchEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Base of all that hold a fitted skorch net, ``net_``, but no tensor in their pickled state; all have codes."""

    _parts = ()  # of the module, by pattern, that have learning rates of their own
    _takes_holes = False  # whether rows may have NaN, for what is missing
    _of_tensors_ = False  # whether the rows of fit were a tensor

    _parameter_constraints = {
        "image_shape": ["array-like", None],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callbacks": [list, None],
        "checkpoint": [str, os.PathLike, None],
        "device": [str],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "compile": ["boolean"],
    }

    def _store(self, arguments):
        """Store the arguments of ``__init__`` under their names; it does nothing else."""
        vars(self).update((name, value) for name, value in arguments.items() if name not in ("self", "__class__"))

    # -- training --------------------------------------------------------------------------------------------

    def _phase(self, rows, *, callbacks=(), **options):
        """A training as the parameters have it, but for ``options``; ``callbacks`` are the model's own."""
        usual = {
            "n_epochs": self.max_iter,
            "learning_rates": (self.learning_rate,),
            "patience": self.n_iter_no_change,
            "tol": self.tol,
            "callbacks": (*callbacks, *copied(self.callbacks)),
            "checkpoint": self.checkpoint,
        }
        return Phase(rows, **(usual | options))

    def _train(self, phase, seed, *, keep):
        """Train ``net_``, and go on with ``history_``.

        Ctrl-C is raised at once unless ``keep``, and a step was made: then it is returned, with the best weights so
        far in place, for the caller to raise once all that follows from them is.
        """
        net, pressed = self.net_, None
        net.set_params(batch_size=self.batch_size, precision=self.precision)
        for group in net.optimizer_.param_groups:  # set_params would start the optimizer anew
            group["weight_decay"] = self.weight_decay
        ranks, last = join(), []
        if ranks.n > 1 or phase.checkpoint:
            known_by = identity(self, phase, seed)
            ranks.check_alike(known_by, differences)
            last = [("_checkpoint", Checkpoint(phase.checkpoint, known_by))] if phase.checkpoint else []
        try:
            training.train(net, phase, seed, verbose=self.verbose, last=last, ranks=ranks)
        except KeyboardInterrupt:
            if not keep or not net.n_steps_:
                raise
            pressed = Interrupted(self)
            with contextlib.suppress(Warning):  # where warnings are errors, the key still counts
                warn(f"Interrupted in epoch {len(net.history)} of {phase.n_epochs}: the best weights so far are kept.")
        epochs = [epoch for epoch in net.history if "train_loss" in epoch]  # the last may be cut short
        for row in epochs:
            self.history_.append({k: v for k, v in row.items() if k != "batches"} | {"epoch": len(self.history_) + 1})
        self.n_iter_, self.n_steps_ = len(self.history_), self.n_steps_ + net.n_steps_
        return pressed

    def _start_net(self, spec, seed, buffers):
        """``net_`` from its spec, with a history that is empty."""
        device = resolve_device(self.device)
        self._spec_ = spec
        with seeded(seed, device):
            module = self._build(spec)
        fill(module, buffers)
        self.net_ = training.make_net(module, device, self, self._parts)
        self.n_iter_, self.n_steps_, self.history_ = 0, 0, []

    # -- validation ----------------------------------------------------------------------------------------

    def _validate_params(self):
        for name, value in self.get_params(deep=False).items():
            if isinstance(value, torch.nn.Module):
                advice = MODULE_ADVICE.get(name, f"one of the values that the documentation of {name} names")
                raise TypeError(
                    f"{name} is an instance of {type(value).__name__}, an nn.Module: clone would copy its weights into "
                    f"every fold. Pass {advice}."
                )
        super()._validate_params()
        if self.checkpoint is not None:
            if self.random_state is None:
                raise ValueError(
                    f"checkpoint={self.checkpoint!r} needs a random_state, such as 0: without one the same call starts "
                    "from other weights, and cannot go on."
                )
            check_folder(self.checkpoint)

    def _check_rows(self, X, *, reset=False):
        if isinstance(X, torch.Tensor) and not reset and self._is_ready(X):
            return self._fine(X.detach())
        finite = "allow-nan" if self._takes_holes else True
        given, X = X, validate_data(self, detached(X), dtype=DTYPES, order=None, reset=reset, ensure_all_finite=finite)
        if reset:
            check_columns(X, getattr(self, "feature_names_in_", None))
            self.image_shape_ = check_image_shape(self.image_shape, X.shape[1])
            tell_of_rounding(X, given, getattr(self, "feature_names_in_", None))
        return X if reset else self._fine(X)

    def _fine(self, X):
        """X in float64 where its own dtype, to which what scales the rows is cast, would make that 0 or infinite."""
        if str(X.dtype).endswith("float64") or fits_float32(self._module):
            return X
        return X.double() if isinstance(X, torch.Tensor) else X.astype(np.float64)

    def _is_ready(self, X):
        """Whether a tensor of rows can be used where it lies: one that cannot goes by way of numpy, errors too."""
        fits = X.ndim == 2 and len(X) and X.shape[1] == self.n_features_in_ and X.dtype in inference.AS_IN_NUMPY
        plain = not hasattr(self, "feature_names_in_") and not isinstance(self._spec_.get("likelihood"), list)
        return fits and plain and bool(X.isfinite().all())

    def _validation_rows(self, n, seed):
        """Indices of the rows kept apart for early stopping, none without it."""
        if not self.early_stopping:
            return np.arange(0)
        n_valid = math.ceil(self.validation_fraction * n)
        if n_valid >= n:
            raise ValueError(
                f"early_stopping=True keeps {n_valid} of {n} rows apart (n_samples = {n}, validation_fraction="
                f"{self.validation_fraction}), which leaves none to train on. Pass more rows or early_stopping=False."
            )
        return np.sort(np.random.RandomState(seed).permutation(n)[:n_valid])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.allow_nan = self._takes_holes
        return tags

    @available_if(lambda self: hasattr(self, "net_"))
    def _sk_visual_block_(self):
        return net_block(self._module)

    # -- rows through the net ------------------------------------------------------------------------------

    @property
    def _module(self):
        return self.net_.module_

    def _apply(self, function, X, dtype=None, **options):
        """``function(module, batch)`` for all rows of X, their holes filled: numpy, or a tensor where X is one."""
        check_is_fitted(self)
        rows = self._check_rows(X)
        found = self._apply_checked(function, filled(self._filler, rows), dtype=dtype, **options)
        return found if isinstance(rows, torch.Tensor) else as_given(found, X)

    @property
    def _filler(self):
        """The net whose module fills in what is missing."""
        return self.net_

    def _apply_checked(self, function, X, *beside, **options):
        width = max(X.shape[1], self.n_features_in_)  # codes become rows
        return inference.apply(self.net_, partial(function, self._module), X, *beside, n_features=width, **options)

    def _apply_to_seen(self, function, X, dtype=None):
        """``function(module, batch, seen)``; ``seen`` is None for rows of which nothing is missing.

        These go by themselves: what a row gives does not depend on whether others have holes.
        """
        check_is_fitted(self)
        given, X = X, self._check_rows(X)
        if not has_holes(X):
            found = self._apply_checked(lambda module, x: function(module, x, None), X, dtype=dtype)
            return found if isinstance(X, torch.Tensor) else as_given(found, given)
        seen = ~np.isnan(X)
        rows = ~seen.all(axis=1)
        of_rows = self._apply_checked(function, filled(self.net_, X[rows]), seen[rows], dtype=dtype)
        found = np.empty((len(X), *of_rows.shape[1:]), of_rows.dtype)
        found[rows] = of_rows
        if not rows.all():
            found[~rows] = self._apply_checked(lambda module, x: function(module, x, None), X[~rows])
        return as_given(found, given)

    # -- state: constructor parameters, numpy arrays and plain Python, never a tensor ---------------------------

    def __getstate__(self):
        state = super().__getstate__()
        if "net_" in state:
            tensors = state.pop("net_").module_.state_dict()
            state["_weights_"] = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        return state

    def __setstate__(self, state):
        state = dict(state)
        weights = state.pop("_weights_", None)
        super().__setstate__(state)
        if weights is None:
            return
        device = resolve_device(self.device, fall_back=True)
        ours = not callable(self._spec_.get("architecture"))  # a user's builder may need values, or keep what it makes
        module = self._built(meta=True, most=MOST_MADE + 20 * len(weights)) if ours else self._built()
        check_saved(weights, module, type(self).__name__)
        if ours:
            module = self._built()
        # copied: joblib maps arrays read-only
        module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        self.net_ = training.make_net(module, device, self, self._parts)
        self.net_.module_.eval()

    def _built(self, **options):
        """The module as ``fit`` first built it, down to what its builder draws; ``options`` are those of ``Aside``."""
        with Aside(self._spec_["seed"], **options):
            return self._build(self._spec_)


def fill(module, values):
    """Set buffers, and parameters that have a start, from arrays."""
    tensors = module.state_dict()
    for name, value in values.items():
        tensors[name].copy_(torch.tensor(value))  # as_tensor warns of arrays mapped read-only


def fits_float32(module):
    """Whether no float64 buffer is lost where rows of another dtype are scaled."""
    info = torch.finfo(torch.float32)
    sizes = [buffer.abs() for buffer in module.buffers() if buffer.dtype == torch.float64]
    return all(bool(((size == 0) | ((size >= info.tiny) & (size <= info.max))).all()) for size in sizes)


class DensityMethods:
    """``score`` and friends for whatever has ``score_samples``."""

    def score(self, X, y=None, sample_weight=None):
        """Mean of ``score_samples`` over the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows in the mean.

        Returns
        -------
        score : float
        """
        scores = detached(self.score_samples(X))
        weights, scores = present(check_weights(sample_weight, len(scores)), scores)
        return float(np.average(scores, weights=weights))


class SampleMethods(DensityMethods):
    """``sample`` and ``bits_per_dim`` for densities."""

    def bits_per_dim(self, X):
        """Mean over the rows of minus ``score_samples``, in bits, divided by the number of features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        bits : float
            Lower is better.
        """
        return -self.score(X) / (self.n_features_in_ * math.log(2))

    def sample(self, n_samples=1, random_state=None):
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            May be 0.
        random_state : int, RandomState instance or None, default=None
            None draws anew in every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            A tensor, on the device of the net, if the rows of ``fit`` were one.
            A frame with the columns of ``fit`` where ``set_output`` asks for one.
        """
        return self._sample(n_samples, random_state)

    def _sample(self, n_samples, random_state, **options):
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 0:
            raise ValueError(f"n_samples={n_samples!r} must be an integer, 0 or more.")
        rows = inference.draw(self.net_, n_samples, self.n_features_in_, fresh_seed(random_state), **options)
        if self._of_tensors_:
            return place(torch.from_numpy(rows), torch.device(self.net_.device))
        return as_asked(self, rows)
