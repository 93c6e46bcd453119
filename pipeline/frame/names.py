"""Image ids as different systems spell them: what is the same name, and why two lists do not meet."""

import re
import unicodedata
from collections.abc import Callable, Collection

import pandas as pd

from pipeline.raw.listing import IMAGE_SUFFIXES, composed

Key = Callable[[str], str]

ENCODINGS = ("utf-8", "gb18030", "shift_jis", "euc_kr", "big5", "cp1252", "cp1251")
"""What zip programs write names in without saying so; readers then take them for cp437."""


def nfc(ids: pd.Series) -> pd.Series:
    """The ids with accents composed; see `pipeline.raw.listing.composed`."""
    return ids.map(composed).astype("str")  # pandas 2 has no str.isascii, and plain text stays as it is


def cause(wanted: Collection[str], there: Collection[str]) -> str | None:
    """Why ids without a partner may have none: what two of them differ in alone, with an example and a way
    out.

    Parameters
    ----------
    wanted, there : the ids of either side that have no partner.
    """
    for text, one_key, other_key in _KINDS:
        other = {key: name for name in there if (key := other_key(name))}
        meeting = [(name, other[one_key(name)]) for name in wanted if one_key(name) in other]
        if meeting:
            return f"{len(meeting):,} differ only in {text.format(*meeting[0])}"
    return None


def _recoded(encoding: str) -> Key:
    def key(name: str) -> str:
        try:
            return "" if name.isascii() else composed(name.encode("cp437").decode(encoding))
        except UnicodeError:
            return ""

    return key


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if f"{dot}{suffix}".lower() in IMAGE_SUFFIXES else name


def _same(name: str) -> str:
    return name


_SPELLINGS: tuple[tuple[str, Key], ...] = (
    ("blanks around the name, as {!r} and {!r}: strip them", str.strip),
    (
        "leading zeros, as {!r} and {!r}: a program that takes ids for numbers drops them; read and save "
        "them as text",
        lambda name: re.sub(r"(?<!\d)0+(?=\d)", "", name),
    ),
    (
        "letters that are not shown, as {!a} and {!a}: remove them",
        lambda name: "".join(letter for letter in name if unicodedata.category(letter) != "Cf"),
    ),
    ("a decimal point, as {!r} and {!r}: read and save ids as text", lambda name: name.removesuffix(".0")),
    ("the suffix, as {!r} and {!r}: cut it off", _without_suffix),
    (
        "the folder before the name, as {!r} and {!r}: cut it off, or list the images folder by folder",
        lambda name: _without_suffix(name.replace("\\", "/").rpartition("/")[2]),
    ),
    ("capital letters, as {!r} and {!r}: spell them alike", str.casefold),
)
_KINDS: tuple[tuple[str, Key, Key], ...] = (
    *((text, key, key) for text, key in _SPELLINGS),
    *(
        (
            f"the encoding of an archive's names, as {{!r}} and {{!r}}: extract it with unzip -O {encoding}, "
            "and give the folder as RAW=<folder>",
            _same,
            _recoded(encoding),
        )
        for encoding in ENCODINGS
    ),
)
