"""
One alarm explained
===================

A pump is watched by five sensors. Its readings depend on one another: more load takes more current and makes it
warmer. A detector learns from normal readings, and is asked about some where the cooling fails: each reading is
usual by itself, but the pump is too warm for its load. Of one alarm it says what is strange, and what would have
to change.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

from sklatent import DensityOutlierDetector, MADEDensity, ScoreFeaturesDisplay


def readings(n, random, warmer=0.0):
    """Five sensors, as a frame; ``warmer`` degrees beside what the load explains."""
    load, outside = random.uniform(0.2, 1, size=n), random.normal(12, 6, size=n)
    return pd.DataFrame(
        {
            "load": load,
            "outside, C": outside,
            "current, A": 4 + 9 * load**2 + 0.3 * random.normal(size=n),
            "vibration, mm/s": np.exp(0.3 + 0.8 * load + 0.15 * random.normal(size=n)),
            "pump, C": 35 + 0.5 * outside + 30 * load + 1.5 * random.normal(size=n) + warmer,
        }
    )


random = np.random.RandomState(0)
X, X_new = readings(700, random), readings(1000, random)
faults = readings(1000, random, warmer=6.0)

# %%
# The default of the detector, a pool of plain densities, and ``MADEDensity``, whose score splits into what each
# feature adds given those before it.

made = MADEDensity(max_iter=15, random_state=0)
models = {
    "IsolationForest": IsolationForest(contamination=0.05, random_state=0),
    "the default pool": DensityOutlierDetector(contamination=0.05, random_state=0),
    "MADEDensity": DensityOutlierDetector(made, method="log_likelihood", contamination=0.05, random_state=0),
}
for name, detector in models.items():
    flagged = [(detector.fit(X).predict(rows) == -1).mean() for rows in (X_new, faults)]
    print(f"{name:16} flags {flagged[0]:.3f} of normal readings, {flagged[1]:.3f} of faults")

# %%
# One alarm, of middling strength: its p-value, and what would have to change for it to be none.

order = np.argsort(detector.score_samples(faults))  # the strangest first
alarm = faults.iloc[[order[len(order) // 2]]]
changed = detector.counterfactuals(alarm, X)
print(f"p = {detector.p_values(alarm)[0]:.4f}")
print(pd.concat([alarm, changed], keys=["alarm", "no alarm"]).droplevel(1).round(2).T)

# %%
# The bars of the alarm over grey lines for what is usual, and the alarm among the normal readings.

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
ScoreFeaturesDisplay(detector.score_features(alarm)[0], detector.score_features(X), list(X.columns)).plot(ax=axes[0])
axes[0].set_title("What each sensor adds to the score, nats")
points = axes[1].scatter(X["load"], X["pump, C"], c=X["outside, C"], s=8, cmap="viridis", linewidths=0)
figure.colorbar(points, label="outside, C")
axes[1].plot(alarm["load"], alarm["pump, C"], "X", color="C3", markersize=10, label="the alarm")
if changed["pump, C"].iloc[0] != alarm["pump, C"].iloc[0]:
    axes[1].plot(changed["load"], changed["pump, C"], "o", mfc="none", color="C3", markersize=10, label="no alarm")
axes[1].set(xlabel="load", ylabel="pump, C", title=f"Outside it is {alarm['outside, C'].iloc[0]:.0f} C")
axes[1].legend(frameon=False)
plt.show()
