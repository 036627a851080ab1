"""What makes ``extract_features`` take the command lines of google-research/bert."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

BOOLEAN = re.compile(r"^--(do[-_]lower[-_]case)=(true|false|1|0|yes|no|t|f)$", re.IGNORECASE)
TRUE = ("true", "1", "yes", "t")
PART = re.compile(r"\.(index|data-\d+-of-\d+|meta)$")


class GoogleCommand(click.Command):
    """A command that also reads booleans as absl writes them: ``--do_lower_case=False``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put booleans into click's form, then parse."""
        return super().parse_args(ctx, [_flag(argument) for argument in args])


def _flag(argument: str) -> str:
    found = BOOLEAN.match(argument)
    if argument in ("--nodo_lower_case", "--nodo-lower-case"):
        return "--no-do-lower-case"
    if not found:
        return argument
    return "--do-lower-case" if found[2].lower() in TRUE else "--no-do-lower-case"


@contextmanager
def google_folder(
    config: str, checkpoint: str, vocabulary: str, *, lowercase: bool
) -> Iterator[Path]:
    """Give a model folder for three files that may lie anywhere.

    Args:
        config: ``bert_config.json``.
        checkpoint: prefix of the checkpoint's files.
        vocabulary: ``vocab.txt``.
        lowercase: whether the model is uncased.

    Raises:
        click.UsageError: there is no such checkpoint.
    """
    prefix = Path(PART.sub("", checkpoint))
    parts = [prefix.with_name(f"{prefix.name}.index"), *prefix.parent.glob(f"{prefix.name}.data-*")]
    if not parts[0].is_file():
        raise click.UsageError(
            f"--init-checkpoint: there is no file {parts[0]}; give the checkpoint's prefix, "
            "say uncased_L-12_H-768_A-12/bert_model.ckpt"
        )
    with TemporaryDirectory(prefix="bertfeat-") as name:
        folder = Path(name)
        for part in parts:
            _link(folder / f"bert_model.ckpt{part.name.removeprefix(prefix.name)}", part)
        _link(folder / "bert_config.json", Path(config))
        _link(folder / "vocab.txt", Path(vocabulary))
        settings = json.dumps({"do_lower_case": lowercase})
        (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8")
        yield folder


def _link(link: Path, file: Path) -> None:
    try:
        link.symlink_to(file.resolve())
    except OSError:  # Windows, where links need a privilege
        shutil.copyfile(file, link)
