"""Docstring text that many classes share, written once."""

import inspect
import re

TRAINING = """\
learning_rate : float, default={learning_rate}
    Of AdamW. In ``fit`` it rises over the first 3 % of the steps and then falls to 0 as a cosine; in
    ``partial_fit`` it is constant.
weight_decay : float, default={weight_decay}
    Decoupled weight decay of AdamW.
max_iter : int or None, default={max_iter}
    Number of epochs: passes over the rows. None counts steps instead. Where there is a linear model to start at (see
    Notes), a fifth of the rows, 1,000 at most, say how far to go from it: up to 2,000 steps of 2,000 rows, which are
    then all trained on for as many steps, and 4,000 of more, where the best weights stay. Else it is {n_steps} steps,
    or from {fewest_epochs} to 200 epochs.
batch_size : int, default={batch_size}
    Rows in a step of training; all rows if there are fewer."""

EARLY_STOPPING = """\
early_stopping : bool, default=False
    Keep ``validation_fraction`` of the rows apart, stop when their loss has not fallen by ``tol`` for
    ``n_iter_no_change`` epochs, and take the weights of the best epoch.
validation_fraction : float, default=0.1
    Share of the rows kept apart; used only with ``early_stopping``.
n_iter_no_change : int, default=10
    Epochs to wait; used only with ``early_stopping``.
tol : float, default=1e-4
    What counts as a fall of the loss of a row; used only with ``early_stopping``."""

WARM_START = """\
warm_start : bool, default=False
    Let ``fit`` go on with the weights, the optimizer and the scaling of the last call."""

RUN = """\
random_state : int, RandomState instance or None, default=None
    With an int, ``fit`` gives the same weights to the bit on one device. No global generator is moved, whatever
    is passed; None draws a seed from the system.
verbose : int, default=0
    1 shows a progress bar with the loss, rows a second and the time left; 0 prints nothing.
callbacks : list of skorch callbacks or None, default=None
    Copies of them are passed on to the net, themselves where they cannot be copied; ``net_.callbacks_`` holds those of
    the last call. An ``LRScheduler`` takes the place of the schedule of ``fit``.
checkpoint : str, path-like or None, default=None
    A folder. ``fit`` writes there, at the end of epochs, all it takes to go on after it was killed: the same call then
    ends with the same weights. It removes its files when it ends. Takes a ``random_state``.
device : str, default="auto"
    ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``"auto"`` is cuda, else mps, else cpu.
precision : {"float32", "bfloat16"}, default="float32"
    ``"bfloat16"`` trains under autocast: faster on recent GPUs; weights, losses and scores stay float32.
compile : bool, default=False
    Compile the module for training (``torch.nn.Module.compile``): pays for itself in long fits only."""

IMAGE_SHAPE = """\
image_shape : tuple of int or None, default=None
    ``(height, width)`` or ``(channels, height, width)`` that the rows were flattened from, channel first, in
    raster order; of series ``(1, n_steps)`` or ``(channels, 1, n_steps)``. None: the rows are a table."""

ENCODER = """\
architecture : {"auto", "mlp", "conv"} or callable, default="auto"
    ``"auto"`` is ``"conv"`` if ``image_shape`` is given, else ``"mlp"``. A callable is a builder,
    ``builder(input_shape, output_shape, n_code, n_latent) -> (encoder, decoder)``: two modules that map
    ``(n, *input_shape)`` -> (n, n_code) and (n, n_latent) -> ``(n, *output_shape)``; ``input_shape`` is
    (channels, height, width), or (n_features,) without ``image_shape``, and ``output_shape`` has more channels (or
    features) where each feature has several parameters.
hidden_layer_sizes : tuple of int or None, default=None
    Units of the encoder's hidden layers (``"mlp"``), or channels of its convolutions of stride 2 (``"conv"``;
    small images use only the first few); the decoder mirrors them. ``()`` is a linear model. None is
    (256, 128) units, or (32, 64, 128, 256) channels. Those of series run along time, with strides that leave about
    eight steps; None is (32, 64, 64, 64) channels.
activation : {"relu", "tanh", "logistic", "identity"}, default="relu"
    Of the hidden layers."""

CORRUPTION = """\
corruption : {"noise", "mask", "swap", "affine", "elastic", "flip", "color"}, list or dict of these, callable or None, \
default=None
    What is done to the rows that the encoder sees in training, while the clean row stays the target:
    ``"noise"`` adds Gaussian noise; ``"mask"`` blanks features, or patches of an image; ``"swap"`` puts in the
    same feature of another row, good for tables; ``"affine"`` shifts, turns, scales and shears an image, and so
    makes codes that say what is shown, not how it lies; ``"elastic"`` also bends it; ``"flip"`` mirrors it left to
    right; ``"color"`` changes its brightness, contrast and saturation. A list does several in turn; a dict also gives
    their strengths, as in ``{"elastic": 1.5, "mask": 0.3}``: for ``"noise"`` the standard deviation (default 0.5), for
    ``"mask"`` (0.3), ``"swap"`` (0.25) and ``"flip"`` (0.5) the share, for the warps and ``"color"`` a factor (1). Of a
    series ``"affine"`` shifts and stretches time and scales each channel, ``"elastic"`` also bends time, and ``"mask"``
    drops windows and channels. A callable maps a tensor
    ``(n, *input_shape)`` in scaled units to one alike."""

N_LEVELS = """\
n_levels : int or None, default=None
    Levels of a feature. None: whole numbers keep theirs (up to 256); real values are binned, to 256 levels if
    ``image_shape`` is given, else to 32. Bins are of equal width: over the range of each feature in a table, over
    the range of all of them in an image. Whole numbers from 0 to ``n_levels - 1`` keep their values."""

LIKELIHOOD = """\
likelihood : {"categorical", "logistic_mixture"}, default="categorical"
    ``"categorical"`` is a softmax over the levels. ``"logistic_mixture"`` puts ten logistic distributions over them
    (Salimans et al. 2017): it knows that levels are ordered, and takes far fewer weights where they are many."""

DENSITY = """\
ema_decay : float, default=0.0
    Decay of an exponential moving average of the weights over the steps of ``fit``, which then takes the place of
    the weights, in early stopping too. 0 keeps the weights as they are; 0.999 is usual for long trainings.
feature_layer : int or None, default=None
    Which hidden layer ``transform`` takes, counted from 0. None is the middle one."""

ATTRIBUTES = """\
net_ : skorch.NeuralNet
    The fitted net; ``net_.module_`` is the torch module.
n_iter_ : int
    Epochs trained, ``partial_fit`` included.
n_steps_ : int
    Steps that the weights have come from where they started.
baseline_loss_, held_out_loss_ : float
    Mean loss, on the rows kept apart, of the linear model and of the net; only with ``max_iter=None`` and a start.
history_ : list of dict
    For each epoch: ``epoch``, ``train_loss``, ``valid_loss`` (with ``early_stopping``), ``dur`` (seconds), and what
    else skorch and its callbacks record.
image_shape_ : tuple of int or None
    ``(channels, height, width)``.
n_features_in_ : int
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Only if X has column names, all of them strings."""


TEXTS = {
    "image_shape": IMAGE_SHAPE,
    "encoder": ENCODER,
    "coder": "\n".join([ENCODER, CORRUPTION]),
    "n_levels": N_LEVELS,
    "likelihood": LIKELIHOOD,
    "density": DENSITY,
    "training": "\n".join([TRAINING, EARLY_STOPPING, WARM_START, RUN]),
    "early_stopping": EARLY_STOPPING,
    "run": RUN,
    "attributes": ATTRIBUTES,
}


def fill_doc(cls):
    """Class decorator: put a shared text where the docstring has ``{its name}`` alone on a line, indented alike.

    ``default={parameter}`` becomes the default in the class's own signature.
    """
    defaults = {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}

    def text(match):
        return "\n".join((match[1] + line).rstrip() for line in TEXTS[match[2]].splitlines())

    doc = re.sub(r"^( *)\{(\w+)\}$", text, cls.__doc__, flags=re.MULTILINE)
    doc = doc.replace("{n_steps}", f"{getattr(cls, '_n_steps', 0):,}")
    doc = doc.replace("{fewest_epochs}", f"{getattr(cls, '_fewest_epochs', 0)}")
    cls.__doc__ = re.sub(r"default=\{(\w+)\}", lambda match: f"default={defaults[match[1]]!r}", doc)
    return cls
