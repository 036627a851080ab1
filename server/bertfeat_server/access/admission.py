"""Who may ask the broker for what: the server's own token, and callers' keys."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from bertfeat_client.errors import Forbidden, InvalidRequest, Overloaded, Unauthorized
from bertfeat_server.access.keys import Key, KeyRing
from bertfeat_server.settings.security import Security

MAX_NAME_CHARS = 200


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        share: whose share of the server it uses: callers take turns.
        inside: whether it is a process of the server, or its owner, asking for itself.
        key: the API key it showed.
    """

    share: bytes
    inside: bool = False
    key: Key | None = None


class Admission:
    """The rules of one server.

    Args:
        token: proves that a process belongs to this server, or that a caller may change it.
        keys: API keys; None lets everybody ask.
    """

    def __init__(self, token: str, keys: KeyRing | None = None) -> None:
        self._token, self.keys = token.encode(), keys

    @classmethod
    def of(cls, config: Security, token: str) -> Self:
        """Return the rules that a server's settings ask for.

        Raises:
            ConfigError: the key file cannot be used.
        """
        admission = cls(token)
        admission.read_keys(config)
        return admission

    def read_keys(self, config: Security) -> None:
        """Go by the keys of a server's settings from now on.

        Raises:
            ConfigError: the key file cannot be used; the keys stay as they are.
        """
        self.keys = KeyRing.of(config)

    def is_inside(self, header: Mapping[str, Any]) -> bool:
        """Compare a message's token with the server's, in constant time."""
        token = header.get("token")
        return isinstance(token, str) and hmac.compare_digest(
            token.encode("utf-8", "surrogatepass"), self._token
        )

    def check_owner(self, header: Mapping[str, Any]) -> None:
        """Let only those pass who know the token.

        Raises:
            Forbidden: it is another or none.
        """
        if not self.is_inside(header):
            raise Forbidden("this needs the server's admin token, which its run file holds")

    def admit(self, identity: bytes, header: Mapping[str, Any], now: float) -> Caller:
        """Return who asks, before anything but a message's header is read.

        Args:
            identity: the connection's.
            header: its ``token`` or ``key`` is looked at; a process of the server may say for
                whom it asks, as ``caller``.
            now: the present.

        Raises:
            Unauthorized: it shows no key that is known.
            Overloaded: the key has asked too often.
        """
        if self.is_inside(header):
            name = _name(header)
            return Caller(name or identity, inside=not name)
        if self.keys is None:
            return Caller(identity)
        key = self.keys.find(header["key"]) if isinstance(header.get("key"), str) else None
        if key is None:
            raise Unauthorized("this server wants an API key: Client(endpoint, api_key=…)")
        if wait_s := self.keys.wait_s(key, now):
            raise Overloaded(f"the key {key.name!r} asks too often", retry_after_s=wait_s)
        return Caller(key.name.encode("utf-8", "surrogatepass"), key=key)


def check_texts(caller: Caller, texts: int) -> None:
    """Let only so many texts pass in one request as a caller's key may send.

    Raises:
        InvalidRequest: they are more.
    """
    if caller.key is not None and texts > caller.key.max_request_texts:
        raise InvalidRequest(
            f"{texts} texts in one request, the key {caller.key.name!r} may send "
            f"{caller.key.max_request_texts:g}; send several"
        )


def _name(header: Mapping[str, Any]) -> bytes:
    name = header.get("caller")
    return name[:MAX_NAME_CHARS].encode("utf-8", "surrogatepass") if isinstance(name, str) else b""
