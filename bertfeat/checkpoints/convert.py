"""From one checkpoint format to another."""

from pathlib import Path

from bertfeat.checkpoints.formats import read, write


def convert(source: Path, target: Path, format: str, *, drop: bool = False) -> list[str]:
    """Write the model in `source` as a new folder of another (or the same) format.

    Encoder and head tensors keep their bits and their float type.

    Args:
        source: a model folder of any format.
        target: must not exist.
        format: ``google``, ``huggingface`` or ``sentence-transformers``.
        drop: leave out what the format cannot hold instead of failing.

    Returns:
        What was left out.

    Raises:
        ConversionLoss: the format cannot hold all of the model; the message lists what.
        CheckpointError: the source is damaged, or the target exists or cannot be written.
        ConfigError: the source's configuration asks for what is not computed.
        VocabularyError: the source's tokenizer is damaged or does not fit its weights.
    """
    from bertfeat.tokenization import Tokenizer

    model = read(source)
    tokenizer = Tokenizer.from_folder(model.tokenizer_folder)
    return write(model, tokenizer, target, format, drop=drop)
