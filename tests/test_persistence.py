"""Round trips are bit-identical and hold no tensor."""

import copy
import pickle
import pickletools

import joblib
import numpy as np
import pytest
import skops.io
import torch
from common import ESTIMATORS, NETS, small
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

every = pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
pytestmark = pytest.mark.filterwarnings("ignore:Of .* rows, calibration_size")  # the detector would like more
every_net = pytest.mark.parametrize("cls", NETS, ids=lambda cls: cls.__name__)


def outputs(estimator, X):
    names = ("score_samples", "transform", "predict", "predict_proba")
    return [getattr(estimator, name)(X) for name in names if hasattr(estimator, name)]


def assert_same(one, other, X):
    for a, b in zip(outputs(one, X), outputs(other, X), strict=True):
        assert_array_equal(a, b)


@pytest.fixture(scope="module")
def fitted(digits, labels):
    few = np.where(np.arange(200) < 50, labels[:200], -1)
    return {cls: small(cls, image_shape=(8, 8), max_iter=1).fit(digits[:200], few) for cls in ESTIMATORS}


@every
def test_pickle_is_bit_identical_and_holds_no_tensor(cls, fitted, digits):
    dumped = pickle.dumps(fitted[cls])
    words = {str(argument) for _, argument, _ in pickletools.genops(dumped)}
    assert not [word for word in words if word.startswith(("torch", "skorch"))]
    assert_same(fitted[cls], pickle.loads(dumped), digits)


@every
def test_joblib_with_mmap_mode(cls, fitted, digits, tmp_path):
    joblib.dump(fitted[cls], tmp_path / "estimator.joblib")
    for mode in (None, "r"):
        loaded = joblib.load(tmp_path / "estimator.joblib", mmap_mode=mode)
        assert_same(fitted[cls], loaded, digits)
    if cls in NETS:
        loaded.partial_fit(digits[:50])  # the arrays of a read-only map were copied
        assert loaded.n_iter_ == 2


@every
def test_skops_needs_only_our_classes(cls, fitted, digits):
    dumped = skops.io.dumps(fitted[cls])
    unknown = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("sklatent.") and name.count(".") == 1 for name in unknown), "paths that do not move"
    loaded = skops.io.loads(dumped, trusted=unknown)
    assert_same(fitted[cls], loaded, digits)


@every_net
def test_deepcopy_shares_no_weights(cls, fitted, digits):
    twin = copy.deepcopy(fitted[cls])
    before = outputs(fitted[cls], digits)
    twin.partial_fit(digits[:100])
    for a, b in zip(before, outputs(fitted[cls], digits), strict=True):
        assert_array_equal(a, b)


@every_net
def test_parameters_set_after_fit_do_not_break_a_pickle(cls, fitted, digits):
    changed = copy.deepcopy(fitted[cls])
    for name in ("n_components", "n_filters"):
        if name in changed.get_params():
            changed.set_params(**{name: 7})
    changed.set_params(image_shape=(64, 1), random_state=5)
    assert_same(fitted[cls], pickle.loads(pickle.dumps(changed)), digits)


@every_net
def test_a_device_that_is_missing_falls_back_to_the_cpu(cls, fitted, digits):
    if torch.cuda.is_available():
        return  # nothing is missing
    elsewhere = copy.deepcopy(fitted[cls]).set_params(device="cuda")
    loaded = pickle.loads(pickle.dumps(elsewhere))
    assert_same(fitted[cls], loaded, digits)
    with pytest.raises(ValueError, match="device='cuda' cannot be used here"):
        loaded.fit(digits)


@every
def test_pickle_of_an_unfitted_estimator(cls, digits, labels):
    loaded = pickle.loads(pickle.dumps(small(cls)))
    with pytest.raises(NotFittedError):
        check_is_fitted(loaded)
    fitted = loaded.fit(digits[:100], labels[:100])
    assert all(np.isfinite(values).all() for values in outputs(fitted, digits[:50]))
