"""Where every child process of a server begins: ``python -P -m bertfeat_server.child``."""

import gc
from contextlib import suppress
from importlib import import_module

from bertfeat_client.wire_json import Json
from bertfeat_server.parent import Parent

ROLES = {
    "broker": "broker", "worker": "worker", "index": "index_child", "http": "http.child",
    "compat": "compat.child",
}  # fmt: skip


COLLECT_AFTER = 50_000
"""Objects between two garbage collections: a message makes dozens, none of them in a circle."""


def hurry() -> None:
    """Let this process handle messages as fast as what is installed can."""
    gc.set_threshold(COLLECT_AFTER)
    with suppress(ImportError):  # the extra [lite] does without
        import orjson

        Json.dumps, Json.loads = orjson.dumps, orjson.loads


def main() -> None:
    """Become what the supervisor says."""
    hurry()
    parent = Parent.attach()
    import_module(f"bertfeat_server.{ROLES[parent.settings['role']]}").main(parent)


if __name__ == "__main__":
    main()
