"""The same encoder under JAX: another back end of Keras, in a process of its own."""

import os
import subprocess
import sys

import numpy as np
import pytest

from bertfeat import Encoder

pytest.importorskip("jax")
TEXTS = ["the cat sat", ("hello", "the big dog"), ["red", "rain"], "the mat " * 40, ""]
PROGRAM = """
import sys, warnings
import numpy as np
from bertfeat import Encoder
warnings.simplefilter("ignore")
texts = eval(sys.argv[3])
encoder = Encoder.load(sys.argv[1], batch_tokens=256)
assert type(encoder.runtime.engine).__name__ == "JaxEngine", encoder.runtime.engine
assert "tensorflow" not in sys.modules
found = {f"tokens{i}": x.vectors for i, x in enumerate(encoder.extract(texts, layers="all"))}
encoder.warm_up()
before = encoder.runtime.engine.compilations
assert before > 0
for count in (1, 2, 3, 7, 20, 61):
    encoder.encode([" ".join(["cat"] * (1 + 7 * i % 50)) for i in range(count)])
assert encoder.runtime.engine.compilations == before, "compiled again after the warm-up"
np.savez(
    sys.argv[2], **found, attentions=encoder.attentions(texts[0]),
    mean=encoder.encode(texts, pooling="mean"),
    several=encoder.encode(texts, layers="all", combine="max", pooling="sep", normalize=True),
)
"""


@pytest.mark.filterwarnings("ignore::bertfeat.errors.TruncationWarning")
def test_vectors_under_jax_are_those_under_tensorflow(tiny_bert, tmp_path):
    folder, out = tiny_bert(seed=31), tmp_path / "jax.npz"
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(out), repr(TEXTS)],
        env=os.environ | {"KERAS_BACKEND": "jax"}, check=True, timeout=300,
    )  # fmt: skip
    found, encoder = np.load(out), Encoder.load(folder)
    for i, item in enumerate(encoder.extract(TEXTS, layers="all")):
        np.testing.assert_allclose(found[f"tokens{i}"], item.vectors, atol=1e-5)
    expected = {
        "mean": encoder.encode(TEXTS, pooling="mean"),
        "several": encoder.encode(
            TEXTS, layers="all", combine="max", pooling="sep", normalize=True
        ),
        "attentions": encoder.attentions(TEXTS[0]),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)
