"""What all displays share: matplotlib on demand, the Axes, the colours."""

from .._bridge.state import Public

PAD = 0.1  # inches around an Axes, so that the grids of two do not run together

# ten colours that colour-blind readers can tell apart: M. A. Petroff, "Accessible color sequences for data
# visualization", 2021
COLORS = [
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
]  # fmt: skip


def import_pyplot(caller):
    """``matplotlib.pyplot``, or an error that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{caller} needs matplotlib: pip install "sklatent[plot]"') from error
    return plt


def has_no_layout(figure):
    """Whether nobody has said yet where the Axes of a figure lie."""
    from matplotlib.figure import SubplotParams

    untouched = vars(figure.subplotpars) == vars(SubplotParams())
    return figure.get_layout_engine() is None and untouched


class Display(metaclass=Public):
    """Base of the displays: one stores arrays in ``__init__`` and draws them in ``_draw(ax)``."""

    def plot(self, ax=None):
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
        plt = import_pyplot(type(self).__name__)
        if ax is None:
            _, ax = plt.subplots(figsize=self._figsize(), layout="constrained")
        elif has_no_layout(ax.figure.figure):
            ax.figure.figure.set_layout_engine("constrained", w_pad=PAD, h_pad=PAD)
        self._draw(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _figsize(self):
        """Width and height of a new figure in inches; None is matplotlib's own."""
        return None
