"""What a page is made of: tables, charts, matrices, and images with what is known of them.
`pipeline.base.page` writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under heads; a column of numbers is set to the right, and a number that is NaN is a dash.

    Attributes
    ----------
    note : a sentence above it.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line, or one cloud of points.

    Attributes
    ----------
    x, y : as many of each; where either is not finite the line breaks.
    color : number of its colour; series of one number share it.
    """

    name: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    color: int = 0
    style: Literal["line", "dashed", "points"] = "line"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Series over two axes, each with its name. A point tells its numbers when pointed at.

    Attributes
    ----------
    limits : lowest and highest of x, then of y; None: what the series take.
    diagonal : also a line where both axes are equal.
    """

    title: str
    across: str
    up: str
    series: Sequence[Series]
    note: str = ""
    limits: tuple[tuple[float, float], tuple[float, float]] | None = None
    diagonal: bool = False


@dataclass(frozen=True, kw_only=True)
class Charts:
    """Charts beside one another, as far as there is room."""

    title: str
    charts: Sequence[Chart]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Numbers from 0 to 100, darker for more, with a name for each row and column."""

    title: str
    names: Sequence[str]
    values: np.ndarray
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Pictures that belong together, uint8 (H, W, 3), over what is said of them.

    Attributes
    ----------
    title : such as the image's id; shown in bold.
    lines : further text.
    names : of the pictures, as many; none for a picture that needs none.
    """

    pictures: Sequence[np.ndarray]
    title: str
    lines: Sequence[str] = ()
    names: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """Tiles, with what their colours mean.

    Attributes
    ----------
    legend : name and RGB colour, 0 to 255.
    side : pixels that a picture is shown in at most; a click shows it larger.
    """

    title: str
    tiles: Sequence[Tile]
    note: str = ""
    legend: Sequence[tuple[str, tuple[int, ...]]] = ()
    side: int = 200


Part = Path | Table | Chart | Charts | Matrix | Tiles
"""A path is a picture in a file, which is put into the page."""
