"""What the loop trains: a tagger's network, alone or on its encoder, under its likelihood."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from bertfeat.encoder.bert import Bert
from bertfeat.ner.network import TaggerNetwork
from bertfeat.ner.paths import Scores
from bertfeat_tools.training.model import TrainingModel

Tensor = Any
FAR = 1e4
"""Taken from what does not count for a largest value."""


class EncoderTagger(keras.Model):
    """A tagger's network on the words of an encoder, from tokens to scores of tags.

    Inputs: those of ``bertfeat_tools.ner.token_rows.token_inputs``.  A word's vector is the mean,
    or largest, of the tokens that count for it; zeros for one without any.

    Args:
        bert: the encoder; layers above those that are read stay as they are.
        tagger: the network.
    """

    def __init__(self, bert: Bert, tagger: TaggerNetwork) -> None:
        super().__init__(dtype=bert.dtype_policy, name="encoder_tagger")
        self.bert, self.tagger = bert, tagger
        for layer in bert.encoder_layers[max(tagger.settings.layers) :]:
            layer.trainable = False
        self.build()

    def build(self, *_: Any) -> None:
        """Accept any shape: each layer is built where it is made."""
        self.built = True

    def call(self, inputs: Mapping[str, Tensor], training: bool = False) -> Tensor:
        """Return the scores of tags, float32 (B, S, T)."""
        vectors = self.word_vectors(inputs, training)
        return self.tagger({"vectors": vectors, "mask": inputs["mask"]}, training=training)

    def word_vectors(self, inputs: Mapping[str, Tensor], training: bool = False) -> Tensor:
        """Return the vectors of words, (B, S, L, H)."""
        names = tuple(f"hidden_states.{layer}" for layer in self.tagger.settings.layers)
        found = self.bert(inputs, outputs=names, training=training)
        size = len(names), self.bert.config.hidden_size
        tokens = ops.reshape(ops.stack([found[name] for name in names], axis=2), (-1, *size))
        pieces = inputs["pieces"]  # (B, S, P)
        taken = ops.take(tokens, ops.maximum(pieces, 0), axis=0)  # (B, S, P, L, H)
        counts = ops.cast(pieces >= 0, taken.dtype)[..., None, None]
        some = ops.sum(counts, axis=2)
        if self.tagger.settings.pooling == "max":
            lowered = taken - (1 - counts) * FAR
            return ops.max(lowered, axis=2) * ops.minimum(some, 1)
        return ops.sum(taken * counts, axis=2) / ops.maximum(some, 1)

    def log_likelihood(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return the log-likelihood of the tags of each sentence, float32 (B,)."""
        return self.tagger.log_likelihood(emissions, tags, mask)

    def path_scores(self) -> Scores:
        """Return what decoding goes by."""
        return self.tagger.path_scores()

    def mix_weights(self) -> tuple[np.ndarray, float] | None:
        """Return the learned share of each layer and the scale; None unless they are learned."""
        return self.tagger.mix_weights()


class TaggerTraining(TrainingModel):
    """The mean over sentences of the negative log-likelihood of their tags.

    Args:
        network: trained in place.
    """

    def __init__(self, network: TaggerNetwork | EncoderTagger) -> None:
        super().__init__(name="tagging")
        self.network = network

    def call(self, batch: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the loss of a batch: the network's inputs and ``tags`` int32 (B, S)."""
        emissions = self.network(batch, training=training)
        found = self.network.log_likelihood(emissions, batch["tags"], batch["mask"])
        return {"loss": -ops.mean(found)}
