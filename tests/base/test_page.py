"""Parts of pages: what they say, and that nothing in a name becomes markup."""

import re

import numpy as np
import pytest
from PIL import Image

from pipeline.base.charts import ticks
from pipeline.base.page import section, table, write_page
from pipeline.base.parts import Chart, Charts, Matrix, Series, Table, Tile, Tiles

EVIL = "<img src=x onerror=alert(1)>"
PICTURE = np.zeros((8, 8, 3), dtype="uint8")


def chart(x, y, **options) -> Chart:
    series = [Series(name=EVIL, x=x, y=y)]
    return Chart(title=EVIL, across=EVIL, up=EVIL, series=series, **options)


@pytest.mark.parametrize(
    "part",
    [
        Table(title=EVIL, heads=[EVIL], rows=[(EVIL,)], note=EVIL),
        chart([1, 2], [3.0, 4.0]),
        chart([], []),
        Charts(title=EVIL, charts=[chart([1], [np.nan]), chart([1, 2], [1, 1], note=EVIL)]),
        Matrix(title=EVIL, names=[EVIL, "b"], values=np.eye(2) * 100),
        Tiles(
            title=EVIL,
            tiles=[Tile(pictures=[PICTURE, PICTURE], title=EVIL, lines=[EVIL], names=[EVIL])],
            legend=[(EVIL, (1, 2, 3))],
        ),
        Tiles(title=EVIL, tiles=[]),
    ],
)
def test_no_text_becomes_markup(part):
    made = section(part)
    assert EVIL not in made and "&lt;img src=x" in made and "nan" not in made.lower().replace("finance", "")


def test_numbers_are_rounded_and_sorted_by_what_they_are():
    made = table(["n"], [(0.010000000000000009,), (12345,), (float("nan"),)])
    assert re.findall(r'data-value="([^"]*)">([^<]*)<', made) == [
        ("0.010000000000000009", "0.01"),
        ("12345.0", "12,345"),
        ("", "–"),
    ]
    assert "<td>0.01</td>" not in made and 'class="number"' in made


def test_texts_beside_numbers_are_rounded_too():
    made = table(
        ["what", "value"], [("score", 0.123456789), ("run", "a"), ("folds", [0.5, 1 / 3]), ("x", None)]
    )
    for text in ("0.1235", ">a<", "0.5, 0.3333", "–"):
        assert text in made


@pytest.mark.parametrize(
    ("low", "high", "count"), [(0.9, 6.1, 6), (0.97, 2.03, 6), (0.5, 1.5, 6), (1, 300, 5)]
)
def test_epochs_are_whole_numbers(low, high, count):
    found = ticks(low, high, count, whole=True)
    assert found and all(value == int(value) and low <= value <= high for value in found)
    assert len(found) <= 2 * count


def test_epochs_on_an_axis_have_no_fractions():
    made = section(chart([1, 2], [0.1, 0.2]))
    middle = re.findall(r'text-anchor="middle">([^<]*)<', made)
    assert "1" in middle and "2" in middle and not any("." in text for text in middle)


def test_ticks_are_round_and_inside():
    assert ticks(0.013, 0.987, 5) == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert ticks(-1, 1, 4) == [-1, -0.5, 0, 0.5, 1]


def test_a_line_breaks_where_there_is_no_number():
    made = section(chart([1, 2, 3, 4], [1.0, np.nan, 2.0, 3.0]))
    (path,) = re.findall(r'class="line line" d="([^"]*)"', made)
    assert path.count("M") == 2 and path.count("L") == 1 and made.count("<circle") == 3


def test_a_picture_in_a_file_is_put_into_the_page(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "some_curve.png")
    made = section(tmp_path / "some_curve.png")
    assert "data:image/png;base64," in made and "some curve" in made


def test_a_page_needs_nothing_beside_it(tmp_path):
    page = write_page(tmp_path / "page.html", EVIL, [section(chart([1, 2], [1, 2]))]).read_text()
    assert "Content-Security-Policy" in page and "default-src 'none'" in page
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]', page) and "http" not in page.lower().replace(
        "http-equiv", ""
    )
    assert EVIL not in page
