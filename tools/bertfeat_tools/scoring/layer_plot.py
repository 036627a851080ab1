"""A picture of score by layer: one SVG that needs nothing else, or an HTML page around it."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from bertfeat.checkpoints.whole_file import whole_file

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 60, 60
STEPS = 5
AXIS = "layer, 0 = embeddings"
STYLE = """
text { font: 13px sans-serif; fill: #222 } .title { font-size: 16px } .axis { stroke: #222 }
.grid { stroke: #ddd } .line { fill: none; stroke: #1f5fa8; stroke-width: 2 }
.point { fill: #1f5fa8 } .bar { stroke: #1f5fa8 }
.baseline { stroke: #b04a1a; stroke-dasharray: 6 4 }
"""


class Point(NamedTuple):
    """A layer's score, and its standard deviation where it was taken several times."""

    layer: int
    score: float
    sd: float = 0.0


def write_layer_plot(
    path: Path, points: Sequence[Point], *, title: str, metric: str, baseline: float
) -> None:
    """Write the picture: ``.html`` or ``.htm`` a page, any other name an SVG.

    Args:
        path: the file.
        points: one for each layer, in the order in which they stand on the axis.
        title: stands above it.
        metric: what the score is.
        baseline: drawn as a dashed line.
    """
    picture = layer_plot(points, title=title, metric=metric, baseline=baseline)
    if path.suffix in (".html", ".htm"):
        head = f'<meta charset="utf-8"><title>{escape(title)}</title>'
        picture = f"<!DOCTYPE html>\n<html><head>{head}</head>\n<body>{picture}</body></html>\n"
    with whole_file(path) as temporary:
        temporary.write_text(picture, encoding="utf-8")


def layer_plot(points: Sequence[Point], *, title: str, metric: str, baseline: float) -> str:
    """Return the SVG; see :func:`write_layer_plot`."""
    values = [baseline, *(p.score + side * p.sd for p in points for side in (-1, 1))]
    low, high = _limits(values)

    def y(score: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - score) / (high - low)

    step = (WIDTH - LEFT - RIGHT) / max(len(points), 1)
    xs = [LEFT + step * (place + 0.5) for place in range(len(points))]
    places = [(x, y(point.score)) for x, point in zip(xs, points, strict=True)]
    parts = [
        f'<text class="title" x="{LEFT}" y="28">{escape(title)}</text>',
        *(_grid_line(y(at), at) for at in _ticks(low, high)),
        _line("baseline", LEFT, y(baseline), WIDTH - RIGHT, y(baseline)),
        f'<text x="{LEFT + 6}" y="{y(baseline) - 6:.1f}">most frequent label</text>',
        *(_line("bar", x, y(p.score - p.sd), x, y(p.score + p.sd))
          for x, p in zip(xs, points, strict=True) if p.sd),
        '<polyline class="line" points="' + " ".join(f"{x:.1f},{v:.1f}" for x, v in places) + '"/>',
        *(_point(place, point) for place, point in zip(places, points, strict=True)),
        _line("axis", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM),
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{AXIS}</text>',
        f'<text transform="translate(18 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(metric)}</text>",
    ]  # fmt: skip
    frame = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {frame} role="img">\n<style>{STYLE}</style>\n'
        f"{body}\n</svg>\n"
    )


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis: a margin around the values, at least a hundredth."""
    margin = max((max(values) - min(values)) * 0.1, 0.005)
    return min(values) - margin, max(values) + margin


def _ticks(low: float, high: float) -> list[float]:
    return [low + (high - low) * (step + 0.5) / STEPS for step in range(STEPS)]


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _grid_line(y: float, score: float) -> str:
    label = f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{score:.3f}</text>'
    return _line("grid", LEFT, y, WIDTH - RIGHT, y) + label


def _point(place: tuple[float, float], point: Point) -> str:
    x, y = place
    told = f"layer {point.layer}: {point.score:.4f}" + (f" ± {point.sd:.4f}" if point.sd else "")
    return (
        f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{told}</title></circle>'
        f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{point.layer}</text>'
    )
