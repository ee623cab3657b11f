"""Deep features and likelihoods inside scikit-learn.

Every estimator is fitted, cloned, searched and pickled as scikit-learn's are. Rows are flat, (n_samples, n_features),
and ``image_shape`` says how they fold; scores of densities are in nats, higher = more normal.

Features: ``AutoencoderTransformer``, ``VAETransformer`` (also a density), ``TwoViewTransformer``.
Densities: ``MADEDensity``, ``PixelCNNDensity``, ``PixelRNNDensity``; plain ones of tables, ``HistogramDensity``,
``NeighborsDensity``.
Few labels: ``EncoderClassifier``, ``GraphLabelSpreading``; ``LabeledKFold`` for cross-validation.
Anomalies: ``DensityOutlierDetector``, over any density.
Plots: ``HistoryDisplay``, ``LatentSpaceDisplay``, ``ReconstructionDisplay``, ``SampleDisplay``,
``ScoreFeaturesDisplay``, ``ScoreHistogramDisplay``, ``ScoreMapDisplay``.
Files that run without Python: ``sklatent.onnx.to_onnx``.

The guide, with examples and what was measured: https://sklatent.github.io/sklatent/"""

# Written by docs/stubs.py from the docstrings (make stubs): not to be edited.
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    OutlierMixin,
    TransformerMixin,
)
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._split import StratifiedKFold
from sklearn.utils.metaestimators import _BaseComposition
from skorch import NeuralNet

__version__: str

__all__ = [
    "AutoencoderTransformer",
    "DensityOutlierDetector",
    "EncoderClassifier",
    "GraphLabelSpreading",
    "HistogramDensity",
    "HistoryDisplay",
    "LabeledKFold",
    "LatentSpaceDisplay",
    "MADEDensity",
    "NeighborsDensity",
    "PixelCNNDensity",
    "PixelRNNDensity",
    "ReconstructionDisplay",
    "SampleDisplay",
    "ScoreFeaturesDisplay",
    "ScoreHistogramDisplay",
    "ScoreMapDisplay",
    "TwoViewTransformer",
    "VAETransformer",
]

class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Autoencoder: features that a row can be rebuilt from.

    Minimises the reconstruction error, with :math:`\tilde x = x` or a corruption of it,

    .. math:: \sum_i \ell\bigl(x_i,\, g(f(\tilde x_i))\bigr),

    where the encoder f gives ``n_components`` codes and the decoder g rows; both are linear, deep and dense, or
    convolutional. Features are standardised inside: each by itself in a table, all pixels alike in an image, and all
    steps of a channel alike in a series.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of codes. None: as many as features, at most 32.
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(channels, height, width)`` that the rows were flattened from, channel first, in
        raster order; of series ``(1, n_steps)`` or ``(channels, 1, n_steps)``. None: the rows are a table.
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
        Of the hidden layers.
    corruption : {"noise", "mask", "swap", "affine", "elastic", "flip", "color"}, list or dict of these, callable or None, default=None
        What is done to the rows that the encoder sees in training, while the clean row stays the target:
        ``"noise"`` adds Gaussian noise; ``"mask"`` blanks features, or patches of an image; ``"swap"`` puts in the
        same feature of another row, good for tables; ``"affine"`` shifts, turns, scales and shears an image, and so
        makes codes that say what is shown, not how it lies; ``"elastic"`` also bends it; ``"flip"`` mirrors it left to
        right; ``"color"`` changes its brightness, contrast and saturation. A list does several in turn; a dict also gives
        their strengths, as in ``{"elastic": 1.5, "mask": 0.3}``: for ``"noise"`` the standard deviation (default 0.5), for
        ``"mask"`` (0.3), ``"swap"`` (0.25) and ``"flip"`` (0.5) the share, for the warps and ``"color"`` a factor (1). Of a
        series ``"affine"`` shifts and stretches time and scales each channel, ``"elastic"`` also bends time, and ``"mask"``
        drops windows and channels. A callable maps a tensor
        ``(n, *input_shape)`` in scaled units to one alike.
    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"} or callable, default="squared_error"
        :math:`\ell`, summed over features, in the units that they have inside. ``"huber"`` is half the squared error up
        to an error of 1 and linear beyond, so that a few wild values, in any rows, count less. The cross-entropy takes
        the range of X seen in ``fit`` as [0, 1]. A callable maps rows and reconstructions, two tensors (n, n_features),
        to the loss of each row, (n,).
    learning_rate : float, default=0.005
        Of AdamW. In ``fit`` it rises over the first 3 % of the steps and then falls to 0 as a cosine; in
        ``partial_fit`` it is constant.
    weight_decay : float, default=0.0001
        Decoupled weight decay of AdamW.
    max_iter : int or None, default=None
        Number of epochs: passes over the rows. None counts steps instead. Where there is a linear model to start at (see
        Notes), a fifth of the rows, 1,000 at most, say how far to go from it: up to 2,000 steps of 2,000 rows, which are
        then all trained on for as many steps, and 4,000 of more, where the best weights stay. Else it is 3,000 steps,
        or from 10 to 200 epochs.
    batch_size : int, default=128
        Rows in a step of training; all rows if there are fewer.
    early_stopping : bool, default=False
        Keep ``validation_fraction`` of the rows apart, stop when their loss has not fallen by ``tol`` for
        ``n_iter_no_change`` epochs, and take the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows kept apart; used only with ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs to wait; used only with ``early_stopping``.
    tol : float, default=1e-4
        What counts as a fall of the loss of a row; used only with ``early_stopping``.
    warm_start : bool, default=False
        Let ``fit`` go on with the weights, the optimizer and the scaling of the last call.
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
        Compile the module for training (``torch.nn.Module.compile``): pays for itself in long fits only.

    Attributes
    ----------
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
        Only if X has column names, all of them strings.

    See Also
    --------
    VAETransformer : Codes with a prior: a density of the rows, and samples.
    sklearn.decomposition.PCA : What a linear autoencoder finds, up to a linear map of the codes.

    Notes
    -----
    With any ``loss`` but the cross-entropy, no corruption and a built-in architecture, encoder and decoder are PCA of
    the scaled rows, plus nets whose last layers start at zero; ``fit`` warns where they bring nothing. Warped rows, and
    others' builders, start plain.

    NaN marks what is missing, in ``fit`` and in new rows. A mixture of Gaussians fitted by EM fills it in, by its mean
    given the rest of the row, for the encoder to see; only what is observed counts in the loss and the score.

    Series under ``"affine"`` or ``"elastic"`` start elsewhere: the encoder at PCA of how often each of many kernels
    fits anywhere in the row (Dempster et al. 2021), the decoder at a ridge regression of the rows on these
    codes. They say what happens, not when: good for few labels, poor for rebuilding.

    The encoder sees rows clipped to the range of ``fit``, so that a value outside it moves the code no farther;
    ``score_samples`` compares with the row as it is, in squares whatever the ``loss``. Codes are float32.

    References
    ----------
    G. E. Hinton, R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006.

    Z. Ghahramani, M. I. Jordan, "Supervised learning from incomplete data via an EM approach", 1994.

    P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, "Extracting and composing robust features with denoising
    autoencoders", 2008.

    A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic transform for time series
    classification", 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import AutoencoderTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> encoder = AutoencoderTransformer(8, image_shape=(8, 8), corruption="affine", max_iter=2, random_state=0)
    >>> encoder.fit_transform(X).shape
    (1797, 8)
    """

    n_components: int | None
    image_shape: Sequence[int] | None
    architecture: Literal["auto", "mlp", "conv"] | Callable[..., Any]
    hidden_layer_sizes: Sequence[int] | None
    activation: Literal["relu", "tanh", "logistic", "identity"]
    corruption: (
        Literal["noise", "mask", "swap", "affine", "elastic", "flip", "color"]
        | list[Any]
        | dict[Any, Any]
        | Callable[..., Any]
        | None
    )
    loss: Literal["squared_error", "absolute_error", "huber", "binary_cross_entropy"] | Callable[..., Any]
    learning_rate: float
    weight_decay: float
    max_iter: int | None
    batch_size: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    random_state: int | np.random.RandomState | None
    verbose: int
    callbacks: list[Any] | None
    checkpoint: str | os.PathLike[str] | None
    device: str
    precision: Literal["float32", "bfloat16"]
    compile: bool
    net_: NeuralNet
    n_iter_: int
    n_steps_: int
    baseline_loss_: float
    held_out_loss_: float
    history_: list[dict[str, Any]]
    image_shape_: tuple[int, ...] | None
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        n_components: int | None = None,
        *,
        image_shape: Sequence[int] | None = None,
        architecture: Literal["auto", "mlp", "conv"] | Callable[..., Any] = "auto",
        hidden_layer_sizes: Sequence[int] | None = None,
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        corruption: Literal["noise", "mask", "swap", "affine", "elastic", "flip", "color"]
        | list[Any]
        | dict[Any, Any]
        | Callable[..., Any]
        | None = None,
        loss: Literal["squared_error", "absolute_error", "huber", "binary_cross_entropy"]
        | Callable[..., Any] = "squared_error",
        learning_rate: float = 0.005,
        weight_decay: float = 0.0001,
        max_iter: int | None = None,
        batch_size: int = 128,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0001,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compile: bool = False,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. float64, float32 and integers (``uint8`` images), memmaps too, are kept as they are until a batch
            is on its device; other dtypes become float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, of which only the ratios count, in the loss and in what is learned before training and
            kept beside the net. A row of weight 0 is left out. Of up to 2,000 rows, and without ``early_stopping``, a
            row of weight 2 is a row given twice, to the bit. None: all alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, weights or a parameter are not valid, or if the loss stops being finite. A first ``fit``, or one
            without ``warm_start``, then leaves the estimator unfitted; one that goes on leaves it as it was.
        KeyboardInterrupt
            At Ctrl-C; a ``fit`` that did not go on has kept the best weights so far.
        """

    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one pass over the rows of X.

        The first call learns the scaling (or binning) from its rows, and warns if they are fewer than 50; later calls
        keep it. The learning rate is constant, and there is no early stopping. What fails, or is interrupted, changes
        nothing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            As in ``fit``: their ratios within a call count.

        Returns
        -------
        self : object
        """

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Codes of the rows of X: deterministic, and the same for a row whatever rows come with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is missing; the encoder sees its mean given the rest of the row.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
        """

    def encoder_module(self, corruption: Callable[..., Any] | None = None) -> torch.nn.Module:
        """The encoder in torch, to go on with: a copy of what is fitted, without what only training takes.

        Parameters
        ----------
        corruption : callable or None, default=None
            Tensors ``(n, *input_shape)`` in scaled units to tensors alike: what is done to rows in training mode.

        Returns
        -------
        module : torch.nn.Module
            ``module.encode(x)`` maps rows in the units of X, (n, n_features), to codes, (n, n_components).
        """

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Rows that codes stand for, in the units of the rows of ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), float64
            A frame with the columns of ``fit`` where ``set_output`` asks for one.
        """

    def complete(self, X: ArrayLike, random_state: int | np.random.RandomState | None = None) -> NDArray[Any]:
        """Fill in what is missing, given what is there.

        By the mixture of Gaussians that EM fits to the rows of ``fit``, and that fills the rows which the encoder sees:
        what a net that was trained on a thousand rows says of missing values was behind it on nearly every table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is missing; rows without a NaN come back as they are.
        random_state : int, RandomState instance or None, default=None
            None fills in expected values, of a column of levels the nearest to it. Else they are drawn: for multiple
            imputation call it with several seeds.

        Returns
        -------
        X_complete : ndarray of shape (n_samples, n_features)
            Given values are untouched, to the bit. A frame where ``set_output`` asks for one.

        References
        ----------
        Z. Ghahramani, M. I. Jordan, "Supervised learning from incomplete data via an EM approach", 1994.

        D. B. Rubin, "Multiple imputation for nonresponse in surveys", 1987.
        """

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean of ``score_samples`` over the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows in the mean.

        Returns
        -------
        score : float
        """

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Minus the squared reconstruction error of each row, in standardised features, as they are inside.

        It is no log-density: compare it between rows, not between models with other ``n_components``. Whatever their
        units are, features count alike, and so do all pixels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Higher is more normal. ``-(((X - inverse_transform(transform(X))) / s) ** 2).sum(axis=1)`` with the
            standard deviations s of the features in ``fit``; of all pixels, or the range with the cross-entropy.
        """

    def score_features(self, X: ArrayLike) -> NDArray[np.float64]:
        """Minus the squared reconstruction error of each feature: what it adds to the score of its row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples, n_features), float64
            The rows sum to ``score_samples``.
        """

    def set_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``fit``, in scikit-learn's metadata routing."""

    def set_partial_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``partial_fit``, in scikit-learn's metadata routing."""

    def set_score_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``score``, in scikit-learn's metadata routing."""

class DensityOutlierDetector(OutlierMixin, _BaseComposition):
    """Outliers by the scores of densities, at a false-alarm rate that holds.

    The densities are fitted on part of the rows. The rest, kept apart, ranks new ones: ``p_values`` (conformal
    prediction). Whatever the score, a row drawn as those of ``fit`` has one of a or less with a chance of at most a.
    Of few rows each part is kept apart in turn: see Notes.

    Parameters
    ----------
    estimator : estimator with ``score_samples``, list of (name, estimator), or None, default=None
        The density: any of this library's, ``KernelDensity``, ``GaussianMixture``, ``PCA``, ``IsolationForest``, or
        a ``Pipeline`` that ends in one. Of a list each is scored, and their mean log p-values are the score. A
        ``FrozenEstimator`` is taken as it is. None is a pool that suits tables of any scale: five of seven densities,
        chosen by whether half of the rows are a core that others lie far from.
    method : {"auto", "log_likelihood", "ratio", "complexity", "typicality", "regret", "fisher", "statistics"}, default="auto"
        What is made of the likelihood: ``"log_likelihood"``, log p(x); ``"ratio"``, less that of a background;
        ``"complexity"``, plus a code length; ``"typicality"``, minus its distance from the mean; ``"regret"``, minus
        what x gains by a VAE's posterior of its own; ``"fisher"``, the sum of the conditionals' log p-values;
        ``"statistics"``, the log rank of complexity plus that of a mixture over all that the density tells and, of
        images, how rough they are and how much likelier turned.
        ``"auto"`` is the last for an estimator with an ``image_shape``, else the first. The user guide on anomalies
        says where each comes from, what it costs and where it fails.
    contamination : "auto" or float in (0, 0.5], default="auto"
        False-alarm rate of ``predict``: at most this share of normal rows are called outliers. ``"auto"`` is 0.05.
    background : estimator or None, default=None
        For ``"ratio"``. A clone of it is fitted on the rows as they are. None: a clone of ``estimator``, fitted on
        rows in which a fifth of the values are drawn uniformly from their feature's range.
    codelength : {"bz2", "lzma", "zlib"}, callable or None, default=None
        For ``"complexity"`` and ``"statistics"``: the lossless compressor. Images are read by their rows and by
        their columns, for the mean of both. A callable maps a uint8 array of shape (n_features,) to bytes, or to
        nats. None is the mean of bz2 and zlib; in ``"statistics"`` for images only.
    calibration_size : float, int or None, default=0.2
        Share (or number) of the rows, or groups, of ``fit`` that are kept apart, or in turn so, if these are too few.
        None keeps none: see Notes. All calibrate if the estimators are frozen and nothing else is to be fitted.
    tail : {"pareto"} or None, default=None
        What p-values are below the lowest of n ranks: 1 / (n + 1), which holds, or those of a generalised Pareto
        distribution of the lowest scores, an assumption, for levels that ranks cannot reach.
    horizon : int, default=1000
        Of ``partial_fit``: how many of the latest rows kept apart calibrate. Older ones are forgotten. It must be no
        less than a p-value of ``contamination`` takes, 99 or more.
    random_state : int, RandomState instance or None, default=None
        Of the split, of the background's rows, and of every estimator whose own is None.

    Attributes
    ----------
    estimators_, backgrounds_ : lists of fitted estimators
        One, if ``estimator`` is one; as many backgrounds, or none. Where all rows calibrate in turn, those of one part
        after those of another.
    method_ : str
        The one that ``"auto"`` chose.
    offset_ : float
        ``decision_function`` is ``score_samples`` less this.
    calibration_scores_ : ndarray of shape (n_calibration,)
        Scores of the rows that p-values are ranks among, sorted. Where all calibrate in turn, those at which p rises.
    calibration_indices_ : ndarray of shape (n_calibration,), int
        Which rows of X these are, or -1 for those that came by ``partial_fit``.
    calibrated_ : bool
        Whether no density was asked of rows that it was fitted on. If not, the p-values are not valid.
    image_shape_ : tuple of int or None
        That of the first estimator, unless a step of a ``Pipeline`` before it mixes the features.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only if X has column names, all of them strings.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Fast, and a strong baseline on tables.
    sklearn.neighbors.LocalOutlierFactor : By distances to neighbours.

    Notes
    -----
    At least 99 rows kept apart must calibrate, or as many as a p-value of ``contamination`` takes, if that is more. A
    list, and ``"typicality"``, ``"fisher"`` and ``"statistics"``, take half of these to learn how normal rows score.

    With too few, K parts of ``calibration_size`` are kept apart in turn, and all n rows calibrate (cross-conformal
    prediction). That takes K fits, and as many rows as a p-value of ``contamination``: 19 for 0.05. False alarms are at
    most 2 a + 2 (1 - 1/K) / (n/K + 1) at level a, and in practice about a. Rows of ``fit`` are ranked by densities that
    have not seen them, so that ``fit_predict`` flags a share of ``contamination``.

    With fewer still, or with ``calibration_size=None``, the densities are fitted on all rows, and p-values are ranks
    among these: they order new rows as well, but are too small, as a density fits the rows best that it has seen; in
    ``fit_predict`` the share of outliers is then ``contamination``. Outliers among the rows of ``fit`` cost power.

    Copies of a row are never on both sides, and count as one where rows are counted: so p-values hold for new rows
    that equal none in ``fit``. Those with the fewest copies calibrate. If equal rows were drawn independently, as in a
    table of few categories, ``groups=np.arange(len(X))`` has more power. With ``groups`` whole groups are kept apart,
    and one row drawn of each calibrates: p-values hold for a new row of a new group, and groups are counted, not rows.

    A file of a fitted detector holds rows that can be read, if the densities do: by default all that were trained on,
    up to 5000 (scaled, which can be undone), and more than once. It also holds hashes of the rows that calibrate, the
    latest rows kept apart by ``partial_fit``, and after ``watch`` the values of each feature. Do not hand on what is
    private.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, "Algorithmic learning in a random world", 2005. R. Dunn, L. Wasserman, A. Ramdas,
    "Distribution-free prediction sets for two-layer hierarchical models", 2022 (groups). V. Vovk, "Cross-conformal
    predictors", 2015. R. F. Barber, E. J. Candes, A. Ramdas, R. J. Tibshirani, "Predictive inference with the
    jackknife+", 2021 (the bound for parts kept apart in turn).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.mixture import GaussianMixture
    >>> from sklatent import DensityOutlierDetector
    >>> X = np.random.RandomState(0).normal(size=(1000, 2))
    >>> detector = DensityOutlierDetector(GaussianMixture(), contamination=0.01, random_state=0).fit(X)
    >>> detector.predict([[0.0, 0.0], [5.0, 5.0]])
    array([ 1, -1])
    """

    estimator: Any
    method: Literal["auto", "log_likelihood", "ratio", "complexity", "typicality", "regret", "fisher", "statistics"]
    contamination: Literal["auto"] | float
    background: Any
    codelength: Literal["bz2", "lzma", "zlib"] | Callable[..., Any] | None
    calibration_size: float | int | None
    tail: Literal["pareto"] | None
    horizon: int
    random_state: int | np.random.RandomState | None
    @property
    def estimators_(self) -> list[Any]: ...
    @property
    def backgrounds_(self) -> list[Any]: ...
    method_: str
    offset_: float
    calibration_scores_: NDArray[Any]
    calibration_indices_: NDArray[np.intp]
    calibrated_: bool
    @property
    def image_shape_(self) -> tuple[int, ...] | None: ...
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        estimator: Any = None,
        *,
        method: Literal[
            "auto", "log_likelihood", "ratio", "complexity", "typicality", "regret", "fisher", "statistics"
        ] = "auto",
        contamination: Literal["auto"] | float = "auto",
        background: Any = None,
        codelength: Literal["bz2", "lzma", "zlib"] | Callable[..., Any] | None = None,
        calibration_size: float | int | None = 0.2,
        tail: Literal["pareto"] | None = None,
        horizon: int = 1000,
        random_state: int | np.random.RandomState | None = None,
    ) -> None: ...
    def watch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Evidence that rows do not come any more as they did, by conformal test martingales of score and features.

        Call it on rows in the order in which they come, in batches of any size. The rows of the first call are what
        the features of later ones are compared with; scores are compared with those that calibrated, if rows were kept
        apart, until ``partial_fit`` changes what a score is. It warns once, when the evidence reaches log(1000).
        ``fit``, and ``recalibrate`` without y, start anew.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        evidence : ndarray of shape (n_samples,), float64
            After each row, in nats. As long as rows come as before, it reaches log(1 / a) at any time with a chance of
            at most a.

        References
        ----------
        V. Vovk, I. Petej, I. Nouretdinov, E. Ahlberg, L. Carlsson, A. Gammerman, "Retrain or not retrain: conformal
        test martingales for change-point detection", 2021.
        """

    def counterfactuals(self, X: ArrayLike, X_normal: ArrayLike, max_features: int = 2) -> Any:
        """Each row as near as can be, but no outlier: other values in at most so many of its features.

        The feature and the value that raise the score most are changed first, then the next, until ``predict`` says 1.
        Of the values that then suffice the nearest is taken, by their ranks among ``X_normal``. Whatever the score is:
        it is only asked. (S. Wachter, B. Mittelstadt, C. Russell, "Counterfactual explanations without opening the
        black box", 2017.)

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense, or a frame.
        X_normal : array-like of shape (n_normal, n_features)
            Normal rows, such as those of ``fit``, whose values are tried: 16 quantiles of each feature, or all levels
            of one that is not a number. A frame if X is one.
        max_features : int, default=2

        Returns
        -------
        X_changed : of the type and shape of X
            Of a dtype that holds the values of both. Rows that were no outliers are as they were. Those that no such
            change makes normal have the changes that raise the score most, or none if none does.

        Raises
        ------
        ValueError
            If ``max_features`` is not a whole number from 1 on. TypeError if rows are sparse, or one of both a frame.
        """

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score of each row by ``method``, or, of several estimators, the mean log p-value: higher is more normal.

        Where all rows of ``fit`` calibrated in turn, it is log p, made increasing from one rank to the next.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In nats, whatever the other rows are; -inf where an estimator says so.
        """

    def score_features(self, X: ArrayLike) -> NDArray[np.float64]:
        """What each feature adds to the score of its row.

        For ``"log_likelihood"``, ``"ratio"``, ``"typicality"`` and ``"fisher"`` of estimators with
        ``score_features``, in a ``Pipeline`` after steps that keep the features; else there is no such method. Exact
        but for ``"typicality"``, a list and the default, whose scores are 0 for a mean row: what a row differs by is
        split in proportion to what each feature adds to the difference of the log-likelihoods (Shrikumar et al. 2017).
        Where all rows of ``fit`` calibrated in turn, so is log p, and what is left is shared equally.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
            The rows sum to ``score_samples``, in nats.
        """

    def p_values(self, X: ArrayLike) -> NDArray[np.float64]:
        """Share of the calibration rows that are at least as strange: (1 + #{scores <= its own}) / (n_calibration + 1).

        Ties count in full, so that p-values are too large rather than too small where scores tie. Of rows with copies,
        m of them different, it is (1 + m q) / (m + 1), q the share of those whose scores are no higher. Where all rows
        of ``fit`` calibrated in turn, each is compared with X by the score that has not seen it. With ``tail`` p goes
        on below 1 / (n_calibration + 1).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples,), float64
            ``predict`` gives -1 where this is at most ``contamination``.
        """

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """``score_samples`` less ``offset_``: negative for outliers; finite, or -inf.

        If ``offset_`` is -inf, no row is an outlier, and it is the score less the lowest finite one that calibrated,
        0 at least.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,), float64
        """

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """1 for rows taken for normal, -1 for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
        """

    def predict_fdr(self, X: ArrayLike, fdr: float = 0.1) -> NDArray[np.intp]:
        """1 for rows taken for normal, -1 for outliers, at most a share ``fdr`` of which are normal, on average.

        Benjamini and Hochberg's procedure on the p-values of the rows of this call, which depend on one another as it
        allows (Bates et al. 2023). Proved for rows kept apart; where all calibrate in turn, only seen to hold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        fdr : float in (0, 1), default=0.1
            False discovery rate.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int

        Raises
        ------
        ValueError
            If ``fdr`` is not in (0, 1).

        References
        ----------
        Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", 1995. S. Bates, E. Candes, L. Lei, Y. Romano,
        M. Sesia, "Testing for outliers with conformal p-values", 2023.
        """

    def get_params(self, deep: bool = True) -> dict[Any, Any]:
        """Parameters, those of the estimators by their names too.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        params : dict
        """

    def set_params(self, **params: Any) -> Self:
        """Set parameters; of a list of estimators also ``name=estimator`` and ``name__parameter=value``.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : object
        """

    def fit(self, X: ArrayLike, y: Any = None, groups: ArrayLike | None = None) -> Self:
        """Fit the densities on part of the rows, and calibrate on the rest.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Passed on to the estimators as it is.
        y : None
            Ignored.
        groups : array-like of shape (n_samples,), default=None
            Labels of what was drawn as one, such as a patient's or a machine's rows: see Notes. None: equal rows.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter is not valid or not used, a score is NaN or inf (-inf is the strangest), there is one group,
            or all estimators are frozen and too few rows calibrate. TypeError if one lacks what ``method`` needs.
        """

    def partial_fit(self, X: ArrayLike, y: Any = None, groups: ArrayLike | None = None) -> Self:
        """Train the densities further, on part of the rows; the rest waits until it is enough to calibrate anew.

        Until then p-values are ranks among the rows that calibrated before. If none have, as always with
        ``calibration_size=None`` unless ``recalibrate`` was called, they are ranks among the rows just trained on. A
        row or group that comes back is on the side that it was on in ``partial_fit`` before, as its hash decides; so
        ``calibration_size`` is what is kept of a batch on average.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        groups : array-like of shape (n_samples,), default=None
            As in ``fit``, but one alone will do.

        Returns
        -------
        self : object
        """

    def recalibrate(self, X: ArrayLike, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Replace the calibration by one on new normal rows, or take outliers out of it; the densities stay.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that no density was fitted on, as many as a p-value of ``contamination`` takes. With y, rows that
            calibrate and that somebody has looked at.
        y : array-like of shape (n_samples,), default=None
            What they were: -1, an outlier, which new rows are ranked among no more, or 1, which stays (label-trimmed
            calibration). None: X takes the place of the rows that calibrate.
        groups : array-like of shape (n_samples,), default=None
            As in ``fit``. Without y, those of its groups should not be among these.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If too few rows are left, or if with y some row does not calibrate or a label is neither 1 nor -1.

        References
        ----------
        M. Bashari, M. Sesia, Y. Romano, "Robust conformal outlier detection under contaminated reference data", 2025.
        """

    def rows_to_label(self, n_rows: int = 10) -> NDArray[np.intp]:
        """The rows that calibrate, and that to look at gains most: the strangest, but for those looked at already.

        If outliers are among them, new rows have too large p-values: see ``recalibrate``.

        Parameters
        ----------
        n_rows : int, default=10

        Returns
        -------
        index : ndarray of shape (n_rows,), int
            Of rows of the X that ``fit`` or ``recalibrate`` calibrated on, the strangest first. Fewer if there are
            no more.

        Raises
        ------
        ValueError
            If they came by ``partial_fit``, in batches that are gone.
        """

    def set_fit_request(self, *, groups: bool | str | None = ...) -> Self:
        """What is passed on to ``fit``, in scikit-learn's metadata routing."""

    def set_partial_fit_request(self, *, groups: bool | str | None = ...) -> Self:
        """What is passed on to ``partial_fit``, in scikit-learn's metadata routing."""

class EncoderClassifier(ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Fine-tune an encoder to classify, from few labels and many rows without any.

    The encoder is trained on all rows, without labels. Then a net, the encoder and a linear head, learns the labelled
    rows under augmentation. If other rows are unlabelled (``y == -1``), the labels are spread over a graph of the codes
    that it now gives; the net learns what the graph says, averaged with what one over a PCA of the rows says; and the
    labels are spread anew over the codes of the better net, which is what predicts.

    So it is for images. Where nothing stands in for more labels, on tables, series and images in colour, several
    opinions are asked at once, each right on other data, and weighted by shares that fit labels held out. On tables:
    the graph; logistic regression on the codes and on normal scores of the features, an SVC on these, extremely
    randomised trees and a random forest. If the first two have more than half, classes are clusters, and the net learns
    from the graph. If not, the weighted mean predicts, and no net learns unless ``n_rounds`` says so. On series and
    images in colour the mean always predicts: graphs and ridge regressions on the codes, on the values of a series and
    on what typical kernels (Dempster et al. 2021) or patches (Coates et al. 2011) find. Each row i of a batch adds

    .. math:: -w_i \, \log p(c_i \mid \tilde x_i)

    to the loss, with :math:`\tilde x` the augmented row, c its label or the class that the graph finds most likely,
    and w how sure of it the graph is: 1 minus the entropy of its distribution over the largest entropy there is,
    divided by the mean of that over the rows. Labelled rows have weight 1 and are shown so often that they make up a
    fifth of the rows. Without unlabelled rows it is ordinary fine-tuning, and the net predicts.

    Parameters
    ----------
    encoder : TwoViewTransformer, AutoencoderTransformer, VAETransformer, FrozenEstimator or None, default=None
        A clone of it is fitted to all rows; in a ``FrozenEstimator`` it is fitted already, and stays as it is. None
        has 64 codes and is a ``TwoViewTransformer`` for images, and an autoencoder for tables, of rows in which
        features are swapped, and for series, of rows warped in time.
    image_shape : tuple of int or None, default=None
        Of the rows, for ``encoder=None``; see there.
    graph : GraphLabelSpreading or None, default=None
        What spreads the labels over the codes. None is ``GraphLabelSpreading()``.
    n_rounds : int or None, default=None
        How often the net learns from the graph, and the graph is made anew from its codes, unless that says the same
        of 99.5 % of the rows. None is 2, or 0 where opinions predict.
    augmentation : "auto", name, list, dict, callable or None, default="auto"
        What is done to the rows that the net sees in training, in the terms of ``corruption`` of the encoders.
        ``"auto"`` warps images and series, mirrors and recolours images in colour too, and masks features of tables.
        Any other also makes the views of images for ``encoder=None``.
    mixup : float, default=1.0
        Pairs of rows and their labels are mixed in shares from Beta(mixup, mixup); 0 mixes nothing.
    vat : float or None, default=None
        Virtual adversarial training: predictions are to stay as they are where a row moves by this share of the
        distance between rows, in the direction that changes them most. None is 0.1 for tables and 0, none, for images.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn.
    freeze : int, default=0
        Epochs in which only the head is trained, before the encoder is too.
    encoder_learning_rate : float or None, default=None
        Of the encoder. None is 3e-3 for images when they learn their labels and 1e-3 when they learn from the graph,
        1e-3 for series, and 3e-4 for tables.
    learning_rate : float, default=0.003
        Of the head. Both rise over the first 3 % of the steps and then fall to 0 as a cosine.
    weight_decay : float, default=0.0005
        Decoupled weight decay of AdamW.
    ema_decay : float, default=0.99
        Decay of an exponential moving average of the weights over the steps, which then takes their place. 0: none.
    max_iter : int or None, default=None
        Epochs of each training. None: as many as make 60 steps for each root of the labels of images, from 400 to
        2,000, 800 for those of others, and from the graph 300 steps for images and 400 to 800 for tables; from 1 to
        180. Where others are unlabelled, an epoch of labelled images shows them so often that it has 20 steps.
    batch_size : int, default=320
        Rows in a step of training; all rows if there are fewer.
    early_stopping : bool, default=False
        Keep ``validation_fraction`` of the rows apart, stop when their loss has not fallen by ``tol`` for
        ``n_iter_no_change`` epochs, and take the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows kept apart; used only with ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs to wait; used only with ``early_stopping``.
    tol : float, default=1e-4
        What counts as a fall of the loss of a row; used only with ``early_stopping``.
    warm_start : bool, default=False
        Let ``fit`` go on with the encoder and the net of the fit before, on the same rows with more labels, or other
        ones. Where there are unlabelled rows the net learns once more what the graph says.
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
        Compile the module for training (``torch.nn.Module.compile``): pays for itself in long fits only.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    encoder_ : TwoViewTransformer, AutoencoderTransformer or VAETransformer
        As it was before it was fine-tuned.
    shares_ : dict of str to float
        Of the opinions, by name; where they were asked.
    graph_ : GraphLabelSpreading
        Fitted to the codes of the last round, of up to 2,000 rows without copies; only if there were unlabelled rows,
        as the next three.
    label_distributions_ : ndarray of shape (n_samples, n_classes), float64
        Of the rows of ``fit``.
    transduction_ : ndarray of shape (n_samples,)
        The class of each row of ``fit``: the given one, or else the most likely.
    agreement_ : dict or None
        ``{"codes": a, "pca": b}``: the share of the labels found when they are held out in turn and spread from the
        others, over the codes of ``encoder_`` and over those of a PCA, on up to 3,000 rows; None if a class has
        one label. ``fit`` warns where the codes do worse by more than chance.
    augmentation_, vat_, n_rounds_ : dict, name or callable; float; int
        What ``"auto"`` and None stood for.
    steps_ : list of dict
        What the net learned, in turn: ``learns`` ("labels" or "graph"), ``max_iter``, ``encoder_learning_rate``.
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
        Only if X has column names, all of them strings.

    See Also
    --------
    GraphLabelSpreading : The graph alone, behind any transformer.
    LabeledKFold : Folds for cross-validation over rows of which some have no label.
    sklearn.semi_supervised.SelfTrainingClassifier : Grows the labelled rows by any classifier's own predictions.

    Notes
    -----
    A y of -1 and 1 alone is the binary coding, in which -1 is a class. Pretraining and the graph treat all rows of
    ``fit``: what is to be a fair test must not be among them.

    Fitted with unlabelled rows, it holds the codes of all rows of ``fit`` in ``graph_``, and so does a pickle of it:
    they predict, and cannot be left out; with the decoder of ``encoder_``, whom it is given to can rebuild the rows
    roughly. What it says of each row, ``label_distributions_`` and ``transduction_``, here and in ``graph_``, can be
    deleted: ``predict`` does without. Where opinions predict it also holds up to 2,000 labelled rows as they are, and
    on series and images in colour features of all rows. Without unlabelled rows it holds none of this.

    References
    ----------
    A. Iscen, G. Tolias, Y. Avrithis, O. Chum, "Label propagation for deep semi-supervised learning", 2019 (graph and
    net in turns, weights by entropy).

    G. E. Hinton, R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006 (pretrained
    autoencoders, fine-tuned).

    D. H. Wolpert, "Stacked generalization", 1992 (shares of opinions by labels held out).

    A. Coates, H. Lee, A. Y. Ng, "An analysis of single-layer networks in unsupervised feature learning", 2011.

    A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic transform for time series
    classification", 2021.

    H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond empirical risk minimization", 2018.

    T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual adversarial training: a regularization method for supervised and
    semi-supervised learning", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import EncoderClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = X[:500], y[:500]
    >>> few = np.where(np.arange(500) < 50, y, -1)
    >>> classifier = EncoderClassifier(image_shape=(8, 8), max_iter=10, random_state=0).fit(X, few)
    >>> bool(np.mean(classifier.transduction_ == y) > 0.9)
    True
    """

    encoder: TwoViewTransformer | AutoencoderTransformer | VAETransformer | FrozenEstimator | None
    image_shape: Sequence[int] | None
    graph: GraphLabelSpreading | None
    n_rounds: int | None
    augmentation: str | list[Any] | dict[Any, Any] | Callable[..., Any] | None
    mixup: float
    vat: float | None
    class_weight: dict[Any, Any] | Literal["balanced"] | None
    freeze: int
    encoder_learning_rate: float | None
    learning_rate: float
    weight_decay: float
    ema_decay: float
    max_iter: int | None
    batch_size: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    random_state: int | np.random.RandomState | None
    verbose: int
    callbacks: list[Any] | None
    checkpoint: str | os.PathLike[str] | None
    device: str
    precision: Literal["float32", "bfloat16"]
    compile: bool
    classes_: NDArray[Any]
    encoder_: TwoViewTransformer | AutoencoderTransformer | VAETransformer
    shares_: dict[str, float]
    graph_: GraphLabelSpreading
    label_distributions_: NDArray[np.float64]
    transduction_: NDArray[Any]
    agreement_: dict[Any, Any] | None
    augmentation_: dict[Any, Any] | str | Callable[..., Any]
    vat_: float
    n_rounds_: int
    steps_: list[dict[str, Any]]
    net_: NeuralNet
    n_iter_: int
    n_steps_: int
    baseline_loss_: float
    held_out_loss_: float
    history_: list[dict[str, Any]]
    image_shape_: tuple[int, ...] | None
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        encoder: TwoViewTransformer | AutoencoderTransformer | VAETransformer | FrozenEstimator | None = None,
        *,
        image_shape: Sequence[int] | None = None,
        graph: GraphLabelSpreading | None = None,
        n_rounds: int | None = None,
        augmentation: str | list[Any] | dict[Any, Any] | Callable[..., Any] | None = "auto",
        mixup: float = 1.0,
        vat: float | None = None,
        class_weight: dict[Any, Any] | Literal["balanced"] | None = None,
        freeze: int = 0,
        encoder_learning_rate: float | None = None,
        learning_rate: float = 0.003,
        weight_decay: float = 0.0005,
        ema_decay: float = 0.99,
        max_iter: int | None = None,
        batch_size: int = 320,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0001,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compile: bool = False,
    ) -> None: ...
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most likely class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the encoder on all rows, and the classifier on what the labelled ones say of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; dtypes are kept as the encoders keep them. NaN, what is missing, is filled in as the encoder does.
        y : array-like of shape (n_samples,)
            Classes; -1 marks an unlabelled row. Strings beside -1 take ``dtype=object``.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, of which only the ratios count: in the encoder's ``fit``, in the loss of labels and of
            what the graph says, and in the regression beside it; the graph itself has none. A row of weight 0 is left
            out, of the attributes too. Of up to 2,000 rows, and without ``early_stopping``, a row of weight 2 is a row
            given twice. None: all alike.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If ``encoder`` is none of this library's.
        ValueError
            If no row has a label, if labels are real numbers, if weights are not valid, or if the loss stops being
            finite.
        """

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities: the graph's vote, or that of the opinions on a table; all rows labelled, the net's.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Codes of the rows by the fine-tuned encoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
        """

    def set_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``fit``, in scikit-learn's metadata routing."""

    def set_score_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``score``, in scikit-learn's metadata routing."""

class GraphLabelSpreading(ClassifierMixin, BaseEstimator):
    r"""Spread the labels of few rows to all rows, over a sparse graph of nearest neighbours.

    With :math:`W` the symmetric Gaussian weights between neighbours, :math:`D` its row sums, :math:`S = D^{-1/2} W
    D^{-1/2}`, and :math:`Y` the one-hot labels,

    .. math:: F = (1 - \alpha) (I - \alpha S)^{-1} Y,

    whose columns are scaled to the class prior. Poisson learning goes on from there: in turn, each row is put wholly
    into its class, so that each class has the share of rows that the prior says, and heat flows from the labels,
    :math:`U \leftarrow D^{-1} (W U + Y - \bar y)`. Rows are then made distributions, sharpened by the power that fits
    labels held out best. New rows are given the weighted vote of their neighbours. It is as good as the distances
    between its rows are: put an encoder in front, ``make_pipeline(encoder, GraphLabelSpreading())``, whose ``fit``
    trains the encoder on all rows.

    Parameters
    ----------
    n_neighbors : int, default=10
        Neighbours of each row in the graph, and of a new row in the vote; all others if there are fewer.
    alpha : float or "auto", default="auto"
        In (0, 1): how far labels spread. ``"auto"`` takes the largest of 0.99, 0.95, 0.8 and 0.5 that finds labels
        held out as well as the best of them does, up to one standard error: far where they are few, less far where
        they are many.
    method : {"auto", "spreading", "poisson"}, default="auto"
        Poisson learning with volume constraints errs less than spreading where classes have about the sizes that
        ``class_prior`` says, and more where they do not. ``"auto"`` takes it where it finds more of the labels held
        out; and where both find as many, or none can be held out, if it changes the class of less than a tenth of the
        rows.
    class_prior : {"uniform", "labelled"}, array-like of shape (n_classes,) or None, default="uniform"
        What the mass of each class, its column's sum in F, is scaled to: equal shares, the shares of the classes
        among the labelled rows, or those given, in the order of ``classes_``. None leaves F as it is. How many rows
        each class then wins by spreading is still up to the graph: equal mass errs less than the other two even where
        classes are of unequal size, since the few labels tell their sizes poorly. By Poisson learning it is its share.
    n_jobs : int or None, default=None
        Processes of the search for neighbours.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    label_distributions_ : ndarray of shape (n_samples, n_classes), float64
        Of the rows of ``fit``.
    transduction_ : ndarray of shape (n_samples,)
        The most likely class of each row of ``fit``; the given one where a row has a label.
    alpha_ : float
        The one that ``"auto"`` chose.
    method_ : {"spreading", "poisson"}
        The one that ``"auto"`` chose.
    held_out_accuracy_ : float or None
        Share of the labels found when they are held out, a third at a time, and spread from the others: compares
        features for the graph where no rows can be spared for a test. None if each class has one label, or there is
        one class.
    held_out_distributions_ : ndarray of shape (n_labelled, n_classes), float64, or None
        Of the labelled rows, in the order of ``fit``, each where its own label was held out so; NaN where a class has
        no other label. None where ``held_out_accuracy_`` is.
    n_linked_ : int
        Rows in parts of the graph that hold no label: these were linked to the nearest rows of those that do.
    n_undecided_ : int
        Rows hundreds of links from all labels: they get the class prior, and the class that it makes most likely.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only if X has column names, all of them strings.

    See Also
    --------
    EncoderClassifier : Trains an encoder and a classifier with the help of such graphs.
    sklearn.semi_supervised.LabelSpreading : Weights of 0 and 1 that are not symmetric, and no class mass.

    Notes
    -----
    Distances are Euclidean: features of different units need a ``StandardScaler`` in front. Rows that coincide are
    one node of the graph. Neighbours are exact: their search takes time in proportion to the square of the number of
    rows, and memory in proportion to the number.

    The fitted object holds the rows of ``fit``, and so does a pickle of it: new rows are compared with them. Whom it is
    given to can read them; they cannot be left out. What it says of each, ``label_distributions_`` and
    ``transduction_``, can: ``predict`` does without, so delete these two to make a pickle smaller. It holds no index of
    the neighbours: loading it builds that anew.

    A y of -1 and 1 alone is the binary coding, in which -1 is a class; in all others it marks the unlabelled rows.

    References
    ----------
    D. Zhou, O. Bousquet, T. N. Lal, J. Weston, B. Schölkopf, "Learning with local and global consistency", 2004.

    J. Calder, B. Cook, M. Thorpe, D. Slepčev, "Poisson learning: graph based semi-supervised learning at very low label
    rates", 2020.

    X. Zhu, Z. Ghahramani, J. Lafferty, "Semi-supervised learning using Gaussian fields and harmonic functions", 2003
    (class mass normalisation).

    J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods",
    1999 (calibration by labels held out).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import GraphLabelSpreading
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.where(np.arange(len(y)) < 100, y, -1)
    >>> spreading = GraphLabelSpreading().fit(X, few)
    >>> bool(np.mean(spreading.transduction_ == y) > 0.9)
    True
    """

    n_neighbors: int
    alpha: float | Literal["auto"]
    method: Literal["auto", "spreading", "poisson"]
    class_prior: Literal["uniform", "labelled"] | ArrayLike | None
    n_jobs: int | None
    classes_: NDArray[Any]
    label_distributions_: NDArray[np.float64]
    transduction_: NDArray[Any]
    alpha_: float
    method_: Literal["spreading", "poisson"]
    held_out_accuracy_: float | None
    held_out_distributions_: NDArray[np.float64] | None
    n_linked_: int
    n_undecided_: int
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        n_neighbors: int = 10,
        *,
        alpha: float | Literal["auto"] = "auto",
        method: Literal["auto", "spreading", "poisson"] = "auto",
        class_prior: Literal["uniform", "labelled"] | ArrayLike | None = "uniform",
        n_jobs: int | None = None,
    ) -> None: ...
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most likely class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Spread the labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Classes; -1 marks an unlabelled row. Strings beside -1 take ``dtype=object``.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If no row has a label, if labels are missing or real numbers, if ``class_prior`` does not fit the
            classes, or if distances overflow.
        """

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities of new rows, by the vote of their neighbours.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """

    def set_score_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``score``, in scikit-learn's metadata routing."""

class HistogramDensity(DensityMixin, BaseEstimator):
    r"""Product of histograms, one of each feature, with bins of equal width.

    .. math:: p(x) = \prod_i \frac{c_i(x_i) + 1/2}{(n + B/2) \, w_i}

    where c counts the rows of ``fit`` in the bin, of B bins of width w. Outside of all bins the log-density is that
    of an empty one, less log(1 + distance / w).

    Parameters
    ----------
    n_bins : int, default=16
        Of each feature, between its lowest and its highest value in ``fit``.

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only if X has column names, all of them strings.

    See Also
    --------
    MADEDensity : Joint densities.

    Notes
    -----
    It knows of no dependence between features. It integrates to one over the ranges of ``fit``; what lies outside is
    for ranking. A constant feature counts as a bin of width 1, of which any other value is outside.

    References
    ----------
    M. Goldstein, A. Dengel, "Histogram-based outlier score (HBOS): A fast unsupervised anomaly detection algorithm",
    2012.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklatent import HistogramDensity
    >>> X, _ = load_wine(return_X_y=True)
    >>> HistogramDensity().fit(X).score_samples(X).shape
    (178,)
    """

    n_bins: int
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(self, n_bins: int = 16) -> None: ...
    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean of ``score_samples`` over the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows in the mean.

        Returns
        -------
        score : float
        """

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-density of each row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
        """

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Count.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        self : object
        """

    def score_features(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-density of each feature, in nats; the rows sum to ``score_samples``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_features), float64
        """

    def set_score_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``score``, in scikit-learn's metadata routing."""

class HistoryDisplay:
    """Loss by epoch.

    Parameters
    ----------
    train_loss : ndarray of shape (n_epochs,)
    valid_loss : ndarray of shape (n_epochs,) or None, default=None
        NaN in epochs without validation. The epoch of the lowest value is marked.
    baseline_loss : float or None, default=None
        Validation loss of the linear model that the net started at, drawn as a level.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    Notes
    -----
    Where the first epochs are far above all others, their points lie beyond the top, and the others can be told apart.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import AutoencoderTransformer, HistoryDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> encoder = AutoencoderTransformer(8, max_iter=3, early_stopping=True, random_state=0).fit(X)
    >>> HistoryDisplay.from_estimator(encoder).valid_loss.shape
    (3,)
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self, train_loss: NDArray[Any], valid_loss: NDArray[Any] | None = None, baseline_loss: float | None = None
    ) -> None: ...
    def plot(self, ax: Axes | None = None) -> Self:
        """Draw on an Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure. The figure of an Axes that is given gets matplotlib's constrained layout, if it has no
            layout of its own, so that labels and colour bars keep clear of the other Axes.

        Returns
        -------
        self : object
            With ``ax_`` and ``figure_``.
        """

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None) -> Self:
        """Plot the history of a fit.

        Parameters
        ----------
        estimator : fitted estimator
            With ``history_``, and ``baseline_loss_`` if it started at a linear model.
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : HistoryDisplay
        """

class LabeledKFold(StratifiedKFold):
    """Stratified folds of the labelled rows; rows with the label -1 are in every training part and in no test part.

    So is the row of a class that has a single label: without it, the class would not be known.

    For ``cross_val_score`` and ``GridSearchCV`` over rows of which some are unlabelled. Ordinary folds would put
    unlabelled rows into the test part, where -1 counts as a wrong prediction.

    Parameters
    ----------
    n_splits : int, default=5
    shuffle : bool, default=False
    random_state : int, RandomState instance or None, default=None
        Used only with ``shuffle``.

    Notes
    -----
    The test rows of a fold are not seen in training, not even without their labels. What was fitted before and
    outside of the folds, such as an encoder in a ``FrozenEstimator``, has seen them: then the score is that of rows
    which were there, unlabelled, when the encoder was trained.

    Examples
    --------
    >>> import numpy as np
    >>> from sklatent import LabeledKFold
    >>> y = np.array([0, -1, 1, -1, 0, 1])
    >>> for train, test in LabeledKFold(2).split(np.zeros((6, 1)), y):
    ...     print(train, test)
    [1 3 4 5] [0 2]
    [0 1 2 3] [4 5]
    """

    n_splits: int
    shuffle: bool
    random_state: int | np.random.RandomState | None

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, random_state: int | np.random.RandomState | None = None
    ) -> None: ...
    def split(self, X: ArrayLike, y: ArrayLike, groups: Any = None) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Indices of the training and test rows of each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Only its length is used.
        y : array-like of shape (n_samples,)
            -1: unlabelled.
        groups : None
            Ignored.

        Yields
        ------
        train, test : ndarrays of int
        """

class LatentSpaceDisplay:
    """Two of the codes of each row.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_components)
    y : ndarray of shape (n_samples,) or None, default=None
        Colours the points: up to ten distinct values are classes with a legend, more are a continuous scale.
    components : tuple of two int, default=(0, 1)
        Columns of ``codes`` to show.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import AutoencoderTransformer, LatentSpaceDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> encoder = AutoencoderTransformer(2, image_shape=(8, 8), max_iter=2, random_state=0).fit(X)
    >>> LatentSpaceDisplay.from_estimator(encoder, X, y).codes.shape
    (1797, 2)
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self, codes: NDArray[Any], y: NDArray[Any] | None = None, components: tuple[int, int] = (0, 1)
    ) -> None: ...
    def plot(self, ax: Axes | None = None) -> Self:
        """Draw on an Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure. The figure of an Axes that is given gets matplotlib's constrained layout, if it has no
            layout of its own, so that labels and colour bars keep clear of the other Axes.

        Returns
        -------
        self : object
            With ``ax_`` and ``figure_``.
        """

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        components: tuple[int, int] = (0, 1),
        ax: Axes | None = None,
    ) -> Self:
        """Encode X and plot two of the codes.

        Parameters
        ----------
        estimator : fitted transformer
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or None, default=None
        components : tuple of two int, default=(0, 1)
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : LatentSpaceDisplay
        """

class MADEDensity(DensityMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Masked autoencoder for distribution estimation: a density of tables by the chain rule.

    .. math:: p(x) = \prod_i p(x_i \mid x_1, \ldots, x_{i-1}),

    all conditionals from one fully connected net, whose masks cut every path from a feature to itself and to those
    before it. With ``hidden_layer_sizes=()`` it is the fully visible belief network (FVBN): for features of two
    levels, a logistic regression of each on those before it.

    Parameters
    ----------
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(channels, height, width)`` that the rows were flattened from, channel first, in
        raster order; of series ``(1, n_steps)`` or ``(channels, 1, n_steps)``. None: the rows are a table.
    hidden_layer_sizes : tuple of int or None, default=None
        Units of the hidden layers. ``()`` is the FVBN. None is (64,), or (500,) with ``image_shape``.
    likelihood : str, list or dict, default="auto"
        The conditionals. ``"bernoulli"`` is for two levels. ``"categorical"``, any distribution over the levels, and
        ``"logistic_mixture"``, one that knows their order, bin real values. ``"gaussian_mixture"``, of five
        components, is a density of real values. ``"auto"`` gives each column of a table its own: the first for two
        whole numbers, the second for up to 16 levels (32 in a table of nothing but levels), the third for up to 256,
        else the last. Images have one for all pixels: the first, the second for up to 256 levels, or the last. A list
        of names, one for each feature, or a dict from a feature's name or index, decides instead.
    n_levels : int or None, default=None
        Levels of a feature. None: whole numbers keep theirs (up to 256); real values are binned, to 256 levels if
        ``image_shape`` is given, else to 32. Bins are of equal width: over the range of each feature in a table, over
        the range of all of them in an image. Whole numbers from 0 to ``n_levels - 1`` keep their values.
    order : {"natural", "random"}, default="natural"
        The order of the features in the product.
    n_masks : int, default=1
        Sets of masks over the same weights, each with its own order if that is random. The density is the mean of
        theirs.
    input_dropout : float or None, default=None
        Mean share of a row's features that is hidden from the net in training; it is told which. Guards against
        overfitting. None is 0.2 with ``"gaussian_mixture"`` (0.1 with several masks), where it helped on most tables,
        and where rows of ``fit`` have NaN; else 0.
    ema_decay : float, default=0.0
        Decay of an exponential moving average of the weights over the steps of ``fit``, which then takes the place of
        the weights, in early stopping too. 0 keeps the weights as they are; 0.999 is usual for long trainings.
    feature_layer : int or None, default=None
        Which hidden layer ``transform`` takes, counted from 0. None is the middle one.
    learning_rate : float, default=0.005
        Of AdamW. In ``fit`` it rises over the first 3 % of the steps and then falls to 0 as a cosine; in
        ``partial_fit`` it is constant.
    weight_decay : float, default=0.0001
        Decoupled weight decay of AdamW.
    max_iter : int or None, default=None
        Number of epochs: passes over the rows. None counts steps instead. Where there is a linear model to start at (see
        Notes), a fifth of the rows, 1,000 at most, say how far to go from it: up to 2,000 steps of 2,000 rows, which are
        then all trained on for as many steps, and 4,000 of more, where the best weights stay. Else it is 1,500 steps,
        or from 10 to 200 epochs.
    batch_size : int, default=100
        Rows in a step of training; all rows if there are fewer.
    early_stopping : bool, default=False
        Keep ``validation_fraction`` of the rows apart, stop when their loss has not fallen by ``tol`` for
        ``n_iter_no_change`` epochs, and take the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows kept apart; used only with ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs to wait; used only with ``early_stopping``.
    tol : float, default=1e-4
        What counts as a fall of the loss of a row; used only with ``early_stopping``.
    warm_start : bool, default=False
        Let ``fit`` go on with the weights, the optimizer and the scaling of the last call.
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
        Compile the module for training (``torch.nn.Module.compile``): pays for itself in long fits only.

    Attributes
    ----------
    likelihood_ : str or list of str
        The one that ``"auto"`` chose; of a table of several kinds, the one of each column.
    n_levels_ : int or None
        None of real values, and of a table of several kinds.
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
        Only if X has column names, all of them strings.

    See Also
    --------
    PixelCNNDensity : For images and series, where near values tell most.
    sklearn.mixture.GaussianMixture : A joint mixture; hard to beat on a few hundred rows.

    Notes
    -----
    In a table of several kinds a column of levels is taken for a real one that was rounded: the probability of a level
    is what a mixture of logistic distributions has between its edges, which for two levels can be any. A
    categorical column has as many of them as levels; counts, of more than 16 levels, have no last one. The score is
    then a density of the real columns, in their units, times the probability of the others.

    Over real values, and these tables, with one mask, it starts at a mixture of Gaussians, each by its chain of
    regressions, plus a net that starts at zero. The size of the mixture, up to 12 components, and its shrinkage are
    those under which rows held out are most likely. A fiftieth of each conditional stays a wide normal.

    NaN marks what is missing, in ``fit`` and in new rows; what is observed is what is trained on and scored. Where it
    starts at a mixture of Gaussians, that draws what is missing, and the score is an importance-weighted estimate of
    the marginal, by 50 draws that all rows share: exact where nothing is observed after what is missing, and where the
    net has brought nothing. Else missing inputs are hidden from the net, and the score is what it has learned to say
    without them: on rows of five two-valued features within 0.1 nats of the exact marginal, on average.

    All that ``image_shape`` does here is to let the features share one scale, as pixels do; the net knows of no
    neighbours.

    Scores are in nats: log-probabilities for whole numbers of up to 256 levels, and log-densities in the units of
    X. The variances of ``"gaussian_mixture"`` have a floor of 0.001 of the feature's variance (compare
    ``GaussianMixture(reg_covar=)``), without which a constant feature had an infinite density. Outside the range of
    ``fit`` a level, but of counts, scores below any inside, and lower the farther out.

    References
    ----------
    M. Germain, K. Gregor, I. Murray, H. Larochelle, "MADE: Masked autoencoder for distribution estimation", 2015.

    B. J. Frey, "Graphical models for machine learning and digital communication", 1998 (FVBN).

    Z. Ghahramani, M. I. Jordan, "Supervised learning from incomplete data via an EM approach", 1994.

    B. Uria, I. Murray, H. Larochelle, "RNADE: The real-valued neural autoregressive density-estimator", 2013
    (mixtures of Gaussians as conditionals).

    T. Salimans, A. Karpathy, X. Chen, D. P. Kingma, "PixelCNN++", 2017 (levels as what lies between their edges).

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklatent import MADEDensity
    >>> X, _ = load_wine(return_X_y=True)
    >>> density = MADEDensity(max_iter=5, random_state=0).fit(X)
    >>> density.likelihood_[4:6], density.score_samples(X).shape, density.sample(3, random_state=0).shape
    (['logistic_mixture', 'gaussian_mixture'], (178,), (3, 13))
    """

    image_shape: Sequence[int] | None
    hidden_layer_sizes: Sequence[int] | None
    likelihood: str | list[Any] | dict[Any, Any]
    n_levels: int | None
    order: Literal["natural", "random"]
    n_masks: int
    input_dropout: float | None
    ema_decay: float
    feature_layer: int | None
    learning_rate: float
    weight_decay: float
    max_iter: int | None
    batch_size: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    random_state: int | np.random.RandomState | None
    verbose: int
    callbacks: list[Any] | None
    checkpoint: str | os.PathLike[str] | None
    device: str
    precision: Literal["float32", "bfloat16"]
    compile: bool
    @property
    def likelihood_(self) -> str | list[str]: ...
    @property
    def n_levels_(self) -> int | None: ...
    net_: NeuralNet
    n_iter_: int
    n_steps_: int
    baseline_loss_: float
    held_out_loss_: float
    history_: list[dict[str, Any]]
    image_shape_: tuple[int, ...] | None
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        *,
        image_shape: Sequence[int] | None = None,
        hidden_layer_sizes: Sequence[int] | None = None,
        likelihood: str | list[Any] | dict[Any, Any] = "auto",
        n_levels: int | None = None,
        order: Literal["natural", "random"] = "natural",
        n_masks: int = 1,
        input_dropout: float | None = None,
        ema_decay: float = 0.0,
        feature_layer: int | None = None,
        learning_rate: float = 0.005,
        weight_decay: float = 0.0001,
        max_iter: int | None = None,
        batch_size: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0001,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compile: bool = False,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. float64, float32 and integers (``uint8`` images), memmaps too, are kept as they are until a batch
            is on its device; other dtypes become float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, of which only the ratios count, in the loss and in what is learned before training and
            kept beside the net. A row of weight 0 is left out. Of up to 2,000 rows, and without ``early_stopping``, a
            row of weight 2 is a row given twice, to the bit. None: all alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, weights or a parameter are not valid, or if the loss stops being finite. A first ``fit``, or one
            without ``warm_start``, then leaves the estimator unfitted; one that goes on leaves it as it was.
        KeyboardInterrupt
            At Ctrl-C; a ``fit`` that did not go on has kept the best weights so far.
        """

    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one pass over the rows of X.

        The first call learns the scaling (or binning) from its rows, and warns if they are fewer than 50; later calls
        keep it. The learning rate is constant, and there is no early stopping. What fails, or is interrupted, changes
        nothing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            As in ``fit``: their ratios within a call count.

        Returns
        -------
        self : object
        """

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean of ``score_samples`` over the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows in the mean.

        Returns
        -------
        score : float
        """

    def bits_per_dim(self, X: ArrayLike) -> float:
        """Mean over the rows of minus ``score_samples``, in bits, divided by the number of features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        bits : float
            Lower is better.
        """

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[np.float64]:
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            May be 0.
        random_state : int, RandomState instance or None, default=None
            None draws anew in every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            A tensor, on the device of the net, if the rows of ``fit`` were one.
            A frame with the columns of ``fit`` where ``set_output`` asks for one.
        """

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-likelihood of each row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float64
            Log-probabilities if ``fit`` saw whole numbers, else log-densities in the units of X.
        """

    def score_features(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-likelihood map: what each feature, given those before it, adds to the score of its row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples, n_features), float64
            The rows sum to ``score_samples``; ``reshape(-1, *image_shape_)`` folds them to maps.
        """

    def score_statistics(self, X: ArrayLike) -> NDArray[np.float64]:
        """Where the likelihood is low: ``score_features``, of an image summed over the cells of a grid.

        ``DensityOutlierDetector(method="statistics")`` learns from kept-apart rows how these are distributed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        statistics : ndarray of shape (n_samples, n_statistics), float64
            In nats; the rows sum to ``score_samples``. The grid has at most 7 x 7 cells.
        """

    def complete(
        self, X: ArrayLike, random_state: int | np.random.RandomState | None = None, n_proposals: int = 64
    ) -> NDArray[Any]:
        """Draw what is missing, given what is there.

        In the model's order (images: row by row) each missing feature is drawn from its conditional. Where a given
        feature comes after a missing one, a draw knows nothing of it; such rows are drawn ``n_proposals`` times, and
        one of the drawings is kept with probability in proportion to the likelihood of the given features that came
        late (sampling-importance-resampling, Rubin 1987): exact in the limit of many proposals, and poor when few
        proposals fit what is given.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is to be drawn; rows without a NaN come back as they are.
        random_state : int, RandomState instance or None, default=None
            None draws anew in every call.
        n_proposals : int, default=64

        Returns
        -------
        X_complete : ndarray of shape (n_samples, n_features)
            Given values are untouched, to the bit. A frame where ``set_output`` asks for one.
        """

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Features of each row: activations of a hidden layer; of an image, averaged over a grid of 4 x 4 cells.

        They are standardised by mean and standard deviation over some rows of ``fit``. ``feature_layer`` may be set
        after ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_units), float32
        """

    def set_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``fit``, in scikit-learn's metadata routing."""

    def set_partial_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``partial_fit``, in scikit-learn's metadata routing."""

    def set_score_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``score``, in scikit-learn's metadata routing."""

class NeighborsDensity(DensityMixin, BaseEstimator):
    r"""Density by the distances to the nearest of the rows of ``fit``, or of their core.

    .. math:: \log p(x) = \frac 1 k \sum_{j=1}^k \psi(j) - \log (n V_d) - d \log r_j(x),

    where r_j is the distance to the j-th neighbour among n rows, V_d the volume of the unit ball in d dimensions and
    psi the digamma function. Distances are those of standardised features, compressed beyond 3 standard deviations to
    at most 4; the score is in the units of X.

    Parameters
    ----------
    n_neighbors : int, default=5
    support_fraction : float, default=1.0
        Share of the rows of ``fit`` that are kept as neighbours. Below 1 outliers among them, even in clusters,
        hardly count: the core, half of the rows, those on average nearest to the next of 16 rows drawn at random,
        grows to the share wanted, a tenth of all rows at a time, by those densest given what it holds.
    max_samples : int, default=5000
        Rows of ``fit`` that are looked at, if there are more: a random part, so that time is linear in the rows.
    random_state : int, RandomState instance or None, default=None
        Of the rows drawn.

    Attributes
    ----------
    support_ : ndarray of shape (n_samples,), bool
        Rows of ``fit`` that were kept.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only if X has column names, all of them strings.

    See Also
    --------
    sklearn.neighbors.KernelDensity : The mean of a kernel around each row.
    sklearn.covariance.MinCovDet : A normal density of the core.

    Notes
    -----
    A row that is scored counts as a new one: if it equals a row of ``fit``, it is at distance zero, for which
    ``CLOSEST`` = 1e-4 standard deviations in each feature stand. The rows of ``fit`` are left out of their own
    neighbours only among themselves: as the core grows, and where ``DensityOutlierDetector`` ranks among them. The
    fitted object holds the rows that were kept; a score costs distances to all of them. With 5000 of 50,000 rows or
    of more, outliers are found as well as with all, in the trials that chose this.

    It is a score more than a density: it does not integrate to one, and in many dimensions the logarithm of the
    distance, times their number, moves fast.

    References
    ----------
    D. O. Loftsgaarden, C. P. Quesenberry, "A nonparametric estimate of a multivariate density function", 1965.

    L. F. Kozachenko, N. N. Leonenko, "Sample estimate of the entropy of a random vector", 1987 (the digamma).

    M. Sugiyama, K. M. Borgwardt, "Rapid distance-based outlier detection via sampling", 2013 (rows drawn at random).

    A. C. Atkinson, M. Riani, A. Cerioli, "Exploring multivariate data with the forward search", 2004 (growth).

    Examples
    --------
    >>> import numpy as np
    >>> from sklatent import NeighborsDensity
    >>> rng = np.random.RandomState(0)
    >>> X = np.concatenate([rng.normal(size=(180, 2)), rng.normal(loc=6, scale=0.1, size=(20, 2))])
    >>> NeighborsDensity().fit(X).score_samples([[0, 0], [6, 6]]).round(1)
    array([-2.8,  0.5])
    >>> NeighborsDensity(support_fraction=0.8, random_state=0).fit(X).score_samples([[0, 0], [6, 6]]).round(1)
    array([-2.5, -7.7])
    """

    n_neighbors: int
    support_fraction: float
    max_samples: int
    random_state: int | np.random.RandomState | None
    support_: NDArray[np.bool_]
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        support_fraction: float = 1.0,
        max_samples: int = 5000,
        random_state: int | np.random.RandomState | None = None,
    ) -> None: ...
    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean of ``score_samples`` over the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows in the mean.

        Returns
        -------
        score : float
        """

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-density of each row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
        """

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Choose the rows to keep, and index them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        self : object
        """

    def score_features(self, X: ArrayLike) -> NDArray[np.float64]:
        """What each feature adds to the log-density of its row, in nats; the rows sum to ``score_samples``.

        The logarithm of the distance is split by how much farther than usual, squared, the neighbours are in each
        feature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
        """

    def set_score_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``score``, in scikit-learn's metadata routing."""

class PixelCNNDensity(DensityMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Gated PixelCNN: the exact likelihood of a row by the chain rule, from masked convolutions.

    .. math:: p(x) = \prod_i p(x_i \mid x_1, \ldots, x_{i-1}),

    pixel by pixel in raster order, and channel by channel within a pixel; each conditional is a distribution over
    the levels of :math:`x_i`. Two stacks of gated convolutions, one over the rows above and one over the pixels to
    the left, see all of the past and nothing else. Without ``image_shape`` a row is an image of one line.

    Parameters
    ----------
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(channels, height, width)`` that the rows were flattened from, channel first, in
        raster order; of series ``(1, n_steps)`` or ``(channels, 1, n_steps)``. None: the rows are a table.
    n_levels : int or None, default=None
        Levels of a feature. None: whole numbers keep theirs (up to 256); real values are binned, to 256 levels if
        ``image_shape`` is given, else to 32. Bins are of equal width: over the range of each feature in a table, over
        the range of all of them in an image. Whole numbers from 0 to ``n_levels - 1`` keep their values.
    likelihood : {"categorical", "logistic_mixture"}, default="categorical"
        ``"categorical"`` is a softmax over the levels. ``"logistic_mixture"`` puts ten logistic distributions over them
        (Salimans et al. 2017): it knows that levels are ordered, and takes far fewer weights where they are many.
    n_filters : int, default=48
        Channels of each stack.
    n_blocks : int, default=4
        Gated residual blocks after the first masked convolution, at each resolution.
    n_scales : int, default=1
        Resolutions: 2 also runs blocks at half the resolution, 3 at a quarter too, with shortcuts between layers of
        the same resolution (PixelCNN++), which sees farther for the same work.
    dropout : float, default=0.3
        Share of activations dropped in each block in training.
    ema_decay : float, default=0.0
        Decay of an exponential moving average of the weights over the steps of ``fit``, which then takes the place of
        the weights, in early stopping too. 0 keeps the weights as they are; 0.999 is usual for long trainings.
    feature_layer : int or None, default=None
        Which hidden layer ``transform`` takes, counted from 0. None is the middle one.
    learning_rate : float, default=0.003
        Of AdamW. In ``fit`` it rises over the first 3 % of the steps and then falls to 0 as a cosine; in
        ``partial_fit`` it is constant.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    max_iter : int or None, default=None
        Number of epochs: passes over the rows. None counts steps instead. Where there is a linear model to start at (see
        Notes), a fifth of the rows, 1,000 at most, say how far to go from it: up to 2,000 steps of 2,000 rows, which are
        then all trained on for as many steps, and 4,000 of more, where the best weights stay. Else it is 1,200 steps,
        or from 10 to 200 epochs.
    batch_size : int, default=64
        Rows in a step of training; all rows if there are fewer.
    early_stopping : bool, default=False
        Keep ``validation_fraction`` of the rows apart, stop when their loss has not fallen by ``tol`` for
        ``n_iter_no_change`` epochs, and take the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows kept apart; used only with ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs to wait; used only with ``early_stopping``.
    tol : float, default=1e-4
        What counts as a fall of the loss of a row; used only with ``early_stopping``.
    warm_start : bool, default=False
        Let ``fit`` go on with the weights, the optimizer and the scaling of the last call.
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
        Compile the module for training (``torch.nn.Module.compile``): pays for itself in long fits only.

    Attributes
    ----------
    n_levels_ : int
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
        Only if X has column names, all of them strings.

    See Also
    --------
    PixelRNNDensity : Recurrent layers in the place of the convolutions: slower, sees all of the past in each layer.
    MADEDensity : Fully connected; for tables, and fast.
    VAETransformer : A bound on the density only, but codes, and samples in one pass.
    sklearn.neighbors.KernelDensity : For few features.

    Notes
    -----
    Scores are in nats. For whole numbers they are log-probabilities; for real values the probability of a bin is
    divided by its width, which makes them log-densities in the units of X. Outside the range of ``fit``, where a
    binned model has no mass, a value scores as its least likely level, less one nat for each bin width of distance.

    Sampling keeps the activations of earlier pixels, so that a pixel costs one column of them.

    References
    ----------
    A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel recurrent neural networks", 2016.

    A. van den Oord, N. Kalchbrenner, O. Vinyals, L. Espeholt, A. Graves, K. Kavukcuoglu, "Conditional image
    generation with PixelCNN decoders", 2016.

    T. Salimans, A. Karpathy, X. Chen, D. P. Kingma, "PixelCNN++: Improving the PixelCNN with discretized logistic
    mixture likelihood and other modifications", 2017.

    M. Chen et al., "Generative pretraining from pixels", 2020 (hidden activations as features).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import PixelCNNDensity
    >>> X, _ = load_digits(return_X_y=True)
    >>> density = PixelCNNDensity(image_shape=(8, 8), n_filters=16, n_blocks=2, max_iter=2, random_state=0).fit(X)
    >>> density.n_levels_, density.score_samples(X).shape, density.sample(3, random_state=0).shape
    (17, (1797,), (3, 64))
    """

    image_shape: Sequence[int] | None
    n_levels: int | None
    likelihood: Literal["categorical", "logistic_mixture"]
    n_filters: int
    n_blocks: int
    n_scales: int
    dropout: float
    ema_decay: float
    feature_layer: int | None
    learning_rate: float
    weight_decay: float
    max_iter: int | None
    batch_size: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    random_state: int | np.random.RandomState | None
    verbose: int
    callbacks: list[Any] | None
    checkpoint: str | os.PathLike[str] | None
    device: str
    precision: Literal["float32", "bfloat16"]
    compile: bool
    @property
    def n_levels_(self) -> int: ...
    net_: NeuralNet
    n_iter_: int
    n_steps_: int
    baseline_loss_: float
    held_out_loss_: float
    history_: list[dict[str, Any]]
    image_shape_: tuple[int, ...] | None
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        *,
        image_shape: Sequence[int] | None = None,
        n_levels: int | None = None,
        likelihood: Literal["categorical", "logistic_mixture"] = "categorical",
        n_filters: int = 48,
        n_blocks: int = 4,
        n_scales: int = 1,
        dropout: float = 0.3,
        ema_decay: float = 0.0,
        feature_layer: int | None = None,
        learning_rate: float = 0.003,
        weight_decay: float = 0.01,
        max_iter: int | None = None,
        batch_size: int = 64,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0001,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compile: bool = False,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. float64, float32 and integers (``uint8`` images), memmaps too, are kept as they are until a batch
            is on its device; other dtypes become float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, of which only the ratios count, in the loss and in what is learned before training and
            kept beside the net. A row of weight 0 is left out. Of up to 2,000 rows, and without ``early_stopping``, a
            row of weight 2 is a row given twice, to the bit. None: all alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, weights or a parameter are not valid, or if the loss stops being finite. A first ``fit``, or one
            without ``warm_start``, then leaves the estimator unfitted; one that goes on leaves it as it was.
        KeyboardInterrupt
            At Ctrl-C; a ``fit`` that did not go on has kept the best weights so far.
        """

    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one pass over the rows of X.

        The first call learns the scaling (or binning) from its rows, and warns if they are fewer than 50; later calls
        keep it. The learning rate is constant, and there is no early stopping. What fails, or is interrupted, changes
        nothing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            As in ``fit``: their ratios within a call count.

        Returns
        -------
        self : object
        """

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean of ``score_samples`` over the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows in the mean.

        Returns
        -------
        score : float
        """

    def bits_per_dim(self, X: ArrayLike) -> float:
        """Mean over the rows of minus ``score_samples``, in bits, divided by the number of features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        bits : float
            Lower is better.
        """

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[np.float64]:
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            May be 0.
        random_state : int, RandomState instance or None, default=None
            None draws anew in every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            A tensor, on the device of the net, if the rows of ``fit`` were one.
            A frame with the columns of ``fit`` where ``set_output`` asks for one.
        """

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-likelihood of each row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float64
            Log-probabilities if ``fit`` saw whole numbers, else log-densities in the units of X.
        """

    def score_features(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-likelihood map: what each feature, given those before it, adds to the score of its row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples, n_features), float64
            The rows sum to ``score_samples``; ``reshape(-1, *image_shape_)`` folds them to maps.
        """

    def score_statistics(self, X: ArrayLike) -> NDArray[np.float64]:
        """Where the likelihood is low: ``score_features``, of an image summed over the cells of a grid.

        ``DensityOutlierDetector(method="statistics")`` learns from kept-apart rows how these are distributed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        statistics : ndarray of shape (n_samples, n_statistics), float64
            In nats; the rows sum to ``score_samples``. The grid has at most 7 x 7 cells.
        """

    def complete(
        self, X: ArrayLike, random_state: int | np.random.RandomState | None = None, n_proposals: int = 64
    ) -> NDArray[Any]:
        """Draw what is missing, given what is there.

        In the model's order (images: row by row) each missing feature is drawn from its conditional. Where a given
        feature comes after a missing one, a draw knows nothing of it; such rows are drawn ``n_proposals`` times, and
        one of the drawings is kept with probability in proportion to the likelihood of the given features that came
        late (sampling-importance-resampling, Rubin 1987): exact in the limit of many proposals, and poor when few
        proposals fit what is given.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is to be drawn; rows without a NaN come back as they are.
        random_state : int, RandomState instance or None, default=None
            None draws anew in every call.
        n_proposals : int, default=64

        Returns
        -------
        X_complete : ndarray of shape (n_samples, n_features)
            Given values are untouched, to the bit. A frame where ``set_output`` asks for one.
        """

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Features of each row: activations of a hidden layer; of an image, averaged over a grid of 4 x 4 cells.

        They are standardised by mean and standard deviation over some rows of ``fit``. ``feature_layer`` may be set
        after ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_units), float32
        """

    def set_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``fit``, in scikit-learn's metadata routing."""

    def set_partial_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``partial_fit``, in scikit-learn's metadata routing."""

    def set_score_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``score``, in scikit-learn's metadata routing."""

class PixelRNNDensity(DensityMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""PixelRNN: the exact likelihood of an image by the chain rule, from two-dimensional recurrent layers.

    .. math:: p(x) = \prod_i p(x_i \mid x_1, \ldots, x_{i-1}),

    pixel by pixel in raster order, and channel by channel within a pixel. Each layer carries a state through the
    image, so that a pixel can depend on others however far away.

    Parameters
    ----------
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(channels, height, width)`` that the rows were flattened from, channel first, in
        raster order; of series ``(1, n_steps)`` or ``(channels, 1, n_steps)``. None: the rows are a table.
    cell : {"row_lstm", "diagonal_bilstm"}, default="diagonal_bilstm"
        ``"row_lstm"`` works row by row and sees a triangle of the past; ``"diagonal_bilstm"`` works along the
        diagonals in both directions and sees all of it, at about 1.4 times the cost.
    n_levels : int or None, default=None
        Levels of a feature. None: whole numbers keep theirs (up to 256); real values are binned, to 256 levels if
        ``image_shape`` is given, else to 32. Bins are of equal width: over the range of each feature in a table, over
        the range of all of them in an image. Whole numbers from 0 to ``n_levels - 1`` keep their values.
    likelihood : {"categorical", "logistic_mixture"}, default="categorical"
        ``"categorical"`` is a softmax over the levels. ``"logistic_mixture"`` puts ten logistic distributions over them
        (Salimans et al. 2017): it knows that levels are ordered, and takes far fewer weights where they are many.
    n_filters : int, default=16
        Units of the state at each pixel; the residual stream between layers is twice as wide.
    n_layers : int, default=4
        Recurrent layers after the first masked convolution.
    dropout : float, default=0.0
        Share of activations dropped in each layer in training.
    ema_decay : float, default=0.0
        Decay of an exponential moving average of the weights over the steps of ``fit``, which then takes the place of
        the weights, in early stopping too. 0 keeps the weights as they are; 0.999 is usual for long trainings.
    feature_layer : int or None, default=None
        Which hidden layer ``transform`` takes, counted from 0. None is the middle one.
    learning_rate : float, default=0.005
        Of AdamW. In ``fit`` it rises over the first 3 % of the steps and then falls to 0 as a cosine; in
        ``partial_fit`` it is constant.
    weight_decay : float, default=0.0001
        Decoupled weight decay of AdamW.
    max_iter : int or None, default=None
        Number of epochs: passes over the rows. None counts steps instead. Where there is a linear model to start at (see
        Notes), a fifth of the rows, 1,000 at most, say how far to go from it: up to 2,000 steps of 2,000 rows, which are
        then all trained on for as many steps, and 4,000 of more, where the best weights stay. Else it is 1,200 steps,
        or from 10 to 200 epochs.
    batch_size : int, default=32
        Rows in a step of training; all rows if there are fewer.
    early_stopping : bool, default=False
        Keep ``validation_fraction`` of the rows apart, stop when their loss has not fallen by ``tol`` for
        ``n_iter_no_change`` epochs, and take the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows kept apart; used only with ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs to wait; used only with ``early_stopping``.
    tol : float, default=1e-4
        What counts as a fall of the loss of a row; used only with ``early_stopping``.
    warm_start : bool, default=False
        Let ``fit`` go on with the weights, the optimizer and the scaling of the last call.
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
        Compile the module for training (``torch.nn.Module.compile``): pays for itself in long fits only.

    Attributes
    ----------
    n_levels_ : int
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
        Only if X has column names, all of them strings.

    See Also
    --------
    PixelCNNDensity : Convolutions in the place of the recurrences: much faster to train.
    MADEDensity : Fully connected; for tables, and fast.

    Notes
    -----
    Scores are in nats, as those of ``PixelCNNDensity``, which see for whole numbers, real values and values outside
    the range of ``fit``.

    References
    ----------
    A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel recurrent neural networks", 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import PixelRNNDensity
    >>> X, _ = load_digits(return_X_y=True)
    >>> density = PixelRNNDensity(image_shape=(8, 8), n_filters=4, n_layers=1, max_iter=2, random_state=0).fit(X)
    >>> density.score_samples(X).shape, density.sample(3, random_state=0).shape
    ((1797,), (3, 64))
    """

    image_shape: Sequence[int] | None
    cell: Literal["row_lstm", "diagonal_bilstm"]
    n_levels: int | None
    likelihood: Literal["categorical", "logistic_mixture"]
    n_filters: int
    n_layers: int
    dropout: float
    ema_decay: float
    feature_layer: int | None
    learning_rate: float
    weight_decay: float
    max_iter: int | None
    batch_size: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    random_state: int | np.random.RandomState | None
    verbose: int
    callbacks: list[Any] | None
    checkpoint: str | os.PathLike[str] | None
    device: str
    precision: Literal["float32", "bfloat16"]
    compile: bool
    @property
    def n_levels_(self) -> int: ...
    net_: NeuralNet
    n_iter_: int
    n_steps_: int
    baseline_loss_: float
    held_out_loss_: float
    history_: list[dict[str, Any]]
    image_shape_: tuple[int, ...] | None
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        *,
        image_shape: Sequence[int] | None = None,
        cell: Literal["row_lstm", "diagonal_bilstm"] = "diagonal_bilstm",
        n_levels: int | None = None,
        likelihood: Literal["categorical", "logistic_mixture"] = "categorical",
        n_filters: int = 16,
        n_layers: int = 4,
        dropout: float = 0.0,
        ema_decay: float = 0.0,
        feature_layer: int | None = None,
        learning_rate: float = 0.005,
        weight_decay: float = 0.0001,
        max_iter: int | None = None,
        batch_size: int = 32,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0001,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compile: bool = False,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. float64, float32 and integers (``uint8`` images), memmaps too, are kept as they are until a batch
            is on its device; other dtypes become float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, of which only the ratios count, in the loss and in what is learned before training and
            kept beside the net. A row of weight 0 is left out. Of up to 2,000 rows, and without ``early_stopping``, a
            row of weight 2 is a row given twice, to the bit. None: all alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, weights or a parameter are not valid, or if the loss stops being finite. A first ``fit``, or one
            without ``warm_start``, then leaves the estimator unfitted; one that goes on leaves it as it was.
        KeyboardInterrupt
            At Ctrl-C; a ``fit`` that did not go on has kept the best weights so far.
        """

    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one pass over the rows of X.

        The first call learns the scaling (or binning) from its rows, and warns if they are fewer than 50; later calls
        keep it. The learning rate is constant, and there is no early stopping. What fails, or is interrupted, changes
        nothing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            As in ``fit``: their ratios within a call count.

        Returns
        -------
        self : object
        """

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean of ``score_samples`` over the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows in the mean.

        Returns
        -------
        score : float
        """

    def bits_per_dim(self, X: ArrayLike) -> float:
        """Mean over the rows of minus ``score_samples``, in bits, divided by the number of features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        bits : float
            Lower is better.
        """

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[np.float64]:
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            May be 0.
        random_state : int, RandomState instance or None, default=None
            None draws anew in every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            A tensor, on the device of the net, if the rows of ``fit`` were one.
            A frame with the columns of ``fit`` where ``set_output`` asks for one.
        """

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-likelihood of each row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float64
            Log-probabilities if ``fit`` saw whole numbers, else log-densities in the units of X.
        """

    def score_features(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log-likelihood map: what each feature, given those before it, adds to the score of its row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples, n_features), float64
            The rows sum to ``score_samples``; ``reshape(-1, *image_shape_)`` folds them to maps.
        """

    def score_statistics(self, X: ArrayLike) -> NDArray[np.float64]:
        """Where the likelihood is low: ``score_features``, of an image summed over the cells of a grid.

        ``DensityOutlierDetector(method="statistics")`` learns from kept-apart rows how these are distributed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        statistics : ndarray of shape (n_samples, n_statistics), float64
            In nats; the rows sum to ``score_samples``. The grid has at most 7 x 7 cells.
        """

    def complete(
        self, X: ArrayLike, random_state: int | np.random.RandomState | None = None, n_proposals: int = 64
    ) -> NDArray[Any]:
        """Draw what is missing, given what is there.

        In the model's order (images: row by row) each missing feature is drawn from its conditional. Where a given
        feature comes after a missing one, a draw knows nothing of it; such rows are drawn ``n_proposals`` times, and
        one of the drawings is kept with probability in proportion to the likelihood of the given features that came
        late (sampling-importance-resampling, Rubin 1987): exact in the limit of many proposals, and poor when few
        proposals fit what is given.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is to be drawn; rows without a NaN come back as they are.
        random_state : int, RandomState instance or None, default=None
            None draws anew in every call.
        n_proposals : int, default=64

        Returns
        -------
        X_complete : ndarray of shape (n_samples, n_features)
            Given values are untouched, to the bit. A frame where ``set_output`` asks for one.
        """

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Features of each row: activations of a hidden layer; of an image, averaged over a grid of 4 x 4 cells.

        They are standardised by mean and standard deviation over some rows of ``fit``. ``feature_layer`` may be set
        after ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_units), float32
        """

    def set_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``fit``, in scikit-learn's metadata routing."""

    def set_partial_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``partial_fit``, in scikit-learn's metadata routing."""

    def set_score_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``score``, in scikit-learn's metadata routing."""

class ReconstructionDisplay:
    """Images over what an encoder and its decoder make of them; series and it as lines, one on the other.

    Parameters
    ----------
    images : ndarray of shape (n_images, channels, height, width)
    reconstructions : ndarray of shape (n_images, channels, height, width)

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    Notes
    -----
    Both rows are drawn on one scale, from the smallest to the largest value of ``images``. Three channels are
    red, green and blue; of other numbers of channels the first is shown.

    Of series, ``(channels, 1, n_steps)``, each channel has a colour and a scale of its own, the same for both.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import AutoencoderTransformer, ReconstructionDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> encoder = AutoencoderTransformer(8, image_shape=(8, 8), max_iter=2, random_state=0).fit(X)
    >>> ReconstructionDisplay.from_estimator(encoder, X).reconstructions.shape
    (10, 1, 8, 8)
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, images: NDArray[Any], reconstructions: NDArray[Any]) -> None: ...
    def plot(self, ax: Axes | None = None) -> Self:
        """Draw on an Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure. The figure of an Axes that is given gets matplotlib's constrained layout, if it has no
            layout of its own, so that labels and colour bars keep clear of the other Axes.

        Returns
        -------
        self : object
            With ``ax_`` and ``figure_``.
        """

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, *, n_images: int = 10, ax: Axes | None = None) -> Self:
        """Reconstruct the first rows of X and plot them.

        Parameters
        ----------
        estimator : fitted transformer
            With ``inverse_transform`` and ``image_shape_``.
        X : array-like of shape (n_samples, n_features)
        n_images : int, default=10
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : ReconstructionDisplay
        """

class SampleDisplay:
    """Images that a model draws, or series, as lines.

    Parameters
    ----------
    images : ndarray of shape (n_images, channels, height, width)

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    Notes
    -----
    The scale runs from the 1st to the 99th percentile of the values: a Gaussian's rare extremes would grey the rest.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import SampleDisplay, VAETransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VAETransformer(8, image_shape=(8, 8), max_iter=2, random_state=0).fit(X)
    >>> SampleDisplay.from_estimator(vae, random_state=0).images.shape
    (16, 1, 8, 8)
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, images: NDArray[Any]) -> None: ...
    def plot(self, ax: Axes | None = None) -> Self:
        """Draw on an Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure. The figure of an Axes that is given gets matplotlib's constrained layout, if it has no
            layout of its own, so that labels and colour bars keep clear of the other Axes.

        Returns
        -------
        self : object
            With ``ax_`` and ``figure_``.
        """

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_images: int = 16,
        random_state: int | np.random.RandomState | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw rows from a model and plot them.

        Parameters
        ----------
        estimator : fitted density
            With ``sample`` and ``image_shape_``.
        n_images : int, default=16
        random_state : int, RandomState instance or None, default=None
            Of ``sample``.
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : SampleDisplay
        """

class ScoreFeaturesDisplay:
    """What each feature adds to the score of a row, as bars, over what it usually adds.

    Parameters
    ----------
    contributions : ndarray of shape (n_features,)
        They sum to the score of the row.
    reference : ndarray of shape (n_samples, n_features)
        Contributions in other rows. Grey lines go from their 5th to their 95th percentile, with a tick at the
        median. A bar that ends left of its line is red.
    feature_names : sequence of str or None, default=None
        None: x0, x1 and so on.
    n_features : int, default=10
        Features to show, those farthest below their median first; the rest are one bar, so that all bars add up.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    See Also
    --------
    ScoreMapDisplay : The same for images.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklatent import MADEDensity, ScoreFeaturesDisplay
    >>> X, _ = load_wine(return_X_y=True)
    >>> density = MADEDensity(max_iter=5, random_state=0).fit(X)
    >>> ScoreFeaturesDisplay.from_estimator(density, X, row=3).contributions.shape
    (13,)
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        contributions: NDArray[Any],
        reference: NDArray[Any],
        feature_names: Sequence[str] | None = None,
        n_features: int = 10,
    ) -> None: ...
    def plot(self, ax: Axes | None = None) -> Self:
        """Draw on an Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure. The figure of an Axes that is given gets matplotlib's constrained layout, if it has no
            layout of its own, so that labels and colour bars keep clear of the other Axes.

        Returns
        -------
        self : object
            With ``ax_`` and ``figure_``.
        """

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, row: int | None = None, n_features: int = 10, ax: Axes | None = None
    ) -> Self:
        """Explain the score of one of the rows of X, beside the others.

        Parameters
        ----------
        estimator : fitted estimator
            With ``score_features``: an autoregressive density, or a detector over such.
        X : array-like of shape (n_samples, n_features)
        row : int or None, default=None
            Index of the row. None: the one of the lowest score.
        n_features : int, default=10
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : ScoreFeaturesDisplay
        """

class ScoreHistogramDisplay:
    """Histograms of the scores of one or several sets of rows, with common bins.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_samples,)
        Scores by the name of the set.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import ScoreHistogramDisplay, VAETransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VAETransformer(8, image_shape=(8, 8), max_iter=2, random_state=0).fit(X)
    >>> display = ScoreHistogramDisplay.from_estimator(vae, X, {"inverted": 16 - X})
    >>> list(display.scores)
    ['X', 'inverted']
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, scores: dict[str, NDArray[Any]]) -> None: ...
    def plot(self, ax: Axes | None = None) -> Self:
        """Draw on an Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure. The figure of an Axes that is given gets matplotlib's constrained layout, if it has no
            layout of its own, so that labels and colour bars keep clear of the other Axes.

        Returns
        -------
        self : object
            With ``ax_`` and ``figure_``.
        """

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, X_other: dict[str, Any] | ArrayLike | None = None, *, ax: Axes | None = None
    ) -> Self:
        """Score sets of rows and plot the histograms.

        Parameters
        ----------
        estimator : fitted estimator
            With ``score_samples``.
        X : array-like of shape (n_samples, n_features)
        X_other : dict of str to array-like, array-like or None, default=None
            Further sets of rows, by name.
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : ScoreHistogramDisplay
        """

class ScoreMapDisplay:
    """Images, or series, over the log-likelihood of each of their pixels, or steps, given those before it.

    Parameters
    ----------
    images : ndarray of shape (n_images, channels, height, width)
    log_likelihood : ndarray of shape (n_images, height, width)
        In nats, summed over the channels; an image's map sums to its ``score_samples``, the number below it.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import PixelCNNDensity, ScoreMapDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> density = PixelCNNDensity(image_shape=(8, 8), n_filters=8, n_blocks=1, max_iter=2, random_state=0).fit(X)
    >>> ScoreMapDisplay.from_estimator(density, X).log_likelihood.shape
    (8, 8, 8)
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, images: NDArray[Any], log_likelihood: NDArray[Any]) -> None: ...
    def plot(self, ax: Axes | None = None) -> Self:
        """Draw on an Axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure. The figure of an Axes that is given gets matplotlib's constrained layout, if it has no
            layout of its own, so that labels and colour bars keep clear of the other Axes.

        Returns
        -------
        self : object
            With ``ax_`` and ``figure_``.
        """

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, *, n_images: int = 8, ax: Axes | None = None) -> Self:
        """Score the pixels of the first rows of X and plot them.

        Parameters
        ----------
        estimator : fitted density
            With ``score_features`` and ``image_shape_``.
        X : array-like of shape (n_samples, n_features)
        n_images : int, default=8
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : ScoreMapDisplay
        """

class TwoViewTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Encoder that gives two corrupted views of a row like codes, and different rows different ones.

    Each row of a batch is corrupted twice, a and b. The encoder f and a projection head h, two dense layers that are
    there in training alone, give :math:`u_i = h(f(a_i))` and :math:`v_i = h(f(b_i))` in d = 128 dimensions. Minimises
    how far these are apart, and what keeps all of them from being one point. VICReg:

    .. math::
        \frac{25}{nd} \sum_i |u_i - v_i|^2 + \sum_{w \in \{u, v\}} \Bigl( \frac{25}{2d} \sum_j \max(0, 1 - s_j(w))
        + \frac1d \sum_{j \ne k} C_{jk}(w)^2 \Bigr)

    with the standard deviations s and the covariances C over the n rows of the batch. NT-Xent: the cross-entropy of
    telling, of all other views in the batch, the one that is of the same row,

    .. math::
        -\frac{1}{2n} \sum_i \log \frac{\exp(\cos(u_i, v_i) / t)}{\sum_{w \ne u_i} \exp(\cos(u_i, w) / t)}
        + \text{the same with u and v exchanged}, \qquad t = 0.2.

    What the corruption changes, the codes leave out, and what tells rows apart they keep; nothing is rebuilt.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of codes. None: as many as features, at most 32.
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(channels, height, width)`` that the rows were flattened from, channel first, in
        raster order; of series ``(1, n_steps)`` or ``(channels, 1, n_steps)``. None: the rows are a table.
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
        Of the hidden layers.
    corruption : "auto", name, list, dict or callable, default="auto"
        What makes the views, in the terms of ``AutoencoderTransformer``: what may change while the row stays what it
        is. ``"auto"`` is ``{"elastic": 0.7}`` for images and series, ``{"swap": 0.2}`` for tables.
    loss : {"vicreg", "nt_xent"}, default="vicreg"
    learning_rate : float, default=0.003
        Of AdamW. In ``fit`` it rises over the first 3 % of the steps and then falls to 0 as a cosine; in
        ``partial_fit`` it is constant.
    weight_decay : float, default=0.0001
        Decoupled weight decay of AdamW.
    max_iter : int or None, default=None
        Number of epochs: passes over the rows. None counts steps instead. Where there is a linear model to start at (see
        Notes), a fifth of the rows, 1,000 at most, say how far to go from it: up to 2,000 steps of 2,000 rows, which are
        then all trained on for as many steps, and 4,000 of more, where the best weights stay. Else it is 500 steps,
        or from 2 to 200 epochs.
    batch_size : int, default=128
        Rows in a step of training; all rows if there are fewer.
    early_stopping : bool, default=False
        Keep ``validation_fraction`` of the rows apart, stop when their loss has not fallen by ``tol`` for
        ``n_iter_no_change`` epochs, and take the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows kept apart; used only with ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs to wait; used only with ``early_stopping``.
    tol : float, default=1e-4
        What counts as a fall of the loss of a row; used only with ``early_stopping``.
    warm_start : bool, default=False
        Let ``fit`` go on with the weights, the optimizer and the scaling of the last call.
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
        Compile the module for training (``torch.nn.Module.compile``): pays for itself in long fits only.

    Attributes
    ----------
    effective_rank_ : float
        How many directions the codes of the rows of ``fit`` vary in: the exponential of the entropy of the shares of
        their singular values, about the mean; from 1 to ``n_components``.
    output_std_ : float
        How far the outputs of the head are spread over the rows of ``fit``: the mean of :math:`\min(1, s_j)`, for
        NT-Xent of outputs scaled to the length :math:`\sqrt d`. 1 is as far as the loss asks for, 0 is all rows at
        one point.
    corruption_ : name, list, dict or callable
        What ``"auto"`` stood for.
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
        Only if X has column names, all of them strings.

    See Also
    --------
    AutoencoderTransformer : Codes that rows can be rebuilt from; with ``inverse_transform`` and scores.
    EncoderClassifier : Fine-tunes the encoder, with few labels.

    Notes
    -----
    ``fit`` warns of collapse: where ``output_std_`` is below 0.1, or ``effective_rank_`` at most a tenth of
    ``n_components``.

    A loss of a batch has no rows of its own. What is reported, and weighted by ``sample_weight``, is the share of each
    row; spread and covariances are those of the batch, whatever its rows weigh. Held-out rows are compared by views
    that are the same in every epoch. A batch of one row has views to bring together, but none to keep apart.

    NaN marks what is missing, in ``fit`` and in new rows. A mixture of Gaussians fitted by EM fills it in, by its mean
    given the rest of the row, for the encoder to see. The encoder sees rows clipped to the range of ``fit``, so that
    a value outside it moves the code no farther. Codes are float32.

    References
    ----------
    A. Bardes, J. Ponce, Y. LeCun, "VICReg: variance-invariance-covariance regularization for self-supervised
    learning", 2022.

    T. Chen, S. Kornblith, M. Norouzi, G. Hinton, "A simple framework for contrastive learning of visual
    representations", 2020 (SimCLR, NT-Xent).

    D. Bahri, H. Jiang, Y. Tay, D. Metzler, "SCARF: self-supervised contrastive learning using random feature
    corruption", 2022 (tables).

    O. Roy, M. Vetterli, "The effective rank: a measure of effective dimensionality", 2007; of codes: Q. Garrido,
    R. Balestriero, L. Najman, Y. LeCun, "RankMe", 2023.

    X. Chen, K. He, "Exploring simple Siamese representation learning", 2021 (what collapse looks like).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import TwoViewTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> encoder = TwoViewTransformer(8, image_shape=(8, 8), max_iter=2, random_state=0)
    >>> encoder.fit_transform(X).shape
    (1797, 8)
    """

    n_components: int | None
    image_shape: Sequence[int] | None
    architecture: Literal["auto", "mlp", "conv"] | Callable[..., Any]
    hidden_layer_sizes: Sequence[int] | None
    activation: Literal["relu", "tanh", "logistic", "identity"]
    corruption: str | list[Any] | dict[Any, Any] | Callable[..., Any]
    loss: Literal["vicreg", "nt_xent"]
    learning_rate: float
    weight_decay: float
    max_iter: int | None
    batch_size: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    random_state: int | np.random.RandomState | None
    verbose: int
    callbacks: list[Any] | None
    checkpoint: str | os.PathLike[str] | None
    device: str
    precision: Literal["float32", "bfloat16"]
    compile: bool
    effective_rank_: float
    output_std_: float
    @property
    def corruption_(self) -> str | list[Any] | dict[Any, Any] | Callable[..., Any]: ...
    net_: NeuralNet
    n_iter_: int
    n_steps_: int
    baseline_loss_: float
    held_out_loss_: float
    history_: list[dict[str, Any]]
    image_shape_: tuple[int, ...] | None
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        n_components: int | None = None,
        *,
        image_shape: Sequence[int] | None = None,
        architecture: Literal["auto", "mlp", "conv"] | Callable[..., Any] = "auto",
        hidden_layer_sizes: Sequence[int] | None = None,
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        corruption: str | list[Any] | dict[Any, Any] | Callable[..., Any] = "auto",
        loss: Literal["vicreg", "nt_xent"] = "vicreg",
        learning_rate: float = 0.003,
        weight_decay: float = 0.0001,
        max_iter: int | None = None,
        batch_size: int = 128,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0001,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compile: bool = False,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. float64, float32 and integers (``uint8`` images), memmaps too, are kept as they are until a batch
            is on its device; other dtypes become float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, of which only the ratios count, in the loss and in what is learned before training and
            kept beside the net. A row of weight 0 is left out. Of up to 2,000 rows, and without ``early_stopping``, a
            row of weight 2 is a row given twice, to the bit. None: all alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, weights or a parameter are not valid, or if the loss stops being finite. A first ``fit``, or one
            without ``warm_start``, then leaves the estimator unfitted; one that goes on leaves it as it was.
        KeyboardInterrupt
            At Ctrl-C; a ``fit`` that did not go on has kept the best weights so far.
        """

    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one pass over the rows of X.

        The first call learns the scaling (or binning) from its rows, and warns if they are fewer than 50; later calls
        keep it. The learning rate is constant, and there is no early stopping. What fails, or is interrupted, changes
        nothing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            As in ``fit``: their ratios within a call count.

        Returns
        -------
        self : object
        """

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Codes of the rows of X: deterministic, and the same for a row whatever rows come with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is missing; the encoder sees its mean given the rest of the row.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
        """

    def encoder_module(self, corruption: Callable[..., Any] | None = None) -> torch.nn.Module:
        """The encoder in torch, to go on with: a copy of what is fitted, without what only training takes.

        Parameters
        ----------
        corruption : callable or None, default=None
            Tensors ``(n, *input_shape)`` in scaled units to tensors alike: what is done to rows in training mode.

        Returns
        -------
        module : torch.nn.Module
            ``module.encode(x)`` maps rows in the units of X, (n, n_features), to codes, (n, n_components).
        """

    def set_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``fit``, in scikit-learn's metadata routing."""

    def set_partial_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``partial_fit``, in scikit-learn's metadata routing."""

class VAETransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Variational autoencoder: features with a prior, a bound on the log-density, and samples.

    .. math::
        p(x) = \int p(x | z)\, N(z; 0, I)\, dz, \qquad
        p(x | z) = N\bigl(x; \mu(z), \operatorname{diag} \sigma^2(z)\bigr), \qquad
        q(z | x) = N\bigl(z; m(x), \operatorname{diag} s^2(x)\bigr).

    Maximises the evidence lower bound :math:`E_q \log p(x | z) - \beta\, KL(q(z | x) \| N(0, I))`, whose KL term
    is in closed form.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of latent units. None: as many as features, at most 32.
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(channels, height, width)`` that the rows were flattened from, channel first, in
        raster order; of series ``(1, n_steps)`` or ``(channels, 1, n_steps)``. None: the rows are a table.
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
        Of the hidden layers.
    corruption : {"noise", "mask", "swap", "affine", "elastic", "flip", "color"}, list or dict of these, callable or None, default=None
        What is done to the rows that the encoder sees in training, while the clean row stays the target:
        ``"noise"`` adds Gaussian noise; ``"mask"`` blanks features, or patches of an image; ``"swap"`` puts in the
        same feature of another row, good for tables; ``"affine"`` shifts, turns, scales and shears an image, and so
        makes codes that say what is shown, not how it lies; ``"elastic"`` also bends it; ``"flip"`` mirrors it left to
        right; ``"color"`` changes its brightness, contrast and saturation. A list does several in turn; a dict also gives
        their strengths, as in ``{"elastic": 1.5, "mask": 0.3}``: for ``"noise"`` the standard deviation (default 0.5), for
        ``"mask"`` (0.3), ``"swap"`` (0.25) and ``"flip"`` (0.5) the share, for the warps and ``"color"`` a factor (1). Of a
        series ``"affine"`` shifts and stretches time and scales each channel, ``"elastic"`` also bends time, and ``"mask"``
        drops windows and channels. A callable maps a tensor
        ``(n, *input_shape)`` in scaled units to one alike.
    likelihood : {"auto", "gaussian", "bernoulli", "categorical", "logistic_mixture"}, list or dict, default="auto"
        ``"auto"`` is ``"gaussian"`` for images and real values; in a table each column of whole numbers of up to 256
        levels has its own: ``"bernoulli"`` for two, else ``"logistic_mixture"``, of one logistic distribution for each
        code. A list of names, one for each feature, or a dict from a feature's name or index, decides instead. One
        name is for all: ``"gaussian"`` is a density in the units of X. ``"bernoulli"`` is a probability of rows of 0
        and 1. It takes other rows too, as is usual with grey images (their range in ``fit`` stands for [0, 1]), but
        then the score is a cross-entropy and no probability. ``"categorical"``, a softmax, and
        ``"logistic_mixture"``, ten logistic distributions, are distributions over levels, as in ``PixelCNNDensity``:
        whole-numbered rows get a log-probability. The first is the better one for few levels, the second for many.
    n_levels : int or None, default=None
        Levels of a feature. None: whole numbers keep theirs (up to 256); real values are binned, to 256 levels if
        ``image_shape`` is given, else to 32. Bins are of equal width: over the range of each feature in a table, over
        the range of all of them in an image. Whole numbers from 0 to ``n_levels - 1`` keep their values.
        Used only with the last two likelihoods.
    beta : float, default=1.0
        Weight of the KL term in training. Below 1 codes keep more of the row, above 1 less.
    kl_warmup : int, default=10
        Epochs of ``fit`` over which the weight of the KL term rises to ``beta``, at most half of ``max_iter``: the
        decoder learns to use the codes before they are charged for.
    free_bits : float, default=0.0
        Nats of KL that each unit is granted in training; guards against posterior collapse.
    variance_floor : float, default=1e-3
        Smallest :math:`\sigma^2`, as a share of the feature's variance (of all pixels' in an image); constant
        features would have an infinite density without it. Compare ``GaussianMixture(reg_covar=)``.
    n_draws : int, default=50
        Draws from q(z | x) for ``score_samples``; its cost grows with it.
    learning_rate : float, default=0.005
        Of AdamW. In ``fit`` it rises over the first 3 % of the steps and then falls to 0 as a cosine; in
        ``partial_fit`` it is constant.
    weight_decay : float, default=0.0001
        Decoupled weight decay of AdamW.
    max_iter : int or None, default=None
        Number of epochs: passes over the rows. None counts steps instead. Where there is a linear model to start at (see
        Notes), a fifth of the rows, 1,000 at most, say how far to go from it: up to 2,000 steps of 2,000 rows, which are
        then all trained on for as many steps, and 4,000 of more, where the best weights stay. Else it is 3,000 steps,
        or from 10 to 200 epochs.
    batch_size : int, default=128
        Rows in a step of training; all rows if there are fewer.
    early_stopping : bool, default=False
        Keep ``validation_fraction`` of the rows apart, stop when their loss has not fallen by ``tol`` for
        ``n_iter_no_change`` epochs, and take the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows kept apart; used only with ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs to wait; used only with ``early_stopping``.
    tol : float, default=1e-4
        What counts as a fall of the loss of a row; used only with ``early_stopping``.
    warm_start : bool, default=False
        Let ``fit`` go on with the weights, the optimizer and the scaling of the last call.
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
        Compile the module for training (``torch.nn.Module.compile``): pays for itself in long fits only.

    Attributes
    ----------
    likelihood_ : str or list of str
        The one that ``"auto"`` chose; of a table with levels, the one of each column.
    n_active_units_ : int
        Latent units whose posterior mean varies over the rows of ``fit`` (variance above 0.01; Burda et al.
        2016). The other units have collapsed onto the prior and carry nothing.
    code_scale_ : ndarray of shape (n_components,), float32
        What the posterior mean is multiplied by to give the codes; see Notes.
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
        Only if X has column names, all of them strings.

    See Also
    --------
    AutoencoderTransformer : No prior, no density; the stronger features where sampling does not matter.
    sklearn.decomposition.FactorAnalysis : The linear model with one variance for each feature, solved exactly.

    Notes
    -----
    In a table with levels a column of these is taken for a real one that was rounded: the probability of a level is
    what a logistic distribution has between its edges, for two levels a logistic regression on the code. Categories
    without an order belong into columns of 0 and 1 (``OneHotEncoder``). The score bounds the log of the density of the
    real columns, in their units, times the probability of the others.

    With ``likelihood="auto"`` or ``"gaussian"``, no corruption and a built-in architecture it starts at probabilistic
    PCA, with a residual variance of each feature's own where held-out rows gain by it. There the bound of real
    values is exact, ``kl_warmup`` is of no use, and the code follows rows outside the range of ``fit``. Nets whose
    last layers start at zero are added. A fiftieth of the density stays that of the linear model, so that no row
    scores less than it does by more than log 50 = 3.9 nats: what a net has learned of the noise can be far too sure
    of rows farther out (a defensive mixture, Hesterberg 1995).

    NaN marks what is missing, in ``fit`` and in new rows. A mixture of Gaussians fitted by EM fills it in, by its mean
    given the rest of the row, for the encoder to see; only what is observed counts in the bound, which there too is
    exact at the linear start: a bound on the log-density of the observed features (compare MIWAE).

    ``transform`` gives the posterior mean, never a draw. Of such a net each latent unit comes times ``code_scale_``,
    how far it moves the scaled row at the start, so that distances between codes are about those between rows. The
    prior's own units, of variance one each, cost PCA's codes of digits 18 points at ten labels.

    ``score_samples`` uses one set of draws of noise for all rows, derived from ``random_state`` in ``fit``, so a row
    has one score. Else than from a linear start, the encoder sees rows clipped to the range of ``fit`` while the
    likelihood sees them as they are: the score falls the farther out a value lies. Rows of an image that are whole
    numbers in ``fit`` come back within its range.

    References
    ----------
    D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", 2014.

    Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", 2016.

    D. P. Kingma et al., "Improved variational inference with inverse autoregressive flow", 2016 (free bits).

    Z. Ghahramani, M. I. Jordan, "Supervised learning from incomplete data via an EM approach", 1994.

    P.-A. Mattei, J. Frellsen, "MIWAE: deep generative modelling and imputation of incomplete data sets", 2019.

    T. Hesterberg, "Weighted average importance sampling and defensive mixture distributions", 1995.

    I. Higgins et al., "beta-VAE: Learning basic visual concepts with a constrained variational framework", 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import VAETransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> vae = VAETransformer(8, image_shape=(8, 8), max_iter=2, random_state=0).fit(X)
    >>> vae.transform(X).shape, vae.score_samples(X).shape, vae.sample(5, random_state=0).shape
    ((1797, 8), (1797,), (5, 64))
    """

    n_components: int | None
    image_shape: Sequence[int] | None
    architecture: Literal["auto", "mlp", "conv"] | Callable[..., Any]
    hidden_layer_sizes: Sequence[int] | None
    activation: Literal["relu", "tanh", "logistic", "identity"]
    corruption: (
        Literal["noise", "mask", "swap", "affine", "elastic", "flip", "color"]
        | list[Any]
        | dict[Any, Any]
        | Callable[..., Any]
        | None
    )
    likelihood: Literal["auto", "gaussian", "bernoulli", "categorical", "logistic_mixture"] | list[Any] | dict[Any, Any]
    n_levels: int | None
    beta: float
    kl_warmup: int
    free_bits: float
    variance_floor: float
    n_draws: int
    learning_rate: float
    weight_decay: float
    max_iter: int | None
    batch_size: int
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    random_state: int | np.random.RandomState | None
    verbose: int
    callbacks: list[Any] | None
    checkpoint: str | os.PathLike[str] | None
    device: str
    precision: Literal["float32", "bfloat16"]
    compile: bool
    @property
    def likelihood_(self) -> str | list[str]: ...
    n_active_units_: int
    @property
    def code_scale_(self) -> NDArray[np.float32]: ...
    net_: NeuralNet
    n_iter_: int
    n_steps_: int
    baseline_loss_: float
    held_out_loss_: float
    history_: list[dict[str, Any]]
    image_shape_: tuple[int, ...] | None
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        n_components: int | None = None,
        *,
        image_shape: Sequence[int] | None = None,
        architecture: Literal["auto", "mlp", "conv"] | Callable[..., Any] = "auto",
        hidden_layer_sizes: Sequence[int] | None = None,
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        corruption: Literal["noise", "mask", "swap", "affine", "elastic", "flip", "color"]
        | list[Any]
        | dict[Any, Any]
        | Callable[..., Any]
        | None = None,
        likelihood: Literal["auto", "gaussian", "bernoulli", "categorical", "logistic_mixture"]
        | list[Any]
        | dict[Any, Any] = "auto",
        n_levels: int | None = None,
        beta: float = 1.0,
        kl_warmup: int = 10,
        free_bits: float = 0.0,
        variance_floor: float = 0.001,
        n_draws: int = 50,
        learning_rate: float = 0.005,
        weight_decay: float = 0.0001,
        max_iter: int | None = None,
        batch_size: int = 128,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0001,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compile: bool = False,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model to X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. float64, float32 and integers (``uint8`` images), memmaps too, are kept as they are until a batch
            is on its device; other dtypes become float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, of which only the ratios count, in the loss and in what is learned before training and
            kept beside the net. A row of weight 0 is left out. Of up to 2,000 rows, and without ``early_stopping``, a
            row of weight 2 is a row given twice, to the bit. None: all alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, weights or a parameter are not valid, or if the loss stops being finite. A first ``fit``, or one
            without ``warm_start``, then leaves the estimator unfitted; one that goes on leaves it as it was.
        KeyboardInterrupt
            At Ctrl-C; a ``fit`` that did not go on has kept the best weights so far.
        """

    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one pass over the rows of X.

        The first call learns the scaling (or binning) from its rows, and warns if they are fewer than 50; later calls
        keep it. The learning rate is constant, and there is no early stopping. What fails, or is interrupted, changes
        nothing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            As in ``fit``: their ratios within a call count.

        Returns
        -------
        self : object
        """

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Codes of the rows of X: deterministic, and the same for a row whatever rows come with it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is missing; the encoder sees its mean given the rest of the row.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
        """

    def encoder_module(self, corruption: Callable[..., Any] | None = None) -> torch.nn.Module:
        """The encoder in torch, to go on with: a copy of what is fitted, without what only training takes.

        Parameters
        ----------
        corruption : callable or None, default=None
            Tensors ``(n, *input_shape)`` in scaled units to tensors alike: what is done to rows in training mode.

        Returns
        -------
        module : torch.nn.Module
            ``module.encode(x)`` maps rows in the units of X, (n, n_features), to codes, (n, n_components).
        """

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Rows that codes stand for, in the units of the rows of ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), float64
            A frame with the columns of ``fit`` where ``set_output`` asks for one.
        """

    def complete(self, X: ArrayLike, random_state: int | np.random.RandomState | None = None) -> NDArray[Any]:
        """Fill in what is missing, given what is there.

        By the mixture of Gaussians that EM fits to the rows of ``fit``, and that fills the rows which the encoder sees:
        what a net that was trained on a thousand rows says of missing values was behind it on nearly every table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is missing; rows without a NaN come back as they are.
        random_state : int, RandomState instance or None, default=None
            None fills in expected values, of a column of levels the nearest to it. Else they are drawn: for multiple
            imputation call it with several seeds.

        Returns
        -------
        X_complete : ndarray of shape (n_samples, n_features)
            Given values are untouched, to the bit. A frame where ``set_output`` asks for one.

        References
        ----------
        Z. Ghahramani, M. I. Jordan, "Supervised learning from incomplete data via an EM approach", 1994.

        D. B. Rubin, "Multiple imputation for nonresponse in surveys", 1987.
        """

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Mean of ``score_samples`` over the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows in the mean.

        Returns
        -------
        score : float
        """

    def bits_per_dim(self, X: ArrayLike) -> float:
        """Mean over the rows of minus ``score_samples``, in bits, divided by the number of features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        bits : float
            Lower is better.
        """

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None, means: bool = False
    ) -> NDArray[np.float64]:
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            May be 0.
        random_state : int, RandomState instance or None, default=None
            None draws anew in every call.
        means : bool, default=False
            Whether only the codes are drawn, and the rows are the means of p(x | z): of images the ones to look at, as
            p(x | z) has noise that is independent in each pixel.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            A frame with the columns of ``fit`` where ``set_output`` asks for one.
        """

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        r"""Importance-weighted lower bound on log p(x) of each row, in nats and in the units of X.

        :math:`\log \frac1S \sum_s p(x, z_s) / q(z_s | x)` with S = ``n_draws``; with 1 it is the evidence lower
        bound, from one draw. On average it rises towards log p(x) with more draws.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks what is missing; the score is then that of what is there.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
            A log-probability with ``likelihood="bernoulli"`` and rows of 0 and 1, and with the likelihoods over levels
            if ``fit`` saw whole numbers; of a table with levels and real values, the sum of both kinds.
        """

    def likelihood_regret(self, X: ArrayLike, *, n_steps: int = 25, learning_rate: float = 0.05) -> NDArray[np.float64]:
        """What the evidence lower bound of each row gains by a posterior of its own, in nats: high for anomalies.

        The mean and variance of q(z | x) that the encoder gives are refined, row by row, by steps of Adam. The
        encoder is good for rows like those of ``fit``; how much it leaves to be gained tells rows that are not, and
        unlike ``score_samples`` it is not low for what is merely complex. It is slow: on one CPU core some 25 ms for
        an image of 28 x 28 pixels, twenty times what ``score_samples`` takes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_steps : int, default=25
            Each costs about three times as much as decoding the ``REGRET_DRAWS`` = 4 draws that stand for q.
        learning_rate : float, default=0.05

        Returns
        -------
        regret : ndarray of shape (n_samples,), float64
            0 or more; the same for a row whatever rows come with it.

        References
        ----------
        Z. Xiao, Q. Yan, Y. Amit, "Likelihood regret: an out-of-distribution detection score for variational
        auto-encoder", 2020.
        """

    def score_statistics(self, X: ArrayLike) -> NDArray[np.float64]:
        """What else tells strange rows: where in the row the likelihood is low, and the code.

        ``DensityOutlierDetector(method="statistics")`` learns from kept-apart rows how these are distributed. A row
        may have a common likelihood and yet an uncommon place for its losses, as images upside down have.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        statistics : ndarray of shape (n_samples, n_statistics), float64
            log p(x | z) in nats at the posterior mean z, summed over the cells of a grid of at most 7 x 7 (of a
            table: over all features), up to a constant; then z.
        """

    def set_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``fit``, in scikit-learn's metadata routing."""

    def set_partial_fit_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``partial_fit``, in scikit-learn's metadata routing."""

    def set_score_request(self, *, sample_weight: bool | str | None = ...) -> Self:
        """What is passed on to ``score``, in scikit-learn's metadata routing."""
