"""From a model's folder to a tokenizer and back: whose word counts."""

import json
import logging

import pytest
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Library

from bertfeat.errors import InputError
from bertfeat.tokenization import Tokenizer

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LOWER = [*SPECIALS, "hello", "##lo", "el", "a", "b", "##b", "é", "élan", "elan", "中", "##国", "国"]
CASED = [*LOWER, "Hello", "Élan", "A"]


def tokens_of(folder, text, **options):
    return Tokenizer.from_folder(folder, **options).encode(text).tokens[1:-1]


def library_json(tokens=LOWER, *, lowercase=True, **model):
    """A tokenizer.json as the library writes it, with padding and truncation switched on."""
    vocabulary = {token: index for index, token in enumerate(tokens)}
    library = Library(models.WordPiece(vocabulary, unk_token="[UNK]", **model))
    library.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.add_special_tokens(SPECIALS)
    library.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    library.enable_padding(length=12, direction="left")
    library.enable_truncation(3)
    return json.loads(library.to_str())


# --- whose word counts


def test_a_vocabulary_with_capitals_is_read_as_cased_and_one_without_as_uncased(make):
    assert tokens_of(make(CASED), "Hello Élan") == ["Hello", "Élan"]
    assert tokens_of(make(LOWER), "Hello Élan") == ["hello", "elan"]


def test_capitals_in_special_tokens_do_not_make_a_vocabulary_cased(make):
    assert Tokenizer.from_folder(make([*LOWER, "<S>", "<T>", "[unused1]"])).lowercase


def test_the_config_says_more_than_the_vocabulary(make):
    lower = make(CASED, {"tokenizer_config.json": {"do_lower_case": True}})
    assert tokens_of(lower, "Hello") == ["hello"]
    cased = make(LOWER, {"tokenizer_config.json": {"do_lower_case": False}})
    assert tokens_of(cased, "Hello é") == ["[UNK]", "é"]


def test_the_caller_says_more_than_the_config(make):
    folder = make(CASED, {"tokenizer_config.json": {"do_lower_case": False}})
    assert tokens_of(folder, "Hello Élan", lowercase=True) == ["hello", "elan"]
    folder = make(CASED, {"tokenizer_config.json": {"do_lower_case": True}})
    assert tokens_of(folder, "Hello Élan", lowercase=False) == ["Hello", "Élan"]


def test_accents_can_be_kept_or_stripped_whatever_the_case(make):
    keep = make(LOWER, {"tokenizer_config.json": {"do_lower_case": True, "strip_accents": False}})
    assert tokens_of(keep, "ÉLAN") == ["élan"]
    strip = make(CASED, {"tokenizer_config.json": {"do_lower_case": False, "strip_accents": True}})
    assert tokens_of(strip, "élan Élan") == ["elan", "[UNK]"]


def test_chinese_characters_are_spaced_out_unless_the_config_says_no(make):
    assert tokens_of(make(LOWER), "中国") == ["中", "国"]
    folder = make(LOWER, {"tokenizer_config.json": {"tokenize_chinese_chars": False}})
    assert tokens_of(folder, "中国") == ["中", "##国"]


def test_tokenizer_json_says_more_than_vocab_txt(make):
    folder = make(["other"], {"tokenizer.json": library_json()})
    assert tokens_of(folder, "Hello") == ["hello"]


def test_tokenizer_json_decides_about_case_where_the_config_is_silent(make):
    folder = make(CASED, {"tokenizer.json": library_json(CASED, lowercase=False)})
    assert tokens_of(folder, "Hello") == ["Hello"]


def test_the_config_of_a_bert_tokenizer_says_more_than_tokenizer_json(make):
    config = {"do_lower_case": False, "tokenizer_class": "BertTokenizer"}
    files = {"tokenizer.json": library_json(CASED), "tokenizer_config.json": config}
    assert tokens_of(make(files=files), "Hello") == ["Hello"]


def test_tokenizer_json_alone_decides_for_a_plain_fast_tokenizer(make):
    config = {"do_lower_case": False, "tokenizer_class": "PreTrainedTokenizerFast"}
    files = {"tokenizer.json": library_json(CASED), "tokenizer_config.json": config}
    assert tokens_of(make(files=files), "Hello") == ["hello"]


def test_sentence_transformers_lowercases_first_and_keeps_accents(make):
    files = {
        "tokenizer_config.json": {"do_lower_case": False},
        "sentence_bert_config.json": {"do_lower_case": True, "max_seq_length": 8},
    }
    folder = make(CASED, files)
    assert tokens_of(folder, "HELLO ÉLAN") == ["hello", "élan"]
    assert Tokenizer.from_folder(folder).lowercase
    assert tokens_of(folder, "Hello Élan", lowercase=False) == ["Hello", "Élan"]


def test_old_sentence_transformers_keep_the_tokenizer_one_folder_below(make):
    modules = [{"idx": 0, "path": "0_T", "type": "sentence_transformers.models.Transformer"}]
    files = {"modules.json": modules, "0_T/vocab.txt": "\n".join(LOWER).encode()}
    assert tokens_of(make(files=files), "Hello") == ["hello"]


def test_padding_and_truncation_of_tokenizer_json_are_ignored(make):
    tokenizer = Tokenizer.from_folder(make(files={"tokenizer.json": library_json()}))
    encoding = tokenizer.encode("hello a b a")
    assert encoding.tokens == ["[CLS]", "hello", "a", "b", "a", "[SEP]"]
    assert (encoding.num_tokens, encoding.truncated) == (6, False)


def test_a_tokenizer_json_without_a_frame_is_given_berts(make):
    raw = library_json() | {"post_processor": None}
    tokenizer = Tokenizer.from_folder(make(files={"tokenizer.json": raw}))
    assert tokenizer.encode(("a", "b")).tokens == ["[CLS]", "a", "[SEP]", "b", "[SEP]"]
    assert tokenizer.encode(("a", "b")).token_type_ids == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"config.json": {}}, 100),
        ({}, 100),
        ({"bert_config.json": {}}, 200),
        ({"bert_config.json": {}, "config.json": {}}, 100),
        ({"tokenizer.json": library_json([*LOWER, "##a"], max_input_chars_per_word=7)}, 7),
    ],
)
def test_words_over_the_limit_of_their_format_are_unknown(make, files, limit):
    folder = make([*LOWER, "##a"], files)
    assert tokens_of(folder, "a" * limit) == ["a"] + ["##a"] * (limit - 1)
    assert tokens_of(folder, "a" * (limit + 1)) == ["[UNK]"]


def test_a_vocabulary_alone_is_read_as_google_does(make):
    path = make([*CASED, "##a"]) / "vocab.txt"
    tokenizer = Tokenizer.from_vocabulary(path, lowercase=True)
    assert tokenizer.encode("Hello").tokens[1:-1] == ["hello"]
    assert tokenizer.encode("a" * 200).num_tokens == 202
    assert not Tokenizer.from_vocabulary(path).lowercase


@pytest.mark.parametrize(
    ("value", "expected"), [(512, 512), (512.0, 512), (10**30, None), (1e30, None), (None, None)]
)
def test_the_length_of_the_config_counts_where_it_is_sane(make, value, expected):
    folder = make(LOWER, {"tokenizer_config.json": {"model_max_length": value}})
    assert Tokenizer.from_folder(folder).max_length == expected


# --- special and added tokens


def test_special_tokens_have_the_names_that_the_files_give_them(make):
    tokens = ["<p>", "<u>", "<begin>", "<end>", "<m>", "a"]
    names = {"pad_token": "<p>", "unk_token": "<u>", "cls_token": {"content": "<begin>"}}
    rest = {"sep_token": "<end>", "mask_token": {"content": "<m>", "lstrip": True}}
    folder = make(tokens, {"tokenizer_config.json": names, "special_tokens_map.json": rest})
    tokenizer = Tokenizer.from_folder(folder)
    assert tokenizer.encode("a <m> z").input_ids == [2, 5, 4, 1, 3]
    assert (tokenizer.pad_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id) == (0, 2, 3, 4)


def test_added_tokens_follow_the_vocabulary_and_are_not_split(make):
    added = {
        "4": {"content": "[MASK]", "special": True},
        "17": {"content": "<E1>", "special": True},
        "18": {"content": "c-b", "special": False},
    }
    config = {"added_tokens_decoder": added, "additional_special_tokens": ["<E1>", "[MASK]"]}
    tokenizer = Tokenizer.from_folder(make(LOWER, {"tokenizer_config.json": config}))
    encoding = tokenizer.encode("a <E1>C-B [MASK]")
    assert encoding.tokens[1:-1] == ["a", "<E1>", "c-b", "[MASK]"]
    assert encoding.input_ids == [2, 8, 17, 18, 4, 3]
    assert tokenizer.vocab_size == 19


def test_added_tokens_of_the_old_file_are_read(make):
    folder = make(LOWER, {"added_tokens.json": {"<x>": 17}})
    assert Tokenizer.from_folder(folder).encode("<x>").input_ids == [2, 17, 3]


def test_tokens_never_split_stay_whole_where_the_vocabulary_has_them(make):
    config = {"never_split": ["A.b", "unknown.token"], "do_lower_case": True}
    folder = make([*LOWER, "A.b", "."], {"tokenizer_config.json": config})
    assert tokens_of(folder, "A.b a.b") == ["A.b", "a", ".", "b"]
    assert tokens_of(folder, "xA.b") == ["[UNK]", ".", "b"]
    assert Tokenizer.from_folder(folder).token_to_id("unknown.token") is None


# --- XLM-R's tokenizer


PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "▁hello",
    "▁wor",
    "ld",
    "▁",
    "a",
    "▁a",
    ",",
    "好",
    "<mask>",
]


@pytest.fixture
def xlm_r(make):
    """A small tokenizer.json with the parts and names of XLM-R's."""
    scores = [(piece, -float(index)) for index, piece in enumerate(PIECES)]
    library = Library(models.Unigram(scores, unk_id=3, byte_fallback=False))
    library.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    library.decoder = decoders.Metaspace()
    library.post_processor = processors.TemplateProcessing(
        single=["<s>", "$A", "</s>"],
        pair=["<s>", "$A", "</s>", "</s>", "$B", "</s>"],
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    library.add_special_tokens(PIECES[:4])
    library.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    library.enable_truncation(4)
    named = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    config = {
        **named,
        "mask_token": {"content": "<mask>", "lstrip": True, "__type": "AddedToken"},
        "do_lower_case": True,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 512,
    }
    files = {"tokenizer.json": json.loads(library.to_str()), "tokenizer_config.json": config}
    return make(files=files)


def test_the_tokenizer_of_xlm_r_frames_pairs_in_its_own_way(xlm_r):
    tokenizer = Tokenizer.from_folder(xlm_r)
    encoding = tokenizer.encode(("hello world", "a好"))
    assert encoding.tokens == [
        "<s>", "▁hello", "▁wor", "ld", "</s>", "</s>", "▁a", "好", "</s>",
    ]  # fmt: skip
    assert encoding.offsets == [
        (0, 0), (0, 5), (6, 9), (9, 11), (0, 0), (0, 0), (0, 1), (1, 2), (0, 0),
    ]  # fmt: skip
    assert encoding.token_type_ids == [0] * 9
    assert encoding.sequence_ids == [None, 0, 0, 0, None, None, 1, 1, None]
    assert encoding.word_ids == [None, 0, 1, 1, None, None, 0, 0, None]
    assert (tokenizer.cls_id, tokenizer.pad_id, tokenizer.sep_id, tokenizer.mask_id) == (
        0,
        1,
        2,
        12,
    )
    assert (tokenizer.lowercase, tokenizer.max_length) == (False, 512)


def test_the_tokenizer_of_xlm_r_is_cut_as_others_are(xlm_r):
    tokenizer = Tokenizer.from_folder(xlm_r)
    pair = ("hello world a", "hello")
    assert tokenizer.encode(pair, 7).tokens == [
        "<s>", "▁hello", "▁wor", "</s>", "</s>", "▁hello", "</s>",
    ]  # fmt: skip
    assert tokenizer.encode(["hello", "world"], 4, "left").word_ids == [None, 1, 1, None]
    with pytest.raises(InputError, match="4 special tokens"):
        tokenizer.encode(pair, 3)


def test_ids_of_xlm_rs_tokenizer_are_those_of_transformers(xlm_r):
    transformers = pytest.importorskip("transformers")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    oracle = transformers.AutoTokenizer.from_pretrained(xlm_r)
    tokenizer = Tokenizer.from_folder(xlm_r)
    for text in ["hello world", "Hello  wor<mask>ld", "ａ好,\u200ba", "", "<s> hello</s>"]:
        pair = (text, "a world hello hello a")
        assert tokenizer.encode(text).input_ids == oracle(text, truncation=False)["input_ids"]
        cut = oracle(*pair, truncation="longest_first", max_length=8)["input_ids"]
        assert tokenizer.encode(pair, 8).input_ids == cut


def test_lowercasing_can_be_put_before_xlm_rs_normalizer(xlm_r):
    assert tokens_of(xlm_r, "HELLO", lowercase=True) == ["▁hello"]
    assert tokens_of(xlm_r, "hello", lowercase=False) == ["▁hello"]


# --- writing


def assert_same(one, other, texts=("Hello Élan", "中国 a [MASK] bb", "", "a" * 120)):
    for text in [*texts, ("a b", "hello")]:
        assert one.encode(text).input_ids == other.encode(text).input_ids
        assert one.encode(text).tokens == other.encode(text).tokens
    for name in ("cls_id", "sep_id", "pad_id", "mask_id", "vocab_size", "lowercase", "max_length"):
        assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize(
    "files",
    [
        {"bert_config.json": {}},
        {"tokenizer_config.json": {"model_max_length": 77, "strip_accents": False}},
        {"tokenizer_config.json": {"added_tokens_decoder": {"20": {"content": "bb"}}}},
        {"tokenizer.json": library_json(CASED)},
        {"sentence_bert_config.json": {"do_lower_case": True}},
    ],
)
def test_what_is_saved_is_what_is_loaded(make, tmp_path, files, lowercase):
    tokenizer = Tokenizer.from_folder(make(CASED, files), lowercase=lowercase)
    tokenizer.save(tmp_path / "saved")
    assert_same(Tokenizer.from_folder(tmp_path / "saved"), tokenizer)


def test_sentence_transformers_lowercasing_survives_saving(make, tmp_path):
    config = {"do_lower_case": False, "tokenizer_class": "BertTokenizer"}
    extra = {"sentence_bert_config.json": {"do_lower_case": True}, "tokenizer_config.json": config}
    tokenizer = Tokenizer.from_folder(make(CASED, extra))
    tokenizer.save(tmp_path / "saved")
    assert_same(Tokenizer.from_folder(tmp_path / "saved"), tokenizer)
    assert tokens_of(tmp_path / "saved", "ÉLAN") == ["élan"]


def test_xlm_rs_tokenizer_survives_saving_and_has_no_vocab_txt(xlm_r, tmp_path):
    tokenizer = Tokenizer.from_folder(xlm_r)
    tokenizer.save(tmp_path / "saved")
    assert_same(Tokenizer.from_folder(tmp_path / "saved"), tokenizer, ["hello <mask>", "a好"])
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


@pytest.mark.parametrize("limit", [7, 100, 200])
def test_the_limit_of_words_survives_as_vocab_txt_of_either_format(make, tmp_path, limit):
    raw = library_json([*LOWER, "##a"], max_input_chars_per_word=limit)
    saved = tmp_path / "saved"
    Tokenizer.from_folder(make(files={"tokenizer.json": raw})).save(saved)
    (saved / "tokenizer.json").unlink()
    for marker in ("config.json", "bert_config.json"):
        (saved / marker).touch()
        assert len(tokens_of(saved, "a" * limit)) == limit
        assert tokens_of(saved, "a" * (limit + 1)) == ["[UNK]"]
        (saved / marker).unlink()


@pytest.mark.parametrize("lowercase", [True, False])
def test_transformers_reads_what_is_saved(make, tmp_path, lowercase):
    transformers = pytest.importorskip("transformers")
    config = {"added_tokens_decoder": {"20": {"content": "<x>", "special": True}}}
    tokenizer = Tokenizer.from_folder(
        make(CASED, {"tokenizer_config.json": config}), lowercase=lowercase
    )
    tokenizer.save(tmp_path / "saved")
    oracle = transformers.BertTokenizerFast.from_pretrained(tmp_path / "saved")
    for text in ["Hello Élan", "中国 <x> a [MASK] bb", ""]:
        assert oracle(text)["input_ids"] == tokenizer.encode(text).input_ids


def test_vocab_txt_is_saved_line_for_line_with_added_tokens_at_its_end(make, tmp_path):
    config = {"added_tokens_decoder": {"17": {"content": "<x>"}}}
    tokenizer = Tokenizer.from_folder(make(LOWER, {"tokenizer_config.json": config}))
    tokenizer.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "vocab.txt").read_text("utf-8").split("\n") == [*LOWER, "<x>", ""]


def test_a_vocabulary_with_duplicates_keeps_its_ids_when_saved(make, tmp_path, capfd):
    tokenizer = Tokenizer.from_folder(make([*SPECIALS, "a", "b", "", "a", "", "c"]))
    tokenizer.save(tmp_path / "saved")
    saved = Tokenizer.from_vocabulary(tmp_path / "saved" / "vocab.txt")
    assert (
        saved.encode("a b c").input_ids == tokenizer.encode("a b c").input_ids == [2, 8, 6, 10, 3]
    )
    assert capfd.readouterr() == ("", "")
