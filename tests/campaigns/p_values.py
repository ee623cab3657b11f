"""False alarms of the detector at .05, on ties, on repeated rows, and under drift, which is to give more."""

import numpy as np
from shared import run
from sklearn.mixture import GaussianMixture

from sklatent import DensityOutlierDetector, HistogramDensity, NeighborsDensity

LEVEL, ERRORS = 0.05, 3  # of standard errors, over the fits
N_ROWS, N_NEW, WIDTH = 1000, 200, 3
FEWEST = 20  # fits, of the cases that cost most
DENSITIES = {
    "the pool": (lambda: None, 1),  # the second number: of fits for one of the pool
    "bins": (HistogramDensity, 4),
    "neighbours": (lambda: NeighborsDensity(1), 2),
    "a mixture": (lambda: GaussianMixture(2, random_state=0), 2),
}


def normal(random, n):
    return random.normal(size=(n, WIDTH))


def tied(random, n):
    """Values tie, and many scores; few rows are equal, which would count as copies."""
    return random.randint(0, 3, (n, 10)).astype(float)


def repeated(times):
    """Each row of fit so often, in random order; new rows once."""

    def draw(random, n):
        return random.permutation(np.repeat(normal(random, n), times, axis=0))

    return draw


def moved(random, n):
    return 0.5 + normal(random, n)


CASES = {  # rows of fit, new rows, whether there are to be more alarms than LEVEL, and what a fit costs
    "normal rows": (normal, normal, False, 1),
    "ties": (tied, tied, False, 1),
    "each row 2 times": (repeated(2), normal, False, 2),
    "each row 5 times": (repeated(5), normal, False, 5),
    "each row 20 times": (repeated(20), normal, False, 20),
    "drift": (normal, moved, True, 1),
}


def alarms(density, rows, new, n):
    """Share of new rows called outliers, mean and standard error over n fits."""
    shares = []
    for i in range(n):
        random = np.random.RandomState(i)
        detector = DensityOutlierDetector(density(), contamination=LEVEL, random_state=i).fit(rows(random, N_ROWS))
        assert detector.calibrated_, "too few rows calibrate for p-values to hold"
        shares.append(np.mean(detector.predict(new(random, N_NEW)) == -1))
    return np.mean(shares), np.std(shares, ddof=1) / np.sqrt(n)


def wrong(density, rows, new, drifts, n):
    """What is wrong with the alarms in words, or None; and their share."""
    mean, error = alarms(density, rows, new, n)
    told = f"{mean:.4f} +- {error:.4f} false alarms at {LEVEL:g}"
    too_many = mean > LEVEL + ERRORS * error
    return (told if too_many != drifts else None), told


def main(n):
    tried, found = 0, []
    for name, (density, times) in DENSITIES.items():
        for case, (rows, new, drifts, cost) in CASES.items():
            n_fits = max(min(n, FEWEST), n * times // cost)
            words, told = wrong(density, rows, new, drifts, n_fits)
            print(f"{name}, {case}: {told}, {n_fits} fits", flush=True)
            tried += n_fits
            found += [f"{name}, {case}: {words}"] if words else []
    return tried, found


if __name__ == "__main__":
    run(main, 200)
