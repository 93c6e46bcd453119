"""Pages to open in a browser, without scripts: they need no network and follow dark mode."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.base.files import atomic_path

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1c2430; --soft: #5b6675;
  --line: #dfe3e9; --bad: #8a4b00; --bad-back: #fff1dc; --link: #1f5fc4; }
@media (prefers-color-scheme: dark) { :root { --page: #0f141b; --card: #171e27; --ink: #e4e9f0;
  --soft: #9aa7b6; --line: #2c3643; --bad: #ffc46b; --bad-back: #33270f; --link: #6cb0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; color: var(--ink); background: var(--page);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
h1 { font-size: 1.4rem; margin: .2rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 .4rem; }
p { margin: .3rem 0 .6rem; } .soft, small { color: var(--soft); } a { color: var(--link); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1rem;
  margin: 1rem 0; min-width: 0; overflow-wrap: anywhere; }
img { max-width: 100%; } pre { overflow-x: auto; font-size: .85rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { white-space: nowrap; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: .8rem; }
.tiles > div { border: 1px solid var(--line); border-radius: 8px; padding: .6rem; min-width: 0; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; } figure { margin: 0; min-width: 0; }
.pair img, .tiles img { width: 100%; max-height: 12rem; object-fit: contain;
  background: var(--page); display: block; }
figcaption { font-size: .82rem; line-height: 1.35; }
.badge { display: inline-block; padding: 0 .45rem; border-radius: 9px; font-size: .8rem;
  margin: 0 .3rem .3rem 0;  color: var(--bad); background: var(--bad-back); }
"""


def write_page(path: Path, title: str, parts: Iterable[str]) -> Path:
    """Write a page of `parts`, which are HTML, under its title, which is text. Returns its path."""
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>"
    )
    with atomic_path(path) as temporary:
        text = f"{head}<h1>{html.escape(title)}</h1>{''.join(parts)}</body></html>\n"
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts and numbers, which are set to the right; the heads are over the columns."""
    lines = [list(row) for row in rows]
    numeric = [
        bool(lines) and all(isinstance(line[place], (int, float, np.number)) for line in lines)
        for place in range(len(heads))
    ]
    kinds = [' class="number"' if number else "" for number in numeric]
    top = "".join(f"<th{kind}>{html.escape(head)}</th>" for kind, head in zip(kinds, heads, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{_cell(cell)}</td>' for kind, cell in zip(kinds, line, strict=True))}</tr>"
        for line in lines
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: object) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) else html.escape(str(value))


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
