"""Which systems are measured, in which settings, and from which form of the model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OURS = "bertfeat float32"
BASELINE = "sentence-transformers float32"


@dataclass(frozen=True)
class System:
    """One row of the table.

    Attributes:
        name: as it is printed.
        kind: the class in ``systems.py``.
        environment: the part of ``requirements/peers.txt`` it runs in; empty for our own.
        form: what ``exports.py`` makes of the model for it; empty for the model's own folder.
        options: what the class is given.
        note: what a reader should know of the setting.
        like_float32: whether vectors unlike float32's are a fault.
    """

    name: str
    kind: str
    environment: str = ""
    form: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    like_float32: bool = True


def ours(precision: str) -> System:
    """Return our row in a precision."""
    return System(f"bertfeat {precision}", "Bertfeat", options={"precision": precision})


def torch(name: str, note: str, **options: Any) -> System:
    """Return a row of sentence-transformers' own back end."""
    return System(
        f"sentence-transformers {name}", "SentenceTransformers", "torch", options=options, note=note
    )


def onnx(name: str, file: str) -> System:
    """Return a row of sentence-transformers' ONNX back end."""
    return System(
        f"sentence-transformers ONNX {name}", "SentenceTransformers", "onnx", "onnx",
        {"backend": "onnx", "file_name": file}, "batch_size=32, its default",
    )  # fmt: skip


def openvino(name: str, file: str, hint: str, note: str = "batch_size=32, its default") -> System:
    """Return a row of sentence-transformers' OpenVINO back end."""
    config = {"INFERENCE_PRECISION_HINT": hint}
    options = {"backend": "openvino", "file_name": file, "ov_config": config}
    return System(
        f"sentence-transformers OpenVINO {name}", "SentenceTransformers", "openvino", "openvino",
        options, note,
    )  # fmt: skip


ROSTER = (
    ours("float32"),
    ours("auto"),
    ours("int8"),
    torch("float32", "the baseline: batch_size=32, its default"),
    torch("float32 batch 8", "a batch that suits the caches", batch_size=8),
    torch("bfloat16", "batch_size=32, its default", dtype="bfloat16"),
    onnx("float32", "model.onnx"),
    onnx("int8", "model_int8.onnx"),
    openvino("float32", "openvino_model.xml", "f32"),
    openvino(
        "bfloat16", "openvino_model.xml", "bf16",
        "computes in float32 where the processor has no bfloat16",
    ),
    openvino(
        "int8", "openvino_model_int8.xml", "f32", "calibrated on 300 texts of the STS benchmark"
    ),
    System(
        "fastembed float32", "FastEmbed", "fastembed", "onnx", {}, "batch_size=256, its default"
    ),
    System(
        "fastembed float32 batch 16", "FastEmbed", "fastembed", "onnx", {"batch_size": 16},
        "it does not sort texts by length, so small batches pad less",
    ),
    System(
        "ONNX Runtime int8", "OnnxRuntime", "fastembed", "onnx", {"file": "model_int8.onnx"},
        "dynamic quantization; sorted by length, batches of 16",
    ),
    System(
        "CTranslate2 int8", "CTranslate2", "ctranslate2", "ctranslate2", {"compute_type": "int8"},
        "sorted by length, batches of 16",
    ),
    System("llama.cpp q8_0", "LlamaCpp", "llama", "gguf", {}, "batches of 2,048 tokens"),
    System(
        "model2vec", "Model2Vec", "model2vec", "model2vec", {},
        "a floor: a table of static vectors, distilled from the model", like_float32=False,
    ),
)  # fmt: skip
