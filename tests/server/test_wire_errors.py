"""Every error of the library has its place on the wire."""

import pytest

from bertfeat import errors as library
from bertfeat_client import errors as wire
from bertfeat_server.wire_errors import TABLE, translate


def family(base: type) -> set[type]:
    return {base}.union(*(family(child) for child in base.__subclasses__()))


def test_every_error_of_the_library_is_in_the_table():
    named = {kind for kind in vars(library).values() if isinstance(kind, type)}
    assert {kind for kind in named if issubclass(kind, library.BertFeatError)} == set(TABLE)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (library.InputError("texts[3]: bad"), "invalid_request"),
        (library.TextTooLong("600 tokens"), "invalid_request"),
        (library.MissingHead("no classifier"), "not_found"),
        (library.NonFiniteError("NaN"), "internal_error"),
        (wire.Overloaded("full", retry_after_s=2.0), "overloaded"),
    ],
)
def test_an_error_keeps_its_words(error, code):
    found = translate(error)
    assert (found.code, str(found)) == (code, str(error))


def test_a_subclass_unknown_to_the_table_is_what_its_nearest_parent_is():
    class Stranger(library.TextTooLong):
        pass

    assert translate(Stranger("x")).code == "invalid_request"


def test_a_surprise_is_not_translated_so_that_its_words_stay_in_the_log():
    assert translate(KeyError("/secret/path")) is None
