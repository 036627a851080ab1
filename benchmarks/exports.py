"""Turn a model's folder into the forms that peers read, with each peer's own converter.

``python benchmarks/exports.py FORM MODEL TARGET`` runs in the peer's environment.
"""

import csv
import json
import shutil
import sys
from pathlib import Path

from export_gguf import write_gguf
from machine import cpu_flags
from texts import sts_pairs


def to_onnx(model: Path, target: Path) -> None:
    """ONNX in float32 and, dynamically quantized for this processor, in int8."""
    from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model

    loaded = SentenceTransformer(
        str(model), device="cpu", backend="onnx", model_kwargs={"export": True}
    )
    loaded.save_pretrained(str(target))
    kind = "avx512_vnni" if "avx512_vnni" in cpu_flags() else "avx2"
    export_dynamic_quantized_onnx_model(loaded, kind, str(target), file_suffix="int8")
    write_tokenizer(model, target)


def to_openvino(model: Path, target: Path) -> None:
    """OpenVINO in float32 and, calibrated on texts of the STS benchmark, in int8."""
    from sentence_transformers import SentenceTransformer, export_static_quantized_openvino_model

    loaded = SentenceTransformer(
        str(model), device="cpu", backend="openvino", model_kwargs={"export": True}
    )
    loaded.save_pretrained(str(target))
    calibration = target / "calibration"
    calibration.mkdir()
    with (calibration / "train.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["sentence"], *([first] for first, _ in sts_pairs("train")[0])])
    export_static_quantized_openvino_model(
        loaded, None, str(target), dataset_name=str(calibration), dataset_config_name="default",
        dataset_split="train", column_name="sentence", file_suffix="int8",
    )  # fmt: skip


def to_ctranslate2(model: Path, target: Path) -> None:
    """CTranslate2, its weights in int8."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(model)).convert(str(target), quantization="int8")
    write_tokenizer(model, target)


def write_tokenizer(model: Path, target: Path) -> None:
    """Write the tokenizer so that all cut texts where the model does, and none pads more."""
    settings = json.loads((model / "tokenizer_config.json").read_text("utf-8"))
    sentence = json.loads((model / "sentence_bert_config.json").read_text("utf-8"))
    settings |= {"model_max_length": sentence["max_seq_length"]}
    settings.pop("max_length", None)
    (target / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    tokenizer = json.loads((model / "tokenizer.json").read_text("utf-8"))
    tokenizer |= {"padding": None, "truncation": None}
    (target / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")


def to_gguf(model: Path, target: Path) -> None:
    """Llama.cpp's file, its matrices in q8_0."""
    target.mkdir()
    write_gguf(model, target / "model-q8_0.gguf")


def to_model2vec(model: Path, target: Path) -> None:
    """A static vector for each token of the vocabulary."""
    from model2vec.distill import distill

    distill(model_name=str(model)).save_pretrained(str(target))


FORMS = {
    "onnx": to_onnx,
    "openvino": to_openvino,
    "ctranslate2": to_ctranslate2,
    "gguf": to_gguf,
    "model2vec": to_model2vec,
}


def main(form: str, model: Path, target: Path) -> None:
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    FORMS[form](model, unfinished)
    unfinished.rename(target)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
