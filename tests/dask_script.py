"""What a worker of test_dask.py imports: a score that kills the worker which is asked for it, once."""

import os
import signal
from pathlib import Path


def kills_once(estimator, X, y=None, *, flag, main):
    if os.getpid() != main and estimator.learning_rate == 1e-3:
        try:
            Path(flag).touch(exist_ok=False)
        except FileExistsError:
            return estimator.score(X)
        os.kill(os.getpid(), signal.SIGKILL)
    return estimator.score(X)
