"""Write the list of third-party licences from the installed packages of the lock file.

What a package says of itself is taken in this order: its licence expression, its licence
classifiers, the first line of its licence field.
"""

import re
import sys
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

LOCK = Path(__file__).with_name("serve.lock")
HEADER = """\
# Third-party licences

What the locked packages of the extra `[serve]` say of their licences. None of them is part of this
project; pip installs them. This file is written by `make lock`.

| package | version | licence |
|---|---|---|
"""


def locked(lock: str) -> list[tuple[str, str]]:
    """Names and versions in a lock file."""
    return re.findall(r"^([A-Za-z0-9._-]+)==([^ \\\n]+)", lock, re.MULTILINE)


def licence(package: PackageMetadata) -> str:
    """What a package says of its licence."""
    expression = package.get("License-Expression")
    classifiers = [
        line.split("::")[-1].strip()
        for line in package.get_all("Classifier") or []
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    field = (package.get("License") or "").strip().split("\n")[0].strip()
    return expression or ", ".join(classifiers) or field or "not stated"


def main() -> None:
    """Print the list."""
    sys.stdout.write(HEADER)
    for name, version in locked(LOCK.read_text("utf-8")):
        sys.stdout.write(f"| {name} | {version} | {licence(metadata(name))} |\n")


if __name__ == "__main__":
    main()
