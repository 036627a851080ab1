"""``bertfeat-serve models``: what a running server serves, and how to change it."""

import json
import time
import uuid
from pathlib import Path

import click

from bertfeat_client.errors import ClientError
from bertfeat_server.finding import Access, access
from bertfeat_server.settings.models import name_model

LOOK_S = 0.2
LOST_S = 10.0
"""A change that the server does not know after so long was lost with a broker that ended."""

UNKNOWN = {"state": "running"}


@click.group()
def models() -> None:
    """Look at and change the models of a running server of yours.

    No request is lost: those that came before a change are answered by the model that they meant.
    """


@models.command("list")
@access
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table.")
def list_models(access: Access, as_json: bool) -> None:
    """Show each model: whether it is loaded, its workers, where it is from."""
    for model in access.ask("models")["models"]:
        words = f"{model['name']:24}  {model['state']:8}  {model['workers']}  {model['source']}"
        click.echo(json.dumps(model) if as_json else words)


@models.command()
@access
@click.argument("model", metavar="NAME=FOLDER")
@click.option("--task", is_flag=True, help="It is a trained head.")
def load(access: Access, model: str, task: bool) -> None:
    """Serve one more model, or load one that is unloaded.

    It is served once its vectors were found to be those of its own weights in float32.
    """
    _change(access, "load", model, task)


@models.command()
@access
@click.argument("model", metavar="NAME=FOLDER")
def swap(access: Access, model: str) -> None:
    """Serve another model under a name.

    It takes over when it is warm and its vectors were found to be those of its own weights in
    float32; if it fails, the one before stays.
    """
    _change(access, "swap", model)


@models.command()
@access
@click.argument("name")
def unload(access: Access, name: str) -> None:
    """Serve a model no more."""
    _change(access, "unload", name)


def _change(access: Access, change: str, model: str, task: bool = False) -> None:
    """Ask for a change and wait for its end."""
    name, source = name_model(model)
    if Path(source).expanduser().is_dir():
        source = str(Path(source).expanduser().resolve())
    id = uuid.uuid4().hex
    access.ask("change", id=id, change=change, model=name, source=source, task=task)
    end = time.monotonic() + LOST_S
    while (now := access.ask("models")["changes"].get(id, UNKNOWN))["state"] == "running":
        if now is UNKNOWN and time.monotonic() > end:
            raise ClientError(f"{change} {name}: the server knows nothing of it; ask again")
        time.sleep(LOOK_S)
    if now["state"] == "failed":
        raise ClientError(f"{change} {name}: {now['reason']}; the server goes on as it was")
    click.echo(f"{change} {name}: done")
