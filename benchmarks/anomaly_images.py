"""Images that are not like those of ``fit``: Fashion-MNIST or MNIST in, nine kinds of other rows out, and seven more.

AUROC of each method of ``DensityOutlierDetector``, false alarms on fresh rows, power, time. Images have eight grey
levels, so that a likelihood says more of shapes than of noise in the last bits. No label and no strange row is seen
by ``fit``; the densities are fitted once and shared by the methods. "statistics, blind" lacks what that method takes of
the image itself: roughness and mirror images.

    python benchmarks/anomaly_images.py --data FOLDER --figure docs/images
"""

import time
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
from datasets import images, parser, versions
from scipy.ndimage import gaussian_filter, map_coordinates, median_filter
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score

from sklatent import (
    DensityOutlierDetector,
    PixelCNNDensity,
    ScoreHistogramDisplay,
    ScoreMapDisplay,
    VAETransformer,
)
from sklatent._outliers import scores as score_functions

NAMES = {"fashion-mnist": "Fashion-MNIST", "mnist": "MNIST"}
N_LEVELS, SIDE = 8, 28
IMAGES = {"image_shape": (SIDE, SIDE), "n_levels": N_LEVELS}
PIXELCNN = {"n_filters": 16, "n_blocks": 2, "max_iter": 1, "batch_size": 32}
VAE = {
    "n_components": 16, "likelihood": "categorical", "hidden_layer_sizes": (32, 64), "max_iter": 10, "kl_warmup": 2,
    "batch_size": 64, "learning_rate": 2e-3, "n_draws": 8,
}  # fmt: skip
BLIND = "statistics, blind"
METHODS = ("log_likelihood", "typicality", "ratio", "complexity", "regret", BLIND, "statistics")  # of the VAE
LEVELS = (0.01, 0.05, 0.1)
EXAMPLE = 16  # the row that is drawn: a shoe, with a top and a bottom, for seeds 0 and 1
MUTATED = 0.2  # share of the pixels of the background's rows that are uniform


def outsiders(X, other, random):
    """Nine sets of rows made of ``X``, or of another set; all uint8 with 256 levels."""
    real, square = X.astype(float), X.reshape(-1, SIDE, SIDE)
    black_or_white = 255 * random.randint(0, 2, X.shape)
    return {
        "other": other,
        "noise": np.clip(np.rint(real + 50 * random.normal(size=X.shape)), 0, 255),
        "salt, pepper": np.where(random.uniform(size=X.shape) < 0.05, black_or_white, X),
        "uniform": random.randint(0, 256, X.shape),
        "v-flip": square[:, ::-1].reshape(X.shape),
        "invert": 255 - X,
        "constant": np.repeat(random.randint(0, 256, (len(X), 1)), X.shape[1], axis=1),
        "permuted": X[:, random.permutation(X.shape[1])],
        "blur": np.rint(gaussian_filter(real.reshape(square.shape), (0, 1, 1))).reshape(X.shape),
    }


def further(X, random):
    """Six more sets, by which nothing was chosen; and the other mirror, which ``"statistics"`` was made to see."""
    n, square = len(X), X.reshape(-1, SIDE, SIDE)
    moves = random.choice([-5, -4, 4, 5], size=(n, 2))
    corners = random.randint(6, 14, size=(n, 2))
    bends = gaussian_filter(random.uniform(-1, 1, (n, 2, SIDE, SIDE)), (0, 0, 3, 3))
    bends *= 1.5 / np.sqrt((bends**2).mean(axis=(1, 2, 3), keepdims=True))  # pixels
    erased = square.copy()
    for image, (i, j) in zip(erased, corners, strict=True):
        image[i : i + 8, j : j + 8] = 0
    sets = {
        "quarter turn": np.rot90(square, axes=(1, 2)),
        "shifted": np.stack([np.roll(image, move, (0, 1)) for image, move in zip(square, moves, strict=True)]),
        "median": median_filter(square, (1, 3, 3)),
        "elastic": np.stack([
            map_coordinates(image.astype(float), np.indices(image.shape) + bend, order=1, mode="nearest")
            for image, bend in zip(square, bends, strict=True)
        ]),
        "erased": erased,
        "two levels": np.where(square >= 128, 224, 0),
        "h-flip": square[:, :, ::-1],
    }  # fmt: skip
    return {name: np.rint(rows).reshape(X.shape) for name, rows in sets.items()}


def load(name, data, seed, n_train, n_apart, n_test):
    """``train, apart, test, out``: disjoint rows of 8 levels, uint8; ``out`` is two dicts, of nine sets and of more."""
    random = np.random.RandomState(seed)
    X, _, X_test, _ = images(name, data)
    *_, other, _ = images(next(key for key in NAMES if key != name), data)
    order = random.permutation(len(X))
    test = X_test[random.permutation(len(X_test))[:n_test]]
    out = outsiders(test, other[random.permutation(len(other))[:n_test]], random), further(test, random)

    def coarse(rows):
        return (np.asarray(rows).astype(np.uint8) // (256 // N_LEVELS)).astype(np.uint8)

    train, apart = X[order[:n_train]], X[order[n_train : n_train + n_apart]]
    out = [{key: coarse(rows) for key, rows in sets.items()} for sets in out]
    return coarse(train), coarse(apart), coarse(test), out


def timed(function, *args):
    start = time.perf_counter()
    return function(*args), time.perf_counter() - start


def densities(train, seed):
    """PixelCNN, VAE, and the same VAE of rows with some pixels drawn at random, with the seconds of each fit."""
    random = np.random.RandomState(seed)
    noise = random.randint(0, N_LEVELS, train.shape).astype(train.dtype)
    mutated = np.where(random.uniform(size=train.shape) < MUTATED, noise, train)
    return {
        "PixelCNN": timed(PixelCNNDensity(**IMAGES, **PIXELCNN, random_state=seed).fit, train),
        "VAE": timed(VAETransformer(**IMAGES, **VAE, random_state=seed).fit, train),
        "background VAE": timed(VAETransformer(**IMAGES, **VAE, random_state=seed).fit, mutated),
    }


def blind():
    """``"statistics"`` finds all images as rough, and as much the right way up."""
    return mock.patch.multiple(
        score_functions,
        uprightness=lambda own, *_: np.zeros((len(own), 2)),
        roughness=lambda X, *_: np.zeros((len(X), 15)),
    )


def detectors(fitted, apart, n_regret, seed):
    """``(density, method), detector`` one after the other, calibrated on the rows kept apart."""
    for density, method in (("PixelCNN", "log_likelihood"), *(("VAE", method) for method in METHODS)):
        rows = apart[:n_regret] if method == "regret" else apart
        background = FrozenEstimator(fitted["background VAE"]) if method == "ratio" else None
        detector = DensityOutlierDetector(
            FrozenEstimator(fitted[density]), method=method.split(",")[0], background=background, random_state=seed,
            calibration_size=len(rows) - 1,
        )  # fmt: skip
        with blind() if method == BLIND else nullcontext():
            yield (density, method), detector.fit(rows)


def evaluate(detector, test, out):
    """Scores of each set, and the AUROC of each set of outsiders."""
    scores = {"in": detector.score_samples(test)} | {key: detector.score_samples(rows) for key, rows in out.items()}
    labels = np.repeat([0, 1], len(test))
    return scores, {key: roc_auc_score(labels, -np.concatenate([scores["in"], scores[key]])) for key in out}


def rejected(detector, scores, level):
    """Share of the rows with a p-value of at most ``level``; as by ``p_values``, from scores that are there."""
    calibration = detector.calibration_scores_
    p = (1 + np.searchsorted(calibration, scores, side="right")) / (len(calibration) + 1)
    return np.mean(p <= level)


def cells(values):
    return " | ".join(f"{value:.3f}" for value in values)


def print_aurocs(fitted, apart, test, out, arguments, seed):
    """One line a method, and one more for the further sets; the calibrated detectors and their scores of the nine."""
    nine, more = out
    print("| density | method | " + " | ".join(nine) + " | worst | mean | s per 1000 rows |")
    print("| --- | --- |" + " ---: |" * (len(nine) + 3))
    calibrated, scores, lines = {}, {}, []
    for key, detector in detectors(fitted, apart, arguments.regret_rows, seed):
        rows = slice(arguments.regret_rows if key[1] == "regret" else None)
        some = {name: others[rows] for name, others in (nine | more).items()}
        (found, auroc), seconds = timed(evaluate, detector, test[rows], some)
        seconds /= (1 + len(some)) * len(test[rows]) / 1000
        for sets, line in ((nine, f"{seconds:.1f} |"), (more, "")):
            values = [auroc[name] for name in sets]
            lines.append(f"| {key[0]} | {key[1]} | {cells([*values, min(values), np.mean(values)])} | {line}".rstrip())
        print(lines[-2], flush=True)
        calibrated[key], scores[key] = detector, {name: found[name] for name in ("in", *nine)}
    print("\n| density | method | " + " | ".join(more) + " | worst | mean |")
    print("| --- | --- |" + " ---: |" * (len(more) + 2), *lines[1::2], sep="\n")
    return calibrated, scores


def print_alarms(calibrated, scores, out):
    """Share of fresh normal rows rejected at each level, and of each set of outsiders at 0.05."""
    levels, names = " | ".join(f"{level:g}" for level in LEVELS), " | ".join(out)
    print(f"\n| density | method | false alarms at {levels} | power at 0.05: {names} |")
    print("| --- | --- |" + " ---: |" * (len(LEVELS) + len(out)))
    for key, detector in calibrated.items():
        values = [rejected(detector, scores[key]["in"], level) for level in LEVELS]
        values += [rejected(detector, scores[key][name], 0.05) for name in out]
        print(f"| {key[0]} | {key[1]} | {cells(values)} |", flush=True)


def run(name, arguments, seed):
    """Print the tables of one in-set; give the densities, detectors, scores and rows of the pictures."""
    train, apart, test, out = load(name, arguments.data, seed, arguments.train, arguments.apart, arguments.test)
    fits = densities(train, seed)
    fitted = {key: density for key, (density, _) in fits.items()}
    print(f"\n## {NAMES[name]} in, seed {seed}\n")
    print("Fit: " + ", ".join(f"{key} {seconds:.0f} s" for key, (_, seconds) in fits.items()) + ".\n")
    calibrated, scores = print_aurocs(fitted, apart, test, out, arguments, seed)
    print_alarms(calibrated, scores, out[0])
    return fitted["PixelCNN"], calibrated, scores, test, out[0]


def draw_histograms(scores, path):
    """The likelihood ranks the other set above the set of ``fit``; the statistics put it below."""
    import matplotlib.pyplot as plt

    shown = {"PixelCNN": "log_likelihood", "VAE": "log_likelihood", "VAE ": "statistics"}
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
    for ax, (density, method) in zip(axes, shown.items(), strict=True):
        sets = scores[density.strip(), method]
        ScoreHistogramDisplay({"Fashion-MNIST, fitted on": sets["in"], "MNIST, never seen": sets["other"]}).plot(ax)
        ax.set(title=f"{density.strip()}: {method.replace('_', '-')}", xlabel="score in nats (higher is more normal)")
    for ax in axes[1:]:
        ax.get_legend().remove()
        ax.set_ylabel(None)
    figure.savefig(path, dpi=110)


def draw_examples(density, detector, test, out, path):
    """One row of each set: the image, its map, its p-value."""
    import matplotlib.pyplot as plt

    rows = np.stack([test[EXAMPLE], *(others[EXAMPLE] for others in out.values())])
    figure, ax = plt.subplots(figsize=(13, 3.2), layout="constrained")
    ScoreMapDisplay.from_estimator(density, rows, n_images=len(rows), ax=ax)
    labels = [f"{name}\np = {p:.2g}" for name, p in zip(("in", *out), detector.p_values(rows), strict=True)]
    top = ax.secondary_xaxis("top")
    top.set_xticks(ax.get_xticks(), labels)
    top.tick_params(length=0)
    top.spines["top"].set_visible(False)
    figure.savefig(path, dpi=100)


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--sets", nargs="+", choices=NAMES, default=list(NAMES), help="in-sets")
    arguments.add_argument("--train", type=int, default=20_000, help="rows that the densities are fitted on")
    arguments.add_argument("--apart", type=int, default=4_000, help="rows that calibrate")
    arguments.add_argument("--test", type=int, default=2_000, help="rows of each set that is scored")
    arguments.add_argument("--regret-rows", type=int, default=300, help="of each set, for the slow regret")
    arguments.add_argument("--figure", type=Path, help="folder for pictures of the first in-set")
    arguments = arguments.parse_args()
    start = time.perf_counter()
    print(
        f"{versions()}; {arguments.train} rows for training, {arguments.apart} kept apart, {arguments.test} of each set"
    )
    for i, name in enumerate(arguments.sets):
        density, calibrated, scores, test, out = run(name, arguments, arguments.seed)
        if arguments.figure is not None and i == 0:
            draw_histograms(scores, arguments.figure / "anomaly_likelihood.png")
            draw_examples(density, calibrated["VAE", "statistics"], test, out, arguments.figure / "anomaly_images.png")
    print(f"\nIn all: {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
