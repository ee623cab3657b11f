"""Random sequences of calls on every estimator; ``make campaigns`` tries more, and longer ones."""

import fuzz
import pytest
from common import ESTIMATORS

from sklatent import EncoderClassifier


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_what_is_true_after_every_call_of_a_sequence(cls):
    fuzz.check(cls, 40 if cls is EncoderClassifier else 100, n_calls=2)  # one of its fits takes as long as ten others
