"""What users call is there, and what a package exports is sorted and real."""

import ast
import importlib
import inspect

import pytest

from source_tree import all_modules

EXPORTING = [
    module.name
    for module in all_modules()
    if any(
        isinstance(node, ast.Assign) and "__all__" in [getattr(t, "id", "") for t in node.targets]
        for node in module.tree.body
    )
]
ENCODER = {
    "attentions", "config", "dim", "encode", "encode_document", "encode_query", "extract",
    "fill_mask", "folder", "load", "next_sentence", "pseudo_log_likelihood", "rerank", "score",
    "tokenizer",
}  # fmt: skip
CLIENT = {
    "close", "encode", "encode_stream", "index_add", "index_delete", "info", "rerank", "search",
    "similarity", "status", "tokens",
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTING)
def test_exports_are_sorted_and_exist(name):
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__)
    assert [export for export in module.__all__ if not hasattr(module, export)] == []


@pytest.mark.parametrize(
    "name", ["bertfeat", "bertfeat_client", "bertfeat.checkpoints", "bertfeat.tokenization"]
)
def test_the_packages_that_users_import_from_say_what_they_export(name):
    assert name in EXPORTING


def test_the_encoder_has_every_promised_name(tiny_bert):
    from bertfeat import Encoder

    assert ENCODER - set(dir(Encoder.load(tiny_bert()))) == set()


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_the_clients_have_every_promised_name(kind):
    client = getattr(importlib.import_module("bertfeat_client"), kind)
    assert CLIENT - set(dir(client)) == set()


def test_both_clients_take_the_same_arguments():
    import bertfeat_client

    for name in CLIENT:
        of_one = inspect.signature(getattr(bertfeat_client.Client, name))
        of_other = inspect.signature(getattr(bertfeat_client.AsyncClient, name))
        assert list(of_one.parameters) == list(of_other.parameters), name


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    import bertfeat

    assert bertfeat.__version__ == version("bertfeat")
