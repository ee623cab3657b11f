"""What an estimator is between its calls: where its class is found, what ``fit`` has set, what a failed call leaves."""

import contextlib
import copy
import sys
import warnings
from abc import ABCMeta

from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNet

from .distributed import is_first

PACKAGE = __name__.partition(".")[0]
VERSION = "_sklatent_version"
INSIDE = {PACKAGE, "sklearn", "joblib", "contextlib"}  # a warning points at the line that called from outside of these


class Public(ABCMeta):
    """The type of all that the package exports: its ``__module__`` is the package, whatever file it is written in.

    So a pickle, and what skops trusts, name ``sklatent.MADEDensity``, which does not move when the file does. Only
    ``inspect``, which looks into that module's file for the source, is told the file's own.
    """

    def __getattribute__(cls, name):
        found = super().__getattribute__(name)
        if name != "__module__" or getattr(sys.modules.get(PACKAGE), cls.__name__, None) is not cls:
            return found
        return found if sys._getframe(1).f_globals.get("__name__") == "inspect" else PACKAGE


class Estimator(BaseEstimator, metaclass=Public):
    """Base of all estimators. Whatever ``fit`` sets has a name that ends in an underscore, private or not."""

    _doc_link_module = PACKAGE
    _doc_link_template = "https://sklatent.github.io/sklatent/api/{estimator_module}.{estimator_name}.html"

    def _get_doc_link(self):
        """For the "?" of the diagram in a notebook; private ones have no page."""
        return "" if type(self).__name__.startswith("_") else super()._get_doc_link()

    def __getstate__(self):
        return {**super().__getstate__(), VERSION: sys.modules[PACKAGE].__version__}

    def __setstate__(self, state):
        state, here = dict(state), sys.modules[PACKAGE].__version__
        written_by = state.pop(VERSION, "unknown")
        if written_by != here:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=here,
                    original_sklearn_version=written_by,
                ),
                stacklevel=2,
            )
        super().__setstate__(state)


def _fitted(estimator):
    return {name: value for name, value in vars(estimator).items() if name.endswith("_") and not name.startswith("__")}


def forget(estimator):
    """Drop all that a fit has set."""
    for name in _fitted(estimator):
        delattr(estimator, name)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the ``fit`` of an estimator that has kept what it had learned until then."""

    @property
    def estimator(self):
        return self.args[0]


@contextlib.contextmanager
def all_or_nothing(estimator, *, anew=True):
    """What fails in here leaves the estimator as it was. ``anew``: it starts unfitted, and so it stays if it fails."""
    if anew:
        forget(estimator)
    restore = _snapshot(estimator)
    try:
        yield
    except BaseException as error:
        if not (isinstance(error, Interrupted) and error.estimator is estimator):
            restore()
        raise


def _snapshot(value):
    """A function that gives the value back as it is now, whatever is done to it in place until then."""
    if isinstance(value, FrozenEstimator):  # nobody trains it
        return lambda: value
    if isinstance(value, NeuralNet):
        return _snapshot_of_net(value)
    if isinstance(value, list | tuple):
        parts, kind = [_snapshot(part) for part in value], type(value)
        return lambda: kind(part() for part in parts)
    if isinstance(value, BaseEstimator):
        return _snapshot_of_estimator(value)
    kept = copy.deepcopy(value)
    return lambda: kept


def _snapshot_of_estimator(estimator):
    kept = {name: _snapshot(value) for name, value in _fitted(estimator).items()}
    if not isinstance(estimator, Estimator):  # a Pipeline's parameters are what it has fitted
        kept |= {name: _snapshot(value) for name, value in vars(estimator).items() if name not in kept}

    def restore():
        forget(estimator)
        vars(estimator).update({name: value() for name, value in kept.items()})
        return estimator

    return restore


def _snapshot_of_net(net):
    weights = {name: tensor.clone() for name, tensor in net.module_.state_dict().items()}
    optimizer = copy.deepcopy(net.optimizer_.state_dict())

    def restore():
        net.module_.load_state_dict(weights)
        net.module_.eval()
        net.optimizer_.load_state_dict(optimizer)
        return net

    return restore


def warn(message, category=UserWarning):
    """Warn at the user's line: the nearest that is neither this package's nor scikit-learn's or joblib's."""
    if not is_first():
        return
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
