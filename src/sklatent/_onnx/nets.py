"""What a file of a fitted net holds: a torch module for each of its methods.

A file has no noise and no holes: draws are constants, and rows are whole.
"""

import copy
from functools import singledispatch

import numpy as np
import torch
from torch import nn

from .._autoencoders.autoencoder import AutoencoderTransformer
from .._autoencoders.base import EncoderTransformer
from .._autoencoders.vae import VAETransformer
from .._autoregressive.base import AutoregressiveDensity
from .._bridge.base import fits_float32
from .._semi_supervised.classifier import EncoderClassifier
from .._semi_supervised.label_spreading import GraphLabelSpreading


class Arrays(nn.Module):
    """A module of constants by name. A number would be exported as float32."""

    def __init__(self, **arrays):
        super().__init__()
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(array)))


class FittedNet(nn.Module):
    """A copy of the module of an estimator."""

    def __init__(self, estimator):
        super().__init__()
        self.module = copy.deepcopy(estimator._module).cpu().eval()
        self.is_narrow = fits_float32(self.module)

    def rows(self, x):
        return x if self.is_narrow else x.double()


class Codes(FittedNet):
    def forward(self, x):  # (n, d) -> (n, k)
        return self.module.encode(self.rows(x)).float()


class Features(FittedNet):
    """The standardised activations of the layer that ``transform`` gives."""

    def __init__(self, estimator):
        super().__init__(estimator)
        self.layer = estimator._chosen_layer()
        self.scaler = Arrays(values=np.stack(estimator._feature_scalers_[self.layer]))

    def forward(self, x):  # (n, d) -> (n, F)
        shift, scale = self.scaler.values
        return ((self.module.features(self.rows(x), self.layer).float() - shift) / scale).float()


class LogDensity(FittedNet):
    def forward(self, x):  # (n, d) -> (n,) nats
        return self.module.log_prob(self.rows(x)).double()


class Bound(FittedNet):
    """The importance-weighted bound, by the noise that all rows share."""

    def __init__(self, estimator):
        super().__init__(estimator)
        self.register_buffer("noise", estimator._noise(estimator.n_draws))

    def forward(self, x):
        return self.module.log_prob(self.rows(x), self.noise).double()


class Rebuilding(FittedNet):
    def forward(self, x):
        return -self.module.squared_errors(self.rows(x)).sum(1).double()


class NetVote(FittedNet):
    def forward(self, x):  # (n, d) -> (n, C)
        return self.module.log_proba(self.rows(x)).double().softmax(1)


class GraphVote(Arrays):
    """The vote of the nearest nodes; see ``graph.vote``."""

    def __init__(self, spreading):
        nodes, self.n_neighbors = spreading._nodes_, getattr(spreading, "_k_", 1)
        super().__init__(nodes=nodes.astype(np.float64), distributions=spreading._distributions_)

    def forward(self, x):  # (n, d) -> (n, C)
        squares, rows = nearest(x.double(), self.nodes, self.n_neighbors)
        weights = (-4 * squares / torch.where(squares[:, -1:] > 0, squares[:, -1:], 1)).exp()
        return (weights.unsqueeze(2) * self.distributions[rows]).sum(1) / weights.sum(1, keepdim=True)


def nearest(x, nodes, k):
    """Squared distances to the k nearest of the nodes, rising, and which they are: (n, k) both."""
    products = x @ nodes.T
    rough = x.square().sum(1, keepdim=True) - 2 * products + nodes.square().sum(1)
    rows = rough.topk(k, 1, largest=False).indices
    squares = (x.unsqueeze(1) - nodes[rows]).square().sum(2)  # anew: what is close differs by rounding above
    squares, order = squares.sort(1)
    return squares, rows.gather(1, order)


@singledispatch
def codes(estimator):
    """The module of ``transform``; None where there is none."""
    return None


codes.register(EncoderTransformer, Codes)
codes.register(EncoderClassifier, Codes)


@codes.register
def _(estimator: AutoregressiveDensity):
    return Features(estimator) if estimator._feature_scalers_ else None


@singledispatch
def density(estimator):
    """The module of ``score_samples``: rows to nats, (n, d) -> (n,) float64; None where there is none."""
    return None


density.register(AutoregressiveDensity, LogDensity)
density.register(VAETransformer, Bound)
density.register(AutoencoderTransformer, Rebuilding)


@singledispatch
def vote(estimator):
    """The module of ``predict_proba``; None where there is none."""
    return None


vote.register(GraphLabelSpreading, GraphVote)


@vote.register
def _(estimator: EncoderClassifier):
    if hasattr(estimator, "opinions_"):
        raise TypeError(
            "This EncoderClassifier predicts by a pool of opinions, of trees and other models of scikit-learn, which "
            "has no ONNX. Let a net learn what it says, EncoderClassifier(...).fit(X, classifier.transduction_), with "
            "no row unlabelled, and convert that: its net predicts."
        )
    return (
        nn.Sequential(Codes(estimator), GraphVote(estimator.graph_))
        if hasattr(estimator, "graph_")
        else NetVote(estimator)
    )
