"""CSV files: other encodings, separators and quotes, ids and labels that readers take for something else."""

from collections.abc import Callable
from pathlib import Path

from pipeline.competition.prepared import Prepared
from tests.broken.case import Break, accepted, refused
from tests.broken.images import whole
from tests.broken.worlds import rows

LABELS = "trainLabels.csv"
SOUND = "id,label\n1,cat\n2,dog\n3,cat\n4,dog\n"


def text(content: str, encoding: str = "utf-8", name: str = LABELS) -> Break:
    """Put this text in place of a table."""
    return lambda raw: (raw / name).write_bytes(content.encode(encoding))


def changed(old: str, new: str, name: str = LABELS) -> Break:
    """Replace a part of a table."""

    def breaks(raw: Path) -> None:
        content = (raw / name).read_text(encoding="utf-8")
        assert old in content
        (raw / name).write_bytes(content.replace(old, new).encode())

    return breaks


def gone(name: str) -> Break:
    return lambda raw: (raw / name).unlink()


def labels(*wanted: str) -> Callable[[Prepared], bool]:
    """Whether the training images have these labels, in their ids' order."""
    return lambda data: whole(data) and data.train["label"].tolist() == list(wanted)


SAME = labels("cat", "dog", "cat", "dog")


def ids_are(*names: str) -> Break:
    """Rename cifar10's training images, and list them so."""

    def breaks(raw: Path) -> None:
        for number, name in enumerate(names, start=1):
            (raw / f"train/{number}.png").rename(raw / f"train/{name}.png")
        cells = [f'"{name}"' if "," in name else name for name in names]
        rows(raw / LABELS, "id,label", *(f"{c},{'cat' if n % 2 else 'dog'}" for n, c in enumerate(cells)))

    return breaks


def ids(*names: str) -> Callable[[Prepared], bool]:
    return lambda data: set(data.train["image_id"]) == set(names)


ODD = ("1e5", "0012", "NaN", "None")

CASES = [
    accepted("a byte order mark", "cifar10", text("\ufeff" + SOUND), SAME),
    accepted("lines that end as on Windows", "cifar10", text(SOUND.replace("\n", "\r\n")), SAME),
    accepted("lines that end as on old Macs", "cifar10", text(SOUND.replace("\n", "\r")), SAME),
    accepted("no newline at the end", "cifar10", text(SOUND.rstrip()), SAME),
    accepted("blank lines at the end", "cifar10", text(SOUND + "\n\n"), SAME),
    accepted(
        "every cell in quotes", "cifar10", text(SOUND.replace("cat", '"cat"').replace("1,", '"1",')), SAME
    ),
    accepted("a column more", "cifar10", text(SOUND.replace("\n", ",x\n")), SAME),
    accepted("columns in another order", "cifar10", text("label,id\ncat,1\ndog,2\ncat,3\ndog,4\n"), SAME),
    accepted("rows in another order", "cifar10", text("id,label\n4,dog\n2,dog\n3,cat\n1,cat\n"), SAME),
    accepted(
        "blanks around labels, which is said",
        "cifar10",
        changed("1,cat", "1, cat "),
        SAME,
        "blanks around them",
    ),
    accepted(
        "blanks around ids, which is said", "cifar10", changed("1,cat", " 1,cat"), SAME, "blanks around them"
    ),
    accepted("ids that look like numbers, NaN and None", "cifar10", ids_are(*ODD), ids(*ODD)),
    accepted(
        "ids True, NA, null and -inf",
        "cifar10",
        ids_are("True", "NA", "null", "-inf"),
        ids("True", "NA", "null", "-inf"),
    ),
    accepted(
        "ids with blanks, a comma and a percent sign",
        "cifar10",
        ids_are("a b", "a,b", "a%20b", "é"),
        ids("a b", "a,b", "a%20b", "é"),
    ),
    accepted(
        "ids of thirty digits",
        "cifar10",
        ids_are(*(f"{n}{'7' * 29}" for n in range(1, 5))),
        ids(*(f"{n}{'7' * 29}" for n in range(1, 5))),
    ),
    accepted(
        "ids that differ in capital letters alone",
        "cifar10",
        ids_are("a", "A", "b", "B"),
        ids("a", "A", "b", "B"),
    ),
    accepted(
        "accents stored apart in the file names",
        "cifar10",
        lambda raw: (
            ids_are("é", "2", "3", "4")(raw),
            (raw / "train/é.png").rename(raw / "train/e\u0301.png"),
        ),
        ids("é", "2", "3", "4"),
    ),
    accepted(
        "a label without a file, which is named",
        "cifar10",
        text(SOUND + "5,cat\n"),
        SAME,
        "labels without files",
        "5",
    ),
    refused("UTF-16", "cifar10", text(SOUND, "utf-16"), LABELS, "UTF-8"),
    refused("another encoding", "cifar10", text(SOUND.replace("1,cat", "é,cat"), "cp1252"), LABELS, "UTF-8"),
    refused("zeros where the text was", "cifar10", lambda raw: (raw / LABELS).write_bytes(bytes(40)), LABELS),
    refused("a zero byte in a cell", "cifar10", changed("1,cat", "1,c\0at"), LABELS),
    refused(
        "a semicolon as separator", "cifar10", text(SOUND.replace(",", ";")), LABELS, "lacks the column(s)"
    ),
    refused("a tab as separator", "cifar10", text(SOUND.replace(",", "\t")), LABELS, "lacks the column(s)"),
    refused("capital letters in the header", "cifar10", changed("id,label", "ID,Label"), LABELS, "'ID'"),
    refused("blanks in the header", "cifar10", changed("id,label", "id, label"), LABELS, "' label'"),
    refused("no header", "cifar10", text(SOUND.partition("\n")[2]), LABELS, "lacks the column(s)"),
    refused("a header and no rows", "cifar10", text("id,label\n"), LABELS, "no rows"),
    refused("nothing at all", "cifar10", text(""), LABELS, "is empty"),
    refused("blanks alone", "cifar10", text("\n\n  \n"), LABELS),
    refused("no table", "cifar10", gone(LABELS), LABELS),
    refused(
        "a folder in place of the table",
        "cifar10",
        lambda raw: (gone(LABELS)(raw), (raw / LABELS).mkdir()),
        LABELS,
    ),
    refused(
        "a spreadsheet under the table's name",
        "cifar10",
        lambda raw: (raw / LABELS).write_bytes(b"PK\x03\x04" + bytes(range(256))),
        LABELS,
    ),
    refused(
        "an error page under the table's name",
        "cifar10",
        text("<!DOCTYPE html>\n<html><body>404, not found</body></html>\n"),
        LABELS,
    ),
    refused("a quote that does not end", "cifar10", changed("3,cat", '3,"cat'), LABELS),
    refused("a newline in a label", "cifar10", changed("3,cat", '3,"ca\nt"'), LABELS),
    refused(
        "a value more in every row than names",
        "cifar10",
        text("id,label\n1,cat,x\n2,dog,x\n3,cat,x\n4,dog,x\n"),
        LABELS,
        "more values",
    ),
    refused("a value more in one row", "cifar10", changed("3,cat", "3,cat,dog"), LABELS, "line 4"),
    refused("a value less in one row", "cifar10", changed("3,cat", "3"), LABELS, "data row(s) 3"),
    refused(
        "a header with one name twice",
        "cifar10",
        text("id,label,label\n1,cat,dog\n2,dog,cat\n3,cat,cat\n4,dog,dog\n"),
        LABELS,
        "label",
    ),
    refused("a blank label", "cifar10", changed("3,cat", "3,"), LABELS, "data row(s) 3"),
    refused("a blank id", "cifar10", changed("3,cat", ",cat"), LABELS, "data row(s) 3"),
    refused("a label of blanks", "cifar10", changed("3,cat", "3,  "), LABELS, "data row(s) 3"),
    refused("an unknown label", "cifar10", changed("3,cat", "3,car"), LABELS, "'car'", "id 3"),
    refused("a label in capital letters", "cifar10", changed("3,cat", "3,Cat"), LABELS, "'Cat'", "id 3"),
    refused("an id twice with one label", "cifar10", text(SOUND + "3,cat\n"), LABELS, "3", "more than once"),
    refused("an id twice with two labels", "cifar10", text(SOUND + "3,dog\n"), LABELS, "3", "more than once"),
    refused(
        "a letter in an id that is not shown", "cifar10", changed("3,cat", "3\u200b,cat"), "not shown", "200b"
    ),
    refused(
        "ids with their suffix",
        "cifar10",
        text(SOUND.replace(",cat", ".png,cat").replace(",dog", ".png,dog")),
        "the suffix",
    ),
    refused(
        "ids with their folder",
        "cifar10",
        text("id,label\ntrain/1.png,cat\ntrain/2.png,dog\ntrain/3.png,cat\ntrain/4.png,dog\n"),
        "folder",
    ),
    refused(
        "ids as decimal numbers",
        "cifar10",
        text("id,label\n1.0,cat\n2.0,dog\n3.0,cat\n4.0,dog\n"),
        "decimal point",
    ),
    refused(
        "ids that lost their zeros",
        "cifar10",
        lambda raw: [f.rename(f.with_stem(f"00{f.stem}")) for f in (raw / "train").iterdir()],
        "leading zeros",
    ),
    refused("a byte order mark twice", "cifar10", text("\ufeff\ufeff" + SOUND), LABELS),
    refused("one class alone", "cifar10", text(SOUND.replace("dog", "cat")), "class"),
]
