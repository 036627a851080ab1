"""Which format a folder has, and all formats behind one door: read, write, convert."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bertfeat.checkpoints import (
    google,
    huggingface,
    lite,
    sentence_modules,
    sentence_transformers,
)
from bertfeat.checkpoints.folder_files import new_folder, read_json
from bertfeat.checkpoints.model_folder import ModelFolder
from bertfeat.errors import CheckpointError, ConversionLoss, VocabularyError

if TYPE_CHECKING:
    from bertfeat.tokenization import Tokenizer


@dataclass(frozen=True)
class Format:
    """What a format's file offers."""

    holds_model: Callable[[Path], bool]
    read: Callable[[Path], ModelFolder]
    weight_files: Callable[[Path], tuple[Path, ...]]
    losses: Callable[[ModelFolder], list[str]]
    write: Callable[[ModelFolder, Path], None]


# In the order in which a folder is tried: the one that says most comes first.
FORMATS = {
    name: Format(room.holds_model, room.read, room.weight_files, room.losses, room.write)
    for name, room in (
        ("lite", lite),
        ("sentence-transformers", sentence_transformers),
        ("huggingface", huggingface),
        ("google", google),
    )
}


def detect(folder: Path) -> str:
    """Return the name of a folder's format.

    Raises:
        CheckpointError: it is no model folder; the message says what was looked for.
    """
    for name, form in FORMATS.items():
        if form.holds_model(folder):
            return name
    held = ", ".join(sorted(path.name for path in folder.glob("*"))[:20])
    raise CheckpointError(
        f"{folder} is no model folder: it needs modules.json (sentence-transformers), config.json "
        "(Hugging Face), bert_config.json (Google) or lite.json (lite); it holds "
        f"{held or 'nothing'}"
    )


def read(folder: Path) -> ModelFolder:
    """Read a model folder of any format.

    Raises:
        CheckpointError: it is no model folder, or files are missing, damaged or cut off;
            TensorMismatch where tensors do not fit the configuration.
        ConfigError: the configuration asks for what is not computed.
    """
    return FORMATS[detect(Path(folder))].read(Path(folder))


def write(
    model: ModelFolder, tokenizer: "Tokenizer", target: Path, format: str, *, drop: bool = False
) -> list[str]:
    """Write a model as a new folder, whole or not at all.

    Args:
        model: encoder, heads and sentence modules.
        tokenizer: saved beside them.
        target: must not exist.
        format: ``google``, ``huggingface``, ``sentence-transformers`` or ``lite``.
        drop: leave out what the format cannot hold instead of failing.

    Returns:
        What was left out.

    Raises:
        ConversionLoss: the format cannot hold all of the model; the message lists what.
        CheckpointError: the target exists or cannot be written, or the model is a lite folder.
        VocabularyError: the tokenizer has more tokens than the embedding table has rows.
    """
    if format not in FORMATS:
        raise CheckpointError(f"format {format!r} is none of {', '.join(FORMATS)}")
    if model.format == "lite":
        raise CheckpointError(
            f"{model.folder} is a lite folder: what its weights were cannot be had back; convert "
            "the model that it was made from"
        )
    check_vocabulary(model, tokenizer)
    with new_folder(Path(target)) as folder:
        tokenizer.save(folder)
        lost = losses(model, folder, format)
        if lost and not drop:
            raise ConversionLoss(
                f"the {format} format cannot hold everything of {model.folder}:\n"
                + "".join(f"  {line}\n" for line in lost)
                + "Nothing was written; --drop (drop=True) leaves these out"
            )
        FORMATS[format].write(model, folder)
    return lost


def losses(model: ModelFolder, tokenizer_folder: Path, format: str) -> list[str]:
    """List what of a model a format cannot hold, given a folder with its tokenizer saved."""
    lost = FORMATS[format].losses(model)
    if format in ("google", "huggingface") and model.sentence is not None:
        lost += sentence_modules.describe(model.sentence)
    return lost + (_tokenizer_losses(tokenizer_folder) if format == "google" else [])


def _tokenizer_losses(saved: Path) -> list[str]:
    """List what of a saved tokenizer is not in the files that a folder of Google's has."""
    from bertfeat.tokenization import Tokenizer

    if not (saved / "vocab.txt").is_file():
        return ["a tokenizer that is not WordPiece"]
    with TemporaryDirectory() as name:
        plain = Path(name)
        for file in google.TOKENIZER_FILES:
            shutil.copy(saved / file, plain)
        Tokenizer.from_folder(plain).save(plain)
        before, after = (read_json(folder / "tokenizer.json") for folder in (saved, plain))
    parts = ("normalizer", "pre_tokenizer")
    return [f"the tokenizer's {part}" for part in parts if before[part] != after[part]]


def check_vocabulary(model: ModelFolder, tokenizer: "Tokenizer") -> None:
    """Check that every token has a row in the embedding table.

    Raises:
        VocabularyError: it has not: such a token would get a vector of zeros or of garbage.
    """
    if tokenizer.vocab_size > model.config.vocab_size:
        raise VocabularyError(
            f"{model.tokenizer_folder}: the tokenizer has {tokenizer.vocab_size} tokens, but the "
            f"embedding table has {model.config.vocab_size} rows; they do not belong together"
        )
