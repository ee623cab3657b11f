"""What the campaigns share: the command line of each, and what is common to all tests."""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import numpy as np
from common import ESTIMATORS, NETS, small
from sklearn.base import BaseEstimator

__all__ = ["ESTIMATORS", "NETS", "TINY", "run", "small", "state"]
TINY = {"hidden_layer_sizes": (4,), "n_filters": 4, "n_components": 2, "max_iter": 1}  # trains in milliseconds


def state(value):
    """All that is saved of an estimator, to the bit, as something that can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes() if value.dtype != object else value.tolist()
    if isinstance(value, BaseEstimator):
        return type(value), state(value.__getstate__())
    if isinstance(value, dict):
        return {key: state(each) for key, each in value.items() if key != "dur"}  # how long an epoch took
    if isinstance(value, list | tuple):
        return [state(each) for each in value]
    return repr(value)


def run(main, n):
    """The command line of a campaign: ``main(n)`` gives how much was tried, and what was found in words.

    The last line printed is what the table of the docs is made of.
    """
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    parser.add_argument("--n", type=int, default=n, help="how much is tried; what is tried does not depend on it")
    n = parser.parse_args().n
    warnings.simplefilter("ignore")  # rows are few, and fits short
    start = time.perf_counter()
    tried, found = main(n)
    for each in found:
        print(each)
    print(json.dumps({"tried": tried, "found": found, "seconds": round(time.perf_counter() - start)}))
    sys.exit(bool(found))
