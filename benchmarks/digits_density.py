"""Held-out bits per dimension on scikit-learn's digits: PixelCNN beside what scikit-learn has.

The rows are whole numbers 0..16. ``GaussianMixture`` and ``KernelDensity`` are densities of real numbers; fitted on
and scored on uniformly dequantised rows, x + u with u in [0, 1), their mean log-density bounds the mean
log-probability of the whole numbers from below, so that all rows of the table measure the same thing. Each is
grid-searched by cross-validation on the training rows.

    python benchmarks/digits_density.py
"""

import time

import numpy as np
from datasets import parser, versions
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KernelDensity

from sklatent import PixelCNNDensity

N_LEVELS = 17
TWO_SCALES = {"n_blocks": 2, "n_scales": 2}


def histograms(X, X_test):
    """Bits per dimension of independent per-pixel histograms, the pseudo-count chosen by 5-fold likelihood."""

    def score(train, test, count):
        levels = np.arange(N_LEVELS)[:, None, None]
        frequency = (train == levels).sum(1) + count  # (levels, pixels)
        log_p = np.log(frequency / frequency.sum(0))
        return log_p[test.astype(int), np.arange(train.shape[1])].sum(1).mean()

    folds = np.arange(len(X)) % 5
    counts = [0.01, 0.03, 0.1, 0.3, 1.0]
    best = max(counts, key=lambda c: sum(score(X[folds != k], X[folds == k], c) for k in range(5)))
    return -score(X, X_test, best) / (X.shape[1] * np.log(2)), f"pseudo-count {best}"


def searched(estimator, grid, X, X_test, seed):
    noise = np.random.RandomState(seed)
    X, X_test = X + noise.uniform(size=X.shape), X_test + noise.uniform(size=X_test.shape)
    search = GridSearchCV(estimator, grid, cv=3, n_jobs=2).fit(X)
    return -search.best_estimator_.score_samples(X_test).mean() / (X.shape[1] * np.log(2)), str(search.best_params_)


def pixelcnn(X, X_test, seed, **params):
    density = PixelCNNDensity(image_shape=(8, 8), n_levels=N_LEVELS, random_state=seed, **params).fit(X)
    return density.bits_per_dim(X_test), ", ".join(f"{k}={v}" for k, v in params.items()) or "defaults"


def main():
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    seed = arguments.seed
    X, X_test = train_test_split(load_digits().data, test_size=0.3, random_state=seed)
    mixtures = {"n_components": [5, 10, 20, 40], "covariance_type": ["full", "diag"], "reg_covar": [0.03, 0.1, 0.3, 1]}
    models = {
        "histograms": lambda: histograms(X, X_test),
        "GaussianMixture": lambda: searched(GaussianMixture(random_state=seed), mixtures, X, X_test, seed),
        "KernelDensity": lambda: searched(KernelDensity(), {"bandwidth": np.geomspace(0.5, 5, 15)}, X, X_test, seed),
        "PixelCNN": lambda: pixelcnn(X, X_test, seed),
        "PixelCNN, two resolutions": lambda: pixelcnn(X, X_test, seed, **TWO_SCALES),
    }
    print(f"{versions()}; digits, {len(X)} rows for training, {len(X_test)} held out, seed {seed}\n")
    print("| model | bits per dimension | seconds | chosen |\n| --- | ---: | ---: | --- |")
    for name, fit in models.items():
        start = time.perf_counter()
        bits, chosen = fit()
        print(f"| {name} | {bits:.3f} | {time.perf_counter() - start:.0f} | {chosen} |", flush=True)


if __name__ == "__main__":
    main()
