"""
Which pixels make an image strange
==================================

A ``DensityOutlierDetector`` flags images at a false-alarm rate that is chosen, 5 % here. Real images of digits are
damaged in three ways, of which the detector has seen none. Over a ``PixelCNNDensity`` it tells by pixel what was
unlikely; over a ``VAETransformer``, with its default for images, it also finds what makes an image simpler.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklatent import DensityOutlierDetector, PixelCNNDensity, ScoreMapDisplay, VAETransformer

X, X_test = train_test_split(load_digits().data, test_size=0.2, random_state=0)
density = PixelCNNDensity(image_shape=(8, 8), n_filters=16, n_blocks=2, max_iter=10, random_state=0)
vae = VAETransformer(8, image_shape=(8, 8), max_iter=25, random_state=0)
by_pixel = DensityOutlierDetector(density, method="log_likelihood", contamination=0.05, random_state=0).fit(X)
by_statistics = DensityOutlierDetector(vae, contamination=0.05, random_state=0).fit(X)

# %%
# A scratch, a hole, and halves of two digits put together.

images = X_test[:200].reshape(-1, 8, 8)
scratch, hole, glued = images.copy(), images.copy(), images.copy()
scratch[:, np.arange(8), np.arange(8)] = 16
hole[:, 2:5, 2:6] = 0
glued[:, 4:] = np.roll(images, 1, axis=0)[:, 4:]
sets = {"new images": images, "scratched": scratch, "with a hole": hole, "glued": glued}

print("share flagged   by likelihood   by statistics")
for name, rows in sets.items():
    flagged = [(detector.predict(rows.reshape(-1, 64)) == -1).mean() for detector in (by_pixel, by_statistics)]
    print(f"{name:15} {flagged[0]:13.3f} {flagged[1]:15.3f}")

# %%
# A hole makes an image simpler, so that it is *likelier* than a whole one: likelihood alone cannot find it. The page
# on anomalies has more on this. Halves that are glued are digits by line, and are hard for both.
#
# The map of a row sums to its log-likelihood. Dark cells are pixels that are unlikely given those before them, in
# rows from the top: the scratch shows in each line that it crosses, the glued image at the seam.

figure, axes = plt.subplots(2, 2, figsize=(11, 4.6), layout="constrained")
for ax, (name, rows) in zip(axes.ravel(), sets.items(), strict=True):
    shown = rows.reshape(-1, 64)[:6]
    ScoreMapDisplay.from_estimator(by_pixel, shown, ax=ax)
    ax.set_title(f"{name}; p = " + ", ".join(f"{p:.2f}" for p in by_pixel.p_values(shown)), fontsize=9)
plt.show()
