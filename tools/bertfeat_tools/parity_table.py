"""The parity report as a table of text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bertfeat_tools.parity import Figure

CELL = 12


def as_table(figures: Sequence["Figure"]) -> str:
    """Lay figures out: a row for each output, a column for each kind of text; then the counts."""
    scenes = list(dict.fromkeys(figure.scene for figure in figures if figure.scene))
    width = max(len(figure.what) for figure in figures)
    measured = [figure for figure in figures if figure.scene]
    rows = dict.fromkeys(figure.what for figure in measured)
    failed = sum(not figure.passed for figure in figures)
    return "\n".join(
        [
            f"{'largest difference':<{width}}{_cells([*scenes, 'limit'])}",
            *(_row([f for f in measured if f.what == what], scenes, width) for what in rows),
            "",
            *(_row([figure], [""], width) for figure in figures if not figure.scene),
            "",
            f"{failed} over their limits" if failed else "all within their limits",
        ]
    )


def _row(figures: Sequence["Figure"], scenes: Sequence[str], width: int) -> str:
    found = {figure.scene: _number(figure.error) for figure in figures}
    cells = [*(found.get(scene, "") for scene in scenes), _number(figures[0].limit)]
    verdict = "pass" if all(figure.passed for figure in figures) else "FAIL"
    return f"{figures[0].what:<{width}}{_cells(cells)}  {verdict}"


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1e}"


def _cells(texts: Sequence[str]) -> str:
    return "".join(f"{text:>{CELL}}" for text in texts)
