"""What a failed call to Kaggle means: whether and when to try again, and what to tell the user."""

import email.utils
from collections.abc import Callable
from datetime import UTC, datetime
from time import sleep
from typing import TypeVar

import requests

from pipeline.data.kaggle_source import REFUSED_LOGIN, refusal
from pipeline.errors import UserError
from pipeline.progress import say

T = TypeVar("T")

FAILURES = (requests.RequestException, ValueError, SystemExit)
"""What Kaggle's client raises: ValueError for an answer that is no JSON, SystemExit for a refused log-in."""

DELAYS_S = (2, 4, 8, 16)
"""Pauses before a request is tried again."""

LONGEST_PAUSE_S = 120
"""A longer Retry-After is told to the user instead of waited for."""


def patiently(call: Callable[[], T], slug: str, aim: str) -> T:
    """The result of `call`, which is repeated where that can help, so it must be harmless to repeat.

    Parameters
    ----------
    slug : Kaggle's name of the competition.
    aim : what for, as in "to read the scores".

    Raises
    ------
    UserError : Kaggle refuses, or has not answered after all `DELAYS_S`.
    """
    for usual in (*DELAYS_S, None):
        try:
            return call()
        except FAILURES as error:
            pause = pause_before_retry(error, usual)
            if pause is None:
                raise UserError(sentence(error, slug, aim)) from error
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


def sentence(error: BaseException, slug: str, aim: str) -> str:
    """What went wrong and what to do, in one sentence; `slug` and `aim` as for `patiently`."""
    if isinstance(error, SystemExit):
        return REFUSED_LOGIN
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
        return f"Kaggle refuses {aim} ({status}): {' '.join(str(error).split())}"
    return refusal(status, slug, aim)


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
