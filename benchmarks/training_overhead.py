"""Time of ``AutoencoderTransformer.fit`` over that of a bare torch loop, beside skorch as it comes, PyOD and pythae.

784-256-32 and back, batch 128, 20,000 MNIST rows, fitted in turn in one run; the ratio of the medians is what counts,
for machines are noisy. The bare loop is what one would write by hand: rows scaled beforehand, a permutation, slices,
AdamW. What ``fit`` trains has a linear map beside the net, which starts at PCA: the loop is timed with it, too. Those
that are not installed are left out.

    python benchmarks/training_overhead.py --data FOLDER
"""

import time
import warnings

import loops
import numpy as np
from datasets import images, parser, versions


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--epochs", type=int, default=3)
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore")  # of fits that are short
    X = images("mnist", arguments.data)[0][:20000]
    as_float = X.astype(np.float32)
    variants = {
        "bare loop, float32": (loops.bare, as_float),
        "bare loop with the module of fit": (loops.bare_ours, as_float),
        "fit, float32": (loops.ours, as_float),
        "fit, uint8": (loops.ours, X),
        "skorch's default": (loops.skorch_default, as_float),
        "PyOD AutoEncoder": (loops.pyod_autoencoder, as_float),
        "PyOD VAE": (loops.pyod_vae, as_float),
        "pythae AE": (loops.pythae_autoencoder, as_float),
    }
    seconds = {name: [] for name in variants}
    for name, (fit, rows) in variants.items():
        try:
            fit(rows[:512], 1, "cpu")  # a warm-up round, not timed
        except ImportError as error:
            print(f"{name}: left out ({error})")
            del seconds[name]
    for _ in range(arguments.rounds):
        for name in seconds:
            fit, rows = variants[name]
            start = time.process_time()
            fit(rows, arguments.epochs, "cpu")
            seconds[name].append(time.process_time() - start)
    bare = np.median(seconds["bare loop, float32"])
    print(f"\n{versions()}\n")
    print(
        f"| {arguments.epochs} epochs | median CPU s | fastest | ratio to the bare loop |\n| --- | ---: | ---: | ---: |"
    )
    for name, values in seconds.items():
        print(f"| {name} | {np.median(values):.2f} | {min(values):.2f} | {np.median(values) / bare:.2f} |")


if __name__ == "__main__":
    main()
