"""The group ``bertfeat-serve``: start a server, ask how it does, stop it, give it a hand."""

import json
import logging
import time
import uuid
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from bertfeat.errors import BertFeatError, ConfigError, TruncationWarning
from bertfeat.extras import MissingExtra, require
from bertfeat_client.errors import ClientError, ConnectTimeout
from bertfeat_server.access.encryption import write_key_pair
from bertfeat_server.config import ServerConfig
from bertfeat_server.finding import YOURS, Access, access, elsewhere
from bertfeat_server.load_command import bench
from bertfeat_server.logs import set_up
from bertfeat_server.models_command import models
from bertfeat_server.options import options_of
from bertfeat_server.options_file import Repeatable, config_option, parameters_again
from bertfeat_server.runfile import running
from bertfeat_server.settings.logging import Logging
from bertfeat_server.supervisor import Supervisor
from bertfeat_server.texts import status_table, summary
from bertfeat_server.watching import watch
from bertfeat_server.worker import serve
from bertfeat_server.worker_settings import WorkerSettings

STOP_S = 10.0
logger = logging.getLogger(__name__)
CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True}


def run() -> int:
    """Run the command line and return the exit code; the one place where errors become words."""
    try:
        group.main(prog_name="bertfeat-serve", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return 130
    except (BertFeatError, ClientError, MissingExtra, OSError) as error:
        click.echo(f"bertfeat-serve: {error}", err=True)
        return 1
    return 0


@click.group(name="bertfeat-serve", context_settings=CONTEXT)
@click.version_option(package_name="bertfeat")
def group() -> None:
    """Serve BERT vectors to many callers at once.

    Every option can be given as an environment variable, as shown.
    """


@group.command(cls=Repeatable)
@config_option
@options_of(ServerConfig)
def start(**options: Any) -> None:
    """Start a server; it prints one line beginning "ready" when it is.

    SIGTERM or Ctrl-C lets the running requests end first; once more stops at once.
    """
    config = _config(options)
    if config.encoder_factory == ServerConfig.encoder_factory:
        require("bertfeat-serve start", "tokenizers")
    if config.otlp_endpoint:
        require("--otlp-endpoint", "opentelemetry", extra="otel")
    set_up(config)
    if config.insecure:
        logger.warning("--insecure: whoever reaches this machine may use the server")

    def on_ready(endpoint: str, info: dict[str, Any]) -> None:
        if not config.quiet:
            click.echo(summary(config, endpoint, info), err=True)
        click.echo(f"ready {endpoint}")

    Supervisor(config, lambda: ServerConfig(**parameters_again())).run(on_ready)


@group.command()
@click.argument("name")
@click.option("--folder", type=click.Path(file_okay=False), default=".", help="Where to put them.")
def keygen(name: str, folder: str) -> None:
    """Make a pair of keys for encrypted connections: NAME.key and NAME.key_secret.

    The server takes its own secret one as --curve-secret-key-file and clients' public ones in
    --curve-clients-folder; a client takes Curve.read("server.key", "NAME.key_secret").
    """
    for path in write_key_pair(name, Path(folder)):
        click.echo(path)


@group.command()
@access
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option("--watch", "watching", is_flag=True, help="Show it anew every second.")
def status(access: Access, as_json: bool, watching: bool) -> None:
    """Show how a running server does; on the same machine it needs no arguments."""

    def report() -> dict[str, Any]:
        return {"endpoint": access.server.endpoint} | access.ask("status")

    if watching:
        require("bertfeat-serve status --watch", "rich")
        watch(report, every_s=1.0)
    click.echo(json.dumps(report()) if as_json else status_table(report()))


@group.command()
@access
def stop(access: Access) -> None:
    """Stop a server of yours: it answers what it has taken, then ends."""
    access.ask("stop")
    if (pid := access.server.pid) and not _ended(access):
        raise ClientError(f"the server with pid {pid} was told to stop but has not ended")


@group.command()
@access
@click.option("--connect", "endpoint", default="", show_default=YOURS, help="As --endpoint.")
@click.option("--model", default="", show_default="the first", help="Which of its models.")
@options_of(ServerConfig, only=("device", "threads", "log_level", "log_json"))
def worker(access: Access, model: str, **options: Any) -> None:
    """Add a worker to a running server, until it stops or this is interrupted.

    A server on another machine needs --worker-endpoint, and its token, which its run file holds.
    """
    set_up(Logging(log_level=options["log_level"], log_json=options["log_json"]))
    server, told = access.server, access.ask("join")
    backend = told["backend"] if server.pid else elsewhere(server.endpoint, told["config"])
    config = _config(told["config"] | {name: options[name] for name in ("device", "threads")})
    name = model or next(iter(config.models))
    if name not in config.served:
        raise click.UsageError(f"--model {name}: the server has {', '.join(config.served)}")
    warnings.simplefilter("ignore", TruncationWarning)
    settings = WorkerSettings(
        config=config, name=name, source=config.served[name], device=config.device,
        backend=backend, token=access.token, identity=f"joined-{uuid.uuid4().hex[:12]}",
        label=told["labels"].get(name, name),
    )  # fmt: skip
    serve(settings, lambda _: click.echo(f"ready {settings.identity}"), signals=True)


group.add_command(bench)
group.add_command(models)


def _config(options: dict[str, Any]) -> ServerConfig:
    try:
        return ServerConfig(**options)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error


def _ended(access: Access) -> bool:
    """Wait for a server's end, as long as it says that it still answers requests."""
    end = time.monotonic() + STOP_S
    while any(found.pid == access.server.pid for found in running()):
        if time.monotonic() > end:
            if not _busy(access):
                return False
            end = time.monotonic() + STOP_S
        time.sleep(0.05)
    return True


def _busy(access: Access) -> bool:
    with suppress(ConnectTimeout):
        return bool(access.ask("status")["queue"]["requests"])
    return False
