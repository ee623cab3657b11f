"""What autoencoders share, and the plain one. All see raw rows: the scaling is part of the model."""

import torch
from torch import nn

from .likelihoods import AbsoluteError, GreyBernoulli, Huber, SquaredError
from .linear import LinearPlus

LOSSES = {
    "squared_error": SquaredError, "absolute_error": AbsoluteError, "huber": Huber,
    "binary_cross_entropy": GreyBernoulli,
}  # fmt: skip
PULL = 1.0  # of codes towards PCA's


class RowEncoder(nn.Module):
    """Raw rows to codes: ``code_scale`` times what the encoder gives.

    Rows with holes come filled by ``holes``, Gaussians of scaled rows; where a method takes ``seen`` (n, d), only what
    that says is observed counts.
    """

    def __init__(self, scaling, encoder, input_shape, n_latent, corruption=None, holes=None):
        super().__init__()
        self.scaling, self.encoder, self.n_latent, self.holes = scaling, encoder, n_latent, holes
        self.input_shape, self.corruption = tuple(input_shape), corruption
        self.register_buffer("code_scale", torch.ones(n_latent))

    @property
    def started(self):  # at a linear model
        return isinstance(self.encoder, LinearPlus)

    def _scaled(self, x):  # (n, d) raw -> (n, d) in the network's dtype; centred first, then cast
        return self.scaling.scaled(x).to(next(self.encoder.parameters()).dtype)

    def filled(self, x, seen, noise=None):  # (n, d) raw -> (n, d), or by noise (draws, n, d)
        """Rows with what is missing replaced by its mean given the rest, or by draws."""
        return self.holes.fill(x, seen, self.scaling, noise)

    def settled(self, x, seen):  # (n, d) filled, (n, d) bool -> (n, d)
        """What was filled in, as values of its column's kind."""
        return torch.where(seen, x, self.scaling.drawn(self.scaling.scaled(x)).to(x.dtype))

    def inside(self, x):  # (n, d) raw -> (n, *input_shape): what the encoder sees when nothing is corrupted
        return self._inside(self._scaled(x))

    def code_of(self, inside):  # (n, *input_shape) -> (n, k): of what is given, never corrupted
        return self.code_scale * self.encoder(inside)[:, : self.n_latent]

    def encode(self, x):  # (n, d) -> (n, k): of a VAE the posterior mean
        code = self._encoded(self._scaled(x))[:, : self.n_latent]
        return code * self.code_scale.to(code.dtype)

    def _inside(self, u):  # clipped: a warp may carry ink to pixels that were dark in every fitted row
        return self.scaling.inside(u).unflatten(1, self.input_shape)

    def _encoded(self, u):
        return sum(self._parts(u))

    def _parts(self, u):
        """The linear part of the code, which sees rows beyond the range as they are, and the net's."""
        inside = self._inside(u)
        if self.training and self.corruption is not None:
            inside = self.corruption(inside)
            u = inside.flatten(1)
        if self.started:
            return self.encoder.linear(u), self.encoder.share(inside).to(u.dtype)
        return 0.0, self.encoder(inside).to(u.dtype)


class Coder(RowEncoder):
    """Rows to and from what the encoder and decoder see."""

    def __init__(self, scaling, encoder, decoder, input_shape, likelihood, n_latent, corruption=None, holes=None):
        super().__init__(scaling, encoder, input_shape, n_latent, corruption, holes)
        self.decoder, self.likelihood = decoder, likelihood

    def _unscaled(self, z):
        return z / self.code_scale.to(z.dtype)

    def _params(self, z, decoder=None):  # (..., k) -> (..., d, P), what the likelihood takes
        out = (decoder or self.decoder)(z.flatten(0, -2)).flatten(1).to(z.dtype)
        return out.view(*z.shape[:-1], self.likelihood.n_params, -1).transpose(-1, -2)


class Autoencoder(Coder):
    r"""Reconstruction error of each row, summed over its features, in scaled units.

    Squared error: ``|decoder(encoder(u)) - u|^2``; absolute and Huber's alike. Binary cross-entropy, for u in [0, 1]:
    ``-sum u log p + (1 - u) log (1 - p)`` with ``p = sigmoid(decoder(encoder(u)))``.

    From a linear start, training adds ``PULL`` times PCA's error for each unit that codes move away from PCA's, in mean
    squares: else a net that is given many steps packs rows into codes that a linear classifier cannot read.

    Parameters
    ----------
    scaling : Affine
    encoder, decoder : Module
        (n, \*input_shape) -> (n, k) and back.
    input_shape : tuple of int
    n_latent : int
        k.
    corruption : callable or None
        In training the encoder sees the corrupted row; the clean row stays the target.
    loss : a name of ``LOSSES``, or callable
        Rows u and reconstructions, two of (n, d), to their losses, (n,).
    holes : Gaussians
    """

    def __init__(
        self, scaling, encoder, decoder, input_shape, n_latent, corruption=None, loss="squared_error", holes=None
    ):  # fmt: skip
        likelihood = SquaredError() if callable(loss) else LOSSES[loss]()
        super().__init__(scaling, encoder, decoder, input_shape, likelihood, n_latent, corruption, holes)
        self.loss = loss if callable(loss) else None

    def forward(self, x, seen=None):  # (n, d) -> (n,)
        u = self._scaled(x)
        linear, share = self._parts(u)
        params = self._params(linear + share)
        if self.loss:
            rebuilt = self.likelihood.mean(params)
            loss = self.loss(u, rebuilt if seen is None else torch.where(seen, rebuilt, u))
        else:
            loss = -of_seen(self.likelihood.log_prob(params, u), seen).sum(1)
        if self.started and self.training:
            loss = loss + PULL * self.decoder.scale.square().sum() * share.square().mean(1)
        return loss

    def decode(self, z):  # (n, k) -> (n, d) in the units of x
        return self.scaling.inverse(self.likelihood.mean(self._params(self._unscaled(z))))

    def squared_errors(self, x, seen=None):  # (n, d) -> (n, d), of what ``decode`` gives, in scaled units
        scaled, rebuilt = self.scaling.scaled, self.decode(self.encode(x))
        return of_seen((scaled(x.to(rebuilt.dtype)) - scaled(rebuilt)).square(), seen)


def of_seen(terms, seen):  # (..., n, d)
    """Zero for what is missing."""
    return terms if seen is None else terms.where(seen, 0)
