"""Small random BERT models of transformers, and what is in them, found by attribute."""

from typing import Any

import numpy as np

SIZES = {
    "vocab_size": 50,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
}
HEADED = (
    "BertForPreTraining", "BertForMaskedLM", "BertForNextSentencePrediction",
    "BertForSequenceClassification", "BertForTokenClassification", "BertForMultipleChoice",
    "BertForQuestionAnswering",
)  # fmt: skip


def make(kind: str = "BertModel", seed: int = 0, **overrides: Any) -> Any:
    """A model of a class of transformers, every parameter random (biases and norms too)."""
    import torch
    import transformers

    torch.manual_seed(seed)
    model = getattr(transformers, kind)(transformers.BertConfig(**SIZES | overrides)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "LayerNorm.weight" in name else 0.0, 0.2)
    return model


def canonical(model: Any) -> dict[str, np.ndarray]:
    """The model's parameters under our names, kernels as [in, out]."""
    bert = getattr(model, "bert", model)
    parts: dict[str, Any] = {
        "embeddings/word_embeddings": bert.embeddings.word_embeddings.weight,
        "embeddings/position_embeddings": bert.embeddings.position_embeddings.weight,
        "embeddings/token_type_embeddings": bert.embeddings.token_type_embeddings.weight,
        **_norm("embeddings/layer_norm", bert.embeddings.LayerNorm),
    }
    for i, layer in enumerate(bert.encoder.layer):
        parts |= _dense(f"layers/{i}/attention/query", layer.attention.self.query)
        parts |= _dense(f"layers/{i}/attention/key", layer.attention.self.key)
        parts |= _dense(f"layers/{i}/attention/value", layer.attention.self.value)
        parts |= _dense(f"layers/{i}/attention/output", layer.attention.output.dense)
        parts |= _norm(f"layers/{i}/attention/layer_norm", layer.attention.output.LayerNorm)
        parts |= _dense(f"layers/{i}/intermediate", layer.intermediate.dense)
        parts |= _dense(f"layers/{i}/output", layer.output.dense)
        parts |= _norm(f"layers/{i}/layer_norm", layer.output.LayerNorm)
    if bert.pooler is not None:
        parts |= _dense("pooler", bert.pooler.dense)
    if hasattr(model, "cls"):
        parts |= _pretraining(model)
    for ours, theirs in (("classifier", "classifier"), ("span", "qa_outputs")):
        if hasattr(model, theirs):
            parts |= _dense(ours, getattr(model, theirs))
    return {name: tensor.detach().numpy() for name, tensor in parts.items()}


def _pretraining(model: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if hasattr(model.cls, "predictions"):
        head = model.cls.predictions
        parts |= _dense("masked_lm/transform", head.transform.dense)
        parts |= _norm("masked_lm/layer_norm", head.transform.LayerNorm)
        parts["masked_lm/output_bias"] = head.decoder.bias
        if head.decoder.weight is not model.bert.embeddings.word_embeddings.weight:
            parts["masked_lm/decoder"] = head.decoder.weight
    if hasattr(model.cls, "seq_relationship"):
        parts |= _dense("next_sentence", model.cls.seq_relationship)
    return parts


def _dense(name: str, layer: Any) -> dict[str, Any]:
    return {f"{name}/kernel": layer.weight.T, f"{name}/bias": layer.bias}


def _norm(name: str, layer: Any) -> dict[str, Any]:
    return {f"{name}/gamma": layer.weight, f"{name}/beta": layer.bias}
