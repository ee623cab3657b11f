"""Deep features and likelihoods inside scikit-learn."""

from ._autoencoder import AutoencoderTransformer
from ._display import (
    HistoryDisplay,
    LatentSpaceDisplay,
    ReconstructionDisplay,
    SampleDisplay,
    ScoreHistogramDisplay,
    ScoreMapDisplay,
)
from ._made import MADEDensity
from ._pixelcnn import PixelCNNDensity
from ._pixelrnn import PixelRNNDensity
from ._vae import VAETransformer

__version__ = "0.1.0"
__all__ = [
    "AutoencoderTransformer",
    "HistoryDisplay",
    "LatentSpaceDisplay",
    "MADEDensity",
    "PixelCNNDensity",
    "PixelRNNDensity",
    "ReconstructionDisplay",
    "SampleDisplay",
    "ScoreHistogramDisplay",
    "ScoreMapDisplay",
    "VAETransformer",
]
