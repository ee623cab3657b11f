"""What ``EncoderClassifier`` does in ``fit``, stage by stage: the encoder, what its net learns in turn, the graph."""

import copy
import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing

from .._autoencoders.base import EncoderTransformer
from .._autoencoders.two_views import TwoViewTransformer
from .._bridge.base import TorchEstimator, fit_seed
from .._bridge.batches import Rows
from .._bridge.callbacks import Freeze, WeightAverage
from .._bridge.checkpoints import digest
from .._bridge.holes import filled
from .._bridge.rows import check_image_shape
from .._bridge.weights import copies
from .._nn.classifier import Classifier
from .._nn.corruption import make_corruption
from .label_spreading import GraphLabelSpreading, compare_with_pca, some_rows, tell_if_behind
from .labels import UNLABELLED
from .neighbors import Neighbors
from .recipes import recipe
from .stages import Stages
from .targets import class_weights, one_hot, pseudo_labels, weighted

SETTLED = 0.995  # of the rows: where a graph says the same of so many as the last, learning it again brings nothing
PCA_COMPONENTS = 50
ROWS_TO_ASK = 10_000  # others than the graph of
ROWS_TO_TRY, NEIGHBORS = 1000, 10  # to expect from how long a stage will take


class FineTuning(TorchEstimator):
    """The stages of the fit of ``EncoderClassifier``, which has the parameters and the verbs."""

    def _fit_in_stages(self, encoder, X, codes, weights, place, anew):
        """Fit to rows without copies, which the given rows have their ``place`` among; the key that ended it."""
        graph = bool((codes == UNLABELLED).any())
        seed = fit_seed(self.random_state)
        known, apart = self._labels_apart(codes, weights, seed)
        if anew:
            self.image_shape_ = check_image_shape((encoder or self).image_shape, X.shape[1])
        steps = self._plan(known, apart, weights, seed, anew)
        stages = Stages(self.verbose, self._expected(encoder, steps, X, known, seed, anew) if self.verbose else [])
        if anew:
            stages.begin()
            self.encoder_ = self._fitted_encoder(encoder, X, weights, seed)
        X = filled(self._filler, X)
        self._start(seed, anew)
        self._forget_graph()  # of the fit before
        if graph:
            self.agreement_ = compare_with_pca(X, self._codes(X), known, seed)
            if recipe(self.image_shape_).n_rounds:  # else no net learns, and opinions know the values too
                tell_if_behind(self.agreement_, known)
            steps = self._ask(steps, stages, X, known, weights, seed)
        pressed = self._learn(steps, stages, X, codes, weights, known, apart, seed, keep=anew)
        if graph:
            stages.begin()
            self._spread(X, codes, place)
        return pressed

    def _forget_graph(self):
        for name in ("graph_", "opinions_", "shares_", "label_distributions_", "transduction_", "agreement_"):
            vars(self).pop(name, None)

    def _expected(self, encoder, steps, X, known, seed, anew):
        """What each stage is, and its seconds as a trial with few rows has them."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encoder_row, net_row, pair = self._tried(encoder, X[:ROWS_TO_TRY], seed, anew)
        stages, n = [], len(X)
        if anew:
            n_epochs = 0 if encoder_row == 0 else self._unfitted(encoder, X)._epochs_of(n)
            what = f"the encoder learns {n} rows, {n_epochs} epochs" if n_epochs else "the encoder stays as it is"
            stages.append((what, encoder_row * n * n_epochs))
        for step in steps:
            rows, what = len(np.unique(step.index)), "the graph says" if step.learns == "graph" else "the labels say"
            seconds = net_row * len(step.index) * step.max_iter + (step.learns == "graph") * pair * rows**2
            stages.append((f"the net learns what {what} of {rows} rows, {step.max_iter} epochs", seconds))
        if (known == UNLABELLED).any():
            stages.append((f"the graph of {n} rows", pair * n * n))
        return stages

    def _tried(self, encoder, some, seed, anew):
        """Seconds of a row in an epoch of the encoder (0: it is fitted) and of the net, and of a pair in the graph."""
        trial, encoder_row = copy.copy(self), 0.0
        trial.set_params(verbose=0, callbacks=None, checkpoint=None, compile=False)
        trial.encoder_ = encoder
        if anew and not isinstance(self.encoder, FrozenEstimator):
            trial.encoder_ = self._unfitted(encoder, some).set_params(
                max_iter=2, verbose=0, callbacks=None, checkpoint=None, compile=False, random_state=seed
            )
            encoder_row = trial.encoder_.fit(some).history_[-1]["dur"] / len(some)
        trial._start(seed, True)
        some = filled(trial._filler, some)
        targets = one_hot(np.zeros(len(some), dtype=np.int64), np.ones(len(trial.classes_)))
        trial._train(trial._phase(Rows(some, None, targets), n_epochs=2, learning_rates=(0.0, 0.0)), seed, keep=False)
        Z, start = trial._codes(some), time.perf_counter()
        Neighbors(Z, min(NEIGHBORS, len(Z) - 1)).kneighbors()
        return encoder_row, trial.history_[-1]["dur"] / len(some), (time.perf_counter() - start) / len(Z) ** 2

    # -- the encoder -------------------------------------------------------------------------------------------

    def _checked_encoder(self, X):
        """The encoder as given, or that of the recipe."""
        encoder = self.encoder.estimator if isinstance(self.encoder, FrozenEstimator) else self.encoder
        if encoder is None:
            return None
        if not isinstance(encoder, EncoderTransformer):
            raise TypeError(
                "encoder must be a TwoViewTransformer, an AutoencoderTransformer or a VAETransformer, or a "
                f"FrozenEstimator around one, but is {encoder!r}. Other transformers go into "
                "make_pipeline(transformer, GraphLabelSpreading())."
            )
        shapes = [shape and tuple((1, *shape)[-3:]) for shape in (self.image_shape, encoder.image_shape)]
        if self.image_shape is not None and shapes[0] != shapes[1]:
            raise ValueError(
                f"image_shape={self.image_shape} is for encoder=None, but the encoder given has image_shape="
                f"{encoder.image_shape}. Pass it to the encoder."
            )
        if encoder is not self.encoder:
            encoder.transform(_safe_indexing(X, [0]))  # as given: it may know the columns by name
        return encoder

    def _fitted_encoder(self, encoder, X, weights, seed):
        """The encoder, fitted here on X unless it is frozen."""
        if isinstance(self.encoder, FrozenEstimator):
            return encoder
        encoder = self._unfitted(encoder, X)
        if encoder.random_state is None:
            encoder.set_params(random_state=seed)
        if encoder.checkpoint is None:
            encoder.set_params(checkpoint=self.checkpoint)
        return encoder.fit(X, sample_weight=weights)

    def _unfitted(self, encoder, X):
        if encoder is not None:
            return clone(encoder)
        options = {"device": self.device, "precision": self.precision, "verbose": self.verbose}
        defaults = recipe(self.image_shape_)
        if defaults.encoder is TwoViewTransformer and self.augmentation not in ("auto", None):
            options["corruption"] = self.augmentation  # what may change while the row stays what it is
        return defaults.make_encoder(X, image_shape=self.image_shape, **options)

    def _check_the_same_rows(self, X, weights, anew):
        """What ``warm_start`` keeps was learned from the rows of the fit before."""
        rows = digest(X, weights)
        if not anew and rows != self._rows_:
            raise ValueError(
                "warm_start=True goes on with the encoder, the net and the graph of the rows of the fit before, and "
                "takes other labels of the same rows, in the same order and with the same sample_weight. These rows "
                "differ. Set warm_start=False and call fit to start anew."
            )
        self._rows_ = rows

    # -- the net -----------------------------------------------------------------------------------------------

    def _plan(self, known, apart, weights, seed, anew):
        """What the net is to learn, step by step; what the parameters leave open is the recipe's."""
        defaults = recipe(self.image_shape_)
        auto = isinstance(self.augmentation, str) and self.augmentation == "auto"
        self.augmentation_ = defaults.augmentation if auto else self.augmentation
        self.vat_ = defaults.vat if self.vat is None else self.vat
        self.n_rounds_ = defaults.n_rounds if self.n_rounds is None else self.n_rounds
        counts = copies(weights)
        counts = 1 if counts is None else counts
        steps = defaults.steps(known, apart, self.batch_size, self.n_rounds_, counts, seed, again=not anew)
        rate = self.encoder_learning_rate
        return [
            step._replace(max_iter=self.max_iter or step.max_iter, rate=step.rate if rate is None else rate)
            for step in steps
        ]

    def _start(self, seed, anew):
        """The net on top of the encoder; under ``warm_start`` it is as it was, but for a head of new classes."""
        spec = {"augmentation": self.augmentation_, "mixup": self.mixup, "vat": self.vat_, "seed": seed}
        before = None if anew else (self._module, self.history_, self.n_steps_)
        self._start_net(spec, seed, {})
        if before:
            module, self.history_, self.n_steps_ = before
            self.n_iter_ = len(self.history_)
            self._module.coder.load_state_dict(module.coder.state_dict())
            if np.array_equal(self.classes_, self._classes_before_):
                self._module.head.load_state_dict(module.head.state_dict())
        self._classes_before_ = self.classes_

    def _build(self, spec):
        augment = make_corruption(spec["augmentation"], self.image_shape_, "augmentation")
        coder = self.encoder_.encoder_module(augment)
        coder.code_scale.fill_(1.0)  # the head learns its own
        return Classifier(coder, self._n_features_out, len(self.classes_), mixup=spec["mixup"], vat=spec["vat"])

    def _learn(self, steps, stages, X, codes, weights, known, apart, seed, *, keep):
        """Labels, or what the graph over the codes as they are now says of rows; the key that ended it, or None."""
        of_classes = class_weights(self.class_weight, self.classes_, codes, weights)
        said, by_pca, self.steps_ = None, None, []
        for i, step in enumerate(steps):
            stages.begin()
            targets = one_hot(codes, of_classes)
            if step.learns == "graph":
                taught = np.unique(step.index)
                q, by_pca = self._said_by_graph(X[taught], known[taught], seed, by_pca)
                before, said = said, q.argmax(axis=1)
                if before is not None and np.mean(before == said) >= SETTLED:
                    stages.skip(len(steps) - i - 1)
                    break
                targets[taught] = pseudo_labels(q, codes[taught], of_classes)
            self.steps_.append({"learns": step.learns, "max_iter": step.max_iter, "encoder_learning_rate": step.rate})
            targets = weighted(targets, weights, step.index)
            callbacks = [Freeze("coder", self.freeze)] if self.freeze else []
            callbacks += [WeightAverage(self.ema_decay)] if self.ema_decay else []
            phase = self._phase(
                Rows(X, step.index, targets), n_epochs=step.max_iter, learning_rates=(step.rate, self.learning_rate),
                held_out=Rows(X, apart, targets) if len(apart) else None, callbacks=callbacks,
            )  # fmt: skip
            pressed = self._train(phase, seed + i + (steps[0].learns == "graph"), keep=keep)
            if pressed:
                return pressed
        return None

    def _said_by_graph(self, X, known, seed, before):
        """Distributions of some rows, (n, n_classes); of images half of it by the graph of a PCA, as it was before."""
        Z = self._codes(X)
        q = self._said(X, Z, self._new_graph().fit(Z, known))
        if not recipe(self.image_shape_).asks_pca:
            return q, None
        if before is None:
            pca = PCA(min(PCA_COMPONENTS, *X.shape), random_state=seed).fit_transform(X)
            before = self._new_graph().fit(pca, known).label_distributions_
        return (q + before) / 2, before

    # -- the graph ---------------------------------------------------------------------------------------------

    def _spread(self, X, codes, place):
        """The graph that predicts, from all labels; those kept apart have done their work."""
        Z = self._codes(X)
        self.graph_ = self._new_graph().fit(Z, codes)
        found = self._said(X, Z, self.graph_)
        best = np.where(codes == UNLABELLED, found.argmax(axis=1), codes)
        self.label_distributions_, self.transduction_ = found[place], self.classes_[best[place]]

    def _ask(self, steps, stages, X, known, weights, seed):
        """Others than the graph: where labels held out speak for them, or no net is to learn, they predict."""
        defaults = recipe(self.image_shape_)
        if defaults.opinions is None:
            return steps
        rows = np.sort(some_rows(known, ROWS_TO_ASK, seed))
        X, known, weights = X[rows], known[rows], None if weights is None else weights[rows]
        Z = self.encoder_._apply_checked(encode, X)  # has seen no label, under warm_start neither
        opinions = defaults.opinions(self.image_shape_, seed).fit(X, Z, self._new_graph().fit(Z, known), known, weights)
        self.shares_ = opinions.shares_
        if opinions.by_codes_ and defaults.n_rounds:
            return steps
        self.opinions_ = opinions
        if self.n_rounds is not None:
            return steps
        self.n_rounds_ = 0
        stages.skip(len(steps))
        return []

    def _said(self, X, Z, graph):
        """What the opinions say of rows that the graph was fitted to, or else the graph."""
        if not hasattr(self, "opinions_"):
            return graph.label_distributions_
        learned = self._codes(self.opinions_.rows_)
        return self.opinions_.recoded(Z, graph, learned).distributions(X, Z)

    def _new_graph(self):
        return GraphLabelSpreading() if self.graph is None else clone(self.graph)

    def _labels_apart(self, codes, weights, seed):
        """The labels without those of the rows kept apart for early stopping; these rows, as often as they count."""
        known = codes.copy()
        labelled = np.flatnonzero(codes != UNLABELLED)
        apart = labelled[self._validation_rows(len(labelled), seed)]
        known[apart] = UNLABELLED
        missing = np.setdiff1d(codes[apart], known)
        if len(missing):
            raise ValueError(
                f"early_stopping=True keeps all rows of the class {self.classes_.tolist()[missing[0]]!r} apart. Label "
                "more rows or pass early_stopping=False."
            )
        counts = copies(weights)
        return known, apart if counts is None else np.repeat(apart, counts[apart])

    # -- what is shared with the encoders --------------------------------------------------------------------

    @property
    def _filler(self):
        return self.encoder_.net_

    @property
    def _n_features_out(self):
        return self.encoder_._n_features_out

    def _codes(self, X):
        """``transform`` of rows already checked, as an array whatever ``set_output`` asks for."""
        return self._apply_checked(encode, X)


def encode(module, x):
    return module.encode(x).float()
