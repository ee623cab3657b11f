"""Start where the linear model ends: a linear map that is optimal in closed form, plus a net that starts at zero."""

import math

import torch
from torch import nn


def start_at_zero(net):
    """The net, its last layer with weights set to zero."""
    last = [module for module in net.modules() if isinstance(module, nn.Linear | nn.ConvTranspose2d)][-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return net


class LinearPlus(nn.Module):
    """x -> W x + b + scale * net(x); W, b and the scale of each output come from the rows, and stay as they are.

    Parameters
    ----------
    net : Module
        (n, *) -> (n, *out_shape), in any shape.
    n_in : int
        Features of x.
    out_shape : tuple of int
    reach : float
        The net sees x clipped to +-reach; infinite where the caller clips.
    """

    def __init__(self, net, n_in, out_shape, reach=math.inf):
        super().__init__()
        self.net, self.out_shape, self.reach = start_at_zero(net), tuple(out_shape), reach
        n_out = math.prod(out_shape)
        self.register_buffer("weight", torch.zeros(n_out, n_in))
        self.register_buffer("bias", torch.zeros(n_out))
        self.register_buffer("scale", torch.ones(n_out))

    def linear(self, x):  # (n, n_in) -> (n, *out_shape)
        return nn.functional.linear(x, self.weight, self.bias).unflatten(1, self.out_shape)

    def share(self, inside):  # (n, *) -> (n, *out_shape): what the net adds
        net = self.net(inside if math.isinf(self.reach) else inside.clamp(-self.reach, self.reach))
        return (self.scale * net.flatten(1)).unflatten(1, self.out_shape)

    def forward(self, x):  # (n, *) -> (n, *out_shape)
        return self.linear(x.flatten(1)) + self.share(x)
