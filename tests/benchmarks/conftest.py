"""The benchmarks are scripts in a folder of their own: put it where imports are looked for."""

import sys

from source_tree import ROOT

sys.path.append(str(ROOT / "benchmarks"))
