"""An encoder that learns from two views of each row: losses of a batch, told row by row. It sees raw rows."""

import torch
from torch import nn
from torch.nn import functional as F

from .autoencoders import RowEncoder

INVARIANCE, VARIANCE, COVARIANCE = 25.0, 25.0, 1.0  # weights of VICReg's terms, as published
TEMPERATURE = 0.2  # of NT-Xent
HEAD = (256, 128)  # widths of the projection head
TINY = 1e-4  # added to a variance, whose root then has a slope everywhere


class TwoViews(RowEncoder):
    r"""How little two views of a row agree, and how far the views of all rows are from being spread out.

    Two corrupted copies of each row go through the encoder f and a projection head h of two dense layers. The loss
    compares the outputs, and is one of a batch: each row is told its share, so that their mean is the loss.

    In training the views are drawn from torch's global generator; else they are the same in each call, and that
    generator does not move.

    Parameters
    ----------
    scaling : Affine
    encoder : Module
        (n, \*input_shape) -> (n, k).
    input_shape : tuple of int
    n_latent : int
        k.
    corruption : callable
        Gives the views.
    loss : {"vicreg", "nt_xent"}
    holes : Gaussians
    """

    def __init__(self, scaling, encoder, input_shape, n_latent, corruption, loss="vicreg", holes=None):
        super().__init__(scaling, encoder, input_shape, n_latent, corruption, holes)
        self.loss = LOSSES[loss]
        wide, out = HEAD
        norm = nn.BatchNorm1d(wide, track_running_stats=False)  # the loss is a batch's, so its head may be
        self.head = nn.Sequential(nn.Linear(n_latent, wide), norm, nn.ReLU(), nn.Linear(wide, out))

    def forward(self, x, seen=None):  # (n, d) -> (n,): what was filled in counts like the rest
        u = self.inside(x)
        views = self._views(u) if self.training else self._same_views(u)
        outputs = self.head(self.encoder(views)).to(u.dtype)
        return self.loss(*outputs.chunk(2))

    def spread(self, codes):  # (n, k) -> a number
        """How far the outputs of all rows are spread: 1 is as far as the loss asks for, 0 is all at one point."""
        if len(codes) == 1:
            return codes.new_zeros(())
        outputs = self.head(codes / self.code_scale.to(codes.dtype))
        if self.loss is nt_xent:
            outputs = outputs.shape[1] ** 0.5 * F.normalize(outputs)
        return outputs.std(0, correction=0).clamp(max=1).mean()

    def _views(self, u):  # (n, *input_shape) -> (2n, *input_shape)
        return torch.cat([self.corruption(u), self.corruption(u)])

    @torch.compiler.disable
    def _same_views(self, u):
        on_cuda = u.device.type == "cuda"
        with torch.random.fork_rng([u.device] if on_cuda else []):
            torch.default_generator.manual_seed(0)
            if on_cuda:
                with torch.cuda.device(u.device):
                    torch.cuda.manual_seed(0)
            return self._views(u)


def vicreg(a, b):  # two of (n, d) -> (n,)
    r"""Variance-invariance-covariance regularisation (A. Bardes, J. Ponce, Y. LeCun, 2022).

    .. math::
        \frac{25}{d} |a_i - b_i|^2 + \sum_{v \in \{a, b\}} \Bigl( \frac{25}{2d} \sum_j \max(0, 1 - s_j(v))
        + \frac1d \sum_{j \ne k} C_{jk}(v)^2 \Bigr)

    with the standard deviations s and covariances C of the outputs over the batch.
    """
    invariance = (a - b).square().mean(1)
    spread, redundancy = 0.0, 0.0
    for view in (a, b):
        centred = view - view.mean(0)
        covariance = centred.T @ centred / max(len(view) - 1, 1)
        variance = covariance.diagonal()
        spread = spread + F.relu(1 - (variance + TINY).sqrt()).mean() / 2
        redundancy = redundancy + (covariance.square().sum() - variance.square().sum()) / view.shape[1]
    return INVARIANCE * invariance + VARIANCE * spread + COVARIANCE * redundancy


def nt_xent(a, b):  # two of (n, d) -> (n,)
    r"""Normalised, temperature-scaled cross-entropy of SimCLR (T. Chen et al. 2020), in nats, of both views' mean.

    .. math:: -\log \frac{\exp(\cos(a_i, b_i) / t)}{\sum_{v \ne a_i} \exp(\cos(a_i, v) / t)}

    and the same with a and b exchanged; v are all other views of the batch, and t is 0.2.
    """
    n = len(a)
    outputs = F.normalize(torch.cat([a, b]))
    likeness = (outputs @ outputs.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    other = torch.arange(2 * n, device=a.device).roll(n)  # the other view of the same row
    return F.cross_entropy(likeness, other, reduction="none").view(2, n).mean(0)


LOSSES = {"vicreg": vicreg, "nt_xent": nt_xent}
