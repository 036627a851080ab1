"""Trained heads at work: what training made, loaded from its folder and used on new texts."""

from bertfeat.tasks.answerer import Answer, Answerer
from bertfeat.tasks.predictor import Prediction, Predictor
from bertfeat.tasks.tagger import Entity, Tagger

__all__ = ["Answer", "Answerer", "Entity", "Prediction", "Predictor", "Tagger"]
