"""Report how far a text's vector depends on what shares its batch, in each precision.

Real texts are encoded together, in packed rows, and each alone; in float32 a property test holds
the difference below 1e-5, in the others it is what the arithmetic makes of another order of sums.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat import Encoder
from figures import cosines
from texts import mixed_texts

PRECISIONS = ("float32", "bfloat16", "int8")


def differences(model: str, precision: str, texts: list[str]) -> dict[str, Any]:
    """Compare vectors of texts packed together with those of the texts alone, and once more."""
    packed = Encoder.load(model, precision=precision)
    alone = Encoder.load(model, precision=precision, batch_invariant=True)
    first, second = packed.encode(texts), alone.encode(texts)
    shuffled = alone.encode(texts[::-1])[::-1]
    return {
        "precision": precision,
        "texts": len(texts),
        "largest_difference": float(np.abs(first - second).max()),
        "least_cosine": float(cosines(first, second).min()),
        "batch_invariant_bits_equal": bool((second == shuffled).all()),
    }


def main() -> None:
    """Read the command line, compare, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    texts = [text[:800] for text in mixed_texts()[: options.texts]]
    found = [differences(options.model, precision, texts) for precision in PRECISIONS]
    lines = json.dumps(found, indent=1)
    print(lines)
    if options.output is not None:
        options.output.write_text(lines + "\n", "utf-8")


if __name__ == "__main__":
    main()
