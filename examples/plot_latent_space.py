"""
A map of the digits
===================

A ``VAETransformer`` with two codes puts each image on a plane, and can draw an image for any place on it. No label
is used; the colours, drawn afterwards, show that like digits come to lie together.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from sklatent import LatentSpaceDisplay, VAETransformer

X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), test_size=0.3, random_state=0)
vae = VAETransformer(
    2, image_shape=(8, 8), likelihood="bernoulli", hidden_layer_sizes=(32, 64), learning_rate=3e-3, max_iter=100,
    random_state=0,
).fit(X)  # fmt: skip

for name, model in (("PCA", PCA(2).fit(X)), ("VAE", vae)):
    neighbours = KNeighborsClassifier(10).fit(model.transform(X), y)
    share = neighbours.score(model.transform(X_test), y_test)
    print(f"{name}: {share:.3f} of new images have the digit of their neighbours on the map")

# %%
# The map, and what the decoder draws at places of a grid over its middle.

Z = vae.transform(X)
places = [np.quantile(Z[:, i], np.linspace(0.03, 0.97, 15)) for i in range(2)]
grid = np.stack(np.meshgrid(places[0], places[1][::-1]), axis=-1).reshape(-1, 2)
drawn = vae.inverse_transform(grid).reshape(15, 15, 8, 8)

figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
LatentSpaceDisplay.from_estimator(vae, X, y, ax=axes[0])
axes[1].imshow(drawn.transpose(0, 2, 1, 3).reshape(120, 120), cmap="gray", vmin=0, vmax=16)
axes[1].set(title="what is drawn from places on the map", xticks=[], yticks=[])
plt.show()
