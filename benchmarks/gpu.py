"""All that only a GPU can tell, in order of worth; each part writes its table as it goes.

In under 25 minutes on one H100 or H200. Without a GPU it says so and ends; ``--device cpu --quick`` tries the script.

    python benchmarks/gpu.py --data FOLDER [--parts fit speed ...] [--quick]
"""

import pickle
import platform
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import loops
import numpy as np
import torch
from datasets import images, parser, versions
from sklearn.datasets import load_digits

from sklatent import AutoencoderTransformer, MADEDensity, PixelCNNDensity, VAETransformer
from sklatent._bridge import training

HERE = Path(__file__).parent


def medians(calls, device, rounds):
    """Median seconds of calls, {name: function}, that take turns; each waits for the device."""
    seconds = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if device == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(values[1:])) for name, values in seconds.items()}


def rows_of(arguments):
    if arguments.quick:
        return np.tile((load_digits().data * 15).astype(np.uint8), (1, 13))[:160, :784]
    return images("mnist", arguments.data)[0]


def moved(arguments):
    """What is fitted on the device gives the same on the CPU, after a pickle: the largest difference."""
    X = rows_of(arguments)[:2000]
    bits = (X > 127).astype(np.uint8)
    usual = {"max_iter": 2, "random_state": 0, "device": arguments.device}
    models = {
        "AutoencoderTransformer, transform": (AutoencoderTransformer(8, **usual), X, "transform"),
        "VAETransformer, conv, score_samples": (VAETransformer(8, image_shape=(28, 28), **usual), X, "score_samples"),
        "MADEDensity, score_samples": (MADEDensity(**usual), bits[:, ::8], "score_samples"),
        "PixelCNNDensity, score_samples": (
            PixelCNNDensity(image_shape=(28, 28), n_filters=8, n_blocks=2, batch_size=64, **usual),
            bits,
            "score_samples",
        ),
    }  # fmt: skip
    yield "| fitted here, loaded on the CPU | largest difference | largest value |\n| --- | ---: | ---: |"
    for name, (model, rows, verb) in models.items():
        here = getattr(model.fit(rows), verb)(rows[:200])
        model.device = "cpu"
        there = getattr(pickle.loads(pickle.dumps(model)), verb)(rows[:200])
        yield f"| {name} | {np.abs(here - there).max():.2e} | {np.abs(here).max():.1f} |"


def speed(arguments):
    """``fit`` beside skorch's default and a loop written by hand with its rows on the device."""
    X, device = rows_of(arguments).astype(np.float32), arguments.device
    n_epochs, rounds = (1, 1) if arguments.quick else (3, 3)
    cases = {
        "dense autoencoder": (loops.bare, loops.ours, loops.skorch_default),
        "convolutional VAE": (loops.bare_conv_vae, loops.conv_vae),
    }
    yield f"{len(X):,} rows of 784, {n_epochs} epochs; median seconds, and the ratio to the loop.\n"
    yield "| model, batch | loop | fit | | skorch | |\n| --- | ---: | ---: | ---: | ---: | ---: |"
    for batch_size in (128, 1024):
        for name, fits in cases.items():
            calls = {fit.__name__: lambda fit=fit, b=batch_size: fit(X, n_epochs, device, b) for fit in fits}
            first, *others = medians(calls, device, rounds).values()
            told = " | ".join(f"{value:.2f} | {value / first:.2f}" for value in others)
            yield f"| {name}, {batch_size} | {first:.2f} | {told} |"


def pixels(arguments):
    """A PixelCNN's training: float32 beside bfloat16, compiled or not, with CUDA graphs or without."""
    X = (rows_of(arguments) > 127).astype(np.uint8)[: 256 if arguments.quick else 10_000]
    usual = {"n_filters": 64, "n_blocks": 5, "batch_size": 64, "max_iter": 2, "random_state": 0}
    usual |= {"image_shape": (28, 28), "device": arguments.device} | (
        {"n_filters": 4, "n_blocks": 1} if arguments.quick else {}
    )
    yield "| PixelCNN, 64 filters, 5 blocks, batches of 64 | s an epoch | loss of the last |\n| --- | ---: | ---: |"
    for precision, mode in (
        ("float32", None),
        ("bfloat16", None),
        ("bfloat16", "default"),
        ("bfloat16", "reduce-overhead"),
    ):
        training.COMPILE_MODE = mode
        model = PixelCNNDensity(**usual, precision=precision, compile=mode is not None)
        epoch = model.fit(X).history_[-1]  # the second: compiling is over
        how = "eager" if mode is None else f"compiled, {mode}"
        yield f"| {precision}, {how} | {epoch['dur']:.2f} | {epoch['train_loss']:.2f} |"
    training.COMPILE_MODE = None


def tests(arguments):
    """The whole suite: ``device="auto"`` is the GPU in it."""
    command = [sys.executable, "-m", "pytest", "-n", "8", "--dist", "worksteal", "-p", "no:cacheprovider"]
    command += ["tests/test_state.py"] if arguments.quick else []
    ran = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True)
    yield (
        "```\n"
        + "\n".join(line for line in ran.stdout.splitlines() if re.search(r"FAILED|ERROR|passed", line))
        + "\n```"
    )


def script(name, *options):
    """Another benchmark's table, as that prints it."""

    def run(arguments):
        data = ["--data", str(arguments.data)] if arguments.data else []
        command = [sys.executable, str(HERE / f"{name}.py"), *data, *options]
        yield f"`python benchmarks/{name}.py {' '.join(options)}`\n"
        ran = subprocess.run(command, capture_output=True, text=True)
        yield ran.stdout if ran.returncode == 0 else f"It failed: {ran.stderr.splitlines()[-1]}"

    run.__doc__ = f"``{name}.py`` with the defaults, on this device."
    return run


PARTS = {
    "moved": moved,
    "speed": speed,
    "tests": tests,
    "pixels": pixels,
    "few_labels": script("low_label", "--task", "mnist", "--draws", "1", "--methods", "ours"),
    "anomaly_images": script("anomaly_images", "--sets", "fashion-mnist"),
    "binarized_mnist": script("binarized_mnist", "--setting", "gpu", "--models", "PixelCNN", "Diagonal BiLSTM"),
}


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments.add_argument("--device", default="cuda")
    arguments.add_argument("--quick", action="store_true", help="a few rows: to see that the script runs")
    arguments.add_argument("--output", type=Path, default=HERE / "results")
    arguments = arguments.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("Skipped: torch finds no GPU here.")
        return
    warnings.simplefilter("ignore")  # of fits that are short
    named = torch.cuda.get_device_name() if arguments.device == "cuda" else platform.processor() or "CPU"
    for name in arguments.parts:
        start, file = time.perf_counter(), arguments.output / f"gpu_{name}.md"
        file.write_text(f"# {PARTS[name].__doc__.splitlines()[0]}\n\n{named}; {versions()}\n\n")
        for line in PARTS[name](arguments):
            print(line, flush=True)
            with file.open("a") as table:
                table.write(line + "\n")
        with file.open("a") as table:
            table.write(f"\n{time.perf_counter() - start:.0f} s in all.\n")


if __name__ == "__main__":
    main()
