"""Time of a fit by several processes over that by one, with the same batch: its rows are shared out.

Processes are started as torchrun does, one thread each. Of each fit the fastest epoch counts, as machines have other
work, and so do the fewest seconds of a processor that one process has spent on an epoch: what an epoch takes where
each has a core to itself, but for the time that a message is on its way. Losses are those of all epochs. "MB a step"
is what a process sends, the gradient; as much comes back.

The second table is on paper: of n processes each has 1 / n of the seconds that one process takes for a step, and sends
2 (n - 1) / n times the gradient around a ring, at so many gigabits a second. What all do alike, such as the step of the
optimizer, is left out, and so are the times that a message is on its way.

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
    "dense autoencoder, batch of 2048": lambda n: AutoencoderTransformer(
        32,
        image_shape=(28, 28),
        architecture="mlp",
        hidden_layer_sizes=(256,),
        max_iter=n,
        **{**COMMON, "batch_size": 2048},
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
            "steps": estimator.n_steps_ / arguments.epochs,
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
    on_paper({name: [run[name] for run in runs[arguments.processes[0]]] for name in MODELS})


def on_paper(one):
    """Time of a step of n processes over that of one."""
    cases = [(n, gigabits) for n in (2, 8, 32) for gigabits in (1, 10, 100)]
    print(f"\n| over one, on paper | {' | '.join(f'{n}, {gigabits} Gbit/s' for n, gigabits in cases)} |")
    print(f"| --- | {' | '.join(['---:'] * len(cases))} |")
    for name, found in one.items():
        step = min(min(each["seconds"]) for each in found) / found[0]["steps"]
        sent = [2 * (n - 1) / n * 32 * found[0]["weights"] / (gigabits * 1e9) for n, gigabits in cases]
        ratios = [1 / n + seconds / step for (n, _), seconds in zip(cases, sent, strict=True)]
        print(f"| {name} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")


if __name__ == "__main__":
    main()
