"""The report page: tables and plots in one self-contained HTML file."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Page", "power_of_two"]

_STYLE = """
:root { color-scheme: light; --ink: #212529; --soft: #6c757d; --line: #dee2e6; --good: #2b8a3e; --bad: #c92a2a; }
* { box-sizing: border-box; }
body { margin: 0; background: #f8f9fa; color: var(--ink); font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 40px 0 8px; }
p { max-width: 78ch; margin: 6px 0; } .lead { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; margin: 20px 0; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
.card b { display: block; font-size: 24px; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 13px; }
table { border-collapse: collapse; background: #fff; width: 100%; font-size: 13.5px;
  font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: 5px 10px; text-align: right; vertical-align: top; }
th { background: #f1f3f5; font-weight: 600; } td.text, th.text { text-align: left; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.plots { display: flex; flex-wrap: wrap; gap: 12px; }
.plots > div, .wide { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 8px; }
.plots svg { width: 298px; height: auto; display: block; } .wide svg { width: 100%; height: auto; display: block; }
.figures { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; }
.figures > div { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 12px; }
.figures svg { width: 100%; height: auto; display: block; } .figures h3 { font-size: 15px; margin: 0 0 4px; }
.figures p { font-size: 13px; line-height: 1.4; } .figures b { font-weight: 600; }
@media (max-width: 900px) { .figures { grid-template-columns: 1fr; } }
.scroll { overflow-x: auto; margin: 0 0 12px; } .scroll th, .scroll td { padding: 5px 7px; }
code { background: #e9ecef; border-radius: 4px; padding: 1px 5px; font-size: 13px; }
"""


_SUPERSCRIPT = str.maketrans("-.0123456789", "⁻·⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass
class Page:
    """Sections in the order they are added; ``html`` is the finished page.

    A cell of a table is text, or (text, "good") or (text, "bad") for a verdict.
    """

    title: str
    lead: str
    _parts: list[str] = field(default_factory=list)

    def cards(self, values: Iterable[tuple[str, str]]) -> None:
        """Large numbers with a caption each."""
        cards = (f'<div class="card"><b>{html.escape(v)}</b><span>{html.escape(c)}</span></div>' for v, c in values)
        self._parts.append(f'<div class="cards">{"".join(cards)}</div>')

    def section(self, heading: str, *paragraphs: str) -> None:
        """A heading and paragraphs of plain text."""
        text = "".join(f"<p>{html.escape(p)}</p>" for p in paragraphs)
        self._parts.append(f"<h2>{html.escape(heading)}</h2>{text}")

    def link(self, text: str, page: str) -> None:
        """A paragraph that leads to another page in the same folder."""
        self._parts.append(f'<p><a href="{html.escape(page, quote=True)}">{html.escape(text)}</a></p>')

    def table(
        self, header: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]], text_columns: int = 1
    ) -> None:
        """A table whose first ``text_columns`` columns are left-aligned."""

        def kind(column: int) -> str:
            return ' class="text"' if column < text_columns else ""

        head = "".join(f"<th{kind(n)}>{html.escape(h)}</th>" for n, h in enumerate(header))
        body = []
        for row in rows:
            cells = []
            for n, cell in enumerate(row):
                if isinstance(cell, tuple):
                    cells.append(f'<td{kind(n)}><span class="{cell[1]}">{html.escape(cell[0])}</span></td>')
                else:
                    cells.append(f"<td{kind(n)}>{html.escape(cell)}</td>")
            body.append(f"<tr>{''.join(cells)}</tr>")
        self._parts.append(f'<div class="scroll"><table><tr>{head}</tr>{"".join(body)}</table></div>')

    def plot(self, svg: str) -> None:
        """One plot over the whole width."""
        self._parts.append(f'<div class="wide">{svg}</div>')

    def plots(self, svgs: Iterable[str]) -> None:
        """Small plots side by side."""
        self._parts.append(f'<div class="plots">{"".join(f"<div>{svg}</div>" for svg in svgs)}</div>')

    def figures(self, items: Iterable[tuple[str, str, Sequence[tuple[str, str]]]]) -> None:
        """Plots side by side, each with a heading above and named facts below: (heading, svg, (name, fact), ...)."""
        cells = []
        for heading, svg, facts in items:
            lines = "".join(f"<p><b>{html.escape(name)}:</b> {html.escape(fact)}</p>" for name, fact in facts)
            cells.append(f"<div><h3>{html.escape(heading)}</h3>{svg}{lines}</div>")
        self._parts.append(f'<div class="figures">{"".join(cells)}</div>')

    def html(self) -> str:
        title = html.escape(self.title)
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
            f'<h1>{title}</h1><p class="lead">{html.escape(self.lead)}</p>{"".join(self._parts)}</main></body></html>\n'
        )


def power_of_two(bits: float) -> str:
    """2 to the power of minus ``bits`` as text; "exact" for infinitely many."""
    return "exact" if bits == math.inf else "2" + f"-{bits:g}".translate(_SUPERSCRIPT)
