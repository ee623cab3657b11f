"""Time of ``AutoencoderTransformer.fit`` over that of a bare torch loop with the same layers.

784-256-32 and back, batch 128, 20,000 MNIST rows, fitted alternately in one run; the ratio of the medians is what
counts, for machines are noisy. The bare loop is what one would write by hand: rows scaled beforehand to a float
tensor, a permutation, slices, Adam with decoupled weight decay.

    python benchmarks/training_overhead.py --data FOLDER
"""

import time

import numpy as np
import torch
from datasets import images, parser, versions
from torch import nn

from sklatent import AutoencoderTransformer


def bare_loop(X, n_epochs, batch_size=128):
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 32), nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 784)
    )
    rows = torch.from_numpy(X)
    rows = (rows - rows.mean()) / rows.std()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    for _ in range(n_epochs):
        order = torch.randperm(len(rows))
        for start in range(0, len(rows), batch_size):
            batch = rows[order[start : start + batch_size]]
            loss = (model(batch) - batch).square().sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


def ours(X, n_epochs):
    encoder = AutoencoderTransformer(
        32, image_shape=(28, 28), architecture="mlp", hidden_layer_sizes=(256,), batch_size=128, max_iter=n_epochs,
        random_state=0, device="cpu",
    )  # fmt: skip
    return encoder.fit(X).history_[-1]["train_loss"]


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--epochs", type=int, default=3)
    arguments = arguments.parse_args()
    X = images("mnist", arguments.data)[0][:20000]
    as_float = X.astype(np.float32)
    variants = {
        "bare loop, float32": lambda: bare_loop(as_float, arguments.epochs),
        "fit, float32": lambda: ours(as_float, arguments.epochs),
        "fit, uint8": lambda: ours(X, arguments.epochs),
    }
    seconds = {name: [] for name in variants}
    for name, fit in variants.items():
        print(f"{name}: final loss {fit():.1f} (warm-up round, not timed)")
    for _ in range(arguments.rounds):
        for name, fit in variants.items():
            start = time.perf_counter()
            fit()
            seconds[name].append(time.perf_counter() - start)
    bare = np.median(seconds["bare loop, float32"])
    print(f"\n{versions()}\n")
    print(
        f"| {arguments.epochs} epochs | median s | fastest s | ratio to the bare loop |\n| --- | ---: | ---: | ---: |"
    )
    for name, values in seconds.items():
        print(f"| {name} | {np.median(values):.2f} | {min(values):.2f} | {np.median(values) / bare:.2f} |")


if __name__ == "__main__":
    main()
