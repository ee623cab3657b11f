"""The classifier that fine-tunes an encoder, with the help of unlabelled rows."""

from numbers import Integral, Real

from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import validate_data

from .._bridge.base import DTYPES, TorchEstimator
from .._bridge.batches import check_given
from .._bridge.checkpoints import cleared_at_the_end
from .._bridge.docs import fill_doc
from .._bridge.holes import filled
from .._bridge.inference import as_given
from .._bridge.rows import detached
from .._bridge.state import all_or_nothing
from .._bridge.weights import check_weights, merged, present
from .._nn.corruption import CORRUPTIONS
from .._nn.layers import widest
from .fine_tuning import FineTuning, encode
from .label_spreading import GraphLabelSpreading
from .labels import MostLikelyClass, check_missing, encode_labels


@fill_doc
class EncoderClassifier(MostLikelyClass, FineTuning):
    r"""Fine-tune an encoder to classify, from few labels and many rows without any.

    The encoder is trained on all rows, without labels. Then a net, the encoder and a linear head, learns the labelled
    rows under augmentation. If other rows are unlabelled (``y == -1``), the labels are spread over a graph of the codes
    that it now gives; the net learns what the graph says, averaged with what one over a PCA of the rows says; and the
    labels are spread anew over the codes of the better net, which is what predicts.

    So it is for images. Where nothing stands in for more labels, on tables, series and images in colour, several
    opinions are asked at once, each right on other data, and weighted by shares that fit labels held out. On tables:
    the graph; logistic regression on the codes and on normal scores of the features, an SVC on these, extremely
    randomised trees and a random forest. If the first two have more than half, classes are clusters, and the net learns
    from the graph. If not, the weighted mean predicts, and no net learns unless ``n_rounds`` says so. On series and
    images in colour the mean always predicts: graphs and ridge regressions on the codes, on the values of a series and
    on what typical kernels (Dempster et al. 2021) or patches (Coates et al. 2011) find. Each row i of a batch adds

    .. math:: -w_i \, \log p(c_i \mid \tilde x_i)

    to the loss, with :math:`\tilde x` the augmented row, c its label or the class that the graph finds most likely,
    and w how sure of it the graph is: 1 minus the entropy of its distribution over the largest entropy there is,
    divided by the mean of that over the rows. Labelled rows have weight 1 and are shown so often that they make up a
    fifth of the rows. Without unlabelled rows it is ordinary fine-tuning, and the net predicts.

    Parameters
    ----------
    encoder : TwoViewTransformer, AutoencoderTransformer, VAETransformer, FrozenEstimator or None, default=None
        A clone of it is fitted to all rows; in a ``FrozenEstimator`` it is fitted already, and stays as it is. None
        has 64 codes and is a ``TwoViewTransformer`` for images, and an autoencoder for tables, of rows in which
        features are swapped, and for series, of rows warped in time.
    image_shape : tuple of int or None, default=None
        Of the rows, for ``encoder=None``; see there.
    graph : GraphLabelSpreading or None, default=None
        What spreads the labels over the codes. None is ``GraphLabelSpreading()``.
    n_rounds : int or None, default=None
        How often the net learns from the graph, and the graph is made anew from its codes, unless that says the same
        of 99.5 % of the rows. None is 2, or 0 where opinions predict.
    augmentation : "auto", name, list, dict, callable or None, default="auto"
        What is done to the rows that the net sees in training, in the terms of ``corruption`` of the encoders.
        ``"auto"`` warps images and series, mirrors and recolours images in colour too, and masks features of tables.
        Any other also makes the views of images for ``encoder=None``.
    mixup : float, default={mixup}
        Pairs of rows and their labels are mixed in shares from Beta(mixup, mixup); 0 mixes nothing.
    vat : float or None, default=None
        Virtual adversarial training: predictions are to stay as they are where a row moves by this share of the
        distance between rows, in the direction that changes them most. None is 0.1 for tables and 0, none, for images.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn.
    freeze : int, default=0
        Epochs in which only the head is trained, before the encoder is too.
    encoder_learning_rate : float or None, default=None
        Of the encoder. None is 3e-3 for images when they learn their labels and 1e-3 when they learn from the graph,
        1e-3 for series, and 3e-4 for tables.
    learning_rate : float, default={learning_rate}
        Of the head. Both rise over the first 3 % of the steps and then fall to 0 as a cosine.
    weight_decay : float, default={weight_decay}
        Decoupled weight decay of AdamW.
    ema_decay : float, default={ema_decay}
        Decay of an exponential moving average of the weights over the steps, which then takes their place. 0: none.
    max_iter : int or None, default=None
        Epochs of each training. None: as many as make 60 steps for each root of the labels of images, from 400 to
        2,000, 800 for those of others, and from the graph 300 steps for images and 400 to 800 for tables; from 1 to
        180. Where others are unlabelled, an epoch of labelled images shows them so often that it has 20 steps.
    batch_size : int, default={batch_size}
        Rows in a step of training; all rows if there are fewer.
    {early_stopping}
    warm_start : bool, default=False
        Let ``fit`` go on with the encoder and the net of the fit before, on the same rows with more labels, or other
        ones. Where there are unlabelled rows the net learns once more what the graph says.
    {run}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    encoder_ : TwoViewTransformer, AutoencoderTransformer or VAETransformer
        As it was before it was fine-tuned.
    shares_ : dict of str to float
        Of the opinions, by name; where they were asked.
    graph_ : GraphLabelSpreading
        Fitted to the codes of the last round, of up to 2,000 rows without copies; only if there were unlabelled rows,
        as the next three.
    label_distributions_ : ndarray of shape (n_samples, n_classes), float64
        Of the rows of ``fit``.
    transduction_ : ndarray of shape (n_samples,)
        The class of each row of ``fit``: the given one, or else the most likely.
    agreement_ : dict or None
        ``{"codes": a, "pca": b}``: the share of the labels found when they are held out in turn and spread from the
        others, over the codes of ``encoder_`` and over those of a PCA, on up to 3,000 rows; None if a class has
        one label. ``fit`` warns where the codes do worse by more than chance.
    augmentation_, vat_, n_rounds_ : dict, name or callable; float; int
        What ``"auto"`` and None stood for.
    steps_ : list of dict
        What the net learned, in turn: ``learns`` ("labels" or "graph"), ``max_iter``, ``encoder_learning_rate``.
    {attributes}

    See Also
    --------
    GraphLabelSpreading : The graph alone, behind any transformer.
    LabeledKFold : Folds for cross-validation over rows of which some have no label.
    sklearn.semi_supervised.SelfTrainingClassifier : Grows the labelled rows by any classifier's own predictions.

    Notes
    -----
    A y of -1 and 1 alone is the binary coding, in which -1 is a class. Pretraining and the graph treat all rows of
    ``fit``: what is to be a fair test must not be among them.

    Fitted with unlabelled rows, it holds the codes of all rows of ``fit`` in ``graph_``, and so does a pickle of it:
    they predict, and cannot be left out; with the decoder of ``encoder_``, whom it is given to can rebuild the rows
    roughly. What it says of each row, ``label_distributions_`` and ``transduction_``, here and in ``graph_``, can be
    deleted: ``predict`` does without. Where opinions predict it also holds up to 2,000 labelled rows as they are, and
    on series and images in colour features of all rows. Without unlabelled rows it holds none of this.

    References
    ----------
    A. Iscen, G. Tolias, Y. Avrithis, O. Chum, "Label propagation for deep semi-supervised learning", 2019 (graph and
    net in turns, weights by entropy).

    G. E. Hinton, R. R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006 (pretrained
    autoencoders, fine-tuned).

    D. H. Wolpert, "Stacked generalization", 1992 (shares of opinions by labels held out).

    A. Coates, H. Lee, A. Y. Ng, "An analysis of single-layer networks in unsupervised feature learning", 2011.

    A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic transform for time series
    classification", 2021.

    H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond empirical risk minimization", 2018.

    T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual adversarial training: a regularization method for supervised and
    semi-supervised learning", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklatent import EncoderClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = X[:500], y[:500]
    >>> few = np.where(np.arange(500) < 50, y, -1)
    >>> classifier = EncoderClassifier(image_shape=(8, 8), max_iter=10, random_state=0).fit(X, few)
    >>> bool(np.mean(classifier.transduction_ == y) > 0.9)
    True
    """

    _takes_holes = True
    _parts = ("coder.*",)
    _parameter_constraints = {
        **TorchEstimator._parameter_constraints,
        "encoder": [HasMethods(["fit", "transform"]), None],
        "graph": [GraphLabelSpreading, None],
        "n_rounds": [Interval(Integral, 0, None, closed="left"), None],
        "augmentation": [StrOptions({"auto"} | set(CORRUPTIONS)), list, tuple, dict, callable, None],
        "mixup": [Interval(Real, 0, None, closed="left")],
        "vat": [Interval(Real, 0, None, closed="left"), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "freeze": [Interval(Integral, 0, None, closed="left")],
        "encoder_learning_rate": [Interval(Real, 0, None, closed="left"), None],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
    }

    def __init__(
        self, encoder=None, *, image_shape=None, graph=None, n_rounds=None, augmentation="auto", mixup=1.0, vat=None,
        class_weight=None, freeze=0, encoder_learning_rate=None, learning_rate=3e-3, weight_decay=5e-4, ema_decay=0.99,
        max_iter=None, batch_size=320, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4,
        warm_start=False, random_state=None, verbose=0, callbacks=None, checkpoint=None, device="auto",
        precision="float32", compile=False,
    ):  # fmt: skip
        self._store(locals())

    def fit(self, X, y, sample_weight=None):
        """Train the encoder on all rows, and the classifier on what the labelled ones say of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; dtypes are kept as the encoders keep them. NaN, what is missing, is filled in as the encoder does.
        y : array-like of shape (n_samples,)
            Classes; -1 marks an unlabelled row. Strings beside -1 take ``dtype=object``.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, of which only the ratios count: in the encoder's ``fit``, in the loss of labels and of
            what the graph says, and in the regression beside it; the graph itself has none. A row of weight 0 is left
            out, of the attributes too. Of up to 2,000 rows, and without ``early_stopping``, a row of weight 2 is a row
            given twice. None: all alike.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If ``encoder`` is none of this library's.
        ValueError
            If no row has a label, if labels are real numbers, if weights are not valid, or if the loss stops being
            finite.
        """
        anew = not (self.warm_start and hasattr(self, "net_"))
        with all_or_nothing(self, anew=anew), cleared_at_the_end():
            self._validate_params()
            check_missing(y)
            check_given(X)
            encoder = self._checked_encoder(X) if anew else self.encoder_
            X, y = validate_data(
                self, detached(X), y, dtype=DTYPES, order=None, ensure_all_finite="allow-nan", reset=anew
            )
            weights, X, y = present(check_weights(sample_weight, len(X)), X, y)
            self._check_the_same_rows(X, weights, anew)
            self.classes_, codes = encode_labels(y)
            rows, weights, place = merged(X, weights, codes, self.early_stopping)
            pressed = self._fit_in_stages(encoder, X[rows], codes[rows], weights, place, anew)
            if pressed:
                raise pressed
        return self

    def predict_proba(self, X):
        """Class probabilities: the graph's vote, or that of the opinions on a table; all rows labelled, the net's.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        if hasattr(self, "opinions_"):
            given, X = X, filled(self._filler, self._check_rows(detached(X)))
            return as_given(self.opinions_.predict_proba(X, self._codes(X)), given)
        if hasattr(self, "graph_"):
            return self.graph_.predict_proba(self._apply(encode, X))
        return self._apply(lambda module, x: module.log_proba(x).to(widest(x.device)).softmax(1), X)

    def transform(self, X):
        """Codes of the rows by the fine-tuned encoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
        """
        return self._apply(encode, X)
