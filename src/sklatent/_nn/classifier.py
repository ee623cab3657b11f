"""A classifier on top of an encoder."""

import torch
from torch import nn

from .scaling import _wide


class Classifier(nn.Module):
    r"""Weighted cross-entropy of each row, in nats: :math:`-\sum_c t_{ic} \log p(c \mid x_i)`.

    A row of targets t is a distribution over the classes, times the weight of the row.

    Parameters
    ----------
    coder : Autoencoder or VAE
        Its encoder gives the codes; in training its corruption is the augmentation.
    n_components, n_classes : int
    dropout : float
        Share of the codes that the head does not see in training.
    mixup : float
        With a positive value, training mixes pairs of rows, and their targets, by shares drawn from
        Beta(mixup, mixup).

    References
    ----------
    H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond empirical risk minimization", 2018.
    """

    def __init__(self, coder, n_components, n_classes, *, dropout=0.3, mixup=0.0):
        super().__init__()
        self.coder, self.mixup = coder, mixup
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(n_components, n_classes))

    def forward(self, x, target):  # (n, d), (n, C) -> (n,)
        if self.training and self.mixup:
            x, target = self._mixed(_wide(x), target)
        return -(target * self.log_proba(x)).sum(1)

    def log_proba(self, x):  # (n, d) -> (n, C)
        return self.head(self.encode(x)).log_softmax(1)

    def encode(self, x):  # (n, d) -> (n, k)
        return self.coder.encode(x)

    def _mixed(self, x, target):
        strength = target.new_tensor(self.mixup)
        share = torch.distributions.Beta(strength, strength).sample((len(x), 1))
        other = torch.randperm(len(x), device=x.device)
        return tuple(torch.lerp(each[other], each, share.to(each.dtype)) for each in (x, target))
