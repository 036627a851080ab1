"""One HTML file to browse a tagger's errors: gold against predicted, by type and kind of error."""

import html
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.ner.schemes import Span
from bertfeat.ner.sentences import Sentence

KINDS = ("missed", "spurious", "wrong type", "wrong boundary")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Errors of a tagger</title>
<style>
body {{ font: 15px/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; }}
li {{ margin: .6rem 0; list-style: none; }} ul {{ padding: 0; }}
mark {{ border-radius: .2rem; padding: 0 .2rem; }} mark small {{ opacity: .7; }}
.gold {{ background: #d7f0d7; }} .predicted {{ background: #f9d9d3; }} select {{ font: inherit; }}
.tags {{ color: #777; font-size: .85em; }}
</style></head><body>
<h1>{errors} errors in {sentences} of {total} sentences</h1>
<p>Type <select id="type"><option value="">all</option>{types}</select>
Kind <select id="kind"><option value="">all</option>{kinds}</select> <span id="count"></span></p>
<p><mark class="gold">gold</mark> <mark class="predicted">predicted</mark></p>
<ul>{rows}</ul>
<script>
const type = document.getElementById("type"), kind = document.getElementById("kind");
function filter() {{
  let shown = 0;
  for (const row of document.querySelectorAll("li")) {{
    const found = JSON.parse(row.dataset.errors).some(
      ([t, k]) => (!type.value || t === type.value) && (!kind.value || k === kind.value));
    row.hidden = !found; shown += found;
  }}
  document.getElementById("count").textContent = shown + " sentences";
}}
type.onchange = kind.onchange = filter; filter();
</script></body></html>
"""


def errors_of(gold: Sequence[Span], predicted: Sequence[Span]) -> list[tuple[str, str]]:
    """Return (type, kind of error) of each entity that is not found, or is none.

    ``wrong type`` has the gold type, ``wrong boundary`` an overlap with a gold entity of its type.
    """
    missing, extra = set(gold) - set(predicted), set(predicted) - set(gold)
    found: list[tuple[str, str]] = []
    for span in sorted(missing):
        same = [s for s in extra if s[:2] == span[:2]]
        near = [s for s in extra if s[0] < span[1] and span[0] < s[1] and s[2] == span[2]]
        extra -= {*same, *near}
        found.append((span[2], "wrong type" if same else "wrong boundary" if near else "missed"))
    return found + [(span[2], "spurious") for span in sorted(extra)]


def write_page(gold: Sequence[Sentence], predicted: Sequence[Sentence], path: Path) -> None:
    """Write the page of all sentences that have an error."""
    rows, counts = [], Counter[str]()
    for left, right in zip(gold, predicted, strict=True):
        found = errors_of(left.spans, right.spans)
        if found:
            counts.update(kind for _, kind in found)
            rows.append(_row(left, right, found))
    types = sorted({kind for s in (*gold, *predicted) for _, _, kind in s.spans})
    page = PAGE.format(
        errors=counts.total(), sentences=len(rows), total=len(gold), rows="\n".join(rows),
        types="".join(f"<option>{html.escape(kind)}</option>" for kind in types),
        kinds="".join(f'<option value="{k}">{k} ({counts[k]})</option>' for k in KINDS),
    )  # fmt: skip
    with whole_file(path) as temporary:
        temporary.write_text(page, "utf-8")


def _row(gold: Sentence, predicted: Sentence, errors: list[tuple[str, str]]) -> str:
    data = html.escape(json.dumps(errors), quote=True)
    lines = "".join(
        f"<div>{_marked(sentence, name)}</div>"
        for sentence, name in ((gold, "gold"), (predicted, "predicted"))
    )
    tags = ", ".join(f"{html.escape(kind)}: {error}" for kind, error in errors)
    return f'<li data-errors="{data}">{lines}<div class="tags">{tags}</div></li>'


def _marked(sentence: Sentence, name: str) -> str:
    text, at, parts = sentence.text, 0, []
    for first, stop, kind in sentence.spans:
        start, end = sentence.offsets[first][0], sentence.offsets[stop - 1][1]
        parts.append(html.escape(text[at:start]))
        inner = f"{html.escape(text[start:end])} <small>{html.escape(kind)}</small>"
        parts.append(f'<mark class="{name}">{inner}</mark>')
        at = end
    return "".join([*parts, html.escape(text[at:])])
