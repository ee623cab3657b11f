"""
Completing images
=================

A ``PixelCNNDensity`` of scikit-learn's digits draws the lower half of images of which it is given the upper one.
It draws pixel by pixel, each from its distribution given all pixels before it, so that each drawing is one of the
images that the given half may belong to. Where the given half is ambiguous, the drawings differ.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from sklatent import PixelCNNDensity

X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), test_size=0.3, random_state=0)
density = PixelCNNDensity(
    image_shape=(8, 8), n_filters=32, n_blocks=2, learning_rate=5e-3, max_iter=12, random_state=0
).fit(X)
print(f"{density.bits_per_dim(X_test):.2f} bits per pixel of new images")

# %%
# NaN marks what is missing, and ``complete`` draws it. Ten rows alike give ten drawings of one image.

gaps = X_test[:40].copy()
gaps[:, 32:] = np.nan
drawn = density.complete(np.repeat(gaps, 10, axis=0), random_state=0).reshape(40, 10, 64)

# %%
# A classifier of real images says how many drawings show the digit that the image was. A drawing is one of the
# images that may be, not the likeliest: who only wants the digit classifies the half.

classifier = SVC().fit(X, y)
labels = classifier.predict(drawn.reshape(-1, 64)).reshape(40, 10)
upper = SVC().fit(X[:, :32], y).score(X_test[:40, :32], y_test[:40])
votes = np.array([np.bincount(row).argmax() for row in labels])
print(f"one drawing:                   {(labels == y_test[:40, None]).mean():.0%} show the true digit")
print(f"vote of ten drawings:          {(votes == y_test[:40]).mean():.0%}")
print(f"a classifier of upper halves:  {upper:.0%}")

# %%
# Test images, what is left of them, and four drawings of each.

n_images, n_drawings = 12, 4
rows = np.concatenate([X_test[None, :n_images], gaps[None, :n_images], drawn[:n_images, :n_drawings].swapaxes(0, 1)])
tiles = np.pad(rows.reshape(*rows.shape[:2], 8, 8), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-1)
image = tiles.transpose(0, 2, 1, 3).reshape(9 * len(rows), 9 * n_images)[:-1, :-1]

figure, ax = plt.subplots(figsize=(9, 4.6), layout="constrained")
colors = plt.get_cmap("gray").with_extremes(bad="#7a9cc6", under="white")
ax.imshow(image, cmap=colors, vmin=0, vmax=16, interpolation="nearest")
ax.set_yticks(3.5 + 9 * np.arange(len(rows)), ["test image", "given", *(f"drawing {i + 1}" for i in range(n_drawings))])
ax.set(xticks=[])
ax.tick_params(length=0)
ax.spines[:].set_visible(False)
plt.show()
