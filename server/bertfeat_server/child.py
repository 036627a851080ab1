"""Where every child process of a server begins: ``python -P -m bertfeat_server.child``."""

from importlib import import_module

from bertfeat_server.parent import Parent

ROLES = {
    "broker": "broker", "worker": "worker", "index": "index_child", "http": "http.child",
    "compat": "compat.child",
}  # fmt: skip


def main() -> None:
    """Become what the supervisor says."""
    parent = Parent.attach()
    import_module(f"bertfeat_server.{ROLES[parent.settings['role']]}").main(parent)


if __name__ == "__main__":
    main()
