"""Length of a row's code under lossless compressors."""

import bz2
import lzma
import math
import zlib

import numpy as np
from sklearn.utils import check_array

from .._bridge.rows import is_whole
from .._bridge.state import Estimator

COMPRESSORS = {"bz2": bz2.compress, "lzma": lzma.compress, "zlib": zlib.compress}


class _CodeLength(Estimator):
    """Nats that lossless compressors need for each row.

    Parameters
    ----------
    codec : str, tuple of str, or callable
        Names in ``COMPRESSORS``, whose lengths are averaged. A callable maps a uint8 array to bytes or to nats.
    image_shape : tuple of int or None
        With it, the named ones read a row as an image by its rows and by its columns, and are averaged too.
    """

    def __init__(self, codec, image_shape=None):
        self.codec, self.image_shape = codec, image_shape

    def fit(self, X):
        """Which value is which byte: itself if all are whole and from 0 to 255, else one of 256 levels of a range."""
        X = check_array(X)
        low, high = float(X.min()), float(X.max())
        as_they_are = is_whole(X) and low >= 0 and high <= 255
        self.low_, self.step_ = (0.0, 1.0) if as_they_are else (low, (high - low) / 255 or 1.0)
        return self

    def nats(self, X):  # (n, d) -> (n,)
        X = check_array(X)
        scans = [X]
        if self.image_shape is not None and not callable(self.codec):
            scans.append(X.reshape(-1, *self.image_shape).swapaxes(-1, -2).reshape(X.shape))
        codecs = self.codec if isinstance(self.codec, tuple) else (self.codec,)
        return np.mean([self._nats(scan, codec) for codec in codecs for scan in scans], axis=0)

    def _nats(self, X, codec):
        encode = codec if callable(codec) else COMPRESSORS[codec]
        lengths = []
        for i, row in enumerate(X):
            levels = np.clip(np.rint((row.astype(np.float64) - self.low_) / self.step_), 0, 255).astype(np.uint8)
            try:
                code = encode(levels)
                nats = 8 * math.log(2) * len(code) if isinstance(code, bytes | bytearray) else float(code)
            except Exception as error:
                raise ValueError(f"codelength={codec!r} failed on row {i}: {error!r}") from error
            if not math.isfinite(nats):
                raise ValueError(f"codelength={codec!r} gave {nats} for row {i}; it must give bytes or finite nats.")
            lengths.append(nats)
        return np.array(lengths)
