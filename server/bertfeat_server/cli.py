"""The command ``bertfeat-serve``.

Nothing here imports click: a bare install has the command too, and it must say what is missing.
"""

import sys

from bertfeat.extras import require_or_exit


def main() -> None:
    """Run ``bertfeat-serve``: exit 0 when done, 1 when it failed, 2 on wrong usage."""
    require_or_exit("bertfeat-serve", "click")
    from bertfeat_server.commands import run

    sys.exit(run())
