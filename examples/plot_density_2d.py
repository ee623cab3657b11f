"""
A density that can be looked at
===============================

With two columns a density is a picture. ``MADEDensity`` writes it as a product, p(x) p(y | x), with both factors
from one net; what it says is a log-density in the units of the columns, and compares with that of any other model.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from sklatent import MADEDensity


def spirals(n, random):
    """Rows on two arms of a spiral, with noise."""
    angle = 4.2 * np.sqrt(random.uniform(size=n)) + 0.8
    side = np.where(random.uniform(size=n) < 0.5, 0, np.pi)
    arms = np.column_stack([angle * np.cos(angle + side), angle * np.sin(angle + side)])
    return arms + 0.25 * random.normal(size=(n, 2))


random = np.random.RandomState(0)
X, X_test = spirals(3000, random), spirals(2000, random)

# %%
# Beside it stand the usual two, at settings that suit these rows. In two columns a mixture of twenty Gaussians is
# hard to beat; what a net knows of one column given others pays off where there are more.

models = {
    "KernelDensity(0.25)": KernelDensity(bandwidth=0.25),
    "GaussianMixture(20)": GaussianMixture(20, random_state=0),
    "MADEDensity": MADEDensity(hidden_layer_sizes=(128, 128), max_iter=30, random_state=0),
}
for name, model in models.items():
    print(f"{name:20} {model.fit(X).score_samples(X_test).mean():.3f} nats a row, held out")

# %%
# The density over the plane, and rows drawn from the net.

ticks = np.linspace(-6.5, 6.5, 160)
plane = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
drawn = models["MADEDensity"].sample(3000, random_state=0)

figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained", sharex=True, sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=False):
    density = np.exp(model.score_samples(plane)).reshape(len(ticks), -1)
    ax.imshow(density, extent=(-6.5, 6.5, -6.5, 6.5), origin="lower", cmap="magma", vmax=0.06)
    ax.set_title(f"{name}: {model.score_samples(X_test).mean():.2f}", fontsize=10)
axes[3].scatter(*drawn.T, s=2, linewidths=0)
axes[3].set_title("rows drawn from MADEDensity", fontsize=10)
axes[3].set(xlim=(-6.5, 6.5), ylim=(-6.5, 6.5), aspect="equal")
plt.show()
