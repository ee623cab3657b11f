"""One row at a time, as a service is asked: the estimator in Python, and its file of ONNX in onnxruntime.

Milliseconds of processor time on one thread, the median over calls: for one row, and for 1,000 at once. Then the size
of the file, and seconds that its export takes. Rows are digits, 8 x 8 pixels, float32; those of the detectors and of
MADE are wine's 13 columns, drawn 1,000 times with noise. Nets are trained for an epoch: time does not depend on what
they have learned.

    python benchmarks/one_row.py
"""

import time
import warnings

import numpy as np
import onnxruntime
from datasets import parser, versions
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklatent import (
    AutoencoderTransformer,
    DensityOutlierDetector,
    EncoderClassifier,
    MADEDensity,
    PixelCNNDensity,
    TwoViewTransformer,
    VAETransformer,
)
from sklatent.onnx import to_onnx

N_CALLS, N_ROWS = 200, 1000


def models(seed):
    """Name, the method asked, the fitted estimator, rows."""
    X, y = load_digits(return_X_y=True)
    X, images = X.astype(np.float32), {"image_shape": (8, 8), "max_iter": 1, "random_state": seed}
    few = np.where(np.arange(len(y)) < 100, y, -1)
    random = np.random.RandomState(seed)
    wine = load_wine().data
    wine = wine[random.randint(len(wine), size=N_ROWS)] * random.normal(1, 0.05, size=(N_ROWS, 13))
    classifier = make_pipeline(AutoencoderTransformer(32, **images), LogisticRegression(max_iter=1000))
    yield "autoencoder, logistic regression", "predict_proba", classifier.fit(X, y), X
    yield "VAE, 50 draws", "score_samples", VAETransformer(8, **images).fit(X), X
    yield "PixelCNN, 48 filters, 4 blocks", "score_samples", PixelCNNDensity(**images).fit(X), X
    few_labels = EncoderClassifier(TwoViewTransformer(32, **images), max_iter=1, n_rounds=1, random_state=seed)
    yield "EncoderClassifier, by the graph", "predict_proba", few_labels.fit(X, few), X
    made = MADEDensity(max_iter=1, random_state=seed).fit(wine)
    yield "MADE, 13 columns", "score_samples", made, wine
    mixture = make_pipeline(StandardScaler(), GaussianMixture(3, random_state=seed))
    yield "detector over a mixture", "p_values", DensityOutlierDetector(mixture, random_state=seed).fit(wine), wine
    yield "the default detector", "p_values", DensityOutlierDetector(random_state=seed).fit(wine), wine


def milliseconds(call, n_calls):
    call()
    seconds = []
    for _ in range(n_calls):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return 1e3 * np.median(seconds)


def main():
    seed = parser(__doc__.splitlines()[0]).parse_args().seed
    warnings.simplefilter("ignore")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    print(f"{versions()}, onnxruntime {onnxruntime.__version__}\n")
    print(
        "| model | method | Python, 1 row, ms | ONNX, 1 row, ms | ratio | Python, 1,000, ms | ONNX, 1,000, ms "
        "| file, kB | export, s |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, method, estimator, X in models(seed):
        start = time.process_time()
        content = to_onnx(estimator, X[:100]).SerializeToString()
        export = time.process_time() - start
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        ask, times = getattr(estimator, method), []
        for n, n_calls in ((1, N_CALLS), (N_ROWS, 5)):
            rows = X[:n]
            times.append(milliseconds(lambda rows=rows: ask(rows), n_calls))  # noqa: B023
            times.append(milliseconds(lambda rows=rows: session.run([method], {"X": rows}), n_calls))  # noqa: B023
        one, one_onnx, many, many_onnx = times
        print(
            f"| {name} | `{method}` | {one:.2f} | {one_onnx:.3f} | {one / one_onnx:.0f} | {many:.0f} | {many_onnx:.0f} "
            f"| {len(content) / 1e3:.0f} | {export:.1f} |",
            flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
