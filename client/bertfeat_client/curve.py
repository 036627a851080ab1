"""The keys of an encrypted connection (CurveZMQ), read from ZeroMQ's certificate files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import zmq
import zmq.auth

from bertfeat_client.errors import InvalidRequest


@dataclass(frozen=True)
class Curve:
    """What a client needs to speak with a server that encrypts.

    Attributes:
        server_key: the server's public key, 40 characters of Z85.
        public_key: the client's own; with its secret half a fresh pair unless told.
        secret_key: never shown.
    """

    server_key: bytes
    public_key: bytes
    secret_key: bytes = field(repr=False)

    @classmethod
    def read(cls, server_key_file: str | Path, secret_key_file: str | Path | None = None) -> Self:
        """Read the keys that ``bertfeat-serve keygen`` wrote.

        Args:
            server_key_file: the server's ``NAME.key``.
            secret_key_file: the client's ``NAME.key_secret``; without it the connection is
                encrypted, but the server does not learn who connects.

        Raises:
            InvalidRequest: a file is missing or holds no such key.
        """
        server_key, _ = read_certificate(server_key_file)
        if secret_key_file is None:
            return cls(server_key, *zmq.curve_keypair())
        return cls(server_key, *read_key_pair(secret_key_file))

    def put_on(self, socket: "zmq.Socket[bytes]") -> None:
        """Let a socket that is not connected yet use these keys."""
        socket.curve_serverkey = self.server_key
        socket.curve_publickey, socket.curve_secretkey = self.public_key, self.secret_key


def read_key_pair(path: str | Path) -> tuple[bytes, bytes]:
    """Return the public and the secret key of a file that has both.

    Raises:
        InvalidRequest: it cannot be read or has no secret key.
    """
    public, secret = read_certificate(path)
    if secret is None:
        raise InvalidRequest(f"{path} holds no secret key: expected a file named NAME.key_secret")
    return public, secret


def read_certificate(path: str | Path) -> tuple[bytes, bytes | None]:
    """Return the public and, if the file has it, the secret key.

    Raises:
        InvalidRequest: it cannot be read or holds no key.
    """
    try:
        return zmq.auth.load_certificate(str(path))
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"{path}: expected a key file as bertfeat-serve keygen writes it: {error}"
        ) from error
