import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # before scikit-learn comes: else checks are skipped

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from sklatent._autoregressive import starts

torch.set_num_threads(1)  # the nets are small, and the tests share the cores


@pytest.fixture(autouse=True, scope="module")
def few_mixtures(request):
    """A MADE over real values takes seconds to choose where it starts: among all mixtures only where that counts."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.stem not in ("test_starts", "test_docs"):
            patch.setattr(starts, "SIZES", (1, 2))
        yield


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers, whichever tests its worker ran before it."""
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def digits():
    """Bundled scans of digits: 1797 rows of 8 x 8 pixels, whole numbers 0 to 16."""
    X, _ = load_digits(return_X_y=True)
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def labels():
    return load_digits().target
