"""``bertfeat mine-negatives`` against brute force."""

import json

import numpy as np
import pytest

from bertfeat import Encoder
from bertfeat.errors import InputError, NotTrainedForSimilarity
from bertfeat_tools.cli.group import bertfeat
from bertfeat_tools.embedding.negatives import Mining, mine
from command_line import call

pytestmark = pytest.mark.filterwarnings("ignore::bertfeat.errors.NotTrainedForSimilarity")
PAIRS = [("the cat sat", "a cat sat"), ("one dog ran", "the dog"), ("the cat sat", "the big cat"),
         ("red rain", "rain"), ("he is big", "she is big"), ("hello world", "hello")]  # fmt: skip
CORPUS = ["the cat sat", "blue mat", "two and three", "it was not red"]


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return Encoder.load(tiny_bert(num_hidden_layers=1, seed=2))


def brute_force(encoder, mining):
    """The same by comparing everything."""
    texts = list(dict.fromkeys([p for _, p in PAIRS] + CORPUS))
    unit = dict(zip(texts, encoder.encode(texts, normalize=True), strict=True))
    found = []
    for anchor, positive in PAIRS:
        own = {p for a, p in PAIRS if a == anchor} | {anchor}
        query = encoder.encode(anchor, normalize=True)
        near = sorted((t for t in texts if t not in own), key=lambda t: -(query @ unit[t]))
        limit = query @ unit[positive] - mining.margin
        fit = [t for t in near[mining.skip :] if query @ unit[t] <= limit]
        found += [(anchor, positive, t) for t in fit[: mining.count]]
    return found


@pytest.mark.parametrize(
    "mining", [Mining(2, 0.0), Mining(3, 0.05, skip=1), Mining(1, -1.0, skip=2)]
)
def test_negatives_are_those_of_brute_force(encoder, mining):
    found = list(mine(encoder, PAIRS, CORPUS, mining))
    assert found == brute_force(encoder, mining)
    assert found


def test_a_margin_leaves_less_and_only_near_texts_are_looked_at(encoder):
    counts = [len(list(mine(encoder, PAIRS, CORPUS, Mining(9, margin))))
              for margin in (-2, 0.05, 2)]  # fmt: skip
    assert counts[0] > counts[1] > counts[2] == 0
    assert len(list(mine(encoder, PAIRS, CORPUS, Mining(9, -2, among=1)))) <= len(PAIRS)
    with pytest.raises(InputError, match="got none"):
        list(mine(encoder, [], CORPUS, Mining()))


def test_the_file_holds_triplets_that_train(tiny_bert, tmp_path):
    pairs, target = tmp_path / "pairs.tsv", tmp_path / "triplets.jsonl"
    pairs.write_text("".join(f"{a}\t{p}\n" for a, p in [*PAIRS, PAIRS[0]]))
    model = tiny_bert(num_hidden_layers=1, seed=2)
    with pytest.warns(NotTrainedForSimilarity):
        done = call(bertfeat, "mine-negatives", pairs, target, "--margin", -2, "--negatives", 2,
                    "--model", model, "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    assert done.err.endswith("12 triplets, 0 of 6 pairs without\n")
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [(r["anchor"], r["positive"]) for r in rows[::2]] == PAIRS
    assert all(r["negative"] not in (r["anchor"], r["positive"]) for r in rows)
    assert not np.setdiff1d([r["negative"] for r in rows], [p for _, p in PAIRS]).size
    bad = call(bertfeat, "mine-negatives", pairs, tmp_path / "none.jsonl", "--columns", "1,7",
               "--model", model)  # fmt: skip
    assert bad.code == 1
    assert not (tmp_path / "none.jsonl").exists()
