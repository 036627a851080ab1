"""The calls that trained heads answer: entities of texts, classes and values."""

from typing import Any

from bertfeat_client.base import Base
from bertfeat_client.call import Ask
from bertfeat_client.replies import Replies
from bertfeat_client.results import Entity, Prediction


class Tasks(Base):
    """Tags and predicts."""

    async def tag(self, texts: Any, *, task: str | None = None) -> Any:
        """Find the entities of texts.

        Args:
            texts: one string, or an iterable of strings and lists of words, of any length.
            task: the tagger's name on the server; by default its first one.

        Returns:
            A list of :class:`Entity` for each text; for one bare string that list alone.

        Raises:
            RowErrors: some rows failed.
            NotFound: the server has no such tagger.
        """
        replies = await self._asked("tag", texts, task)
        found = [
            [Entity(**entity) for entity in row["entities"]] if row else []
            for row in replies.items()
        ]
        return replies.checked(found[0] if replies.is_single else found)

    async def predict(self, texts: Any, *, task: str | None = None) -> Any:
        """Predict classes or values of texts.

        Args:
            texts: one string, or an iterable of strings and pairs (tuples).
            task: the head's name on the server; by default its first one.

        Returns:
            A :class:`Prediction` for each text (None for a failed row); for one bare string that
            alone.

        Raises:
            RowErrors: some rows failed.
            NotFound: the server has no such task.
        """
        replies = await self._asked("predict", texts, task)
        found = [
            Prediction(**{**row, "labels": tuple(row["labels"])}) if row else None
            for row in replies.items()
        ]
        return replies.checked(found[0] if replies.is_single else found)

    async def _asked(self, op: str, texts: Any, task: str | None) -> Replies:
        return await self._call().gather(Ask(op, lambda rows: {}, task), texts)
