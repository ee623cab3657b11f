"""``fit`` and ``partial_fit`` of all that are trained on rows alone, written once.

An estimator adds four things: ``_spec()``, what its parameters ask of the module, plain values; ``_learn(X, weights)``,
what the rows say of it before any training: more plain values, and the arrays of its buffers (scaling, levels);
``_build(spec)``, the module; its public verbs. One that can start where a linear model ends adds ``_may_start()`` and
``_linear_model(X, weights)``, the arrays of buffers and weights at that start.
"""

import math

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from . import training
from .base import TorchEstimator, fill, fit_seed
from .batches import Rows, check_given
from .callbacks import Looks, StopAfter
from .checkpoints import cleared_at_the_end
from .holes import filled, has_holes, with_draws
from .rows import check_image_shape, drawn
from .state import all_or_nothing, warn
from .weights import FEW_ROWS, check_weights, merged, present

EPOCHS = (10, 200)  # fewest and most, of max_iter=None where no linear model is there to start at
APART, MOST_APART, FEWEST_TO_KEEP_APART = 0.2, 1000, 10  # rows kept apart to say how far to go from the start
STEPS_OF_FEW, STEPS_OF_MANY, STEPS_TO_WARM, FEWEST_EPOCHS = 2000, 4000, 100, 3
STILL_FALLING = 0.01  # of the held-out loss, in the last tenth of the steps
FEWEST_ROWS = 50  # of a batch of partial_fit that may say what rows are like: their range, what is kept beside the net


class UnsupervisedEstimator(TorchEstimator):
    """Base of all that are trained on rows alone."""

    _fewest_epochs = EPOCHS[0]
    _parameter_constraints = {**TorchEstimator._parameter_constraints, "warm_start": ["boolean"]}

    def fit(self, X, y=None, sample_weight=None):
        """Fit the model to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. float64, float32 and integers (``uint8`` images), memmaps too, are kept as they are until a batch
            is on its device; other dtypes become float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, of which only the ratios count, in the loss and in what is learned before training and
            kept beside the net. A row of weight 0 is left out. Of up to 2,000 rows, and without ``early_stopping``, a
            row of weight 2 is a row given twice, to the bit. None: all alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, weights or a parameter are not valid, or if the loss stops being finite. A first ``fit``, or one
            without ``warm_start``, then leaves the estimator unfitted; one that goes on leaves it as it was.
        KeyboardInterrupt
            At Ctrl-C; a ``fit`` that did not go on has kept the best weights so far.
        """
        anew = not (self.warm_start and hasattr(self, "net_"))
        with all_or_nothing(self, anew=anew), cleared_at_the_end():
            self._validate_params()
            X, weights = self._weighted(X, sample_weight, reset=anew)
            rows, weights, _ = merged(X, weights, early_stopping=self.early_stopping)
            X = X[rows]
            seed = fit_seed(self.random_state)
            apart = self._validation_rows(len(X), seed)
            decides = anew and self.max_iter is None and not self.early_stopping
            pressed = self._fit_from_start(X, weights, seed) if decides and self._may_start() else False
            if pressed is False:
                self._prepare(X, weights, seed, anew)
                pressed = self._fit_epochs(X, weights, apart, seed, keep=anew)
            self._after_training(X, weights)
            if pressed:
                raise pressed
        return self

    def _weighted(self, X, sample_weight, *, reset):
        """Rows and weights, checked: those above 0; no weights if these are all alike."""
        check_given(X)
        if reset:
            self._of_tensors_ = isinstance(X, torch.Tensor)
        X = self._check_rows(X, reset=reset)
        weights, X = present(check_weights(sample_weight, len(X)), X)
        return X, weights

    def _fit_epochs(self, X, weights, apart, seed, *, keep):
        rows = self._rows(X, np.delete(np.arange(len(X)), apart), weights)
        n_epochs = self._epochs_of(len(rows))
        held_out = self._held_out(X, apart, weights) if len(apart) else None
        phase = self._phase(rows, held_out=held_out, n_epochs=n_epochs, callbacks=self._callbacks(n_epochs))
        n_before = self.n_iter_
        pressed = self._train(phase, seed, keep=keep)
        losses = [epoch["valid_loss"] for epoch in self.history_[n_before:] if "valid_loss" in epoch]
        if len(losses) == n_epochs > 1 and not pressed:  # not stopped early
            tell_if_falling(losses, range(1, n_epochs + 1), "epochs", n_epochs)
        return pressed

    def _epochs_of(self, n):
        """Of n rows, where there is no linear model to start at."""
        least = min(self._fewest_epochs, EPOCHS[0])
        return self.max_iter or training.epochs(self._n_steps, n, self.batch_size, least, EPOCHS[1])

    def _fit_from_start(self, X, weights, seed):
        """From the linear model on, as far as rows kept apart gain by it; False where there is no linear model.

        Few rows are then all trained on, from their own start, for as many steps; of many the best weights stay.
        """
        n = len(X)
        order, n_apart = np.random.RandomState(seed).permutation(n), min(MOST_APART, math.ceil(APART * n))
        rest, apart = np.sort(order[n_apart:]), np.sort(order[:n_apart])
        few = n <= FEW_ROWS
        if n < FEWEST_TO_KEEP_APART:
            rest, apart = order, order[:0]
        of_rest, of_apart = (None, None) if weights is None else (weights[rest], weights[apart])
        self._prepare(*((X[rest], of_rest) if few else (X, weights)), seed, True)
        if not self._spec_.get("started"):
            return False
        if not len(apart):
            warn(
                f"Of {n} rows none can be kept apart to say whether a net beats the linear model that it starts at "
                f"(n_samples < {FEWEST_TO_KEEP_APART}), so it stays that model. Pass max_iter to train all the same."
            )
        n_steps = STEPS_OF_FEW if few else STEPS_OF_MANY
        looks, pressed, history = None, None, []
        if len(apart):
            looks = Looks(self._held_out(X, apart), of_apart)
            pressed = self._train(self._steps(self._rows(X, rest, weights), n_steps, looks), seed, keep=True)
            gains = looks.gains()
            self.baseline_loss_, self.held_out_loss_ = looks.mean(looks.start_), looks.mean(looks.best_)
            self._tell(looks, gains)
            history = self.history_
        if pressed or (len(apart) and gains and not few):
            self.n_steps_ = looks.best_step_
            return pressed
        self._prepare(X, weights, seed, True)
        if len(apart) and gains:
            rows = self._rows(X, None, weights)
            pressed = self._train(self._steps(rows, n_steps, StopAfter(looks.best_step_)), seed, keep=True)
        self.history_ = history or self.history_
        self.n_iter_ = len(self.history_)
        return pressed

    def _steps(self, rows, n_steps, callback):
        """``n_steps`` of training at most, with a rise of the rate that is short of none: the best may come soon."""
        n_epochs = training.epochs(n_steps, len(rows), self.batch_size, FEWEST_EPOCHS)
        n_steps = max(n_steps, n_epochs * (len(rows) // self.batch_size))
        options = {"n_epochs": n_epochs, "n_steps": n_steps, "n_warm": STEPS_TO_WARM}
        return self._phase(rows, callbacks=[callback], **options)

    def _tell(self, looks, gains):
        """Where held-out rows say that the net is no better than its start, or could still become so."""
        if not gains:
            warn(
                f"The net does not beat the linear model that it starts at, on {len(looks.best_)} rows kept apart "
                f"(a loss of {self.held_out_loss_:.4g}, the linear model's is {self.baseline_loss_:.4g}), so it stays "
                "that model. More rows may help, or corruption; else PCA or a Gaussian is all that they ask for."
            )
        else:
            steps, losses = zip(*looks.trace_, strict=True)
            tell_if_falling(losses, steps, "steps", len(self.history_))

    def partial_fit(self, X, y=None, sample_weight=None):
        """Train for one pass over the rows of X.

        The first call learns the scaling (or binning) from its rows, and warns if they are fewer than 50; later calls
        keep it. The learning rate is constant, and there is no early stopping. What fails, or is interrupted, changes
        nothing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            As in ``fit``: their ratios within a call count.

        Returns
        -------
        self : object
        """
        first = not hasattr(self, "net_")
        with all_or_nothing(self, anew=first):
            self._validate_params()
            X, weights = self._weighted(X, sample_weight, reset=first)
            seed = fit_seed(self.random_state)
            if first:
                tell_of_few_rows(len(X))
            else:
                seed = (seed + self.n_iter_) % 2**31  # not the same shuffle in every call
            self._prepare(X, weights, seed, first)
            phase = self._phase(self._rows(X, None, weights), n_epochs=1, scheduled=False, checkpoint=None)
            self._train(phase, seed, keep=False)
            if first or len(X) >= FEWEST_ROWS:  # else less telling than what came before
                self._after_training(X, weights)
        return self

    def _prepare(self, X, weights, seed, anew):
        """Build the net, or see that the one there is is still what the parameters ask for."""
        spec = self._spec()
        if anew:
            decided, buffers = self._learn(X, weights)
            self._asked_ = spec
            self._start_net(spec | decided | {"seed": seed}, seed, buffers)
            if self._spec_.get("started"):
                fill(self._module, self._linear_model(self._drawn(X), weights))
            return
        changed = sorted(key for key in spec if spec[key] != self._asked_[key])
        if check_image_shape(self.image_shape, self.n_features_in_) != self.image_shape_:
            changed.append("image_shape")
        if changed:
            raise ValueError(
                f"Training cannot go on with the fitted net: {', '.join(changed)} changed since. Set "
                "warm_start=False and call fit to start anew."
            )

    def _rows(self, X, index=None, weights=None):
        """Rows to train on, some of X."""
        return self._held_out(X, index, weights)

    def _held_out(self, X, index=None, weights=None):
        """Some rows of X; where any have holes these are filled, and what is seen goes beside them."""
        if not has_holes(X):
            return Rows(X, index, weights=weights)
        return Rows(filled(self.net_, X), index, ~np.isnan(X), weights)

    def _drawn(self, X):
        """Rows that a linear model can be learned from: holes are drawn, as means would leave too little variance."""
        return with_draws(self.net_, drawn(X), 1, 0) if has_holes(X) else X

    def _may_start(self):
        """Whether the parameters allow for a linear model to start at."""
        return False

    def _callbacks(self, n_epochs):
        """Callbacks of the model's own for ``fit``."""
        return []

    def _after_training(self, X, weights):
        """Fitted attributes that need the trained net, from the rows that it was trained on."""


def tell_of_few_rows(n):
    """Warn where so few rows decide what all later ones are measured by."""
    if n < FEWEST_ROWS:
        warn(
            f"The first partial_fit learns the range and scale of the features from its rows, here {n}, and later "
            f"calls keep them: other rows may then be far outside. Pass {FEWEST_ROWS} typical rows or more at first."
        )


def tell_if_falling(losses, times, unit, n_epochs):
    """Warn where the loss of rows kept apart was lowest in the end, and fell until then."""
    before = losses[np.searchsorted(times, 0.9 * times[-1], side="right") - 1]
    if losses[-1] == min(losses) and before - losses[-1] > STILL_FALLING * abs(before):
        warn(
            f"The loss of rows kept apart still fell, from {before:.4g} to {losses[-1]:.4g} in the last tenth of "
            f"{times[-1]} {unit}. Pass max_iter, of more than {n_epochs} epochs.",
            ConvergenceWarning,
        )
