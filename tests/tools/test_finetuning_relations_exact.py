"""``bertfeat train relation``: lines told rightly, interrupted runs, losses beside torch."""

import json

import numpy as np
import pytest

from bertfeat.errors import InputError
from bertfeat_tools.finetuning.classify import ClassifyOptions
from bertfeat_tools.finetuning.triple_examples import Part, TripleExample, read_triple_examples

TEXTS = [
    TripleExample("the cat sat on the mat", ((Part(4, 7, "A"), "sits", Part(19, 22, "T")),)),
    TripleExample("one big dog ran in the sun", ((Part(4, 11, "A"), "runs", Part(23, 26, "T")),)),
    TripleExample(
        "a cat and a dog in the sun",
        (
            (Part(2, 5, "A"), "sits", Part(23, 26, "T")),
            (Part(12, 15, "A"), "runs", Part(2, 5, "A")),
        ),
    ),
    TripleExample("he ran", ()),
]


def test_bad_relations_are_told_by_the_lines_of_the_file(tmp_path):
    part = {"start": 0, "end": 1, "label": "X"}
    wrong = {"text": "a b", "triples": [{"subject": part, "relation": "r|s", "object": part}]}
    (tmp_path / "x.jsonl").write_text(f"7\n\n{json.dumps(wrong)}\n")
    with pytest.raises(InputError, match=r"line 1: (?s:.*)line 3: 'r\|s' cannot be"):
        read_triple_examples(tmp_path / "x.jsonl")
    table = (
        "#doc 1\n0\tA\tB-X\t['R']\t[5]\n\n1\tB\tO\t['N']\t[1]\n\n#doc 2\n0\tA\tB-X\t['R|S']\t[0]\n"
    )
    (tmp_path / "x.txt").write_text(table)
    with pytest.raises(InputError, match=r"line 2: relations (?s:.*)line 7: 'R\|S' cannot be"):
        read_triple_examples(tmp_path / "x.txt")


def weights(folder):
    files = sorted((folder / "model").rglob("*.safetensors"))
    assert len(files) == 2
    return [file.read_bytes() for file in files]


@pytest.mark.slow
def test_an_interrupted_pipeline_ends_with_the_same_weights(tiny_bert, tmp_path):
    from bertfeat_tools.finetuning.relations import train_relations

    model = tiny_bert(num_hidden_layers=1)
    options = ClassifyOptions(model=str(model), epochs=3, batch_size=2, learning_rate=1e-3)

    def stop(stage):
        def show(step, steps, values):
            if stage == "entities" and step == 4:
                raise KeyboardInterrupt

        return show

    train_relations(options, TEXTS, TEXTS, tmp_path / "whole", lambda stage: lambda *told: None)
    with pytest.raises(KeyboardInterrupt):
        train_relations(options, TEXTS, TEXTS, tmp_path / "cut", stop)
    assert not (tmp_path / "cut" / "model").exists()
    seen = []
    train_relations(
        options, TEXTS, TEXTS, tmp_path / "cut",
        lambda stage: lambda step, *rest: seen.append((stage, step)),
    )  # fmt: skip
    assert seen[0] == ("entities", 3)  # neither stage starts anew
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_losses_of_parts_equal_transformers(tiny_bert):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from bertfeat_tools.finetuning.relations import PartsTask
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(0)
    import keras

    from bertfeat_tools.finetuning.tags import collated_tags
    from bertfeat_tools.finetuning.token_classifier import TokenClassifier

    task = PartsTask(TEXTS, TEXTS)
    folder = tiny_bert(
        heads=("classifier",), num_labels=len(task.labels), num_hidden_layers=1,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    twin = transformers.BertForTokenClassification.from_pretrained(
        folder, num_labels=len(task.labels)
    ).train()
    source, tokenizer = open_folder(folder)
    bert = make_bert(source, heads=("classifier",), num_labels=len(task.labels))
    model = TokenClassifier(bert)
    rows, tags, _, _ = task.prepare(tokenizer, 32)
    batch = collated_tags(rows, tags, tokenizer.pad_id, np.arange(len(rows)))
    assert batch["token_type_ids"].max() == 1  # the text is the second segment
    labels = np.full(batch["input_ids"].shape, -100, np.int64)
    for place, row in enumerate(rows):
        labels[place, row.pieces[:, 0, 1]] = tags[place]
    theirs = torch.optim.SGD(twin.parameters(), lr=0.1)
    model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
    for _ in range(5):
        inputs = {name: torch.tensor(batch[name]).long()
                  for name in ("input_ids", "attention_mask", "token_type_ids")}  # fmt: skip
        loss = twin(**inputs, labels=torch.tensor(labels)).loss
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        ours = model.train_on_batch(batch, return_dict=True)["loss"]
        assert float(ours) == pytest.approx(loss.item(), abs=1e-4)
