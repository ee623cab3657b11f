"""Time of a fit by several processes over that by one, with the same batch: its rows are shared out.

Processes are started as torchrun does, one thread each. Of each fit the fastest epoch counts, as machines have other
work, and so do the fewest seconds of a processor that one process has spent on an epoch: what an epoch takes where
each has a core to itself, but for the time that a message is on its way. Losses are those of all epochs. "MB a step"
is what a process sends, the gradient; as much comes back.

    python benchmarks/scaling.py --data FOLDER
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from datasets import images, parser, versions
from skorch.callbacks import Callback

from sklatent import AutoencoderTransformer, MADEDensity, PixelCNNDensity

COMMON = {"batch_size": 256, "random_state": 0, "device": "cpu"}
MODELS = {
    "dense autoencoder 784-256-32": lambda n: AutoencoderTransformer(
        32, image_shape=(28, 28), architecture="mlp", hidden_layer_sizes=(256,), max_iter=n, **COMMON
    ),
    "convolutional autoencoder": lambda n: AutoencoderTransformer(32, image_shape=(28, 28), max_iter=n, **COMMON),
    "MADE 784-500, Bernoulli": lambda n: MADEDensity(hidden_layer_sizes=(500,), max_iter=n, **COMMON),
    "PixelCNN, 2 blocks of 16, Bernoulli": lambda n: PixelCNNDensity(
        image_shape=(28, 28), n_levels=2, n_filters=16, n_blocks=2, max_iter=n, **COMMON
    ),
}


def rows_of(name, X):
    return (X > 127).astype(np.uint8) if "Bernoulli" in name else X


class Clock(Callback):
    """Seconds of the processor, of each epoch."""

    def on_epoch_begin(self, net, **kwargs):
        self.start = time.process_time()

    def on_epoch_end(self, net, **kwargs):
        net.history.record("cpu", time.process_time() - self.start)


def fitted(arguments):
    """In each of the processes: losses and seconds of epochs, and weights."""
    X = images("mnist", arguments.data)[0][: arguments.rows]
    found = {}
    for name, make in MODELS.items():
        n_rows = arguments.rows // (8 if "PixelCNN" in name or "conv" in name else 1)
        estimator = make(arguments.epochs).set_params(callbacks=[Clock()]).fit(rows_of(name, X[:n_rows]))
        found[name] = {
            "rows": n_rows,
            "losses": [epoch["train_loss"] for epoch in estimator.history_],
            "seconds": [epoch["dur"] for epoch in estimator.history_],
            "cpu": [epoch["cpu"] for epoch in estimator.history_],
            "weights": sum(weight.numel() for weight in estimator.net_.module_.parameters()),
        }
    if int(os.environ.get("RANK", 0)) == 0:
        arguments.child.write_text(json.dumps(found))


def started(n_processes, arguments):
    """What the first of so many processes has found."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "found.json")
        options = ["--data", str(arguments.data)] if arguments.data else []
        options += ["--rows", str(arguments.rows), "--epochs", str(arguments.epochs), "--child", str(out)]
        run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n_processes)]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, *run, __file__, *options], check=True, env=one_thread)
        return json.loads(out.read_text())


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--rows", type=int, default=20000)
    arguments.add_argument("--epochs", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--child", type=Path, help="used by the script itself")
    arguments = arguments.parse_args()
    if arguments.child:
        return fitted(arguments)
    runs = {n: [] for n in arguments.processes}
    for _ in range(arguments.rounds):  # in turn: what else the machine does hits all alike
        for n, found in runs.items():
            found.append(started(n, arguments))
    print(f"{os.cpu_count()} cores, one thread a process; {versions()}\n")
    columns = "rows", "processes", "epoch, s", "over one", "CPU of each, s", "over one", "MB a step", "losses apart"
    print(f"| batch of 256 | {' | '.join(columns)} |\n| --- | {' | '.join(['---:'] * len(columns))} |")
    for name in MODELS:
        one = [run[name] for run in runs[arguments.processes[0]]]
        for n, of_n in runs.items():
            these = [run[name] for run in of_n]
            values = [these[0]["rows"], n]
            for kind in ("seconds", "cpu"):
                least, of_one = (min(min(each[kind]) for each in some) for some in (these, one))
                values += [f"{least:.2f}", f"{least / of_one:.2f}"]
            sent = 4e-6 * these[0]["weights"] if n > 1 else 0
            apart = np.abs(np.divide(these[0]["losses"], one[0]["losses"]) - 1).max()
            print(f"| {name} | {' | '.join(map(str, values))} | {sent:.1f} | {apart:.0e} |")


if __name__ == "__main__":
    main()
