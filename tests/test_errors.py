"""The two error trees and the table that joins them."""

import pickle

import numpy as np
import pytest

from bertfeat import errors as library
from bertfeat_client import errors as wire
from bertfeat_server.wire_errors import TABLE, translate


def below(base: type[Exception]) -> list[type[Exception]]:
    """A class and everything derived from it in the same file."""
    return [base, *(kind for child in base.__subclasses__() for kind in below(child))]


LIBRARY = [kind for kind in below(library.BertFeatError) if kind.__module__ == library.__name__]
WIRE = [kind for kind in below(wire.ServerError) if kind.__module__ == wire.__name__]


@pytest.mark.parametrize("module", [library, wire], ids=["library", "client"])
def test_the_drawing_at_the_top_of_the_file_shows_every_error(module):
    root = library.BertFeatError if module is library else wire.ClientError
    kinds = {kind.__name__ for kind in below(root) if kind.__module__ == module.__name__}
    drawn = {line.strip(" │├└")[:40].split(" ")[0] for line in module.__doc__.splitlines()}
    assert kinds - drawn == set()


@pytest.mark.parametrize("kind", LIBRARY, ids=lambda kind: kind.__name__)
def test_every_error_of_the_library_has_its_error_on_the_wire(kind):
    assert kind in TABLE


@pytest.mark.parametrize("kind", WIRE[1:], ids=lambda kind: kind.__name__)
def test_every_error_on_the_wire_comes_back_as_itself(kind):
    sent = kind("texts[3]: expected a string, got None", "4f2a", 1.5)
    received = wire.from_wire(wire.to_wire(sent), "4f2a")
    assert type(received) is kind
    assert (str(received), received.request_id, received.retry_after_s) == (str(sent), "4f2a", 1.5)


def test_codes_on_the_wire_are_unique():
    assert len({kind.code for kind in WIRE}) == len(WIRE)


def test_a_subclass_made_elsewhere_is_translated_as_its_base():
    class Special(library.TextTooLong):
        pass

    translated = translate(Special("texts[0] has 600 tokens"))
    assert type(translated) is wire.InvalidRequest
    assert str(translated) == "texts[0] has 600 tokens"


def test_a_surprise_is_not_translated():
    assert translate(ZeroDivisionError("secret")) is None


def test_an_unknown_code_is_an_internal_error():
    assert type(wire.from_wire({"code": "brand_new", "message": "?"})) is wire.InternalError


@pytest.mark.parametrize("module", [library, wire], ids=["library", "client"])
def test_row_errors_name_the_first_row_and_survive_pickling(module):
    rows = {5: ValueError("five"), 2: ValueError("two")}
    error = module.RowErrors(rows, np.arange(3.0))
    copy = pickle.loads(pickle.dumps(error))
    for each in (error, copy):
        assert "2 row(s) failed, the first is row 2: two" in str(each)
        assert sorted(each.errors) == [2, 5]
        np.testing.assert_array_equal(each.vectors, [0.0, 1.0, 2.0])
