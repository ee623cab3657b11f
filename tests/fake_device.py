"""An accelerator that is none: tensors on it are wrapped, and an operation on tensors of two devices fails.

    python tests/fake_device.py [--without-float64] [--planted]

fits every model on it, or those that use float64 where there is one, and calls their verbs; prints a line for each
call, "ok" or what went wrong. It renames a backend of torch for the whole process, so tests start it as one of its own.
"""

import contextlib
import pickle
import sys
import traceback
import warnings

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from sklatent import (
    AutoencoderTransformer,
    DensityOutlierDetector,
    EncoderClassifier,
    MADEDensity,
    PixelCNNDensity,
    PixelRNNDensity,
    TwoViewTransformer,
    VAETransformer,
)
from sklatent._autoregressive import starts
from sklatent._bridge import batches, unsupervised
from sklatent._nn import layers, vae
from sklatent._semi_supervised import recipes

NAME = "fakegpu"
MAY_BE_MIXED = {"aten::copy_", "aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_"}


class Backend(_DummyBackendModule):
    def get_amp_supported_dtype(self):
        return [torch.bfloat16]


class OnHost(torch.Generator):
    """A generator whatever its device: what is drawn for the fake one is drawn on the host."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls, "cpu")


def tensor(data, *, device=None, on_host=torch.tensor, **options):
    """torch fills a tensor from Python's numbers by ways that no operation shows."""
    made = on_host(data, **options)
    return made if device is None else made.to(device)


def new_tensor(self, data, dtype=None):
    return tensor(data, dtype=dtype or self.dtype, device=self.device)


class Wrapped(torch.Tensor):
    """A tensor on the fake device, by one on the host."""

    @staticmethod
    def __new__(cls, host):
        wrapped = torch.Tensor._make_wrapper_subclass(
            cls, host.size(), strides=host.stride(), storage_offset=host.storage_offset(), dtype=host.dtype,
            layout=host.layout, device=DEVICE, requires_grad=False,
        )  # fmt: skip
        wrapped.host = host
        return wrapped

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})

    def __getitem__(self, index):
        """Lists in an index make a tensor on the host, which real devices take."""
        several = index if isinstance(index, tuple) else (index,)
        several = tuple(torch.tensor(some).to(DEVICE) if isinstance(some, list) else some for some in several)
        return torch.Tensor.__getitem__(self, several if isinstance(index, tuple) else several[0])

    def tolist(self):
        return self.host.tolist()

    def __repr__(self):
        return f"Wrapped({self.host})"


class Everywhere(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})


def run(function, args, kwargs):
    name, wrapped, plain = function._schema.name, [], []

    def on_host(value):
        if isinstance(value, Wrapped):
            wrapped.append(value)
            return value.host
        if isinstance(value, torch.Tensor):
            plain.append(value)
        return torch.device("cpu") if isinstance(value, torch.device) else value

    asked = next((each for each in (kwargs.get("device"), *args) if isinstance(each, torch.device)), None)
    args, kwargs = tree_map(on_host, (args, kwargs))
    if wrapped and any(each.dim() for each in plain) and name not in MAY_BE_MIXED:
        raise RuntimeError(f"{name}: tensors on {DEVICE} and on the CPU, {[tuple(each.shape) for each in plain]}")
    here = bool(wrapped) if asked is None else asked.type == NAME
    known = {id(each.host): each for each in wrapped}

    def back(value):
        if not isinstance(value, torch.Tensor) or isinstance(value, Wrapped):
            return value
        if not here:
            return value.clone() if id(value) in known else value
        if value.dtype == torch.float64 and NAME in layers.WITHOUT_FLOAT64:
            raise TypeError(f"{name}: there is no float64 on {DEVICE}")
        return known.get(id(value)) if id(value) in known else Wrapped(value)

    return tree_map(back, function(*args, **kwargs))


DEVICE = None  # once the script has started

random = np.random.RandomState(0)
X = random.normal(size=(24, 16))
LEVELS, BITS = random.randint(5, size=(24, 16)).astype(np.uint8), random.randint(2, size=(24, 16))
Y = np.where(np.arange(24) < 12, (X[:, 0] > 0).astype(int), -1)
GAPS = np.where(np.arange(16) % 5 == np.arange(24)[:, None] % 7, np.nan, X)
FEW = {"max_iter": 1, "random_state": 0, "device": NAME}
IMAGE, SERIES = {"image_shape": (4, 4)}, {"image_shape": (2, 1, 8)}
BARS = {"n_filters": 4, **FEW, **IMAGE}
MODELS = {
    "autoencoder": (AutoencoderTransformer(3, **FEW), X),
    "autoencoder, started": (AutoencoderTransformer(3, **FEW | {"max_iter": None}), X),
    "autoencoder, holes": (AutoencoderTransformer(3, early_stopping=True, corruption=["swap", "noise"], **FEW), GAPS),
    "autoencoder, bits": (AutoencoderTransformer(3, loss="binary_cross_entropy", **FEW), BITS),
    "autoencoder, images": (
        AutoencoderTransformer(3, corruption={"elastic": 1.0, "mask": 0.3, "flip": 0.5, "color": 1.0}, **FEW, **IMAGE),
        LEVELS,
    ),
    "autoencoder, series": (AutoencoderTransformer(3, corruption=["elastic", "mask"], **FEW, **SERIES), X),
    "two views": (TwoViewTransformer(3, **FEW, **IMAGE), X),
    "two views, contrast": (TwoViewTransformer(3, loss="nt_xent", **FEW), X),
    "VAE": (VAETransformer(3, n_draws=4, free_bits=0.1, **FEW), GAPS),
    "VAE, bits": (VAETransformer(3, n_draws=4, likelihood="bernoulli", **FEW), BITS),
    "VAE, levels": (VAETransformer(3, n_draws=4, likelihood="categorical", **FEW), LEVELS),
    "VAE, images": (VAETransformer(3, n_draws=4, likelihood="logistic_mixture", **FEW, **IMAGE), LEVELS),
    "MADE": (MADEDensity(**FEW), GAPS),
    "MADE, bits": (MADEDensity(n_masks=2, order="random", ema_decay=0.9, early_stopping=True, **FEW), BITS),
    "MADE, levels": (MADEDensity(likelihood="logistic_mixture", **FEW), LEVELS),
    "PixelCNN": (PixelCNNDensity(n_blocks=1, n_scales=2, ema_decay=0.9, **BARS), LEVELS),
    "PixelCNN, mixture": (PixelCNNDensity(n_blocks=1, likelihood="logistic_mixture", **BARS), LEVELS),
    "Diagonal BiLSTM": (PixelRNNDensity(n_layers=1, **BARS), LEVELS),
    "Row LSTM": (PixelRNNDensity(n_layers=1, cell="row_lstm", **BARS), LEVELS),
    "classifier": (EncoderClassifier(AutoencoderTransformer(3, **FEW), freeze=1, **FEW), X),
    "classifier, images": (EncoderClassifier(**FEW, **IMAGE), X),
    "classifier, series": (EncoderClassifier(**FEW, **SERIES), X),
    "detector": (DensityOutlierDetector(AutoencoderTransformer(3, **FEW), random_state=0), X),
}
SAME_WITH_FLOAT64 = (
    "autoencoder, started", "autoencoder, bits", "two views, contrast", "VAE, bits", "MADE, bits", "PixelCNN, mixture",
    "Row LSTM", "classifier, series",
)  # fmt: skip
VERBS = ("transform", "score_samples", "score_features", "score_statistics", "predict")


def calls(model, rows):
    """(what, function) for all that a model can do."""
    yield "fit", lambda: model.fit(rows, Y) if isinstance(model, EncoderClassifier) else model.fit(rows)
    yield from ((verb, lambda verb=verb: getattr(model, verb)(rows[:5])) for verb in VERBS if hasattr(model, verb))
    if hasattr(model, "inverse_transform"):
        yield "inverse_transform", lambda: model.inverse_transform(model.transform(rows[:3]))
    if hasattr(model, "likelihood_regret"):
        yield "likelihood_regret", lambda: model.likelihood_regret(np.nan_to_num(rows[:5]), n_steps=2)
    if hasattr(model, "sample"):
        yield "sample", lambda: model.sample(3, random_state=0)
    if hasattr(model, "complete"):
        for dtype in (np.float64, np.float32):
            gaps = np.where(np.isnan(GAPS), np.nan, rows)[:6].astype(dtype)
            yield f"complete {dtype.__name__}", lambda gaps=gaps: model.complete(gaps, random_state=0)
    if hasattr(model, "partial_fit"):
        yield "partial_fit", lambda: model.partial_fit(rows)
    if hasattr(model, "net_"):
        yield "a tensor", lambda: model.transform(torch.tensor(np.nan_to_num(rows).tolist()).to(DEVICE)) + 0
        yield "where the weights are", lambda: [parameter.host for parameter in model.net_.module_.parameters()]
    yield "pickle", lambda: pickle.loads(pickle.dumps(model))


def main():
    if "--without-float64" in sys.argv:
        layers.WITHOUT_FLOAT64.add(NAME)
    else:
        for name in SAME_WITH_FLOAT64:
            del MODELS[name]
    if "--planted" in sys.argv:  # a constant on the host, in the middle of a model
        for name in set(MODELS) - {"VAE"}:
            del MODELS[name]
        vae._kl = lambda mean, log_variance: torch.ones(mean.shape[-1]) * (mean.square() - log_variance)
    global DEVICE
    _setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
    DEVICE = torch.device(NAME, 0)
    torch.inference_mode = lambda mode=True: torch.no_grad() if mode else contextlib.nullcontext()
    torch.Generator, torch.tensor, torch.Tensor.new_tensor = OnHost, tensor, new_tensor
    batches.free_memory = lambda device: 2**20  # rows stay there
    unsupervised.STEPS_OF_FEW, recipes.MOST_EPOCHS, starts.SIZES = 20, 2, (1, 2)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with Everywhere():
        for name, (model, rows) in MODELS.items():
            for what, call in calls(model, rows):
                try:
                    call()
                    print(f"ok: {name}, {what}")
                except Exception as error:
                    frames = [each for each in traceback.extract_tb(error.__traceback__) if "sklatent" in each.filename]
                    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "outside"
                    print(f"{name}, {what}: {type(error).__name__} {str(error)[:200]!r} at {at}")
                    if what == "fit":
                        break


if __name__ == "__main__":
    main()
