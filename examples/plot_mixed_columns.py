"""
A table with gaps: flags, categories, counts and amounts
========================================================

800 customers, of whom two traits that no column shows decide all columns; a third of the values are missing. A
``VAETransformer`` gives each column a likelihood of its own, learns from what is there, and fills in the rest: as
a best guess, or as draws, whose spread says how sure it is.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.impute import KNNImputer, SimpleImputer

from sklatent import VAETransformer

random = np.random.RandomState(0)
n = 800
usage, means = random.normal(size=(2, n))


def noisy(x, noise=0.4):
    return x + noise * random.normal(size=n)


whole = pd.DataFrame(
    {
        "newsletter": (noisy(usage) > 0).astype(float),
        "plan": np.digitize(noisy(means), [-0.5, 0.8]).astype(float),  # free, basic, pro
        "visits": random.poisson(np.exp(1.2 + 0.8 * usage)).astype(float),
        "tickets": random.poisson(np.exp(0.3 - 0.7 * means)).astype(float),
        "log spent": noisy(3 + means),
        "log days away": noisy(3 - usage),
        "log size": noisy(1 + 0.5 * means + 0.5 * usage),
    }
)
gone = random.uniform(size=whole.shape) < 0.3
X = whole.mask(gone)
print(X.head(4).round(1).to_string())

# %%
# Each column is taken for what it is.

vae = VAETransformer(2, max_iter=100, random_state=0).fit(X)
print(dict(zip(X.columns, vae.likelihood_, strict=True)))

# %%
# The error of what is filled in, in standard deviations of the columns, beside the usual imputers.

scale = whole.to_numpy().std(axis=0)
filled = {
    "mean": SimpleImputer().fit_transform(X),
    "KNNImputer": KNNImputer().fit_transform(X / scale) * scale,
    "VAETransformer": np.asarray(vae.complete(X)),
}
for name, rows in filled.items():
    print(f"{name:15} {np.sqrt(np.mean(((rows - whole.to_numpy()) / scale)[gone] ** 2)):.3f}")

# %%
# The codes of the rows with holes, coloured by a trait that is in no column; amounts filled in over the true ones,
# with bars for 80 % of the draws; and counts drawn anew beside those of the table.

draws = np.stack([np.asarray(vae.complete(X, random_state=seed)) for seed in range(30)])
column = list(X.columns).index("log spent")
some = np.flatnonzero(gone[:, column])[:60]
low, middle, high = np.quantile(draws[:, some, column], [0.1, 0.5, 0.9], axis=0)
truth = whole.to_numpy()[some, column]
drawn = pd.DataFrame(vae.sample(n, random_state=0), columns=X.columns)

figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
points = axes[0].scatter(*vae.transform(X).T, c=usage, s=8, cmap="coolwarm", linewidths=0)
figure.colorbar(points, label="usage, in no column")
axes[0].set(xlabel="code 0", ylabel="code 1", title="codes of rows with holes")
axes[1].errorbar(truth, middle, [middle - low, high - middle], fmt="o", markersize=3, linewidth=0.8)
axes[1].plot([0, 6], [0, 6], color="0.6", linewidth=1)
axes[1].set(xlabel="log spent, in truth", ylabel="filled in", title="holes, and 80 % of the draws")
bins = np.arange(-0.5, 20)
for rows, name in ((whole, "the table"), (drawn, "drawn")):
    axes[2].hist(rows["visits"], bins, histtype="step", linewidth=1.5, label=name)
axes[2].set(xlabel="visits", title="counts stay counts")
axes[2].legend(frameon=False)
plt.show()
