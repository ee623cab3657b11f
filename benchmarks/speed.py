"""Small, single and bulk: what the estimators cost over the modules they hold, and how time grows with the rows.

Each figure is a ratio of CPU times from one run, of calls that take turns; the median of several. The bare module is
called by hand on tensors, at the batch size that is best for it; of one row, on that row.

    python benchmarks/speed.py --part bulk one fit linear detector graph
"""

import copy
import time
import warnings
from functools import partial

import numpy as np
import torch
from datasets import parser, versions

from sklatent import (
    AutoencoderTransformer,
    DensityOutlierDetector,
    GraphLabelSpreading,
    MADEDensity,
    PixelCNNDensity,
    VAETransformer,
)

FEW = {"max_iter": 1, "random_state": 0, "device": "cpu"}


def medians(calls, rounds=7, repeat=1):
    """Median CPU seconds of calls, {name: function}, that take turns."""
    seconds = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(repeat):
                call()
            seconds[name].append((time.process_time() - start) / repeat)
    return {name: float(np.median(values[1:])) for name, values in seconds.items()}


def in_batches(function, rows, size):
    with torch.inference_mode():
        return torch.cat([function(batch) for batch in rows.split(size)]).numpy()


def table(title, names):
    print(f"\n{title}\n\n| {' | '.join(names)} |\n| --- |{' ---: |' * (len(names) - 1)}", flush=True)


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def verbs(model):
    """(name, verb, the module called by hand) of a fitted estimator."""
    module = model.net_.module_.eval()
    if hasattr(module, "encode"):
        yield "transform", model.transform, module.encode
    if isinstance(model, AutoencoderTransformer):
        yield "score_samples", model.score_samples, lambda x: -module.squared_errors(x, None).sum(1)
    elif isinstance(model, VAETransformer):
        noise = model._noise(model.n_draws)
        yield "score_samples", model.score_samples, lambda x: module.log_prob(x, noise)
    else:
        yield "score_samples", model.score_samples, module.log_prob


def bulk(arguments):
    """``transform`` and scores of many rows."""
    random = np.random.RandomState(0)
    wide, narrow = random.rand(60_000, 784).astype(np.float32), random.normal(size=(60_000, 20)).astype(np.float32)
    models = {
        "AE 784": (AutoencoderTransformer(32, **FEW), wide),
        "VAE 784, 1 draw": (VAETransformer(16, n_draws=1, **FEW), wide),
        "conv AE 28 x 28": (AutoencoderTransformer(32, image_shape=(28, 28), **FEW), wide[:6000]),
        "MADE 20, mixture": (MADEDensity(likelihood="gaussian_mixture", **FEW), narrow),
        "MADE 100, Bernoulli": (MADEDensity(**FEW), (wide[:20_000, :100] > 0.5).astype(np.uint8)),
    }
    table("Bulk", ("model, rows", "verb", "best bare batch", "bare s", "ours s", "ratio"))
    for name, (model, X) in models.items():
        model.fit(X[:500])
        rows = torch.from_numpy(X)
        for verb, ours, bare in verbs(model):
            sizes = medians({n: partial(in_batches, bare, rows, n) for n in (16, 64, 256, 1024)}, rounds=1)
            best = min(sizes, key=sizes.get)
            found = medians({"bare": partial(in_batches, bare, rows, best), "ours": partial(ours, X)}, rounds=3)
            ratio = found["ours"] / found["bare"]
            row(f"{name}, {len(X):,}", verb, best, f"{found['bare']:.2f}", f"{found['ours']:.2f}", f"{ratio:.2f}")


def one(arguments):
    """Every verb on a single row."""
    random = np.random.RandomState(0)
    narrow, wide = random.normal(size=(500, 20)).astype(np.float32), random.rand(500, 784).astype(np.float32)
    models = {
        "AE 20": (AutoencoderTransformer(8, **FEW), narrow),
        "VAE 20, 50 draws": (VAETransformer(8, **FEW), narrow),
        "MADE 20, mixture": (MADEDensity(likelihood="gaussian_mixture", **FEW), narrow),
        "PixelCNN 20 as a table": (PixelCNNDensity(n_filters=16, n_blocks=2, **FEW), narrow),
        "AE 784": (AutoencoderTransformer(8, **FEW), wide),
        "conv AE 28 x 28": (AutoencoderTransformer(8, image_shape=(28, 28), **FEW), wide),
        "VAE 784, 50 draws": (VAETransformer(8, **FEW), wide),
    }
    table("One row", ("model", "verb", "bare ms", "ours ms", "more, ms", "ratio"))
    for name, (model, X) in models.items():
        model.fit(X)
        rows = torch.from_numpy(X[:1].copy())
        for verb, ours, bare in verbs(model):
            calls = {"bare": partial(in_batches, bare, rows, 1), "ours": partial(ours, X[:1])}
            found = {key: 1e3 * value for key, value in medians(calls, rounds=15, repeat=5).items()}
            more, ratio = found["ours"] - found["bare"], found["ours"] / found["bare"]
            row(name, verb, f"{found['bare']:.2f}", f"{found['ours']:.2f}", f"{more:.2f}", f"{ratio:.2f}")


def fit(arguments):
    """Tiny fits: 1,000 x 20, 20 epochs, beside a bare loop with the same module, optimizer and schedule.

    MADE is that of 0 and 1: of real values it first looks for the mixture that it starts at, for seconds.
    """
    X = np.random.RandomState(0).normal(size=(1000, 20)).astype(np.float32)
    models = {
        "AE": AutoencoderTransformer(8, **FEW),
        "AE, 32 units, batches of 32": AutoencoderTransformer(8, hidden_layer_sizes=(32,), batch_size=32, **FEW),
        "VAE": VAETransformer(8, **FEW),
        "MADE": MADEDensity(**FEW),
    }
    table("Fit of 1,000 x 20, 20 epochs", ("model", "bare ms", "ours ms", "ratio"))
    for name, model in models.items():
        rows = (X > 0).astype(np.float32) if name == "MADE" else X
        model.set_params(max_iter=20).fit(rows)
        start, size, rate = copy.deepcopy(model.net_.module_), model.batch_size, model.learning_rate

        def bare(rows=rows, start=start, size=size, rate=rate, decay=model.weight_decay):
            module, rows, step = copy.deepcopy(start).train(), torch.from_numpy(rows), 0
            optimizer = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=decay, fused=True)
            for _ in range(20):
                order, total = torch.randperm(len(rows)), 0.0
                for begin in range(0, len(rows), size):
                    optimizer.zero_grad(set_to_none=True)
                    loss = module(rows[order[begin : begin + size]]).mean()
                    loss.backward()
                    optimizer.step()
                    total, step = total + loss.detach(), step + 1
                    for group in optimizer.param_groups:
                        group["lr"] = rate * (1 - step / (20 * -(-len(rows) // size)))
                total.item()

        found = medians({"bare": bare, "ours": partial(model.fit, rows)}, rounds=9)
        row(name, *(f"{1e3 * found[key]:.0f}" for key in ("bare", "ours")), f"{found['ours'] / found['bare']:.2f}")


def linear(arguments):
    """Whether the time of a fit is in proportion to the rows."""
    table("One epoch, batches of 512", ("model", "rows", "CPU s", "microseconds a row"))
    for cls, sizes in ((AutoencoderTransformer, (100_000, 300_000, 1_000_000)), (VAETransformer, (100_000, 300_000))):
        for n in sizes:
            X = np.random.RandomState(0).normal(size=(n, 20)).astype(np.float32)
            model = cls(hidden_layer_sizes=(64,), batch_size=512, **FEW)
            seconds = medians({"fit": lambda model=model, X=X: model.fit(X)}, rounds=1)["fit"]
            row(cls.__name__, f"{n:,}", f"{seconds:.2f}", f"{1e6 * seconds / n:.1f}")


def detector(arguments):
    """The default detector."""
    table("DensityOutlierDetector(), fit, 20 features", ("rows", "wall s", "CPU s"))
    for n in (10_000, 100_000, 200_000):
        timed(n, DensityOutlierDetector(random_state=0).fit, np.random.RandomState(0).normal(size=(n, 20)))


def graph(arguments):
    """Labels over a graph of all rows: 200 labelled, three classes, 20 features without any structure."""
    table("GraphLabelSpreading(), fit, 20 features", ("rows", "wall s", "CPU s"))
    for n in (25_000, 100_000, 300_000)[: arguments.graphs]:
        X = np.random.RandomState(0).normal(size=(n, 20)).astype(np.float32)
        y = np.where(np.arange(n) < 200, (X[:, 0] > 0).astype(int) + (X[:, 1] > 0), -1)
        timed(n, GraphLabelSpreading().fit, X, y)


def timed(n, call, *args):
    wall, cpu = time.perf_counter(), time.process_time()
    call(*args)
    row(f"{n:,}", f"{time.perf_counter() - wall:.1f}", f"{time.process_time() - cpu:.1f}")


def main():
    arguments = parser(__doc__.splitlines()[0])
    parts = {"bulk": bulk, "one": one, "fit": fit, "linear": linear, "detector": detector, "graph": graph}
    arguments.add_argument("--part", nargs="*", choices=parts, default=list(parts))
    arguments.add_argument("--graphs", type=int, default=2, help="of the three sizes")
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore")  # of fits that are short
    print(versions())
    for name in arguments.part:
        parts[name](arguments)


if __name__ == "__main__":
    main()
