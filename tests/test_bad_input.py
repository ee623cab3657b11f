"""Bad input gets an error in words: what was expected, what came, which parameter, what to do."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from common import NETS, SCORERS, said, small
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from torch import nn

from sklatent import (
    AutoencoderTransformer,
    DensityOutlierDetector,
    EncoderClassifier,
    GraphLabelSpreading,
    HistogramDensity,
    MADEDensity,
    NeighborsDensity,
    PixelCNNDensity,
    PixelRNNDensity,
    VAETransformer,
)

every = pytest.mark.parametrize("cls", NETS, ids=lambda cls: cls.__name__)
CODERS = pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
X = np.random.RandomState(0).normal(size=(40, 6))


@every
@pytest.mark.parametrize(
    ("image_shape", "message"),
    [
        ((2, 2), r"image_shape=\(2, 2\) needs 4 features, but X has 6. Pass the \(channels, height, width\)"),
        ((6,), "must be \\(height, width\\) or \\(channels, height, width\\), positive integers"),
        ((-2, -3), "positive integers"),
        ((2.0, 3.0), "positive integers"),
    ],
)
def test_wrong_image_shape(cls, image_shape, message):
    with pytest.raises(ValueError, match=message):
        small(cls, image_shape=image_shape).fit(X)


@every
@pytest.mark.parametrize(("value", "message"), [(np.nan, "contains NaN"), (np.inf, "infinity")])
def test_nan_and_infinity(cls, value, message):
    if np.isnan(value) and get_tags(cls()).input_tags.allow_nan:
        return  # a hole: see test_holes.py
    bad = X.copy()
    bad[3, 2] = value
    with pytest.raises(ValueError, match=message):
        small(cls).fit(bad)
    with pytest.raises(ValueError, match=message):
        said(small(cls).fit(X), bad)


@every
def test_strings(cls):
    with pytest.raises(ValueError, match="could not convert string to float"):
        small(cls).fit(np.array([["a", "b"], ["c", "d"]]))


@every
def test_too_few_features_and_reordered_columns(cls):
    estimator = small(cls).fit(pd.DataFrame(X, columns=list("abcdef")))
    with pytest.raises(ValueError, match="X has 5 features, but .* is expecting 6 features"):
        said(estimator, X[:, :5])
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        said(estimator, pd.DataFrame(X, columns=list("abcdfe")))


@every
def test_empty(cls):
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        small(cls).fit(X[:0])
    with pytest.raises(ValueError, match=r"Found array with 0 feature\(s\)"):
        small(cls).fit(X[:, :0])


@every
def test_not_fitted(cls):
    with pytest.raises(NotFittedError, match=f"This {cls.__name__} instance is not fitted yet"):
        said(small(cls), X)


@every
@pytest.mark.filterwarnings("ignore:Posterior collapse", "ignore:Collapse")
def test_one_row_one_feature_and_constant_features_just_work(cls):
    constant = X.copy()
    constant[:, [1, 4]] = [7.0, -1e6]
    for rows in (X[:1], X[:, :1], constant, np.zeros((10, 3))):
        found = said(small(cls).fit(rows), rows)
        assert found.shape[0] == len(rows)
        assert np.isfinite(found).all()


@every
def test_batch_larger_than_the_data_just_works(cls):
    assert small(cls, batch_size=10_000).fit(X).n_iter_ == 3


@pytest.mark.parametrize("cls", SCORERS)
def test_values_outside_the_fitted_range_fall_with_the_distance(cls):
    estimator = small(cls, max_iter=20).fit(X)
    far = np.repeat(X[:1], 6, axis=0)
    far[:, 2] = X[:, 2].max() + np.array([1, 3, 10, 1e3, 1e8, 1e14])
    scores = estimator.score_samples(np.concatenate([X[:1], far]))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()
    assert np.isfinite(estimator.score_samples(np.full((1, 6), 1e300))).all()


@every
@pytest.mark.parametrize("size", [1e40, 1e-46])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_rows_of_a_dtype_that_does_not_hold_the_fitted_range(cls, size, dtype):
    fitted = small(cls, max_iter=1).fit(X * size)
    rows = np.clip(np.abs(X) * size, 0, 200).astype(dtype)
    assert_array_equal(said(fitted, rows), said(fitted, rows.astype(np.float64)))
    assert np.isfinite(said(fitted, rows)).all()
    if hasattr(cls, "complete") and dtype == np.float32:
        rows[:, 2] = np.nan
        assert_array_equal(*(fitted.complete(each, random_state=0) for each in (rows, rows.astype(np.float64))))
    assert fitted.partial_fit(np.nan_to_num(rows)).n_iter_ == 2


@every
def test_early_stopping_without_rows_to_spare(cls):
    with pytest.raises(ValueError, match="early_stopping=True keeps 1 of 1 rows apart"):
        small(cls, early_stopping=True).fit(X[:1])


@every
@pytest.mark.parametrize(
    ("name", "value"),
    [("max_iter", 0), ("learning_rate", 0.0), ("batch_size", -1), ("validation_fraction", 1.5), ("precision", "half")],
)
def test_parameters_out_of_range(cls, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {cls.__name__} must be"):
        small(cls, **{name: value}).fit(X)


@every
def test_unknown_device(cls):
    with pytest.raises(ValueError, match="device='gpu' cannot be used here.*Expected 'auto', 'cpu', 'cuda'"):
        small(cls, device="gpu").fit(X)


@every
def test_a_learning_rate_that_explodes_leaves_the_estimator_unfitted(cls):
    estimator = small(cls, learning_rate=1e30, max_iter=50)
    with pytest.raises(ValueError, match=r"The train loss became \w+ in epoch \d+.*learning_rate .*outliers .*floor"):
        estimator.fit(X)
    with pytest.raises(NotFittedError):
        said(estimator, X)


@CODERS
def test_n_components_beyond_the_features_just_works(cls):
    assert small(cls, n_components=50).fit_transform(X).shape == (40, 50)


@CODERS
def test_a_module_where_a_builder_belongs(cls):
    with pytest.raises(TypeError, match=r"architecture is an instance of Linear.*builder\(input_shape, output_"):
        small(cls, architecture=nn.Linear(6, 3)).fit(X)


@CODERS
def test_a_module_in_the_place_of_another_parameter(cls):
    with pytest.raises(
        TypeError, match=r"corruption is an instance of Dropout.*a function that maps a tensor \(n, \*input"
    ):
        small(cls, corruption=nn.Dropout()).fit(X)
    with pytest.raises(TypeError, match="activation is an instance of ReLU.*the documentation of activation"):
        cls(activation=nn.ReLU()).fit(X)


@CODERS
def test_a_builder_of_three_arguments(cls):
    with pytest.raises(TypeError, match=r"\(input_shape, output_shape, n_code, n_latent\); called with these four"):
        small(cls, architecture=lambda shape, n_code, n_latent: None).fit(X)


@CODERS
def test_a_builder_is_called_once(cls):
    calls = []

    def build(*args):
        calls.append(args)
        return builder_of()(*args)

    small(cls, architecture=build).fit(X)
    assert calls == [((6,), (6 if cls is AutoencoderTransformer else 12,), calls[0][2], 3)]


@every
def test_images_of_which_the_channels_come_last(cls):
    images = np.random.RandomState(0).randint(9, size=(20, 5 * 5 * 3))
    with pytest.warns(UserWarning, match=r"means 5 channels of 5 x 3 pixels.*transpose\(0, 3, 1, 2\).*\(3, 5, 5\)"):
        small(cls, image_shape=(5, 5, 3), max_iter=1).fit(images)


@CODERS
def test_a_builder_that_returns_something_else(cls):
    with pytest.raises(TypeError, match=r"returns two nn.Module, \(encoder, decoder\); it returned Linear"):
        small(cls, architecture=lambda *_: nn.Linear(6, 3)).fit(X)


def builder_of(n_code_error=0, n_out_error=0):
    def build(input_shape, output_shape, n_code, n_latent):
        return nn.Linear(input_shape[0], n_code + n_code_error), nn.Linear(n_latent, output_shape[0] + n_out_error)

    return build


@CODERS
def test_a_builder_that_returns_a_wrong_shape(cls):
    small(cls, architecture=builder_of()).fit(X)
    with pytest.raises(ValueError, match=r"builder's encoder must map \(n, 6\) to \(n, [36]\).*shape \(2, [47]\)"):
        small(cls, architecture=builder_of(n_code_error=1)).fit(X)
    with pytest.raises(ValueError, match=r"builder's decoder must map \(n, 3\) to"):
        small(cls, architecture=builder_of(n_out_error=2)).fit(X)
    with pytest.raises(ValueError, match=r"builder's encoder cannot take rows of shape \(n, 1, 2, 3\)"):
        small(cls, architecture=lambda *_: (nn.Linear(7, 3), nn.Linear(3, 6)), image_shape=(2, 3)).fit(X)


@CODERS
def test_conv_and_affine_need_an_image_shape(cls):
    with pytest.raises(ValueError, match="architecture='conv' needs image_shape"):
        small(cls, architecture="conv").fit(X)
    with pytest.raises(ValueError, match="corruption='affine' warps images and series, but image_shape is None"):
        small(cls, corruption="affine").fit(X)
    with pytest.raises(ValueError, match="The 'corruption' parameter"):
        small(cls, corruption="blur").fit(X)


@CODERS
def test_hidden_layer_sizes_must_be_positive_integers(cls):
    for sizes in ((0,), (3.5,), ("a",)):
        with pytest.raises(ValueError, match="hidden_layer_sizes=.* must be positive integers, or"):
            small(cls, hidden_layer_sizes=sizes).fit(X)


@CODERS
def test_codes_of_a_wrong_width(cls):
    with pytest.raises(ValueError, match="The codes have 2 columns, but .* was fitted with n_components=3"):
        small(cls).fit(X).inverse_transform(np.zeros((4, 2)))


def test_variance_that_overflows():
    with pytest.raises(ValueError, match="The variance of X overflows"):
        small(AutoencoderTransformer).fit(X * 1e200)


@pytest.mark.parametrize("cls", [VAETransformer, PixelCNNDensity])
def test_n_samples(cls):
    estimator = small(cls).fit(X)
    assert estimator.sample(0).shape == (0, 6)
    assert estimator.sample(np.int64(3), random_state=0).shape == (3, 6)
    for wrong in (-1, 1.5):
        with pytest.raises(ValueError, match="n_samples=.* must be an integer, 0 or more"):
            estimator.sample(wrong)


def test_posterior_collapse_is_told_in_words():
    noise = np.random.RandomState(0).normal(size=(200, 10))
    with pytest.warns(UserWarning, match="Posterior collapse: 0 of 10 latent units are active.*free_bits"):
        vae = VAETransformer(10, beta=50.0, corruption="noise", max_iter=30, random_state=0).fit(noise)
    assert vae.n_active_units_ == 0
    for call in (vae.fit, vae.fit_transform, make_pipeline(StandardScaler(), vae).fit):
        with pytest.warns(UserWarning, match="Posterior collapse") as told:
            call(noise)
        assert told[0].filename == __file__, "the warning points at the user's line"


def test_a_refit_that_fails_leaves_nothing_fitted():
    estimator = small(AutoencoderTransformer).fit(X)
    with pytest.raises(ValueError, match="architecture='conv' needs image_shape"):
        estimator.set_params(architecture="conv").fit(X[:, :4])
    with pytest.raises(NotFittedError):
        estimator.transform(X)


def test_fully_visible_net_that_would_not_fit_into_memory():
    rows = np.random.RandomState(0).randint(256, size=(4, 3072), dtype=np.uint8)
    with pytest.raises(ValueError, match="output layer would have"):
        MADEDensity(hidden_layer_sizes=(), likelihood="categorical", max_iter=1).fit(rows)


# -- rows that say too little, or too much -----------------------------------------------------------------------------


@every
def test_a_first_batch_of_few_rows_is_told_to_decide_the_scale(cls):
    words = r"The first partial_fit learns the range and scale.*here 3, and later calls keep them.*Pass 50 typical rows"
    with pytest.warns(UserWarning, match=words) as told:
        estimator = small(cls).partial_fit(X[:3])
    assert [str(each.message) for each in told if each.filename == __file__] == [str(told[0].message)]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The first partial_fit")
        estimator.partial_fit(X[:3])
        small(cls).partial_fit(np.tile(X, (2, 1))[:50])


@pytest.mark.parametrize(
    ("cls", "params", "n_layers"),
    [
        (MADEDensity, {}, 1),
        (MADEDensity, {"hidden_layer_sizes": 5}, 1),
        (MADEDensity, {"hidden_layer_sizes": (5, 4, 3)}, 3),
        (PixelCNNDensity, {"n_filters": 4, "n_blocks": 2}, 3),
        (PixelCNNDensity, {"n_filters": 4, "n_blocks": 2, "n_scales": 3, "image_shape": (2, 3)}, 15),
        (PixelRNNDensity, {"n_filters": 4, "n_layers": 2}, 2),
    ],
)
def test_a_layer_that_there_will_not_be_is_refused_before_training(cls, params, n_layers, monkeypatch):
    density = cls(max_iter=1, feature_layer=n_layers - 1, random_state=0, **params).fit(X.round())
    assert len(density._feature_scalers_) == n_layers
    assert density.transform(X[:2].round()).shape[0] == 2
    monkeypatch.setattr(cls, "_learn", None)
    for verb in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=f"feature_layer={n_layers} must be below .* hidden layers, {n_layers}"):
            getattr(cls(feature_layer=n_layers, **params), verb)(X)


LABELS = np.where(np.arange(40) < 8, np.arange(40) % 2, -1)


@every
def test_a_tensor_with_gradients_is_rows_as_any_other(cls):
    rows, estimator = torch.tensor(X, requires_grad=True), small(cls, max_iter=1)
    fitted = estimator.fit(rows)
    assert_array_equal(said(fitted, rows), said(small(cls, max_iter=1).fit(X), X))
    if hasattr(cls, "inverse_transform"):
        codes = torch.tensor(fitted.transform(X), requires_grad=True)
        assert_array_equal(fitted.inverse_transform(codes), fitted.inverse_transform(codes.detach().numpy()))
    if hasattr(cls, "complete"):
        assert_array_equal(fitted.complete(rows), X)


def test_labels_are_learned_from_tensors_with_gradients_too():
    rows = torch.tensor(X, requires_grad=True)
    classifier = EncoderClassifier(small(AutoencoderTransformer), max_iter=1, random_state=0)
    for estimator in (GraphLabelSpreading(), classifier):
        found = estimator.fit(rows, LABELS).predict_proba(rows)
        assert_array_equal(found, estimator.fit(X, LABELS).predict_proba(X))


@pytest.mark.parametrize("cls", [HistogramDensity, NeighborsDensity, DensityOutlierDetector])
@pytest.mark.filterwarnings("ignore:Of 40 rows")
def test_outliers_are_found_among_tensors_with_gradients_too(cls):
    rows, estimator = torch.tensor(X, requires_grad=True), small(cls)
    assert_array_equal(estimator.fit(rows).score_samples(rows), estimator.fit(X).score_samples(X))


def timestamps(dtype=np.float32):
    seconds = np.random.RandomState(0).uniform(0, 600, size=40)
    return np.column_stack([X[:, 0], 1.7e9 + seconds, np.full(40, 1.7e9), X[:, 1]]).astype(dtype)


@every
@pytest.mark.filterwarnings("ignore:Posterior collapse")
def test_features_that_float32_has_rounded_away_are_named_once(cls):
    words = r"X is float32, which rounds large values: feature {} has .*steps of 128, and spans \d+\). Pass float64"
    for rows, name in ((timestamps(), "1"), (pd.DataFrame(timestamps(), columns=list("abcd")), "'b'")):
        with pytest.warns(UserWarning, match=words.format(name)) as told:
            small(cls, max_iter=1).fit(rows)
        told = [each for each in told if "rounds large values" in str(each.message)]
        assert [each.filename for each in told] == [__file__]


@pytest.mark.parametrize(
    "rows",
    [timestamps(np.float64), timestamps() - timestamps().min(axis=0), np.float32(X), np.float16(X), X > 0],
    ids=["float64", "from 0", "float32", "float16", "bool"],
)
def test_features_that_say_enough_are_not_told_of(rows):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*rounds large values")
        small(AutoencoderTransformer, max_iter=1).fit(rows)


def test_float16_is_told_of_too():
    with pytest.warns(UserWarning, match=r"X is float16, .*feature 2 has .*steps of 1, and spans 10\)"):
        small(AutoencoderTransformer, max_iter=1).fit(
            np.column_stack([X[:, :2], 1800 + np.arange(40) % 11]).astype("f2")
        )
