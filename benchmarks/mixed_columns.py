"""Tables with levels beside real values: held-out log-likelihood, and codes for a classifier.

All scores of a table are of one kind: a density, in units of each real column's standard deviation, times the
probability of the columns of levels, in nats. ``Marginals`` are independent columns: smoothed frequencies, and of real
values the best of 1 to 5 normals by BIC. ``GaussianMixture`` is grid-searched by cross-validation on rows whose levels
have noise of their width; its log-density on such rows is, in the mean, a lower bound on the log-score of the rows
themselves (Theis, van den Oord, Bethge 2016), here the mean of ten draws. Half of the rows are fitted on, up to 1,000.

``codes``: area under the ROC curve of LogisticRegression with ten labels of each of the two classes, mean over 20
draws of the labels, of standardised rows, and of as many codes of PCA of these, of ``VAETransformer(likelihood=
"gaussian")`` and of ``"auto"``.

Hepatitis and Cardiotocography were looked at when the likelihood of levels was chosen; the rest not but as the results
say.

    python benchmarks/mixed_columns.py --data FOLDER
"""

import time
import warnings
from pathlib import Path

import numpy as np
from datasets import parser, versions
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from sklatent import MADEDensity, VAETransformer

ADBENCH = ["15_Hepatitis", "7_Cardiotocography", "29_Pima", "11_donors", "35_SpamBase", "5_campaign"]
GRID = {"n_components": [1, 2, 3, 5, 10, 20], "covariance_type": ["full", "diag"], "reg_covar": [1e-3, 1e-2, 1e-1]}


def tables(data):
    X, y = load_wine(return_X_y=True)
    yield "wine", X, y == 0
    for name in ADBENCH if data else []:
        with np.load(Path(data) / "adbench" / f"{name}.npz") as arrays:
            yield name.split("_")[1], arrays["X"].astype(float), arrays["y"] > 0


def split(X, y, seed):
    """Rows to fit on and rows to score, without a level that is new but for counts, and their classes."""
    order = np.random.RandomState(seed).permutation(len(X))[:2000]
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    X_train, varies = X[train], X[train].std(axis=0) > 0
    X_train, X_test = X_train[:, varies], X[test][:, varies]
    inside = (X_test >= X_train.min(axis=0)) & (X_test <= X_train.max(axis=0)) | (np.ptp(X_train, axis=0) > 16)
    known = (inside & (np.rint(X_test) == X_test)) | ~whole(X_train)
    return X_train, y[train], X_test[known.all(axis=1)], y[test][known.all(axis=1)]


def whole(X):
    """Columns of whole numbers, of up to 256 levels."""
    few = (np.ptp(X, axis=0) < 256) | np.array([len(np.unique(column)) == 2 for column in X.T])
    return (np.rint(X) == X).all(axis=0) & few


def marginals(X, X_test):
    total = 0.0
    for column, new, levels in zip(X.T, X_test.T, whole(X), strict=True):
        if levels:
            values, counts = np.unique(column, return_counts=True)
            n_levels = 2 if len(values) == 2 else np.ptp(values) + 1
            seen = dict(zip(values, counts, strict=True))
            found = np.array([seen.get(value, 0) for value in new])
            total += np.log((found + 0.5) / (len(column) + 0.5 * n_levels)).mean()
        else:
            column, new = column[:, np.newaxis], new[:, np.newaxis]
            fits = [GaussianMixture(k, reg_covar=1e-3, random_state=0).fit(column) for k in range(1, 6)]
            total += min(fits, key=lambda fit: fit.bic(column)).score(new)
    return total


def mixture(X, X_test, widths, seed):
    random = np.random.RandomState(seed)

    def noisy(rows):
        return rows + widths * (random.rand(*rows.shape) - 0.5)

    scaler = StandardScaler().fit(X)
    search = GridSearchCV(GaussianMixture(random_state=seed), GRID, cv=3, error_score=-np.inf)
    search.fit(scaler.transform(noisy(X)))
    scores = [search.score(scaler.transform(noisy(X_test))) for _ in range(10)]
    return np.mean(scores) - np.log(scaler.scale_).sum() + np.log(widths[widths > 0]).sum()


def auc(Z, y, Z_test, y_test, seed):
    scores = []
    for draw in range(20):
        random = np.random.RandomState(100 * seed + draw)
        some = np.concatenate([random.permutation(np.flatnonzero(y == kind))[:10] for kind in (False, True)])
        scaler = StandardScaler().fit(Z)
        model = LogisticRegression(max_iter=2000).fit(scaler.transform(Z[some]), y[some])
        scores.append(roc_auc_score(y_test, model.decision_function(scaler.transform(Z_test))))
    return np.mean(scores)


def cells(X, y, X_test, y_test, seed):
    levels = whole(X)
    scale = np.where(levels, 1.0, X.std(axis=0))
    X, X_test = X / scale, X_test / scale
    two = np.array([len(np.unique(column)) == 2 for column in X.T])
    widths = np.where(levels, np.where(two, np.ptp(X, axis=0), 1.0), 0.0)
    yield marginals(X, X_test)
    yield mixture(X, X_test, widths, seed)
    k = min(8, X.shape[1] // 2)
    vae = VAETransformer(k, random_state=seed).fit(X)
    for model in (MADEDensity(random_state=seed).fit(X), vae):
        yield model.score(X_test)
    scaler = StandardScaler().fit(X)
    U, U_test = scaler.transform(X), scaler.transform(X_test)
    yield auc(U, y, U_test, y_test, seed)
    pca = PCA(k, random_state=0).fit(U)
    yield auc(pca.transform(U), y, pca.transform(U_test), y_test, seed)
    for model in (VAETransformer(k, likelihood="gaussian", random_state=seed).fit(X), vae):
        yield auc(model.transform(X), y, model.transform(X_test), y_test, seed)


def main():
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments = options.parse_args()
    warnings.simplefilter("ignore")
    print(f"{versions()}; means over seeds {arguments.seeds}\n")
    heads = ["marginals", "GaussianMixture", "MADE", "VAE", "codes: raw", "PCA", 'VAE "gaussian"', 'VAE "auto"']
    print("| table | rows x columns, of levels | " + " | ".join(heads) + " | s |")
    print("| --- | --- |" + " ---: |" * (len(heads) + 1))
    for name, X, y in tables(arguments.data):
        start, found = time.perf_counter(), []
        for seed in arguments.seeds:
            rows = split(X, y, seed)
            found.append(list(cells(*rows, seed)))
        told = " | ".join(f"{value:.2f}" if i < 4 else f"{value:.3f}" for i, value in enumerate(np.mean(found, axis=0)))
        shape = f"{len(rows[0])} x {rows[0].shape[1]}, {whole(rows[0]).sum()}"
        print(f"| {name} | {shape} | {told} | {time.perf_counter() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
