"""Completing images: draw one half of a digit, given the other.

A ``PixelCNNDensity`` is fitted on scikit-learn's digits. Of each test image one half is then erased (NaN), and
``complete`` draws it. The model knows pixels in raster order, row by row from the top, which makes two cases:

- the upper half is given: each missing pixel is drawn given all that comes before it, an exact draw;
- the lower half is given: what is drawn first knows nothing of what is given below, so many proposals are drawn and
  one is kept by how well it fits (sampling-importance-resampling). With one proposal the given half is ignored.

Where it is known beforehand which part is given, there is a third way: fit on rows turned around, so that the given
part comes first.

A classifier trained on real images judges the result: the share of completed images to which it gives the true
label, once for each draw and once by vote over the draws of an image. Beside it are the mean image as a filling and
the missing half of the training image that is nearest in the half that is given: hard to beat, but it only repeats.
The last column is what a classifier trained on the given half alone achieves.

    python benchmarks/completion.py > benchmarks/results/completion_cpu.md
"""

import numpy as np
from datasets import versions
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import SVC

from sklatent import PixelCNNDensity

SHAPE = (8, 8)
UPPER, LOWER = np.arange(32), np.arange(32, 64)
N_DRAWS = 10
N_PROPOSALS = 32
N_TEST = 100  # of the 540 test images: many proposals for each take their time


def fit_density(X):
    return PixelCNNDensity(
        image_shape=SHAPE, n_filters=32, n_blocks=3, dropout=0.2, learning_rate=5e-3, max_iter=25, random_state=0
    ).fit(X)


def erase(X, missing):
    X = X.copy()
    X[:, missing] = np.nan
    return X


def fill(X, missing, values):
    X = X.copy()
    X[:, missing] = values
    return X


def draws(density, X, missing, n_proposals=1):
    """Completions of each row: (n, N_DRAWS, 64)."""
    rows = np.repeat(erase(X, missing), N_DRAWS, axis=0)
    return density.complete(rows, random_state=0, n_proposals=n_proposals).reshape(len(X), N_DRAWS, -1)


def turned_draws(density, X, missing):
    """As ``draws``, with a density of rows turned around."""
    return draws(density, X[:, ::-1], X.shape[1] - 1 - missing)[:, :, ::-1]


def nearest(X_train, X, missing):
    """The missing part of the training row that is nearest in the part that is given."""
    given = np.delete(np.arange(X.shape[1]), missing)
    index = NearestNeighbors(n_neighbors=1).fit(X_train[:, given]).kneighbors(X[:, given], return_distance=False)
    return fill(X, missing, X_train[index[:, 0]][:, missing])


def judge(classifier, completed, y):
    """Share of single draws, and of votes over them, in percent."""
    labels = classifier.predict(completed.reshape(-1, completed.shape[-1])).reshape(len(y), -1)
    votes = [np.bincount(row).argmax() for row in labels]
    return 100 * np.mean(labels == y[:, None]), 100 * np.mean(votes == y)


def print_table(completions, X, y, X_test, y_test):
    classifier = SVC().fit(X, y)
    print(f"Share of {len(y_test)} completed test images, in %, that get their true label")
    print(f"from a classifier of real images (whole test images: {100 * classifier.score(X_test, y_test):.0f})\n")
    print(f"| given | missing half | one draw | vote of {N_DRAWS} | given half alone, classified |")
    print("| --- | --- | ---: | ---: | ---: |")
    for (given, name), completed in completions.items():
        one, vote = judge(classifier, completed, y_test)
        part = UPPER if given == "upper" else LOWER
        alone = 100 * SVC().fit(X[:, part], y).score(X_test[:, part], y_test)
        vote = f"{vote:.0f}" if completed.ndim == 3 else "-"
        print(f"| {given} | {name} | {one:.0f} | {vote} | {alone:.0f} |")


def main():
    X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), test_size=0.3, random_state=0)
    X_test, y_test = X_test[:N_TEST], y_test[:N_TEST]
    density, turned = fit_density(X), fit_density(X[:, ::-1])
    completions = {}
    for given, missing in (("upper", LOWER), ("lower", UPPER)):
        completions[given, "mean image"] = fill(X_test, missing, X[:, missing].mean(axis=0))
        completions[given, "of the nearest training image"] = nearest(X, X_test, missing)
        if given == "upper":
            completions[given, "drawn"] = draws(density, X_test, missing)
        else:
            for n in (1, N_PROPOSALS):
                completions[given, f"drawn, n_proposals={n}"] = draws(density, X_test, missing, n)
            completions[given, "turned around"] = turned_draws(turned, X_test, missing)
    print(f"# Halves of digits, completed\n\n`python benchmarks/completion.py`\n\n{versions()}\n")
    print_table(completions, X, y, X_test, y_test)


if __name__ == "__main__":
    main()
