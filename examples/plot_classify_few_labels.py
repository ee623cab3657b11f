"""
Thirty labels, 1,227 images without
===================================

Three labelled images of each digit. A classifier learns from these alone; ``EncoderClassifier`` also learns from
the images without a label: what images are like, and which of them are neighbours. ``-1`` marks a row without a
label.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from sklatent import EncoderClassifier

X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), test_size=0.3, random_state=0)
labelled, _ = train_test_split(np.arange(len(y)), train_size=30, stratify=y, random_state=0)
few = np.full_like(y, -1)
few[labelled] = y[labelled]

stock = SVC(C=10).fit(X[labelled], y[labelled])
print(f"SVC:               {stock.score(X_test, y_test):.3f} of new images right")
classifier = EncoderClassifier(image_shape=(8, 8), random_state=0).fit(X, few)
print(f"EncoderClassifier: {classifier.score(X_test, y_test):.3f}")

# %%
# Why it works: by pixels (PCA) the digits run into each other, by the codes of the fine-tuned encoder they are
# islands, and one label is enough to name an island. Each map is a t-SNE of the new images; a cross is an image that
# is taken for another digit, by the SVC on the left and by ``EncoderClassifier`` on the right.

figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
views = {"pixels, SVC": (PCA(16).fit(X), stock), "codes, EncoderClassifier": (classifier, classifier)}
for ax, (name, (encoder, model)) in zip(axes, views.items(), strict=True):
    points = TSNE(init="pca", perplexity=20, random_state=0).fit_transform(encoder.transform(X_test))
    wrong = model.predict(X_test) != y_test
    ax.scatter(*points.T, c=y_test, cmap="tab10", s=14, linewidths=0)
    ax.plot(*points[wrong].T, "kx", markersize=6)
    for digit in range(10):
        ax.annotate(str(digit), np.median(points[y_test == digit], axis=0), fontsize=18, weight="bold")
    ax.set(title=f"{name}: {wrong.sum()} of {len(wrong)} wrong", xticks=[], yticks=[])
plt.show()
