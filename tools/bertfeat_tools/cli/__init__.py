"""The commands ``bertfeat`` and ``extract_features``, one file for each group of commands.

Nothing here imports click: a bare install has these commands too, and they must say what is
missing.
"""

from bertfeat.extras import require_or_exit


def main() -> None:
    """Run ``bertfeat``."""
    require_or_exit("bertfeat", "click")
    from bertfeat_tools.cli.group import bertfeat
    from bertfeat_tools.cli.run import run

    run(bertfeat, "bertfeat")


def extract_features() -> None:
    """Run ``extract_features``."""
    require_or_exit("extract_features", "click")
    from bertfeat_tools.cli.extract import extract_features as command
    from bertfeat_tools.cli.run import run

    run(command, "extract_features")
