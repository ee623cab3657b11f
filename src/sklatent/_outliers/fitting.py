"""How a detector is fitted: densities on part of the rows, ranks of the others, or of all in turn."""

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import validate_data

from .._bridge.base import fit_seed
from .._bridge.diagram import members_block
from .._bridge.state import Estimator, all_or_nothing, warn
from .conformal import check_enough, few_different, rows_needed, threshold, too_few
from .densities import as_given, unwrap
from .folds import _Folded
from .members import _Members, named
from .scores import SCORES, check_method
from .tail import _ParetoTail
from .units import Units

FALSE_ALARM_RATE = 0.05  # of contamination="auto"
FINEST_LEVEL = 0.01  # that p-values must be able to reach, for the rows kept apart to be enough


class Fitting(_BaseComposition, Estimator):
    """Base: what ``fit``, ``partial_fit`` and ``recalibrate`` set."""

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

    def _sk_visual_block_(self):
        """The densities; once fitted those of the first fold, and the backgrounds."""
        members, fitted = dict(named(self.estimator)), vars(self).get("_members_")
        if fitted:
            of_folds = f" (1 of {len(fitted)} folds)" if len(fitted) > 1 else ""
            names = [name + of_folds for name in members]
            backgrounds = [f"background of {name}" for name in names]
            members = dict(zip(names, fitted[0].estimators_, strict=True))
            members |= zip(backgrounds, fitted[0].backgrounds_, strict=False)  # there may be none
        return members_block(members)

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
        self._seed_, self._waiting_ = fit_seed(self.random_state), None
        self._looked_at_, self._watched_ = np.empty(0, dtype=np.uint64), None
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
        trained = bool(rows) or members.n_trained_ > 0
        if waits and trained:
            apart = apart.after(self._waiting_, self.horizon)
            self._waiting_ = apart.X, apart.keys
        n_calibrating, n_needed = self._n_calibrating(len(apart)), rows_needed(min(self._rank_level, FINEST_LEVEL))
        if waits and self._n_calibrating(self.horizon) < n_needed:
            raise ValueError(
                f"horizon={self.horizon} keeps too few rows: {n_needed} must calibrate. Pass a larger one."
            )
        if trained and n_calibrating >= n_needed:
            return rows, apart
        if not waits and len(units) >= rows_needed(self._rank_level):
            if units.names == "different rows" and len(units.keys) * len(apart) >= n_needed * len(units):
                warn(few_different(units))
            return None, None
        if members.n_trained_ == 0:
            warn(too_few(units, size, len(rows), n_calibrating, n_needed, self._rank_level, waits))
        return (rows, None) if waits and trained else (units, None)

    def _train(self, verb, X):
        for members in self._members_:
            members.train(verb, X)
        self._trained_since_ = True
        if self._watched_ is not None:
            self._watched_ = [None, self._watched_[1]]  # a score is not what it was

    def _fit_in_folds(self, units):
        """Each fold calibrates by densities trained on the others: of its units those with the fewest copies."""
        rng, most = np.random.RandomState(self._seed_), units.rarest(rows_needed(self._rank_level))
        folds = units.folds(self.calibration_size, self._seed_)
        folds = [(rows, fold) for rows, fold in folds if fold.sizes.min() <= most]
        densities = [density for _, density in named(self.estimator)]
        self._members_ = self._clones(densities, self._members_[0].codelength, len(folds))
        scores = []
        for members, (rows, _) in zip(self._members_, folds, strict=True):
            reference = None
            if members.learns:
                rows, reference = rows.split(1 / len(folds), self._seed_, 0)
            score = members.train("fit", rows.X).score(apart=True)
            scores.append(score if reference is None else score.fit(reference.shuffled(rng, one_each=units.given).X))
        apart = [fold.take(fold.sizes <= most).shuffled(rng, one_each=True) for _, fold in folds]
        self._score_, self._trained_since_ = _Folded(scores, tail=self.tail is not None).fit(apart), False
        return self._rank(*self._score_.ranks(), apart=True, by_folds=True)

    @property
    def _level(self):
        return FALSE_ALARM_RATE if self.contamination == "auto" else self.contamination

    @property
    def _rank_level(self):
        """The level that ranks must reach."""
        return self._level if self.tail is None else max(self._level, FINEST_LEVEL)

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
            check_enough(len(units), self._n_calibrating(len(units)), self._rank_level, units.names)
        score = self._score_ if self._in_folds else self._members_[0].score(apart=apart)
        learns = self._learns if apart else score.learns
        if (one_each := apart and units.given) or learns:
            units = units.shuffled(np.random.RandomState(self._seed_), one_each=one_each)
        if learns:
            reference, units = units.halves() if apart else (units, units)
            score.fit(reference.X)
        self._score_, self._trained_since_, scores = score, False, score.score_samples(units.X)
        order = np.argsort(scores, kind="stable")
        return self._rank(scores[order], units.keys[order], units.rows[order], apart=apart)

    def _rank(self, scores, keys, rows, *, apart, by_folds=False):
        """Rank others among these: sorted scores, the keys of their units and the numbers of their rows."""
        self.calibration_scores_, self.calibration_indices_, self._keys_ = scores, rows, keys
        self.calibrated_, self._by_folds_ = apart, by_folds
        self._n_different_ = len(np.unique(keys)) if apart else None
        self._tail_ = None
        if apart and self.tail is not None:
            self._tail_ = self._score_ if by_folds else _ParetoTail().fit(scores)
        self.offset_ = threshold(scores, self._level, self._n_different_, self._tail_)
        return self

    def _trim(self, units, y):
        y = column_or_1d(y)
        check_consistent_length(units.keys, y)
        if (wrong := ~np.isin(y, (1, -1))).any():
            raise ValueError(f"y has the label {y[wrong][0]}. Pass -1 for an outlier, 1 for a normal row.")
        if (foreign := ~np.isin(units.keys, self._keys_)).any():
            raise ValueError(
                f"{foreign.sum()} of {len(y)} rows do not calibrate, the first of them row {foreign.argmax()}. Pass "
                "rows that rows_to_label gives; or, to calibrate on new normal rows, no y."
            )
        stay = ~np.isin(self._keys_, units.keys[y == -1])
        check_enough(len(self._keys_), len(np.unique(self._keys_[stay])), self._rank_level, units.names)
        self._looked_at_ = np.union1d(self._looked_at_, units.keys)
        if self._by_folds_:
            self._score_ = self._score_.without(units.keys[y == -1])
            return self._rank(*self._score_.ranks(), apart=True, by_folds=True)
        rank = self.calibration_scores_[stay], self._keys_[stay], self.calibration_indices_[stay]
        return self._rank(*rank, apart=self.calibrated_)

    def _check_rows(self, X, *, reset=False):
        rows = as_given(X)
        validate_data(self, X, skip_check_array=True, reset=reset)
        return rows
