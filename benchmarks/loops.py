"""The same autoencoder trained by others: a loop written by hand, skorch as it comes, PyOD, pythae.

784-256-32 and back; all take (X, n_epochs, device, batch_size), X of float32, and return the last loss or None.
"""

import contextlib
import io
import logging
import tempfile

import numpy as np
import torch
from torch import nn

from sklatent import AutoencoderTransformer, VAETransformer

RATE, DECAY = 2e-3, 1e-4


def dense(n_features=784):
    return nn.Sequential(
        nn.Linear(n_features, 256), nn.ReLU(), nn.Linear(256, 32), nn.Linear(32, 256), nn.ReLU(),
        nn.Linear(256, n_features),
    )  # fmt: skip


def scaled(X):
    return (X - X.mean()) / X.std()


def bare(X, n_epochs, device, batch_size=128):
    """Rows on the device, a permutation, slices, one look at the loss in the end."""
    rows = scaled(torch.from_numpy(X).to(device))
    model = dense(X.shape[1]).to(device)
    return looped(model, lambda batch: (model(batch) - batch).square().sum(1).mean(), rows, n_epochs, batch_size)


def looped(model, loss_of, rows, n_epochs, batch_size):
    fused = rows.device.type in ("cpu", "cuda")
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, fused=fused)
    for _ in range(n_epochs):
        order = torch.randperm(len(rows), device=rows.device)
        for start in range(0, len(rows), batch_size):
            loss = loss_of(rows[order[start : start + batch_size]])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return loss.item()


def skorch_default(X, n_epochs, device, batch_size=128):
    """skorch's NeuralNet with its own loader, history and losses read at every step."""
    from skorch import NeuralNet

    class Reconstruction(nn.Module):
        def forward(self, found, rows):
            return (found - rows).square().sum(1).mean()

    rows = scaled(X)
    net = NeuralNet(
        dense(X.shape[1]), criterion=Reconstruction, optimizer=torch.optim.AdamW, optimizer__weight_decay=DECAY,
        lr=RATE, batch_size=batch_size, iterator_train__shuffle=True, max_epochs=n_epochs, train_split=None,
        device=device, verbose=0,
    )  # fmt: skip
    return net.fit(rows, rows).history[-1, "train_loss"]


def pyod_autoencoder(X, n_epochs, device, batch_size=128):
    from pyod.models.auto_encoder import AutoEncoder

    sizes = {"hidden_neuron_list": [256, 32], "batch_norm": False, "dropout_rate": 0}
    AutoEncoder(epoch_num=n_epochs, lr=RATE, batch_size=batch_size, device=device, verbose=0, **sizes).fit(X)


def pyod_vae(X, n_epochs, device, batch_size=128):
    from pyod.models.vae import VAE

    sizes = {"encoder_neuron_list": [256], "decoder_neuron_list": [256], "latent_dim": 32}
    VAE(epoch_num=n_epochs, lr=RATE, batch_size=batch_size, device=device, verbose=0, batch_norm=False, dropout_rate=0,
        **sizes).fit(X)  # fmt: skip


def pythae_autoencoder(X, n_epochs, device, batch_size=128):
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(X.shape[1], 256), nn.ReLU(), nn.Linear(256, 32))

        def forward(self, x):
            return ModelOutput(embedding=self.net(x))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, X.shape[1]))

        def forward(self, z):
            return ModelOutput(reconstruction=self.net(z))

    model = AE(AEConfig(input_dim=(X.shape[1],), latent_dim=32), encoder=Encoder(), decoder=Decoder())
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        config = BaseTrainerConfig(
            output_dir=folder, learning_rate=RATE, num_epochs=n_epochs, per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=batch_size, no_cuda=device == "cpu",
        )  # fmt: skip
        TrainingPipeline(training_config=config, model=model)(train_data=scaled(X))
    logging.disable(logging.NOTSET)


def dense_autoencoder(n_epochs, device, batch_size=128):
    return AutoencoderTransformer(
        32, image_shape=(28, 28), architecture="mlp", hidden_layer_sizes=(256,), batch_size=batch_size,
        max_iter=n_epochs, random_state=0, device=device,
    )  # fmt: skip


def convolutional_vae(n_epochs, device, batch_size=128):
    return VAETransformer(
        32, image_shape=(28, 28), batch_size=batch_size, max_iter=n_epochs, random_state=0, device=device
    )


def ours(X, n_epochs, device, batch_size=128, make=dense_autoencoder):
    return make(n_epochs, device, batch_size).fit(X).history_[-1]["train_loss"]


def bare_ours(X, n_epochs, device, batch_size=128, make=dense_autoencoder):
    """The module that ``ours`` trains, a linear map and all, in the loop written by hand."""
    module = make(1, device, batch_size).fit(np.ascontiguousarray(X[:256])).net_.module_.train()
    rows = torch.from_numpy(X).to(device)
    return looped(module, lambda batch: module(batch).mean(), rows, n_epochs, batch_size)


def conv_vae(X, n_epochs, device, batch_size=128):
    return ours(X, n_epochs, device, batch_size, convolutional_vae)


def bare_conv_vae(X, n_epochs, device, batch_size=128):
    return bare_ours(X, n_epochs, device, batch_size, convolutional_vae)
