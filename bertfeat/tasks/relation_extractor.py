"""``RelationExtractor``: texts in, triples of subject, relation and object out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.api import Encoder
from bertfeat.checkpoints.folder_files import read_json
from bertfeat.errors import InputError
from bertfeat.features.heads import log_softmax
from bertfeat.tasks.predictor import RELATION_FILE, Prediction, Predictor
from bertfeat.tasks.relation_spans import (
    LABELS,
    Place,
    paired,
    places_of,
    token_row,
    window_options,
)
from bertfeat.tasks.span_windows import Passage, passages
from bertfeat.tasks.tagger import Entity
from bertfeat.tasks.token_tagger import row_logits

RELATIONS, ENTITIES = "relations", "entities"


@dataclass(frozen=True)
class Triple:
    """One relation of a text; ``score`` is the product of the probabilities of its parts."""

    subject: Entity
    relation: str
    object: Entity
    score: float


@dataclass(frozen=True)
class Extracted(Prediction):
    """What is found in one text; ``scores`` holds the probability of each relation.

    Attributes:
        triples: in the order of relations, then of subjects and objects.
    """

    triples: tuple[Triple, ...] = ()


class RelationExtractor(Predictor):
    """A pipeline: which relations a text holds, then the subjects and objects of each.

    Made by :meth:`Predictor.load` of what ``bertfeat train relation`` made.

    Attributes:
        relations: the classifier of several labels.
        encoder: the tagger's.
        schema: relation to the labels of its subject and its object.
    """

    def __init__(
        self, relations: Predictor, encoder: Encoder, schema: Mapping[str, Sequence[str]]
    ) -> None:
        super().__init__(encoder, relations.labels, "relation_extraction")
        self.relations, self.schema = relations, schema

    @classmethod
    def from_folder(cls, folder: Path, **options: Any) -> "RelationExtractor":
        """Load both models; see :meth:`Predictor.load`."""
        relations = Predictor.load(folder / RELATIONS, **options)
        entities = Predictor.load(folder / ENTITIES, **options)
        return cls(relations, entities.encoder, read_json(folder / RELATION_FILE))

    def predict(self, texts: Any) -> list[Prediction]:
        """Find the triples of texts.

        Args:
            texts: an iterable of strings of any length.  The classifier reads what fits into it.

        Returns:
            An :class:`Extracted` for each.

        Raises:
            RowErrors: some are not acceptable.
            InputError: ``texts`` is one string.
        """
        items = list(texts) if not isinstance(texts, str) else texts
        found = self.relations.predict(items)
        pairs = [(n, name) for n, one in enumerate(found) for name in one.labels]
        triples: list[list[Triple]] = [[] for _ in found]
        chances = [found[n].scores[name] for n, name in pairs]
        for (n, name), chance, own in zip(
            pairs, chances, self.parts([(name, items[n]) for n, name in pairs]), strict=True
        ):
            triples[n] += [Triple(s, name, o, chance * s.score * o.score) for s, o in own]
        return [
            Extracted(None, one.score, one.scores, one.labels, tuple(own))
            for one, own in zip(found, triples, strict=True)
        ]

    def parts(self, pairs: Sequence[tuple[str, str]]) -> list[list[tuple[Entity, Entity]]]:
        """Return subjects with their objects, for pairs of a relation and a text."""
        tokenizer = self.encoder.tokenizer
        read = passages(pairs, tokenizer, window_options(self.encoder.max_seq_len))
        known = [one for one in read if isinstance(one, Passage)]
        if len(known) < len(read):  # what the classifier took is a text
            raise next(one for one in read if isinstance(one, InputError))
        logits = row_logits(self.encoder, [token_row(one) for one in known], len(LABELS))
        return [
            self._parts(name, passage, own)
            for (name, _), passage, own in zip(pairs, known, logits, strict=True)
        ]

    def _parts(
        self, relation: str, passage: Passage, logits: np.ndarray
    ) -> list[tuple[Entity, Entity]]:
        chances = np.exp(log_softmax(logits.astype(np.float64)))
        best = chances.argmax(axis=1)
        subjects, objects = places_of(passage, [LABELS[tag] for tag in best])
        sure = chances.max(axis=1, initial=0.0)

        def entity(place: Place, label: str) -> Entity:
            first, last = passage.tokens_of(*place) or (0, 0)
            score = float(sure[first : last + 1].mean())
            return Entity(*place, label, passage.context[slice(*place)], score)

        kinds = self.schema[relation]
        return [(entity(s, kinds[0]), entity(o, kinds[1])) for s, o in paired(subjects, objects)]
