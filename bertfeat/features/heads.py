"""What the pre-training and classification heads of a checkpoint say about a text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bertfeat.checkpoints.model_folder import ModelFolder
from bertfeat.encoder.names import output_names
from bertfeat.engine.packing import Inputs, pack
from bertfeat.errors import ConfigError, InputError, RowErrors
from bertfeat.features.options import EncodeOptions
from bertfeat.features.pooled import EncodeInfo, check_rows, finite
from bertfeat.features.program import RawProgram
from bertfeat.features.runtime import Runtime
from bertfeat.tokenization import Encoding

PLAIN_TEXT = EncodeOptions(prompt="")
"""The heads and the inner tensors are about the text itself, whatever prompt the folder has."""


class Candidate(NamedTuple):
    """A token that the masked-LM head proposes, and its probability."""

    token: str
    probability: float


def outputs_of(runtime: Runtime, item: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return encoder outputs of one text by name (``bertfeat.encoder.bert``), without batch axis.

    Raises:
        InputError: a name is unknown, or belongs to a head that the checkpoint lacks.
    """
    known = output_names(runtime.config, runtime.heads)
    if unknown := [name for name in names if name not in known]:
        raise InputError(
            f"this model has no output {', '.join(unknown)}; it has {', '.join(known)}"
        )
    return _run_one(runtime, _encoding(runtime, item), tuple(names))


def fill_mask(runtime: Runtime, text: Any, k: int) -> list[list[Candidate]]:
    """Return the ``k`` most probable tokens for each [MASK] of a text, most probable first."""
    runtime.require_head("masked_lm", "fill_mask")
    encoding = _encoding(runtime, text)
    positions = np.flatnonzero(np.array(encoding.input_ids) == runtime.tokenizer.mask_id)
    if not len(positions):
        mask = runtime.tokenizer.id_to_token(runtime.tokenizer.mask_id)
        raise InputError(f"the text has no {mask} to fill; write {mask} where a word is missing")
    extra = {"masked_positions": positions[None].astype(np.int32)}
    logits = _run_one(runtime, encoding, ("masked_lm_logits",), extra)["masked_lm_logits"]
    return [_candidates(runtime, row, k) for row in np.exp(log_softmax(logits))]


def next_sentence(runtime: Runtime, first: str, second: str) -> float:
    """Return the probability that the second text follows the first."""
    runtime.require_head("next_sentence", "next_sentence")
    runtime.require_head("pooler", "next_sentence")
    encoding = _encoding(runtime, (first, second))
    logits = _run_one(runtime, encoding, ("next_sentence_logits",))["next_sentence_logits"]
    return float(np.exp(log_softmax(logits))[0])


def pseudo_log_likelihood(runtime: Runtime, text: Any) -> float:
    """Return the sum of log P(token | all others) over the tokens that are not special.

    Source: Salazar et al. 2020, "Masked Language Model Scoring".
    """
    runtime.require_head("masked_lm", "pseudo_log_likelihood")
    encoding = _encoding(runtime, text)
    ids = np.array(encoding.input_ids)
    places = np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)
    copies = [_Masked(encoding, int(place), runtime.tokenizer.mask_id) for place in places]
    total = 0.0
    program = RawProgram(("masked_lm_logits",))
    for rows, results in runtime.batches(program, copies, _masked_positions):  # type: ignore[arg-type]
        logits = log_softmax(results["masked_lm_logits"][: len(rows), 0].astype(np.float64))
        total += float(logits[np.arange(len(rows)), ids[places[rows]]].sum())
    return total


def classify(
    runtime: Runtime, items: Sequence[Any], activation: Callable[[Any], Any]
) -> np.ndarray:
    """Return the classification head's activated outputs, float32 (n, labels).

    Raises:
        RowErrors: some items are not acceptable, or their outputs not finite; their rows are zero.
    """
    runtime.require_head("classifier", "score")
    info = EncodeInfo.of_rows(len(items))
    good, texts = check_rows(runtime.tokenize(items, PLAIN_TEXT), 0, info)
    scores = np.zeros((len(items), 0), np.float32)
    for rows, results in runtime.batches(RawProgram(("classifier_logits",)), texts):
        found = results["classifier_logits"][: len(rows)]
        if not scores.shape[1]:
            scores = np.zeros((len(items), found.shape[1]), np.float32)
        numbers = np.array(good)[rows]
        scores[numbers] = finite(activation(found), numbers, info)
    if info.errors:
        raise RowErrors(info.errors, scores)
    return scores


def score_activation(model: ModelFolder) -> Callable[[np.ndarray], np.ndarray]:
    """Return what sentence-transformers' CrossEncoder puts behind a model's logits.

    Raises:
        ConfigError: the folder names an activation that is not computed here.
    """
    saved = model.raw_config.get("sentence_transformers")
    saved = saved.get("activation_fn") if isinstance(saved, Mapping) else None
    name = str(saved or model.raw_config.get("sbert_ce_default_activation_function") or "")
    single = "classifier/bias" in model.tensors and len(model.tensors["classifier/bias"]) == 1
    if name.endswith("Sigmoid") or (not name and single):
        return lambda logits: 1 / (1 + np.exp(-logits))
    if name.endswith("Identity") or not name:
        return lambda logits: logits
    raise ConfigError(f"config.json: the score activation {name!r} is none of Identity, Sigmoid")


def logits(values: np.ndarray) -> np.ndarray:
    """Leave the head's outputs as they are."""
    return values


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log probabilities over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


class _Masked:
    """A tokenized text with one token masked."""

    def __init__(self, encoding: Encoding, place: int, mask_id: int) -> None:
        self.place = place
        self.input_ids = [*encoding.input_ids[:place], mask_id, *encoding.input_ids[place + 1 :]]
        self.token_type_ids = encoding.token_type_ids


def _masked_positions(texts: Sequence[_Masked], inputs: Inputs) -> Inputs:
    positions = np.zeros((len(inputs["lengths"]), 1), np.int32)
    positions[: len(texts), 0] = [text.place for text in texts]
    return {"masked_positions": positions}


def _encoding(runtime: Runtime, item: Any) -> Encoding:
    encoding = runtime.tokenize([item], PLAIN_TEXT)[0]
    if isinstance(encoding, InputError):
        raise encoding
    return encoding


def _run_one(
    runtime: Runtime, encoding: Encoding, names: tuple[str, ...], extra: Inputs | None = None
) -> dict[str, np.ndarray]:
    inputs = pack([encoding], [[0]], runtime.tokenizer.pad_id, (1, len(encoding.input_ids), 1))
    results = runtime.engine.run(RawProgram(names), inputs | (extra or {}))
    return {name: value[0] for name, value in results.items()}


def _candidates(runtime: Runtime, probabilities: np.ndarray, k: int) -> list[Candidate]:
    best = np.argsort(-probabilities, kind="stable")[:k]
    return [
        Candidate(runtime.tokenizer.id_to_token(int(token)) or "", float(probabilities[token]))
        for token in best
    ]
