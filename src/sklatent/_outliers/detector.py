"""Outlier detection by densities."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .codelength import COMPRESSORS
from .counterfactuals import Counterfactuals
from .fitting import Fitting
from .members import goes_on
from .scores import SCORES
from .streams import Streams
from .units import Units
from .verdicts import Verdicts


class DensityOutlierDetector(Verdicts, Counterfactuals, Streams, Fitting):
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
    method : {"auto", "log_likelihood", "ratio", "complexity", "typicality", "regret", "fisher", "statistics"}, \
default="auto"
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

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), list, None],
        "method": [StrOptions({"auto", *SCORES})],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "background": [HasMethods(["fit"]), None],
        "codelength": [StrOptions(set(COMPRESSORS)), callable, None],
        "calibration_size": [Interval(Real, 0, 1, closed="neither"), Interval(Integral, 1, None, closed="left"), None],
        "tail": [StrOptions({"pareto"}), None],
        "horizon": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator=None, *, method="auto", contamination="auto", background=None, codelength=None,
        calibration_size=0.2, tail=None, horizon=1000, random_state=None,
    ):  # fmt: skip
        self.estimator, self.method, self.contamination = estimator, method, contamination
        self.background, self.codelength = background, codelength
        self.calibration_size, self.tail, self.horizon = calibration_size, tail, horizon
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
        plain = not isinstance(self.estimator, list)
        return super().get_params(deep) if plain else self._get_params("estimator", deep=deep)

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

        References
        ----------
        M. Bashari, M. Sesia, Y. Romano, "Robust conformal outlier detection under contaminated reference data", 2025.
        """
        check_is_fitted(self)
        units = Units.of(self._check_rows(X), groups)
        if y is not None:
            return self._trim(units, y)
        self._calibrate(units, apart=True)
        self._waiting_, self._watched_ = None, None
        return self

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
