"""Densities by the chain rule: log p(x) = sum_i log p(x_i | what comes before i), in the order of a core.

A core (PixelCNN, ...) maps the levels of a row to the parameters of each feature's conditional, a likelihood
says what the parameters mean, and ``Levels`` which values a level stands for. ``AutoregressiveModel`` joins them.

A core is an ``nn.Module`` with

- ``forward(levels) -> params``: (n, d) int64 -> (n, d, P), where the parameters of a feature depend on the
  features before it in the order, and on nothing else;
- ``order``: the d feature indices, in the order in which they are drawn;
- ``steps(n)``: a generator that yields the (n, P) parameters of the first feature in the order, is sent the
  (n,) int64 levels chosen for it, yields the parameters of the second, and so on. It keeps what it computed
  in local variables: a step costs one column of activations, not a forward pass. It knows no dropout.

``likelihoods`` holds the likelihoods. With ``Reals`` in the place of ``Levels`` and a likelihood of real values, what
is called levels here are the scaled values themselves.
"""

import torch
from torch import nn

from .likelihoods import Categorical as Categorical


class AutoregressiveModel(nn.Module):
    """log p(x) = sum_i log p(level_i | levels before i) - log width_i, in nats.

    Parameters
    ----------
    levels : Levels
        Bins raw values; its bin widths make the probability of a level the density of a value.
    core : nn.Module
        The network, see the module's docstring.
    likelihood : object
        What the core's output means, such as ``Categorical``.
    """

    def __init__(self, levels, core, likelihood):
        super().__init__()
        self.levels, self.core, self.likelihood = levels, core, likelihood

    def log_prob_map(self, x):  # (n, d) raw -> (n, d)
        """What each feature adds to the log-density of its row, in nats."""
        levels, beyond = self.levels(x)
        return self.likelihood.log_prob(self.core(levels), levels, beyond) - self.levels.log_width()

    def log_prob(self, x):  # (n, d) raw -> (n,)
        return self.log_prob_map(x).sum(1)

    def forward(self, x):
        """The loss of each row: its negative log-density in nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def fill(self, levels, given, generator=None):
        """Draw the features that are not given, each from its conditional, in the order of the core.

        Given features enter what comes after them but not what comes before, hence the weight: the rows are
        draws from p(drawn | given) once they are resampled in proportion to exp(log_weight).

        Parameters
        ----------
        levels : (n, d) int64 tensor
            Read where ``given``.
        given : (n, d) bool tensor
        generator : torch.Generator on the levels' device, optional

        Returns
        -------
        levels : (n, d) int64 tensor
        log_weight : (n,) tensor
            Sum over the given features of log p(given | what comes before), in nats.
        """
        levels, log_weight = levels.clone(), self.levels.log_width().new_zeros(len(levels))
        any_given = given.any(0).tolist()
        steps, chosen = self.core.steps(len(levels)), None
        for feature in self.core.order:
            params = steps.send(chosen)
            chosen = self.likelihood.draw(params, generator)
            if any_given[feature]:
                known = given[:, feature]
                chosen = torch.where(known, levels[:, feature], chosen)
                log_p = self.likelihood.log_prob(params, chosen, torch.zeros_like(log_weight))
                log_weight += log_p.where(known, 0)
            levels[:, feature] = chosen
        return levels, log_weight

    def sample(self, n, generator=None):  # -> (n, d) raw
        nothing, _ = self.levels(self.levels.log_width().new_zeros(n, len(self.core.order)))
        levels, _ = self.fill(nothing, torch.zeros_like(nothing, dtype=torch.bool), generator)
        return self.levels.values(levels, generator)
