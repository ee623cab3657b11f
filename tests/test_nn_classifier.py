"""The classifier's module, against its equations."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from sklatent._nn.classifier import PROBE, Classifier, _unit


class Plain(nn.Module):
    """Codes are the rows."""

    def __init__(self, started):
        super().__init__()
        self.started = started

    def encode(self, x):
        return x

    inside = code_of = encode


def made(started, **options):
    torch.manual_seed(0)
    return Classifier(Plain(started), 4, 3, **options).double(), torch.randn(6, 4, dtype=torch.float64)


@pytest.mark.parametrize("started", [False, True])
def test_the_head_is_linear_in_codes_of_a_linear_start_and_in_what_relu_leaves_of_others(started):
    module, x = made(started)
    linear = module.eval().head[2]
    expected = ((x if started else x.clamp(min=0)) @ linear.weight.T + linear.bias).log_softmax(1)
    assert_close(module.log_proba(x), expected)
    assert_close(module._clean_log_proba(x), expected)
    target = torch.rand(6, 3, dtype=torch.float64)
    assert_close(module(x, target), -(target * expected).sum(1))


def test_dropout_hides_its_share_of_the_codes_in_training():
    module, _ = made(True, dropout=0.25)
    hidden = module.train().head[:2](torch.ones(4000, 4, dtype=torch.float64))
    assert_close((hidden == 0).double().mean().item(), 0.25, rtol=0, atol=0.02)


@pytest.mark.parametrize("started", [False, True])
def test_virtual_adversarial_change_and_its_gradient_are_the_formula_s(started):
    module, x = made(started, vat=0.3)
    x = x + 0.1
    log_p, distance = module._clean_log_proba(x).detach(), torch.pdist(x).square().mul(2).sum().div(36).sqrt()

    def divergence(r):  # KL(p || q), of which p is fixed
        return (log_p.exp() * (log_p - module._clean_log_proba(x + r))).sum(1)

    torch.manual_seed(1)
    direction = torch.randn_like(x)
    start = (PROBE * distance * direction / direction.norm(dim=1, keepdim=True)).requires_grad_()
    (steepest,) = torch.autograd.grad(divergence(start).sum(), start)
    expected = divergence(0.3 * distance * steepest / steepest.norm(dim=1, keepdim=True))
    torch.manual_seed(1)
    found = module._adversarial_change(x)
    assert_close(found, expected)
    weights = list(module.head.parameters())
    one, other = (torch.autograd.grad(change.sum(), weights) for change in (found, expected))
    for a, b in zip(one, other, strict=True):
        assert_close(a, b)
    torch.manual_seed(1)
    target = torch.eye(3, dtype=torch.float64)[[0, 1, 2, 0, 1, 2]]
    module.head[1].p = 0.0
    assert_close(module.train()(x, target), expected - (target * module.log_proba(x)).sum(1))


def test_unit_vectors():
    r = torch.randn(5, 2, 3, 4, dtype=torch.float64)
    assert_close(_unit(r).square().sum((1, 2, 3)), torch.ones(5, dtype=torch.float64))
    assert_close(_unit(r) * r.flatten(1).norm(dim=1).view(5, 1, 1, 1), r)
    assert not _unit(torch.zeros(2, 3)).any()
