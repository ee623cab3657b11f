"""Why a row scores as it does."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import _num_samples, check_is_fitted

from ._common import COLORS, Display, import_pyplot

USUAL = (5, 50, 95)  # percentiles of other rows: where a grey line begins, its tick, where it ends


class ScoreFeaturesDisplay(Display):
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

    def __init__(self, contributions, reference, feature_names=None, n_features=10):
        self.contributions = contributions
        self.reference = reference
        self.feature_names = feature_names
        self.n_features = n_features

    @classmethod
    def from_estimator(cls, estimator, X, *, row=None, n_features=10, ax=None):
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
        import_pyplot(cls.__name__)
        if not isinstance(n_features, Integral) or n_features < 1:
            raise ValueError(f"n_features={n_features!r} must be an integer, 1 or more.")
        check_is_fitted(estimator)
        n = _num_samples(X)
        if row is not None and not (isinstance(row, Integral) and -n <= row < n):
            raise ValueError(f"row={row!r} must be the index of one of the {n} rows of X, or None.")
        if not hasattr(estimator, "score_features"):
            raise TypeError(f"{type(estimator).__name__} has no score_features. Pass an estimator that has it.")
        reference = estimator.score_features(X)
        row = reference.sum(axis=1).argmin() if row is None else row
        names = getattr(estimator, "feature_names_in_", None)
        return cls(reference[row], reference, names, n_features).plot(ax=ax)

    def _bars(self):
        """Labels, contributions and usual contributions (n_bars, 3) of the bars, from the top down."""
        d, n = len(self.contributions), self.n_features
        names = [f"x{i}" for i in range(d)] if self.feature_names is None else self.feature_names
        order = np.argsort(self.contributions - np.median(self.reference, axis=0), kind="stable")
        n = n if n + 1 < d else d  # a bar for the rest is no shorter than one more feature
        groups = [[i] for i in order[:n]] + ([order[n:]] if n < d else [])
        labels = [str(names[i]) for i in order[:n]] + ([f"{d - n} others"] if n < d else [])
        heights = np.array([self.contributions[group].sum() for group in groups])
        usual = [np.percentile(self.reference[:, group].sum(axis=1), USUAL) for group in groups]
        return labels, heights, np.array(usual)

    def _figsize(self):
        return 6.4, 1.0 + 0.3 * min(self.n_features + 1, len(self.contributions))

    def _draw(self, ax):
        labels, heights, usual = self._bars()
        y = np.arange(len(labels))
        colors = [COLORS[2] if height < low else COLORS[0] for height, low in zip(heights, usual[:, 0], strict=True)]
        ax.barh(y, heights, height=0.7, color=colors)
        ax.hlines(y, usual[:, 0], usual[:, 2], color="0.35", linewidth=1.5)
        ax.plot(usual[:, 1], y, "|", color="0.1", markersize=9)
        ax.axvline(0, color="0.1", linewidth=0.8)
        ax.set_yticks(y, labels)
        grey = "grey: 5 to 95 %, median"  # no legend, which would be where a title goes
        ax.set(ylim=(len(labels) - 0.4, -0.6), xlabel=f"adds to the score, {heights.sum():.1f} nats\n{grey}")
