"""Outlier detection by densities."""

import warnings
from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import _BaseComposition, available_if
from sklearn.utils.validation import _num_samples

from .._bridge.base import fresh_seed
from .calibrated import CalibratedDetector
from .conformal import rows_needed
from .histogram import HistogramDensity
from .neighbors import NeighborsDensity
from .scores import COMPRESSORS, SCORES, Pool, code_lengths, corrupted, learn_bytes

FINEST_LEVEL = 0.01  # that p-values must be able to reach, for the rows kept apart to be enough


def _all_have(name):
    """Condition: every estimator that is not frozen must have the method, and so must their clones as backgrounds."""

    def check(self):
        densities = [member for _, member in self._named_estimators()]
        if self.background is not None:
            densities.append(self.background)
        elif self.method in SCORES and SCORES[self.method].takes_background:
            densities += [_thawed(member) for member in densities]
        return all(isinstance(density, FrozenEstimator) or hasattr(density, name) for density in densities)

    return check


def _last_step(estimator):
    estimator = _thawed(estimator)
    return _last_step(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def _thawed(estimator):
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def _check_density(estimator, name, methods=("fit", "score_samples")):
    for method in methods:
        if isinstance(estimator, type) or not hasattr(estimator, method):
            kind = estimator.__name__ + " (a class)" if isinstance(estimator, type) else type(estimator).__name__
            raise TypeError(f"{name} must be an estimator with {method}, which {kind} has not.")


class DensityOutlierDetector(CalibratedDetector, _BaseComposition):
    """Outliers by the scores of densities, at a false-alarm rate that holds.

    The densities are fitted on part of the rows. The rest, kept apart, says how normal rows score, and ranks new
    rows: ``p_values`` (conformal prediction [8]_). Whatever the density and the score, a row drawn as those of ``fit``
    were has a p-value of a or less with a probability of at most a.

    Parameters
    ----------
    estimator : estimator with ``score_samples``, list of (name, estimator), or None, default=None
        The density: any of this library's, ``KernelDensity``, ``GaussianMixture``, ``PCA``, ``IsolationForest``, or
        a ``Pipeline`` that ends in one. Of a list each is scored, and their mean log p-values are the score. A
        ``FrozenEstimator`` is taken as it is. None is a pool that suits tables of any scale.
    method : {"auto", "log_likelihood", "ratio", "complexity", "typicality", "regret", "fisher", "statistics"}, \
default="auto"
        What is made of the likelihood; see Notes. ``"auto"`` is ``"statistics"`` for an estimator with an
        ``image_shape``, else ``"log_likelihood"``.
    contamination : "auto" or float in (0, 0.5], default="auto"
        False-alarm rate of ``predict``: the share of normal rows that it calls outliers, at most. ``"auto"`` is
        0.05.
    background : estimator or None, default=None
        For ``"ratio"``. A clone of it is fitted on the rows as they are. None: a clone of ``estimator``, fitted on
        rows in which a fifth of the values are drawn uniformly from their feature's range.
    codelength : {"bz2", "lzma", "zlib"}, callable or None, default=None
        For ``"complexity"`` and ``"statistics"``: the lossless compressor. Images are read by their rows and by
        their columns, for the mean of both. A callable takes a row as a uint8 array of shape (n_features,) and
        returns bytes, or its code length in nats. None is the mean of bz2 and zlib; in ``"statistics"`` for images
        only.
    calibration_size : float, int or None, default=0.2
        Share (or number) of the rows of ``fit`` that are kept apart. None keeps none: see Notes. All rows calibrate
        if the estimators are frozen and nothing else is to be fitted.
    random_state : int, RandomState instance or None, default=None
        Of the split, of the background's rows, and of every estimator whose own is None.

    Attributes
    ----------
    estimators_ : list of fitted estimators
        One, if ``estimator`` is one.
    backgrounds_ : list of fitted estimators
        As many, or none.
    method_ : str
        The one that ``"auto"`` chose.
    offset_ : float
        ``decision_function`` is ``score_samples`` less this.
    calibration_scores_ : ndarray of shape (n_calibration,)
        Scores of the rows that p-values are ranks among, sorted.
    calibrated_ : bool
        Whether these were kept apart. If not, the p-values are not valid.
    image_shape_ : tuple of int or None
        That of the first estimator.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has column names, all of them strings.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Fast, and a strong baseline on tables.
    sklearn.neighbors.LocalOutlierFactor : By distances to neighbours.

    Notes
    -----
    ============== ================================================= ==================================== ==========
    method         is                                                cost of a row                        source
    ============== ================================================= ==================================== ==========
    log_likelihood log p(x)                                          one pass                             [1]_
    ratio          log p(x) - log p_background(x)                    two passes, a second fit             [2]_
    complexity     log p(x) + code length                            a pass; compressions, 4 of an image  [3]_
    typicality     minus the distance of log p(x) from its mean      one pass                             [4]_
    regret         minus what refining its own posterior gains x     some dozens of passes, VAE           [5]_
    fisher         sum of log p-values of the conditionals           one pass, autoregressive densities   [6]_
    statistics     log rank of complexity + that of a mixture        as complexity, and another pass      [7]_
    ============== ================================================= ==================================== ==========

    Higher = more normal, and in nats if the estimator's scores are. Where they fail: ``"log_likelihood"`` ranks
    smooth, simple images above those of ``fit``; ``"ratio"`` passes what is smooth; ``"complexity"`` passes noise;
    ``"typicality"`` sees nothing that scores as usual; ``"regret"`` sees little of blur. ``"statistics"`` sums two
    log ranks: of ``"complexity"``, one-sided, and of a Gaussian mixture, two-sided, over the log-likelihood, the code
    length and what else ``score_statistics`` of the estimator tells. It is seldom the best, and seldom bad; of images
    it finds those upside down, and blurred ones, least. Without a code length, as by default in tables, the first
    rank is that of log p(x) alone, and speaks for rows that are too likely: only the mixture tells them.

    A list, and the scores ``"typicality"``, ``"fisher"`` and ``"statistics"``, learn how normal rows score from half
    of the rows kept apart; the other half calibrates. At least 99 rows must calibrate, or as many as a p-value of
    ``contamination`` takes, if that is more. With fewer, or with ``calibration_size=None``, the densities are fitted
    on all rows, and p-values are ranks among these same rows: they order new rows as well, but are too small, as
    densities fit the rows that they have seen best. In ``fit_predict`` the share of outliers is then
    ``contamination``.

    If a share of the rows of ``fit`` are outliers, p-values grow: fewer false alarms, and less power.

    References
    ----------
    .. [1] C. M. Bishop, "Novelty detection and neural network validation", 1994.
    .. [2] J. Ren et al., "Likelihood ratios for out-of-distribution detection", 2019.
    .. [3] J. Serra et al., "Input complexity and out-of-distribution detection with likelihood-based generative
       models", 2020.
    .. [4] E. Nalisnick et al., "Detecting out-of-distribution inputs to deep generative models using typicality",
       2019.
    .. [5] Z. Xiao, Q. Yan, Y. Amit, "Likelihood regret: An out-of-distribution detection score for variational
       auto-encoder", 2020.
    .. [6] R. A. Fisher, "Statistical methods for research workers", 1925.
    .. [7] W. Morningstar et al., "Density of states estimation for out-of-distribution detection", 2021.
    .. [8] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic learning in a random world", 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.mixture import GaussianMixture
    >>> from sklatent import DensityOutlierDetector
    >>> X = np.random.RandomState(0).normal(size=(1000, 2))
    >>> detector = DensityOutlierDetector(GaussianMixture(), contamination=0.01, random_state=0).fit(X)
    >>> detector.predict([[0.0, 0.0], [5.0, 5.0]])
    array([ 1, -1])
    >>> detector.p_values([[5.0, 5.0]]).round(3)
    array([0.005])
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), list, None],
        "method": [StrOptions({"auto", *SCORES})],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "background": [HasMethods(["fit"]), None],
        "codelength": [StrOptions(set(COMPRESSORS)), callable, None],
        "calibration_size": [
            Interval(Real, 0, 1, closed="neither"), Interval(Integral, 1, None, closed="left"), None,
        ],
        "random_state": ["random_state"],
    }  # fmt: skip

    def __init__(
        self,
        estimator=None,
        *,
        method="auto",
        contamination="auto",
        background=None,
        codelength=None,
        calibration_size=0.2,
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.contamination = contamination
        self.background = background
        self.codelength = codelength
        self.calibration_size = calibration_size
        self.random_state = random_state

    def get_params(self, deep=True):
        """Parameters, those of the estimators by their names too.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        params : dict
        """
        is_list = isinstance(self.estimator, list)
        return self._get_params("estimator", deep=deep) if is_list else super().get_params(deep)

    def set_params(self, **params):
        """Set parameters; of a list of estimators also ``name=estimator`` and ``name__parameter=value``.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : object
        """
        return self._set_params("estimator", **params)

    # -- fit -----------------------------------------------------------------------------------------------

    def fit(self, X, y=None):
        """Fit the densities on part of the rows, and calibrate on the rest.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Passed on to the estimators as it is.
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter is not valid, a background or code length is given to a method that has none, an estimator
            gives scores that are NaN or inf (-inf is the strangest there is), or all estimators are frozen and X has
            too few rows for a p-value of ``contamination``.
        TypeError
            If an estimator lacks a method that ``method`` needs.
        """
        return self._fit(X, "fit")

    @available_if(_all_have("partial_fit"))
    def partial_fit(self, X, y=None):
        """Train the densities further, on part of the rows, and calibrate anew on the rest.

        For batches too small to calibrate on, pass ``calibration_size=None`` and call ``recalibrate`` from time to
        time.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        return self._fit(X, "partial_fit")

    def _fit(self, X, verb):
        """``verb`` is that of the estimators: fit or partial_fit."""
        self._validate_params()
        goes_on = verb == "partial_fit" and getattr(self, "_n_trained", 0) > 0
        vars(self).pop("offset_", None)  # what fails below leaves the detector unfitted
        if not goes_on:
            self._n_trained = 0
        X = self._check_rows(X, reset=not goes_on)
        if not goes_on:
            self._begin()
        fixed = all(isinstance(density, FrozenEstimator) for density in (*self.estimators_, *self.backgrounds_))
        needs_range = self._codec is not None and getattr(X, "dtype", None) != np.uint8
        if fixed and not needs_range:
            self._bytes = learn_bytes(X) if self._codec is not None else None
            return self._calibrate(X, apart=True)
        train, apart = self._split(X)
        self._train(train, verb)
        return self._calibrate(train if apart is None else apart, apart=apart is not None)

    def _begin(self):
        """Clones of the densities that the method takes, and its compressor."""
        members = [estimator for _, estimator in self._named_estimators()]
        shaped = any(getattr(_last_step(member), "image_shape", None) is not None for member in members)
        self.method_ = self.method
        if self.method == "auto":
            self.method_ = "statistics" if shaped else "log_likelihood"
        score = SCORES[self.method_]
        self._check_use("background", score.takes_background)
        self._check_use("codelength", score.takes_codelength)
        for name, member in self._named_estimators():
            _check_density(member, name, ("fit", "score_samples", *score.needs))
        self._seed, self._bytes = fresh_seed(self.random_state), None
        rng = np.random.RandomState(self._seed)
        self.estimators_, self.backgrounds_ = [self._clone(member, rng) for member in members], []
        if score.takes_background:
            own = self.background is not None
            self.backgrounds_ = [self._clone(self.background if own else _thawed(member), rng) for member in members]
        self._codec = self.codelength
        if score.takes_codelength and self._codec is None and (shaped or self.method_ == "complexity"):
            self._codec = ("bz2", "zlib")  # each has its own blind spots

    def _check_use(self, name, used):
        if getattr(self, name) is not None and not used:
            raise ValueError(f"method={self.method_!r} takes no {name}; pass {name}=None, or another method.")
        if name == "background" and self.background is not None:
            _check_density(self.background, name)

    def _named_estimators(self):
        if self.estimator is None:
            return default_pool()
        if not isinstance(self.estimator, list):
            return [("estimator", self.estimator)]
        if not self.estimator or not all(isinstance(item, tuple) and len(item) == 2 for item in self.estimator):
            raise ValueError(f"estimator={self.estimator!r} must be an estimator or a list of (name, estimator).")
        self._validate_names([name for name, _ in self.estimator])
        return self.estimator

    def _clone(self, estimator, rng):
        """A clone with a seed wherever it has none, if the detector has one."""
        twin = clone(estimator)
        if self.random_state is not None and not isinstance(twin, FrozenEstimator):
            unset = [key for key, value in sorted(twin.get_params().items()) if value is None]
            seeds = {key: rng.randint(2**31 - 1) for key in unset if key.split("__")[-1] == "random_state"}
            twin.set_params(**seeds)
        return twin

    def _split(self, X):
        """The rows to train on and those kept apart; all rows and None if there are too few."""
        n = _num_samples(X)
        if self.calibration_size is None:
            return X, None
        is_count = isinstance(self.calibration_size, Integral)
        n_apart = self.calibration_size if is_count else int(np.ceil(self.calibration_size * n))
        n_needed, n_calibrating = rows_needed(min(self._level(), FINEST_LEVEL)), self._n_calibrating(n_apart)
        if n_apart >= n or n_calibrating < n_needed:
            left = "none to fit on" if n_apart >= n else f"{n_calibrating} to calibrate on, but {n_needed} are needed"
            warnings.warn(
                f"Of {n} rows, calibration_size={self.calibration_size} leaves {left}. p-values are now ranks among "
                "the rows of fit, and not valid. Pass more rows or another calibration_size; calibration_size=None "
                "does the same without this warning.",
                stacklevel=4,
            )
            return X, None
        order = np.random.RandomState(self._seed + self._n_trained).permutation(n)
        return _safe_indexing(X, np.sort(order[n_apart:])), _safe_indexing(X, np.sort(order[:n_apart]))

    def _train(self, X, verb):
        for density in self.estimators_:
            if not isinstance(density, FrozenEstimator):
                getattr(density, verb)(X)
        rng = np.random.default_rng(self._seed + self._n_trained)
        for density in self.backgrounds_:
            if not isinstance(density, FrozenEstimator):
                getattr(density, verb)(X if self.background is not None else corrupted(X, rng))
        if self._codec is not None and self._n_trained == 0:
            self._bytes = learn_bytes(X)
        self._n_trained += 1

    def _new_score(self):
        backgrounds = self.backgrounds_ or [None] * len(self.estimators_)
        codelength = self._codec and partial(
            code_lengths, codec=self._codec, image_shape=self.image_shape_, **self._bytes
        )
        scores = [
            SCORES[self.method_](estimator, background, codelength, self._seed)
            for estimator, background in zip(self.estimators_, backgrounds, strict=True)
        ]
        return scores[0] if len(scores) == 1 else Pool(scores)

    @property
    def _learns(self):
        return len(self.estimators_) > 1 or SCORES[self.method_].learns

    @property
    def image_shape_(self):
        return getattr(_last_step(self.estimators_[0]), "image_shape_", None)


def default_pool():
    """The densities of ``DensityOutlierDetector(None)``, as (name, estimator): they fail on different rows.

    The first is the best one on clean rows, the others hold where outliers are among the rows of ``fit``.
    """
    return [
        ("rows", NeighborsDensity(1)),
        ("most", NeighborsDensity(support_fraction=0.8)),
        ("core", NeighborsDensity(support_fraction=0.5)),
        ("marginals", HistogramDensity()),
    ]
