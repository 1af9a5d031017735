"""One HTML file with its style and pictures inside: it needs no script, no server and no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from string import Template

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#f5f6f8;margin:0}
main{max-width:1040px;margin:0 auto;padding:20px}
section{background:#fff;border:1px solid #dde1e7;border-radius:8px;padding:14px 20px;margin:14px 0;overflow-x:auto}
h1{font-size:24px;margin:6px 0}h2{font-size:18px;margin:2px 0 8px}h3{font-size:15px;margin:14px 0 4px}
img{max-width:100%;height:auto;display:block}
.pair td,.pair th{padding:3px 6px}.pair>*{min-width:0;overflow-x:auto}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:8px}
figure{margin:6px 0}figcaption,.note{color:#596475;font-size:13px}
table{border-collapse:collapse;font-size:13.5px;margin:6px 0}
th,td{text-align:left;padding:3px 10px;border-bottom:1px solid #e6e9ee;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.n,.pair td:first-child,.noise{white-space:nowrap}
td small{display:block;color:#596475;font-size:12px}th{vertical-align:bottom}
.swatch{display:inline-block;width:.9em;height:.9em;border:1px solid #9aa3b0;margin:0 4px 0 10px;vertical-align:-1px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:6px 0}dt{color:#596475}
dd{margin:0;overflow-wrap:anywhere}
pre,code{font:12.5px/1.45 ui-monospace,monospace;background:#f2f4f7;border-radius:4px}
pre{padding:10px;overflow-x:auto;white-space:pre-wrap}code{padding:1px 4px;overflow-wrap:anywhere}
.badge{display:inline-block;color:#fff;border-radius:5px;padding:1px 10px;font-weight:600}
.good{background:#1d7f46}.bad{background:#b3261e}.open{background:#8a5a00}
.pass,.better{color:#1d7f46}.fail,.worse{color:#b3261e;font-weight:600}.noise{color:#596475}
.alarm{border-left:5px solid #b3261e;color:#b3261e}.missing{border-left:4px solid #d99a1c;padding-left:10px}
"""
LONG = 16  # letters that a column has place for
PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title><style>$style</style></head>
<body><main>
$body
</main></body></html>
""")


def page(title: str, sections: Iterable[str]) -> str:
    return PAGE.substitute(title=escape(title), style=STYLE, body="\n".join(sections))


def section(title: str, *parts: str, mark: str = "") -> str:
    """``parts`` are HTML already; ``mark`` is a class of the style."""
    return f'<section class="{mark}"><h2>{escape(title)}</h2>{"".join(parts)}</section>'


def picture(data: bytes, kind: str, caption: str, spoken: str = "") -> str:
    """``kind``: svg+xml, png or webp. An own document within the page, so that names inside SVGs do not clash.
    ``spoken``: text in place of the picture, where it is not the caption."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    text = escape(caption)
    return f'<figure><img alt="{escape(spoken) or text}" src="{source}"><figcaption>{text}</figcaption></figure>'


def beside(pictures: Iterable[str]) -> str:
    return f'<div class="pair">{"".join(pictures)}</div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs) + "</dl>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]], numeric: Sequence[str] = ()) -> str:
    """A cell is its text, or (text, class); a second line of it is small. Columns in ``numeric`` stand to the right."""
    right = [' class="n"' if head in numeric else "" for head in heads]
    lines = ["".join(f"<th{side}>{_breakable(head)}</th>" for head, side in zip(heads, right, strict=True))]
    for row in rows:
        cells = []
        for cell, side in zip(row, right, strict=True):
            text, mark = cell if isinstance(cell, tuple) else (cell, "")
            first, _, second = text.partition("\n")
            small = f"<small>{_breakable(second)}</small>" if second else ""
            cells.append(f'<td{side}><span class="{mark}">{_breakable(first)}</span>{small}</td>')
        lines.append("".join(cells))
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _breakable(text: str) -> str:
    """A long name may go on in the next line."""
    return escape(text).replace("_", "_<wbr>") if len(text) > LONG else escape(text)


def note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def missing(what: str, command: str) -> str:
    """Something that the page would show, and what to type to have it."""
    return f'<p class="missing">{escape(what)} To have it: <code>{escape(command)}</code></p>'


def folded(title: str, text: str) -> str:
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"
