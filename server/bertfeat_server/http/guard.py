"""Who is let in over HTTP, and how much they may send, before any body is read.

A page of another site that a browser shows may not use this server by a name of its own (DNS
rebinding) nor by a form: hosts and origins are checked, and bodies that change or compute something
are JSON only, which no form can send.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from bertfeat_server.access.keys import Key, KeyRing
from bertfeat_server.http.problems import Problem
from bertfeat_server.settings.http import Http
from bertfeat_server.settings.security import is_loopback

JSON = "application/json"


class Guard:
    """The rules of one server.

    Args:
        config: its settings.
        host: the address that it listens on.
        keys: its API keys; None lets everybody in.
        now: the clock that rates go by.
    """

    def __init__(
        self,
        config: Http,
        host: str,
        keys: KeyRing | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys = keys
        self.max_body = int(config.http_max_body_mb * 2**20)
        self.origins: Sequence[str] = config.cors_origin
        self._host, self._names, self._now = host, set(config.allowed_host), now

    def admit(self, method: str, headers: Mapping[str, str], is_open: bool) -> Key | None:
        """Check a request's head and return whose key it shows.

        Args:
            method: GET or POST.
            headers: names in lower case.
            is_open: whether it needs no key.

        Raises:
            Problem: it is refused.
        """
        self._check_host(headers.get("host", ""))
        self._check_origin(headers)
        if method == "POST":
            self._check_body(headers)
        return None if is_open or self.keys is None else self._key(headers, self.keys)

    def _check_host(self, host: str) -> None:
        if self.keys is not None:
            return  # no page of another site knows a key
        name = urlsplit(f"//{host}").hostname or ""
        known = is_loopback(name) or name in self._names or name == self._host
        if not known and is_loopback(self._host):
            raise Problem(
                403, "forbidden",
                f"this server is not known as {name!r}; start it with --allowed-host {name}",
            )  # fmt: skip

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        if origin is None or origin in self.origins:
            return
        if urlsplit(origin).netloc != headers.get("host"):
            raise Problem(
                403, "forbidden",
                f"pages of {origin!r} may not ask this server; --cors-origin names those that may",
            )  # fmt: skip

    def _check_body(self, headers: Mapping[str, str]) -> None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON:
            raise Problem(415, "invalid_request", f"expected {JSON}, got {kind or 'no type'}")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.max_body:
            raise self.too_large()

    def too_large(self) -> Problem:
        """Return the problem of a body over the limit."""
        return Problem(413, "too_large", f"a body has at most {self.max_body} bytes here")

    def _key(self, headers: Mapping[str, str], keys: KeyRing) -> Key:
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        found = keys.find(secret.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Problem(401, "unauthorized", "an API key is needed: Authorization: Bearer KEY")
        wait_s = keys.wait_s(found, self._now())
        if wait_s:
            raise Problem(
                429, "overloaded", f"the key {found.name!r} asks too often", retry_after_s=wait_s
            )
        return found
