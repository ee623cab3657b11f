"""
One long series: codes, alarms, a gap
=====================================

A row is a window of the series: numpy's ``sliding_window_view`` makes them without a copy, and ``image_shape=(1,
n_steps)`` says that the steps are neighbours in time. Windows next to each other share most of their steps, so
they are no independent draws: the detector gets blocks of the series as ``groups``, and no window reaches over the
end of its block.

The series is made here: a machine that works in one of three ways, two of which differ in the direction of time
alone, at a tempo of its own in each block of 120 steps.
"""

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


random = np.random.RandomState(0)
series, ways = machine(150, random)
later, ways_later = machine(60, random)
X, blocks = windows(series)
X_test, blocks_test = windows(later)

# %%
# **Codes.** Warped in time while the encoder learns, windows get codes that say what happens and not when. A
# classifier of five labelled windows a way needs little else.

y, y_test = ways[blocks], ways_later[blocks_test]
labelled = np.concatenate([random.permutation(np.flatnonzero(y == way))[:5] for way in range(len(WAYS))])
encoder = AutoencoderTransformer(16, image_shape=(1, N_STEPS), corruption="elastic", max_iter=5, random_state=0)
for name, features in (("values", FunctionTransformer()), ("PCA", PCA(16)), ("codes", encoder)):
    Z = features.fit(X).transform(X)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(Z[labelled], y[labelled])
    print(f"accuracy with 5 labels a way, {name:6}: {classifier.score(features.transform(X_test), y_test):.3f}")

# %%
# **Alarms.** For a while the sensor hangs.

detector = DensityOutlierDetector(NeighborsDensity(1), contamination=0.05, random_state=0).fit(X, groups=blocks)
hung = X_test.copy()
for row, start in zip(hung, random.randint(0, N_STEPS - 16, size=len(hung)), strict=True):
    row[start : start + 16] = row[start]
print(f"alarms at a rate of 5 %: {(detector.predict(X_test) == -1).mean():.1%} of normal windows,")
print(f"    {(detector.predict(hung) == -1).mean():.1%} of those with 16 steps alike")

# %%
# **Gaps.** A density of windows draws what is missing; many draws are a band.

density = PixelCNNDensity(
    image_shape=(1, N_STEPS), n_levels=32, likelihood="logistic_mixture", n_filters=16, n_blocks=3, dropout=0.0,
    learning_rate=1e-2, max_iter=8, random_state=0,
).fit(X)  # fmt: skip
gap, some = slice(20, 30), X_test[:130:13]  # one window of each of ten blocks
gaps = np.repeat(some, 50, axis=0)
gaps[:, gap] = np.nan
drawn = density.complete(gaps, random_state=0, n_proposals=16)[:, gap].reshape(len(some), 50, -1)
low, middle, high = np.quantile(drawn, [0.1, 0.5, 0.9], axis=1)
covered = ((low <= some[:, gap]) & (some[:, gap] <= high)).mean()
error = np.abs(middle - some[:, gap]).mean()
print(f"gap of 10 steps: mean absolute error {error:.3f}, {covered:.0%} in bands that are to hold 80 %")

# %%
# All of it in one picture.

figure, axes = plt.subplots(2, 2, figsize=(10, 6), layout="constrained")
axes[0, 0].plot(series[4:7].ravel(), linewidth=0.8)
axes[0, 0].set(title="Three blocks of the series", xlabel="step")
points = PCA(2).fit_transform(encoder.transform(X_test))
for way, name in enumerate(WAYS):
    axes[0, 1].scatter(*points[y_test == way].T, s=6, label=name)
axes[0, 1].set(title="Codes, seen by PCA", xticks=[], yticks=[])
axes[0, 1].legend(frameon=False)
for rows, name in ((X_test, "normal"), (hung, "sensor hangs")):
    axes[1, 0].hist(detector.p_values(rows), np.linspace(0, 1, 21), density=True, histtype="step", label=name)
axes[1, 0].set(title="p-values", xlabel="p")
axes[1, 0].legend(frameon=False)
axes[1, 1].fill_between(np.arange(N_STEPS)[gap], low[0], high[0], color="C0", alpha=0.25, linewidth=0, label="80 %")
axes[1, 1].plot(np.arange(N_STEPS)[gap], middle[0], color="C0", label="median of the draws")
axes[1, 1].plot(some[0], color="black", linewidth=1, label="the series")
axes[1, 1].set(title="A gap filled", xlabel="step")
axes[1, 1].legend(frameon=False)
plt.show()
