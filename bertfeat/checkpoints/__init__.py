"""Weight files, read and written, and where a model's name leads."""

from bertfeat.checkpoints.resolve import resolve

__all__ = ["resolve"]
