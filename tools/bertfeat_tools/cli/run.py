"""How a command ends: the one place where an error becomes a message and an exit code."""

import os
import sys
import warnings
from typing import Any, NoReturn

import click

from bertfeat.errors import BertFeatError
from bertfeat.extras import MissingExtra, explain
from bertfeat_client.errors import ClientError

DONE, FAILED, INTERRUPTED = 0, 1, 130


def run(command: click.Command, name: str) -> NoReturn:
    """Run a command on this process's arguments and exit.

    0 when done, 1 with one message on stderr when it failed, 2 on wrong usage, 130 on Ctrl-C.
    An error that is a bug keeps its traceback.
    """
    warnings.formatwarning = _one_line
    try:
        code = command.main(prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        code = FAILED
    except (BertFeatError, ClientError, FloatingPointError, MissingExtra, OSError) as error:
        click.echo(f"{name}: {error}", err=True)
        code = FAILED
    except ModuleNotFoundError as error:
        click.echo(explain(name, error), err=True)
        code = FAILED
    sys.exit(code if isinstance(code, int) else DONE)


def _one_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"warning: {message}\n"


def _discard_output() -> None:
    """Let what is still buffered go nowhere: the reader of the pipe has left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
