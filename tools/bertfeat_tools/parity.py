"""How far our numbers are from those of ``transformers`` on PyTorch, output by output.

Both read the same folder, each with its own reader and its own tokenizer.  A Google checkpoint,
which transformers no longer reads, is converted for it.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.checkpoints import ModelFolder, convert, read
from bertfeat.errors import TruncationWarning
from bertfeat.features.reader import open_lines
from bertfeat.tokenization import Encoding
from bertfeat_tools.oracle import Oracle, Outputs

if TYPE_CHECKING:
    from bertfeat import Encoder

LAYER_LIMIT, HEAD_LIMIT = 2e-5, 1e-5
LINES_AT_ONCE = 1000
FORMATS = ("google", "huggingface", "sentence-transformers")
TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "hello",
    "",
    "BERT reads a text from both sides at once, which a language model that predicts the next "
    "word cannot do; so it is trained to fill in words that were masked.",
    "Ünïcödé, naïve café — ﬁne? Ελληνικά, кириллица; 20 °C ≈ 68 °F.",
    "我爱北京天安门，天安门上太阳升。",
    "don't well-known e-mail@example.org http://example.org/?q=1 #tag $9.99 50%",
    "tabs\tand\nnew lines \x00 and \ufffd, a soft\u00adhyphen, zero\u200bwidth, 👩‍💻 emoji",
    f"one very long word: {'abcdefghij' * 9}",
)
PAIRS = (
    ("The cat sat on the mat.", "It was asleep."),
    ("How old are you?", ""),
    ("这是什么？", "A question in another language, and rather longer than the first part of it."),
)


@dataclass(frozen=True)
class Figure:
    """One number of the report.

    Attributes:
        what: the output.
        scene: the texts that it was computed on.
        error: largest absolute difference, or how many differ.
        limit: passes up to this.
    """

    what: str
    scene: str
    error: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the error is within the limit; NaN is not."""
        return self.error <= self.limit


def figures(
    folder: Path, against: Path | None = None, texts: Sequence[str] = ()
) -> Iterator[Figure]:
    """Yield the figures of a model, one after the other.

    Args:
        folder: a model of any format.
        against: a Hugging Face folder that transformers reads instead of `folder`.
        texts: files of which every line is tokenized by both.
    """
    from bertfeat import Encoder

    model = read(folder)
    longest = model.config.max_position_embeddings
    encoder = Encoder.load(folder, precision="float32", max_seq_len=longest, progress=False)
    with _readable(model, against) as theirs:
        oracle = Oracle(theirs)
    bare = _without_prompt(encoder)
    yield Figure("texts and pairs with other token ids", "", _other_ids(bare, oracle, TEXTS)
                 + _other_ids(bare, oracle, PAIRS), 0)  # fmt: skip
    for path in texts:
        yield _lines_with_other_ids(bare, oracle, path)
    for scene, items in _scenes(longest):
        yield from _outputs(bare, oracle, scene, items)
    if model.sentence is not None and against is None and find_spec("sentence_transformers"):
        yield _sentence_vectors(encoder)
    yield from round_trips(model)


def round_trips(model: ModelFolder) -> Iterator[Figure]:
    """Convert to each other format and back, and count the tensors that are not the same bits."""
    for name in FORMATS:
        if name == model.format:
            continue
        with TemporaryDirectory(prefix="bertfeat-") as temporary:
            there, back = Path(temporary) / "there", Path(temporary) / "back"
            convert(model.folder, there, name, drop=True)
            convert(there, back, model.format, drop=True)
            changed = count_changed(model, read(back))
        yield Figure(f"tensors changed on the way to {name} and back", "", changed, 0)


def count_changed(before: ModelFolder, after: ModelFolder) -> int:
    """Count the tensors that are not bit for bit the same; lost and new ones count."""
    names = set(before.tensors) | set(after.tensors)
    return sum(_bits(before, name) != _bits(after, name) for name in names)


def _bits(model: ModelFolder, name: str) -> tuple[str, tuple[int, ...], bytes] | None:
    array = model.tensors.get(name)
    return None if array is None else (array.dtype.name, array.shape, array.tobytes())


@contextmanager
def _readable(model: ModelFolder, against: Path | None) -> Iterator[Path]:
    """Give a folder that transformers reads."""
    if against is not None or model.format != "google":
        yield against or model.tokenizer_folder
        return
    with TemporaryDirectory(prefix="bertfeat-") as name:
        convert(model.folder, Path(name) / "model", "huggingface")
        yield Path(name) / "model"


def _without_prompt(encoder: "Encoder") -> "Encoder":
    """Return an encoder that puts no default prompt in front: transformers knows of none."""
    bare, runtime = copy(encoder), encoder.runtime
    bare.runtime = replace(runtime, modules=replace(runtime.modules, default_prompt_name=None))
    return bare


def _scenes(longest: int) -> list[tuple[str, Sequence[Any]]]:
    words = " ".join(f"text number {i}," for i in range(longest))
    return [
        (f"{len(TEXTS)} texts", TEXTS),
        (f"{len(PAIRS)} pairs", PAIRS),
        (f"{longest} tokens", [words]),
    ]


def _other_ids(encoder: "Encoder", oracle: Oracle, items: Sequence[Any]) -> int:
    ours = encoder.tokenizer.encode_batch(items)
    theirs = oracle.input_ids(items)
    return sum(
        not isinstance(mine, Encoding) or mine.input_ids != their_ids
        for mine, their_ids in zip(ours, theirs, strict=True)
    )


def _lines_with_other_ids(encoder: "Encoder", oracle: Oracle, path: str) -> Figure:
    wrong, count = 0, 0
    with open_lines(path) as reader:
        lines = (line.text for line in reader)
        while some := list(islice(lines, LINES_AT_ONCE)):
            wrong += _other_ids(encoder, oracle, some)
            count += len(some)
    return Figure(f"lines of {Path(path).name} with other token ids, of {count}", "", wrong, 0)


def _outputs(
    encoder: "Encoder", oracle: Oracle, scene: str, items: Sequence[Any]
) -> Iterator[Figure]:
    """Compare hidden states of padded batches, attentions and heads, on the real tokens."""
    theirs = oracle.run(items, encoder.config.max_position_embeddings)
    ours = _ours(encoder, oracle, items)
    pairs = list(zip(ours, theirs, strict=True))
    for layer in range(encoder.num_layers + 1):
        error = max(_distance(a.hidden_states[layer], b.hidden_states[layer]) for a, b in pairs)
        yield Figure(f"hidden state {layer}", scene, error, LAYER_LIMIT)
    for layer in range(encoder.num_layers):
        error = max(_distance(a.attentions[layer], b.attentions[layer]) for a, b in pairs)
        yield Figure(f"attentions {layer}", scene, error, LAYER_LIMIT)
    for name in ours[0].heads:
        error = max(_distance(_said(name, a), _said(name, b)) for a, b in pairs)
        yield Figure(name.replace("_", " ").replace("logits", "probabilities"), scene, error,
                     HEAD_LIMIT)  # fmt: skip


def _ours(encoder: "Encoder", oracle: Oracle, items: Sequence[Any]) -> list[Outputs]:
    from bertfeat.encoder.names import output_names

    known = output_names(encoder.config, encoder.runtime.heads)
    heads = [name for name in oracle.heads if name in known]
    attentions = [f"attentions.{layer}" for layer in range(encoder.num_layers)]
    found = []
    with _truncation_ignored():
        batch = list(encoder.extract(items, layers="all"))
    for item, features in zip(items, batch, strict=True):
        inner = encoder.outputs(item, [*attentions, *heads])
        found.append(
            Outputs(
                list(features.vectors),
                [inner[name] for name in attentions],
                {name: inner[name] for name in heads},
            )
        )
    return found


def _said(name: str, outputs: Outputs) -> np.ndarray:
    """Return what a head says: probabilities where it gives logits."""
    values = outputs.heads[name].astype(np.float64)
    if name == "pooled":
        return values
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _sentence_vectors(encoder: "Encoder") -> Figure:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(encoder.folder), device="cpu")
    theirs.max_seq_length = encoder.max_seq_len
    with _truncation_ignored():
        error = _distance(encoder.encode(TEXTS), np.asarray(theirs.encode(list(TEXTS))))
    return Figure("sentence vectors", f"{len(TEXTS)} texts", error, HEAD_LIMIT)


@contextmanager
def _truncation_ignored() -> Iterator[None]:
    """Cut texts without a warning: both sides cut, and the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        yield


def _distance(found: np.ndarray, expected: np.ndarray) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max(initial=0.0))
