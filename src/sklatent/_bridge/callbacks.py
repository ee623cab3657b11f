"""Callbacks of training: the progress bar, the schedule, warm-ups, the average of the weights; and those of users."""

import contextlib
import copy
import math
import signal
import threading

import numpy as np
import torch
from skorch.callbacks import Callback
from tqdm import tqdm  # tqdm.auto would warn in notebooks without ipywidgets

from .weights import standard_error

WARM_UP = 0.03  # share of the steps of `fit` over which the learning rate rises, before it falls as a cosine


class Progress(Callback):
    """A bar with the loss, rows a second and the time left."""

    def on_train_begin(self, net, X=None, **kwargs):
        self.bar_ = tqdm(total=net.max_epochs * len(X), unit=" rows", unit_scale=True)
        self.n_epochs_, self.n_rows_ = 0, len(X)

    def on_epoch_begin(self, net, **kwargs):
        self.bar_.n = self.n_epochs_ * self.n_rows_  # a checkpoint may have brought some
        self.n_epochs_ += 1
        self.bar_.set_description(f"epoch {self.n_epochs_}/{net.max_epochs}", refresh=False)

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            self.bar_.update(min(len(batch[0]) * net.ranks_.n, self.bar_.total - self.bar_.n))

    def on_epoch_end(self, net, **kwargs):
        last = net.history[-1]
        losses = {name: f"{last[name]:.4g}" for name in ("train_loss", "valid_loss") if name in last}
        self.bar_.set_postfix(losses)

    def on_train_end(self, net, **kwargs):
        self.bar_.close()


class WarmUpCosine(Callback):
    """The learning rate of each step: a linear rise over ``WARM_UP`` of the steps, then a cosine down to 0.

    skorch's LRScheduler resumes the schedule of an earlier call, whereas each call of ``fit`` has one of its own.
    ``learning_rates`` has the highest of each group of parameters.
    """

    def __init__(self, n_steps, learning_rates, n_warm=None):
        self.n_steps, self.learning_rates = n_steps, learning_rates
        self.n_warm = max(1, round(WARM_UP * n_steps)) if n_warm is None else n_warm

    def rate(self, step):
        if step < self.n_warm:
            return (step + 1) / self.n_warm
        return 0.5 * (1 + math.cos(math.pi * (step - self.n_warm) / max(1, self.n_steps - self.n_warm)))

    def on_train_begin(self, net, **kwargs):
        self.step_ = 0

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            for group, highest in zip(net.optimizer_.param_groups, self.learning_rates, strict=True):
                group["lr"] = highest * self.rate(self.step_)
            self.step_ += 1


class LinearWarmUp(Callback):
    """Raise an attribute of the module from 0 to 1 over ``n_epochs`` epochs, of which ``n_done`` are over."""

    def __init__(self, attribute, n_epochs, n_done=0):
        self.attribute, self.n_epochs, self.n_done = attribute, n_epochs, n_done

    def on_train_begin(self, net, **kwargs):
        self.epoch_ = self.n_done

    def on_epoch_begin(self, net, **kwargs):
        self.epoch_ += 1
        setattr(net.module_, self.attribute, min(1.0, self.epoch_ / (self.n_epochs + 1)))

    def on_train_end(self, net, **kwargs):
        setattr(net.module_, self.attribute, 1.0)


class Freeze(Callback):
    """Leave a part of the module as it is for the first ``n_epochs`` epochs."""

    def __init__(self, part, n_epochs):
        self.part, self.n_epochs = part, n_epochs

    def on_train_begin(self, net, **kwargs):
        self.trained_ = [name for name, parameter in self._named(net) if parameter.requires_grad]
        self.epoch_ = 0

    def on_epoch_begin(self, net, **kwargs):
        self._train(net, self.epoch_ >= self.n_epochs)
        self.epoch_ += 1

    def on_train_end(self, net, **kwargs):
        self._train(net, True)

    def _train(self, net, flag):
        for name, parameter in self._named(net):
            if name in self.trained_:
                parameter.requires_grad_(flag)

    def _named(self, net):
        return getattr(net.module_, self.part).named_parameters()


class Looks(Callback):
    """Look at rows kept apart after 0, 5, 10, ... steps, later after every tenth more, and end with the best weights.

    Training ends early once twice as many steps as the best took, and ``least``, brought nothing. The loss is the
    module's ``held_out_loss``, if it has one, else its ``forward``. ``weights`` are those of the rows, in means.

    Attributes
    ----------
    trace_ : list of (step, mean loss)
    start_, best_ : ndarrays of shape (n_rows,)
        Loss of each row before the first step, and at ``best_step_``.
    """

    def __init__(self, rows, weights=None, every=5, least=200):
        self.rows, self.weights, self.every, self.least = rows, weights, every, least

    def on_train_begin(self, net, **kwargs):
        self.step_, self.next_, self.trace_ = 0, self.every, []
        self.placed_ = self.rows.on(torch.device(net.device))
        self._look(net)
        self.start_ = self.best_

    def on_batch_end(self, net, training=False, **kwargs):
        self.step_ += training
        if self.step_ < self.next_ or not training:
            return
        self.next_ = self.step_ + max(self.every, self.step_ // 10)
        self._look(net)
        if self.step_ >= max(self.least, 2 * self.best_step_):
            raise StopTraining

    def on_epoch_end(self, net, **kwargs):
        net.history.record("valid_loss", self.trace_[-1][1])

    def on_train_end(self, net, **kwargs):
        net.module_.load_state_dict(self.weights_)
        del self.weights_, self.placed_

    def _look(self, net):
        losses = net.row_losses(self.placed_)
        self.trace_.append((self.step_, self.mean(losses)))
        if self.step_ == 0 or self.mean(losses) < self.mean(self.best_):
            self.best_, self.best_step_ = losses, self.step_
            self.weights_ = {name: tensor.clone() for name, tensor in net.module_.state_dict().items()}

    def mean(self, losses):
        return float(np.average(losses, weights=self.weights))

    def gains(self):
        """Whether the best weights are better than those at the start by more than one standard error."""
        gain = self.start_ - self.best_
        return self.best_step_ > 0 and self.mean(gain) > standard_error(gain, self.weights)


class StopAfter(Callback):
    """End training after ``n_steps``."""

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, **kwargs):
        self.step_ = 0

    def on_batch_end(self, net, training=False, **kwargs):
        self.step_ += training
        if self.step_ >= self.n_steps:
            raise StopTraining


class WeightAverage(Callback):
    """Exponential moving average of the weights, for validation and for what remains after training.

    average <- d * average + (1 - d) * weights after each step, with d = min(decay, (1 + step) / (10 + step)). It goes
    before early stopping among the callbacks, which then keeps the average of the best epoch.
    """

    def __init__(self, decay):
        self.decay = decay

    def on_train_begin(self, net, **kwargs):
        self.other_ = [weight.clone() for weight in _weights(net)]  # the average, or the weights while it is in use
        self.in_use_, self.step_ = False, 0

    def on_epoch_begin(self, net, **kwargs):
        self._use(net, False)

    def on_batch_begin(self, net, training=False, **kwargs):
        if not training:
            self._use(net, True)

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            decay = min(self.decay, (1 + self.step_) / (10 + self.step_))
            torch._foreach_lerp_(self.other_, _weights(net), 1 - decay)
            self.step_ += 1

    def on_train_end(self, net, **kwargs):
        self._use(net, True)
        del self.other_

    def _use(self, net, average):
        if self.in_use_ != average:
            for weight, other in zip(_weights(net), self.other_, strict=True):
                kept = weight.clone()
                weight.copy_(other)
                other.copy_(kept)
            self.in_use_ = average


def _weights(net):
    return [parameter.data for parameter in net.module_.parameters()]


# -- a user's callbacks, and the keyboard ------------------------------------------------------------------------------


def named(i, callback):
    """skorch's pair of a name and a callback; a user may give either."""
    name, callback = callback if isinstance(callback, tuple) and len(callback) == 2 else (f"callback{i}", callback)
    if not isinstance(callback, Callback):
        raise TypeError(f"callbacks must hold skorch callbacks, or pairs (name, callback), but has {callback!r}.")
    return name, callback


def copied(callbacks):
    """Copies, so that the parameter stays as it was given; what cannot be copied, a writer or a lock, is shared."""
    memo, copies = {}, []  # one memo: what two of them hold in common their copies have in common
    for callback in callbacks or ():
        try:
            copies.append(copy.deepcopy(callback, memo))
        except Exception:
            copies.append(callback)
    return copies


class StopTraining(Exception):
    """What a user's callback asks for by a KeyboardInterrupt, as opposed to a key that was pressed."""


class Keyboard:
    """While it is open: whether a KeyboardInterrupt is a key that was pressed, and not a callback that stops training.

    Only the main thread is ever interrupted by a key.
    """

    def __init__(self):
        self.pressed, self.handler = False, None
        self.busy, self.waiting = False, None

    def __enter__(self):
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self.handler = handler
            try:
                signal.signal(signal.SIGINT, self._press)
            except KeyboardInterrupt:  # pressed in this moment
                self.__exit__()
                raise
        return self

    @contextlib.contextmanager
    def waits(self):
        """A key that is pressed in here waits for the end, so that no callback is left half done, or hides it.

        One that is pressed again does not wait.
        """
        self.busy = True
        try:
            yield
        finally:
            self.busy, waiting, self.waiting = False, self.waiting, None
            if waiting:
                self._press(*waiting)

    def _press(self, number, frame):
        if self.busy and not self.waiting:
            self.waiting = number, frame
            return
        try:
            self.handler(number, frame)
        except KeyboardInterrupt:
            self.pressed = True
            raise

    def __exit__(self, *_):
        if self.handler is None:
            return
        try:
            signal.signal(signal.SIGINT, self.handler)
        except KeyboardInterrupt:  # pressed in this moment, which signal.signal looks for first
            signal.signal(signal.SIGINT, self.handler)
            raise
