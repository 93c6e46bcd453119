"""What a kernel leaves on Kaggle: fetched into a folder of its own, and its submission looked at."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import requests

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path
from pipeline.kaggle.client import TIMEOUT_S
from pipeline.kaggle.retry import patiently
from pipeline.raw.download import CHUNK

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi

SUBMISSION = "submission.csv"
AIM = "to fetch the kernel's output"


def new_folder(parent: Path, name: str) -> Path:
    """Make a folder `name` in `parent`, or `name`-2 and so on where there is one: it is always empty."""
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
    raise AssertionError("numbers do not end")


def fetch_output(
    api: "KaggleApi", kernel: str, target: Path, explain: Callable[[BaseException], str]
) -> None:
    """Fetch all files that the kernel left, and its log, into the empty folder `target`.

    The client's own `kernels_output` waits for ever, and writes the text of an error as the file's content.

    Parameters
    ----------
    kernel : ``<owner>/<slug>``.
    explain : as for `patiently`.

    Raises
    ------
    UserError : Kaggle refuses or does not answer, or `target` cannot be written.
    """
    token, log = None, target / f"{kernel.rpartition('/')[2]}.log"
    try:
        while True:
            page = patiently(lambda token=token: _page(api, kernel, token), AIM, explain)
            for file in page.files or ():
                patiently(lambda file=file: _download(file.url, target / file.file_name), AIM, explain)
            if page.log:
                with atomic_path(log) as temporary:
                    temporary.write_text(page.log, encoding="utf-8", errors="backslashreplace")
            token = page.next_page_token
            if not token:
                return
    except OSError as error:
        raise UserError(
            f"cannot write the kernel's output into {target} ({error.strerror or error}): mend that, and "
            f"take it from https://www.kaggle.com/code/{kernel}, where it stays"
        ) from error


def _page(api: "KaggleApi", kernel: str, token: str | None) -> Any:
    from kagglesdk.kernels.types.kernels_api_service import ApiListKernelSessionOutputRequest

    request = ApiListKernelSessionOutputRequest()
    request.user_name, _, request.kernel_slug = kernel.partition("/")
    request.page_token = token
    with api.build_kaggle_client() as client:
        return client.kernels.kernels_api_client.list_kernel_session_output(request)


def _download(url: str, path: Path) -> None:
    with requests.get(url, stream=True, timeout=TIMEOUT_S) as answer:
        answer.raise_for_status()
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)


def check_submission(path: Path, page: str) -> None:
    """Raise UserError where `path` is not there, or cannot be a submission: no CSV with a header and rows.

    Parameters
    ----------
    page : address of the kernel.
    """
    way_out = f"read the kernel's log in {path.parent} or at {page}, mend the cause and push again"
    if not path.is_file():
        raise UserError(f"the kernel left no {path.name}: {way_out}")
    try:
        table = pd.read_csv(path, nrows=1, dtype=str)
    except ValueError as error:  # an empty file, bytes that are no text, ragged rows
        reason = " ".join(str(error).split())
        raise UserError(f"the kernel's {path} is no CSV with a header ({reason}): {way_out}") from error
    names = list(table.columns)
    if len(names) < 2 or _is_number(names[0]):
        raise UserError(f"the kernel's {path} is no CSV with a header (it begins with {names}): {way_out}")
    if table.empty:
        raise UserError(f"the kernel's {path} has a header and no row: {way_out}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
