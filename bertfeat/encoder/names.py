"""The names of everything that the encoder can hand out.

Shape letters: B batch, S sequence, M masked positions, H hidden, D head size, V vocabulary.  Layer
i counts from 0; hidden state 0 is the normalized sum of the embeddings, N the last layer.

======================================  ==================  =====================================
name                                    shape
======================================  ==================  =====================================
``word_embeddings``                     (B, S, H)           also ``position_…``, ``token_type_…``
``embeddings_sum``                      (B, S, H)           of the three, before normalization
``hidden_states.0`` … ``.N``            (B, S, H)
``attentions.i``                        (B, heads, S, S)    float32 probabilities
``queries.i`` ``keys.i`` ``values.i``   (B, heads, S, D)
``pooled``                              (B, H)              tanh(dense([CLS] of the last layer))
``masked_lm_logits``                    (B, S or M, V)      float32
``next_sentence_logits``                (B, 2)              float32; 0 = the second text follows
``classifier_logits``                   (B, labels)         float32
``token_logits`` ``span_logits``        (B, S, labels)      float32
======================================  ==================  =====================================
"""

from collections.abc import Iterable, Sequence

from bertfeat.config import EncoderConfig

HEADS = ("pooler", "masked_lm", "next_sentence", "classifier", "span")
COMPONENTS = ("word_embeddings", "position_embeddings", "token_type_embeddings", "embeddings_sum")
PER_LAYER = ("attentions", "queries", "keys", "values")
HEAD_OUTPUTS = {
    "pooler": ("pooled",),
    "masked_lm": ("masked_lm_logits",),
    "next_sentence": ("next_sentence_logits",),
    "classifier": ("classifier_logits", "token_logits"),
    "span": ("span_logits",),
}


def output_names(config: EncoderConfig, heads: Sequence[str]) -> list[str]:
    """Return the name of every output that such an encoder has."""
    layers = config.num_hidden_layers
    return [
        *COMPONENTS,
        *(f"hidden_states.{i}" for i in range(layers + 1)),
        *(f"{kind}.{i}" for kind in PER_LAYER for i in range(layers)),
        *(name for head in heads for name in HEAD_OUTPUTS.get(head, ())),
    ]


def depth(outputs: Iterable[str], num_layers: int) -> int:
    """Return how many layers have to run for the named outputs."""
    return max((_layers_needed(name, num_layers) for name in outputs), default=0)


def positive(name: str, num_layers: int) -> str:
    """Turn a number counted from the end into one from the start: ``hidden_states.-1``."""
    kind, _, number = name.partition(".")
    if not number or int(number) >= 0:
        return name
    return f"{kind}.{int(number) + num_layers + (kind == 'hidden_states')}"


def _layers_needed(name: str, num_layers: int) -> int:
    kind, _, number = name.partition(".")
    if kind in COMPONENTS:
        return 0
    if kind == "hidden_states":
        return int(number)
    return int(number) + 1 if kind in PER_LAYER else num_layers
