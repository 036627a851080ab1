"""What ``encode`` does where a request does not say."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bertfeat.features.options import COMBINATIONS, POOLING_ALIASES, POOLINGS
from bertfeat_server.settings.group import Group, option

COMBINED = tuple(name for name in COMBINATIONS if name != "weighted")
POOLED = (*POOLINGS, *POOLING_ALIASES)


@dataclass(frozen=True, kw_only=True)
class Encoding(Group):
    """Layers, combination, pooling and length."""

    layers: str | None = option(
        None, "Layers of encode where a request names none: -1, -4: or all.", shown="the model's"
    )
    combine: str | None = option(
        None, "Likewise, how layers are combined.", choices=COMBINED, shown="the model's"
    )
    pooling: str | None = option(
        None,
        "Likewise, how tokens are pooled: " + ", ".join(POOLINGS) + ".",
        choices=POOLED,
        metavar="NAME",
        shown="the model's",
    )
    normalize: bool | None = option(
        None, "Likewise, whether vectors get length 1.", shown="the model's"
    )

    @cached_property
    def encode_defaults(self) -> dict[str, Any]:
        """Options of ``encode`` that hold where a request says nothing."""
        names = ("layers", "combine", "pooling", "normalize")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
