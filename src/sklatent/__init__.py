"""Deep features and likelihoods inside scikit-learn."""

from ._autoencoder import AutoencoderTransformer
from ._classifier import EncoderClassifier
from ._display import (
    HistoryDisplay,
    LatentSpaceDisplay,
    ReconstructionDisplay,
    SampleDisplay,
    ScoreFeaturesDisplay,
    ScoreHistogramDisplay,
    ScoreMapDisplay,
)
from ._label_spreading import GraphLabelSpreading
from ._labels import LabeledKFold
from ._made import MADEDensity
from ._outlier import DensityOutlierDetector
from ._pixelcnn import PixelCNNDensity
from ._pixelrnn import PixelRNNDensity
from ._tables import HistogramDensity, NeighborsDensity
from ._vae import VAETransformer

__version__ = "0.1.0"
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
    "VAETransformer",
]
