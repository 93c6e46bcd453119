"""A run's page: report.html beside its pictures, to open in a browser."""

import html
from pathlib import Path
from typing import Any

from pipeline.base.page import table, write_page


def write_report(folder: Path, title: str, facts: dict[str, Any], pictures: list[Path], config: str) -> Path:
    """Write ``report.html`` into `folder`.

    Parameters
    ----------
    facts : shown as a table, in order.
    pictures : files in `folder`, linked relatively so that the folder can be moved.
    config : shown as it is.
    """
    images = "".join(
        f'<p><img src="{html.escape(picture.name)}" alt="{html.escape(picture.stem)}"></p>'
        for picture in pictures
    )
    parts = (
        f"<section>{table(('what', 'value'), ((key, str(value)) for key, value in facts.items()))}</section>",
        f"<section>{images}</section>" if images else "",
        f"<section><h2>Config</h2><pre>{html.escape(config)}</pre></section>",
    )
    return write_page(folder / "report.html", title, parts)
