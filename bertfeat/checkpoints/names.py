"""What a model's name means: ``name``, ``org/name``, either with ``@revision``."""

import re
from dataclasses import dataclass
from difflib import get_close_matches

from bertfeat.checkpoints import registry
from bertfeat.checkpoints.wheel import WHEELS, Wheel

PATTERN = re.compile(r"(?P<model>(?:\w[\w.-]*/)?\w[\w.-]*)(?:@(?P<revision>\w[\w./-]*))?", re.ASCII)
ORGANIZATION = "sentence-transformers/"


@dataclass(frozen=True)
class ModelName:
    """A name taken apart.

    Attributes:
        key: the folder's name in the user's own cache.
        repos: repositories of the hub that may hold it, the likeliest first.
        revision: branch, tag or commit; None where the name gives none.
        wheels: wheels that carry the same weights.
        sentence: whether it is a sentence-transformers model; None where nobody knows.
    """

    key: str
    repos: tuple[str, ...]
    revision: str | None
    wheels: tuple[Wheel, ...] = ()
    sentence: bool | None = None


def parse(name: str) -> ModelName | None:
    """Take `name` apart; None where it cannot be a model's name."""
    match = PATTERN.fullmatch(name)
    if match is None or ".." in name:
        return None
    model, revision = match["model"], match["revision"]
    entry = registry.find(model)
    short = entry.name if entry else model
    key = (f"{short}@{revision}" if revision else short).replace("/", "--")
    # a wheel holds one state of a model: it is no answer where a revision is asked for
    wheels = () if revision else WHEELS.get(short, ())
    if entry:
        repos = (entry.repo, *entry.former_repos)
        return ModelName(key, repos, revision, wheels, entry.has_modules)
    return ModelName(key, _repos(model), revision, wheels, model.startswith(ORGANIZATION) or None)


def close_names(name: str) -> list[str]:
    """Return known short names that look like `name`."""
    known = {entry.name.lower(): entry.name for entry in registry.RECOMMENDED}
    asked = name.partition("@")[0].rpartition("/")[2].lower()
    return [known[match] for match in get_close_matches(asked, known, n=3, cutoff=0.7)]


def _repos(model: str) -> tuple[str, ...]:
    """Return where a name that the registry does not know may lie."""
    if model in WHEELS:
        return ()
    return (model,) if "/" in model else (ORGANIZATION + model, model)
