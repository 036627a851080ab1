"""sentence-transformers folders: ``modules.json`` and what it lists.

Read: Transformer, Pooling, Dense, Normalize (Dropout does nothing at inference), and CrossEncoder
folders, whose activation is handed on in ``raw_config["sentence_transformers"]``.  Any other module
is an error: leaving it out would give other vectors.  The names are those that every release since
2.0 reads.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bertfeat.checkpoints import huggingface, sentence_modules, sentence_options
from bertfeat.checkpoints.folder_files import inside, read_json, write_json
from bertfeat.checkpoints.model_folder import ModelFolder, SentenceModules
from bertfeat.checkpoints.weight_files import find_weights
from bertfeat.errors import CheckpointError

MODULES, MODEL, TRANSFORMER = (
    "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json",
)  # fmt: skip
PACKAGE = "sentence_transformers."


def holds_model(folder: Path) -> bool:
    """Tell whether a folder looks like one of sentence-transformers'."""
    return (folder / MODULES).is_file()


def read(folder: Path) -> ModelFolder:
    """Read a folder in sentence-transformers' layout.

    Raises:
        CheckpointError: files are missing, damaged or cut off, or there is a module that is not
            computed here; TensorMismatch among them.
        ConfigError: the configuration asks for what cannot be.
    """
    modules = _modules(folder)
    subfolder = modules[0][1].relative_to(folder).as_posix().removeprefix(".")
    options = sentence_options.read_model_options(folder / MODEL)
    kind = options.get("model_type", "SentenceTransformer")
    transformer = sentence_options.read_transformer_options(modules[0][1] / TRANSFORMER, kind)
    model = huggingface.read(modules[0][1])
    model = replace(model, folder=folder, format="sentence-transformers", subfolder=subfolder)
    if kind == "CrossEncoder" and len(modules) == 1:
        return replace(model, raw_config=_with_activation(model.raw_config, options))
    sentence = sentence_modules.read(modules[1:], model.config.hidden_size, folder / MODULES)
    sentence = sentence_options.apply(sentence, options, transformer)
    return replace(model, sentence=sentence)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the weight files of the encoder and of the modules behind it."""
    return tuple(path for _, place in _modules(folder) for path in find_weights(place))


def losses(model: ModelFolder) -> list[str]:
    """List what of a model the format cannot hold."""
    return sentence_modules.losses(model.sentence) if model.sentence else []


def write(model: ModelFolder, folder: Path) -> None:
    """Write everything but the tokenizer.

    A model without sentence modules becomes a CrossEncoder if it has a classifier, else a
    SentenceTransformer with the mean of its last layer.
    """
    huggingface.write(model, folder)
    if model.sentence is None and "classifier/kernel" in model.tensors:
        _write_cross_encoder(model, folder)
        return
    sentence = model.sentence or SentenceModules()
    places = sentence_modules.write(sentence, model.config.hidden_size, folder)
    _write_modules([("Transformer", ""), *places], folder)
    write_json(folder / TRANSFORMER, {
        "max_seq_length": sentence.max_seq_length,
        "do_lower_case": sentence.do_lower_case,
    })  # fmt: skip
    options: dict[str, Any] = {
        "model_type": "SentenceTransformer",
        "prompts": dict(sentence.prompts),
        "default_prompt_name": sentence.default_prompt_name,
        "similarity_fn_name": sentence.similarity,
    }
    if sentence.truncate_dim is not None:
        options["truncate_dim"] = sentence.truncate_dim
    write_json(folder / MODEL, options)


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """Return the class and the place of each module, the Transformer first."""
    source = folder / MODULES
    modules = []
    for entry in read_json(source, list):
        kind = entry.get("type") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or not kind.startswith(PACKAGE):
            raise CheckpointError(
                f"{source} asks for {kind!r}: code of the model's own, which is never run"
            )
        modules.append((kind.rpartition(".")[2], inside(folder, entry.get("path", ""), source)))
    if not modules or modules[0][0] != "Transformer":
        first = modules[0][0] if modules else "nothing"
        raise CheckpointError(f"{source} must begin with a Transformer, not with {first}")
    return modules


def _with_activation(raw: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Put the activation where folders from before 5.4 have it; there it counts less."""
    activation = options.get("activation_fn")
    added = {"sentence_transformers": {"activation_fn": activation}} if activation else {}
    return dict(raw) | added


def _write_cross_encoder(model: ModelFolder, folder: Path) -> None:
    known = model.raw_config.get("sentence_transformers") or {}
    activation = known.get("activation_fn")
    _write_modules([("Transformer", "")], folder)
    write_json(folder / TRANSFORMER, {"transformer_task": sentence_options.TASKS["CrossEncoder"]})
    write_json(folder / MODEL, {"model_type": "CrossEncoder", "activation_fn": activation})


def _write_modules(places: list[tuple[str, str]], folder: Path) -> None:
    write_json(folder / MODULES, [
        {"idx": i, "name": str(i), "path": path, "type": f"{PACKAGE}models.{kind}"}
        for i, (kind, path) in enumerate(places)
    ])  # fmt: skip
