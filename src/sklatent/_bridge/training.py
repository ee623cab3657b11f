"""The bridge between estimators and torch: the skorch net, and its training.

All work on speed lives here. skorch supplies the loop, the callbacks and the history; what is replaced is what
costs time on small nets: rows are fetched a batch at a time, and the loss is read from the device once an epoch.
"""

import contextlib
import math
import os
from dataclasses import dataclass

import numpy as np
import skorch.callbacks.logging
import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, EpochTimer, LRScheduler
from skorch.helper import predefined_split

from .batches import Batches, Rows
from .callbacks import Keyboard, Progress, StopTraining, WarmUpCosine, named
from .devices import OUT_OF_MEMORY, own_noise, place, seeded, to_device
from .distributed import ALONE

_LOGGERS = (getattr(skorch.callbacks, name) for name in skorch.callbacks.logging.__all__ if name != "EpochTimer")
WRITERS = (skorch.callbacks.Checkpoint, skorch.callbacks.TrainEndCheckpoint, *_LOGGERS)  # for one process of several

COMPILE_MODE = None  # of torch.compile: its default

# -- the net ---------------------------------------------------------------------------------------------------


class MeanRowLoss(torch.nn.Module):
    """A model's ``forward`` already is the loss of each row."""

    def forward(self, row_losses, weight):
        return row_losses.mean() if weight is None else (weight * row_losses).mean()


class Diverged(ValueError):
    """A loss that is no number, in each process that trains."""


class RowNet(NeuralNet):
    """A skorch net for modules whose ``forward(x)``, or ``forward(x, target)``, gives the loss of each row."""

    n_steps_ = n_done_ = 0  # of the training that was last begun; epochs that a checkpoint has brought
    ranks_, asked_to_stop_ = ALONE, False

    def __init__(self, *args, precision="float32", **kwargs):
        super().__init__(*args, **kwargs)
        self.precision = precision

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer())]

    def infer(self, x, target=None):
        inputs = self._inputs(x, target)
        if self.precision == "float32":
            return self.module_(*inputs)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            return self.module_(*inputs)

    def _inputs(self, x, target=None):
        return tuple(to_device(each, self.device) for each in (x, target) if each is not None)

    def train_step_single(self, batch, **fit_params):
        try:
            step = self._step(batch, training=True)
            step["loss"].backward()
        except OUT_OF_MEMORY as error:
            raise OUT_OF_MEMORY(
                f"{self.device} is out of memory in training, with batch_size={self.batch_size} rows of "
                f"{math.prod(batch[0].shape[1:])} features and precision={self.precision!r}. Pass a smaller "
                f"batch_size, or precision='bfloat16'. What was asked for: {error}"
            ) from error
        self.ranks_.average_gradients(self.module_.parameters(), len(batch[0]))
        return step

    def validation_step(self, batch, **fit_params):
        with torch.no_grad():
            return self._step(batch, training=False)

    def _step(self, batch, training):
        """As skorch's, but the module sees the target, and the criterion the weights."""
        self._set_training(training)
        x, target = batch
        target, weight = target if isinstance(target, tuple) else (target, None)
        losses = self.infer(x, target)
        return {
            "loss": self.criterion_(losses, None if weight is None else to_device(weight, self.device)),
            "y_pred": losses,
        }

    def notify(self, method_name, **cb_kwargs):
        keyboard = getattr(self, "keyboard_", None) or Keyboard()  # there is none where a user trains the net
        try:
            with keyboard.waits():
                super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as stop:
            if keyboard.pressed:
                raise
            self.asked_to_stop_ = True
            if self.ranks_.n == 1:
                raise StopTraining from stop
        if method_name == "on_epoch_end" and self.ranks_.any(self.asked_to_stop_):
            raise StopTraining

    def on_epoch_begin(self, net, **kwargs):
        if len(self.history):
            self.history[-1]["batches"].clear()  # a dict for each step would add up
        super().on_epoch_begin(net, **kwargs)

    def row_losses(self, rows):
        """The loss of each row, float64, of rows that are not trained on."""
        module = self.module_.eval()
        loss = getattr(module, "held_out_loss", module)
        with torch.no_grad():
            parts = [loss(*self._inputs(*batch)) for batch in Batches(rows, 512)]
        losses = self.ranks_.from_first(torch.cat(parts).cpu().double().numpy())
        return np.where(np.isfinite(losses), losses, np.inf)

    def get_iterator(self, dataset, training=False):
        iterator = super().get_iterator(dataset, training)
        iterator.ranks = self.ranks_
        return iterator

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """As skorch's, but the loss stays on its device until the epoch is over, and must be finite."""
        if iterator is None:
            return
        total = torch.zeros((), device=self.device)
        n_rows = 0
        batches = iter(iterator)  # out here: all ranks have one order
        with own_noise(self.ranks_, torch.device(self.device)):
            for i, batch in enumerate(batches):
                self.history.new_batch()
                self.notify("on_batch_begin", batch=batch, training=training)
                step = step_fn(batch, **fit_params)
                n_counted = iterator.n_counted(i, len(batch[0]))
                total += step["loss"].detach() * n_counted
                n_rows += n_counted
                self.history.record_batch(prefix + "_batch_size", len(batch[0]))
                self.n_steps_ += training
                self.notify("on_batch_end", batch=batch, training=training, **step)
        total, n_rows = self.ranks_.sums(total.item(), n_rows)
        loss = total / n_rows
        if not math.isfinite(loss):
            raise Diverged(
                f"The {prefix} loss became {loss} in epoch {self.history[-1, 'epoch']}, so training was stopped and "
                "its weights are not kept. Usual causes: a learning_rate that is too high (try a tenth of it), "
                "features with extreme outliers (clip or transform them), or a variance floor that is too low."
            )
        best = min((epoch.get(prefix + "_loss", math.inf) for epoch in self.history), default=math.inf)
        self.history.record(prefix + "_loss", loss)
        self.history.record(prefix + "_loss_best", loss < best)
        self.history.record(prefix + "_batch_count", len(iterator))


def make_net(module, device, estimator, parts):
    """An initialised skorch net around a module, as the estimator's parameters have it.

    Its optimizer lives as long as it does. ``parts`` are patterns of parameter names, for each a group of the
    optimizer; one more group has the rest.
    """
    module = place(module, device)
    if device.type == "cuda":
        for part in module.modules():
            if isinstance(part, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                part.to(memory_format=torch.channels_last)  # what tensor cores take
    if estimator.compile:
        module.compile(mode=COMPILE_MODE)  # in place: torch.compile(module) would rename every weight
    return RowNet(
        module,
        criterion=MeanRowLoss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=estimator.weight_decay,
        optimizer__fused=device.type in ("cpu", "cuda"),
        optimizer__param_groups=[(pattern, {}) for pattern in parts],
        lr=estimator.learning_rate,
        batch_size=estimator.batch_size,
        iterator_train=Batches,
        iterator_train__shuffle=True,
        iterator_valid=Batches,
        train_split=None,
        device=device,
        precision=estimator.precision,
        verbose=0,
    ).initialize()


def epochs(n_steps, n, batch_size, least=1, most=None):
    """Epochs of n rows that make about ``n_steps`` steps."""
    return int(np.clip(math.ceil(n_steps / math.ceil(n / batch_size)), least, most))


# -- training ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Phase:
    """What one training is.

    Parameters
    ----------
    rows : Rows
    n_epochs : int
    learning_rates : sequence of float
        One for each group of the optimizer's parameters.
    held_out : Rows or None
        Rows whose loss ends training, and picks the weights.
    patience, tol : int, float
        Epochs without a fall of that loss by ``tol`` after which it ends.
    callbacks : sequence of skorch callbacks
    scheduled : bool
        Whether the rates rise and fall, unless a callback schedules them.
    n_steps, n_warm : int or None
        Over so many steps, and so many at first; None: over all epochs, and a share of them.
    checkpoint : path or None
        The folder from which it goes on after it was killed.
    """

    rows: Rows
    n_epochs: int
    learning_rates: tuple
    held_out: Rows | None = None
    patience: int = 10
    tol: float = 0.0
    callbacks: tuple = ()
    scheduled: bool = True
    n_steps: int | None = None
    n_warm: int | None = None
    checkpoint: str | os.PathLike | None = None

    def all_callbacks(self, net, verbose):
        """Those that were given, and what goes after them because the phase itself asks for it."""
        first, ours = net.ranks_.rank == 0, []
        if self.held_out is not None:
            options = {"threshold_mode": "abs", "load_best": True, "sink": _silent}
            ours.append(EarlyStopping(patience=self.patience, threshold=self.tol, **options))
        given = [named(i, callback) for i, callback in enumerate(self.callbacks)]
        given = [pair for pair in given if first or not isinstance(pair[1], WRITERS)]
        if self.scheduled and not any(isinstance(callback, LRScheduler) for _, callback in given):
            n_steps = self.n_steps or self.n_epochs * math.ceil(len(self.rows) / net.batch_size)
            ours.append(WarmUpCosine(n_steps, self.learning_rates, self.n_warm))
        if verbose and first:
            ours.append(Progress())
        return given, [named(len(given) + i, callback) for i, callback in enumerate(ours)]


def train(net, phase, seed, *, verbose=0, last=(), ranks=ALONE):
    """Train the net in place, with callbacks that come ``last``, in all of the processes ``ranks``.

    Raises ValueError if the loss stops being finite. A callback may end training as skorch's do, by a
    KeyboardInterrupt; one that comes from the keyboard passes through, once the best weights so far are in place.
    """
    device = torch.device(net.device)
    split = None if phase.held_out is None else predefined_split(phase.held_out.on(device))
    net.set_params(train_split=split, max_epochs=phase.n_epochs)
    net.ranks_, net.asked_to_stop_ = ranks, False
    net.verbose = int(ranks.rank == 0)  # a PrintLog of the user's prints
    for group, rate in zip(net.optimizer_.param_groups, phase.learning_rates, strict=True):
        group["lr"] = rate  # a schedule that ran before has left its own
        group.pop("initial_lr", None)
    net.n_steps_ = net.n_done_ = 0
    net.initialize_history()  # or skorch's LRScheduler would go on with the schedule of an earlier call
    given, ours = phase.all_callbacks(net, verbose)
    net.callbacks = [*given, *ours, *last]
    net.initialize_callbacks()
    try:
        with ranks.together(Diverged), Keyboard() as net.keyboard_, seeded(seed, device):
            _loop(net, phase.rows.on(device))
            ranks.same_weights(net.module_)
    finally:
        net.train_split, net.keyboard_, net.verbose = None, None, 0  # the first holds the rows
        net.callbacks_ = net.callbacks_[: 1 + len(given)]  # the timer and those given; ours hold copies of weights
        net.callbacks = given
        net.module_.eval()
    return net


def _loop(net, rows):
    """``net.partial_fit``, but for a key that was pressed."""
    with contextlib.suppress(StopTraining):  # asked for by a callback
        net.notify("on_train_begin", X=rows, y=None)
        try:
            net.fit_loop(rows, epochs=net.max_epochs - net.n_done_)
        except StopTraining:
            pass
        except BaseException as error:
            try:
                net.notify("on_train_end", X=rows, y=None)
            except Exception as other:  # such as one of an end that has no epoch to look at
                error.add_note(f"At the end of training then came {other!r}.")
            raise
        net.notify("on_train_end", X=rows, y=None)  # may stop what has ended


def _silent(*args, **kwargs):
    """skorch's callbacks report through a function; the progress bar and ``history_`` tell already."""
