"""Codes, losses and scores: points, curves and histograms."""

from collections.abc import Mapping

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from ._common import COLORS, Display, import_pyplot

N_BINS = 41  # odd, so that scores that are all alike fall in the middle of a bin


class LatentSpaceDisplay(Display):
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

    def __init__(self, codes, y=None, components=(0, 1)):
        self.codes = codes
        self.y = y
        self.components = components

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, components=(0, 1), ax=None):
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
        import_pyplot(cls.__name__)
        check_consistent_length(X, y)
        codes = np.asarray(estimator.transform(X))
        return cls(codes, None if y is None else np.asarray(y), components).plot(ax=ax)

    def _draw(self, ax):
        n_components = self.codes.shape[1]
        if len(self.components) != 2 or not all(0 <= i < n_components for i in self.components):
            raise ValueError(
                f"components={self.components!r} must be two columns of the codes, from 0 to {n_components - 1}."
            )
        first, second = self.components
        points = {"x": self.codes[:, first], "y": self.codes[:, second], "s": 12, "linewidths": 0}
        ax.set(xlabel=f"code {first}", ylabel=f"code {second}")
        if self.y is None:
            ax.scatter(**points, color=COLORS[0])
            return
        classes, index = np.unique(self.y, return_inverse=True)
        if len(classes) <= len(COLORS):
            self._draw_classes(ax, points, classes, index)
        elif self.y.dtype.kind in "iuf":
            bar = ax.inset_axes([1.03, 0, 0.05, 1])  # part of the Axes, so that any layout of the figure will do
            ax.figure.colorbar(ax.scatter(**points, c=self.y, cmap="viridis"), cax=bar, label="y")
        else:
            ax.scatter(**points, c=index, cmap="viridis")  # too many names for a legend

    def _draw_classes(self, ax, points, classes, index):
        from matplotlib.colors import ListedColormap

        # one call, so that points are stacked in the order of the rows, and no class hides another
        colors = ListedColormap(COLORS[: len(classes)])
        drawn = ax.scatter(**points, c=index, cmap=colors, vmin=-0.5, vmax=len(classes) - 0.5)
        handles, _ = drawn.legend_elements(num=list(range(len(classes))))
        ax.legend(handles, classes, title="y", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


class HistoryDisplay(Display):
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

    def __init__(self, train_loss, valid_loss=None, baseline_loss=None):
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.baseline_loss = baseline_loss

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
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
        import_pyplot(cls.__name__)
        check_is_fitted(estimator)
        history = getattr(estimator, "history_", None)
        if not history:
            raise ValueError(f"This {type(estimator).__name__} has no history_ of its training. Pass one that has.")
        train, valid = (
            np.array([epoch.get(name, np.nan) for epoch in history], dtype=np.float64)
            for name in ("train_loss", "valid_loss")
        )
        baseline = getattr(estimator, "baseline_loss_", None)
        return cls(train, None if np.isnan(valid).all() else valid, baseline).plot(ax=ax)

    def _draw(self, ax):
        epochs = np.arange(1, len(self.train_loss) + 1)
        style = {"marker": "o", "markersize": 3}
        ax.plot(epochs, self.train_loss, color=COLORS[0], label="training", **style)
        if self.valid_loss is not None:
            best = int(np.nanargmin(self.valid_loss))
            ax.plot(epochs, self.valid_loss, color=COLORS[1], label="validation", **style)
            ax.axvline(epochs[best], color="0.4", linestyle=":", label=f"best epoch: {epochs[best]}")
        if self.baseline_loss is not None:
            ax.axhline(self.baseline_loss, color=COLORS[2], linestyle="--", label="validation of the linear model")
        ax.set(xlabel="epoch", ylabel="mean loss of a row")
        self._cut_first_epochs(ax)
        ax.locator_params(axis="x", integer=True)
        ax.legend(frameon=False)

    def _cut_first_epochs(self, ax):
        losses = np.concatenate([self.train_loss, [] if self.valid_loss is None else self.valid_loss])
        losses = losses[np.isfinite(losses)]
        low, usual = losses.min(), np.percentile(losses, 80, method="lower")
        level = usual if self.baseline_loss is None else max(usual, self.baseline_loss)
        height = 5 * (level - low)
        if losses.max() > low + height > low:
            ax.set_ylim(low - 0.05 * height, low + height)


class ScoreHistogramDisplay(Display):
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

    def __init__(self, scores):
        self.scores = scores

    @classmethod
    def from_estimator(cls, estimator, X, X_other=None, *, ax=None):
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
        import_pyplot(cls.__name__)
        others = X_other if isinstance(X_other, Mapping) else {} if X_other is None else {"X_other": X_other}
        if "X" in others:
            raise ValueError("X_other has a set named 'X', as the second argument is. Give it another name.")
        return cls({name: estimator.score_samples(rows) for name, rows in {"X": X, **others}.items()}).plot(ax=ax)

    def _draw(self, ax):
        pooled = np.concatenate(list(self.scores.values()))
        low, high = pooled.min(), pooled.max()
        if high - low <= 1e-9 * max(abs(low), abs(high)):  # nothing but rounding: bins would have no width
            low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, N_BINS + 1)
        for i, (name, scores) in enumerate(self.scores.items()):
            counts, _ = np.histogram(scores, edges)
            color = COLORS[i % len(COLORS)]
            ax.stairs(counts, edges, fill=True, alpha=0.3, color=color)
            ax.stairs(counts, edges, color=color, linewidth=1.5, label=name)
        ax.set(xlabel="score_samples\n(higher is more normal)", ylabel="number of rows")
        ax.locator_params(axis="x", nbins=4)  # scores have many digits
        if len(self.scores) > 1:
            ax.legend(frameon=False)
