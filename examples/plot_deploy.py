"""
From a fitted pipeline to a file, and how fast it answers
=========================================================

A fitted estimator is constructor parameters and numpy arrays: pickle, joblib and skops write it, a model fitted on
a GPU loads on a CPU, and what is loaded gives the same bits. Here are the sizes of such files, and the time that
answers take, row by row and many at once.
"""

import pickle
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklatent import AutoencoderTransformer, DensityOutlierDetector, MADEDensity

X, y = load_digits(return_X_y=True)
X, X_new, y = X[:1200], X[1200:], y[:1200]
dense = AutoencoderTransformer(16, max_iter=20, random_state=0)
conv = AutoencoderTransformer(16, image_shape=(8, 8), max_iter=5, random_state=0)
models = {
    "dense encoder + classifier": make_pipeline(dense, LogisticRegression(max_iter=1000)).fit(X, y).predict_proba,
    "convolutional encoder": conv.fit(X).transform,
    "MADE, log-likelihood": MADEDensity(max_iter=5, random_state=0).fit(X).score_samples,
    "default detector, p-values": DensityOutlierDetector(random_state=0).fit(X).p_values,
}

# %%
# A file and back: the answers are the same to the bit.

loaded = {}
for name, method in models.items():
    file = pickle.dumps(method.__self__)
    loaded[name] = getattr(pickle.loads(file), method.__name__)
    same = np.array_equal(loaded[name](X_new), method(X_new))
    print(f"{name:28} {len(file) / 2**10:6.0f} KiB, the same bits: {same}")

# %%
# Time for an answer. The first call after loading builds the net, and is left out.


def milliseconds(method, rows, n_calls):
    """Of each of some calls with the same rows."""
    taken = []
    for _ in range(n_calls):
        start = time.perf_counter()
        method(rows)
        taken.append(1e3 * (time.perf_counter() - start))
    return taken


sizes = [1, 10, 100, 1000]
rows = np.tile(X_new, (2, 1))
taken = {
    name: [milliseconds(method, rows[:size], 200 if size == 1 else 8) for size in sizes]
    for name, method in loaded.items()
}
for name, by_size in taken.items():
    one, many = np.median(by_size[0]), np.median(by_size[-1])
    print(f"{name:28} one row {one:5.1f} ms; a thousand {many:6.1f} ms")

# %%
# On the left what one row takes, call by call; on the right the time over the number of rows in a call.

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", width_ratios=(1.3, 1))
axes[0].boxplot([by_size[0] for by_size in taken.values()], orientation="horizontal", whis=(1, 99), showfliers=False)
axes[0].set_yticks(range(1, len(taken) + 1), list(taken))
axes[0].set(xlabel="ms for one row, whiskers from 1 to 99 % of the calls", xlim=(0, None))
axes[0].invert_yaxis()
for name, by_size in taken.items():
    axes[1].plot(sizes, [np.median(calls) for calls in by_size], "o-", label=name)
axes[1].set(xscale="log", yscale="log", xlabel="rows in a call", ylabel="ms")
axes[1].legend(frameon=False, fontsize=8)
plt.show()
