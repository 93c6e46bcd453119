"""CSV tables of any content: read as they stand there, or refused in one sentence."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from pipeline.raw.files import RawFiles
from pipeline.raw.listing import composed
from pipeline.raw.tables import parse_csv
from tests.fuzzing import WORDS, damaged, depths, examples, read_or_refused

CELLS = WORDS.filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))


@st.composite
def tables(draw) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    names = draw(st.lists(CELLS.filter(bool), min_size=width, max_size=width, unique=True))
    return [names, *draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=4))]


@depths
def test_a_table_that_a_program_wrote_comes_back_cell_by_cell(count, tmp_path):
    path = tmp_path / "table.csv"

    @examples(count)
    @given(
        tables(),
        st.sampled_from((csv.QUOTE_ALL, csv.QUOTE_MINIMAL)),
        st.sampled_from(("\n", "\r\n")),
        st.booleans(),
    )
    def holds(table, quoting, end, mark):
        text = io.StringIO()
        csv.writer(text, quoting=quoting, lineterminator=end).writerows(table)
        path.write_bytes(text.getvalue().encode("utf-8-sig" if mark else "utf-8"))
        frame = read_or_refused(lambda: parse_csv(path), path)
        if frame is not None:
            assert [list(frame.columns), *frame.to_numpy().tolist()] == table

    holds()


@depths
def test_any_bytes_are_read_as_pythons_own_reader_does_or_refused(count, tmp_path):
    path = tmp_path / "train.csv"
    sound = 'id,label\n001,cat\n002,"a dog, sad"\n3,\u00e9\n'.encode()

    @examples(count)
    @given(
        st.binary(max_size=30)
        | damaged(sound)
        | st.lists(CELLS, max_size=6).map(lambda cells: "\n".join(cells).encode())
    )
    def holds(content):
        path.write_bytes(content)
        frame = read_or_refused(lambda: RawFiles((tmp_path,)).read_csv("train.csv", ["id"], ["label"]), path)
        if frame is not None:
            text = content.decode("utf-8-sig")
            rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
            names = rows[0]
            for column in ("id", "label"):
                wanted = [
                    row[names.index(column)] if len(row) > names.index(column) else "" for row in rows[1:]
                ]
                if column == "id":
                    wanted = [composed(cell.strip()) for cell in wanted]
                assert frame[column].fillna("").tolist() == wanted

    holds()
