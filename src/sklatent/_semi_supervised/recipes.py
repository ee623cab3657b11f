"""Defaults of ``EncoderClassifier`` that were measured, for images in grey and in colour, for tables and for series.

``benchmarks/results/low_label_cpu.md`` says what they were chosen on.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from .._autoencoders.autoencoder import AutoencoderTransformer
from .._autoencoders.two_views import TwoViewTransformer
from .._bridge.training import epochs
from .._nn.series import is_series
from .label_spreading import GraphLabelSpreading
from .labels import UNLABELLED
from .pool import _Opinions
from .targets import repeated, with_labels_repeated
from .views import _Features, _NormalScores

MOST_EPOCHS = 180  # of any training
PENALTIES = np.logspace(-2, 5, 8)  # of a ridge: the one that errs least on labels left out in turn
MOST_TAUGHT = 20_000  # unlabelled rows that one training learns what the graph says of


class Schedule(NamedTuple):
    """Of one training: how many steps for each root of the rows that it learns, within bounds; the rate."""

    per_root: float
    least: int
    most: int
    rate: float  # of the encoder, the highest

    def n_steps(self, n):
        return int(np.clip(self.per_root * math.sqrt(n), self.least, self.most))


class Step(NamedTuple):
    """One training of the net."""

    learns: str  # "labels", or "graph": what the graph says
    index: np.ndarray  # of the rows, some of them several times
    max_iter: int
    rate: float  # of the encoder


@dataclass(frozen=True)
class Recipe:
    """What ``EncoderClassifier`` does where a parameter is None or "auto"."""

    encoder: type  # what encoder=None is, and its parameters
    options: dict
    pretraining: Schedule  # of it; at least three epochs
    on_labels: Schedule
    on_graph: Schedule
    augmentation: str | dict
    vat: float
    n_rounds: int
    labels_first: bool  # learn the labelled rows before the first graph is made
    asks_pca: bool  # let the net learn the mean of what graphs over its codes and over a PCA say
    opinions: Callable | None  # (image_shape, seed) -> who is asked beside the graph over codes

    def steps(self, known, apart, batch_size, n_rounds, counts, seed, again=False):
        """What the net is to learn of rows of which some are labelled, in turn; each row counts so often.

        ``again``: it has learned them before, with fewer labels.
        """
        every = np.repeat(np.arange(len(known)), counts)
        labelled = every[known[every] != UNLABELLED]
        unlabelled = every[(known[every] == UNLABELLED) & ~np.isin(every, apart)]
        if not len(unlabelled):
            return [self._step("labels", labelled, len(labelled), batch_size)]
        some = np.sort(np.random.RandomState(seed).permutation(unlabelled)[:MOST_TAUGHT])
        on_graph = self._step("graph", with_labels_repeated(labelled, some), len(some), batch_size)
        steps = (min(n_rounds, 1) if again else n_rounds) * [on_graph]
        if self.labels_first and not again:
            steps.insert(0, self._step("labels", repeated(labelled, batch_size), len(labelled), batch_size))
        return steps

    def _step(self, learns, index, n, batch_size):
        schedule = self.on_graph if learns == "graph" else self.on_labels
        n_epochs = epochs(schedule.n_steps(n), len(index), batch_size, most=MOST_EPOCHS)
        return Step(learns, index, n_epochs, schedule.rate)

    def make_encoder(self, X, **options):
        """Not fitted. Of an autoencoder for which the recipe names no loss, the range of X decides."""
        options = {"learning_rate": self.pretraining.rate, **self.options, **options}
        if self.encoder is AutoencoderTransformer and "loss" not in options:
            bounded = X.dtype == np.uint8 or (np.nanmin(X) >= 0 and np.nanmax(X) <= 1)
            options["loss"] = "binary_cross_entropy" if bounded else "squared_error"
        n_epochs = epochs(self.pretraining.n_steps(len(X)), len(X), options["batch_size"], least=3, most=MOST_EPOCHS)
        return self.encoder(64, **{"max_iter": n_epochs, **options})


def of_tables(image_shape, seed):
    """Planes, balls and boxes."""
    members = {
        "plane": ("scores", LogisticRegression(max_iter=1000)),
        "kernel": ("scores", SVC(random_state=seed)),
        "extra trees": ("values", ExtraTreesClassifier(50, max_features=None, random_state=seed)),
        "forest": ("values", RandomForestClassifier(50, random_state=seed)),
        "codes": ("codes", LogisticRegression(max_iter=1000)),
    }
    return _Opinions({"values": FunctionTransformer(), "scores": _NormalScores()}, members, seed)


def of_series(image_shape, seed):
    """What happens, and in which third of the row, by kernels; and the values, where the time tells the class."""
    views = {"kernels": _Features(image_shape, n_windows=3, random_state=seed), "values": _Features(random_state=seed)}
    return _Opinions(views, _graph_and_plane_of(("kernels", "values")), seed)


def of_color(image_shape, seed):
    """Typical patches, and where they are."""
    return _Opinions({"patches": _Features(image_shape, 3, seed)}, _graph_and_plane_of(("patches",)), seed)


def _graph_and_plane_of(views):
    planes = {name: (name, RidgeClassifierCV(PENALTIES)) for name in ("plain codes", *views)}
    return {**planes, **{f"graph of {name}": (name, GraphLabelSpreading()) for name in views}}


IMAGES = Recipe(
    encoder=TwoViewTransformer,
    options={"hidden_layer_sizes": (16, 32, 64), "batch_size": 128},
    pretraining=Schedule(0, 600, 600, 3e-3),
    on_labels=Schedule(60, 400, 2000, 3e-3),
    on_graph=Schedule(0, 300, 300, 1e-3),
    augmentation="elastic",
    vat=0.0,
    n_rounds=2,
    labels_first=True,
    asks_pca=True,
    opinions=None,
)

TABLES = Recipe(
    encoder=AutoencoderTransformer,
    options={"hidden_layer_sizes": (512, 256), "corruption": "swap", "batch_size": 64},
    pretraining=Schedule(20, 600, 9000, 1e-3),
    on_labels=Schedule(0, 800, 800, 3e-4),
    on_graph=Schedule(6, 400, 800, 3e-4),
    augmentation={"mask": 0.3},
    vat=0.1,
    n_rounds=2,
    labels_first=False,
    asks_pca=False,
    opinions=of_tables,
)


SERIES = Recipe(
    encoder=AutoencoderTransformer,
    options={"loss": "squared_error", "corruption": "elastic", "batch_size": 64},
    pretraining=Schedule(0, 1, 1, 5e-3),
    on_labels=Schedule(0, 800, 800, 1e-3),
    on_graph=Schedule(0, 800, 800, 1e-3),
    augmentation="elastic",
    vat=0.0,
    n_rounds=0,
    labels_first=False,
    asks_pca=False,
    opinions=of_series,
)

COLOR = replace(
    IMAGES,
    pretraining=Schedule(0, 1, 1, 3e-3),
    augmentation={"affine": 0.6, "flip": 0.5, "color": 1.0},
    n_rounds=0,
    labels_first=False,
    asks_pca=False,
    opinions=of_color,
)


def recipe(image_shape):
    """The one for rows that fold to this shape, or for tables if it is None."""
    if image_shape is None:
        return TABLES
    if is_series(image_shape):
        return SERIES
    return COLOR if len(image_shape) == 3 and image_shape[0] == 3 else IMAGES
