"""
One long series: codes, anomalies, gaps and a forecast
======================================================

A row is a window of the series: numpy's ``sliding_window_view`` makes them without a copy, and ``image_shape=(1,
n_steps)`` says that the steps are neighbours in time. Windows next to each other share most of their steps, so they are
no independent draws: the detector gets blocks of the series as ``groups``, and no window reaches over the end of its
block.

The series is made here: a machine that works in one of three ways, two of which differ in the direction of time alone,
at a tempo of its own in each block of 120 steps.

    python examples/plot_series.py [--output FOLDER]

It prints what is found, and writes ``series.png``.
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklatent import AutoencoderTransformer, DensityOutlierDetector, NeighborsDensity, PixelCNNDensity

BLOCK, N_STEPS, STRIDE = 120, 48, 6
WAYS = ("rises slowly", "falls slowly", "two humps")
N_AHEAD, GAP, N_DRAWS = 12, slice(20, 30), 50


def machine(n_blocks, random):
    """Blocks of steps (n_blocks, BLOCK), and the way of working of each."""
    ways, periods = random.randint(len(WAYS), size=n_blocks), random.uniform(14, 22, size=(n_blocks, 1))
    cycle = (np.arange(BLOCK) / periods + random.uniform(size=(n_blocks, 1))) % 1  # in [0, 1)
    shapes = np.stack([cycle, 1 - cycle, 0.5 + 0.4 * np.sin(4 * np.pi * cycle) * np.sin(np.pi * cycle)])
    return shapes[ways, np.arange(n_blocks)] + 0.05 * random.normal(size=(n_blocks, BLOCK)), ways


def windows(blocks):
    """Windows inside blocks, as rows, and the block of each."""
    inside = sliding_window_view(blocks, N_STEPS, axis=1)[:, ::STRIDE]
    return inside.reshape(-1, N_STEPS), np.repeat(np.arange(len(blocks)), inside.shape[1])


def few_labels(X, ways, X_test, ways_test, random):
    """Accuracy with five labels a way, of logistic regression on codes, PCA's and the values."""
    labelled = np.concatenate([random.permutation(np.flatnonzero(ways == way))[:5] for way in range(len(WAYS))])
    encoder = AutoencoderTransformer(16, image_shape=(1, N_STEPS), corruption="elastic", max_iter=5, random_state=0)
    for name, features in (("values", FunctionTransformer()), ("PCA", PCA(16)), ("codes", encoder)):
        Z = features.fit(X).transform(X)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(Z[labelled], ways[labelled])
        print(f"accuracy with 5 labels a way, {name:6}: {classifier.score(features.transform(X_test), ways_test):.3f}")
    return encoder


def detect(X, blocks, X_test, random):
    """False alarms at 5 %, and what is found of windows in which the sensor hung for a while."""
    detector = DensityOutlierDetector(NeighborsDensity(1), contamination=0.05, random_state=0).fit(X, groups=blocks)
    hung = X_test.copy()
    for row, start in zip(hung, random.randint(0, N_STEPS - 16, size=len(hung)), strict=True):
        row[start : start + 16] = row[start]
    print(f"alarms at a rate of 5 %: {(detector.predict(X_test) == -1).mean():.1%} of normal windows,")
    print(f"    {(detector.predict(hung) == -1).mean():.1%} of those with 16 steps alike")
    return detector, hung


def drawn(density, X, where):
    """Draws of what is in ``where`` given the rest: (n, N_DRAWS, steps)."""
    gaps = X.copy()
    gaps[:, where] = np.nan
    rows = density.complete(np.repeat(gaps, N_DRAWS, axis=0), random_state=0, n_proposals=16)
    return rows[:, where].reshape(len(X), N_DRAWS, -1)


def bands(draws, truth, what):
    """Ends and middle of the interval that is to hold 80 %, each (n, steps)."""
    low, middle, high = np.quantile(draws, [0.1, 0.5, 0.9], axis=1)
    covered = ((low <= truth) & (truth <= high)).mean()
    print(f"{what}: mean absolute error {np.abs(middle - truth).mean():.3f}, {covered:.0%} in intervals meant for 80 %")
    return low, middle, high


def draw_band(ax, row, where, band, title):
    low, middle, high = band
    steps = np.arange(N_STEPS)[where]
    ax.fill_between(steps, low, high, color="C0", alpha=0.25, linewidth=0, label="80 %")
    ax.plot(steps, middle, color="C0", label="median of the draws")
    ax.plot(row, color="black", linewidth=1, label="the series")
    ax.set(title=title, xlabel="step", ylim=(-0.2, 1.6))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[2])
    arguments.add_argument("--output", type=Path, default=Path("output"))
    output = arguments.parse_args().output
    start, random = time.perf_counter(), np.random.RandomState(0)

    series, ways = machine(150, random)
    later, ways_later = machine(60, random)
    X, blocks = windows(series)
    X_test, blocks_test = windows(later)
    encoder = few_labels(X, ways[blocks], X_test, ways_later[blocks_test], random)
    detector, hung = detect(X, blocks, X_test, random)
    density = PixelCNNDensity(
        image_shape=(1, N_STEPS), n_levels=32, likelihood="logistic_mixture", n_filters=16, n_blocks=3, dropout=0.0,
        learning_rate=1e-2, max_iter=8, random_state=0,
    ).fit(X)  # fmt: skip
    some, ahead = X_test[::13], slice(N_STEPS - N_AHEAD, N_STEPS)  # one window of each block
    filled = bands(drawn(density, some[:10], GAP), some[:10, GAP], "gap of 10 steps")
    forecast = bands(drawn(density, some, ahead), some[:, ahead], "12 steps ahead")

    figure, axes = plt.subplots(2, 3, figsize=(12, 6), layout="constrained")
    axes[0, 0].plot(series[4:7].ravel(), linewidth=0.8)
    axes[0, 0].set(title="Three blocks of the series", xlabel="step")
    points = PCA(2).fit_transform(encoder.transform(X_test))
    for way, name in enumerate(WAYS):
        axes[0, 1].scatter(*points[ways_later[blocks_test] == way].T, s=6, label=name)
    axes[0, 1].set(title="Codes, seen by PCA", xticks=[], yticks=[])
    axes[0, 1].legend(frameon=False)
    bins = np.linspace(0, 1, 21)
    for rows, name in ((X_test, "normal"), (hung, "sensor hangs")):
        axes[0, 2].hist(detector.p_values(rows), bins, density=True, histtype="step", linewidth=1.5, label=name)
    axes[0, 2].set(title="p-values", xlabel="p")
    axes[0, 2].legend(frameon=False)
    draw_band(axes[1, 0], some[0], GAP, [part[0] for part in filled], "A gap filled")
    for ax, i in zip(axes[1, 1:], (1, 2), strict=True):
        draw_band(ax, some[i], ahead, [part[i] for part in forecast], "A forecast")
    axes[1, 1].legend(frameon=False, loc="upper left", ncols=3, fontsize=7, handlelength=1.2, columnspacing=1)
    output.mkdir(parents=True, exist_ok=True)
    figure.savefig(output / "series.png", dpi=100)
    print(f"\nPicture: {output / 'series.png'}; {time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
