"""CSV files as text: well formed, or one sentence that names the file."""

import warnings
from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.raw.listing import composed


def parse_csv(path: Path) -> pd.DataFrame:
    """Every column as text. Raises UserError for what is no CSV file."""
    try:
        with warnings.catch_warnings():
            # Without index_col=False, a surplus value in every row shifts all columns by one in silence.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, dtype="str", keep_default_na=False, index_col=False)
        _refuse_twice(path)
        return frame
    except pd.errors.EmptyDataError as error:
        raise UserError(f"{path} is empty: get the file again") from error
    except pd.errors.ParserWarning as error:
        raise UserError(
            f"{path} has more values in its rows than names in its first line: repair it"
        ) from error
    except pd.errors.ParserError as error:
        detail = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise UserError(f"{path} is not a well-formed CSV file ({detail}): repair that line") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): make it a readable file") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not a text file in UTF-8 (byte {error.start:,} cannot be read): save it as UTF-8"
        ) from error


def _refuse_twice(path: Path) -> None:
    """Refuse a name that the first line has twice: pandas numbers the second, and whoever asks for the name
    gets the first."""
    header = pd.read_csv(path, dtype="str", keep_default_na=False, header=None, nrows=1).iloc[0]
    twice = [name for name in header[header.duplicated()].unique() if name]
    if twice:
        raise UserError(
            f"{path} names the column(s) {name_some(twice)} twice in its first line: rename or remove one"
        )


def plain_text(values: pd.Series, path: Path) -> pd.Series:
    """Values without blanks around them, which is said, and with accents composed (NFC)."""
    stripped = values.str.strip()
    changed = values[values != stripped]
    if len(changed):
        say(
            f"warning: {path}: {len(changed):,} value(s) of {values.name} have blanks around them, "
            f"taken off: {name_some([repr(value) for value in changed.unique()])}"
        )
    return stripped.map(composed)
