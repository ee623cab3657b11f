"""Series as lines, side by side in one Axes: each in a tile of one by one, its channels one below the other."""

import math

import numpy as np

from ._common import COLORS
from ._mosaics import write_totals

GAP = 0.12  # between tiles
TILE, CHANNEL, WIDEST = (1.7, 0.5), 0.3, 12.0  # inches: a series, width and height; each channel; a new figure
MOST_COLUMNS = 5


def _limits(series):
    """The least and the most of each channel of (n, c, 1, steps): 2 arrays (c,)."""
    low, high = series.min(axis=(0, 2, 3)), series.max(axis=(0, 2, 3))
    return low, np.where(high > low, high, low + 1)


def _trace(ax, series, columns, limits, first_row=0, colors=COLORS, **style):
    """Draw the series of (n, c, 1, steps), one after the other in rows of ``columns`` tiles."""
    low, high = (np.asarray(limit)[:, np.newaxis] for limit in limits)
    c, steps = series.shape[1], series.shape[3]
    tile = np.arange(len(series))
    left, bottom = (1 + GAP) * (tile % columns), -(1 + GAP) * (first_row + tile // columns)
    x = np.linspace(0, 1, steps)[:, np.newaxis] + left  # (steps, n)
    heights = (series[:, :, 0] - low) / (high - low)  # (n, c, steps)
    for i in range(c):  # one below the other
        y = (heights[:, i].T + c - 1 - i) / c + bottom
        ax.plot(x, y, color=colors[i % len(colors)], **style)


def _finish(ax, columns, rows):
    ax.set(xticks=[], yticks=[], xlim=(-GAP, columns * (1 + GAP)), ylim=(-(rows - 1) * (1 + GAP) - GAP, 1 + GAP))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _grid(n):
    rows = math.ceil(n / MOST_COLUMNS)
    return math.ceil(n / rows), rows


def _size(series, columns, rows, margin=(0.3, 0.3)):
    width, height = TILE[0], TILE[1] + CHANNEL * series.shape[1]
    return min(WIDEST, columns * width + margin[0]), rows * height + margin[1]


def _legend(ax, *styles):
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color="0.3", **style) for style in styles]
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(handles), frameon=False)


def size_of_reconstructions(series):
    return _size(series, *_grid(len(series)), margin=(0.3, 0.7))


def draw_reconstructions(ax, series, reconstructions):
    columns, rows = _grid(len(series))
    given = {"linewidth": 1.0, "alpha": 0.55, "label": "series"}
    rebuilt = {"linewidth": 1.3, "linestyle": (0, (3, 1)), "label": "reconstruction"}
    limits = _limits(series)
    for values, style in ((series, given), (reconstructions, rebuilt)):
        _trace(ax, values, columns, limits, **{**style, "label": "_"})
    _finish(ax, columns, rows)
    _legend(ax, given, rebuilt)


def size_of_samples(series):
    return _size(series, *_grid(len(series)))


def draw_samples(ax, series):
    columns, rows = _grid(len(series))
    _trace(ax, series, columns, _limits(series), linewidth=1.0)
    _finish(ax, columns, rows)


def size_of_score_maps(series):
    return _size(series, len(series), 2, margin=(1.3, 0.7))


def draw_score_maps(ax, series, log_likelihood):
    maps, n = log_likelihood[:, np.newaxis], len(series)
    low, high = _limits(maps)
    _trace(ax, series, n, _limits(series), linewidth=1.0)
    _trace(ax, maps, n, (low, high), first_row=1, colors=["0.3"], linewidth=1.0)
    _finish(ax, n, 2)
    below = -(1 + GAP)
    names = ["series", f"{high[0]:.3g}", "log-likelihood\n(nats per step)", f"{low[0]:.3g}"]
    ax.set_yticks([0.5, below + 1, below + 0.5, below], names)
    write_totals(ax, (1 + GAP) * np.arange(n) + 0.5, maps)
    ax.set_xlabel("sum over the series (nats)")
