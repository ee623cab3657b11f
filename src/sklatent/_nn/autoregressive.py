"""Densities by the chain rule: log p(x) = sum_i log p(x_i | what comes before i), in the order of a core.

A core (PixelCNN, ...) maps the levels of a row to the parameters of each feature's conditional, a likelihood
says what the parameters mean, and ``Levels`` which values a level stands for. ``AutoregressiveModel`` joins them.

A core is an ``nn.Module`` with

- ``forward(levels) -> params``: (n, d) int64 -> (n, d, P), where the parameters of a feature depend on the
  features before it in the order, and on nothing else;
- ``order``: the d feature indices, in the order in which they are drawn;
- ``steps(n)``: a generator that yields the (n, P) parameters of the first feature in the order, is sent the
  (n,) int64 levels chosen for it, yields the parameters of the second, and so on. It keeps what it computed
  in local variables: a step costs one column of activations, not a forward pass. It knows no dropout;
- ``n_layers`` and ``features(levels, layer) -> (n, F)``, layer from 0 to n_layers - 1: what a hidden layer makes of
  a whole row.

``likelihoods`` holds the likelihoods. With ``Reals`` in the place of ``Levels`` and a likelihood of real values, what
is called levels here are the scaled values themselves.
"""

import torch
from torch import nn

from .layers import exact_sum


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

    def log_prob_map(self, x, seen=None):  # (n, d) raw -> (n, d)
        """What each feature adds to the log-density of its row, in nats.

        Of rows with holes, filled with anything, what is ``seen`` (n, d) counts, given what is seen before it as far as
        the core has learned to do without the rest.
        """
        levels, beyond = self.levels(x)
        params = self.core(levels) if seen is None else self.core(levels, seen=seen)
        log_p = self.likelihood.log_prob(params, levels, beyond, self.levels.limits()) - self.levels.log_width()
        return log_p if seen is None else log_p.where(seen, 0)

    def filled(self, x, seen):  # (n, d) raw -> (n, d)
        """Rows with a legal value where nothing is seen."""
        return torch.where(seen, x, self.levels.centre(torch.zeros_like(x)).to(x.dtype))

    def log_prob(self, x, seen=None):  # (n, d) raw -> (n,)
        return exact_sum(self.log_prob_map(x, seen))

    def forward(self, x, seen=None):
        """The loss of each row: its negative log-density in nats."""
        return -self.log_prob_map(x, seen).sum(1)

    def features(self, x, layer, seen=None):  # (n, d) raw -> (n, F)
        """The hidden activations of one of the core's layers, pooled: what a linear probe of a density sees.

        Parameters
        ----------
        x : (n, d) tensor
        layer : int
            From 0 to ``core.n_layers - 1``, or from ``-core.n_layers`` to -1.

        References
        ----------
        M. Chen, A. Radford, R. Child, J. Wu, H. Jun, D. Luan, I. Sutskever, "Generative Pretraining from Pixels",
        2020.
        """
        levels, _ = self.levels(x)
        options = {} if seen is None else {"seen": seen}
        return self.core.features(levels, range(self.core.n_layers)[layer], **options)

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
        steps, chosen, limits = self.core.steps(len(levels)), None, self.levels.limits()
        for feature in self.core.order:
            params = steps.send(chosen)
            limit = None if limits is None else limits[..., feature]
            chosen = self.likelihood.draw(params, generator, limit)
            if any_given[feature]:
                known = given[:, feature]
                chosen = torch.where(known, levels[:, feature], chosen)
                log_p = self.likelihood.log_prob(params, chosen, torch.zeros_like(log_weight), limit)
                log_weight += log_p.where(known, 0)
            levels[:, feature] = chosen
        return levels, log_weight

    @torch.no_grad()
    def complete(self, x, given, n_proposals, generator=None):  # (n, d) raw, (n, d) bool -> (n, d) raw, (n,)
        """Draw what is not given, from its distribution given the rest.

        Where a given feature comes after a drawn one, by sampling-importance-resampling among ``n_proposals``. The
        second result is how many of them had a say, 1 / sum of squared weights; infinite where none were needed.
        """
        levels, _ = self.levels(x)
        late = self._late(given)
        effective = self.levels.log_width().new_full((len(x),), torch.inf)
        if not late.all():
            levels[~late], _ = self.fill(levels[~late], given[~late], generator)
        for rows in late.nonzero().squeeze(1).split(max(1, 2**20 // (x.shape[1] * n_proposals))):
            levels[rows], effective[rows] = self._resample(levels[rows], given[rows], n_proposals, generator)
        return self.levels.values(levels, generator), effective

    def _late(self, given):  # (n, d) -> (n,)
        """Whether a given feature comes after one that is to be drawn."""
        in_order = given[:, self.core.order]
        return (in_order & ~in_order.cummin(1).values).any(1)

    def _resample(self, levels, given, n_proposals, generator):
        many = (rows.repeat_interleave(n_proposals, 0) for rows in (levels, given))
        drawn, log_weight = self.fill(*many, generator)
        weight = log_weight.unflatten(0, (-1, n_proposals)).softmax(1)
        kept = torch.multinomial(weight, 1, generator=generator).squeeze(1)
        rows = torch.arange(len(kept), device=kept.device)
        return drawn.unflatten(0, (-1, n_proposals))[rows, kept], 1 / weight.square().sum(1)

    def sample(self, n, generator=None):  # -> (n, d) raw
        nothing, _ = self.levels(self.levels.log_width().new_zeros(n, len(self.core.order)))
        levels, _ = self.fill(nothing, torch.zeros_like(nothing, dtype=torch.bool), generator)
        return self.levels.values(levels, generator)
