"""``Tagger``: text in, entities with their places out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.api import Encoder
from bertfeat.checkpoints.weight_files import read_safetensors
from bertfeat.engine.backend import load_keras
from bertfeat.errors import CheckpointError, ConfigError, InputError
from bertfeat.features.tokens import TokenEncoder
from bertfeat.ner import paths
from bertfeat.ner.batching import Rows, character_rows, emissions, network_inputs
from bertfeat.ner.schemes import to_spans
from bertfeat.ner.sentences import Sentence, from_text
from bertfeat.ner.settings import TaggerSettings
from bertfeat.ner.word_vectors import FeatureOptions, WordVectors

if TYPE_CHECKING:
    from bertfeat.ner.network import TaggerNetwork

WEIGHTS = "tagger.safetensors"


@dataclass(frozen=True)
class Entity:
    """One entity of a text.

    Attributes:
        start, end: its first character and its last + 1.
        label: its type.
        text: its characters.
        score: the mean probability of its tags.
    """

    start: int
    end: int
    label: str
    text: str
    score: float


class Tagger:
    """A trained tagger with its encoder; made by :meth:`load`.

    Attributes:
        settings: labels, features and network.
        encoder: None for a tagger with a character table.
    """

    def __init__(
        self,
        settings: TaggerSettings,
        network: "TaggerNetwork",
        encoder: TokenEncoder | None = None,
    ) -> None:
        self.settings, self.network, self.encoder = settings, network, encoder

    @property
    def labels(self) -> tuple[str, ...]:
        """Every tag, by number."""
        return tuple(self.settings.labels)

    @classmethod
    def load(
        cls, folder: str | Path, encoder: TokenEncoder | None = None, **options: Any
    ) -> "Tagger":
        """Load what ``bertfeat ner train`` made.

        Args:
            folder: the tagger's.
            encoder: one that is loaded already; else the tagger's own is, by its name.
            options: of :meth:`Encoder.load`.

        Raises:
            CheckpointError: the folder's files are missing or damaged.
            ConfigError: the encoder is not the one that the tagger was trained on.
        """
        folder = Path(folder)
        settings = TaggerSettings.load(folder)
        if settings.encoder:
            encoder = encoder or Encoder.load(settings.encoder_in(folder), **options)
            check_encoder(settings, encoder)
        load_keras(options.get("device", "auto"), options.get("threads"))
        from bertfeat.ner.network import TaggerNetwork

        network = TaggerNetwork(settings)
        set_weights(network, folder / WEIGHTS)
        return cls(settings, network, encoder if settings.encoder else None)

    def tag(self, texts: Any) -> list[list[Entity]]:
        """Find the entities of texts.

        Args:
            texts: an iterable of strings, or of lists of words (offsets then count in the words
                joined by spaces, next to Chinese characters by none); of any length.

        Raises:
            InputError: an item is neither; names its index.
            RowErrors: the encoder withheld a text's vectors.
        """
        if isinstance(texts, str):
            raise InputError("texts is one string; give a list of them")
        sentences = [as_sentence(item, place) for place, item in enumerate(texts)]
        return self.entities(sentences)

    def entities(self, sentences: Sequence[Sentence]) -> list[list[Entity]]:
        """Find the entities of sentences; with document context their order counts."""
        found: list[list[Entity]] = [[] for _ in sentences]
        for number, tags, probabilities in self._decoded(sentences):
            sentence = sentences[number]
            for first, stop, kind in to_spans(tags):
                start, end = sentence.offsets[first][0], sentence.offsets[stop - 1][1]
                score = float(probabilities[first:stop].mean())
                found[number].append(Entity(start, end, kind, sentence.text[start:end], score))
        return found

    def tagged(self, sentences: Sequence[Sentence]) -> list[Sentence]:
        """Return sentences with the tags that are found, in the tagger's scheme."""
        tags = {number: tags for number, tags, _ in self._decoded(sentences)}
        return [replace(s, tags=tuple(tags.get(n, ()))) for n, s in enumerate(sentences)]

    @cached_property
    def word_vectors(self) -> WordVectors:
        """What computes the features; nothing is kept on disk."""
        assert self.encoder is not None
        options = FeatureOptions.of_tagger(self.settings)
        return WordVectors(self.encoder, options, "float32", cached=False)

    def rows(self, sentences: Sequence[Sentence]) -> Rows:
        """Return what the network reads of each sentence."""
        if self.encoder is None:
            return character_rows(self.settings, [s.words for s in sentences])
        return self.word_vectors(sentences)

    def _decoded(
        self, sentences: Sequence[Sentence]
    ) -> Iterable[tuple[int, list[str], np.ndarray]]:
        """Yield number, tags and their probabilities of each sentence that has words."""
        filled = [number for number, s in enumerate(sentences) if s.words]
        rows = self.rows([sentences[number] for number in filled])
        scores, labels = self.network.path_scores(), self.settings.labels
        inputs, predict = partial(network_inputs, self.settings), self.network.predict_on_batch
        for numbers, found, mask in emissions(inputs, predict, rows):
            best = paths.viterbi(found, mask, scores)
            chances = paths.marginals(found, mask, scores)
            for place, number in enumerate(numbers):
                tags = best[place][mask[place]]
                own = chances[place][mask[place]][np.arange(len(tags)), tags]
                yield filled[number], [labels[tag] for tag in tags], own


def as_sentence(item: Any, place: int) -> Sentence:
    """Return a text, or a list of words, as a sentence.

    Raises:
        InputError: it is neither, or a word is empty.
    """
    if isinstance(item, str):
        return from_text(item, document=place)
    if isinstance(item, list) and all(isinstance(word, str) and word for word in item):
        return Sentence(tuple(item), document=place)
    raise InputError(
        f"texts[{place}] is {item!r:.60}, expected a string or a list of words that are not empty"
    )


def check_encoder(settings: TaggerSettings, encoder: TokenEncoder) -> None:
    """Check that an encoder is the one that a tagger was trained on.

    Raises:
        ConfigError: its weights are others.
    """
    if encoder.model_hash != settings.encoder_hash:
        raise ConfigError(
            f"this tagger was trained on the encoder {settings.encoder} with the weights "
            f"{settings.encoder_hash[:16]}…, but {encoder.folder} has {encoder.model_hash[:16]}…; "
            "give it the encoder that it was trained on, or train it anew"
        )


def set_weights(network: "TaggerNetwork", path: Path) -> None:
    """Read a network's weights.

    Raises:
        CheckpointError: the file is missing, damaged, or of another network.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: the tagger's folder is not whole")
    stored = read_safetensors(path)
    wanted = {weight_name(weight): weight for weight in network.weights}
    if {n: a.shape for n, a in stored.items()} != {n: tuple(w.shape) for n, w in wanted.items()}:
        raise CheckpointError(f"{path} does not fit tagger.json beside it; train the tagger anew")
    for name, weight in wanted.items():
        weight.assign(stored[name])


def weight_name(weight: Any) -> str:
    """Return a weight's path: each layer is built where it is made, so it begins with its name."""
    return str(weight.path)
