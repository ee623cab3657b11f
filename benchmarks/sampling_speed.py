"""Cached sampling beside a full forward pass for each pixel: 64 images of 28 x 28 from a gated PixelCNN.

60 filters, 7 blocks, the same weights (untrained: speed does not depend on them) and one process. The naive side is
timed on some of the pixels and scaled up, for each of its passes costs the same. The cost by quarter of the image
shows that a pixel's cost does not grow with the number of pixels drawn before it.

    python benchmarks/sampling_speed.py
"""

import time

import torch
from datasets import parser, versions

from sklatent._nn.autoregressive import AutoregressiveModel
from sklatent._nn.likelihoods import Categorical
from sklatent._nn.pixelcnn import PixelCNN
from sklatent._nn.scaling import Levels

HEIGHT = WIDTH = 28


def naive_pixel(model, levels, generator):
    """Draw one pixel the way that needs no cache: all of the image through the net, all but one column unused."""
    params = model.core(levels)[:, levels.shape[1] // 2]
    return model.likelihood.draw(params, generator)


def quarters(model, n, generator):
    """Seconds that each quarter of the pixels takes, cached."""
    steps, chosen, seconds = model.core.steps(n), None, []
    start = time.perf_counter()
    for count in range(1, HEIGHT * WIDTH + 1):
        chosen = model.likelihood.draw(steps.send(chosen), generator)
        if count % (HEIGHT * WIDTH // 4) == 0:
            seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
    return seconds


@torch.inference_mode()
def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--images", type=int, default=64)
    arguments.add_argument("--naive-pixels", type=int, default=8)
    arguments.add_argument("--levels", type=int, nargs="+", default=[2, 256])
    arguments = arguments.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{versions()}; {arguments.images} images\n")
    print("| levels | naive, s | cached, s | ratio | cached by quarter of the image, s |")
    print("| ---: | ---: | ---: | ---: | --- |")
    for n_levels in arguments.levels:
        torch.manual_seed(arguments.seed)
        core = PixelCNN((1, HEIGHT, WIDTH), n_levels, n_filters=60, n_blocks=7).eval()
        model = AutoregressiveModel(Levels(HEIGHT * WIDTH, n_levels, whole=True), core, Categorical(n_levels)).to(
            device
        )
        generator = torch.Generator(device).manual_seed(arguments.seed)
        levels = torch.zeros(arguments.images, HEIGHT * WIDTH, dtype=torch.int64, device=device)
        naive_pixel(model, levels, generator)
        start = time.perf_counter()
        for _ in range(arguments.naive_pixels):
            naive_pixel(model, levels, generator)
        naive = (time.perf_counter() - start) / arguments.naive_pixels * HEIGHT * WIDTH
        model.sample(2, generator)
        start = time.perf_counter()
        model.sample(arguments.images, generator)
        cached = time.perf_counter() - start
        by_quarter = ", ".join(f"{seconds:.2f}" for seconds in quarters(model, arguments.images, generator))
        print(f"| {n_levels} | {naive:.0f} | {cached:.2f} | {naive / cached:.0f} | {by_quarter} |", flush=True)


if __name__ == "__main__":
    main()
