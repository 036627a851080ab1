"""What a running server takes over of its settings when they are read again."""

import logging
from dataclasses import fields, replace

from bertfeat_server.config import ServerConfig
from bertfeat_server.settings.encoding import Encoding
from bertfeat_server.settings.limits import Limits

OF_SOCKETS = {"max_message_mb", "max_connections"}
CHANGEABLE = {
    field.name for group in (Encoding, Limits) for field in fields(group)
} - OF_SOCKETS | {"api_key_file", "log_level", "log_requests"}
logger = logging.getLogger(__name__)


def merged(old: ServerConfig, new: ServerConfig) -> ServerConfig:
    """Return the settings from now on, and log what changed and what would need a restart.

    The key file is read again even if its name is the same.

    Raises:
        ConfigError: they contradict each other.
    """
    before, after = old.to_dict(), new.to_dict()
    changed = {name for name in after if after[name] != before[name]}
    for name in sorted(changed - CHANGEABLE):
        logger.warning("%s=%r needs a restart, it stays %r", name, after[name], before[name])
    taken = {name: getattr(new, name) for name in sorted(changed & CHANGEABLE)}
    told = ", ".join(f"{name}={value!r}" for name, value in taken.items())
    logger.warning("settings were read again: %s", told or "nothing changed")
    return replace(old, **taken)
