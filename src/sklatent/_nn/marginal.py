"""A density of real values that tells of rows with holes: Gaussians propose what is missing."""

import math

import torch

from .autoregressive import AutoregressiveModel
from .layers import exact_sum, logaddexp, widest

CHUNK = 2**18  # numbers of the rows that are proposed at once
N_DRAWS = 50
NEVER = 50.0  # nats less for a draw that is no level


class MarginalModel(AutoregressiveModel):
    r"""An ``AutoregressiveModel`` over real values, and what it says of the observed part of a row.

    With q the mixture of Gaussians that it starts at, by importance sampling,

    .. math:: \log p(x_o) = \log q(x_o) + \log E_{q(x_m | x_o)} \frac{p(x_o, x_m)}{q(x_o, x_m)},

    exact where p is q. Where nothing is observed after what is missing, in the order of the core, the sum of the
    terms that are left is exact, and is taken.

    Parameters
    ----------
    holes : Gaussians
        q, of scaled rows.
    seed : int
        Of the draws, which all rows share.
    """

    def __init__(self, levels, core, likelihood, holes, seed):
        super().__init__(levels, core, likelihood)
        self.holes, self.seed = holes, seed

    def filled(self, x, seen, noise=None):
        return self.holes.fill(x, seen, self.levels, noise)

    def forward(self, x, seen=None):
        """Of what is seen, given all before it: what is missing was drawn."""
        maps = self.log_prob_map(x)
        return -(maps if seen is None else maps.where(seen, 0)).sum(1)

    def log_prob_map(self, x, seen=None):  # (n, d) raw -> (n, d)
        """What each feature adds to the log-density of its row, in nats.

        Of rows with holes, filled with anything: of each feature that is ``seen`` (n, d) the mean over the draws by
        their weights; what that leaves of log p is spread over them evenly.
        """
        if seen is None:
            return super().log_prob_map(x)
        u, _ = self.levels(x)
        total, maps = torch.tensor(-torch.inf, device=u.device), 0.0
        noise = self.holes.noise(N_DRAWS, 1, torch.Generator().manual_seed(self.seed))
        for draws in noise.split(max(1, CHUNK // u.numel())):
            _, terms, log_weight = self._proposed(u, seen, draws)
            before, total = total, logaddexp(total, log_weight.logsumexp(0))
            weight = (log_weight - total).exp().unsqueeze(2)
            maps = maps * (before - total).exp().unsqueeze(-1) + (weight * terms).sum(0)
        log_p = self.holes.log_prob(u, seen) + total - math.log(N_DRAWS)
        left = (log_p - maps.where(seen, 0).sum(1)) / seen.sum(1).clamp(min=1)
        late = self._late(seen).unsqueeze(1)
        maps = torch.where(late, maps + left.unsqueeze(1), terms[-1]) - self.levels.log_width()
        return maps.where(seen, 0)

    def held_out_loss(self, x, seen=None):
        return -self.log_prob(x, seen)

    def _proposed(self, u, seen, noise):
        """Draws of whole rows (s, n, d), their log-densities by feature, and log p / q of each, (s, n); scaled."""
        drawn = self.holes.draw(u, seen, noise)
        rows, off = self.levels.nearest(drawn.flatten(0, 1))
        terms = self.likelihood.log_prob(self.core(rows), rows, torch.zeros_like(rows), self.levels.limits())
        terms = terms.to(widest(u.device))
        log_q = self.holes.log_prob(drawn.flatten(0, 1), torch.ones_like(rows, dtype=torch.bool))
        parts = [each.unflatten(0, drawn.shape[:2]) for each in (rows, terms, exact_sum(terms) - log_q, off > 0.5)]
        spread = self.levels.log_spread() + NEVER * parts[3]  # of a level over the draws that are taken for it
        return *parts[:2], parts[2] - exact_sum(spread.where(~seen, 0))

    def _resample(self, u, given, n_proposals, generator):
        drawn, _, log_weight = self._proposed(u, given, self.holes.noise(n_proposals, len(u), generator))
        weight = log_weight.softmax(0).T  # (n, s)
        kept = torch.multinomial(weight, 1, generator=generator).squeeze(1)
        return drawn[kept, torch.arange(len(u), device=u.device)].to(u.dtype), 1 / weight.square().sum(1)
