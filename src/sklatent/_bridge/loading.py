"""What a load does: compare the saved arrays with the module that the file describes, build it, and fill it.

A file may be read in one thread while another draws: the module is built without the lock of training, and without
torch's global generator. A file may be damaged: its arrays are compared before there is room made for any of them.
"""

import math

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

MAKERS = {torch.empty, torch.zeros, torch.ones, torch.full, torch.eye, torch.arange, torch.linspace}
DRAWS = {torch.rand, torch.randn, torch.randint, torch.randperm}  # tensors out of nothing, both
DRAWS_FROM = {
    torch.normal, torch.bernoulli, torch.multinomial, torch.poisson, torch.Tensor.uniform_, torch.Tensor.normal_,
    torch.Tensor.random_, torch.Tensor.bernoulli_, torch.Tensor.exponential_, torch.Tensor.geometric_,
    torch.Tensor.log_normal_, torch.Tensor.cauchy_, torch.Tensor.bernoulli, torch.Tensor.multinomial,
    torch.nn.init.uniform_, torch.nn.init.normal_, torch.nn.init.kaiming_uniform_,
}  # fmt: skip
FLOATS = {"float32", "float64"}  # mps has only the first, and the user sets the default


class Aside(TorchFunctionMode):
    """In here, and in this thread alone, the CPU draws what it would after ``manual_seed(seed)``, and moves nothing.

    With ``meta``, what would be allocated has a shape and no memory, and it is a ValueError to make more than ``most``
    tensors. Dropout takes no generator: it has the global one also in here.
    """

    def __init__(self, seed, *, meta=False, most=math.inf):
        super().__init__()
        self.generator, self.meta, self.left = torch.Generator("cpu").manual_seed(seed), meta, most

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        makes = function in MAKERS or function in DRAWS
        self.left -= makes
        if self.left < 0:
            raise ValueError("The file describes a net of far more parts than it has weights for: it was changed.")
        if makes and kwargs.get("device") is None:  # also where this is within another, that is meta
            kwargs["device"] = "meta" if self.meta else torch.get_default_device()
        given = [each.device for each in (*args, *kwargs.values()) if torch.is_tensor(each)]
        kind = torch.device(kwargs["device"] if makes else [*given, "cpu"][0]).type
        if kind == "meta":
            kwargs.pop("generator", None)
        elif kind == "cpu" and (function in DRAWS or function in DRAWS_FROM) and kwargs.get("generator") is None:
            kwargs["generator"] = self.generator
        return function(*args, **kwargs)


def check_saved(arrays, module, owner):
    """Raise ValueError if the arrays are not those of the module, by name, shape and dtype, or if one has NaN."""
    tensors = module.state_dict()
    told = f"the file of this {owner} was changed or is of another version"
    for name in (*tensors, *(arrays.keys() - tensors.keys())):
        (here, shape), (saved, saved_shape) = (_told(each.get(name)) for each in (tensors, arrays))
        if shape != saved_shape or not (here == saved or {here, saved} == FLOATS):
            raise ValueError(f"The weights {name!r} should be {here} {shape}, but are {saved} {saved_shape}: {told}.")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ValueError(f"The weights {name!r} hold NaN, which no training leaves: {told}.")


def _told(array):
    """Words for dtype and shape, of an array or a tensor."""
    return ("none", "") if array is None else (str(array.dtype).removeprefix("torch."), str(tuple(array.shape)))
