"""API keys: a file of names and keys, compared in constant time, with limits for each.

The file is TOML, one table for each key, and nobody else's to read::

    [alice]
    sha256 = "…"              # of the key; or the key itself: key = "…"
    requests_per_s = 50       # no limit unless told
    max_request_texts = 256
"""

import hashlib
import hmac
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertfeat.errors import ConfigError
from bertfeat_server.access.rates import Bucket
from bertfeat_server.settings.security import Security

SHORTEST_KEY = 16
FIELDS = {"key", "sha256", "requests_per_s", "max_request_texts"}


@dataclass(frozen=True)
class Key:
    """One caller's key.

    Attributes:
        name: who it is, for shares and logs.
        digest: SHA-256 of the key.
        requests_per_s: how many requests a second it may send.
        max_request_texts: how many texts one of them may hold.
    """

    name: str
    digest: bytes
    requests_per_s: float = math.inf
    max_request_texts: float = math.inf


class KeyRing:
    """The keys of a server.

    Args:
        keys: all of them; none lets everybody in.
    """

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self.keys = dict(keys)
        self._buckets = {
            name: Bucket(key.requests_per_s)
            for name, key in self.keys.items() if key.requests_per_s < math.inf
        }  # fmt: skip

    @classmethod
    def of(cls, config: Security) -> "KeyRing | None":
        """Return the keys of a server's settings, None where anybody may ask.

        Raises:
            ConfigError: see :meth:`read`.
        """
        return cls.read(Path(config.api_key_file)) if config.api_key_file else None

    @classmethod
    def read(cls, path: Path) -> "KeyRing":
        """Read a key file.

        Raises:
            ConfigError: it cannot be read, others may read it, or an entry is wrong; the message
                lists everything.
        """
        try:
            mode = path.stat().st_mode
            entries = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"the key file {path} cannot be read: {error}") from error
        wrong = [f"others may read it, run chmod 600 {path}"] if mode & 0o077 else []
        keys = {}
        for name, entry in entries.items():
            problems = _problems(entry)
            wrong += [f"[{name}] {problem}" for problem in problems]
            if not problems:
                keys[name] = _key(name, entry)
        if not entries:
            wrong.append("it holds no key")
        if wrong:
            raise ConfigError(f"the key file {path}: " + "; ".join(wrong))
        return cls(keys)

    def find(self, secret: str) -> Key | None:
        """Return whose key this is, in a time that tells nothing of the others."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        found = None
        for key in self.keys.values():
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def wait_s(self, key: Key, now: float) -> float:
        """Count a request of a key: 0 if it may pass, else after how long to come back."""
        bucket = self._buckets.get(key.name)
        return bucket.wait_s(1.0, now) if bucket is not None else 0.0


def _problems(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return ["is no table"]
    wrong = [f"{name} is unknown" for name in sorted(entry.keys() - FIELDS)]
    if ("key" in entry) == ("sha256" in entry):
        wrong.append("needs either key or sha256")
    if "key" in entry and not (isinstance(entry["key"], str) and len(entry["key"]) >= SHORTEST_KEY):
        wrong.append(f"key is no string of at least {SHORTEST_KEY} characters")
    if "sha256" in entry and not _is_digest(entry["sha256"]):
        wrong.append("sha256 is not 64 hexadecimal digits")
    for name in ("requests_per_s", "max_request_texts"):
        value = entry.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            wrong.append(f"{name}={value!r} is no positive number")
    return wrong


def _is_digest(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(bytes.fromhex(value)) == hashlib.sha256().digest_size
    except ValueError:
        return False


def _key(name: str, entry: Mapping[str, Any]) -> Key:
    if "key" in entry:
        digest = hashlib.sha256(entry["key"].encode()).digest()
    else:
        digest = bytes.fromhex(entry["sha256"])
    limits = {
        limit: float(entry[limit])
        for limit in ("requests_per_s", "max_request_texts") if limit in entry
    }  # fmt: skip
    return Key(name, digest, **limits)
