"""What a tagger is trained on: frozen features, or an encoder that is trained together with it.

These are the two approaches of Devlin et al. 2019: feature-based (5.3) and fine-tuning (4).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bertfeat.checkpoints import ModelFolder, model_hash
from bertfeat.checkpoints.folder_files import new_folder
from bertfeat.checkpoints.weight_files import write_safetensors
from bertfeat.ner.batching import network_inputs
from bertfeat.ner.settings import OWN_ENCODER, TaggerSettings
from bertfeat.ner.token_rows import TokenRow
from bertfeat.tasks.tagger import WEIGHTS, weight_name
from bertfeat.tokenization import Tokenizer
from bertfeat_tools.ner.token_inputs import token_inputs
from bertfeat_tools.training.batches import Batch
from bertfeat_tools.training.encoder import POLICIES, make_bert, save_bert

if TYPE_CHECKING:
    from bertfeat.ner.network import TaggerNetwork

Pick = Callable[[np.ndarray], np.ndarray]


class Approach(Protocol):
    """How rows become a network's inputs, which network, and what is saved of it."""

    def network(self, settings: TaggerSettings, precision: str) -> Any:
        """Return a fresh network."""

    def inputs(self, settings: TaggerSettings, rows: Sequence[Any]) -> Batch:
        """Return what it takes of some rows, ``mask`` bool (B, S) among it."""

    def size(self, row: Any) -> int:
        """Return what a row counts in a batch, in words or tokens."""

    def rates(self, learning_rate: float) -> Callable[[str], float] | None:
        """Return the factor of the learning rate by a variable's path; None = 1 for each."""

    def save(self, network: Any, settings: TaggerSettings, target: Path) -> None:
        """Write a tagger's folder, whole or not at all.

        Raises:
            CheckpointError: it exists, or cannot be written.
        """


@dataclass(frozen=True)
class FeatureBased:
    """The network alone learns, on vectors or on characters.

    Attributes:
        pick: takes from a row of features what the network reads; None = all.
    """

    pick: Pick | None = None

    def network(self, settings: TaggerSettings, precision: str) -> "TaggerNetwork":
        """Return a fresh network."""
        return tagger_network(settings, precision)

    def inputs(self, settings: TaggerSettings, rows: Sequence[np.ndarray]) -> Batch:
        """Return vectors or characters, and mask."""
        return network_inputs(settings, [self.pick(r) for r in rows] if self.pick else rows)

    def size(self, row: np.ndarray) -> int:
        """Return the number of words."""
        return len(row)

    def rates(self, learning_rate: float) -> None:
        """Return nothing: there is one rate."""

    def save(self, network: "TaggerNetwork", settings: TaggerSettings, target: Path) -> None:
        """Write settings and weights."""
        with new_folder(target) as folder:
            save_network(network, settings, folder)


@dataclass(frozen=True)
class FineTuning:
    """The encoder learns too, at a rate of its own (as in BERT-BiLSTM-CRF-NER).

    Attributes:
        source: the encoder that training starts from.
        tokenizer: its own.
        learning_rate: the encoder's highest.
    """

    source: ModelFolder
    tokenizer: Tokenizer
    learning_rate: float = 3e-5

    def network(self, settings: TaggerSettings, precision: str) -> Any:
        """Return the encoder with its weights and a fresh network above it."""
        from bertfeat_tools.ner.training_model import EncoderTagger

        bert = make_bert(self.source, precision=precision)
        return EncoderTagger(bert, tagger_network(settings, precision))

    def inputs(self, settings: TaggerSettings, rows: Sequence[TokenRow]) -> Batch:
        """Return the encoder's inputs, the tokens of each word, and mask."""
        return token_inputs(rows, self.tokenizer.pad_id)

    def size(self, row: TokenRow) -> int:
        """Return the number of tokens, padding of windows included."""
        return row.num_tokens

    def rates(self, learning_rate: float) -> "EncoderRates":
        """Return the factors beside the network's rate."""
        return EncoderRates(self.learning_rate / learning_rate)

    def save(self, network: Any, settings: TaggerSettings, target: Path) -> None:
        """Write the encoder into the tagger's folder, then settings and weights."""
        with new_folder(target) as folder:
            save_bert(network.bert, self.source, self.tokenizer, folder / OWN_ENCODER,
                      architectures=["BertModel"])  # fmt: skip
            digest = model_hash(folder / OWN_ENCODER)
            own = replace(settings, encoder=OWN_ENCODER, encoder_hash=digest)
            save_network(network.tagger, own, folder)


@dataclass(frozen=True)
class EncoderRates:
    """The learning rate's factor: the encoder's, or 1.

    Attributes:
        factor: the encoder's.
    """

    factor: float

    def __call__(self, path: str) -> float:
        """Return the factor for a variable's path."""
        return self.factor if path.startswith("bert/") else 1.0


def tagger_network(settings: TaggerSettings, precision: str) -> "TaggerNetwork":
    """Return a network with fresh weights; they are float32 in each precision."""
    import keras

    from bertfeat.ner.network import TaggerNetwork

    return TaggerNetwork(settings, keras.dtype_policies.DTypePolicy(POLICIES[precision]))


def save_network(network: "TaggerNetwork", settings: TaggerSettings, folder: Path) -> None:
    """Write a network's weights and its settings into a folder."""
    settings.save(folder)
    tensors = {weight_name(w): np.asarray(w.value, order="C") for w in network.weights}
    write_safetensors(folder / WEIGHTS, tensors)
