"""Our encoder as ``mteb`` (version 2) asks for one: ``mteb.evaluate(MtebEncoder(name), tasks)``.

It follows mteb's ``EncoderProtocol`` and needs mteb for its description alone, so that it can be
made and tried without it.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertfeat.api import Encoder
from bertfeat.errors import InputError
from bertfeat_tools.scoring.similarity import unit_vectors

Vectors = NDArray[np.float32]


class MtebEncoder:
    """An encoder for mteb's tasks on texts.

    Args:
        model_name: name or folder of the model, or a loaded encoder.
        revision: of a model by name, if not the newest.
        device: as for ``Encoder.load``.
        options: how texts become vectors, as for ``Encoder.encode``: ``layers``, ``pooling`` …
    """

    def __init__(
        self,
        model_name: str | Path | Encoder,
        revision: str | None = None,
        *,
        device: str | None = None,
        **options: Any,
    ) -> None:
        self.encoder = (
            model_name
            if isinstance(model_name, Encoder)
            else Encoder.load(
                f"{model_name}@{revision}" if revision else model_name,
                device="auto" if device is None else device,
            )
        )
        self.name = self.encoder.folder.name if isinstance(model_name, Encoder) else str(model_name)
        self.options = options

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> Vectors:
        """Turn the texts of a data loader into vectors.

        Args:
            inputs: batches, each with a list ``text``.
            task_metadata: has ``name`` and ``type``, by which the model's prompts may go.
            hf_split: not looked at.
            hf_subset: not looked at.
            prompt_type: ``query`` or ``document`` (or mteb's enumeration), or None.
            kwargs: ``batch_size`` and the like; batches are formed by tokens here.

        Returns:
            float32 (texts, dim), in order.

        Raises:
            InputError: a batch holds no texts.
        """
        texts = [text for batch in inputs for text in _texts(batch)]
        role = getattr(prompt_type, "value", prompt_type)
        name = self._prompt_name(task_metadata, role)
        by_role = {"query": self.encoder.encode_query, "document": self.encoder.encode_document}
        if name is None:
            found = by_role.get(role, self.encoder.encode)(texts, **self.options)
        else:
            found = self.encoder.encode(texts, prompt_name=name, **self.options)
        return np.asarray(found, np.float32)

    @property
    def measure(self) -> str:
        """How vectors are compared: ``dot`` where the model's folder says so, else ``cosine``."""
        return "dot" if self.encoder.runtime.modules.similarity == "dot" else "cosine"

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Vectors:
        """Compare all vectors of one side with all of the other, float32 (n, m)."""
        found: Vectors = self._comparable(embeddings1) @ self._comparable(embeddings2).T
        return found

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Vectors:
        """Compare the vectors at the same place, float32 (n,)."""
        left, right = self._comparable(embeddings1), self._comparable(embeddings2)
        found: Vectors = (left * right).sum(axis=1)
        return found

    @cached_property
    def mteb_model_meta(self) -> Any:
        """What mteb writes beside the results; may be set.

        Raises:
            ModuleNotFoundError: mteb is not installed; pip install mteb.
        """
        from mteb.models.model_meta import ModelMeta

        left_open = (
            "loader", "release_date", "languages", "n_parameters", "memory_usage_mb", "license",
            "open_weights", "public_training_code", "public_training_data", "use_instructions",
            "training_datasets",
        )  # fmt: skip
        return ModelMeta(
            name=self.name if self.name.count("/") == 1 else f"bertfeat/{Path(self.name).name}",
            revision=self.encoder.model_hash,
            max_tokens=self.encoder.max_seq_len,
            embed_dim=self.encoder.dim,
            framework=["TensorFlow"],
            similarity_fn_name=self.measure,
            **dict.fromkeys(left_open),
        )

    def _prompt_name(self, task: Any, role: str | None) -> str | None:
        """Return the model's prompt for a task, in mteb's order: the most special one first."""
        prompts = self.encoder.runtime.modules.prompts
        asked = [getattr(task, "name", None), getattr(task, "type", None)]
        names = [name for one in asked if one for name in (f"{one}-{role}", one)]
        return next((name for name in names if name in prompts), None)

    def _comparable(self, vectors: Any) -> Vectors:
        """Return an array or a tensor in the host's memory as rows whose products are wanted."""
        rows = np.atleast_2d(np.asarray(vectors, np.float32))
        return rows if self.measure == "dot" else unit_vectors(rows)


def _texts(batch: Mapping[str, Any]) -> list[str]:
    if "text" not in batch:
        raise InputError(
            f"expected batches with 'text', this one has {', '.join(batch)}; choose tasks on texts"
        )
    return list(batch["text"])
