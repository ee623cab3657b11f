"""Images side by side in one Axes."""

import math

import numpy as np

TILE, WIDEST, DIGIT = 0.8, 12.0, 0.13  # inches: an image, a new figure, a digit of a label and what keeps it apart


def _visible(images):
    """Three channels are red, green and blue; of any other number the first is shown."""
    return images if images.shape[1] == 3 else images[:, :1]


def _gap(images):
    return max(1, min(images.shape[2:]) // 12)  # pixels


def _mosaic(images, n_columns):
    """Images side by side with NaN between them: (n, c, h, w) -> (height, width, c)."""
    n, c, h, w = images.shape
    n_rows, gap = math.ceil(n / n_columns), _gap(images)
    tiles = np.full((n_rows * n_columns, h + gap, w + gap, c), np.nan)
    tiles[:n, :h, :w] = images.transpose(0, 2, 3, 1)
    tiles = tiles.reshape(n_rows, n_columns, h + gap, w + gap, c).swapaxes(1, 2)
    return tiles.reshape(n_rows * (h + gap), n_columns * (w + gap), c)[:-gap, :-gap]


def _limits(images, tail=0):
    """Values drawn darkest and lightest; ``tail`` percent of all values lie beyond either."""
    low, high = np.percentile(images, (tail, 100 - tail))
    if low == high:
        low, high = images.min(), images.max()
    return low, (high if high > low else low + 1)


def _show(ax, images, n_columns, limits, top=0, cmap="gray"):
    """Draw a mosaic of images from pixel row ``top`` of the Axes on; what is NaN stays white."""
    pixels, (low, high) = _mosaic(images, n_columns), limits
    height, width, n_channels = pixels.shape
    if n_channels == 3:
        pixels = np.nan_to_num(np.clip((pixels - low) / (high - low), 0, 1), nan=1.0)
    extent = (-0.5, width - 0.5, top + height - 0.5, top - 0.5)
    shown = ax.imshow(pixels, cmap=cmap, vmin=low, vmax=high, interpolation="nearest", extent=extent)
    ax.set(xticks=[], yticks=[], ylim=(top + height - 0.5, -0.5))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return shown


def _centres(n, size, gap):
    return (size - 1) / 2 + np.arange(n) * (size + gap)


def _figsize(images, n_columns, n_rows, margin=(0.15, 0.15)):
    """Inches of a new figure for a mosaic, with a margin (width, height) for what stands beside it."""
    h, w = images.shape[2:]
    scale = min(TILE / max(h, w), WIDEST / (n_columns * w))
    return n_columns * w * scale + margin[0], n_rows * h * scale + margin[1]


def n_columns(n):
    return math.ceil(math.sqrt(n))


def size_of_reconstructions(images):
    return _figsize(images, len(images), 2, margin=(1.1, 0.15))


def draw_reconstructions(ax, images, reconstructions):
    images = _visible(images)
    _show(ax, np.concatenate([images, _visible(reconstructions)]), len(images), _limits(images))
    ax.set_yticks(_centres(2, images.shape[2], _gap(images)), ["image", "reconstruction"])


def size_of_samples(images):
    return _figsize(images, n_columns(len(images)), math.ceil(len(images) / n_columns(len(images))))


def draw_samples(ax, images):
    images = _visible(images)
    _show(ax, images, n_columns(len(images)), _limits(images, tail=1))


def size_of_score_maps(images):
    return _figsize(images, len(images), 2, margin=(2.1, 0.5))


def draw_score_maps(ax, images, log_likelihood):
    images, maps, n = _visible(images), log_likelihood[:, np.newaxis], len(images)
    height, width, gap = *images.shape[2:], _gap(images)
    _show(ax, images, n, _limits(images))
    shown = _show(ax, maps, n, _limits(maps), top=height + gap, cmap="viridis")
    ax.set_yticks(_centres(2, height, gap), ["image", "log-likelihood"])
    write_totals(ax, _centres(n, width, gap), maps)
    ax.set_xlabel("sum over the image (nats)")
    bar = ax.inset_axes([1 + 0.15 / n, 0, 0.15 / n, 1])  # as high as the mosaic, whatever the Axes' shape
    ax.figure.colorbar(shown, cax=bar, label="nats per pixel")


def write_totals(ax, centres, maps):
    """Below each map its sum, upright where they would run together."""
    numbers = [f"{total:.0f}" for total in maps.reshape(len(maps), -1).sum(axis=1)]
    tile = ax.get_window_extent().width / ax.figure.dpi / len(maps)  # inches
    ax.set_xticks(centres, numbers, rotation=90 if tile < DIGIT * max(map(len, numbers)) else 0)
