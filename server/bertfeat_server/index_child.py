"""The index process of a supervisor: settings in, then the index service's own loop."""

from pathlib import Path

from bertfeat.errors import BertFeatError
from bertfeat_server.config import ServerConfig
from bertfeat_server.logs import reload_log, set_up
from bertfeat_server.parent import Parent


def main(parent: Parent) -> None:
    """Run the index service of a supervisor."""
    from bertfeat_server import index_service

    settings = parent.settings
    config = ServerConfig.from_dict(settings["config"])
    set_up(config)
    parent.watch(reload_log)
    try:
        index_service.run(
            settings["backend"],
            settings["frontend"],
            Path(str(config.index)),
            token=settings["token"],
            identity=settings["identity"],
            on_ready=lambda: parent.tell("ready"),
        )
    except (BertFeatError, OSError, ImportError) as error:
        parent.tell("failed", reason=str(error))
