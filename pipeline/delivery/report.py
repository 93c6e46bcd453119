"""A run's page: report.html beside its pictures, to open in a browser."""

import html
from pathlib import Path
from typing import Any

from pipeline.base.files import atomic_path

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color:
#222; } img { max-width: 100%; } table { border-collapse: collapse; } td { padding: .2rem 1rem .2rem 0;
vertical-align: top; } pre { background: #f4f4f4; padding: 1rem; overflow-x: auto; font-size: .85rem; }
"""


def write_report(folder: Path, title: str, facts: dict[str, Any], pictures: list[Path], config: str) -> Path:
    """Write ``report.html`` into `folder`.

    Parameters
    ----------
    facts : shown as a table, in order.
    pictures : files in `folder`, linked relatively so that the folder can be moved.
    config : shown as it is.
    """
    rows = "".join(
        f"<tr><td>{html.escape(key)}</td><td>{html.escape(str(value))}</td></tr>"
        for key, value in facts.items()
    )
    images = "".join(
        f'<p><img src="{html.escape(picture.name)}" alt="{html.escape(picture.stem)}"></p>'
        for picture in pictures
    )
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{html.escape(title)}</h1><table>{rows}</table>{images}<h2>Config</h2><pre>{html.escape(config)}</pre></body></html>"
    )
    path = folder / "report.html"
    with atomic_path(path) as temporary:
        temporary.write_text(page)
    return path
