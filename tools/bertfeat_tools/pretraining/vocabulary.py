"""A WordPiece vocabulary trained on text, as the folder of a tokenizer."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bertfeat.checkpoints.folder_files import new_folder
from bertfeat_tools.pretraining.merges import learn_pieces

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True, kw_only=True)
class VocabularyOptions:
    """How a vocabulary is made.

    Attributes:
        size: tokens at most, special and reserved ones included.
        lowercase: lower-case the text and strip its accents first.
        chinese_characters: every Chinese character stands alone.
        min_frequency: a piece occurs so often at least.
        reserved: places kept as ``[unused0]`` …, for tokens to come.
        alphabet: different characters at most; the rarest become [UNK].
    """

    size: int = 30_522
    lowercase: bool = True
    chinese_characters: bool = True
    min_frequency: int = 2
    reserved: int = 0
    alphabet: int = 6_000


def train_vocabulary(texts: Iterable[str], options: VocabularyOptions, target: Path) -> int:
    """Train a vocabulary and write it as a tokenizer's folder; the same texts give the same bytes.

    Args:
        texts: any number of lines.
        options: how.
        target: gets ``vocab.txt`` and ``tokenizer_config.json``; must not exist.

    Returns:
        The number of tokens.

    Raises:
        CheckpointError: the target exists or cannot be written.
    """
    first = [*SPECIALS, *(f"[unused{number}]" for number in range(options.reserved))]
    pieces = learn_pieces(
        count_words(texts, options), options.size - len(first),
        min_frequency=options.min_frequency, alphabet=options.alphabet,
    )  # fmt: skip
    tokens = [*first, *pieces]
    with new_folder(target) as folder:
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), "utf-8")
        config = {
            "tokenizer_class": "BertTokenizer", "do_lower_case": options.lowercase,
            "tokenize_chinese_chars": options.chinese_characters, "model_max_length": 512,
        }  # fmt: skip
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return len(tokens)


def count_words(texts: Iterable[str], options: VocabularyOptions) -> Counter[str]:
    """Count words as BERT's tokenizer cuts them, by the ``tokenizers`` library."""
    from tokenizers import normalizers, pre_tokenizers

    normalizer = normalizers.BertNormalizer(
        lowercase=options.lowercase, handle_chinese_chars=options.chinese_characters
    )
    splitter = pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    for text in texts:
        found = splitter.pre_tokenize_str(normalizer.normalize_str(text))
        words.update(word for word, _ in found)
    return words
