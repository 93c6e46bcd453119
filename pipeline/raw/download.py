"""One file over HTTP: resumed where it stopped, verified by its SHA-1 before anyone sees it."""

import os
import time
from pathlib import Path

import requests

from pipeline.base.errors import UserError, disk_fault, fault_sentence
from pipeline.base.files import file_hash, require_space
from pipeline.base.progress import progress, say

ATTEMPTS = 5
"""Failures in a row, without a byte of progress, after which a download gives up."""

BACKOFF_S = 0.5
"""Seconds before the second attempt; doubles with every further one."""

TIMEOUT_S = (10, 30)
"""Seconds to wait for a connection, and for each piece of data."""

CHUNK = 64_000
"""Bytes read at once; what is not a whole chunk is lost when a connection drops."""

OTHERWISE = "or get the data another way (RAW=<folder>, DATA=kaggle or DATA=sample)"


def download(url: str, target: Path, sha1: str) -> None:
    """Download `url` to `target` unless it is there already.

    An interrupted download is kept in ``<target>.part`` and continued by the next call. Dropped connections
    and server errors are retried a few times.

    Parameters
    ----------
    sha1 : hexadecimal SHA-1 of the whole file; `target` only ever holds a file that has it.

    Raises
    ------
    UserError : the server refuses, the network is dead, the disk is full or the content has another SHA-1.
    """
    if target.is_file() and file_hash(target, "sha1") == sha1:
        return
    part = target.with_name(f"{target.name}.part")
    try:
        _fill(url, target, part, sha1)
    except OSError as error:
        fault = disk_fault(error, part)
        if fault is None:
            raise
        raise UserError(f"{fault_sentence(fault)}, and the download goes on where it stopped") from error


def _fill(url: str, target: Path, part: Path, sha1: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    _fetch(url, part)
    found = file_hash(part, "sha1")
    if found != sha1:
        part.unlink()
        raise UserError(
            f"{url} gave a file with SHA-1 {found} where {sha1} is expected: "
            f"run again in case it was damaged on the way, {OTHERWISE}"
        )
    part.replace(target)


class _RetryError(Exception):
    """This attempt failed for a reason that may pass."""


def _fetch(url: str, part: Path) -> None:
    """Bring `part` to its full length, in as many attempts as it takes while there is progress."""
    furthest = _size(part)
    failures = 0
    while True:
        try:
            return _attempt(url, part)
        except requests.RequestException as error:
            reason = _short(error)
        except _RetryError as error:
            reason = str(error)
        failures = 1 if _size(part) > furthest else failures + 1
        furthest = max(furthest, _size(part))
        if failures == ATTEMPTS:
            raise UserError(
                f"cannot download {url} ({reason}): check the network and run again to continue, {OTHERWISE}"
            )
        say(f"{url}: {reason}; trying again")
        time.sleep(BACKOFF_S * 2 ** (failures - 1))


def _attempt(url: str, part: Path) -> None:
    """Ask for what `part` lacks and append it."""
    offset = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable and offset:
            # Nothing lies beyond what is there: it is whole, and its SHA-1 decides whether it is right.
            if answer.headers.get("Content-Range") == f"bytes */{offset}":
                return
            part.unlink()
            raise _RetryError("the server does not have the rest of it")
        if answer.status_code >= 500 or answer.status_code == requests.codes.too_many_requests:
            raise _RetryError(f"the server answers {answer.status_code} {answer.reason}")
        if answer.status_code not in (requests.codes.ok, requests.codes.partial_content):
            raise UserError(
                f"the server answers {answer.status_code} {answer.reason} for {url}: it may have moved; "
                f"correct the competition's mirror, {OTHERWISE}"
            )
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            offset = 0  # the server sends all of it
        _append(answer, part, offset)


def _append(answer: requests.Response, part: Path, offset: int) -> None:
    length = int(answer.headers.get("Content-Length", 0))
    require_space(part.parent, length, f"downloading {answer.url}")
    with (
        part.open("ab" if offset else "wb") as file,
        progress(f"downloading {part.stem}", length // 1000, "kB") as advance,
    ):
        for chunk in answer.iter_content(CHUNK):
            file.write(chunk)
            advance(len(chunk) // 1000)
        file.flush()
        os.fsync(file.fileno())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _short(error: requests.RequestException) -> str:
    """The innermost reason, without the layers that requests and urllib3 wrap around it."""
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    inner: BaseException = error
    while isinstance(inner.args[0] if inner.args else None, BaseException):
        inner = inner.args[0]
    reason = getattr(inner, "reason", None) or inner
    return str(reason).rpartition(": ")[2] or type(inner).__name__
