"""A density's hidden activations as features: digits accuracy beside PCA's, by number of labelled rows.

Both are fitted on all training rows without a label; ``LogisticRegression`` then learns from the first rows: once on
the features as they come, once on standardised ones. PCA and a denoising autoencoder have as many codes as the
PixelCNN has filters; every hidden layer of it is shown.

    python benchmarks/density_features.py
"""

import copy
import time

from datasets import parser
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklatent import AutoencoderTransformer, PixelCNNDensity


def accuracies(encoder, scale, X, y, X_test, y_test, n_labelled):
    """Test accuracy in percent for each number of labelled rows."""
    classifier = make_pipeline(FrozenEstimator(encoder), scale, LogisticRegression(max_iter=5000))
    return [100 * clone(classifier).fit(X[:n], y[:n]).score(X_test, y_test) for n in n_labelled]


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--epochs", type=int, default=15)
    arguments = arguments.parse_args()
    X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), test_size=0.3, random_state=arguments.seed)
    n_labelled = (100, 300, len(X))

    start = time.perf_counter()
    density = PixelCNNDensity(image_shape=(8, 8), max_iter=arguments.epochs, random_state=arguments.seed).fit(X)
    seconds = time.perf_counter() - start
    print(f"PixelCNN: {arguments.epochs} epochs, {seconds:.0f} s; accuracy in % on {len(X_test)} rows\n")
    n_layers = density.net_.module_.core.n_layers
    features = {"raw pixels": FunctionTransformer(), "PCA(48)": PCA(48, random_state=arguments.seed)}
    features["autoencoder, affine"] = AutoencoderTransformer(
        48, image_shape=(8, 8), corruption="affine", random_state=arguments.seed
    )
    features = {name: encoder.fit(X) for name, encoder in features.items()}
    for layer in range(n_layers):
        name = f"PixelCNN, layer {layer}" + (", the default" if layer == n_layers // 2 else "")
        features[name] = copy.copy(density).set_params(feature_layer=layer)
    for title, scale in (("as they come", "passthrough"), ("standardised", StandardScaler())):
        print(f"| features, {title} | " + " | ".join(f"{n} labels" for n in n_labelled) + " |")
        print("| --- |" + " ---: |" * len(n_labelled))
        for name, encoder in features.items():
            cells = accuracies(encoder, scale, X, y, X_test, y_test, n_labelled)
            print(f"| {name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)
        print()


if __name__ == "__main__":
    main()
