"""Random sequences of calls on every estimator, with rows of any dtype, layout, scale and shape."""

import pickle
import tempfile
import traceback
import warnings
from inspect import signature
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from numpy.testing import assert_allclose, assert_array_equal
from shared import ESTIMATORS, NETS, TINY, run, small, state
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import StrOptions

from sklatent import AutoencoderTransformer, HistogramDensity, MADEDensity, NeighborsDensity, VAETransformer

SHAPES = [(1, None), (3, None), (6, None), (4, (2, 2)), (6, (2, 3)), (6, (3, 1, 2)), (6, (1, 1, 6))]
QUERIES = [
    "score_samples", "score_features", "score_statistics", "transform", "predict", "predict_proba", "p_values",
    "decision_function",
]  # fmt: skip
VALUES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "whole": lambda rng, shape: rng.randint(0, 9, shape),
    "binary": lambda rng, shape: rng.randint(0, 2, shape),
    "constant": lambda rng, shape: np.full(shape, 7.0),
    "columns alike": lambda rng, shape: np.repeat(rng.normal(size=(shape[0], 1)), shape[1], axis=1),
    "far": lambda rng, shape: 1e9 + rng.normal(size=shape),
    "tiny": lambda rng, shape: 1e-40 * rng.normal(size=shape),
    "huge": lambda rng, shape: 1e30 * rng.normal(size=shape),
    "mixed": lambda rng, shape: rng.normal(size=shape) * np.logspace(-6, 6, shape[1]),
    "tails": lambda rng, shape: rng.standard_cauchy(shape) ** 3,
}
DTYPES = ["float64", "float32", "float16", "int64", "int32", "int8", "uint8", "bool"]
LAYOUTS = ["C", "F", "strided", "reversed", "read-only", "memmap", "frame"]
NUMBERS = {
    "batch_size": (1, 3, 100), "n_levels": (2, 7), "n_masks": (2,), "input_dropout": (0.0, 0.3), "ema_decay": (0.9,),
    "feature_layer": (0,), "n_draws": (1, 3), "free_bits": (0.2,), "kl_warmup": (0, 2), "n_bins": (1, 4),
    "n_neighbors": (1, 3), "support_fraction": (0.5, 0.01), "contamination": (0.4,), "calibration_size": (3, None),
    "n_rounds": (0,), "mixup": (0.0,), "vat": (0.0,), "freeze": (1,), "max_iter": (2,), "n_scales": (2,),
    "learning_rate": (1e-5, 1.0),
}  # fmt: skip
PARTS = {
    "estimator": (
        HistogramDensity(), small(VAETransformer, **TINY), small(MADEDensity, **TINY),
        [("bins", HistogramDensity()), ("near", NeighborsDensity(2))],
    ),
    "encoder": (small(VAETransformer, **TINY), small(AutoencoderTransformer, **TINY, corruption="swap")),
}  # fmt: skip
ELSEWHERE = {"compile"}  # takes seconds


class Rows(NamedTuple):
    """How rows are made, which is what hypothesis tells of them."""

    values: str
    n: int
    seed: int
    dtype: str
    layout: str

    def make(self, d):
        X = VALUES[self.values](np.random.RandomState(self.seed), (self.n, d))
        return laid_out(cast(X, self.dtype), self.layout)


ROWS = st.builds(
    Rows, st.sampled_from(list(VALUES)), st.sampled_from((1, 2, 5, 9)), st.integers(0, 9), st.sampled_from(DTYPES),
    st.sampled_from(LAYOUTS),
)  # fmt: skip


def cast(X, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return np.clip(np.rint(X), max(info.min, -(2**60)), min(info.max, 2**60)).astype(dtype)
    with np.errstate(over="ignore"):
        return X > 0 if dtype.kind == "b" else X.astype(dtype)


def laid_out(X, layout):
    if layout == "F":
        return np.asfortranarray(X)
    if layout == "strided":
        return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    if layout == "reversed":
        return X[::-1, ::-1].copy()[::-1, ::-1]
    if layout == "frame":
        return pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    if layout == "memmap":
        with tempfile.TemporaryFile() as file:
            mapped = np.memmap(file, X.dtype, "w+", shape=X.shape)
        mapped[:] = X
        return mapped
    X.flags.writeable = layout != "read-only"
    return X


def options(cls):
    """(name, value) of parameters, found by their constraints; a number's are those of ``NUMBERS``."""
    found = [(name, value) for name, values in {**NUMBERS, **PARTS}.items() for value in values]
    for name, constraints in cls._parameter_constraints.items():
        for each in constraints:
            if isinstance(each, StrOptions):
                found += [(name, option) for option in sorted(each.options)]
            elif isinstance(each, str) and each == "boolean":
                found += [(name, True), (name, False)]
    known = cls().get_params(deep=False).keys() - ELSEWHERE
    return [(name, value) for name, value in found if name in known]


def said(error):
    """Whether an error is one that this library, or scikit-learn, says in words, rather than torch or numpy."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return "sklearn" in last.filename or ("sklatent" in last.filename and last.line.startswith("raise"))


def labels(n):
    """A third of them unknown."""
    return np.where(np.arange(n) % 3 == 2, -1, np.arange(n) % 2)


class Calls(RuleBasedStateMachine):
    """An estimator between the calls of a sequence, and what is true of it after each."""

    cls = None

    @initialize(data=st.data(), shape=st.sampled_from(SHAPES), rows=ROWS, frames=st.booleans())
    def start(self, data, shape, rows, frames):
        (self.d, image_shape), self.frames = shape, frames
        asked = dict(data.draw(st.lists(st.sampled_from(options(self.cls)), max_size=2)))
        params = {**TINY, "n_blocks": 1, "n_layers": 1, "n_rounds": 1, **asked}
        if not asked and hasattr(self.cls, "inverse_transform"):  # these start, and of few rows stay, at a linear model
            params["max_iter"] = data.draw(st.sampled_from((1, None)))  # None takes seconds elsewhere
        if "encoder" in self.cls().get_params(deep=False):
            encoder = params.get("encoder", small(AutoencoderTransformer, **TINY))
            params["encoder"] = clone(encoder).set_params(image_shape=image_shape)
        self.estimator = small(self.cls, **{**params, "image_shape": image_shape})
        self.own = self.again = None  # the rows of fit, and what a fit like it takes
        if rows.seed:
            self.fit(rows)

    # -- what is called ----------------------------------------------------------------------------------------

    @rule(rows=ROWS)
    def fit(self, rows):
        X, y = self._to_train_on(rows), labels(rows.n)
        anew = self.own is None or not getattr(self.estimator, "warm_start", False)
        asked = clone(self.estimator)
        if self._train("fit", X, y, anew=anew):
            self.again = (asked, X, y) if anew else None

    @rule(rows=ROWS)
    def partial_fit(self, rows):
        anew = self.own is None
        if hasattr(self.estimator, "partial_fit") and self._train("partial_fit", self._to_train_on(rows), anew=anew):
            self.again = None

    @rule(rows=ROWS, verb=st.sampled_from(QUERIES))
    def ask_of_any_rows(self, rows, verb):
        if hasattr(self.estimator, verb):
            self._ask(verb, rows.make(self.d))

    @precondition(lambda self: self.own is not None)
    @rule(verb=st.sampled_from(QUERIES), dtype=st.sampled_from(DTYPES), layout=st.sampled_from(LAYOUTS))
    def ask_of_its_own_rows(self, verb, dtype, layout):
        if hasattr(self.estimator, verb):
            X = cast(self.own, dtype)
            self._ask(verb, laid_out(X, layout), inside=np.array_equal(X.astype(np.float64), self.own))

    @precondition(lambda self: self.own is not None)
    @rule(number=st.integers(0, 3))
    def sample(self, number):
        if hasattr(self.estimator, "sample"):
            first, again = (
                self._query(lambda: self.estimator.sample(number, random_state=1)) for _ in range(2)
            )  # fmt: skip
            assert_array_equal(first, again)
            if first is not None:
                assert first.shape == (number, self.d)
                assert np.isfinite(first).all()

    @precondition(lambda self: self.own is not None)
    @rule(dtype=st.sampled_from(["float64", "float32"]), missing=st.integers(0, 5))
    def complete(self, dtype, missing):
        X = cast(self.own, dtype)
        if hasattr(self.estimator, "complete") and np.isfinite(X).all():
            X[:: missing + 1, missing % self.d] = np.nan
            fewer = {"n_proposals": 3} if "n_proposals" in signature(self.estimator.complete).parameters else {}
            found = self._query(lambda: self.estimator.complete(X, random_state=1, **fewer))
            if found is not None:
                assert np.isfinite(found).all()
                assert_array_equal(found[~np.isnan(X)], X[~np.isnan(X)])

    @precondition(lambda self: self.again is not None)
    @rule()
    def fit_again(self):
        estimator, X, y = self.again
        with warnings.catch_warnings(action="ignore"):
            twin = clone(estimator).fit(X, y)
            again = estimator.fit(X, y)
        for verb in QUERIES:
            if hasattr(twin, verb):
                assert_array_equal(*(np.asarray(getattr(each, verb)(self.own)) for each in (twin, again)))
        self.again = None

    @rule()
    def through_a_pickle(self):
        before = state(self.estimator)
        self.estimator = pickle.loads(pickle.dumps(self.estimator))
        assert state(self.estimator) == before, "a pickle is not what was pickled"

    @rule()
    def clone(self):
        twin = clone(self.estimator)
        assert state(twin.get_params()) == state(self.estimator.get_params())
        assert not [name for name in vars(twin) if name.endswith("_")]

    @rule(data=st.data())
    def set_params(self, data):
        name, value = data.draw(st.sampled_from(options(self.cls)))
        if name not in PARTS:
            self.estimator.set_params(**{name: value})

    @rule(container=st.sampled_from(["default", "pandas"]))
    def set_output(self, container):
        if hasattr(self.estimator, "transform"):
            self.estimator.set_output(transform=container)

    # -- what is true of it --------------------------------------------------------------------------------------

    def _to_train_on(self, rows):
        """All frames or all arrays: the detector keeps rows of one call for another, and stacks but one kind."""
        if self.frames or rows.layout == "frame":
            rows = rows._replace(layout="frame" if self.frames else "C")
        return rows.make(self.d)

    def _train(self, verb, *rows, anew):
        before = state(self.estimator)
        done = self._attempt(lambda: getattr(self.estimator, verb)(*rows)) is not None
        if done and anew:
            self.own = np.asarray(rows[0], dtype=np.float64)
        if done:
            for query in ("score_samples", "transform", "predict"):
                if hasattr(self.estimator, query):
                    self._ask(query, rows[0], inside=anew, must=anew)
        elif anew:
            self.own = self.again = None
            left = [name for name in vars(self.estimator) if name.endswith("_")]
            assert not left, f"a {verb} failed, and left {left}"
        else:
            assert state(self.estimator) == before, f"a {verb} failed, and changed the estimator"
        return done

    def _ask(self, verb, X, *, inside=False, must=False):
        """``inside``: within the range of the rows of fit, where all is finite; ``must``: there is no error."""
        found = self._query(lambda: getattr(self.estimator, verb)(X), must=must)
        if found is None:
            return
        values, rows = np.asarray(found), np.asarray(X)
        assert len(values) == len(rows)
        if values.dtype.kind == "f":
            assert values.dtype in (np.float64, np.float32)
            assert not np.isnan(values).any(), f"{verb} gives NaN"
            reaches = verb != "decision_function"  # less an offset of -inf where too few rows calibrate
            assert np.isfinite(values).all() or not (inside and reaches), f"{verb} is not finite"
        exact = isinstance(self.estimator, (*NETS, HistogramDensity)) or verb == "transform"
        few = (len(rows) + 1) // 2  # in their places, with no others behind them
        fewer = np.asarray(getattr(self.estimator, verb)(rows[:few]))
        if not exact and verb == "score_features":  # which of neighbours equally near explains, rounding decides too
            fewer, values = fewer.sum(axis=1), values.sum(axis=1)
        if exact:
            assert_array_equal(fewer, values[:few])
        elif verb not in ("predict", "p_values"):  # ranks and labels jump where rounding, by distances, decides a tie
            assert_allclose(fewer, values[:few], rtol=1e-6, atol=1e-6)

    def _query(self, call, *, must=False):
        """What a call gives that is to change nothing."""
        before = state(self.estimator)
        found = self._attempt(call, must=must or None)
        assert state(self.estimator) == before, "a query changed the estimator"
        if self.own is None:
            assert found is None, "an estimator that is not fitted gave an answer"
        return found

    def _attempt(self, call, *, must=None):
        """What a call gives; None if it fails in words. The global generators stay where they are."""
        draws = np.random.get_state()[1:3], torch.get_rng_state()
        try:
            with warnings.catch_warnings(action="ignore"):
                return call()
        except (ValueError, TypeError, NotFittedError) as error:
            if must or not said(error):
                raise
        finally:
            (words, place), here = np.random.get_state()[1:3], torch.get_rng_state()
            assert (words == draws[0][0]).all(), "numpy's global generator moved"
            assert place == draws[0][1], "numpy's global generator moved"
            assert torch.equal(here, draws[1]), "torch's global generator moved"
        return None


def check(cls, n_sequences, n_calls=5):
    """Raises what the first sequence that fails has raised, with the shortest such sequence in its notes."""
    machine = seed(0)(type(f"CallsOf{cls.__name__}", (Calls,), {"cls": cls}))
    how = settings(
        max_examples=n_sequences, stateful_step_count=n_calls, deadline=None, database=None,
        phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=how)


def main(n):
    found = []
    for cls in ESTIMATORS:
        try:
            check(cls, n)
        except Exception as error:
            for each in getattr(error, "exceptions", [error]):  # hypothesis groups what it tells apart
                found.append(f"{cls.__name__}: {each!r} {' '.join(getattr(each, '__notes__', ()))}")
    return n * len(ESTIMATORS), found


if __name__ == "__main__":
    run(main, 1000)
