"""Deep features and likelihoods inside scikit-learn."""

from ._autoencoder import AutoencoderTransformer, VAETransformer
from ._density import PixelCNNDensity
from ._display import (
    HistoryDisplay,
    LatentSpaceDisplay,
    ReconstructionDisplay,
    SampleDisplay,
    ScoreHistogramDisplay,
    ScoreMapDisplay,
)

__version__ = "0.1.0"
__all__ = [
    "AutoencoderTransformer",
    "HistoryDisplay",
    "LatentSpaceDisplay",
    "PixelCNNDensity",
    "ReconstructionDisplay",
    "SampleDisplay",
    "ScoreHistogramDisplay",
    "ScoreMapDisplay",
    "VAETransformer",
]
