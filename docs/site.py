"""A hook of MkDocs: what pages link to outside of docs/ is no page of the site, and becomes its path."""

import re

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#]+)\)")
"""A link that leaves the folder."""


def on_page_markdown(markdown: str, **_: object) -> str:
    """The text of a page before it is rendered."""
    return OUTSIDE.sub(r"\1 (`\2`)", markdown)
