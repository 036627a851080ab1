"""Models of BERT architecture that are worth recommending, and what their short names mean.

Facts are those of the models' cards and files on the hub; sizes are of the weight file fetched.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recommended:
    """One recommended model.

    Attributes:
        name: the short name that `bertfeat.checkpoints.resolve` understands.
        repo: its repository on the Hugging Face hub.
        task: what it was trained for.
        languages: ISO 639-1 codes, or a count.
        licence: SPDX identifier of the weights.
        size_mb: megabytes (10**6 bytes) of float32 weights.
        dim: length of a vector; 0 for a cross-encoder.
        max_length: tokens that are read, specials included.
        note: what to know before using it.
        former_repos: names that the repository had; the hub redirects them.
        plain: the repository has no ``modules.json`` (it is no sentence-transformers model).
    """

    name: str
    repo: str
    task: str
    languages: str
    licence: str
    size_mb: int
    dim: int
    max_length: int
    note: str = ""
    former_repos: tuple[str, ...] = ()
    plain: bool = False


RECOMMENDED: tuple[Recommended, ...] = (
    Recommended(
        name="all-MiniLM-L6-v2",
        repo="sentence-transformers/all-MiniLM-L6-v2",
        task="similarity",
        languages="en",
        licence="Apache-2.0",
        size_mb=91,
        dim=384,
        max_length=256,
        note="the default: small, fast, good",
    ),
)


def find(name: str) -> Recommended | None:
    """Return the entry that `name`, a short name or a repository's, stands for."""
    for entry in RECOMMENDED:
        if name in (entry.name, entry.repo, *entry.former_repos):
            return entry
    return None
