"""Examples of a pre-training on a small random corpus, made by the command."""

from pathlib import Path

import numpy as np

from bertfeat_tools.cli.group import bertfeat
from command_line import call
from tiny_bert import VOCABULARY, write_tokenizer


def write_examples(folder: Path, documents: int, *options: object) -> Path:
    """Write so many documents of six lines and their examples of 32 tokens; return the latter."""
    rng = np.random.default_rng(0)
    words = [word for word in VOCABULARY if word.isalpha() and len(word) > 1]
    texts = ["\n".join(" ".join(rng.choice(words, 8)) for _ in range(6)) for _ in range(documents)]
    (folder / "corpus.txt").write_text("\n\n".join(texts))
    (folder / "v").mkdir()
    write_tokenizer(folder / "v", VOCABULARY, True, 64)
    done = call(bertfeat, "pretrain", "data", folder / "corpus.txt", "--tokenizer", folder / "v",
                "--output", folder / "d", "--max-seq-len", 32, "--quiet", *options)  # fmt: skip
    assert done.code == 0, done.err
    return folder / "d"
