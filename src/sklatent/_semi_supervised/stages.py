"""Which stage of a fit begins, and how long the rest will take."""

import time

from .._bridge.distributed import is_first

MINUTE = 60


class Stages:
    """Told at the start of each stage, if ``verbose``; what has passed corrects what was expected.

    Parameters
    ----------
    verbose : int
    expected : list of (str, float)
        What each stage is and its seconds, in turn.
    """

    def __init__(self, verbose, expected):
        self.verbose, self.expected, self.n_begun = verbose, expected, 0
        self.start = time.perf_counter()

    def begin(self):
        if not self.verbose or not is_first():
            return
        done, rest = self.expected[: self.n_begun], self.expected[self.n_begun :]
        passed, expected = time.perf_counter() - self.start, sum(seconds for _, seconds in done)
        ratio = passed / expected if expected else 1.0
        left = ratio * sum(seconds for _, seconds in rest)
        self.n_begun += 1
        print(f"{self.n_begun} of {len(self.expected)}: {rest[0][0]}; about {in_words(left)} to the end", flush=True)

    def skip(self, n):
        """The next n are not needed."""
        del self.expected[self.n_begun : self.n_begun + n]


def in_words(seconds):
    return f"{seconds:.0f} s" if seconds < 2 * MINUTE else f"{seconds / MINUTE:.0f} min"
