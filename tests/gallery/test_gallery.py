"""Every competition of the gallery, from its real raw layout to its real submission format."""

import re

import pandas as pd
import pytest

from pipeline.delivery.submission import check_file
from tests.gallery.document import PAGE
from tests.gallery.rows import ROWS, Row
from tests.gallery.run import FOLDER, lines_of, load, run_all

MOST_LINES = 60
"""Lines that a competition's folder may need beside its generator."""


def test_every_folder_is_run():
    assert {row.slug for row in ROWS} == {path.parent.name for path in FOLDER.glob("*/competition.py")}
    assert [row.slug for row in ROWS] == sorted(row.slug for row in ROWS)


@pytest.mark.parametrize("slug", [row.slug for row in ROWS])
def test_a_folder_is_short(slug: str):
    assert lines_of(slug) <= MOST_LINES


def test_the_page_names_every_competition_with_its_lines():
    page = PAGE.read_text(encoding="utf-8")
    for row in ROWS:
        slug = load(row.slug)[0].kaggle_slug
        start = f"| [{slug}](../tests/gallery/{row.slug}/competition.py) | {lines_of(row.slug)} |"
        assert start in page, "python -m tests.gallery.document writes it again"


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.slug, marks=[] if row.fast else pytest.mark.slow) for row in ROWS]
)
def test_from_raw_files_to_a_submission_that_beats_chance(row: Row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run_all(row.slug)
    header, *lines = result.submission.read_text().removesuffix("\n").split("\n")
    assert header == row.header
    assert [line for line in lines if not re.fullmatch(row.row, line)] == []
    if row.sums:
        numbers = pd.DataFrame([line.split(",")[1:] for line in lines]).astype("float64")
        assert (numbers.sum(axis=1) - 1).abs().max() < 1e-6
    competition, _ = load(row.slug)
    better = competition.metric.sign * (result.score - row.chance)
    assert better >= row.margin, f"{competition.metric.name} {result.score:.4f}, chance {row.chance}"
    sample, test = prepared_tables(tmp_path / "data" / row.slug / "prepared")
    form = competition.submission_format(competition.task.classes(test[1]))
    check_file(result.submission, sample, test[0], form)
    assert row.several or len(lines) == len(sample)


def prepared_tables(home):
    """The sample submission, and the test and train manifests."""
    folder = next(path.parent for path in home.glob("*/sample_submission.parquet"))
    sample, test, train = (
        pd.read_parquet(folder / f"{n}.parquet") for n in ("sample_submission", "test", "train")
    )
    return sample, (test, train)
