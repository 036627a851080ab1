"""The project in an environment of its own, installed from a copy of the tree as users would."""

import shutil
import subprocess
import sys
from pathlib import Path

from source_tree import ROOT

UNWANTED = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "demo-output")


def installed(folder: Path, extra: str = "") -> Path:
    """Make an environment with the project and an extra such as ``[lite]``; return its programs."""
    source, programs = folder / "source", folder / "environment" / "bin"
    shutil.copytree(ROOT, source, ignore=UNWANTED)
    subprocess.run([sys.executable, "-m", "venv", programs.parent], check=True)
    install = [programs / "python", "-m", "pip", "install", "-q", f"{source}{extra}"]
    subprocess.run(install, check=True)
    return programs
