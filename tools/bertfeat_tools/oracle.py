"""A model as ``transformers`` on PyTorch computes it, to compare with: development only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# For each class of transformers: our name of an output to theirs (two are put side by side).
HEADS: dict[str, dict[str, tuple[str, ...]]] = {
    "BertModel": {"pooled": ("pooler_output",)},
    "BertForPreTraining": {
        "masked_lm_logits": ("prediction_logits",),
        "next_sentence_logits": ("seq_relationship_logits",),
    },
    "BertForMaskedLM": {"masked_lm_logits": ("logits",)},
    "BertForNextSentencePrediction": {"next_sentence_logits": ("logits",)},
    "BertForSequenceClassification": {"classifier_logits": ("logits",)},
    "BertForTokenClassification": {"token_logits": ("logits",)},
    "BertForQuestionAnswering": {"span_logits": ("start_logits", "end_logits")},
}
PER_TOKEN = ("masked_lm_logits", "token_logits", "span_logits")


@dataclass(frozen=True)
class Outputs:
    """What came out for one text, without padding.

    Attributes:
        hidden_states: for each layer from 0, float32 (tokens, hidden).
        attentions: for each layer, float32 (heads, tokens, tokens).
        heads: our name to float32 array.
    """

    hidden_states: list[np.ndarray]
    attentions: list[np.ndarray]
    heads: dict[str, np.ndarray]


class Oracle:
    """A folder's model and tokenizer in transformers, in float32.

    Attributes:
        heads: our names of the head outputs that it has.
    """

    def __init__(self, folder: Path) -> None:
        """Load a Hugging Face folder."""
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        config = transformers.AutoConfig.from_pretrained(folder)
        kinds = [kind for kind in config.architectures or () if kind in HEADS]
        kind = kinds[0] if kinds else "BertModel"
        self._attributes = HEADS[kind]
        self.heads = tuple(self._attributes)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._model = (
            getattr(transformers, kind)
            .from_pretrained(folder, attn_implementation="eager")
            .float()
            .eval()
        )

    def input_ids(self, items: Sequence[str | tuple[str, str]]) -> list[list[int]]:
        """Return the token ids of texts, or of pairs, specials included, uncut."""
        columns = zip(*map(_texts, items), strict=True)
        ids: list[list[int]] = self._tokenizer(*map(list, columns), verbose=False)["input_ids"]
        return ids

    def run(self, items: Sequence[str | tuple[str, str]], max_length: int) -> list[Outputs]:
        """Compute texts, or pairs, in one padded batch."""
        import torch

        columns = zip(*map(_texts, items), strict=True)
        inputs = self._tokenizer(
            *map(list, columns),
            padding=True,
            truncation=True,
            max_length=max_length,
            return_tensors="pt",
        )
        with torch.inference_mode():
            result = self._model(**inputs, output_hidden_states=True, output_attentions=True)
        lengths = inputs["attention_mask"].sum(1).tolist()
        return [self._outputs(result, row, length) for row, length in enumerate(lengths)]

    def _outputs(self, result: Any, row: int, length: int) -> Outputs:
        return Outputs(
            [layer[row, :length].numpy() for layer in result.hidden_states],
            [layer[row, :, :length, :length].numpy() for layer in result.attentions],
            {name: self._head(result, name, row, length) for name in self.heads},
        )

    def _head(self, result: Any, name: str, row: int, length: int) -> np.ndarray:
        parts = [getattr(result, attribute)[row].numpy() for attribute in self._attributes[name]]
        values = np.stack(parts, axis=-1) if len(parts) > 1 else parts[0]
        return values[:length] if name in PER_TOKEN else values


def _texts(item: str | tuple[str, str]) -> tuple[str, ...]:
    return (item,) if isinstance(item, str) else item
