"""Round trips are bit-identical and hold no tensor."""

import copy
import pickle
import pickletools
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
import torch
from common import ESTIMATORS, NETS, small
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklatent import AutoencoderTransformer, EncoderClassifier, GraphLabelSpreading, PixelRNNDensity
from sklatent._bridge import devices

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


@pytest.mark.parametrize("cls", [EncoderClassifier, GraphLabelSpreading])
def test_skops_files_hold_no_index_of_the_neighbors(cls, fitted, digits, tmp_path):
    fitted[cls].predict(digits)  # has looked for neighbours
    skops.io.dump(fitted[cls], tmp_path / "estimator.skops")
    unknown = skops.io.get_untrusted_types(file=tmp_path / "estimator.skops")
    assert set(unknown) <= {f"sklatent.{each.__name__}" for each in ESTIMATORS}
    assert_same(fitted[cls], skops.io.load(tmp_path / "estimator.skops", trusted=unknown), digits)


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


# -- loads beside other threads --------------------------------------------------------------------------------------


def test_loads_in_threads_leave_the_draws_of_another_alone(fitted):
    dumped = [pickle.dumps(each) for each in fitted.values()]
    torch.manual_seed(0)
    expected = torch.cat([torch.rand(10) for _ in range(100)])
    stop, started = threading.Event(), threading.Event()

    def load():
        for _ in range(50):
            for each in dumped:
                pickle.loads(each)
                started.set()
                if stop.is_set():
                    return

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    found = []
    for _ in range(50):
        torch.manual_seed(0)
        found.append(torch.cat([torch.rand(10) for _ in range(100)]))
    stop.set()
    for thread in threads:
        thread.join()
    assert all(torch.equal(each, expected) for each in found)


@every_net
def test_a_load_waits_for_no_training(cls, fitted):
    dumped, loaded = pickle.dumps(fitted[cls]), []
    with devices.seeded(0, torch.device("cpu")):
        thread = threading.Thread(target=lambda: loaded.append(pickle.loads(dumped)))
        thread.start()
        thread.join(20)
        assert loaded


class Drawing(torch.nn.Module):
    """Constants that are no buffers, one of them drawn, and one saved under no name; weights in two places."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.inner = torch.nn.Linear(n_in, n_out)
        self.again = self.inner
        self.directions = torch.randn(n_out, n_out) / n_out
        self.register_buffer("ramp", torch.arange(n_out) / n_out, persistent=False)

    def forward(self, x):
        return self.inner(x) @ self.directions + self.ramp


def drawing(input_shape, output_shape, n_code, n_latent):
    return Drawing(input_shape[0], n_code), Drawing(n_latent, output_shape[0])


def test_what_a_user_s_builder_draws_is_there_again(digits):
    encoder = AutoencoderTransformer(3, architecture=drawing, max_iter=1, random_state=0).fit(digits[:100])
    before = torch.get_rng_state()
    loaded = pickle.loads(pickle.dumps(encoder))
    assert_same(encoder, loaded, digits)
    assert torch.equal(encoder.encoder_module().encoder.directions, encoder.net_.module_.encoder.directions)
    assert torch.equal(before, torch.get_rng_state())
    assert loaded.net_.module_.encoder.again is loaded.net_.module_.encoder.inner


# -- files that were changed -----------------------------------------------------------------------------------------

HUGE = {
    "hidden_layer_sizes": (2**30,),
    "widths": (2**30, 1),
    "n_filters": 2**20,
    "n_components": 2**30,
}  # widths: of MADE


def load_with(estimator, **changes):
    """Load the state of the estimator, in which the spec, or the weights, are changed."""
    state = estimator.__getstate__()
    state.update({name: {**state[name], **change} for name, change in changes.items()})
    type(estimator).__new__(type(estimator)).__setstate__(state)


@pytest.mark.skipif(sys.platform != "linux", reason="only there is memory capped")
@every_net
@pytest.mark.parametrize("name", HUGE)
def test_a_file_that_asks_for_a_larger_net_is_refused_before_it_takes_memory(cls, name, fitted):
    state = fitted[cls].__getstate__()
    if name not in state["_spec_"]:
        return
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, limit[1]))
    try:
        with pytest.raises(ValueError, match=r"The weights '.*' should be .*, but are .*: the file of this \w+ was"):
            load_with(fitted[cls], _spec_={name: HUGE[name]})
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)


DEEP = {"n_blocks": 10**6, "n_layers": 10**6, "n_masks": 10**6, "hidden_layer_sizes": (4,) * 10**5}
DEEP["widths"] = DEEP["hidden_layer_sizes"]


@every_net
@pytest.mark.parametrize("name", DEEP)
def test_a_file_that_asks_for_a_deeper_net_is_refused_before_it_takes_time(cls, name, fitted):
    if name not in fitted[cls]._spec_:
        return
    start = time.process_time()
    with pytest.raises(ValueError, match=r"far more parts than it has weights for|The weights '.*' should be"):
        load_with(fitted[cls], _spec_={name: DEEP[name]})
    assert time.process_time() - start < 5


def test_a_file_that_asks_for_a_longer_image_takes_no_memory_for_it(fitted):
    layer = fitted[PixelRNNDensity].net_.module_.core.lstms[0]
    tracemalloc.start()
    with torch.device("meta"):
        type(layer)((1, 10**6), 8, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6, "a list of its diagonals would be 100 MB"


@every_net
def test_weights_that_are_missing_nan_or_of_another_shape_are_refused_by_name(cls, fitted):
    weights = fitted[cls].__getstate__()["_weights_"]
    name = next(name for name, array in weights.items() if array.dtype == np.float32 and array.size > 1)
    for wrong in (np.full_like(weights[name], np.nan), weights[name][:-1], weights[name].astype(np.int64)):
        with pytest.raises(ValueError, match=f"The weights '{name}' .* changed or is of another version"):
            load_with(fitted[cls], _weights_={name: wrong})
    with pytest.raises(ValueError, match="The weights 'another' should be none"):
        load_with(fitted[cls], _weights_={"another": np.zeros(3)})
