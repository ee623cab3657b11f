"""Outlier detection by densities."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import _BaseComposition, available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._bridge.base import fresh_seed
from .._bridge.state import Estimator, all_or_nothing, warn
from .codelength import COMPRESSORS
from .conformal import check_enough, rows_needed, threshold, too_few
from .densities import as_given, unwrap
from .folds import _Folded
from .members import _Members, goes_on, named
from .scores import SCORES, check_method
from .units import Units
from .verdicts import Verdicts

FALSE_ALARM_RATE = 0.05  # of contamination="auto"
FINEST_LEVEL = 0.01  # that p-values must be able to reach, for the rows kept apart to be enough


class DensityOutlierDetector(Verdicts, _BaseComposition, Estimator):
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

    @property
    def estimators_(self):
        """Fitted, those of one fold after those of another."""
        return [density for members in self._members_ for density in members.estimators_]

    @property
    def backgrounds_(self):
        return [density for members in self._members_ for density in members.backgrounds_]

    @property
    def image_shape_(self):
        return self._members_[0].image_shape

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
            if rows is None:
                return self._fit_in_folds(units)
            if rows:
                self._train(verb, rows.X)
            if apart:
                return self._calibrate(apart, apart=True)
            return self._calibrate(rows, apart=False) if anew or (rows and not self.calibrated_) else self

    def _begin(self):
        densities, background, codec = named(self.estimator), self.background, self.codelength
        if isinstance(self.estimator, list):
            self._validate_names([name for name, _ in densities])
        shaped = any(getattr(unwrap(density)[1], "image_shape", None) is not None for _, density in densities)
        self.method_ = self.method if self.method != "auto" else "statistics" if shaped else "log_likelihood"
        check_method(self.method_, densities, background, codec)
        if codec is None and "codelength" in SCORES[self.method_].takes and (shaped or self.method_ == "complexity"):
            codec = ("bz2", "zlib")  # each has its own blind spots
        self._seed_, self._waiting_ = fresh_seed(self.random_state), None
        self._looked_at_ = np.empty(0, dtype=np.uint64)
        self._members_ = self._clones([density for _, density in densities], codec)

    def _clones(self, densities, codec, n_folds=1):
        """What is to be trained: once, or for each fold."""
        rng = None if self.random_state is None else np.random.RandomState(self._seed_)
        members = [_Members(self.method_, codec, self._seed_) for _ in range(n_folds)]
        return [one.begin(densities, self.background, rng) for one in members]

    def _split(self, units, *, waits):
        """The units to train on, and those that calibrate, or None; None and None if they are to do so in turn.

        If one ``waits``, those kept apart are kept for later if they are too few.
        """
        members, size = self._members_[0], self.calibration_size
        if members.n_to_fit == 0 and (members.codelength is None or getattr(units.X, "dtype", None) == np.uint8):
            return units, units  # nothing is learned from the rows
        if size is None:
            return units, None
        rows, apart = units.split(size, self._seed_, None if waits else 0)
        apart, trained = apart.after(self._waiting_), bool(rows) or members.n_trained_ > 0
        n_calibrating, n_needed = self._n_calibrating(len(apart)), rows_needed(min(self._level, FINEST_LEVEL))
        if trained and n_calibrating >= n_needed:
            return rows, apart
        if not waits and len(units) >= rows_needed(self._level):
            return None, None
        if members.n_trained_ == 0:
            warn(too_few(units, size, len(rows), n_calibrating, n_needed))
        if not (waits and trained):
            return units, None
        self._waiting_ = apart.X, apart.keys
        return rows, None

    def _train(self, verb, X):
        for members in self._members_:
            members.train(verb, X)

    def _fit_in_folds(self, units):
        """Calibrate on all units, each fold by densities that are trained on the others."""
        folds, rng = units.folds(self.calibration_size, self._seed_), np.random.RandomState(self._seed_)
        densities = [density for _, density in named(self.estimator)]
        self._members_ = self._clones(densities, self._members_[0].codelength, len(folds))
        scores = []
        for members, (rows, _) in zip(self._members_, folds, strict=True):
            reference = None
            if members.learns:
                rows, reference = rows.split(1 / len(folds), self._seed_, 0)
            score = members.train("fit", rows.X).score(apart=True)
            scores.append(score if reference is None else score.fit(reference.shuffled(rng, one_each=units.given).X))
        self._score_ = _Folded(scores).fit([fold.shuffled(rng, one_each=True) for _, fold in folds])
        return self._rank(*self._score_.ranks(), apart=True, by_folds=True)

    @property
    def _level(self):
        return FALSE_ALARM_RATE if self.contamination == "auto" else self.contamination

    @property
    def _in_folds(self):
        return isinstance(vars(self).get("_score_"), _Folded)

    @property
    def _learns(self):
        return self._members_[0].learns and not self._in_folds

    def _n_calibrating(self, n):
        """Of n units kept apart, those that are left where the score learns from the others."""
        return max(0, n - max(1, n // 2)) if self._learns else n

    def _calibrate(self, units, *, apart):
        """Fit the score, and rank the rows by it; ``apart`` says whether the densities have never seen them."""
        if apart:
            check_enough(len(units), self._n_calibrating(len(units)), self._level, units.names)
        score = self._score_ if self._in_folds else self._members_[0].score(apart=apart)
        learns = self._learns if apart else score.learns
        if (one_each := apart and units.given) or learns:
            units = units.shuffled(np.random.RandomState(self._seed_), one_each=one_each)
        if learns:
            reference, units = units.halves() if apart else (units, units)
            score.fit(reference.X)
        self._score_, scores = score, score.score_samples(units.X)
        order = np.argsort(scores, kind="stable")
        return self._rank(scores[order], units.keys[order], units.rows[order], apart=apart)

    def _rank(self, scores, keys, rows, *, apart, by_folds=False):
        """Rank others among these: sorted scores, the keys of their units and the numbers of their rows."""
        self.calibration_scores_, self.calibration_indices_, self._keys_ = scores, rows, keys
        self.calibrated_, self._by_folds_, self._n_different_ = apart, by_folds, None
        if apart:
            self._n_different_, self._waiting_ = len(np.unique(keys)), None
        self.offset_ = float(threshold(scores, self._level, self._n_different_))
        return self

    def recalibrate(self, X, y=None, groups=None):
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
        """
        check_is_fitted(self)
        units = Units.of(self._check_rows(X), groups)
        return self._calibrate(units, apart=True) if y is None else self._trim(units, y)

    def _trim(self, units, y):
        y = column_or_1d(y)
        check_consistent_length(units.keys, y)
        if (wrong := ~np.isin(y, (1, -1))).any():
            raise ValueError(f"y has the label {y[wrong][0]!r}. Pass -1 for an outlier, 1 for a normal row.")
        if (foreign := ~np.isin(units.keys, self._keys_)).any():
            raise ValueError(
                f"{foreign.sum()} of {len(y)} rows do not calibrate, the first of them row {foreign.argmax()}. Pass "
                "rows that rows_to_label gives; or, to calibrate on new normal rows, no y."
            )
        stay = ~np.isin(self._keys_, units.keys[y == -1])
        check_enough(len(self._keys_), len(np.unique(self._keys_[stay])), self._level, units.names)
        self._looked_at_ = np.union1d(self._looked_at_, units.keys)
        if self._by_folds_:
            self._score_ = self._score_.without(units.keys[y == -1])
            return self._rank(*self._score_.ranks(), apart=True, by_folds=True)
        rank = self.calibration_scores_[stay], self._keys_[stay], self.calibration_indices_[stay]
        return self._rank(*rank, apart=self.calibrated_)

    def rows_to_label(self, n_rows=10):
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
        check_is_fitted(self)
        if (self.calibration_indices_ < 0).any():
            raise ValueError("The rows that calibrate came by partial_fit, and X is gone. Call recalibrate(X) first.")
        return self.calibration_indices_[~np.isin(self._keys_, self._looked_at_)][:n_rows]

    def _check_rows(self, X, *, reset=False):
        rows = as_given(X)
        validate_data(self, X, skip_check_array=True, reset=reset)
        return rows
