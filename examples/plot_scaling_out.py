"""
More rows than memory
=====================

Rows on disk, in a memory map of which a batch at a time is read, and a stream that is learned from chunk by chunk
and then forgotten. Both give the same kind of encoder; the file may be of any size.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import IncrementalPCA

from sklatent import AutoencoderTransformer

N_ROWS, SIDE = 20_000, 16


def blobs(n, random):
    """Images (n, 256) of two round spots, as bytes."""
    y, x = np.mgrid[:SIDE, :SIDE]
    at = random.uniform(3, SIDE - 3, size=(2, 2, n, 1, 1))
    spots = np.exp(-((y - at[:, 0]) ** 2 + (x - at[:, 1]) ** 2) / 5).max(axis=0)
    return (255 * spots).astype(np.uint8).reshape(n, -1)


random = np.random.RandomState(0)
file = Path(tempfile.mkdtemp()) / "rows.npy"
rows = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(N_ROWS, SIDE * SIDE))
for start in range(0, N_ROWS, 2000):
    rows[start : start + 2000] = blobs(2000, random)
rows.flush()
X, X_test = np.load(file, mmap_mode="r"), blobs(500, random)
print(f"{file.stat().st_size / 2**20:.1f} MiB of uint8; as float64 they were {8 * X.size / 2**20:.0f} MiB")


def error(model):
    return np.mean((model.inverse_transform(model.transform(X_test)) - X_test) ** 2) / X_test.var()


# %%
# ``fit`` on the map: rows are bytes on the disk until their batch is due.

options = {"n_components": 8, "image_shape": (SIDE, SIDE), "hidden_layer_sizes": (16, 32), "random_state": 0}
mapped = AutoencoderTransformer(max_iter=2, **options).fit(X)
print(f"fit: error {error(mapped):.3f}")

# %%
# The stream: ``partial_fit`` makes one pass over what it gets. ``IncrementalPCA`` of as many codes reads the same
# chunks.

stream, linear = AutoencoderTransformer(**options), IncrementalPCA(8)
seen, errors = [], {"IncrementalPCA": [], "partial_fit": []}
for start in range(0, N_ROWS, 1000):
    chunk = X[start : start + 1000]
    stream.partial_fit(chunk)
    linear.partial_fit(chunk)
    seen.append(start + 1000)
    errors["IncrementalPCA"].append(error(linear))
    errors["partial_fit"].append(error(stream))
print(f"stream: error {errors['partial_fit'][-1]:.3f}, IncrementalPCA {errors['IncrementalPCA'][-1]:.3f}")

# %%
# The error of new images, as a share of their variance, over the rows seen; and what is left of four images in 8
# codes.

figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", width_ratios=(1.3, 1))
for name, found in errors.items():
    axes[0].plot(seen, found, "o-", markersize=3, label=name)
axes[0].axhline(error(mapped), color="0.5", linestyle=":", label="fit on the map, 2 epochs")
axes[0].set(xlabel="rows seen", ylabel="error / variance", ylim=(0, None))
axes[0].legend(frameon=False)
parts = [X_test[:5], *(model.inverse_transform(model.transform(X_test[:5])) for model in (linear, stream))]
tiles = np.pad(np.stack(parts).reshape(3, 5, SIDE, SIDE), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=255)
axes[1].imshow(tiles.transpose(0, 2, 1, 3).reshape(3 * (SIDE + 1), -1), cmap="gray", vmin=0, vmax=255)
axes[1].set_yticks((SIDE + 1) * np.arange(3) + SIDE / 2, ["new images", "IncrementalPCA", "partial_fit"])
axes[1].set(xticks=[])
plt.show()
