"""Deep features and likelihoods inside scikit-learn."""

from ._autoencoder import AutoencoderTransformer, VAETransformer
from ._density import PixelCNNDensity

__version__ = "0.1.0"
__all__ = ["AutoencoderTransformer", "PixelCNNDensity", "VAETransformer"]
