"""MADE: fully connected layers, masked so that each output sees only the features before it; and FVBN."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .autoregressive import AutoregressiveModel

FAR = 8.0  # in scaled units; the network sees real values clipped to this, so that it cannot follow an outlier
MAX_DIRECT = 2**25  # weights from inputs to outputs; where there were more the hidden layers do without them
LEAST = -6.0  # log-weight of a component beside the likeliest: with no bound, the net could not bring it back
N_KNOTS = 8  # of the code of a level; 32 of them, for 32 bins, scored 0 to 44 nats a row less on three held-out tables


class MaskedLinear(nn.Linear):
    """A linear layer in which a unit sees the units of its own degree or a lower one.

    The degree of a unit says how many features, the first ones in the order, it may depend on. The mask follows
    from the degrees and is applied in each pass: the weights stay as trained.

    Parameters
    ----------
    in_degrees, out_degrees : (n_masks, in_features), (n_masks, out_features) int tensors
    bias : bool
    """

    def __init__(self, in_degrees, out_degrees, bias=True):
        super().__init__(in_degrees.shape[1], out_degrees.shape[1], bias)
        self.register_buffer("in_degrees", in_degrees, persistent=False)
        self.register_buffer("out_degrees", out_degrees, persistent=False)

    def forward(self, x, which=0):  # (n, in) -> (n, out)
        mask = self.in_degrees[which] <= self.out_degrees[which].unsqueeze(1)
        return F.linear(x, self.weight * mask, self.bias)


class _ByDegree:
    """A masked layer while sampling: units sorted by degree, so that what one step needs lies side by side."""

    def __init__(self, layer, which, n_degrees):
        before, after = layer.in_degrees[which], layer.out_degrees[which]
        rows, columns = after.argsort(stable=True), before.argsort(stable=True)
        self.weight = layer.weight[rows][:, columns]
        self.bias = None if layer.bias is None else layer.bias[rows]
        degrees = torch.arange(n_degrees, device=before.device)
        self.n_in = torch.searchsorted(before[columns].long(), degrees, right=True).tolist()
        self.ends = [0, *torch.searchsorted(after[rows].long(), degrees, right=True).tolist()]

    def new(self, degree):
        return slice(self.ends[degree], self.ends[degree + 1])

    def __call__(self, degree, x):  # all inputs, of which only those known are read -> the units of that degree
        known, new = self.n_in[degree], self.new(degree)
        return F.linear(x[:, :known], self.weight[new, :known], None if self.bias is None else self.bias[new])


def columns_of_levels(n_levels):
    """How many inputs tell one value: see ``_level_table``; 1 for real values, n_levels=None."""
    return 1 if n_levels is None or n_levels <= 2 else min(n_levels, N_KNOTS) + 1


def _level_table(n_levels):
    """What the network sees of each level: 0 or 1 for two, else its place on [-1, 1] and a one-hot code.

    Of more than ``N_KNOTS`` levels the code is interpolated between knots: close levels look alike.
    """
    if n_levels <= 2:
        return torch.arange(n_levels).unsqueeze(1).float()
    n_knots = min(n_levels, N_KNOTS)
    place = torch.linspace(0, n_knots - 1, n_levels).unsqueeze(1)
    hats = (1 - (place - torch.arange(n_knots)).abs()).clamp(min=0)
    return torch.cat([2 * place / (n_knots - 1) - 1, hats], 1)


class MADE(nn.Module):
    """Masked autoencoder for distribution estimation: the conditional of each feature from those before it.

    h_1 = relu(M_1 W_1 x + b_1), ..., params = M W h_L + M_d D x + b, where the masks M cut every path to a feature
    from itself or a later one. ``hidden_layer_sizes=()`` leaves params = M W x + b, the fully visible belief network
    (FVBN): with two levels and a Bernoulli likelihood, a logistic regression of each feature on those before it.

    Parameters
    ----------
    n_features : int
    hidden_layer_sizes : sequence of int
    n_params : int
        Parameters of a feature's conditional, as the likelihood's ``n_params``.
    n_levels : int or None
        None: the inputs are real values, in scaled units.
    order : "natural" or "random"
    n_masks : int
        Sets of masks over the same weights, each with its own hidden degrees, and with its own order if that is
        random. More than one is for ``MixtureOfOrders``.
    direct : bool
        Whether the outputs see the inputs also directly, by D, if that takes at most ``MAX_DIRECT`` weights.
    input_dropout : float in [0, 1)
        Mean share of the inputs hidden from the network in training; the share of a row is drawn uniformly around
        it. The network is told which are hidden: it learns p(x_i | some of what comes before).
    tells_hidden : bool
        Whether it can be told so where nothing is hidden on purpose, as of rows with holes.
    seed : int
        Of the orders and masks, which are no part of the saved weights.

    References
    ----------
    M. Germain, K. Gregor, I. Murray, H. Larochelle, "MADE: Masked Autoencoder for Distribution Estimation", 2015.
    B. J. Frey, "Graphical Models for Machine Learning and Digital Communication", 1998 (FVBN).
    """

    def __init__(
        self, n_features, hidden_layer_sizes, n_params, *, n_levels=None, order="natural", n_masks=1, direct=True,
        input_dropout=0.0, tells_hidden=False, seed=0,
    ):  # fmt: skip
        super().__init__()
        self.n_params, self.input_dropout, self.n_layers = n_params, input_dropout, len(hidden_layer_sizes)
        self.tells_hidden = tells_hidden or input_dropout > 0
        table = None if n_levels is None else _level_table(n_levels)
        self.register_buffer("table", table, persistent=False)
        self.n_columns = n_columns = columns_of_levels(n_levels) + self.tells_hidden
        generator = torch.Generator().manual_seed(seed)
        positions = _positions(n_features, order, n_masks, generator)
        self.orders = positions.argsort(1).tolist()
        seen, shown = (positions + 1).repeat_interleave(n_columns, 1), positions.repeat_interleave(n_params, 1)
        degrees = [seen, *(_hidden_degrees(n_features, size, n_masks, generator) for size in hidden_layer_sizes)]
        self.hidden = nn.ModuleList(MaskedLinear(*pair) for pair in pairwise(degrees))
        self.out = MaskedLinear(degrees[-1], shown)
        self.direct = None
        if direct and hidden_layer_sizes and seen.shape[1] * shown.shape[1] <= MAX_DIRECT:
            self.direct = MaskedLinear(seen, shown, bias=False)
            nn.init.zeros_(self.direct.weight)

    @property
    def order(self):
        return self.orders[0]

    def _look(self, values):  # (...) levels or scaled values -> (..., e)
        if self.table is None:
            seen = values.to(self.out.weight.dtype).clamp(-FAR, FAR).unsqueeze(-1)
        else:
            seen = self.table[values]
        return torch.cat([seen, torch.ones_like(seen[..., :1])], -1) if self.tells_hidden else seen

    def _hide(self, seen):  # (n, d, e) -> (n, d, e)
        """Zero some features: the share of a row is uniform, with mean ``input_dropout``, and as wide as it can be."""
        reach = min(self.input_dropout, 1 - self.input_dropout)
        share = self.input_dropout + reach * (2 * torch.rand_like(seen[:, :1, :1]) - 1)
        return seen * (torch.rand_like(seen[..., :1]) >= share)

    def forward(self, values, which=0, seen=None):  # (n, d) -> (n, d, P); seen (n, d) says what may be looked at
        look = self._look(values)
        if self.training and self.input_dropout:
            look = self._hide(look)
        x = (look if seen is None else look * seen.unsqueeze(2)).flatten(1)
        params = self.out(self._hidden(x, which, self.n_layers), which)
        if self.direct is not None:
            params = params + self.direct(x, which)
        return params.unflatten(1, (-1, self.n_params))

    def features(self, values, layer, seen=None):  # (n, d) -> (n, units of the layer)
        """The units of hidden layer number ``layer``, averaged over the mask sets."""
        look = self._look(values)
        x = (look if seen is None else look * seen.unsqueeze(2)).flatten(1)
        return sum(self._hidden(x, which, layer + 1) for which in range(len(self.orders))) / len(self.orders)

    def _hidden(self, x, which, n_layers):
        for layer in self.hidden[:n_layers]:
            x = layer(x, which).relu()
        return x

    @torch.no_grad()
    def steps(self, n, which=0):
        """Yield the parameters of a feature, be sent its values, go on; see ``autoregressive``.

        A hidden unit of degree i is computed once, when the i first features are known: all steps together cost
        one forward pass.
        """
        n_features = len(self.order)
        hidden = [_ByDegree(layer, which, n_features) for layer in self.hidden]
        out = _ByDegree(self.out, which, n_features)
        direct = None if self.direct is None else _ByDegree(self.direct, which, n_features)
        x = out.weight.new_zeros(n, self.n_columns * n_features)
        units = [out.weight.new_zeros(n, layer.ends[-1]) for layer in hidden]
        for i in range(n_features):
            h = x
            for layer, cache in zip(hidden, units, strict=True):
                cache[:, layer.new(i)] = layer(i, h).relu()
                h = cache
            params = out(i, h)
            chosen = yield params if direct is None else params + direct(i, x)
            x[:, i * self.n_columns : (i + 1) * self.n_columns] = self._look(chosen)


def _positions(n_features, order, n_masks, generator):
    """The place of each feature in the order of each mask set: (n_masks, n_features). Values, also on "meta"."""

    def one():
        if order == "natural":
            return torch.arange(n_features, device="cpu")
        return torch.randperm(n_features, generator=generator, device="cpu")

    return torch.stack([one() for _ in range(n_masks)]).int()


def _hidden_degrees(n_features, size, n_masks, generator):
    """From 1 to n_features - 1, evenly, in another arrangement for each mask set: (n_masks, size)."""
    degrees = 1 + ((torch.arange(size) + 0.5) * ((n_features - 1) / size)).int()
    return torch.stack([degrees[torch.randperm(size, generator=generator)] for _ in range(n_masks)])


class _OneOrder:
    """One mask set of a core, as a core."""

    def __init__(self, core, which):
        self.core, self.which, self.order = core, which, core.orders[which]

    def __call__(self, values, seen=None):
        return self.core(values, self.which, seen)

    def steps(self, n):
        return self.core.steps(n, self.which)


class MixtureOfOrders(AutoregressiveModel):
    """log p(x) = log (1/K) sum_k p_k(x), in nats: each mask set k of the core is a density, all of equal weight.

    In training ``forward`` is -log p_k(x) of one mask set, drawn anew for each batch from torch's global generator,
    as dropout is; its mean over k is an upper bound on -log p(x).
    """

    def _late(self, given):
        """What is given, wherever it lies, tells which member the row is likely to come from."""
        return given.any(1) & ~given.all(1)

    def _members(self):
        return [self._member(which) for which in range(len(self.core.orders))]

    def _member(self, which):
        return AutoregressiveModel(self.levels, _OneOrder(self.core, which), self.likelihood)

    def log_prob_map(self, x, seen=None):  # (n, d) raw -> (n, d)
        """What each feature adds to the log-density of its row, in nats.

        The mean of the members' maps, weighted by how likely each member is given the row, r_k; what is then left
        of log p(x), minus the divergence of r from 1/K (between -log K and 0), is spread evenly over the features.
        """
        maps = torch.stack([member.log_prob_map(x, seen) for member in self._members()])  # (K, n, d)
        log_share = maps.sum(2).log_softmax(0)
        share = log_share.exp()
        divergence = (share * log_share).sum(0) + math.log(len(maps))
        mean = (share.unsqueeze(2) * maps).sum(0)
        if seen is None:
            return mean - divergence.unsqueeze(1) / maps.shape[2]
        return mean - seen * (divergence / seen.sum(1).clamp(min=1)).unsqueeze(1)

    def forward(self, x, seen=None):
        if not self.training:
            return super().forward(x, seen)
        return self._member(int(torch.randint(len(self.core.orders), ())))(x, seen)

    @torch.no_grad()
    def fill(self, levels, given, generator=None):
        """As ``AutoregressiveModel.fill``, each row by a member drawn for it."""
        which = torch.randint(len(self.core.orders), (len(levels),), generator=generator, device=levels.device)
        levels, log_weight = levels.clone(), self.levels.log_width().new_zeros(len(levels))
        for k, member in enumerate(self._members()):
            rows = (which == k).nonzero().squeeze(1)
            if len(rows):
                levels[rows], log_weight[rows] = member.fill(levels[rows], given[rows], generator)
        return levels, log_weight


class StartedMADE(MADE):
    """A MADE over real values that starts at a mixture of Gaussians, plus a net that starts at zero.

    Component k of the mixture is a chain of regressions, x_i ~ N(A_k x + b_k, s_k^2) given the features before it. In
    the conditional of x_i it has the weight softmax_k(log w_k + sum_j log N(x_j; ...)), j over the features before it:
    the product of the conditionals is the mixture's density, but for the bound ``LEAST`` on these weights.

    The parameters are those of an ``AnchoredMixture``, in which each component has ``n_copies``: their log-weights,
    means and log standard deviations are offset + scale * net(x), to which the component's log-weight and its
    regression are added. The anchor is by the chain of one Gaussian, with the mean and the covariance of the mixture.
    A_k is trained, but what decides weights and anchor stays as it starts. The regressions see the inputs that dropout
    hides from the net.

    Parameters
    ----------
    n_features, hidden_layer_sizes, **options
        As for ``MADE``.
    n_components, n_copies : int
    """

    def __init__(self, n_features, hidden_layer_sizes, n_components, n_copies, **options):
        super().__init__(n_features, hidden_layer_sizes, 3 * n_components * n_copies, direct=False, **options)
        self.n_components, self.n_copies = n_components, n_copies
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        position = self.out.out_degrees[:, :: self.n_params]
        self.chain = MaskedLinear(position + 1, position.repeat_interleave(n_components, 1), bias=False)
        self.register_buffer("regression", torch.zeros(n_features * (n_components + 1), n_features))
        self.register_buffer("log_weight", torch.zeros(n_components))
        for name in ("constant", "log_sd"):  # of the regressions, the last of which is the anchor's
            self.register_buffer(name, torch.zeros(n_features, n_components + 1))
        for name in ("offset", "scale"):
            self.register_buffer(name, torch.zeros(n_features, self.n_params))

    def forward(self, values, which=0):  # (n, d) -> (n, d, P)
        x, every = values.to(self.out.weight.dtype), slice(None)
        start = F.linear(x, self.regression).unflatten(1, (-1, self.n_components + 1)) + self.constant
        log_p = self._log_normal(x, start, every)[:, self.order[:-1]]
        before = F.pad(log_p.cumsum(1), (0, 0, 1, 0))[:, self.out.out_degrees[0, :: self.n_params].long()]
        net, chain = super().forward(values, which), self.chain(x).unflatten(1, (-1, self.n_components))
        return self._started(net, chain, start, self.log_weight + before, every)

    def _log_normal(self, x, start, feature):  # (...), (..., K + 1) -> (..., K): under each component, but a constant
        log_sd = self.log_sd[feature]
        squares = ((x.unsqueeze(-1) - start) * (-log_sd).exp()).square()
        return (-0.5 * squares - log_sd)[..., :-1]

    def _started(self, net, chain, start, log_weight, feature):
        weight, mean, log_sd = (self.offset[feature] + self.scale[feature] * net).chunk(3, -1)
        log_weight = (log_weight - log_weight.amax(-1, keepdim=True)).clamp(min=LEAST)
        log_weight, chain = (each.repeat_interleave(self.n_copies, -1) for each in (log_weight, chain))
        anchor = start[..., -1:]
        anchor_log_sd = self.log_sd[feature][..., -1:].expand_as(anchor)
        return torch.cat([weight + log_weight, mean + chain, log_sd, anchor, anchor_log_sd], -1)

    @torch.no_grad()
    def steps(self, n, which=0):
        net, chosen, x = super().steps(n, which), None, self.out.weight.new_zeros(n, len(self.order))
        mask = self.chain.in_degrees[0] <= self.chain.out_degrees[0].unsqueeze(1)
        chains = (self.chain.weight * mask).unflatten(0, (-1, self.n_components))
        regressions = self.regression.unflatten(0, (-1, self.n_components + 1))
        log_weight = self.log_weight.expand(n, -1)
        for feature in self.order:
            params, start = net.send(chosen), F.linear(x, regressions[feature], self.constant[feature])
            chosen = yield self._started(params, F.linear(x, chains[feature]), start, log_weight, feature)
            log_weight = log_weight + self._log_normal(chosen, start, feature)
            x[:, feature] = chosen
