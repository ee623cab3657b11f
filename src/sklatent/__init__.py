"""Deep features and likelihoods inside scikit-learn.

Every estimator is fitted, cloned, searched and pickled as scikit-learn's are. Rows are flat, (n_samples, n_features),
and ``image_shape`` says how they fold; scores of densities are in nats, higher = more normal.

Features: ``AutoencoderTransformer``, ``VAETransformer`` (also a density), ``TwoViewTransformer``.
Densities: ``MADEDensity``, ``PixelCNNDensity``, ``PixelRNNDensity``; plain ones of tables, ``HistogramDensity``,
``NeighborsDensity``.
Few labels: ``EncoderClassifier``, ``GraphLabelSpreading``; ``LabeledKFold`` for cross-validation.
Anomalies: ``DensityOutlierDetector``, over any density.
Plots: ``HistoryDisplay``, ``LatentSpaceDisplay``, ``ReconstructionDisplay``, ``SampleDisplay``,
``ScoreFeaturesDisplay``, ``ScoreHistogramDisplay``, ``ScoreMapDisplay``.
Files that run without Python: ``sklatent.onnx.to_onnx``.

The guide, with examples and what was measured: https://sklatent.github.io/sklatent/
"""

from ._autoencoders.autoencoder import AutoencoderTransformer
from ._autoencoders.two_views import TwoViewTransformer
from ._autoencoders.vae import VAETransformer
from ._autoregressive.made import MADEDensity
from ._autoregressive.pixelcnn import PixelCNNDensity
from ._autoregressive.pixelrnn import PixelRNNDensity
from ._display import (
    HistoryDisplay,
    LatentSpaceDisplay,
    ReconstructionDisplay,
    SampleDisplay,
    ScoreFeaturesDisplay,
    ScoreHistogramDisplay,
    ScoreMapDisplay,
)

# the private ones are what files of detectors name: sklatent._Pool, wherever the class is
from ._outliers.codelength import _CodeLength  # noqa: F401
from ._outliers.conformal import _Ranks  # noqa: F401
from ._outliers.densities import _Mixture  # noqa: F401
from ._outliers.detector import DensityOutlierDetector
from ._outliers.drift import _Drift  # noqa: F401
from ._outliers.folds import _Folded  # noqa: F401
from ._outliers.histogram import HistogramDensity
from ._outliers.marginals import _Forest, _Marginals, _NormalScores, _Tails  # noqa: F401
from ._outliers.members import _Members  # noqa: F401
from ._outliers.neighbors import NeighborsDensity
from ._outliers.pool import _TablePool  # noqa: F401
from ._outliers.scores import _Complexity, _Fisher, _LogLikelihood, _Pool, _Ratio, _Regret, _Statistics, _Typicality  # noqa: F401
from ._outliers.tail import _ParetoTail  # noqa: F401
from ._semi_supervised.classifier import EncoderClassifier
from ._semi_supervised.label_spreading import GraphLabelSpreading
from ._semi_supervised.labels import LabeledKFold
from ._semi_supervised.pool import _Opinions  # noqa: F401

__version__ = "0.2.0"
__all__ = [
    "AutoencoderTransformer",
    "DensityOutlierDetector",
    "EncoderClassifier",
    "GraphLabelSpreading",
    "HistogramDensity",
    "HistoryDisplay",
    "LabeledKFold",
    "LatentSpaceDisplay",
    "MADEDensity",
    "NeighborsDensity",
    "PixelCNNDensity",
    "PixelRNNDensity",
    "ReconstructionDisplay",
    "SampleDisplay",
    "ScoreFeaturesDisplay",
    "ScoreHistogramDisplay",
    "ScoreMapDisplay",
    "TwoViewTransformer",
    "VAETransformer",
]
