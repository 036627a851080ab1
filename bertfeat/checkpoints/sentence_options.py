"""The two option files of a sentence-transformers folder, checked."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bertfeat.checkpoints.folder_files import read_json_if_there
from bertfeat.checkpoints.model_folder import SentenceModules
from bertfeat.errors import CheckpointError

TASKS = {"SentenceTransformer": "feature-extraction", "CrossEncoder": "sequence-classification"}
OUTPUTS = {"feature-extraction": "last_hidden_state", "sequence-classification": "logits"}
ALWAYS_THERE = ("query", "document")  # prompts that are empty where a folder has none
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
# Keys of sentence_bert_config.json that leave the arithmetic as it is.
HARMLESS = ("do_lower_case", "unpad_inputs", "module_output_name")


def read_model_options(path: Path) -> dict[str, Any]:
    """Read ``config_sentence_transformers.json``; empty where it is missing.

    Raises:
        CheckpointError: it is damaged, or a key has a value that cannot be; all are listed.
    """
    options = read_json_if_there(path)
    prompts = options.get("prompts")
    names = (None, *ALWAYS_THERE, *(prompts if isinstance(prompts, dict) else ()))
    checks: dict[str, Callable[[Any], bool]] = {
        "model_type": lambda value: value in tuple(TASKS),
        "prompts": _is_prompts,
        "default_prompt_name": lambda value: value in names,
        "similarity_fn_name": lambda value: value in (None, *SIMILARITIES),
        "truncate_dim": _is_count_or_none,
    }
    _raise_unless(path, options, checks)
    return options


def read_transformer_options(path: Path, model_type: str) -> dict[str, Any]:
    """Read ``sentence_bert_config.json``; empty where it is missing.

    Raises:
        CheckpointError: it is damaged, or asks for what would change the arithmetic.
    """
    options, task = read_json_if_there(path), TASKS[model_type]
    known: dict[str, Callable[[Any], bool]] = {
        "max_seq_length": _is_count_or_none,
        "transformer_task": lambda value: value == task,
        "modality_config": lambda value: _text_output(value) in (None, OUTPUTS[task]),
        **dict.fromkeys(HARMLESS, lambda _: True),
    }
    _raise_unless(path, options, {key: known.get(key, _is_empty) for key in options})
    return options


def apply(
    sentence: SentenceModules, options: Mapping[str, Any], transformer: Mapping[str, Any]
) -> SentenceModules:
    """Return the modules with what the two files say."""
    prompts = {name: text or "" for name, text in (options.get("prompts") or {}).items()}
    default = options.get("default_prompt_name")
    return replace(
        sentence,
        max_seq_length=transformer.get("max_seq_length"),
        do_lower_case=bool(transformer.get("do_lower_case")),
        prompts=prompts,
        default_prompt_name=default if default in prompts else None,
        similarity=options.get("similarity_fn_name"),
        truncate_dim=options.get("truncate_dim"),
    )


def _raise_unless(
    path: Path, options: Mapping[str, Any], checks: Mapping[str, Callable[[Any], bool]]
) -> None:
    strange = [
        f"{key}={value!r}"
        for key, value in options.items()
        if key in checks and not checks[key](value)
    ]
    if strange:
        raise CheckpointError(f"{path} asks for what is not computed here: {', '.join(strange)}")


def _is_prompts(value: Any) -> bool:
    if not isinstance(value, dict):
        return value is None
    return all(text is None or isinstance(text, str) for text in value.values())


def _is_count_or_none(value: Any) -> bool:
    return value is None or (type(value) is int and value > 0)


def _is_empty(value: Any) -> bool:
    return not value


def _text_output(modality_config: Any) -> Any:
    """Return which output of the encoder the folder takes for texts."""
    text = modality_config.get("text") if isinstance(modality_config, dict) else modality_config
    return text.get("method_output_name") if isinstance(text, dict) else text
