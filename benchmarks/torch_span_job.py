"""What the torch peer of ``fine_tuning.py`` trains: answers in contexts under transformers."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import transformers

from torch_jobs import Batch, Job, Rows


class Span(Job):
    """Answers in contexts, as transformers' own example of question answering finds them."""

    auto = transformers.AutoModelForQuestionAnswering
    stride, longest_answer, best = 128, 30, 20

    def read(self) -> None:
        """Cut every context into windows."""
        parts = [questions(path) for path in (self.options.train, self.options.dev)]
        self.train, self.dev = ([w for one in part for w in self.windows(one)] for part in parts)
        self.questions = parts[1]
        self.model = self.load()

    def windows(self, question: Batch) -> Iterator[Batch]:
        """Yield the windows of one question, with the places of the answer's tokens."""
        found = self.tokenizer(
            question["question"].lstrip(), question["context"], truncation="only_second",
            max_length=self.options.max_seq_len, stride=self.stride,
            return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        for number, ids in enumerate(found["input_ids"]):
            parts = found.sequence_ids(number)
            offsets = [
                pair if part == 1 else None
                for pair, part in zip(found["offset_mapping"][number], parts, strict=True)
            ]
            yield {
                "input_ids": ids, "attention_mask": found["attention_mask"][number],
                "token_type_ids": found["token_type_ids"][number], "offsets": offsets,
                "question": question, "labels": self.places(question, offsets),
            }  # fmt: skip

    def places(self, question: Batch, offsets: Sequence[Any]) -> tuple[int, int]:
        """Return the first and last token of the answer; 0 if the window has not all of it."""
        answer = question["answers"][0]
        start, stop = answer["answer_start"], answer["answer_start"] + len(answer["text"])
        inside = [
            n for n, pair in enumerate(offsets) if pair and pair[0] < stop and pair[1] > start
        ]
        spans = [pair for pair in offsets if pair]
        if not inside or spans[0][0] > start or spans[-1][1] < stop:
            return 0, 0
        return inside[0], inside[-1]

    def outputs(self, batch: Batch) -> Sequence[Any]:
        """Return start and end scores of each window."""
        del batch["labels"]
        found = self.model(**batch)
        return list(zip(found.start_logits, found.end_logits, strict=True))

    def loss(self, batch: Batch) -> Any:
        """Return the mean of both ends' losses."""
        starts, ends = batch.pop("labels").T
        return self.model(**batch, start_positions=starts, end_positions=ends).loss

    def predictions(self, logits: Sequence[Any]) -> Any:
        """Return the best answer to each question over its windows."""
        best: dict[str, tuple[float, str]] = {q["id"]: (float("-inf"), "") for q in self.questions}
        for window, (starts, ends) in zip(self.dev, logits, strict=True):
            question = window["question"]
            for score, text in self.candidates(window, starts, ends):
                best[question["id"]] = max(best[question["id"]], (score, text))
        return {name: text for name, (_, text) in best.items()}

    def candidates(self, window: Batch, starts: Any, ends: Any) -> Iterator[tuple[float, str]]:
        """Yield scores and texts of one window's likeliest answers."""
        offsets, context = window["offsets"], window["question"]["context"]
        firsts, lasts = (
            values[: len(offsets)].argsort()[-self.best :].tolist() for values in (starts, ends)
        )
        for first in firsts:
            for last in lasts:
                if offsets[first] and offsets[last] and 0 <= last - first < self.longest_answer:
                    text = context[offsets[first][0] : offsets[last][1]]
                    yield float(starts[first] + ends[last]), text


def questions(path: Path) -> Rows:
    """Read the questions of a file in SQuAD's layout."""
    articles = json.loads(path.read_text("utf-8"))["data"]
    return [
        {"context": paragraph["context"], **question}
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
