"""What is known to be safely written, so that an interrupted run can be taken up again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.errors import InputError
from bertfeat.features.writers.rows import Row

TOLD = 20
"""Failed lines whose reasons are kept; the others are counted."""


@dataclass
class Report:
    """What happened to the lines so far.

    Attributes:
        lines: lines worked on.
        failed: how many of them have no vectors.
        reasons: of the first few that failed.
        truncated: how many were longer than what is read.
        first_truncated: number of the first such line, from 0.
    """

    lines: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)
    truncated: int = 0
    first_truncated: int | None = None

    def note(self, row: Row) -> None:
        """Count a row."""
        self.lines += 1
        if row.error is not None:
            self.failed += 1
            self.reasons += [row.error] if len(self.reasons) < TOLD else []
        if row.truncated:
            self.truncated += 1
            if self.first_truncated is None:
                self.first_truncated = row.index


@dataclass(frozen=True)
class Journal:
    """The state at the end of a chunk.

    Attributes:
        job: everything that the result depends on besides the input.
        digest: sha256 of the input lines so far.
        sizes: bytes of each stream.
        report: what happened to the lines so far.
    """

    job: Mapping[str, Any]
    digest: str
    sizes: tuple[int, ...]
    report: Report

    def save(self, path: Path) -> None:
        """Write the journal in one step."""
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Journal":
        """Read a journal.

        Raises:
            InputError: the file is no journal.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            journal = cls(**raw)
            return replace(journal, sizes=tuple(raw["sizes"]), report=Report(**raw["report"]))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}: not a journal of this program ({error}); start anew without --resume"
            ) from error

    def check_job(self, job: Mapping[str, Any], part: Path) -> None:
        """Check that the run goes on as it was begun.

        Raises:
            InputError: something differs; the message says what.
        """
        now = json.loads(json.dumps(job))
        differing = [key for key in {**self.job, **now} if self.job.get(key) != now.get(key)]
        if differing:
            changes = "; ".join(
                f"{key} was {self.job.get(key)!r}, now {now.get(key)!r}" for key in differing
            )
            raise InputError(
                f"{part} was begun differently ({changes}); resume with the same options and "
                "model, or start anew without --resume"
            )
