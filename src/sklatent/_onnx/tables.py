"""The densities of tables, of this library and of scikit-learn, as torch modules: rows to nats, (n, d) -> (n,)."""

import math

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline
from torch import nn

from .._outliers.histogram import HistogramDensity
from .._outliers.marginals import FARTHEST, _Forest, _Marginals, _NormalScores, _Tails
from .._outliers.neighbors import CLOSEST, FAR, NEAR, NeighborsDensity
from .nets import Arrays, density, nearest


def n_below(values, x, *, equal=True):
    """How many of the values of each feature, (d, m), are less than x, or as much: (n, d) -> (n, d)."""
    x = x.unsqueeze(2)
    return ((values <= x) if equal else (values < x)).sum(2)


def taken(values, index):
    """One of the values of each feature, (d, m): (n, d) -> (n, d)."""
    n_features, m = values.shape
    return values.flatten()[index + m * torch.arange(n_features)]


def interpolated(x, knots, values):
    """``np.interp`` for each feature: (n, d) by (d, m) both."""
    left = (n_below(knots, x) - 1).clamp(0, max(0, knots.shape[1] - 2))
    right = (left + 1).clamp(0, knots.shape[1] - 1)
    low, high = taken(knots, left), taken(knots, right)
    share = ((x - low) / torch.where(high > low, high - low, 1)).clamp(0, 1)
    share, below = torch.where(x >= high, 1.0, share), taken(values, left)
    return below + share * (taken(values, right) - below)


class Histograms(Arrays):
    def __init__(self, estimator):
        super().__init__(
            low=estimator._low_, high=estimator._high_, width=estimator._width_, density=estimator._log_density_,
            empty=estimator._log_empty_,
        )  # fmt: skip

    def forward(self, x):
        x = x.double()
        inside = x.clamp(self.low, self.high)
        bins = ((inside - self.low) / self.width).clamp(0, self.density.shape[1] - 1).long()
        beyond = (x - inside).abs() / self.width
        return torch.where(beyond > 0, self.empty - beyond.log1p(), taken(self.density, bins)).sum(1)


class Neighbors(Arrays):
    def __init__(self, estimator):
        super().__init__(
            shift=estimator._shift_, scale=estimator._scale_, nodes=estimator._rows_, level=estimator._level()
        )  # fmt: skip
        self.n_neighbors = estimator._k_

    def forward(self, x):
        u = (x.double() - self.shift) / self.scale
        size, gap = u.abs(), FAR - NEAR
        u = u.sign() * torch.where(size > NEAR, FAR - gap**2 / (size - NEAR + gap).clamp(min=gap), size)
        squares, _ = nearest(u, self.nodes, self.n_neighbors)
        return self.level - u.shape[1] / 2 * (squares + u.shape[1] * CLOSEST**2).log().mean(1)


class Marginals(Arrays):
    def __init__(self, estimator):
        values, log_density, nothing = zip(*estimator.columns_, strict=True)
        super().__init__(
            values=padded(values, np.inf), density=padded(log_density, 0.0), nothing=nothing,
            last=[each[-1] for each in values], n_cells=[len(each) for each in log_density],
            levels=[len(each) == len(cells) for each, cells in zip(values, log_density, strict=True)],
        )  # fmt: skip

    def forward(self, x):
        x = x.double()
        index = torch.minimum(n_below(self.values, x) - 1, self.n_cells - 1).clamp(0, self.density.shape[1] - 1)
        inside = (x >= self.values[:, 0]) & (x <= self.last)
        known = (self.levels & (taken(self.values, index) == x)) | (~self.levels & inside)
        return torch.where(known, taken(self.density, index), self.nothing).sum(1)


def padded(rows, filling):
    """Rows of several lengths, as one array."""
    longest = max(map(len, rows))
    return np.array([np.append(row, np.full(longest - len(row), filling)) for row in rows])


class Tails(Arrays):
    def __init__(self, estimator):
        super().__init__(rows=estimator.sorted_.T)

    def forward(self, x):
        x, n = x.double(), self.rows.shape[1]
        below, under = n_below(self.rows, x), n_below(self.rows, x, equal=False)
        return ((1 + torch.minimum(below, n - under)).double() / (n + 1)).log().sum(1)


class Forest(Arrays):
    def __init__(self, estimator):
        span = estimator.high_ / 2 - estimator.low_ / 2
        super().__init__(
            low=estimator.low_, span=np.where(span > 0, span, 1.0), feature=estimator.feature_.astype(np.int64),
            cut=estimator.cut_, depth=estimator.depth_,
        )  # fmt: skip
        self.n_levels = estimator.n_levels_

    def forward(self, x):
        u = ((x.double() / 2 - self.low / 2) / self.span).clamp(-1, 2).float()
        n_inner, n_nodes = self.cut.shape[1], self.depth.shape[1]
        trees = torch.arange(len(self.cut))
        node = torch.zeros_like(u[:, :1], dtype=torch.int64) + 0 * trees  # (n, trees)
        for _ in range(self.n_levels):
            at = trees * n_inner + node
            node = 2 * node + 1 + (u.gather(1, self.feature.flatten()[at]) > self.cut.flatten()[at]).long()
        return self.depth.flatten()[trees * n_nodes + node].sum(1)


class NormalScores(Arrays):
    """Rows to rows."""

    def __init__(self, estimator):
        quantiles = estimator.quantiles_.T
        levels = np.broadcast_to(np.linspace(0, 1, quantiles.shape[1]), quantiles.shape)
        super().__init__(quantiles=quantiles, levels=levels, falling=-quantiles[:, ::-1])
        self.normal = NormalQuantile()

    def forward(self, x):
        x = x.double() / 2
        rising = interpolated(x, self.quantiles, self.levels)
        falling = 1 - interpolated(-x, self.falling, self.levels)
        return self.normal((rising + falling) / 2).clamp(-FARTHEST, FARTHEST)


class NormalQuantile(Arrays):
    """``ndtri``, which ONNX has none of, for p from 2e-11 to 1 - 2e-11.

    M. J. Wichura, "Algorithm AS 241: The percentage points of the normal distribution", 1988: ratios of polynomials,
    of 0.425^2 - (p - 1/2)^2 in the middle, and of the root of -log p, less 1.6, in the tails.
    """

    MIDDLE = [
        [3.3871328727963666, 133.14166789178438, 1971.5909503065514, 13731.693765509461, 45921.95393154987,
         67265.7709270087, 33430.57558358813, 2509.0809287301227],
        [1.0, 42.31333070160091, 687.1870074920579, 5394.1960214247511, 21213.794301586597, 39307.89580009271,
         28729.085735721943, 5226.495278852854],
    ]  # fmt: skip
    TAIL = [
        [1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684,
         0.2417807251774506, 0.022723844989269184, 7.745450142783414e-4],
        [1.0, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
         5.475938084995345e-4, 1.0507500716444169e-9],
    ]  # fmt: skip

    def __init__(self):
        super().__init__(
            middle=np.transpose(self.MIDDLE), tail=np.transpose(self.TAIL), powers=np.arange(8.0), square=0.425**2,
            start=1.6,
        )  # fmt: skip

    def forward(self, p):
        q, rest = p - 0.5, torch.minimum(p, 1 - p).clamp(min=1e-11)
        middle = q * self._ratio(self.square - q * q, self.middle)
        tail = q.sign() * self._ratio((-rest.log()).sqrt() - self.start, self.tail)
        return torch.where(q.abs() <= 0.425, middle, tail)

    def _ratio(self, r, coefficients):
        above, below = (r.unsqueeze(-1).pow(self.powers) @ coefficients).unbind(-1)
        return above / below


class Normals(Arrays):
    """A mixture of normals, by what whitens the rows for each."""

    def __init__(self, log_weights, means, roots):  # (K,), (K, d), (K, d, d): inverse of covariance = root root'
        log_det = np.linalg.slogdet(roots)[1]
        constants = log_weights + log_det - 0.5 * means.shape[1] * math.log(2 * math.pi)
        super().__init__(constants=constants, means=means, roots=roots)

    @classmethod
    def of_mixture(cls, mixture):
        (n, d), roots = mixture.means_.shape, mixture.precisions_cholesky_
        if mixture.covariance_type == "tied":
            roots = np.broadcast_to(roots, (n, d, d))
        elif mixture.covariance_type != "full":  # (K, d) of "diag", (K,) of "spherical"
            roots = roots.reshape(n, -1, 1) * np.eye(d)
        return cls(np.log(mixture.weights_), mixture.means_, roots)

    @classmethod
    def of_pca(cls, pca):
        values, vectors = np.linalg.eigh(pca.get_precision())
        return cls(np.zeros(1), pca.mean_[np.newaxis], (vectors * np.sqrt(values))[np.newaxis])

    def forward(self, x):
        away = x.double().unsqueeze(1) - self.means  # (n, K, d)
        squares = (away.transpose(0, 1) @ self.roots).square().sum(2)  # (K, n)
        return (self.constants.unsqueeze(1) - 0.5 * squares).logsumexp(0)


class Kernels(Arrays):
    def __init__(self, estimator):
        if (estimator.kernel, estimator.metric) != ("gaussian", "euclidean"):
            raise TypeError(
                f"KernelDensity with kernel={estimator.kernel!r} and metric={estimator.metric!r} has no ONNX: only the "
                "gaussian kernel of euclidean distances has."
            )
        rows, weights = (np.asarray(part) for part in (estimator.tree_.data, estimator.tree_.sample_weight or 1.0))
        width, d = estimator.bandwidth_, rows.shape[1]
        log_weights = np.log(np.broadcast_to(weights / (weights.sum() if weights.ndim else len(rows)), len(rows)))
        log_weights = log_weights - d * math.log(width * math.sqrt(2 * math.pi))
        super().__init__(rows=rows / width, log_weights=log_weights, width=width)

    def forward(self, x):
        u = x.double() / self.width
        squares = u.square().sum(1, keepdim=True) - 2 * u @ self.rows.T + self.rows.square().sum(1)
        return (self.log_weights - 0.5 * squares).logsumexp(1)


def _of_pipeline(pipeline):
    *steps, (_, last) = pipeline.steps
    if any(not isinstance(step, _NormalScores) for _, step in steps):
        return None
    return nn.Sequential(*(NormalScores(step) for _, step in steps), density(last))


for kind, module in {
    HistogramDensity: Histograms, NeighborsDensity: Neighbors, _Marginals: Marginals, _Tails: Tails, _Forest: Forest,
    GaussianMixture: Normals.of_mixture, PCA: Normals.of_pca, KernelDensity: Kernels, Pipeline: _of_pipeline,
}.items():  # fmt: skip
    density.register(kind, module)
