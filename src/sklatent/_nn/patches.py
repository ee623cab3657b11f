"""Features of small colour images: how much each of many typical patches is there, in each part of the image.

References: A. Coates, H. Lee, A. Y. Ng, "An analysis of single-layer networks in unsupervised feature learning", 2011.
"""

import torch
from torch import nn
from torch.nn import functional as F

SIDE = 6  # of a patch, in pixels
PATCHES = 256  # typical ones
ROWS_TO_LEARN = 40_000  # patches, of which the typical ones are found
ROUNDS = 10  # of k-means
START = 0.1  # deviation of its first means
CONTRAST = 0.003  # added to a patch's variance, in units of the pixels' own: flat patches are not blown up
FLOOR = 0.1  # added to the variances that whitening makes one


class PooledPatches(nn.Module):
    r"""(n, c, h, w) -> (n, n_features): nearness to typical patches, averaged in each cell of a grid.

    Patches are brought to mean zero and variance one and whitened; :math:`\max(0, \bar d - d_k)` says how near one is
    to the typical patch k, of those at distances d. An image counts as much as its mirror image: both are averaged.
    ``learn`` finds the whitening and the typical patches, by k-means. Nothing is trained.

    Parameters
    ----------
    input_shape : tuple of int
        (channels, height, width)
    n_windows : int
        Cells of the grid, each way.
    generator : torch.Generator or None
        Of the draws; None is torch's global one.
    """

    def __init__(self, input_shape, n_windows=3, generator=None):
        super().__init__()
        channels, height, width = input_shape
        self.n_windows, self.generator = n_windows, generator
        self.side = min(SIDE, height, width)
        self.stride = max(1, round(max(height, width) / 16))
        size = channels * self.side**2
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("whitening", torch.eye(size))
        self.register_buffer("typical", torch.zeros(PATCHES, size))
        self.n_features = PATCHES * n_windows**2

    def learn(self, x):  # (n, c, h, w)
        each = max(1, ROWS_TO_LEARN // len(x))
        found = []
        for chunk in x.split(100):
            patches = self._patches(chunk)
            order = torch.rand(patches.shape[:2], generator=self.generator).argsort(1)[:, :each]
            found.append(patches.gather(1, order.unsqueeze(2).expand(-1, -1, patches.shape[2])).flatten(0, 1))
        patches = torch.cat(found)
        self.mean.copy_(patches.mean(0))
        values, vectors = torch.linalg.eigh(torch.cov(patches.T))
        self.whitening.copy_((vectors / (values.clamp_min(0) + FLOOR).sqrt()) @ vectors.T)
        self.typical.copy_(self._means((patches - self.mean) @ self.whitening))

    def forward(self, x):
        return (self._pooled(x) + self._pooled(x.flip(3))) / 2

    def _patches(self, x):  # (n, c, h, w) -> (n, places, c side^2)
        patches = F.unfold(x, self.side, stride=self.stride).transpose(1, 2)
        patches = patches - patches.mean(2, keepdim=True)
        return patches / (patches.square().mean(2, keepdim=True) + CONTRAST).sqrt()

    def _pooled(self, x):
        distances = torch.cdist((self._patches(x) - self.mean) @ self.whitening, self.typical)
        near = (distances.mean(2, keepdim=True) - distances).clamp_min(0).transpose(1, 2)
        places = [(side - self.side) // self.stride + 1 for side in x.shape[2:]]
        return F.adaptive_avg_pool2d(near.unflatten(2, places), self.n_windows).flatten(1)

    def _means(self, patches):
        """Lloyd's k-means from near the origin: from patches drawn, many means would end at a single odd one."""
        means = START * torch.randn(PATCHES, patches.shape[1], generator=self.generator).to(patches)
        for _ in range(ROUNDS):
            nearest = (means.square().sum(1) - 2 * patches @ means.T).argmin(1)
            counts = nearest.bincount(minlength=PATCHES).unsqueeze(1)
            means = torch.zeros_like(means).index_add_(0, nearest, patches) / counts.clamp_min(1)
        return means
