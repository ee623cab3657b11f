"""What the opinions on the classes of rows see of them, beside the codes.

Where time is the message, the values of a series at each step tell its class; where it is not, how often patterns
occur does. Few labels cannot say which of these a net should learn, but they can weigh opinions that are there.
"""

import numpy as np
import torch
from scipy.special import ndtri
from sklearn.decomposition import PCA

from .._bridge.state import Estimator
from .._bridge.weights import moments
from .._nn.kernels import PooledKernels
from .._nn.patches import PooledPatches
from .._nn.series import is_series

N_QUANTILES = 500  # of a feature
FARTHEST = 3.0  # normal scores
COMPONENTS = 128  # of features, at most
ROWS_AT_ONCE = 64  # of which the features of kernels are made


class _NormalScores(Estimator):
    """Each value's rank among quantiles of its feature, as a normal quantile; where these are equal, the middle rank.

    Values to their ranks: B. L. van der Waerden, "Order tests for the two-sample problem and their power", 1952.
    """

    def fit(self, X):
        self.quantiles_ = np.quantile(X, np.linspace(0, 1, N_QUANTILES), axis=0)
        return self

    def transform(self, X):
        levels, ranks = np.linspace(0, 1, len(self.quantiles_)), np.empty(X.shape)
        for j, (x, q) in enumerate(zip(np.asarray(X, dtype=np.float64).T, self.quantiles_.T, strict=True)):
            ranks[:, j] = (np.interp(x, q, levels) + 1 - np.interp(-x, -q[::-1], levels)) / 2
        return np.clip(ndtri(ranks), -FARTHEST, FARTHEST)


class _Features(Estimator):
    """The first principal components of standardised features of the rows, on one scale.

    Parameters
    ----------
    image_shape : tuple of int or None
        None: the features are the values. (channels, 1, steps): shares of the places at which kernels fit. Else:
        nearness to typical patches.
    n_windows : int
        In how many windows of a series such shares are also given: with one, they do not say when. Cells of the grid
        over an image, each way.
    random_state : int
    """

    def __init__(self, image_shape=None, n_windows=1, random_state=0):
        self.image_shape = image_shape
        self.n_windows = n_windows
        self.random_state = random_state

    def fit(self, X):
        self.fit_transform(X)
        return self

    def fit_transform(self, X):
        if self.image_shape is not None:
            self._learn_kernels(X)
        F = self._features(X)
        mean, variance = moments(F)
        scale = np.where(variance > 0, np.sqrt(variance), 1.0)
        pca = PCA(min(COMPONENTS, *F.shape), random_state=self.random_state).fit((F - mean) / scale)
        size = np.sqrt(pca.explained_variance_.mean()) or 1.0
        self.weight_ = (pca.components_ / scale / size).T
        self.offset_ = mean @ self.weight_ + pca.mean_ @ pca.components_.T / size
        return F @ self.weight_ - self.offset_

    def transform(self, X):
        return self._features(X) @ self.weight_ - self.offset_

    def _learn_kernels(self, X):
        rows = torch.from_numpy(np.asarray(X, dtype=np.float64)).unflatten(1, self.image_shape)
        of_channel = (0, 2, 3)
        center, deviation = rows.mean(of_channel, keepdim=True), rows.std(of_channel, correction=0, keepdim=True)
        deviation[deviation == 0] = 1.0
        kernels = self._kernels()
        kernels.learn(((rows - center) / deviation).float())
        self.kernels_ = {name: value.numpy() for name, value in kernels.state_dict().items()}
        self.center_, self.deviation_ = center.numpy(), deviation.numpy()

    def _kernels(self):
        generator = torch.Generator().manual_seed(self.random_state)
        made = PooledKernels if is_series(self.image_shape) else PooledPatches
        return made(self.image_shape, self.n_windows, generator)

    def _features(self, X):
        if self.image_shape is None:
            return np.asarray(X, dtype=np.float64)
        kernels = self._kernels()
        kernels.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in self.kernels_.items()})
        rows = (X.reshape(-1, *self.image_shape) - self.center_) / self.deviation_
        chunks = np.array_split(rows, -(-len(rows) // ROWS_AT_ONCE))
        return torch.cat([kernels(torch.from_numpy(chunk).float()) for chunk in chunks]).double().numpy()
