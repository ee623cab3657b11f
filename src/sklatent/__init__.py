"""Deep features and likelihoods inside scikit-learn."""

from ._autoencoders.autoencoder import AutoencoderTransformer
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
from ._outliers.detector import DensityOutlierDetector
from ._outliers.histogram import HistogramDensity
from ._outliers.neighbors import NeighborsDensity
from ._semi_supervised.classifier import EncoderClassifier
from ._semi_supervised.label_spreading import GraphLabelSpreading
from ._semi_supervised.labels import LabeledKFold

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
