"""Pages to open in a browser: one file each, with style, script and pictures inside. They ask no network for
anything, follow dark mode and fit a phone."""

import base64
import hashlib
import html
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.base.charts import draw
from pipeline.base.files import atomic_path
from pipeline.base.parts import Chart, Charts, Matrix, Part, Table, Tile, Tiles

STYLE, SCRIPT = (Path(__file__).with_name(f"page.{suffix}") for suffix in ("css", "js"))
LARGE = 480
"""Pixels that a picture keeps at most, for when it is shown larger."""
FIND = (
    '<input class="find" type="search" hidden placeholder="Find: id, class …" '
    'aria-label="Show those with this text">'
)


def write_page(path: Path, title: str, parts: Iterable[str]) -> Path:
    """Write a page of `parts`, which are HTML, under its title, which is text. Returns its path.

    Its content security policy allows its own script alone, so that no name in it can run one.
    """
    script = SCRIPT.read_text()
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{html.escape(title)}</title><style>{STYLE.read_text()}</style></head><body>"
    )
    large = '<dialog class="large"><img alt=""><p></p></dialog>'
    with atomic_path(path) as temporary:
        body = f"<h1>{html.escape(title)}</h1><main>{''.join(parts)}</main>{large}<script>{script}</script>"
        text = f"{head}{body}</body></html>\n"
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def section(part: Part) -> str:
    """A part of a page, as HTML."""
    if isinstance(part, Path):
        data = base64.b64encode(part.read_bytes()).decode()
        name = html.escape(part.stem.replace("_", " "))
        picture = f'<img src="data:image/png;base64,{data}" alt="{name}">'
        return f"<section><h2>{name}</h2>{picture}</section>"
    note = f'<p class="soft">{html.escape(part.note)}</p>' if part.note else ""
    if isinstance(part, Table):
        inside = table(part.heads, part.rows) if part.rows else ""
    elif isinstance(part, Chart):
        inside = draw(part)
    elif isinstance(part, Charts):
        plots = (f"<div><h3>{html.escape(chart.title)}</h3>{_noted(chart)}</div>" for chart in part.charts)
        inside = f'<div class="charts">{"".join(plots)}</div>'
    elif isinstance(part, Matrix):
        inside = _matrix(part)
    else:
        inside = _tiles(part)
    half = ' class="half"' if isinstance(part, Table | Chart) else ""
    return f"<section{half}><h2>{html.escape(part.title)}</h2>{note}{inside}</section>"


def _noted(chart: Chart) -> str:
    return f'<p class="soft">{html.escape(chart.note)}</p>{draw(chart)}' if chart.note else draw(chart)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts and numbers, which are set to the right; a click on a head sorts by it."""
    lines = [list(row) for row in rows]
    numeric = [
        bool(lines) and all(isinstance(line[place], (int, float, np.number)) for line in lines)
        for place in range(len(heads))
    ]
    kinds = [' class="number"' if number else "" for number in numeric]
    top = "".join(
        f'<th scope="col"{kind}><button type="button">{html.escape(head)}</button></th>'
        for kind, head in zip(kinds, heads, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(_td(kind, cell) for kind, cell in zip(kinds, line, strict=True))}</tr>"
        for line in lines
    )
    return (
        f'<div class="scroll"><table class="sorts"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )


def _td(kind: str, cell: object) -> str:
    return f"<td{kind}{_exact(cell)}>{_cell(cell)}</td>"


def _exact(value: object) -> str:
    """The number itself, to sort by: what is shown is rounded and grouped."""
    if not isinstance(value, (int, float, np.number)):
        return ""
    return f' data-value="{float(value) if math.isfinite(value) else ""}"'


def _cell(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}" if math.isfinite(value) else "–"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(one) for one in value)
    return "–" if value is None else html.escape(str(value)).replace("\n", "<br>")


def _matrix(matrix: Matrix) -> str:
    names = [html.escape(str(name)) for name in matrix.names]
    top = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    body = ""
    for row, name in enumerate(names):
        cells = "".join(
            f'<td title="{name} as {other}: {value:.1f} %" style="background:color-mix(in srgb,var(--c0) '
            f'{value:.0f}%,transparent){";color:var(--card)" if value > 55 else ""}">'
            f"{f'{value:.0f}' if value >= 0.5 else ''}</td>"
            for other, value in zip(names, matrix.values[row].tolist(), strict=True)
        )
        body += f'<tr><th scope="row">{name}</th>{cells}</tr>'
    return (
        f'<div class="scroll"><table class="matrix"><thead><tr><td></td>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _tiles(tiles: Tiles) -> str:
    if not tiles.tiles:
        return '<p class="soft">None.</p>'
    legend = "".join(
        f'<span><span class="swatch" style="background:rgb{color}"></span>{html.escape(name)}</span>'
        for name, color in tiles.legend
    )
    several = any(len(tile.pictures) > 1 for tile in tiles.tiles)
    size = "" if several or tiles.side > 200 else " small"
    return (
        f"{f'<p class=legend>{legend}</p>' if legend else ''}{FIND if len(tiles.tiles) > 4 else ''}"
        f'<div class="tiles{size}">{"".join(_tile(tile, tiles.side) for tile in tiles.tiles)}</div>'
    )


def _tile(tile: Tile, side: int) -> str:
    title = html.escape(tile.title)
    pictures = "".join(
        _picture(picture, f"{title}{f', {name}' if name else ''}", name, side)
        for picture, name in zip(tile.pictures, (*map(html.escape, tile.names), *[""] * 9), strict=False)
    )
    kind = "row" if len(tile.pictures) > 1 else "one"
    lines = "".join(f"<br>{html.escape(line)}" for line in tile.lines)
    return f'<div><div class="{kind}">{pictures}</div><figcaption><b>{title}</b>{lines}</figcaption></div>'


def _picture(picture: np.ndarray, told: str, name: str, side: int) -> str:
    source = thumbnail(picture, LARGE if max(picture.shape[:2]) > side else side)
    below = f"<small>{name}</small>" if name else ""
    return f'<button type="button" class="open"><img alt="{told}" src="{source}">{below}</button>'


def thumbnail(image: np.ndarray, side: int = 200) -> str:
    """The source of an ``img``: an image (uint8 (H, W, 3)) within `side` pixels, inlined as JPEG; those of
    fewer pixels are enlarged by a whole factor, without smoothing."""
    picture = Image.fromarray(image)
    if max(picture.size) > side:
        picture.thumbnail((side, side))
    else:
        factor = side // max(picture.size)
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
