"""``index.json``: what an index holds, by which model and features its vectors were made.

Written once, when the index is created, and never changed: documents live in the store.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertfeat.errors import IndexStoreError, InputError

if TYPE_CHECKING:
    from bertfeat.api import Encoder

FILE = "index.json"
FORMAT = "bertfeat-index"
VERSION = 1
KINDS = ("flat",)
METRICS = ("cosine", "inner_product", "l2")
# sentence-transformers' names for how a model's vectors are to be compared.
SIMILARITIES = {None: "cosine", "cosine": "cosine", "dot": "inner_product", "euclidean": "l2"}
FIXED_OPTIONS = ("dtype", "prompt", "prompt_name")


@dataclass(frozen=True, kw_only=True)
class IndexDescription:
    """How the vectors of an index are made and compared.

    Attributes:
        dim: length of the vectors.
        metric: ``cosine``, ``inner_product`` or ``l2``.
        kind: the FAISS index behind it; ``flat`` is exact.
        model: name or folder of the encoder; None for an index of vectors from elsewhere.
        model_hash: sha256 of its weights, or None.
        features: options of ``Encoder.encode`` that differ from the model's own.
        query_prompt: text put before each query, or None for the model's default.
        document_prompt: text put before each document, or None for the model's default.
    """

    dim: int
    metric: str = "cosine"
    kind: str = "flat"
    model: str | None = None
    model_hash: str | None = None
    features: Mapping[str, Any] = field(default_factory=dict)
    query_prompt: str | None = None
    document_prompt: str | None = None

    def __post_init__(self) -> None:
        problems = []
        if isinstance(self.dim, bool) or not isinstance(self.dim, int) or self.dim < 1:
            problems.append(f"dim={self.dim!r} is not a positive whole number")
        if self.metric not in METRICS:
            problems.append(f"metric={self.metric!r} is none of {', '.join(METRICS)}")
        if self.kind not in KINDS:
            problems.append(f"kind={self.kind!r} is none of {', '.join(KINDS)}")
        if problems:
            raise InputError("; ".join(problems))

    def options(self, prompt: str | None) -> dict[str, Any]:
        """Return the keywords of ``Encoder.encode`` (and of the client's) for this index."""
        return dict(self.features) | ({} if prompt is None else {"prompt": prompt})

    def check_model(self, model_hash: str, name: str) -> None:
        """Refuse an encoder whose vectors do not belong here.

        Raises:
            IndexStoreError: the index was made with another model, or with none.
        """
        if self.model_hash is None:
            raise IndexStoreError(
                f"this index was made without a model, so it takes vectors; got texts for {name}. "
                "Create an index with this model, or pass vectors"
            )
        if self.model_hash != model_hash:
            raise IndexStoreError(
                f"the index was made with {self.model} (weights' sha256 {self.model_hash}), but "
                f"the encoder is {name} ({model_hash}); use that model or create another index"
            )


def describe(
    encoder: "Encoder",
    *,
    metric: str | None = None,
    model: str | None = None,
    features: Mapping[str, Any] | None = None,
) -> IndexDescription:
    """Describe an index for an encoder; its folder says metric and prompts unless told otherwise.

    Args:
        metric: one of ``METRICS``; None takes the ``similarity`` that the model's folder names.
        model: the name under which the encoder is found again; its folder unless given.
        features: options of ``Encoder.encode`` such as ``layers``, ``pooling``, ``dimensions``.

    Raises:
        InputError: an option is not acceptable or does not give one float32 vector a text.
    """
    from bertfeat.api import DOCUMENT_PROMPTS, QUERY_PROMPTS

    modules = encoder.runtime.modules
    chosen = dict(features or {})
    if clash := sorted(set(chosen) & set(FIXED_OPTIONS)):
        raise InputError(f"an index chooses {', '.join(clash)} itself; leave it out of features")
    vectors = encoder.encode(["dimension"], **chosen)
    if getattr(vectors, "ndim", 0) != 2:
        raise InputError(f"features={chosen!r} do not give one vector a text; choose a pooling")
    return IndexDescription(
        dim=int(vectors.shape[1]),
        metric=metric or _metric_of(modules.similarity),
        model=model or str(encoder.folder.absolute()),
        model_hash=encoder.model_hash,
        features=chosen,
        query_prompt=_first(modules.prompts, QUERY_PROMPTS),
        document_prompt=_first(modules.prompts, DOCUMENT_PROMPTS),
    )


def write_description(folder: Path, description: IndexDescription) -> None:
    """Write ``index.json`` at once or not at all."""
    content = {"format": FORMAT, "version": VERSION} | asdict(description)
    partial = folder / f"{FILE}.partial"
    with partial.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / FILE)


def read_description(folder: Path) -> IndexDescription:
    """Read ``index.json``.

    Raises:
        IndexStoreError: there is none, or it is not one that this version reads.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise IndexStoreError(
            f"{folder} is not an index: it has no {FILE}; "
            f"make one with: bertfeat index create {folder}"
        ) from error
    except (OSError, ValueError) as error:
        raise IndexStoreError(f"{path} cannot be read: {error}; restore it from a copy") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise IndexStoreError(f"{path} does not describe a {FORMAT}")
    version = content.pop("version", None)
    if version != VERSION:
        raise IndexStoreError(
            f"{path} has version {version!r}, this program reads {VERSION}; install the bertfeat "
            "that made it, or create the index anew"
        )
    known = {entry.name for entry in fields(IndexDescription)}
    if unknown := sorted(set(content) - known):
        raise IndexStoreError(f"{path} has unknown keys: {', '.join(unknown)}")
    try:
        return IndexDescription(**content)
    except (TypeError, InputError) as error:
        raise IndexStoreError(f"{path}: {error}; restore it from a copy") from error


def _metric_of(similarity: str | None) -> str:
    if similarity not in SIMILARITIES:
        raise InputError(
            f"the model's folder names the similarity {similarity!r}, which an index has not; "
            f"choose a metric of {', '.join(METRICS)}"
        )
    return SIMILARITIES[similarity]


def _first(prompts: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((prompts[name] for name in names if name in prompts), None)
