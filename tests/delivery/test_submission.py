"""What reaches the disk is what the organiser accepts; what he would refuse never reaches it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.delivery.submission import check_file, write_submission
from pipeline.frame.submission import OneOf, Probability, SubmissionFormat

LABELS = SubmissionFormat("id", {"label": OneOf(("cat", "dog"))})
SCORES = SubmissionFormat("id", {"cat": Probability(), "dog": Probability()})

NO_TEST = pd.DataFrame()
"""A format with one row for each id looks at the sample file alone."""


def images(ids: list[str]) -> pd.DataFrame:
    """A test manifest."""
    return pd.DataFrame({"image_id": ids})


def sample(*ids: str, form: SubmissionFormat = LABELS) -> pd.DataFrame:
    """The organiser's sample file, as read: text in every cell."""
    return pd.DataFrame({"id": list(ids), **dict.fromkeys(form.columns, "cat")}, dtype="str")


def labels(rows: dict[str, object]) -> pd.DataFrame:
    """A submission of labels by id."""
    return pd.DataFrame({"id": list(rows), "label": list(rows.values())})


class TestSpelling:
    """The organiser's order and spelling are his, and what is written has them."""

    def test_columns_come_in_the_samples_order(self, tmp_path):
        turned = sample("2", "1")[["label", "id"]]
        LABELS.check_sample(turned, images(["1", "2"]))
        frame = labels({"1": "cat", "2": "dog"})
        write_submission(frame, turned, NO_TEST, LABELS, tmp_path / "s.csv")
        assert (tmp_path / "s.csv").read_text() == "label,id\ndog,2\ncat,1\n"
        check_file(tmp_path / "s.csv", turned, NO_TEST, LABELS)

    def test_accents_may_be_composed_or_not(self, tmp_path):
        apart = sample("cafe\u0301", "1")
        LABELS.check_sample(apart, images(["caf\u00e9", "1"]))
        frame = labels({"caf\u00e9": "cat", "1": "dog"})
        write_submission(frame, apart, NO_TEST, LABELS, tmp_path / "s.csv")
        assert (tmp_path / "s.csv").read_text(encoding="utf-8") == "id,label\ncafe\u0301,cat\n1,dog\n"
        check_file(tmp_path / "s.csv", apart, NO_TEST, LABELS)

    def test_lost_zeros_are_named(self):
        with pytest.raises(UserError, match="2 differ only in leading zeros, as '1' and '001'"):
            LABELS.check_sample(sample("1", "2"), images(["001", "002"]))


class TestWrite:
    def test_rows_come_in_the_samples_order(self, tmp_path):
        path = tmp_path / "new" / "s.csv"
        written = write_submission(
            labels({"1": "cat", "2": "dog", "10": "cat"}), sample("10", "1", "2"), NO_TEST, LABELS, path
        )
        assert path.read_bytes() == b"id,label\n10,cat\n1,cat\n2,dog\n"
        assert written["id"].tolist() == ["10", "1", "2"]
        assert [entry.name for entry in path.parent.iterdir()] == ["s.csv"]

    def test_integer_ids_are_the_samples_text(self, tmp_path):
        frame = pd.DataFrame({"id": [2, 1], "label": ["dog", "cat"]})
        write_submission(frame, sample("1", "2"), NO_TEST, LABELS, tmp_path / "s.csv")
        assert (tmp_path / "s.csv").read_text() == "id,label\n1,cat\n2,dog\n"

    def test_probabilities_survive_to_the_last_bit(self, tmp_path):
        values = np.random.default_rng(0).random((50, 2), dtype="float32")
        ids = [str(number) for number in range(50)]
        frame = pd.DataFrame({"id": ids, "cat": values[:, 0], "dog": values[:, 1]})
        write_submission(frame, sample(*ids, form=SCORES), NO_TEST, SCORES, tmp_path / "s.csv")
        back = pd.read_csv(tmp_path / "s.csv")[["cat", "dog"]].to_numpy(dtype="float32")
        np.testing.assert_array_equal(back, values)
        check_file(tmp_path / "s.csv", sample(*ids, form=SCORES), NO_TEST, SCORES)

    @pytest.mark.parametrize(
        "frame, message",
        [
            (labels({"1": "cat"}), r"lacks 1 id\(s\) \(2\)"),
            (
                labels({"1": "cat", "2": "dog", "3": "cat"}),
                r"has 1 id\(s\) the sample file does not list \(3\)",
            ),
            (labels({"1": "cat", "x": "dog"}), r"lacks 1 id\(s\) \(2\) and has 1 .* \(x\)"),
            (pd.DataFrame({"id": ["1", "2", "2"], "label": "cat"}), r"the id\(s\) 2 occur more than once"),
            (
                labels({"1": "cat", "2": None}),
                r"1 value\(s\) of label are not allowed, .* at id 2; .* one of cat, dog",
            ),
            (labels({"1": "cat", "2": "cow"}), r"the first 'cow' at id 2"),
            (labels({"1": "Cat", "2": " dog"}), r"2 value\(s\) of label"),
            (
                labels({"1": "cat", "2": "dog"})[["label", "id"]],
                r"columns are \['label', 'id'\], and must be \['id', 'l",
            ),
            (labels({"1": "cat", "2": "dog"}).assign(score=1), r"columns are \['id', 'label', 'score'\]"),
            (labels({"1": "cat", "2": "dog"})[["id"]], r"columns are \['id'\]"),
        ],
    )
    def test_a_faulty_submission_is_named_and_nothing_is_written(self, tmp_path, frame, message):
        with pytest.raises(UserError, match=message) as error:
            write_submission(frame, sample("1", "2"), NO_TEST, LABELS, tmp_path / "s.csv")
        assert str(tmp_path / "s.csv") in str(error.value) and "\n" not in str(error.value)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("value", [-0.001, 1.001, np.inf, -np.inf, np.nan, "high", None])
    def test_what_is_no_probability_is_refused(self, tmp_path, value):
        frame = pd.DataFrame({"id": ["1", "2"], "cat": 0.5, "dog": pd.Series([0.5, value], dtype=object)})
        with pytest.raises(
            UserError, match=r"1 value\(s\) of dog .* at id 2; it must be a number from 0 to 1"
        ):
            write_submission(frame, sample("1", "2", form=SCORES), NO_TEST, SCORES, tmp_path / "s.csv")
        assert list(tmp_path.iterdir()) == []

    def test_the_ends_of_the_range_are_probabilities(self, tmp_path):
        frame = pd.DataFrame({"id": ["1"], "cat": [0.0], "dog": [1]})
        write_submission(frame, sample("1", form=SCORES), NO_TEST, SCORES, tmp_path / "s.csv")
        written = pd.read_csv(tmp_path / "s.csv")
        assert (written["cat"].item(), written["dog"].item()) == (0, 1)

    def test_a_faulty_submission_leaves_an_earlier_one_alone(self, tmp_path):
        path = tmp_path / "s.csv"
        write_submission(labels({"1": "cat"}), sample("1"), NO_TEST, LABELS, path)
        before = path.read_bytes()
        with pytest.raises(UserError):
            write_submission(labels({"1": "cow"}), sample("1"), NO_TEST, LABELS, path)
        assert path.read_bytes() == before

    def test_many_missing_ids_are_counted_and_only_some_named(self, tmp_path):
        ids = [str(number) for number in range(1000)]
        with pytest.raises(UserError, match=r"lacks 999 id\(s\) \(1, 2, 3, 4, 5 and 994 more\)"):
            write_submission(labels({"0": "cat"}), sample(*ids), NO_TEST, LABELS, tmp_path / "s.csv")


# A carriage return is in no file name and no CSV; everything else may be.
odd_characters = st.characters(codec="utf-8", exclude_characters="\0\r") | st.sampled_from(",\"';\t\n 0é")
odd_ids = st.text(odd_characters, min_size=1, max_size=6) | st.sampled_from(
    ["007", "7", "1e3", "NA", "nan", "null", "-0", " 1", "1 "]
)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_every_id_comes_back_from_the_file_as_it_was(tmp_path_factory, data):
    ids = data.draw(st.lists(odd_ids, min_size=1, max_size=8, unique=True))
    rows = {
        image_id: data.draw(st.sampled_from(["cat", "dog"])) for image_id in data.draw(st.permutations(ids))
    }
    path = tmp_path_factory.getbasetemp() / "odd.csv"
    write_submission(labels(rows), sample(*ids), NO_TEST, LABELS, path)
    check_file(path, sample(*ids), NO_TEST, LABELS)
    back = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert back["id"].tolist() == ids
    assert dict(zip(back["id"], back["label"], strict=True)) == rows


class TestCheckFile:
    def test_other_order_is_refused(self, tmp_path):
        (tmp_path / "s.csv").write_text("id,label\n2,cat\n1,dog\n")
        with pytest.raises(UserError, match="does not list its ids in the sample submission's order"):
            check_file(tmp_path / "s.csv", sample("1", "2"), NO_TEST, LABELS)

    @pytest.mark.parametrize(
        "content, message",
        [
            (None, "cannot be read as CSV"),
            (b"", "cannot be read as CSV"),
            (b"id,label\n1,cat\n2,dog,extra\n", "cannot be read as CSV"),
            (b"\xff\xfe\x00id", "cannot be read as CSV"),
            (b"id,label\n1,cat\n", r"lacks 1 id\(s\) \(2\)"),
            (b"id,label\n1,cat\n2,\n", "the first '' at id 2"),
        ],
    )
    def test_a_broken_file_is_one_sentence(self, tmp_path, content, message):
        path = tmp_path / "s.csv"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            check_file(path, sample("1", "2"), NO_TEST, LABELS)


class TestCheckSample:
    """Before training: the sample file and the test images must belong together."""

    def test_a_matching_sample_passes_in_silence(self, capsys):
        LABELS.check_sample(sample("2", "1"), images(["1", "2"]))
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize(
        "ids, message",
        [
            (("1", "2", "99"), r"asks for 1 id\(s\) that have no test image: 99; fetch"),  # stale
            (("8", "9"), r"asks for 2 id\(s\) that have no test image: 8, 9; fetch"),  # disjoint
            (("1", "1", "2"), r"repeats the id\(s\) 1: fetch it again"),
        ],
    )
    def test_a_sample_of_other_images_is_refused(self, ids, message):
        with pytest.raises(UserError, match=message):
            LABELS.check_sample(sample(*ids), images(["1", "2"]))

    def test_test_images_nobody_asks_for_are_a_warning(self, capsys):
        LABELS.check_sample(sample("1"), images(["1", "2", "3"]))
        assert (
            "warning: 2 test images are not in the sample submission and get no row: 2, 3"
            in capsys.readouterr().err
        )

    def test_another_competitions_sample_is_recognised_by_its_columns(self):
        with pytest.raises(UserError, match=r"has the columns \['id', 'label'\], not \['id', 'cat', 'dog'\]"):
            SCORES.check_sample(sample("1"), images(["1"]))


class TestConstant:
    """A column with one value in every row is written, and nobody can overlook it."""

    def test_the_column_and_its_value_are_named(self, tmp_path, capsys):
        path = tmp_path / "s.csv"
        write_submission(labels({"1": "cat", "2": "cat"}), sample("1", "2"), NO_TEST, LABELS, path)
        assert f"warning: {path}: the same value in all 2 rows: label is 'cat'; " in capsys.readouterr().err
        assert path.read_text() == "id,label\n1,cat\n2,cat\n"

    def test_different_values_or_a_single_row_say_nothing(self, tmp_path, capsys):
        for rows in ({"1": "cat", "2": "dog"}, {"1": "cat"}):
            write_submission(labels(rows), sample(*rows), NO_TEST, LABELS, tmp_path / "s.csv")
        assert capsys.readouterr().err == ""
