"""What a failed call to Kaggle means: whether and when to try again, and what to tell the user."""

import email.utils
import json
from collections.abc import Callable
from datetime import UTC, datetime
from time import sleep
from typing import TypeVar

import requests

from pipeline.base.errors import UserError
from pipeline.base.progress import say
from pipeline.kaggle.download import REFUSED_LOGIN, SETTINGS_PAGE, refusal

T = TypeVar("T")

FAILURES = (requests.RequestException, ValueError, SystemExit)
"""What Kaggle's client raises: ValueError for an answer that is no JSON and for what it refuses in its own
words, SystemExit for a refused log-in."""

DELAYS_S = (2, 4, 8, 16)
"""Pauses before a request is tried again."""

LONGEST_PAUSE_S = 120
"""A longer Retry-After is told to the user instead of waited for."""


def patiently(call: Callable[[], T], aim: str, explain: Callable[[BaseException], str]) -> T:
    """The result of `call`, which is repeated where that can help, so it must be harmless to repeat.

    Parameters
    ----------
    aim : what for, as in "to read the scores".
    explain : what to tell the user about the failure: `sentence` or `kernel_sentence`.

    Raises
    ------
    UserError : Kaggle refuses, or has not answered after all `DELAYS_S`.
    """
    for usual in (*DELAYS_S, None):
        try:
            return call()
        except FAILURES as error:
            pause = None if is_in_words(error) else pause_before_retry(error, usual)
            if pause is None:
                raise UserError(explain(error)) from error
            say(f"Kaggle does not answer {aim}; asking again in {pause:,.0f} s")
            sleep(pause)
    raise AssertionError("the last pause is None")


def pause_before_retry(error: BaseException, usual: float | None) -> float | None:
    """Seconds to wait before trying again; None where that is of no use, or `usual` is None."""
    if usual is None or (is_refusal(error) and _status(error) not in (408, 429)):
        return None
    asked = _retry_after(error)
    if asked is None:
        return usual
    return asked if asked <= LONGEST_PAUSE_S else None


def is_refusal(error: BaseException) -> bool:
    """Whether Kaggle has said no, so that it has taken nothing; else it may have, and the answer was lost."""
    status = _status(error)
    return isinstance(error, SystemExit) or (status is not None and status < 500)


def is_in_words(error: BaseException) -> bool:
    """Whether the client itself refuses, and says why: a ValueError that no nonsense in an answer made."""
    nonsense = (requests.RequestException, json.JSONDecodeError)
    return isinstance(error, ValueError) and not isinstance(error, nonsense)


def sentence(error: BaseException, slug: str, aim: str) -> str:
    """What went wrong and what to do, in one sentence.

    Parameters
    ----------
    slug : Kaggle's name of the competition.
    aim : as for `patiently`.
    """
    if isinstance(error, SystemExit):
        return REFUSED_LOGIN
    if is_in_words(error):
        return f"Kaggle's client refuses {aim}: {_words(error)}"
    status = _status(error)
    if status is None:
        return (
            f"the connection to Kaggle failed ({type(error).__name__}): check the network and run again "
            f"{aim}; nothing is handed in twice, because Kaggle's list is searched first"
        )
    seconds = _retry_after(error)
    if status == requests.codes.too_many_requests and seconds:
        return f"Kaggle takes no more requests for now (429): run again in {seconds:,.0f} s {aim}"
    if status in (400, 409, 422):  # with a reason that only Kaggle knows
        return f"Kaggle refuses {aim} ({status}): {_words(error)}"
    return refusal(status, slug, aim)


def kernel_sentence(error: BaseException, aim: str, way_out: str) -> str:
    """As `sentence`, for a kernel or a dataset: it has no competition's page, and nobody searches a list.

    Parameters
    ----------
    way_out : what to do once the cause is mended, as in "run again".
    """
    status = _status(error)
    if isinstance(error, SystemExit) or status == requests.codes.unauthorized:
        return REFUSED_LOGIN
    if is_in_words(error):
        return f"Kaggle's client refuses {aim}: {_words(error)}; mend that, then {way_out}"
    if status is None:
        name = type(error).__name__
        return f"the connection to Kaggle failed ({name}) when asked {aim}: check the network, then {way_out}"
    seconds = _retry_after(error)
    pause = f"wait {seconds:,.0f} s" if seconds else "wait some minutes"
    if status == requests.codes.too_many_requests:
        return f"Kaggle takes no more requests for now (429) {aim}: {pause}, then {way_out}"
    if status >= 500:
        return f"Kaggle is out of order ({status}) when asked {aim}: {pause}, then {way_out}"
    mend = "mend that"
    if status == requests.codes.forbidden:
        mend = f"accept the competition's rules, verify your phone number at {SETTINGS_PAGE}"
    return f"Kaggle refuses {aim} ({status}): {_words(error)}; {mend}, then {way_out}"


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())


def _status(error: BaseException) -> int | None:
    """The HTTP status that an exception stands for; None for a connection that failed or talked nonsense."""
    response = getattr(error, "response", None)
    if response is None or not isinstance(error, requests.HTTPError):
        return None
    if response.status_code < 400:  # the client also raises for a code within an answer
        return response.json()["code"]
    return response.status_code


def _retry_after(error: BaseException) -> float | None:
    """The Retry-After header in seconds from now; it may also hold a date (RFC 9110, section 10.2.3)."""
    response = getattr(error, "response", None)
    text = "" if response is None else response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date - datetime.now(UTC)).total_seconds()) if date.tzinfo else None
