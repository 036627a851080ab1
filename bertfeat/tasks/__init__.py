"""Trained heads at work: what training made, loaded from its folder and used on new texts."""

from bertfeat.tasks.predictor import Prediction, Predictor
from bertfeat.tasks.tagger import Entity, Tagger

__all__ = ["Entity", "Prediction", "Predictor", "Tagger"]
