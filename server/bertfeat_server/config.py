"""The settings of a server as a whole.

The command line is made from the fields (see ``options``): a field ``max_wait_ms`` is the option
``--max-wait-ms`` and the environment variable ``BERTFEAT_SERVE_MAX_WAIT_MS``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bertfeat.errors import ConfigError
from bertfeat_server.settings.compat import Compat
from bertfeat_server.settings.encoding import Encoding
from bertfeat_server.settings.group import Group, no_choice
from bertfeat_server.settings.http import Http
from bertfeat_server.settings.limits import Limits
from bertfeat_server.settings.listening import Listening
from bertfeat_server.settings.logging import Logging
from bertfeat_server.settings.models import Models
from bertfeat_server.settings.security import Security

GROUPS: tuple[type[Group], ...] = (
    Listening, Http, Compat, Security, Models, Encoding, Limits, Logging,
)  # fmt: skip

LISTS = ("model", "task", "allowed_host", "cors_origin")
"""Options that may be repeated."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig(Logging, Limits, Encoding, Models, Security):
    """What ``bertfeat-serve start`` may be told.

    Raises:
        ConfigError: on construction, one that lists everything that cannot be.
    """

    def __post_init__(self) -> None:
        for name in LISTS:
            object.__setattr__(self, name, tuple(getattr(self, name)))
        wrong = [sentence for group in GROUPS for sentence in group.wrong(self)]
        if wrong := [*wrong, *no_choice(self)]:
            raise ConfigError("the server cannot be started like this: " + "; ".join(wrong))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "ServerConfig":
        """Read what :meth:`to_dict` gave, say in another process."""
        return cls(**raw)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        return asdict(self) | {name: list(getattr(self, name)) for name in LISTS}
