"""
A network of your own: a decoder that knows the physics
=======================================================

``architecture`` takes a builder, a function that returns an encoder and a decoder: plain torch modules. All else
stays: ``fit``, pipelines, ``clone``, grid search. Here a row is the spectrum of one line, a peak on a background,
and the decoder is the formula of a peak. Its four codes then *are* where the peak lies, how wide and how high it
is, and the background: nobody has told the encoder, which learns to read them off.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from sklatent import AutoencoderTransformer

N_STEPS = 64


def spectra(n, random):
    """Rows (n, 64) with noise, without noise, and the position of each peak."""
    at, width = random.uniform(12, 52, size=(n, 1)), random.uniform(2, 6, size=(n, 1))
    height, background = random.uniform(1, 3, size=(n, 1)), random.uniform(0, 1, size=(n, 1))
    clean = background + height * np.exp(-0.5 * ((np.arange(N_STEPS) - at) / width) ** 2)
    return clean + 0.2 * random.normal(size=clean.shape), clean, at[:, 0]


class Peak(nn.Module):
    """Codes (n, 4) -> (n, 1, 1, 64): background + height * exp(-((t - position) / width)^2 / 2)."""

    def forward(self, z):
        position, width, height, background = z[:, :, None].unbind(1)  # each (n, 1)
        t = torch.linspace(-1, 1, N_STEPS)
        return (background + height * torch.exp(-0.5 * ((t - position) / (0.03 + width.square())) ** 2))[:, None, None]


class Center(nn.Module):
    """Starts the codes at a broad peak in the middle, so that every row is felt."""

    def forward(self, z):
        return z * torch.tensor([1, 0.3, 1, 1]) + torch.tensor([0, 0.5, 1, 0])


def peak(input_shape, output_shape, n_code, n_latent):
    """Modules (n, 1, 1, 64) -> (n, 4), and (n, 4) -> (n, 1, 1, 64)."""
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(N_STEPS, 128), nn.SiLU(), nn.Linear(128, 64), nn.SiLU(), nn.Linear(64, n_code), Center()
    )
    return encoder, Peak()


random = np.random.RandomState(0)
X, _, _ = spectra(300, random)
X_test, clean, at = spectra(500, random)

# %%
# Beside it the default of as many codes, which has to learn from 300 rows what a peak is. The error is to the rows
# without noise.

shared = {"n_components": 4, "image_shape": (1, N_STEPS), "batch_size": 64, "random_state": 0}
models = {
    "default": AutoencoderTransformer(max_iter=100, **shared),
    "own": AutoencoderTransformer(architecture=peak, learning_rate=5e-3, max_iter=250, **shared),
}
for name, model in models.items():
    Z = model.fit(X).transform(X_test)
    error = ((model.inverse_transform(Z) - clean) ** 2).mean()
    closest = max(abs(np.corrcoef(code, at)[0, 1]) for code in Z.T)
    print(f"{name:8} squared error {error:.4f}; correlation of the position with a code {closest:.3f}")

# %%
# Two spectra, what the nets make of them, and the first code over the position of the peak.

figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for ax, row in zip(axes, (1, 3), strict=False):
    ax.plot(X_test[row], ".", color="0.6", label="spectrum")
    ax.plot(clean[row], "k", linewidth=1, label="without noise")
    for name, model in models.items():
        ax.plot(model.inverse_transform(model.transform(X_test[row : row + 1]))[0], label=name)
axes[0].legend(frameon=False)
axes[2].scatter(at, Z[:, 0], s=8, color="C1", linewidths=0)
axes[2].set(xlabel="position of the peak", ylabel="code 0 of the own net")
plt.show()
