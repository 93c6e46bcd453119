"""Kaggle's own client, made so that no call of it waits for ever."""

import io
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi

TIMEOUT_S = 60
"""Seconds of silence after which a connection counts as dropped; the client itself would wait for ever."""


def kaggle_client() -> "KaggleApi":
    """Kaggle's client, logged in, with time-outs, and with an upload that raises what goes wrong.

    Raises
    ------
    SystemExit : Kaggle does not accept the credentials.
    requests.RequestException : no connection, or no answer within `TIMEOUT_S`.
    """
    # Importing it logs in, which prints to stdout and may call exit.
    with redirect_stdout(io.StringIO()):
        _set_timeouts()
        from kaggle.api.kaggle_api_extended import KaggleApi

        api = KaggleApi()
        api.authenticate()
    api.upload_complete = send_file
    return api


@cache
def _set_timeouts() -> None:
    """Let every session of the client give up on silence. Before its import, which asks Kaggle already."""
    from kagglesdk.kaggle_http_client import KaggleHttpClient

    enter = KaggleHttpClient.__enter__

    def enter_with_timeouts(self: KaggleHttpClient) -> KaggleHttpClient:
        entered = enter(self)
        if session := getattr(self, "_session", None):
            session.mount("https://", _Timed())
            session.mount("http://", _Timed())
        return entered

    KaggleHttpClient.__enter__ = enter_with_timeouts


class _Timed(HTTPAdapter):
    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        return super().send(request, *args, **options | {"timeout": options.get("timeout") or TIMEOUT_S})


def send_file(path: str, url: str, quiet: bool = True, resume: bool = False) -> Any:
    """Put a file into Kaggle's storage. Raises a RequestException where it did not arrive.

    Stands in for the client's own, which waits for ever, only prints errors, and lets a dataset be made
    without the file.
    """
    from kaggle.api.kaggle_api_extended import ResumableUploadResult

    with Path(path).open("rb") as file:
        answer = requests.put(url, data=file, timeout=TIMEOUT_S)
    if not answer.ok:  # the storage's status says nothing about Kaggle's mind: get another place there
        raise requests.ConnectionError(f"the storage answered {answer.status_code}")
    return ResumableUploadResult.COMPLETE
