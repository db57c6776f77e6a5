"""Small pieces of HTML. Every text that comes from outside goes through :func:`text`."""

import base64
import hashlib
import html
import io
import re
from importlib.resources import files

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # the last ones turn text around
BLACK = re.compile(r"#000000\b")


def text(value):
    """A text for between tags or in a quoted attribute; what controls, or is no Unicode, is shown as ``\\x00``."""
    characters = str(value).encode("utf-8", "backslashreplace").decode()
    return html.escape(CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), characters))


def name(value):
    """A class's or a file's name within a sentence, whatever the direction it is written in."""
    return f"<bdi>{text(value)}</bdi>"


def page(title, body):
    """A whole page that loads nothing: style, script and pictures are in it, and its own policy forbids the rest.

    Args:
        title: A text.
        body: HTML.
    """
    style, script = resource("page.css"), resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""


def resource(filename):
    """A text file of this package's templates."""
    return files("mstl.report").joinpath("templates", filename).read_text(encoding="utf-8")


def section_list(*parts):
    """Sections with headings, and links to them.

    Args:
        parts: Triples of an identifier, a title and HTML; those without HTML are left out.
    """
    parts = [part for part in parts if part[2]]
    links = "".join(f'<li><a href="#{key}">{text(title)}</a></li>' for key, title, _ in parts)
    blocks = (
        f'<section id="{key}" aria-labelledby="{key}-h">\n<h2 id="{key}-h">{text(title)}</h2>\n{body}\n</section>'
        for key, title, body in parts
    )
    return f'<nav aria-label="On this page"><ul>{links}</ul></nav>\n<main>\n' + "\n".join(blocks) + "\n</main>"


def table(columns, rows, caption, sortable=False):
    """A table that scrolls by itself where it is too wide.

    Args:
        columns: Pairs of a title and a kind, ``"text"`` or ``"number"``.
        rows: Lists of cells, the first of which heads the row. A cell is HTML, or a pair of HTML and the value that it
            is sorted by.
        caption: For people who cannot see it, a text.
        sortable: Whether a click on a column's title sorts by it.
    """
    head = "".join(f'<th scope="col" data-kind="{kind}">{text(title)}</th>' for title, kind in columns)
    lines = "\n".join(
        "<tr>"
        + "".join(
            cell(value, kind, first=at == 0) for at, (value, (_, kind)) in enumerate(zip(row, columns, strict=True))
        )
        + "</tr>"
        for row in rows
    )
    kind = ' class="sortable"' if sortable else ""
    return scrolling(
        f'<table{kind}>\n<caption class="unseen">{text(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody>\n</table>",
        caption,
    )


def cell(value, kind, first):
    """A cell of :func:`table`."""
    shown, key = value if isinstance(value, tuple) else (value, None)
    sorted_by = "" if key is None else f' data-value="{text("" if key != key else key)}"'
    if first:
        return f'<th scope="row"{sorted_by}><span class="words">{shown}</span></th>'
    if kind == "text":
        return f'<td{sorted_by}><span class="words">{shown}</span></td>'
    return f'<td class="{kind}"{sorted_by}>{shown}</td>'


def scrolling(inner, caption):
    """What may be wider than the page: it scrolls by itself, with the keyboard too."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}">\n{inner}\n</div>'


def facts(pairs):
    """A list of names and values.

    Args:
        pairs: Pairs of a text and HTML.
    """
    items = "".join(f"<div><dt>{text(key)}</dt><dd>{value}</dd></div>" for key, value in pairs)
    return f'<dl class="facts">{items}</dl>'


def code(line):
    """Lines to be copied."""
    return f'<div class="code"><pre><code>{text(line)}</code></pre><button type="button" hidden>Copy</button></div>'


def picture(pixels, alt, quality=82):
    """An image in the page.

    Args:
        pixels: (H, W, 3) uint8.
        alt: What is on it, a text.
        quality: Of the JPEG, up to 95.
    """
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality, optimize=True)
    size = f'width="{pixels.shape[1]}" height="{pixels.shape[0]}"'
    return f'<img src="{data_uri(data.getvalue(), "jpeg")}" alt="{text(alt)}" {size}>'


def data_uri(data, kind):
    """An image file's bytes as an address."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def chart(figure, key, alt):
    """A matplotlib Figure as a drawing in the page, whose black is the page's own ink, be that light or dark.

    Args:
        figure: With black ink; its background is left out.
        key: A word that no other chart of the page has.
        alt: What is on it, a text.
    """
    import matplotlib

    data = io.StringIO()
    nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "mstl"}):
        figure.savefig(data, format="svg", transparent=True, metadata=nobody)
    drawing = data.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    head, rest = drawing.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)[0]
    rest = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", rest)
    rest = BLACK.sub("currentColor", rest)
    return (
        f'<svg class="chart" role="img" aria-label="{text(alt)}" {box} xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'fill="currentColor">{rest.strip()}'
    )


def interval(value, low, high, start=0.0, end=1.0):
    """A share and its interval as a dot on a line.

    Args:
        value: The share.
        low: Where the interval begins.
        high: Where it ends.
        start: What the left end of the drawing stands for.
        end: The same of the right end.
    """
    x, left, right = (5 + 90 * (number - start) / (end - start) for number in (value, low, high))
    return (
        '<svg class="interval" viewBox="0 0 100 12" aria-hidden="true">'
        f'<path class="rail" d="M5 6H95"/><path d="M{left:.1f} 6H{right:.1f}"/>'
        f'<circle cx="{x:.1f}" cy="6" r="3.5"/></svg>'
    )
