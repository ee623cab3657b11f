"""Colour: PixelCNN with the logistic mixture of PixelCNN++ and with the softmax, on 4,000 CIFAR-10 images.

Test bits per dimension on 1,000 images, samples, and completions from the upper half. The figures do not compare with
published ones, which use all 50,000 images; what counts is one beside the other. The CPU setting crops the images to
their middle 16 x 16 pixels.

    python benchmarks/cifar10.py --data FOLDER --setting cpu --output output
"""

import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from datasets import cifar10_subset, parser, versions

from sklatent import PixelCNNDensity, SampleDisplay

SETTINGS = {
    "cpu": {"side": 16, "params": {"n_filters": 32, "n_blocks": 2, "max_iter": 8, "dropout": 0.1}},
    "gpu": {
        "side": 32,
        "params": {"n_filters": 128, "n_blocks": 6, "max_iter": 80, "dropout": 0.5, "ema_decay": 0.999},
    },
}


def crop(X, side):
    first = (32 - side) // 2
    images = X.reshape(-1, 3, 32, 32)[:, :, first : first + side, first : first + side]
    return np.ascontiguousarray(images).reshape(len(X), -1)


def draw(path, densities, X_test, side, seed):
    """For each model: samples, and completions of test images whose upper half is given."""
    figure, axes = plt.subplots(2, len(densities), figsize=(5 * len(densities), 8), layout="constrained", squeeze=False)
    gaps = X_test[:8].astype(np.float32).reshape(-1, 3, side, side)
    gaps[:, :, side // 2 :] = np.nan
    for (name, density), column in zip(densities.items(), axes.T, strict=True):
        SampleDisplay.from_estimator(density, n_images=16, random_state=seed, ax=column[0])
        column[0].set_title(f"{name}: samples")
        completed = density.complete(gaps.reshape(len(gaps), -1), random_state=seed)
        pairs = np.concatenate([X_test[:8], completed]).reshape(-1, 3, side, side)
        SampleDisplay(pairs).plot(ax=column[1])
        column[1].set_title("eight test images, then their lower halves drawn anew")
    figure.savefig(path, dpi=120)


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--setting", choices=list(SETTINGS), default="cpu")
    arguments.add_argument("--output", type=Path, default=Path("output"))
    arguments.add_argument("--verbose", type=int, default=0)
    arguments = arguments.parse_args()
    side, params = SETTINGS[arguments.setting].values()
    X, X_test = (crop(rows, side) for rows in cifar10_subset(arguments.data))
    uniform_pixels = np.stack([np.bincount(column, minlength=256) for column in X.T]) + 1.0
    log_p = np.log2(uniform_pixels / uniform_pixels.sum(axis=1, keepdims=True))
    histograms = -np.mean([log_p[np.arange(X.shape[1]), row].mean() for row in X_test])
    print(f"{versions()}; seed {arguments.seed}; {side} x {side} x 3, {len(X)} images, {params}\n")
    print("| model | test bits per dimension | training, s |\n| --- | ---: | ---: |")
    print(f"| independent histograms | {histograms:.3f} | |")
    densities = {}
    for likelihood in ("categorical", "logistic_mixture"):
        density = PixelCNNDensity(
            image_shape=(3, side, side), n_levels=256, likelihood=likelihood, random_state=arguments.seed,
            verbose=arguments.verbose, **params,
        )  # fmt: skip
        start = time.perf_counter()
        densities[likelihood] = density.fit(X)
        seconds = time.perf_counter() - start
        print(f"| {likelihood} | {density.bits_per_dim(X_test):.3f} | {seconds:.0f} |", flush=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    draw(arguments.output / "cifar10.png", densities, X_test, side, arguments.seed)
    print(f"\nPicture: {arguments.output / 'cifar10.png'}")


if __name__ == "__main__":
    main()
