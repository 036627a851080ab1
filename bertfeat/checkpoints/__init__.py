"""Model folders: three formats read and written, and a model's name turned into its folder."""

from bertfeat.checkpoints.convert import convert
from bertfeat.checkpoints.formats import check_vocabulary, detect, read, write
from bertfeat.checkpoints.hashing import model_hash
from bertfeat.checkpoints.model_folder import Dense, ModelFolder, SentenceModules
from bertfeat.checkpoints.resolve import resolve

__all__ = [
    "Dense",
    "ModelFolder",
    "SentenceModules",
    "check_vocabulary",
    "convert",
    "detect",
    "model_hash",
    "read",
    "resolve",
    "write",
]
