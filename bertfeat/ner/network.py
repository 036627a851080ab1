"""The network of a tagger: features, recurrent layers, scores of tags, CRF.

Shape letters: B sentences, S words, L layers, H width of a layer, T tags.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from bertfeat.ner import paths, schemes
from bertfeat.ner.crf import CRF
from bertfeat.ner.mix import ScalarMix
from bertfeat.ner.recurrent import Bidirectional
from bertfeat.ner.settings import TaggerSettings

Tensor = Any


class TaggerNetwork(keras.Model):
    """From word vectors, or numbers of characters, to scores of tags.

    Inputs: ``vectors`` float (B, S, L, H), or ``characters`` int (B, S); ``mask`` bool (B, S).
    """

    def __init__(
        self, settings: TaggerSettings, dtype: Any = "float32", name: str = "tagger"
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.settings = settings
        width = settings.hidden_size
        if settings.combine == "weighted" and settings.encoder:
            self.mix = ScalarMix(len(settings.layers), name="mix")
        elif settings.combine == "concat" and settings.encoder:
            width *= len(settings.layers)
        if not settings.encoder:
            rows = len(settings.characters) + 2
            self.table = keras.layers.Embedding(rows, settings.hidden_size, name="characters")
        self.rnns = []
        self.dropout = keras.layers.SpatialDropout1D(settings.dropout)
        for number in range(settings.rnn_layers if settings.rnn != "none" else 0):
            rnn = Bidirectional(
                settings.rnn_units, settings.rnn, settings.dropout, name=f"rnn_{number}"
            )
            rnn.build((None, None, width))
            self.rnns.append(rnn)
            width = 2 * settings.rnn_units
        self.scores = keras.layers.Dense(len(settings.labels), name="scores")
        self.scores.build((None, None, width))
        self.allowed = schemes.allowed(settings.labels, settings.scheme)
        self.crf = CRF(
            len(settings.labels), self.allowed if settings.constrained else None, name="crf"
        )
        for layer in (*([self.mix] if hasattr(self, "mix") else ()), self.crf):
            layer.build()
        if hasattr(self, "table"):
            self.table.build()
        if not settings.crf:
            self.crf.trainable = False
        self.build()

    def build(self, *_: Any) -> None:
        """Accept any shape: each layer is built where it is made."""
        self.built = True

    def call(self, inputs: Mapping[str, Tensor], training: bool = False) -> Tensor:
        """Return the scores of tags, float32 (B, S, T)."""
        hidden = self._features(inputs)
        for rnn in self.rnns:
            hidden = rnn(hidden, inputs["mask"], training=training)
        hidden = self.dropout(hidden, training=training)
        return ops.cast(self.scores(hidden), "float32")

    def _features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        if not self.settings.encoder:
            return self.table(inputs["characters"])  # (B, S, H)
        vectors = ops.cast(inputs["vectors"], self.compute_dtype)  # (B, S, L, H)
        if self.settings.combine == "weighted":
            return self.mix(vectors)
        if self.settings.combine == "sum":
            return ops.sum(vectors, axis=2)
        if self.settings.combine == "mean":
            return ops.mean(vectors, axis=2)
        size = len(self.settings.layers) * self.settings.hidden_size
        return ops.reshape(vectors, (*ops.shape(vectors)[:2], size))

    def log_likelihood(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return the log-likelihood of the tags of each sentence, float32 (B,)."""
        if self.settings.crf:
            return self.crf(emissions, tags, mask)
        size = len(self.settings.labels)
        picked = ops.sum(ops.log_softmax(emissions) * ops.one_hot(tags, size), axis=-1)
        return ops.sum(picked * ops.cast(mask, "float32"), axis=1)

    def path_scores(self) -> paths.Scores:
        """Return what decoding goes by: the CRF's scores among the scheme's allowed paths."""
        size = len(self.settings.labels)
        zeros = paths.Scores(np.zeros(size), np.zeros(size), np.zeros((size, size)))
        return (self.crf.scores if self.settings.crf else zeros).constrained(self.allowed)

    def mix_weights(self) -> tuple[np.ndarray, float] | None:
        """Return the learned share of each layer and the scale; None unless they are learned."""
        return self.mix.weights_now if hasattr(self, "mix") else None
