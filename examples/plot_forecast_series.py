"""
Forecasting a time series by sampling
=====================================

A row is a window of a series: ``image_shape=(1, n_steps)`` makes it an image of one line, and a density of such
rows is an autoregression that is not linear. ``sample`` simulates; ``complete`` with NaN at the end forecasts.
Many draws for each window give a distribution of what comes next: its median is the forecast, its quantiles are an
interval.

The series is made here, by a threshold autoregression with the coefficients that H. Tong ("Non-linear Time
Series", 1990) fitted to the yearly number of lynx trapped in Canada: two linear regimes, and cycles of about ten
steps. So the best forecast is known too, by simulating the process itself; the density sees the windows and
nothing else.
"""

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.linear_model import LinearRegression

from sklatent import PixelCNNDensity

N_PAST, N_AHEAD = 24, 8
N_STEPS = N_PAST + N_AHEAD
N_DRAWS = 100
COVERAGE = 0.8
N_LAGS = 8  # of the linear autoregression


def simulate(past, n_steps, random):
    """Go on from the last two steps of each row: (n, past) -> (n, n_steps)."""
    steps = [past[:, -2], past[:, -1]]
    for noise in random.normal(size=(n_steps, len(past))):
        before, last = steps[-2:]
        low = 0.62 + 1.25 * last - 0.43 * before + 0.195 * noise
        high = 2.25 + 1.52 * last - 1.24 * before + 0.250 * noise
        steps.append(np.where(before <= 3.25, low, high))
    return np.stack(steps[2:], axis=1)


random = np.random.RandomState(0)
series = simulate(np.full((1, 2), 3.0), 6100, random)[0, 100:]
past_series, later = series[:4000], series[4000:]
X = sliding_window_view(past_series, N_STEPS)
X_test = sliding_window_view(later, N_STEPS)[::N_AHEAD]  # the steps to forecast do not overlap
past, future = X_test[:, :N_PAST], X_test[:, N_PAST:]

# %%
# The density, and its forecasts: draws of what follows each row, (n, N_DRAWS, N_AHEAD).

density = PixelCNNDensity(
    image_shape=(1, N_STEPS), n_levels=64, likelihood="logistic_mixture", n_filters=32, n_blocks=2, dropout=0.2,
    learning_rate=5e-3, max_iter=5, random_state=0,
).fit(X)  # fmt: skip
gaps = np.column_stack([past, np.full((len(past), N_AHEAD), np.nan)])
drawn = density.complete(np.repeat(gaps, N_DRAWS, axis=0), random_state=0)[:, N_PAST:].reshape(-1, N_DRAWS, N_AHEAD)

# %%
# Beside it: a linear autoregression, by least squares on the last steps and normal noise; the last value and past
# changes from it; and the process itself, which nothing can beat but by luck.

lags = sliding_window_view(past_series, N_LAGS + 1)
model = LinearRegression().fit(lags[:, :-1], lags[:, -1])
deviation = np.std(lags[:, -1] - model.predict(lags[:, :-1]))


def linear_autoregression(past, n_steps, random):
    steps = past
    for noise in random.normal(scale=deviation, size=(n_steps, len(past))):
        steps = np.column_stack([steps, model.predict(steps[:, -N_LAGS:]) + noise])
    return steps[:, past.shape[1] :]


def many(go_on):
    return np.stack([go_on(past, N_AHEAD, random) for _ in range(N_DRAWS)], axis=1)


changes = X[::20, N_PAST:] - X[::20, N_PAST - 1 : N_PAST]
forecasts = {
    "last value, and past changes from it": past[:, None, -1:] + changes,
    "linear autoregression": many(linear_autoregression),
    "PixelCNN": drawn,
    "the process itself": many(simulate),
}
print(f"{len(future)} windows after the training part, {N_AHEAD} steps ahead, intervals of {COVERAGE:.0%}\n")
print(f"{'forecast':37} mean absolute error  coverage  mean width")
for name, draws in forecasts.items():
    low, median, high = np.quantile(draws, [(1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2], axis=1)
    covered = ((low <= future) & (future <= high)).mean()
    print(f"{name:37} {np.abs(median - future).mean():19.3f} {covered:9.1%} {(high - low).mean():11.2f}")

# %%
# Windows of the series beside some that the density drew, and three forecasts.

simulated = density.sample(1000, random_state=0)
figure, axes = plt.subplots(2, 3, figsize=(11, 5.5), layout="constrained")
limits = X.min() - 0.1, X.max() + 0.1
for ax, rows, title in zip(axes[0], (X, simulated), ("Windows of the series", "Samples of the density"), strict=False):
    ax.plot(rows[:: len(rows) // 3][:3].T, linewidth=1.2)
    ax.set(title=title, ylim=limits)
for rows, label in ((X, "series"), (simulated, "samples")):
    axes[0, 2].hist(rows.ravel(), np.linspace(*limits, 40), density=True, histtype="step", linewidth=1.5, label=label)
axes[0, 2].set(title="Distribution of a step", yticks=[])
axes[0, 2].legend(frameon=False)
ahead = np.arange(N_PAST, N_STEPS)
low, median, high = np.quantile(drawn, [0.1, 0.5, 0.9], axis=1)
for i, (ax, row) in enumerate(zip(axes[1], (10, 90, 170), strict=True)):
    ax.fill_between(ahead, low[row], high[row], color="C0", alpha=0.25, linewidth=0, label=f"{COVERAGE:.0%} interval")
    ax.plot(ahead, drawn[row, :4].T, color="C0", linewidth=0.6, alpha=0.7)
    ax.plot(ahead, median[row], color="C0", linewidth=2, label="median of the draws")
    ax.plot(X_test[row], color="black", linewidth=1.2, label="the series")
    ax.axvline(N_PAST - 0.5, color="0.6", linestyle=":")
    ax.set(title=f"Forecast {i + 1}", xlabel="step", ylim=limits)
axes[1, 1].legend(frameon=False, fontsize=8, loc="lower left")
plt.show()
