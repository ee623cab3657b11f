"""Outlier detection by densities."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import _BaseComposition, available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._bridge.base import fresh_seed
from .._bridge.state import Estimator, all_or_nothing, warn
from .codelength import COMPRESSORS, _CodeLength
from .conformal import check_enough, excess, p_values, rows_needed, threshold, too_few
from .densities import as_given, corrupted, goes_on, image_shape, leaving_one_out, named, seeded, thawed, train, unwrap
from .scores import SCORES, AvailableIfSplit, check_method, make_score
from .units import Units

FALSE_ALARM_RATE = 0.05  # of contamination="auto"
FINEST_LEVEL = 0.01  # that p-values must be able to reach, for the rows kept apart to be enough


class DensityOutlierDetector(OutlierMixin, _BaseComposition, Estimator):
    """Outliers by the scores of densities, at a false-alarm rate that holds.

    The densities are fitted on part of the rows. The rest, kept apart, ranks new ones: ``p_values`` (conformal
    prediction). Whatever the score, a row drawn as those of ``fit`` has one of a or less with a chance of at most a.

    Parameters
    ----------
    estimator : estimator with ``score_samples``, list of (name, estimator), or None, default=None
        The density: any of this library's, ``KernelDensity``, ``GaussianMixture``, ``PCA``, ``IsolationForest``, or
        a ``Pipeline`` that ends in one. Of a list each is scored, and their mean log p-values are the score. A
        ``FrozenEstimator`` is taken as it is. None is a pool that suits tables of any scale.
    method : {"auto", "log_likelihood", "ratio", "complexity", "typicality", "regret", "fisher", "statistics"}, \
default="auto"
        What is made of the likelihood: ``"log_likelihood"``, log p(x); ``"ratio"``, less that of a background;
        ``"complexity"``, plus a code length; ``"typicality"``, minus its distance from the mean; ``"regret"``, minus
        what x gains by a VAE's posterior of its own; ``"fisher"``, the sum of the conditionals' log p-values;
        ``"statistics"``, the log rank of complexity plus that of a mixture over all that the density tells.
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
        Share (or number) of the rows, or groups, of ``fit`` that are kept apart. None keeps none: see Notes. All
        calibrate if the estimators are frozen and nothing else is to be fitted.
    random_state : int, RandomState instance or None, default=None
        Of the split, of the background's rows, and of every estimator whose own is None.

    Attributes
    ----------
    estimators_, backgrounds_ : lists of fitted estimators
        One, if ``estimator`` is one; as many backgrounds, or none.
    method_ : str
        The one that ``"auto"`` chose.
    offset_ : float
        ``decision_function`` is ``score_samples`` less this.
    calibration_scores_ : ndarray of shape (n_calibration,)
        Scores of the rows that p-values are ranks among, sorted.
    calibrated_ : bool
        Whether no density was fitted on these. If not, the p-values are not valid.
    image_shape_ : tuple of int or None
        That of the first estimator, unless a step of a ``Pipeline`` before it mixes the features.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has column names, all of them strings.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Fast, and a strong baseline on tables.
    sklearn.neighbors.LocalOutlierFactor : By distances to neighbours.

    Notes
    -----
    At least 99 rows must calibrate, or as many as a p-value of ``contamination`` takes, if that is more. A list, and
    ``"typicality"``, ``"fisher"`` and ``"statistics"``, take half of the rows kept apart to learn how normal rows
    score. With too few, or with ``calibration_size=None``, the densities are fitted on all rows, and p-values are ranks
    among these: they order new rows as well, but are too small, as a density fits the rows best that it has seen; in
    ``fit_predict`` the share of outliers is then ``contamination``. Outliers among the rows of ``fit`` cost power.

    Copies of a row are never on both sides, and count as one where rows are counted: so p-values hold for new rows
    that equal none in ``fit``. Those with the fewest copies calibrate. If equal rows were drawn independently, as in a
    table of few categories, ``groups=np.arange(len(X))`` has more power. With ``groups`` whole groups are kept apart,
    and one row drawn of each calibrates: p-values hold for a new row of a new group, and 99 groups must calibrate.

    A file of a fitted detector holds rows that can be read, if the densities do: by default 1.8 times the values of X
    (scaled, which can be undone), or if rows of a stream wait. Do not hand on what is private.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, "Algorithmic learning in a random world", 2005. R. Dunn, L. Wasserman, A. Ramdas,
    "Distribution-free prediction sets for two-layer hierarchical models", 2022 (groups).

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

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), list, None],
        "method": [StrOptions({"auto", *SCORES})],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "background": [HasMethods(["fit"]), None],
        "codelength": [StrOptions(set(COMPRESSORS)), callable, None],
        "calibration_size": [Interval(Real, 0, 1, closed="neither"), Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator=None, *, method="auto", contamination="auto", background=None, codelength=None,
        calibration_size=0.2, random_state=None,
    ):  # fmt: skip
        self.estimator, self.method, self.contamination = estimator, method, contamination
        self.background, self.codelength = background, codelength
        self.calibration_size, self.random_state = calibration_size, random_state

    def get_params(self, deep=True):
        """Parameters, those of the estimators by their names too.

        Parameters
        ----------
        deep : bool, default=True
        """
        plain = not isinstance(self.estimator, list)
        return super().get_params(deep) if plain else self._get_params("estimator", deep=deep)

    def set_params(self, **params):
        """Set parameters; of a list of estimators also ``name=estimator`` and ``name__parameter=value``.

        Parameters
        ----------
        **params : dict
        """
        return self._set_params("estimator", **params)

    # -- fit -----------------------------------------------------------------------------------------------

    def fit(self, X, y=None, groups=None):
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
        return self._fit(X, groups, "fit", anew=True)

    @available_if(goes_on)
    def partial_fit(self, X, y=None, groups=None):
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
        return self._fit(X, groups, "partial_fit", anew="_score_" not in vars(self))

    def _fit(self, X, groups, verb, *, anew):
        """``verb`` is that of the densities."""
        with all_or_nothing(self, anew=anew):
            self._validate_params()
            X = self._check_rows(X, reset=anew)
            if anew:
                self._begin()
            units = Units.of(X, groups)
            if units.given and len(units) == 1 and verb == "fit":
                raise ValueError("groups is one group only: some must be kept apart from others. Pass more, or None.")
            rows, apart = self._split(units, waits=verb == "partial_fit")
            if rows:
                self._train(rows.X, verb)
            if apart:
                return self._calibrate(apart, apart=True)
            return self._calibrate(rows, apart=False) if anew or (rows and not self.calibrated_) else self

    def _begin(self):
        """The method, clones of the densities that it takes, and its code length."""
        members, background, codec = named(self.estimator), self.background, self.codelength
        if isinstance(self.estimator, list):
            self._validate_names([name for name, _ in members])
        shaped = any(getattr(unwrap(member)[1], "image_shape", None) is not None for _, member in members)
        self.method_ = self.method if self.method != "auto" else "statistics" if shaped else "log_likelihood"
        check_method(self.method_, members, background, codec)
        self._seed_, self._n_trained_, self._waiting_ = fresh_seed(self.random_state), 0, None
        rng = None if self.random_state is None else np.random.RandomState(self._seed_)
        self.estimators_, self.backgrounds_ = [seeded(member, rng) for _, member in members], []
        if "background" in SCORES[self.method_].takes:
            models = [thawed(member) if background is None else background for _, member in members]
            self.backgrounds_ = [seeded(model, rng) for model in models]
        if codec is None and "codelength" in SCORES[self.method_].takes and (shaped or self.method_ == "complexity"):
            codec = ("bz2", "zlib")  # each has its own blind spots
        self._codelength_ = None if codec is None else _CodeLength(codec)

    def _split(self, units, *, waits):
        """The units to train on, and those that calibrate, or None: if one ``waits``, too few are kept for later."""
        frozen = all(isinstance(density, FrozenEstimator) for density in (*self.estimators_, *self.backgrounds_))
        if frozen and (self._codelength_ is None or getattr(units.X, "dtype", None) == np.uint8):
            return units, units  # nothing is learned from the rows
        if (size := self.calibration_size) is None:
            return units, None
        rows, apart = units.split(size, self._seed_, None if waits else self._n_trained_)
        apart, trained = apart.after(self._waiting_), bool(rows) or self._n_trained_ > 0
        n_calibrating, n_needed = self._n_calibrating(len(apart)), rows_needed(min(self._level, FINEST_LEVEL))
        if trained and n_calibrating >= n_needed:
            return rows, apart
        if self._n_trained_ == 0:
            warn(too_few(units, size, len(rows), n_calibrating, n_needed))
        if not (waits and trained):
            return units, None
        self._waiting_ = apart.X, apart.keys
        return rows, None

    def _train(self, X, verb):
        rng = np.random.default_rng(self._seed_ + self._n_trained_)
        for density in self.estimators_:
            train(density, verb, X)
        for density in self.backgrounds_:
            train(density, verb, corrupted(X, rng) if self.background is None else X)
        if self._n_trained_ == 0:
            self.image_shape_ = image_shape(self.estimators_[0])
            if self._codelength_ is not None:
                self._codelength_.set_params(image_shape=self.image_shape_).fit(X)
        self._n_trained_ += 1

    @property
    def _level(self):
        return FALSE_ALARM_RATE if self.contamination == "auto" else self.contamination

    def _n_calibrating(self, n):
        """Of n rows kept apart, those that are left where the score learns from the others."""
        learns = len(self.estimators_) > 1 or SCORES[self.method_].learns
        return max(0, n - max(1, n // 2)) if learns else n

    def _calibrate(self, units, *, apart):
        """Fit the score, and rank the rows by it; ``apart`` says whether the densities have never seen them."""
        if apart:
            check_enough(len(units), self._n_calibrating(len(units)), self._level, units.names)
        seen = (self.estimators_, self.backgrounds_)
        densities, backgrounds = seen if apart else ([leaving_one_out(density) for density in some] for some in seen)
        score = make_score(self.method_, densities, backgrounds, self._codelength_, self._seed_)
        if (one_each := apart and units.given) or score.learns:
            units = units.shuffled(np.random.RandomState(self._seed_), one_each=one_each)
        if score.learns:
            reference, units = units.halves() if apart else (units, units)
            score.fit(reference.X)
        scores, n_different = np.sort(score.score_samples(units.X)), len(units) if apart else None
        self._score_, self.calibrated_, self.calibration_scores_, self._n_different_ = score, apart, scores, n_different
        self.offset_ = float(threshold(scores, self._level, n_different))
        self._waiting_ = None if apart else self._waiting_
        return self

    def recalibrate(self, X, groups=None):
        """Replace the calibration by one on new normal rows; the densities stay as they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that no density was fitted on, as many as a p-value of ``contamination`` takes.
        groups : array-like of shape (n_samples,), default=None
            As in ``fit``; those of its groups should not be among these.

        Returns
        -------
        self : object
        """
        check_is_fitted(self)
        return self._calibrate(Units.of(self._check_rows(X), groups), apart=True)

    # -- scores --------------------------------------------------------------------------------------------

    def score_samples(self, X):
        """Score of each row by ``method``, or, of several estimators, the mean log p-value: higher is more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In nats, whatever the other rows are; -inf where an estimator says so.
        """
        check_is_fitted(self)
        return self._score_.score_samples(self._check_rows(X))

    @AvailableIfSplit
    def score_features(self, X):
        """What each feature adds to the score of its row.

        For ``"log_likelihood"``, ``"ratio"``, ``"typicality"`` and ``"fisher"`` of estimators with
        ``score_features``, in a ``Pipeline`` after steps that keep the features; else there is no such method. Exact
        but for ``"typicality"`` and a list, whose scores are 0 for a mean row: what a row differs by is split in
        proportion to what each feature adds to the difference of the log-likelihoods (Shrikumar et al. 2017).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
            The rows sum to ``score_samples``, in nats.
        """
        check_is_fitted(self)
        return self._score_.score_features(self._check_rows(X))

    def p_values(self, X):
        """Share of the calibration rows that are at least as strange: (1 + #{scores <= its own}) / (n_calibration + 1).

        Ties count in full, so that p-values are too large rather than too small where scores tie. Of rows with copies,
        m of them different, it is (1 + m q) / (m + 1), q the share of those whose scores are no higher.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples,), float64
            ``predict`` gives -1 where this is at most ``contamination``.
        """
        return p_values(self.score_samples(X), self.calibration_scores_, self._n_different_)

    def decision_function(self, X):
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
        return excess(self.score_samples(X), self.offset_, self.calibration_scores_)

    def predict(self, X):
        """1 for rows taken for normal, -1 for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _check_rows(self, X, *, reset=False):
        rows = as_given(X)
        validate_data(self, X, skip_check_array=True, reset=reset)
        return rows
