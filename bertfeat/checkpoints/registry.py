"""Models of BERT architecture that are worth recommending, and what their short names mean.

The facts are those of the models' cards and files on the hub.
"""

from dataclasses import dataclass

SIMILARITY, RETRIEVAL, RERANKING, PLAIN = "similarity", "retrieval", "reranking", "plain BERT"
HAS_MODULES = {SIMILARITY: True, RETRIEVAL: True, PLAIN: False}


@dataclass(frozen=True)
class Recommended:
    """One recommended model.

    Attributes:
        repo: its repository on the Hugging Face hub.
        task: what it was trained for.
        languages: ISO 639-1 codes, or how many.
        licence: SPDX identifier of the weights, or that the card states none.
        size_mb: size of the weight file in megabytes (10**6 bytes).
        dim: length of a vector; None for a cross-encoder, which gives scores.
        max_length: tokens that are read unless asked otherwise, specials included.
        note: what to know before using it.
        former_repos: what the repository was called before.
    """

    repo: str
    task: str
    languages: str
    licence: str
    size_mb: int
    dim: int | None
    max_length: int
    note: str = ""
    former_repos: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The short name."""
        return self.repo.rpartition("/")[2]

    @property
    def has_modules(self) -> bool | None:
        """Whether it is a sentence-transformers folder; None where it may become one."""
        return HAS_MODULES.get(self.task)

    @property
    def known_as(self) -> frozenset[str]:
        """Every name that it goes by."""
        repos = (self.repo, *self.former_repos)
        return frozenset(repos) | {repo.rpartition("/")[2] for repo in repos}


APACHE, MIT = "Apache-2.0", "MIT"
E5_NOTE = 'begin queries with "query: " and documents with "passage: "'
BGE_NOTE = 'begin queries with "Represent this sentence for searching relevant passages: "'
BGE_ZH_NOTE = "begin queries with “为这个句子生成表示以用于检索相关文章：”"
HALF_NOTE = "weights are stored in float16"

ALL_MINILM_L6 = "sentence-transformers/all-MiniLM-L6-v2"
ALL_MINILM_L12 = "sentence-transformers/all-MiniLM-L12-v2"
MULTI_QA = "sentence-transformers/multi-qa-MiniLM-L6-cos-v1"
PARAPHRASE = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
LABSE = "sentence-transformers/LaBSE"
TEXT2VEC = "shibing624/text2vec-base-chinese"


def _cross_encoder(name: str, size_mb: int, former: str) -> Recommended:
    repo, former_repos = f"cross-encoder/{name}", (f"cross-encoder/{former}",)
    note = "scores a pair of query and passage"
    return Recommended(repo, RERANKING, "en", APACHE, size_mb, None, 512, note, former_repos)


def _plain_bert(name: str, languages: str, size_mb: int) -> Recommended:
    repo, note = f"google-bert/{name}", "not trained for similarity; has the masked-LM head"
    return Recommended(repo, PLAIN, languages, APACHE, size_mb, 768, 512, note, (name,))


RECOMMENDED: tuple[Recommended, ...] = (
    Recommended(ALL_MINILM_L6, SIMILARITY, "en", APACHE, 91, 384, 256, "the default"),
    Recommended(ALL_MINILM_L12, SIMILARITY, "en", APACHE, 133, 384, 128),
    Recommended("thenlper/gte-small", SIMILARITY, "en", MIT, 67, 384, 512, HALF_NOTE),
    Recommended("thenlper/gte-base", SIMILARITY, "en", MIT, 219, 768, 512, HALF_NOTE),
    Recommended("thenlper/gte-large", SIMILARITY, "en", MIT, 670, 1024, 512, HALF_NOTE),
    Recommended(PARAPHRASE, SIMILARITY, "50 languages", APACHE, 471, 384, 128),
    Recommended(LABSE, SIMILARITY, "109 languages", APACHE, 1884, 768, 256, "finds translations"),
    Recommended(TEXT2VEC, SIMILARITY, "zh", APACHE, 409, 768, 128),
    Recommended(MULTI_QA, RETRIEVAL, "en", "card states none", 91, 384, 512, "finds answers"),
    Recommended("BAAI/bge-small-en-v1.5", RETRIEVAL, "en", MIT, 133, 384, 512, BGE_NOTE),
    Recommended("BAAI/bge-base-en-v1.5", RETRIEVAL, "en", MIT, 438, 768, 512, BGE_NOTE),
    Recommended("BAAI/bge-large-en-v1.5", RETRIEVAL, "en", MIT, 1341, 1024, 512, BGE_NOTE),
    Recommended("BAAI/bge-small-zh-v1.5", RETRIEVAL, "zh", MIT, 96, 512, 512, BGE_ZH_NOTE),
    Recommended("BAAI/bge-base-zh-v1.5", RETRIEVAL, "zh", MIT, 409, 768, 512, BGE_ZH_NOTE),
    Recommended("BAAI/bge-large-zh-v1.5", RETRIEVAL, "zh", MIT, 1302, 1024, 512, BGE_ZH_NOTE),
    Recommended("intfloat/e5-small-v2", RETRIEVAL, "en", MIT, 133, 384, 512, E5_NOTE),
    Recommended("intfloat/e5-base-v2", RETRIEVAL, "en", MIT, 438, 768, 512, E5_NOTE),
    Recommended("intfloat/e5-large-v2", RETRIEVAL, "en", MIT, 1341, 1024, 512, E5_NOTE),
    Recommended(
        "intfloat/multilingual-e5-small", RETRIEVAL, "94 languages", MIT, 471, 384, 512, E5_NOTE
    ),
    _cross_encoder("ms-marco-MiniLM-L6-v2", 91, former="ms-marco-MiniLM-L-6-v2"),
    _cross_encoder("ms-marco-MiniLM-L12-v2", 133, former="ms-marco-MiniLM-L-12-v2"),
    _plain_bert("bert-base-uncased", "en", 440),
    _plain_bert("bert-base-cased", "en", 436),
    _plain_bert("bert-base-chinese", "zh", 412),
    _plain_bert("bert-base-multilingual-cased", "104 languages", 714),
)


def find(name: str) -> Recommended | None:
    """Return the entry that `name`, a short name or a repository's, stands for."""
    return next((entry for entry in RECOMMENDED if name in entry.known_as), None)
