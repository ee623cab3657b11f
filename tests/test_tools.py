"""Other tools that a project may have: what they are told by callbacks, search over parameters, make of tables."""

import logging

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from sklatent import AutoencoderTransformer, MADEDensity

pytestmark = pytest.mark.filterwarnings("ignore")


def rows():
    X, y = load_digits(return_X_y=True)
    return X[:200], y[:200]


def encoder(**options):
    return AutoencoderTransformer(4, hidden_layer_sizes=(8,), **{"max_iter": 3, "random_state": 0} | options)


def losses(estimator):
    return [epoch["train_loss"] for epoch in estimator.history_]


def test_tensorboard_is_told_of_each_epoch(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from skorch.callbacks import TensorBoard
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        fitted = encoder(early_stopping=True, callbacks=[TensorBoard(writer)]).fit(rows()[0])
    told = accumulators.EventAccumulator(str(tmp_path)).Reload()
    assert set(told.Tags()["scalars"]) >= {"Loss/train_loss", "Loss/valid_loss"}
    assert_allclose([event.value for event in told.Scalars("Loss/train_loss")], losses(fitted), rtol=1e-6)


def test_mlflow_is_told_of_each_epoch(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # it would rather have a database
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    from skorch.callbacks import MlflowLogger

    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as run:
        fitted = encoder(callbacks=[MlflowLogger(create_artifact=False)]).fit(rows()[0])
        mlflow.log_params(fitted.get_params())
    told = mlflow.tracking.MlflowClient().get_metric_history(run.info.run_id, "train_loss")
    assert_allclose([metric.value for metric in told], losses(fitted), rtol=1e-6)
    assert mlflow.get_run(run.info.run_id).data.params["n_components"] == "4"


def test_halving_over_epochs():
    X, y = rows()
    pipeline = make_pipeline(encoder(), LogisticRegression(max_iter=50))
    search = HalvingGridSearchCV(
        pipeline, {"autoencodertransformer__learning_rate": [1e-5, 1e-2]},
        resource="autoencodertransformer__max_iter", min_resources=1, max_resources=2, factor=2, cv=2, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert search.n_resources_ == [1, 2]
    assert search.best_estimator_[0].n_iter_ == 2


def test_optuna_over_parameters():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(logging.WARNING)
    X, _ = rows()

    def objective(trial):
        rate = trial.suggest_float("learning_rate", 1e-6, 1e-1, log=True)
        density = MADEDensity(
            hidden_layer_sizes=(), likelihood="categorical", learning_rate=rate, max_iter=2, random_state=0
        )
        return cross_val_score(density, X, cv=2).mean()

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=4)
    values = [trial.value for trial in study.trials]
    assert study.best_value == max(values)
    assert study.best_params["learning_rate"] == max(trial.params["learning_rate"] for trial in study.trials)


def test_a_vectorizer_of_skrub_in_front():
    skrub = pytest.importorskip("skrub")
    random = np.random.RandomState(0)
    frame = pd.DataFrame({
        "age": random.normal(40, 10, 80), "city": random.choice(["Oslo", "Rome", "Lima"], 80),
        "seen": pd.Timestamp("2026-01-01") + pd.to_timedelta(random.randint(0, 200, 80), unit="D"),
    })  # fmt: skip
    frame.loc[3, "age"] = np.nan
    density = make_pipeline(skrub.TableVectorizer(), MADEDensity(hidden_layer_sizes=(8,), max_iter=1, random_state=0))
    assert np.isfinite(density.fit(frame).score_samples(frame)).all()
    names = list(density[-1].feature_names_in_)
    assert {"age", "city_Oslo"} <= set(names)
    density.set_output(transform="pandas")
    assert list(density[-1].sample(2, random_state=0).columns) == names
