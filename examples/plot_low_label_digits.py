"""
Few labels, many rows: pretrained encoders on digits
====================================================

Encoders are pretrained on all training rows, without a label; then a ``LogisticRegression`` learns from 10, 30 or
100 labelled rows. The table gives the mean and the standard deviation of the test accuracy over five draws of the
labelled rows, 1, 3 or 10 for each digit, the same draws for every method. Features go into the classifier as they
come (standardising them first costs raw pixels and PCA up to 20 points at 10 labels and our codes next to nothing).
For PCA every size is shown. The settings of our encoders were chosen on parts of the training rows kept apart.

    python examples/plot_low_label_digits.py [--output FOLDER]

Beside the table it writes ``digits.png``: reconstructions, samples and learning curves.
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklatent import (
    AutoencoderTransformer,
    HistoryDisplay,
    PixelCNNDensity,
    ReconstructionDisplay,
    SampleDisplay,
    VAETransformer,
)

SHAPE = (8, 8)
PER_CLASS = {10: 1, 30: 3, 100: 10}
N_DRAWS = 5


def encoders():
    """Name -> transformer, to be pretrained on all training rows."""
    plain = {"n_components": 32, "image_shape": SHAPE, "random_state": 0}
    shared = {"hidden_layer_sizes": (64, 128), **plain}
    coder = AutoencoderTransformer(loss="binary_cross_entropy", max_iter=100, **shared)
    vae = VAETransformer(likelihood="bernoulli", corruption="elastic", beta=0.1, max_iter=120, **shared)
    return {
        "raw pixels": FunctionTransformer(),
        **{f"PCA({k})": PCA(k, random_state=0) for k in (8, 16, 32)},
        "autoencoder": AutoencoderTransformer(**plain),  # it starts at PCA(32), as the next
        "VAE": VAETransformer(**plain),
        'autoencoder, "noise"': clone(coder).set_params(corruption="noise"),
        'autoencoder, "affine"': clone(coder).set_params(corruption="affine"),
        # no two warps are alike, so there is more to learn than in the rows themselves
        'autoencoder, "elastic"': clone(coder).set_params(corruption="elastic", max_iter=200),
        'VAE, beta=0.1, "elastic"': vae,
    }


def draw_labelled(y, per_class, draw):
    """Indices of ``per_class`` rows of each class."""
    random = np.random.RandomState(draw)
    return np.concatenate([random.choice(np.flatnonzero(y == c), per_class, replace=False) for c in np.unique(y)])


def accuracies(encoder, X, y, X_test, y_test):
    """Test accuracy in percent, (label budgets, draws), of a classifier on codes of a pretrained encoder."""
    classifier = make_pipeline(FrozenEstimator(encoder), LogisticRegression(max_iter=2000))
    rows = []
    for per_class in PER_CLASS.values():
        labelled = [draw_labelled(y, per_class, draw) for draw in range(N_DRAWS)]
        rows.append([100 * clone(classifier).fit(X[i], y[i]).score(X_test, y_test) for i in labelled])
    return np.array(rows)


def pretrain(estimator, X):
    """The fitted estimator and the seconds it took."""
    start = time.perf_counter()
    return estimator.fit(X), time.perf_counter() - start


def print_table(pretrained, X, y, X_test, y_test):
    """Test accuracies of name -> (encoder, seconds)."""
    print(f"Test accuracy in % by labelled rows: mean (standard deviation) over {N_DRAWS} draws\n")
    print("| features | " + " | ".join(f"{n} labels" for n in PER_CLASS) + " | pretraining, s |")
    print("| --- |" + " ---: |" * (len(PER_CLASS) + 1))
    for name, (encoder, seconds) in pretrained.items():
        cells = [f"{np.mean(row):.1f} ({np.std(row):.1f})" for row in accuracies(encoder, X, y, X_test, y_test)]
        print(f"| {name} | " + " | ".join(cells) + f" | {seconds:.1f} |", flush=True)


def draw_picture(path, autoencoder, vae, density, X_test):
    """Reconstructions, samples of both models and the learning curves."""
    figure, axes = plt.subplot_mosaic(
        [["rebuilt", "history"], ["vae", "pixelcnn"]], figsize=(11, 8), layout="constrained"
    )
    ReconstructionDisplay.from_estimator(autoencoder, X_test[:6], ax=axes["rebuilt"])
    axes["rebuilt"].set_title("Test rows and their reconstructions (autoencoder)")
    HistoryDisplay.from_estimator(density, ax=axes["history"])
    axes["history"].set_title("Learning curve of the PixelCNN (nats a row)")
    # the noise of a pixel is its own; the mean shows what the code stands for
    means = vae.sample(36, random_state=0, means=True).reshape(-1, *vae.image_shape_)
    SampleDisplay(means).plot(ax=axes["vae"])
    axes["vae"].set_title("VAE: means of p(x | z), z drawn from the prior")
    SampleDisplay.from_estimator(density, n_images=36, random_state=0, ax=axes["pixelcnn"])
    axes["pixelcnn"].set_title("PixelCNN: samples")
    figure.savefig(path, dpi=120)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[2])
    arguments.add_argument("--output", type=Path, default=Path("output"))
    output = arguments.parse_args().output
    start = time.perf_counter()

    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
    density = PixelCNNDensity(image_shape=SHAPE, n_filters=32, max_iter=20, early_stopping=True, random_state=0)
    jobs = {**encoders(), "density": density}
    fitted = Parallel(n_jobs=2)(delayed(pretrain)(estimator, X) for estimator in jobs.values())
    pretrained = dict(zip(jobs, fitted, strict=True))
    density, _ = pretrained.pop("density")
    print_table(pretrained, X, y, X_test, y_test)
    print(f"\nPixelCNN, {density.n_iter_} epochs: {density.bits_per_dim(X_test):.2f} bits per dimension, held out")
    output.mkdir(parents=True, exist_ok=True)
    draw_picture(output / "digits.png", pretrained['autoencoder, "elastic"'][0], pretrained["VAE"][0], density, X_test)
    print(f"Picture: {output / 'digits.png'}; {time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
