"""bert-as-service's clients, which have two ports of their own."""

from collections.abc import Iterator
from dataclasses import dataclass

from bertfeat_server.settings.group import Group, option


@dataclass(frozen=True, kw_only=True)
class Compat(Group):
    """Whether and where old clients are served."""

    compat: bool = option(False, "Serve bert-as-service's clients too (see docs/migration.md).")
    compat_ports: str = option(
        "5555,5556", "Their ports: where they push texts, where they listen.", metavar="IN,OUT"
    )
    compat_show_tokens: bool = option(False, "Tell them each text's tokens when they ask.")

    @property
    def compat_in_out(self) -> tuple[int, ...]:
        """The ports for requests and for answers."""
        return tuple(int(port) for port in self.compat_ports.split(","))

    def wrong(self) -> Iterator[str]:
        """Say what cannot be."""
        parts = self.compat_ports.split(",")
        numbers = [int(part) for part in parts if part.strip().isdigit()]
        if len(parts) != 2 or len({n for n in numbers if 0 < n < 65536}) != 2:
            yield f"compat_ports={self.compat_ports!r} is not two ports like 5555,5556"
