"""PASCAL VOC's annotation files: XML that is none, other encodings, objects that make no sense."""

from collections.abc import Callable
from pathlib import Path

from pipeline.competition.prepared import Prepared
from tests.broken.case import Break, accepted, refused
from tests.broken.coco_json import NONE, box_of, content
from tests.broken.worlds import SIDE, XML

FILE = Path("annotations/a1.xml")
SOUND = XML.format(side=SIDE)


def xml(old: str = "", new: str = "", encoding: str = "utf-8", before: str = "") -> Break:
    """Replace a part of one image's XML."""
    assert old in SOUND
    return content((before + SOUND.replace(old, new, 1)).encode(encoding), FILE)


def label_is(name: str) -> Callable[[Prepared], bool]:
    return lambda data: list(data.train["labels"][0]) == [name]


CAT = box_of(1, 2, 8, 9)
ENTITIES = (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)

CASES = [
    *(
        refused(f"XML {name}", "detection", breaks, "a1.xml")
        for name, breaks in {
            "of no bytes": content(b"", FILE),
            "cut in the middle": content(SOUND[:90], FILE),
            "of plain text": content("cat 1 2 3 4", FILE),
            "that is HTML": content("<html><body>404</body></html>", FILE),
            "that is JSON": content("{}", FILE),
            "in an encoding that nobody knows": xml(before='<?xml version="1.0" encoding="klingon"?>'),
            "in another encoding than it says": xml("cat", "\u00e9", "cp1252"),
            "with an entity that grows": xml("cat", "&i;", before=ENTITIES),
            "with an external entity": xml(
                "cat", "&x;", before='<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
            ),
            "with an entity that is not defined": xml("cat", "&nbsp;"),
            "with a zero byte": xml("cat", "c\0at"),
            "with a name that is blank": xml("cat", " "),
            "without a name": xml("<name>cat</name>", ""),
            "without a box": xml("<xmin>2</xmin>", ""),
            "with a word as coordinate": xml("<xmin>2", "<xmin>left"),
            "with a decimal comma": xml("<xmin>2", "<xmin>2,5"),
            "with a coordinate of NaN": xml("<xmin>2", "<xmin>nan"),
            "with a coordinate of 1e400": xml("<xmin>2", "<xmin>1e400"),
            "with a difficult of a word": xml("<name>", "<difficult>perhaps</difficult><name>"),
            "with two annotations": content(f"<all>{SOUND}{SOUND}</all>", FILE),
            "with an object in an object": xml("<name>", "<object><name>dog</name></object><name>"),
        }.items()
    ),
    refused("two files for one image", "detection", content(SOUND, "annotations/a1.XML"), "a1"),
    refused(
        "no XML",
        "detection",
        lambda raw: [f.unlink() for f in (raw / "annotations").iterdir()],
        "annotations",
    ),
    accepted(
        "a suffix in capital letters",
        "detection",
        lambda raw: (raw / FILE).rename(raw / "annotations/a1.XML"),
        CAT,
    ),
    accepted("a namespace", "detection", xml("<annotation>", '<annotation xmlns="http://x.org/y">'), CAT),
    accepted("UTF-16", "detection", xml(encoding="utf-16"), CAT),
    accepted(
        "GBK",
        "detection",
        xml("cat", "\u732b", "gbk", '<?xml version="1.0" encoding="GBK"?>'),
        label_is("\u732b"),
    ),
    accepted(
        "shift_jis",
        "detection",
        xml("cat", "\u732b", "shift_jis", '<?xml version="1.0" encoding="shift_jis"?>'),
        label_is("\u732b"),
    ),
    accepted("a byte order mark", "detection", xml(before="\ufeff"), CAT),
    accepted("blanks around the name", "detection", xml("cat", "\n  cat\t"), label_is("cat")),
    accepted(
        "a difficult of True",
        "detection",
        xml("<name>", "<difficult>True</difficult><name>"),
        lambda d: list(d.train["crowd"][0]) == [1],
    ),
    accepted(
        "no size, which is the image's",
        "detection",
        xml(f"<size><width>{SIDE}</width><height>{SIDE}</height></size>", ""),
        CAT,
    ),
    accepted("a size of 0, which is the image's", "detection", xml(f"<width>{SIDE}", "<width>0"), CAT),
    accepted(
        "corners that are exchanged, dropped and named",
        "detection",
        xml("<xmin>2", "<xmin>11"),
        NONE,
        "precedes the other",
        "a1",
    ),
    accepted("an image without objects", "detection", content("<annotation></annotation>", FILE), NONE),
    accepted(
        "an image without XML, which is named",
        "detection",
        lambda raw: (raw / FILE).unlink(),
        lambda d: len(d.train) == 3,
        "a1",
    ),
    accepted(
        "XML without an image, which is named",
        "detection",
        content(SOUND, "annotations/zz.xml"),
        lambda d: len(d.train) == 4,
        "zz",
    ),
]
