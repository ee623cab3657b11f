"""A classifier on top of an encoder."""

import torch
from torch import nn

from .scaling import wide

PROBE = 0.01  # length of the step by which the power method looks around, as a share of the distance between rows


class Classifier(nn.Module):
    r"""Weighted cross-entropy of each row, in nats: :math:`-\sum_c t_{ic} \log p(c \mid x_i)`.

    A row of targets t is a distribution over the classes, times the weight of the row. In training, virtual adversarial
    training adds :math:`KL(p(\cdot \mid x_i) \,\|\, p(\cdot \mid x_i + r_i))`, with r of a given length in the
    direction that changes the prediction most, as one step of the power method finds it.

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
    vat : float
        Length of r, as a share of the root mean square distance between two rows; 0 adds nothing.

    References
    ----------
    T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual adversarial training: a regularization method for supervised and
    semi-supervised learning", 2018.

    H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond empirical risk minimization", 2018.
    """

    def __init__(self, coder, n_components, n_classes, *, dropout=0.3, mixup=0.0, vat=0.0):
        super().__init__()
        self.coder, self.mixup, self.vat = coder, mixup, vat
        activation = nn.Identity() if coder.started else nn.ReLU()  # of codes in a linear model's own geometry: none
        self.head = nn.Sequential(activation, nn.Dropout(dropout), nn.Linear(n_components, n_classes))

    def forward(self, x, target):  # (n, d), (n, C) -> (n,)
        if not self.training:
            return self._cross_entropy(x, target)
        change = self._adversarial_change(x) if self.vat else 0.0
        if self.mixup:
            x, target = self._mixed(wide(x), target)
        return self._cross_entropy(x, target) + change

    def log_proba(self, x):  # (n, d) -> (n, C)
        return self.head(self.encode(x)).log_softmax(1)

    def encode(self, x):  # (n, d) -> (n, k)
        return self.coder.encode(x)

    def _cross_entropy(self, x, target):
        return -(target * self.log_proba(x)).sum(1)

    @torch.compiler.disable  # a gradient within forward
    def _adversarial_change(self, x):  # (n, d) -> (n,), without augmentation and dropout
        u = self.coder.inside(x)
        with torch.no_grad():
            log_p = self._clean_log_proba(u)
            distance = (u - u.mean(0)).square().flatten(1).sum(1).mean().mul(2).sqrt()

        def change(r):
            return (log_p.exp() * (log_p - self._clean_log_proba(u + r))).sum(1)

        with torch.enable_grad():
            start = (PROBE * distance * _unit(torch.randn_like(u))).requires_grad_()
            (steepest,) = torch.autograd.grad(change(start).sum(), start)
        return change(self.vat * distance * _unit(steepest))

    def _clean_log_proba(self, u):
        activation, _, linear = self.head
        return linear(activation(self.coder.code_of(u))).log_softmax(1)

    @torch.compiler.disable  # torch's inductor fails at rows taken in the order of randperm
    def _mixed(self, x, target):
        strength = target.new_tensor(self.mixup)
        share = torch.distributions.Beta(strength, strength).sample((len(x), 1))
        other = torch.randperm(len(x), device=x.device)
        return tuple(torch.lerp(each[other], each, share.to(each.dtype)) for each in (x, target))


def _unit(r):  # each row by its length
    length = r.flatten(1).norm(dim=1).view(-1, *[1] * (r.ndim - 1))
    return r / length.clamp_min(torch.finfo(r.dtype).tiny)
