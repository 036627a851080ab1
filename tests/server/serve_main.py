"""``python -m serve_main`` is ``bertfeat-serve``."""

from bertfeat_server.cli import main

if __name__ == "__main__":
    main()
