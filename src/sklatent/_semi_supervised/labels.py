"""Labels of which some are missing: ``-1`` marks an unlabelled row, as in ``sklearn.semi_supervised``."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._bridge.rows import detached
from .._bridge.state import Public, warn

UNLABELLED = -1
MARK = "Unlabelled rows are marked by the number -1"
MISSING = {"None": "None", "nan": "NaN", "<NA>": "NaN"}  # by str, as pandas' NA has no truth value


def check_missing(y):
    """Raise if labels are missing in another way than by -1. Of y as given: an array makes ["a", nan] hold "nan"."""
    for label in () if y is None else np.asarray(y, dtype=object).ravel():
        if not isinstance(label, str) and str(label) in MISSING:
            raise ValueError(f"y holds {MISSING[str(label)]}. {MARK}.")


def encode_labels(y):
    """The classes of y, and for each row the index of its class, or -1 where it has no label.

    A y of -1 and 1 alone is the binary coding: there, -1 is a class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Numbers or strings; strings beside -1 take ``dtype=object``.

    Returns
    -------
    classes : ndarray of shape (n_classes,), sorted
    codes : ndarray of shape (n_samples,), int

    Raises
    ------
    ValueError
        If no row has a label, if only one class has and other rows have none, if some are missing in another way than
        by -1, or if they are real numbers.
    """
    check_missing(y)
    y = column_or_1d(y, warn=True)
    strings = y.dtype.kind in "USO" and [label for label in y if isinstance(label, str)]
    if strings and str(UNLABELLED) in strings:
        raise ValueError(
            f"y holds the string '-1'. {MARK}: beside strings that takes y = np.array([...], dtype=object)."
        )
    if strings and "" in strings:
        warn(f"y holds empty strings, and the rows with '' are taken for a class. {MARK}.")
    labelled = np.ones(len(y), dtype=bool) if y.dtype.kind in "US" else np.array(y != UNLABELLED, dtype=bool)
    if not labelled.any():
        raise ValueError("y labels no row: all of it is -1. At least one row of each class must have its label.")
    known = y[labelled]
    if y.dtype.kind == "O" and not strings:
        known = np.array(known.tolist())  # numbers, as they are
    check_classification_targets(known.astype(str) if known.dtype.kind == "O" else known)
    classes, inverse = np.unique(known, return_inverse=True)
    if len(classes) == 1 and not labelled.all():
        if y.dtype.kind != "O" and classes[0] == 1:
            classes, codes = np.unique(y, return_inverse=True)
            return classes, codes
        raise ValueError(
            f"y holds one class, {classes.tolist()[0]!r}, beside -1, which marks unlabelled rows. Label rows of a "
            "second class; or, if -1 is a class here, give it another name."
        )
    codes = np.full(len(y), UNLABELLED)
    codes[labelled] = inverse
    return classes, codes


class MostLikelyClass(ClassifierMixin):
    """A classifier by ``predict_proba`` over ``classes_``."""

    def predict(self, X):
        """The most likely class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        best = np.argmax(detached(self.predict_proba(X)), axis=1)  # first: it says what is not fitted
        return self.classes_[best]


class LabeledKFold(StratifiedKFold, metaclass=Public):
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

    def split(self, X, y, groups=None):
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
        _, codes = encode_labels(y)
        labelled = np.flatnonzero(codes != UNLABELLED)
        several = labelled[np.bincount(codes[labelled])[codes[labelled]] > 1]
        if len(several) < self.n_splits:
            raise ValueError(
                f"n_splits={self.n_splits} is more than the {len(several)} labelled rows of classes with two labels or "
                "more. Label more rows."
            )
        for _, test in super().split(several, codes[several]):
            yield np.setdiff1d(np.arange(len(codes)), several[test]), several[test]
