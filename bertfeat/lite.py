"""Making lite folders: a model to int8, with its fidelity measured and written down.

``python -m bertfeat.lite MODEL_FOLDER TARGET`` is what loading a model with ``precision="int8"``
runs once for each model, in a process of its own, so that the float32 weights never enter the
caller's memory.
"""

import shutil
import sys
import warnings
from pathlib import Path

from bertfeat.checkpoints import convert, resolve
from bertfeat.checkpoints.folder_files import new_folder
from bertfeat.checkpoints.lite import note_fidelity
from bertfeat.errors import BertFeatError
from bertfeat.fidelity import Fidelity, measure
from bertfeat.loading import LoadOptions, load


def make(source: str | Path, target: Path, *, drop: bool = False) -> tuple[list[str], Fidelity]:
    """Convert a model to a lite folder, whole or not at all.

    Args:
        source: a model's name or folder.
        target: must not exist.
        drop: leave out what a lite folder cannot hold instead of failing.

    Returns:
        What was left out, and how faithful the vectors are.

    Raises:
        ConversionLoss: a lite folder cannot hold all of the model; the message lists what.
        CheckpointError, ConfigError, VocabularyError: as :func:`bertfeat.checkpoints.convert`.
    """
    folder = resolve(str(source))
    with new_folder(target) as finished:
        made = finished / "made"
        lost = convert(folder, made, "lite", drop=drop)
        exact = load(folder, LoadOptions(progress=False)).runtime
        fidelity = measure(load(made, LoadOptions(precision="int8")).runtime, exact)
        note_fidelity(made, fidelity.to_dict())
        for path in made.iterdir():
            shutil.move(path, finished / path.name)
        made.rmdir()
    return lost, fidelity


def main() -> int:
    """Run the conversion that the command line asks for; what goes wrong is one line on stderr."""
    source, target = sys.argv[1:]
    warnings.simplefilter("ignore")
    try:
        make(source, Path(target), drop=True)
    except (BertFeatError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
