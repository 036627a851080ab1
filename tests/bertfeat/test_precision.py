"""Which precision is chosen and why, and vectors that do not depend on what shares the batch."""

import numpy as np
import pytest

from bertfeat import Encoder, loading
from bertfeat.engine import choose
from bertfeat.engine.choose import (
    check_precision,
    choose_precision,
    runs_under_litert,
    splits_by_size,
)
from bertfeat.engine.sized_engine import SMALL_TOKENS, SizedEngine
from bertfeat.errors import ConfigError, ParityError
from bertfeat.fidelity import LEAST_INT8, Fidelity, cache_fidelity, cached_fidelity, check

ZEN_4 = {"avx2", "avx512f", "avx512_vnni", "avx512_bf16"}
SAPPHIRE_RAPIDS = ZEN_4 | {"amx_bf16"}


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Pretend to be another processor; ``ONEDNN_MAX_CPU_ISA`` as asked."""

    def pretend(flags, limit=None):
        (tmp_path / "cpuinfo").write_text(f"flags\t\t: fpu {' '.join(sorted(flags))}\n")
        monkeypatch.setattr(choose, "CPU_INFO", tmp_path / "cpuinfo")
        if limit:
            monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)

    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    return pretend


@pytest.mark.parametrize(
    ("flags", "limit", "precision", "reason"),
    [
        (ZEN_4, None, "bfloat16", "this processor has avx512_bf16, cosine to float32 0.99995"),
        (SAPPHIRE_RAPIDS, None, "bfloat16", "has amx_bf16 and avx512_bf16"),
        (SAPPHIRE_RAPIDS, "AVX512_CORE_BF16", "bfloat16", "has avx512_bf16, "),
        (SAPPHIRE_RAPIDS, "AVX512_CORE_AMX", "bfloat16", "has amx_bf16 and avx512_bf16"),
        (ZEN_4, "AVX2", "float32", "no bfloat16 instructions"),
        (ZEN_4, "AVX512_CORE_VNNI", "float32", "no bfloat16 instructions"),
        (ZEN_4 - {"avx512_bf16"}, None, "float32", "no bfloat16 instructions"),
    ],
)
def test_auto_goes_by_what_the_processor_has(processor, flags, limit, precision, reason):
    processor(flags, limit)
    choice = choose_precision("auto", False, lambda _: 0.99995)
    assert choice.precision == precision
    assert reason in choice.reason


def test_auto_takes_nothing_that_is_not_faithful(processor):
    processor(ZEN_4)
    choice = choose_precision("auto", False, lambda _: 0.9998)
    assert choice.precision == "float32"
    assert "have cosine 0.99980 to float32, less than 0.9999" in choice.reason


def test_auto_takes_bfloat16_on_a_gpu(processor):
    processor(set())
    assert choose_precision("auto", True).precision == "bfloat16"


@pytest.mark.parametrize(
    ("engine", "precision", "accelerated", "litert"),
    [
        ("auto", "float32", False, True),
        ("auto", "float32", True, False),
        ("auto", "bfloat16", False, False),
        ("auto", "int8", True, True),
        ("litert", "float32", True, True),
        ("keras", "float32", False, False),
    ],
)
def test_litert_runs_what_it_runs_fastest(monkeypatch, engine, precision, accelerated, litert):
    monkeypatch.setattr(choose, "asked_backend", lambda: None)
    assert runs_under_litert(engine, precision, accelerated) is litert
    monkeypatch.setattr(choose, "asked_backend", lambda: "jax")
    assert runs_under_litert(engine, precision, accelerated) is (
        litert and engine != "auto" or precision == "int8"
    )


@pytest.mark.parametrize(
    ("engine", "precision", "accelerated", "threads", "splits"),
    [
        ("auto", "bfloat16", False, 2, True),
        ("auto", "bfloat16", False, 1, False),
        ("auto", "bfloat16", True, 2, False),
        ("auto", "float32", False, 2, False),
        ("keras", "bfloat16", False, 2, False),
    ],
)
def test_only_bfloat16_on_several_cores_is_split_by_size(
    monkeypatch, engine, precision, accelerated, threads, splits
):
    monkeypatch.setattr(choose, "asked_backend", lambda: None)
    assert splits_by_size(engine, precision, accelerated, threads) is splits
    monkeypatch.setattr(choose, "asked_backend", lambda: "tensorflow")
    assert not splits_by_size(engine, precision, accelerated, threads)
    monkeypatch.setattr(choose, "asked_backend", lambda: None)
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    assert not splits_by_size(engine, precision, accelerated, threads)


def test_small_batches_are_those_of_float32_and_large_ones_those_of_bfloat16(
    tiny_bert, monkeypatch
):
    monkeypatch.setattr(loading, "usable_cores", lambda: 2)
    folder = tiny_bert(seed=5, hidden_size=64, intermediate_size=128)
    split = Encoder.load(folder, precision="bfloat16")
    exact, coarse = (Encoder.load(folder, precision=p, engine="keras")
                     for p in ("float32", "bfloat16"))  # fmt: skip
    assert isinstance(split.runtime.engine, SizedEngine)
    assert (split.precision, split.runtime.engine.name) == ("bfloat16", "tensorflow")
    split.warm_up()
    warm = split.runtime.engine.compilations
    few, many = ["the cat sat"], ["the cat sat on the mat"] * (SMALL_TOKENS // 8 + 1)
    for texts, same in ((few, exact), (many, coarse)):
        found, expected = (e.encode(texts, pooling="mean") for e in (split, same))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    small, large = (e.encode(few, pooling="mean") for e in (split, coarse))
    assert not np.allclose(small, large, rtol=0, atol=1e-5)
    assert split.runtime.engine.compilations == warm
    found, expected = (e.attentions(few[0]) for e in (split, coarse))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_what_is_asked_for_is_taken(processor):
    processor(set())
    assert choose_precision("bfloat16", False).precision == "bfloat16"
    with pytest.raises(ConfigError, match=r"precision='int4' is none of auto, float32.*int8"):
        check_precision("int4")


def test_the_fidelity_is_measured_once_for_each_model(processor, tiny_bert, tmp_path, monkeypatch):
    monkeypatch.setenv("BERTFEAT_CACHE", str(tmp_path / "cache"))
    processor(ZEN_4)
    folder = tiny_bert(seed=5, hidden_size=64, intermediate_size=128)
    first = Encoder.load(folder, precision="auto")
    assert "cosine to float32 0.999" in first.precision_reason
    monkeypatch.setattr(loading, "measure", None)
    again = Encoder.load(folder, precision="auto")
    assert (again.precision, again.precision_reason) == (first.precision, first.precision_reason)


def test_a_load_whose_vectors_are_not_those_of_its_weights_is_refused(tiny_bert):
    exact, other = (Encoder.load(tiny_bert(seed=seed)).runtime for seed in (0, 1))
    assert check(exact, exact, "float32").worst_cosine == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ParityError, match="float32 vectors have a cosine of .* at least 0.9999"):
        check(other, exact, "float32")
    with pytest.raises(ParityError, match=f"int8 vectors .* at least {LEAST_INT8}"):
        check(other, exact, "int8")


def test_a_damaged_measurement_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("BERTFEAT_CACHE", str(tmp_path))
    cache_fidelity("key", Fidelity(0.5, 0.25, 3))
    assert cached_fidelity("key") == Fidelity(0.5, 0.25, 3)
    (tmp_path / "fidelity" / "key.json").write_text("{")
    assert cached_fidelity("key") is None


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_batch_invariant_vectors_have_the_same_bits_in_any_company(
    tiny_bert, tmp_path, monkeypatch, precision
):
    monkeypatch.setenv("BERTFEAT_CACHE", str(tmp_path))
    folder = tiny_bert(seed=6, hidden_size=64, intermediate_size=128)
    encoder = Encoder.load(folder, precision=precision, batch_invariant=True)
    texts = ["cat", "the cat sat on the mat", "hello world", "rain", "the big red dog ran in"]
    together = encoder.encode(texts, pooling="mean")
    for company in ([0], [1], [3, 1], [4, 2, 0], [2, 1, 4, 3]):
        found = encoder.encode([texts[number] for number in company], pooling="mean")
        np.testing.assert_array_equal(found, together[company])
