"""Test NLL in nats on static binarized MNIST, for every density, beside the published figures.

Each model has a few candidate settings; the one with the lowest NLL on ``valid`` is scored on ``test``. The CPU
setting trains the pixel models on a subset, stated in the table; the GPU setting trains all on all 50,000 rows.

    python benchmarks/binarized_mnist.py --data FOLDER --setting cpu --models MADE VAE
    python benchmarks/binarized_mnist.py --data FOLDER --setting gpu
"""

import time

import numpy as np
from datasets import binarized_mnist, parser, versions

from sklatent import MADEDensity, PixelCNNDensity, PixelRNNDensity, VAETransformer

SHAPE = (28, 28)
PUBLISHED = {
    "FVBN": "88.3 (NADE; Larochelle and Murray 2011)",
    "MADE": "86.6 (Germain et al. 2015)",
    "PixelCNN": "81.30 (van den Oord et al. 2016)",
    "Row LSTM": "80.54 (van den Oord et al. 2016)",
    "Diagonal BiLSTM": "79.20 (van den Oord et al. 2016)",
    "VAE": "about 87 with 50 draws (Burda et al. 2016)",
}


def cpu():
    """Name -> (training rows, candidates)."""
    made = {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 20}
    pixel = {"learning_rate": 5e-3, "max_iter": 5, "batch_size": 32}
    rnn = {"n_filters": 16, "n_layers": 2, "max_iter": 4}
    vae = {"likelihood": "bernoulli", "architecture": "mlp", "hidden_layer_sizes": (300, 300), "max_iter": 25}
    return {
        "FVBN": (50_000, [MADEDensity(hidden_layer_sizes=(), learning_rate=r, **made) for r in (0.01, 0.03)]),
        "MADE": (
            50_000,
            [
                MADEDensity(hidden_layer_sizes=(500,), learning_rate=0.01, **made, **options)
                for options in ({"weight_decay": 0.1}, {"weight_decay": 0.1, "ema_decay": 0.999})
            ],
        ),
        "VAE": (50_000, [VAETransformer(32, **vae, learning_rate=r) for r in (2e-3, 5e-3)]),
        "PixelCNN": (
            10_000,
            [PixelCNNDensity(n_filters=32, n_blocks=3, dropout=0.0, **pixel, ema_decay=e) for e in (0.0, 0.99)],
        ),
        "Row LSTM": (4_000, [PixelRNNDensity(cell="row_lstm", **rnn, learning_rate=r) for r in (5e-3, 1e-2)]),
        "Diagonal BiLSTM": (
            4_000,
            [PixelRNNDensity(cell="diagonal_bilstm", **rnn, learning_rate=r) for r in (5e-3, 1e-2)],
        ),
    }


def gpu():
    """Name -> (training rows, candidates); about 10 minutes of training each on an H200."""
    made = {"early_stopping": True, "n_iter_no_change": 10, "max_iter": 100}
    pixel = {"n_filters": 96, "ema_decay": 0.9995, "batch_size": 64, "precision": "bfloat16", "compile": True}
    rnn = {"n_filters": 32, "n_layers": 7, "max_iter": 25, "ema_decay": 0.999, "batch_size": 64, "dropout": 0.2}
    vae = {"likelihood": "bernoulli", "max_iter": 200, "batch_size": 256}
    return {
        "FVBN": (50_000, [MADEDensity(hidden_layer_sizes=(), learning_rate=r, **made) for r in (0.01, 0.03)]),
        "MADE": (
            50_000,
            [
                MADEDensity(hidden_layer_sizes=(1000, 1000), n_masks=n, learning_rate=5e-3, ema_decay=0.999, **made)
                for n in (1, 32)
            ],
        ),
        "VAE": (50_000, [VAETransformer(32, hidden_layer_sizes=(64, 128, 256, 256), **vae), VAETransformer(50, **vae)]),
        "PixelCNN": (
            50_000,
            [
                PixelCNNDensity(n_blocks=10, dropout=0.5, max_iter=60, **pixel),
                PixelCNNDensity(n_blocks=5, n_scales=2, dropout=0.5, max_iter=60, **pixel),
            ],
        ),
        "Row LSTM": (50_000, [PixelRNNDensity(cell="row_lstm", learning_rate=r, **rnn) for r in (3e-3, 1e-2)]),
        "Diagonal BiLSTM": (
            50_000,
            [PixelRNNDensity(cell="diagonal_bilstm", learning_rate=r, **rnn) for r in (3e-3, 1e-2)],
        ),
    }


def nll(model, X):
    return -model.score(X)


def changed(model):
    """The parameters that differ from the defaults, short."""
    defaults = type(model)().get_params()
    left_out = ("image_shape", "random_state", "verbose")
    return ", ".join(f"{k}={v}" for k, v in model.get_params().items() if v != defaults[k] and k not in left_out)


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--setting", choices=["cpu", "gpu"], default="cpu")
    arguments.add_argument("--models", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED))
    arguments.add_argument("--verbose", type=int, default=0)
    arguments = arguments.parse_args()
    train, valid, test = binarized_mnist(arguments.data, arguments.seed)
    n_valid = 2000 if arguments.setting == "cpu" else len(valid)
    models = {"cpu": cpu, "gpu": gpu}[arguments.setting]()
    print(f"{versions()}; seed {arguments.seed}; chosen on {n_valid} rows of valid, scored on {len(test)} of test\n")
    print("| model | test NLL, nats | published | training rows | training, s | chosen setting | candidates on valid |")
    print("| --- | ---: | --- | ---: | ---: | --- | --- |")
    for name in arguments.models:
        n_rows, candidates = models[name]
        losses, seconds = [], []
        for model in candidates:
            model.set_params(image_shape=SHAPE, random_state=arguments.seed, verbose=arguments.verbose)
            start = time.perf_counter()
            model.fit(train[:n_rows])
            seconds.append(time.perf_counter() - start)
            losses.append(nll(model, valid[:n_valid]))
        best = int(np.argmin(losses))
        print(
            f"| {name} | {nll(candidates[best], test):.2f} | {PUBLISHED[name]} | {n_rows} | {seconds[best]:.0f} | "
            f"{changed(candidates[best])} | {', '.join(f'{loss:.2f}' for loss in losses)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
