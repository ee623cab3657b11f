"""A mixture of Gaussians for rows of which any part may be missing: what is there says what is not.

Each component is N(mean, W W' + diag v), W of few columns. Then what a row says of the code z of a component,
z | x ~ N(L^-1 W' V^-1 (x - mean), L^-1) with L = I + W' V^-1 W, holds with the sums over the observed features alone,
and costs one Cholesky factor of L, however many features there are.

References: Z. Ghahramani, M. I. Jordan, "Supervised learning from incomplete data via an EM approach", 1994;
Z. Ghahramani, G. E. Hinton, "The EM algorithm for mixtures of factor analyzers", 1996.
"""

import math
from typing import NamedTuple

import torch
from torch import nn

from .likelihoods import LOG_2PI

LEAST_GAIN = 4e-3  # of a step of EM, in nats for each feature of a row


class Told(NamedTuple):
    """What rows tell of a Gaussian: log N(x_observed), (n,), the mean of z, (n, q), and the root of L, (n, q, q)."""

    log_p: torch.Tensor
    code: torch.Tensor
    root: torch.Tensor


def told(u, seen, mean, W, variance):
    """What is observed of rows u (n, d) tells of N(mean, W W' + diag variance): (d,), (d, q), (d,)."""
    u, seen = torch.where(seen, u, 0).to(W.dtype), seen.to(W.dtype)
    squares = (W.unsqueeze(2) * W.unsqueeze(1)).flatten(1)  # (d, q * q)
    precision = ((seen / variance) @ squares).unflatten(1, (W.shape[1], W.shape[1]))
    root = torch.linalg.cholesky(precision + torch.eye(W.shape[1], dtype=W.dtype, device=W.device))
    rest = seen * (u - mean)
    half = torch.linalg.solve_triangular(root, ((rest / variance) @ W).unsqueeze(2), upper=False)
    code = torch.linalg.solve_triangular(root.mT, half, upper=True).squeeze(2)
    distance = (rest.square() / variance).sum(1) - half.square().sum((1, 2))
    log_det = seen @ variance.log() + 2 * root.diagonal(dim1=1, dim2=2).log().sum(1)
    return Told(-0.5 * (distance + log_det + LOG_2PI * seen.sum(1)), code, root)


def turned(root, noise):  # (n, q, q), (draws, n or 1, q) -> (draws, n, q)
    """Noise of variance one made that of the code, whose covariance is the inverse of L."""
    noise = noise.expand(-1, len(root), -1).permute(1, 2, 0)  # one system for each row
    return torch.linalg.solve_triangular(root.mT, noise, upper=True).permute(2, 0, 1)


class Gaussians(nn.Module):
    """Buffers of a mixture of K Gaussians of d features, float64; ``rank`` columns of W, d - 1 at most.

    ``seen`` (n, d), bool, says what is observed of rows ``u`` (n, d), which may hold anything elsewhere.
    """

    def __init__(self, n_features, n_components, rank):
        super().__init__()
        zeros = torch.zeros(n_components, n_features, dtype=torch.float64)
        self.register_buffer("log_weight", zeros[:, 0].clone())
        self.register_buffer("mean", zeros)
        self.register_buffer("factor", torch.zeros(n_components, n_features, rank, dtype=torch.float64))
        self.register_buffer("variance", torch.ones_like(zeros))

    @property
    def dtype(self):
        return self.mean.dtype

    def log_prob(self, u, seen):  # -> (n,) nats
        """Log-density of what is observed of each row; 0 where nothing is."""
        return self._told(u, seen)[1].logsumexp(0)

    def expected(self, u, seen):  # -> (n, d)
        """The rows, what is missing replaced by its mean given the rest."""
        each, log_p = self._told(u, seen)
        means = torch.stack([self.at(k, one.code) for k, one in enumerate(each)])
        return torch.where(seen, u.to(self.dtype), (log_p.softmax(0).unsqueeze(2) * means).sum(0))

    def noise(self, n_draws, n_rows, generator=None):
        """What ``draw`` takes; of 1 row, it is the same for all."""
        size = (n_draws, n_rows, 1 + self.factor.shape[2] + self.factor.shape[1])
        device = self.mean.device if generator is None else generator.device
        return torch.randn(size, generator=generator, dtype=self.dtype, device=device).to(self.mean.device)

    def draw(self, u, seen, noise):  # -> (draws, n, d)
        """The rows, what is missing replaced by draws given the rest: a component, its code, its own noise."""
        (each, log_p), rank = self._told(u, seen), self.factor.shape[2]
        upto = log_p.softmax(0).cumsum(0)  # (K, n)
        chosen = (torch.special.ndtr(noise[..., 0]).unsqueeze(1) > upto[:-1]).sum(1)  # (draws, n)
        drawn = torch.zeros((), dtype=self.dtype, device=self.mean.device)
        for k, one in enumerate(each):
            code = one.code + turned(one.root, noise[..., 1 : 1 + rank])
            x = self.at(k, code) + self.variance[k].sqrt() * noise[..., 1 + rank :]
            drawn = torch.where((chosen == k).unsqueeze(2), x, drawn)
        return torch.where(seen, u.to(self.dtype), drawn)

    def fill(self, x, seen, scaling, noise=None):  # (n, d) raw -> (n, d) raw, or (draws, n, d) by noise
        """``expected`` or ``draw`` in the units of x, which stays as it is where it is seen."""
        u = scaling.scaled(torch.where(seen, x, 0))
        if noise is None:
            filled = scaling.inverse(scaling.near(self.expected(u, seen)))
        else:
            filled = scaling.drawn(self.draw(u, seen, noise))
        return torch.where(seen, x, filled.to(x.dtype))

    def at(self, k, code):  # (..., q) -> (..., d)
        """The mean of rows of a component that have this code."""
        return self.mean[k] + code @ self.factor[k].T

    def _told(self, u, seen):
        """Of each component, what the rows tell, and its share of each row's density: K times, (K, n) nats."""
        each = [told(u, seen, *parts) for parts in zip(self.mean, self.factor, self.variance, strict=True)]
        return each, self.log_weight.unsqueeze(1) + torch.stack([one.log_p for one in each])

    # -- learning ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def set(self, weights, means, covariances, floor):  # (K,), (K, d), (K, d, d)
        """Of each covariance the ``rank`` widest directions, and what is left of each feature, ``floor`` at least."""
        values, vectors = torch.linalg.eigh(covariances)
        rank = self.factor.shape[2]
        rest = values[:, : values.shape[1] - rank].mean(1, keepdim=True).clamp(min=floor)
        lengths = (values[:, values.shape[1] - rank :] - rest).clamp(min=0).sqrt()
        self.factor.copy_(vectors[:, :, values.shape[1] - rank :] * lengths.unsqueeze(1))
        left = covariances.diagonal(dim1=1, dim2=2) - self.factor.square().sum(2)
        self.variance.copy_(left.clamp(min=floor))
        self.log_weight.copy_((weights / weights.sum()).log())
        self.mean.copy_(means)
        return self

    @torch.no_grad()
    def em(self, u, seen, floor, n_steps):
        """Expectation-maximisation from what is set, until a step gains next to nothing.

        ``floor`` is added to the variances. Each covariance of several leans on the mean of all as if that came from d
        more rows.
        """
        n, d = u.shape
        reached = -math.inf
        for _ in range(n_steps):
            each, log_joint = self._told(u, seen)
            shares, log_p = log_joint.softmax(0), log_joint.logsumexp(0).mean().item()
            found = [self._moments(k, one, shares[k], u, seen) for k, one in enumerate(each)]
            means, scatters = (torch.stack(parts) for parts in zip(*found, strict=True))
            weights = shares.sum(1) + 1e-9
            lean = d if len(each) > 1 else 0
            covariances = (scatters + lean * scatters.sum(0) / n) / (weights + lean)[:, None, None]
            self.set(weights, means, covariances + floor * torch.eye(d, dtype=u.dtype), floor)
            if log_p - reached < LEAST_GAIN * d:
                break
            reached = log_p
        return self

    def _moments(self, k, one, share, u, seen):
        """The mean and the scatter about it, (d,) and (d, d), of rows of which one component has a share."""
        expected = torch.where(seen, u, self.at(k, one.code))
        mean = share @ expected / (share.sum() + 1e-9)
        away, missing = share.sqrt().unsqueeze(1) * (expected - mean), share.sqrt().unsqueeze(1) * ~seen
        some = share > 1e-9
        W = self.factor[k].T.expand(int(some.sum()), -1, -1)
        spread = torch.linalg.solve_triangular(one.root[some], W, upper=False) * missing[some].unsqueeze(1)
        own = torch.diag(missing.square().sum(0) * self.variance[k])
        return mean, away.T @ away + spread.flatten(0, 1).T @ spread.flatten(0, 1) + own
