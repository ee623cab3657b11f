"""Plots of fitted estimators. matplotlib is imported when one is drawn, not before."""

from ._curves import HistoryDisplay, LatentSpaceDisplay, ScoreHistogramDisplay
from ._explanations import ScoreFeaturesDisplay
from ._images import ReconstructionDisplay, SampleDisplay, ScoreMapDisplay

__all__ = [
    "HistoryDisplay",
    "LatentSpaceDisplay",
    "ReconstructionDisplay",
    "SampleDisplay",
    "ScoreFeaturesDisplay",
    "ScoreHistogramDisplay",
    "ScoreMapDisplay",
]
