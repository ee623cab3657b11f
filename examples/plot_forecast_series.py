"""
Forecasting a time series by sampling
=====================================

A row is a window of a series: ``image_shape=(1, n_steps)`` makes it an image of one line, and a density of such rows
is an autoregression that is not linear. ``sample`` simulates; ``complete`` with NaN at the end forecasts. Many draws
for each window give a distribution of what comes next: its median is the forecast, its quantiles are an interval.

The series is made here, by a threshold autoregression with the coefficients that H. Tong ("Non-linear Time Series",
1990) fitted to the yearly number of lynx trapped in Canada: two linear regimes, and cycles of about ten steps. So the
best forecast is known too, by simulating the process itself; the density sees the windows and nothing else.

    python examples/plot_forecast_series.py [--output FOLDER]

It prints the error of the forecasts and the coverage of the intervals, and writes ``forecast.png``.
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
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


def linear_autoregression(series):
    """A function that goes on from rows by least squares on the last steps and normal noise."""
    lags = sliding_window_view(series, N_LAGS + 1)
    model = LinearRegression().fit(lags[:, :-1], lags[:, -1])
    deviation = np.std(lags[:, -1] - model.predict(lags[:, :-1]))

    def go_on(past, n_steps, random):
        steps = past
        for noise in random.normal(scale=deviation, size=(n_steps, len(past))):
            steps = np.column_stack([steps, model.predict(steps[:, -N_LAGS:]) + noise])
        return steps[:, past.shape[1] :]

    return go_on


def forecast(density, past):
    """Draws of what follows each row: (n, N_DRAWS, N_AHEAD)."""
    X = np.column_stack([past, np.full((len(past), N_AHEAD), np.nan)])
    drawn = density.complete(np.repeat(X, N_DRAWS, axis=0), random_state=0)
    return drawn[:, N_PAST:].reshape(len(past), N_DRAWS, N_AHEAD)


def quantiles(draws):
    """Lower end, median and upper end of the interval, each (n, N_AHEAD)."""
    return np.quantile(draws, [(1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2], axis=1)


def print_table(forecasts, future):
    print(f"{len(future)} windows after the training part, {N_AHEAD} steps ahead, {COVERAGE:.0%} intervals\n")
    print("| forecast | mean absolute error | coverage, % | mean width |\n| --- | ---: | ---: | ---: |")
    for name, draws in forecasts.items():
        low, median, high = quantiles(draws)
        inside = (low <= future) & (future <= high)
        error = np.abs(median - future).mean()
        print(f"| {name} | {error:.3f} | {100 * inside.mean():.1f} | {(high - low).mean():.2f} |")


def draw_picture(path, X, simulated, draws, future):
    """Simulated windows beside real ones, and three forecasts."""
    figure, axes = plt.subplots(2, 3, figsize=(11, 5.5), layout="constrained")
    limits = X.min() - 0.1, X.max() + 0.1
    for ax, rows, title in zip(
        axes[0], (X, simulated), ("Windows of the series", "Samples of the density"), strict=False
    ):
        ax.plot(rows[:: len(rows) // 3][:3].T, linewidth=1.2)
        ax.set(title=title, ylim=limits)
    bins = np.linspace(*limits, 40)
    ax = axes[0, 2]
    for rows, label in ((X, "series"), (simulated, "samples")):
        ax.hist(rows.ravel(), bins, density=True, histtype="step", linewidth=1.5, label=label)
    ax.set(title="Distribution of a step", yticks=[])
    ax.legend(frameon=False)
    ahead = np.arange(N_PAST, N_STEPS)
    low, median, high = quantiles(draws)
    for i, ax in enumerate(axes[1]):
        ax.fill_between(ahead, low[i], high[i], color="C0", alpha=0.25, linewidth=0, label=f"{COVERAGE:.0%} interval")
        ax.plot(ahead, draws[i, :4].T, color="C0", linewidth=0.6, alpha=0.7)
        ax.plot(ahead, median[i], color="C0", linewidth=2, label="median of the draws")
        ax.plot(future[i], color="black", linewidth=1.2, label="the series")
        ax.axvline(N_PAST - 0.5, color="0.6", linestyle=":")
        ax.set(title=f"Forecast {i + 1}", xlabel="step", ylim=limits)
    axes[1, 1].legend(frameon=False, fontsize=8, loc="lower left")
    figure.savefig(path, dpi=120)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[2])
    arguments.add_argument("--output", type=Path, default=Path("output"))
    output = arguments.parse_args().output
    start = time.perf_counter()

    random = np.random.RandomState(0)
    series = simulate(np.full((1, 2), 3.0), 6100, random)[0, 100:]
    past_series, later = series[:4000], series[4000:]
    X = sliding_window_view(past_series, N_STEPS)
    X_test = sliding_window_view(later, N_STEPS)[::N_AHEAD]  # the steps to forecast do not overlap
    past, future = X_test[:, :N_PAST], X_test[:, N_PAST:]

    density = PixelCNNDensity(
        image_shape=(1, N_STEPS), n_levels=64, likelihood="logistic_mixture", n_filters=32, n_blocks=2, dropout=0.2,
        learning_rate=5e-3, max_iter=5, random_state=0,
    ).fit(X)  # fmt: skip
    draws = forecast(density, past)
    changes = X[::20, N_PAST:] - X[::20, N_PAST - 1 : N_PAST]
    again = linear_autoregression(past_series)
    forecasts = {
        "last value, and past changes from it": past[:, None, -1:] + changes,
        "linear autoregression": np.stack([again(past, N_AHEAD, random) for _ in range(N_DRAWS)], axis=1),
        "PixelCNN": draws,
        "the process itself": np.stack([simulate(past, N_AHEAD, random) for _ in range(N_DRAWS)], axis=1),
    }
    print_table(forecasts, future)

    output.mkdir(parents=True, exist_ok=True)
    shown = [10, 90, 170]
    draw_picture(output / "forecast.png", X, density.sample(1000, random_state=0), draws[shown], X_test[shown])
    print(f"\nPicture: {output / 'forecast.png'}; {time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
