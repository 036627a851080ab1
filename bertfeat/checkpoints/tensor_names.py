"""Canonical tensor names with their shapes, and the tables that map them to those of a format.

A table is read in one direction only, canonical name to file name; a reader asks it for each
tensor that the configuration calls for, a writer for each tensor that it has.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bertfeat.checkpoints.fit import Shape, check_fit
from bertfeat.config import EncoderConfig
from bertfeat.errors import CheckpointError

NORM = {"/gamma": "H", "/beta": "H"}
DENSE = {"/kernel": "HH", "/bias": "H"}
# V vocabulary, P positions, T token types, H hidden, I intermediate, C labels.
GROUPS: dict[str, dict[str, dict[str, str]]] = {
    "embeddings": {
        "embeddings/word_embeddings": {"": "VH"},
        "embeddings/position_embeddings": {"": "PH"},
        "embeddings/token_type_embeddings": {"": "TH"},
        "embeddings/layer_norm": NORM,
    },
    "layers": {
        "layers/{i}/attention/query": DENSE,
        "layers/{i}/attention/key": DENSE,
        "layers/{i}/attention/value": DENSE,
        "layers/{i}/attention/output": DENSE,
        "layers/{i}/attention/layer_norm": NORM,
        "layers/{i}/intermediate": {"/kernel": "HI", "/bias": "I"},
        "layers/{i}/output": {"/kernel": "IH", "/bias": "H"},
        "layers/{i}/layer_norm": NORM,
    },
    "pooler": {"pooler": DENSE},
    "masked_lm": {
        "masked_lm/transform": DENSE,
        "masked_lm/layer_norm": NORM,
        "masked_lm/output_bias": {"": "V"},
    },
    "masked_lm/decoder": {"masked_lm/decoder": {"": "VH"}},
    "next_sentence": {"next_sentence": {"/kernel": "H2", "/bias": "2"}},
    "classifier": {"classifier": {"/kernel": "HC", "/bias": "C"}},
    "span": {"span": {"/kernel": "H2", "/bias": "2"}},
}
HEADS = ("pooler", "masked_lm", "masked_lm/decoder", "next_sentence", "classifier", "span")


@dataclass(frozen=True)
class NameTable:
    """The names that a file format gives to the canonical tensors.

    Attributes:
        stems: canonical stem (or whole name) to the file's; ``{i}`` is the layer's number.
        leaves: canonical leaf to the file's, appended to a stem.
        separator: between the parts of the file's names.
        transposed: kernels whose file name ends so are stored [out, in].
    """

    stems: Mapping[str, str]
    leaves: Mapping[str, str]
    separator: str
    transposed: str

    def file_name(self, canonical: str) -> str | None:
        """Return the file's name of a tensor; None where the format has no such tensor."""
        number = re.match(r"layers/(\d+)/", canonical)
        pattern = f"layers/{{i}}/{canonical[number.end() :]}" if number else canonical
        stem, _, leaf = pattern.rpartition("/")
        name = self.stems.get(pattern)
        if name is None and stem in self.stems and leaf in self.leaves:
            name = self.stems[stem] + self.leaves[leaf]
        return name.replace("{i}", number[1]) if name and number else name

    def is_transposed(self, canonical: str) -> bool:
        """Tell whether the file stores this tensor with its axes swapped."""
        name = self.file_name(canonical)
        return canonical.endswith("/kernel") and bool(name and name.endswith(self.transposed))

    def with_prefix(self, prefix: str) -> "NameTable":
        """Return the table for a file whose encoder has another prefix than ``bert``.

        Args:
            prefix: with its separator; one that ends in ``bert`` and the separator leaves what is
                before it to the heads, any other one is not for heads.
        """
        bert = f"bert{self.separator}"
        heads = prefix.removesuffix(bert)
        stems = {
            canonical: prefix + name.removeprefix(bert) if name.startswith(bert) else heads + name
            for canonical, name in self.stems.items()
        }
        return replace(self, stems=stems)

    def adapted_to(self, stored: Iterable[str], source: object) -> "NameTable":
        """Return the table with the prefix that the names of a file have.

        Raises:
            CheckpointError: the file has no BERT encoder, or several.
        """
        bert = f"bert{self.separator}"
        anchor = self.separator + self.stems["embeddings/word_embeddings"].removeprefix(bert)
        found = [n for n in stored if (self.separator + n).endswith(anchor)]
        if len(found) != 1:
            raise CheckpointError(
                f"{source} must hold the weights of one BERT encoder, but {len(found)} of its "
                f"tensors are named …{anchor}: {', '.join(sorted(found or stored)[:5]) or 'none'}"
            )
        return self.with_prefix(found[0].removesuffix(anchor[1:]))


def group_names(group: str, num_layers: int) -> Iterator[tuple[str, str]]:
    """Yield the canonical names of a group with their shapes in letters."""
    for stem, leaves in GROUPS[group].items():
        for i in range(num_layers if "{i}" in stem else 1):
            for leaf, shape in leaves.items():
                yield stem.replace("{i}", str(i)) + leaf, shape


def expected_shapes(
    config: EncoderConfig, heads: Iterable[str], num_labels: int
) -> dict[str, Shape]:
    """Return the canonical name and shape of every tensor of the encoder and of `heads`."""
    sizes = {
        "V": config.vocab_size,
        "P": config.max_position_embeddings,
        "T": config.type_vocab_size,
        "H": config.hidden_size,
        "I": config.intermediate_size,
        "C": num_labels,
        "2": 2,
    }
    return {
        name: tuple(sizes[letter] for letter in shape)
        for group in ("embeddings", "layers", *heads)
        for name, shape in group_names(group, config.num_hidden_layers)
    }


def heads_of(tensors: Mapping[str, np.ndarray], table: NameTable | None = None) -> list[str]:
    """Return the heads of which there is at least one tensor.

    Args:
        tensors: under canonical names, or under those of `table`.
        table: the names of a file.
    """

    def is_there(name: str) -> bool:
        return (table.file_name(name) if table else name) in tensors

    return [head for head in HEADS if any(is_there(name) for name, _ in group_names(head, 0))]


def to_canonical(
    stored: Mapping[str, np.ndarray],
    table: NameTable,
    expected: Mapping[str, Shape],
    source: object,
) -> dict[str, np.ndarray]:
    """Give the tensors of a file their canonical names and orientation.

    Args:
        stored: the file's names, buffers and optimizer slots already left out.
        table: the file's names.
        expected: from :func:`expected_shapes`.
        source: names the file in the message.

    Raises:
        TensorMismatch: tensors are missing, unexpected, misshapen or not of a float type.
    """
    names = {name: str(table.file_name(name)) for name in expected}
    swapped = {name for name in expected if table.is_transposed(name)}
    shapes = {names[n]: s[::-1] if n in swapped else s for n, s in expected.items()}
    check_fit(stored, shapes, source)
    return {n: stored[f].T if n in swapped else stored[f] for n, f in names.items()}


def to_file(tensors: Mapping[str, np.ndarray], table: NameTable) -> dict[str, np.ndarray]:
    """Give canonical tensors the names and the orientation of a file; C-contiguous.

    Tensors that the format has no name for are left out.
    """
    return {
        file_name: np.ascontiguousarray(array.T if table.is_transposed(name) else array)
        for name, array in tensors.items()
        if (file_name := table.file_name(name)) is not None
    }


def num_labels(tensors: Mapping[str, np.ndarray], table: NameTable | None = None) -> int:
    """Return how many outputs the classifier has; 2 where there is none.

    Args:
        tensors: under canonical names, or under those of `table`.
        table: the names of a file.
    """
    bias = tensors.get(str(table.file_name("classifier/bias") if table else "classifier/bias"))
    return bias.size if bias is not None else 2
