"""What each format writes, compared with Python's json, NumPy and pyarrow reading it back."""

import io
import json
from collections import OrderedDict

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bertfeat.features.writers.decimals import format_rows
from bertfeat.features.writers.google_jsonl import GoogleJsonl
from bertfeat.features.writers.json_arrays import JsonArrays, to_json
from bertfeat.features.writers.npy import Npy
from bertfeat.features.writers.npz import Npz
from bertfeat.features.writers.rows import TokenRow, VectorRow
from bertfeat.features.writers.token_parquet import TokenParquet
from bertfeat.features.writers.vector_parquet import VectorParquet

FLOATS = st.floats(width=32) | st.floats(-(2**-13), 2**-13, width=32) | st.floats(-3, 3, width=32)
EDGES = [
    0.0, -0.0, 1e-7, -1e-7, 5e-7, 1e-6, 1.5e-6, 9.9e-5, 9.99995e-5, 1e-4, 0.1, 0.5, 1.0, 0.0078125,
    -0.0078125, 0.0234375, 123.4, 999.9999, 999.99994, 1000.0, 16777216.0, 3.4e38, 1e-45, 9.5e15,
    np.nan, np.inf, -np.inf,
]  # fmt: skip
ROWS = [
    TokenRow(
        0,
        ["[CLS]", 'a"b\\', "中", "[SEP]"],
        [(0, 0), (0, 4), (5, 6), (0, 0)],
        np.linspace(-2, 2, 24, dtype=np.float32).reshape(2, 4, 3),
    ),
    TokenRow(1, [], [], np.zeros((2, 0, 3), np.float32), error="in.txt, line 2: bad"),
    TokenRow(2, ["x"], [(7, 8)], np.full((2, 1, 3), 1 / 3, np.float32), truncated=True),
]


def by_python(values) -> str:
    """What google-research/bert writes between the brackets of "values"."""
    return json.dumps([round(float(x), 6) for x in values.flat])[1:-1]


def google(row: TokenRow, layers) -> str:
    """The line as google-research/bert extract_features.py makes it."""
    output_json = OrderedDict()
    output_json["linex_index"] = row.index
    all_features = []
    for i, token in enumerate(row.tokens):
        all_layers = []
        for j, layer_index in enumerate(layers):
            layer = OrderedDict()
            layer["index"] = layer_index
            layer["values"] = [round(float(x), 6) for x in row.vectors[j][i : (i + 1)].flat]
            all_layers.append(layer)
        features = OrderedDict()
        features["token"] = token
        features["layers"] = all_layers
        all_features.append(features)
    output_json["features"] = all_features
    return json.dumps(output_json) + "\n"


def written(form, rows, tmp_path, name):
    """Write rows and finish the file."""
    parts = [tmp_path / f"{name}.part{suffix}" for suffix in form.streams]
    files = [part.open("wb") for part in parts]
    form.begin(files)
    for row in rows:
        form.append(row, files)
    for file in files:
        file.close()
    form.finish(parts, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    return tmp_path / name


@settings(max_examples=500)
@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(1, 8)), elements=FLOATS))
def test_numbers_are_those_of_pythons_json(values):
    assert [text.decode() for text in format_rows(values)] == [by_python(row) for row in values]


@given(st.integers(0, 2**32 - 1))
def test_any_bit_pattern_is_written_as_python_writes_it(bits):
    value = np.array([[bits]], np.uint32).view(np.float32)
    assert format_rows(value)[0].decode() == by_python(value)


def test_edges_are_those_of_pythons_json():
    values = np.array(EDGES, np.float32)
    assert format_rows(values[None])[0].decode() == by_python(values)
    assert [text.decode() for text in format_rows(values[:, None])] == [
        by_python(value[None]) for value in values
    ]


def test_every_millionth_up_to_one_is_written_as_python_writes_it():
    values = np.arange(-1_000_000, 1_000_001, 7) / 1e6
    values = values.astype(np.float32)
    assert format_rows(values[None])[0].decode() == by_python(values)


def test_values_that_are_not_contiguous_are_read_by_their_axes():
    values = np.arange(12, dtype=np.float32).reshape(3, 4).T
    assert format_rows(values)[1] == b"1.0, 5.0, 9.0"


def test_a_google_line_is_byte_for_byte_that_of_pythons_json():
    for row in (ROWS[0], ROWS[2]):
        assert GoogleJsonl([-1, -2]).line(row).decode() == google(row, [-1, -2])


@given(
    hnp.arrays(np.float32, st.tuples(*[st.integers(1, 3)] * 3), elements=FLOATS),
    st.lists(st.text(), min_size=3, max_size=3),
)
def test_any_google_line_is_byte_for_byte_that_of_pythons_json(vectors, tokens):
    layers = list(range(-1, -1 - len(vectors), -1))
    row = TokenRow(7, tokens[: vectors.shape[1]], [(0, 0)] * vectors.shape[1], vectors)
    assert GoogleJsonl(layers).line(row).decode() == google(row, layers)


def test_a_golden_google_line():
    row = TokenRow(3, ["[CLS]", "né"], [(0, 0), (0, 2)], np.float32([[[0.1, -2e-6], [1, 0]]]))
    assert GoogleJsonl([-4]).line(row) == (
        b'{"linex_index": 3, "features": ['
        b'{"token": "[CLS]", "layers": [{"index": -4, "values": [0.1, -2e-06]}]}, '
        b'{"token": "n\\u00e9", "layers": [{"index": -4, "values": [1.0, 0.0]}]}]}\n'
    )


def test_a_failed_line_keeps_its_place_with_an_error():
    line = GoogleJsonl([-1, -2]).line(ROWS[1])
    assert json.loads(line) == {"linex_index": 1, "features": [], "error": "in.txt, line 2: bad"}


def test_words_have_their_characters():
    features = json.loads(GoogleJsonl([-1, -2], spans=True).line(ROWS[0]))["features"]
    assert [(f["token"], f["start"], f["end"]) for f in features[1:3]] == [
        ('a"b\\', 0, 4), ("中", 5, 6),
    ]  # fmt: skip
    assert list(features[0]) == ["token", "start", "end", "layers"]


@given(
    hnp.arrays(np.float32, 5, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
)
def test_json_arrays_give_back_the_same_bits(vector):
    again = np.array(json.loads(to_json(vector)), np.float32)
    assert again.tobytes() == vector.tobytes()


def test_json_arrays_nest_layers_and_hold_a_failed_lines_place():
    stream = io.BytesIO()
    form = JsonArrays()
    form.append(VectorRow(0, np.float32([[0.1, 1], [2, 3]])), [stream])
    form.append(VectorRow(1, np.zeros((2, 2)), error="bad"), [stream])
    form.append(VectorRow(2, np.int8([[-1, 2], [3, 4]])), [stream])
    assert stream.getvalue() == b"[[0.1, 1.0], [2.0, 3.0]]\nnull\n[[-1, 2], [3, 4]]\n"


@pytest.mark.parametrize("rows", [0, 1, 12345])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8"])
def test_an_npy_file_holds_every_row(tmp_path, rows, dtype):
    vectors = (np.arange(rows * 6).reshape(rows, 2, 3) % 100).astype(dtype)
    form = Npy((2, 3), np.dtype(dtype))
    path = written(form, [VectorRow(i, v) for i, v in enumerate(vectors)], tmp_path, "x.npy")
    found = np.load(path)
    assert (found.dtype, found.shape) == (vectors.dtype, vectors.shape)
    np.testing.assert_array_equal(found, vectors)


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_vector_parquet_has_null_where_a_line_failed(tmp_path, shape):
    vectors = np.random.default_rng(0).standard_normal((5000, *shape)).astype(np.float32)
    rows = [
        VectorRow(i, v, error=f"line {i + 1}: bad" if i == 4321 else None)
        for i, v in enumerate(vectors)
    ]
    path = written(VectorParquet(shape, np.dtype("f4")), rows, tmp_path, "x.parquet")
    table = pq.read_table(path)
    assert table.column("index").to_pylist() == list(range(5000))
    found = table.column("embedding").to_pylist()
    assert found.pop(4321) is None
    np.testing.assert_array_equal(np.float32(found), np.delete(vectors, 4321, 0))
    errors = table.column("error").to_pylist()
    assert errors.pop(4321) == "line 4322: bad"
    assert set(errors) == {None}


def test_vector_parquet_of_no_lines_is_an_empty_table(tmp_path):
    path = written(VectorParquet((3,), np.dtype("f2")), [], tmp_path, "x.parquet")
    assert pq.read_table(path).num_rows == 0


def test_an_npz_archive_splits_into_lines(tmp_path):
    found = np.load(written(Npz([-1, -2], 3), ROWS, tmp_path, "x.npz"), allow_pickle=False)
    assert found["layers"].tolist() == [-1, -2]
    assert found["lengths"].tolist() == [4, 0, 1]
    assert found["failed"].tolist() == [1]
    assert found["tokens"].tolist() == ["[CLS]", 'a"b\\', "中", "[SEP]", "x"]
    assert found["spans"].tolist() == [[0, 0], [0, 4], [5, 6], [0, 0], [7, 8]]
    lines = np.split(found["vectors"], found["lengths"].cumsum()[:-1])
    for line, row in zip(lines, ROWS, strict=True):
        np.testing.assert_array_equal(line.swapaxes(0, 1), row.vectors)


def test_token_parquet_has_a_row_for_each_line(tmp_path):
    table = pq.read_table(written(TokenParquet([-1, -2], 3), ROWS, tmp_path, "x.parquet"))
    for found, row in zip(table.to_pylist(), ROWS, strict=True):
        assert found["linex_index"] == row.index
        assert found["tokens"] == list(row.tokens)
        assert [*zip(found["starts"], found["ends"], strict=True)] == list(row.spans)
        assert found["error"] == row.error
        for layer, vectors in zip(("layer_-1", "layer_-2"), row.vectors, strict=True):
            np.testing.assert_array_equal(np.float32(found[layer]).reshape(-1, 3), vectors)


@pytest.mark.parametrize(("form", "name"), [(Npz, "x.npz"), (TokenParquet, "x.parquet")])
def test_many_lines_come_back_from_the_spool_in_their_order(tmp_path, form, name):
    rng = np.random.default_rng(0)
    sizes = rng.integers(0, 40, 700)
    rows = [
        TokenRow(i, [f"t{i}"] * n, [(0, 1)] * n, rng.standard_normal((1, n, 2)).astype("f4"))
        for i, n in enumerate(sizes)
    ]
    path = written(form([-1], 2), rows, tmp_path, name)
    expected = np.concatenate([row.vectors[0] for row in rows])
    if form is Npz:
        assert np.load(path)["lengths"].tolist() == sizes.tolist()
        np.testing.assert_array_equal(np.load(path)["vectors"][:, 0], expected)
    else:
        column = pq.read_table(path).column("layer_-1").to_pylist()
        assert [len(vectors) for vectors in column] == sizes.tolist()
        np.testing.assert_array_equal(np.float32(sum(column, [])), expected)
