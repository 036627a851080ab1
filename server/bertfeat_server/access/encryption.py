"""CURVE on the clients' socket: the server's key, and the clients that may connect."""

import os
from pathlib import Path
from typing import Self

import zmq
import zmq.auth
import zmq.utils.z85

from bertfeat.errors import ConfigError
from bertfeat_client.curve import read_key_pair
from bertfeat_client.errors import InvalidRequest
from bertfeat_server.settings.security import Security


class ClientKeys:
    """The public keys in a folder, read anew when a file comes or goes.

    Args:
        folder: holds files ``NAME.key``.

    Raises:
        ConfigError: it is no folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._read_at, self._keys = folder, -1, frozenset[bytes]()
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder of clients' keys")

    def knows(self, key: bytes) -> bool:
        """Say whether a client with this public key, 32 bytes, may connect."""
        try:
            changed_at = self._folder.stat().st_mtime_ns
            if changed_at != self._read_at:
                found = zmq.auth.load_certificates(self._folder)
                self._keys, self._read_at = frozenset(found), changed_at
        except (OSError, ValueError):
            return False
        return zmq.utils.z85.encode(key) in self._keys


class Encryption:
    """What makes a socket encrypted.

    Args:
        secret_key_file: the server's key, as ``keygen`` wrote it.
        clients_folder: keys of the clients that may connect; None lets every client in that
            knows the server's public key.

    Raises:
        ConfigError: a file or the folder cannot be used.
    """

    def __init__(self, secret_key_file: Path, clients_folder: Path | None) -> None:
        try:
            self.public, self._secret = read_key_pair(secret_key_file)
        except InvalidRequest as error:
            raise ConfigError(str(error)) from error
        if os.name == "posix" and secret_key_file.stat().st_mode & 0o077:
            raise ConfigError(f"others may read {secret_key_file}: run chmod 600 on it")
        self.clients = ClientKeys(clients_folder) if clients_folder is not None else None

    @classmethod
    def of(cls, config: Security) -> Self | None:
        """Return the encryption that a server's settings ask for, None for none.

        Raises:
            ConfigError: a key cannot be used.
        """
        if not config.curve_secret_key_file:
            return None
        folder = Path(config.curve_clients_folder) if config.curve_clients_folder else None
        return cls(Path(config.curve_secret_key_file), folder)

    def put_on(self, socket: "zmq.Socket[bytes]") -> None:
        """Encrypt what a socket binds from now on."""
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = self.public, self._secret


def write_key_pair(name: str, folder: Path) -> tuple[Path, Path]:
    """Write ``NAME.key``, which may be shown, and ``NAME.key_secret``, which nobody else can read.

    Raises:
        ConfigError: there are such files already, or the name is none of a file.
    """
    if Path(name).name != name or not name:
        raise ConfigError(f"{name!r} is no name of a file; give --folder for the place")
    paths = folder / f"{name}.key", folder / f"{name}.key_secret"
    if existing := [str(path) for path in paths if path.exists()]:
        raise ConfigError(f"{', '.join(existing)} exist(s) already; remove or choose another name")
    folder.mkdir(parents=True, exist_ok=True)
    before = os.umask(0o077)
    try:
        zmq.auth.create_certificates(folder, name)
    finally:
        os.umask(before)
    paths[0].chmod(0o644)
    return paths
