"""The user's submissions to one Kaggle competition, through Kaggle's own client: list, hand in, wait.

A connection may break at any point of handing in, also after Kaggle has taken the file. So each submission
carries a mark in its description, and nothing is sent again before the list was searched for the mark.
"""

from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from sys import stderr
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pipeline.base.errors import UserError
from pipeline.base.progress import say
from pipeline.kaggle.client import kaggle_client, send_file
from pipeline.kaggle.download import require_credentials
from pipeline.kaggle.retry import DELAYS_S, FAILURES, is_refusal, patiently, pause_before_retry, sentence

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi
    from kagglesdk.competitions.types.competition_api_service import ApiSubmission

T = TypeVar("T")

State = Literal["pending", "complete", "error"]

_STATES: dict[str, State] = {"PENDING": "pending", "COMPLETE": "complete", "ERROR": "error"}
"""By Kaggle's name."""

LOOKS_S = (0, 5, 10)
"""Pauses before each search for a submission that may have arrived: Kaggle's list may lag behind."""

POLL_S, LONGEST_POLL_S = 3, 60
"""First and longest pause between two looks at whether a submission is scored."""

PAGE_SIZE = 100
PAGES = 50
"""Pages of the list read at most; a guard against a server that never stops answering."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One line of Kaggle's list.

    Attributes
    ----------
    date : UTC, as in 2026-01-31T12:00:00Z; empty where Kaggle does not say.
    public, private : the scores as Kaggle writes them; empty until they are known.
    error : why it could not be scored.
    """

    reference: str
    date: str
    description: str
    state: State
    public: str = ""
    private: str = ""
    error: str = ""


class Submissions:
    """The user's submissions to `slug`. Every call tries again where that can help.

    Every method raises UserError: no or refused credentials, rules not accepted, no such competition, too
    many requests, Kaggle out of order, the network dead.
    """

    def __init__(self, slug: str) -> None:
        self.slug = slug
        self._sent = False

    def all(self, aim: str = "") -> Iterator[Submission]:
        """All of them, newest first; read page by page as they are asked for."""
        seen: set[str] = set()
        for number in range(1, PAGES + 1):
            page = self._patiently(
                lambda number=number: self._api.competition_submissions(
                    self.slug, page_number=number, page_size=PAGE_SIZE
                ),
                aim or f"to look at the submissions to {self.slug}",
            )
            new = [_submission(line) for line in page or [] if line and str(line.ref) not in seen]
            if not new:
                return
            seen |= {submission.reference for submission in new}
            yield from new

    def find(self, mark: str) -> Submission | None:
        """The newest whose description holds the word `mark`."""
        return next((found for found in self.all() if mark in found.description.split()), None)

    def find_late(self, mark: str) -> Submission | None:
        """As `find`, for one that was sent a moment ago and may not be in the list yet."""
        for pause in LOOKS_S:
            sleep(pause)
            if found := self.find(mark):
                return found
        return None

    def require_allowance(self) -> None:
        """Raise UserError where the competition takes no files, or no more of them today."""
        about = self._patiently(self._about, f"to look at {self.slug}")
        page = f"https://www.kaggle.com/competitions/{self.slug}"
        if about.is_kernels_submissions_only:
            raise UserError(
                f"{self.slug} takes notebooks and no files: make kernel and make kernel-push hand one in"
            )
        if about.submissions_disabled:
            raise UserError(f"{self.slug} takes no submissions at present: {page} says until when")
        allowed, total = self._left_today(about.max_daily_submissions)
        if allowed is not None and allowed <= 0:
            if total:
                raise UserError(f"{self.slug} takes no more submissions from you: {page}/rules has the limit")
            raise UserError(
                f"today's submissions to {self.slug} are used up: upload again after midnight UTC "
                f"({24 - datetime.now(UTC).hour} h at most)"
            )

    def upload(self, path: Path, description: str, mark: str) -> Submission:
        """Upload `path` and submit it, once, whatever happens to the connection.

        Parameters
        ----------
        mark : a word of `description` that no other submission has.

        Raises
        ------
        UserError : as every method; and where Kaggle refuses the file. Only a broken connection leaves it
            open whether it arrived; `find_late` tells later.
        """
        for usual in (*DELAYS_S, None):
            self._sent = False
            try:
                with redirect_stdout(stderr):
                    answer = self._api.competition_submit(str(path), description, self.slug, quiet=True)
                return self.find_late(mark) or self._unlisted(answer.ref, description)
            except FAILURES as error:
                # A refusal is an answer: only silence and an accident may hide a submission.
                if self._sent and not is_refusal(error) and (found := self.find_late(mark)):
                    return found
                pause = pause_before_retry(error, usual)
                if pause is None:
                    raise UserError(sentence(error, self.slug, f"to upload {path.name}")) from error
                say(f"the upload of {path.name} broke off; trying again in {pause:,.0f} s")
                sleep(pause)
        raise AssertionError("the last pause is None")

    def wait(self, submission: Submission, seconds: float) -> Submission:
        """The submission once it is scored or has failed, or as it is after `seconds`."""
        end, pause = monotonic() + seconds, POLL_S
        aim = f"to read the score of submission {submission.reference}"
        while submission.state == "pending" and monotonic() < end:
            sleep(min(pause, end - monotonic()))
            pause = min(1.5 * pause, LONGEST_POLL_S)
            same = (found for found in self.all(aim) if found.reference == submission.reference)
            submission = next(same, submission)
        return submission

    @cached_property
    def _api(self) -> "KaggleApi":
        """The client, logged in, with an upload that remembers whether the file arrived."""
        require_credentials()
        api = kaggle_client()
        api.upload_complete = self._send_file
        return api

    def _send_file(self, *arguments: Any, **options: Any) -> Any:
        result = send_file(*arguments, **options)
        self._sent = True
        return result

    def _about(self) -> Any:
        from kagglesdk.competitions.types.competition_api_service import ApiGetCompetitionRequest

        request = ApiGetCompetitionRequest()
        request.competition_name = self.slug
        with self._api.build_kaggle_client() as client:
            return client.competitions.competition_api_client.get_competition(request)

    def _left_today(self, daily: int) -> tuple[int | None, bool]:
        """How many more Kaggle takes today (None: it does not say), and whether that is for good."""
        ask = getattr(self._api, "competition_get_submission_limits", None)  # only newer clients have it
        if ask is not None:
            limits = self._patiently(lambda: ask(self.slug), f"to read the limits of {self.slug}")
            # All zero means that the user has no team yet, which the first submission makes.
            said = limits.num_allowed_now or limits.num_today or limits.limited_by_total
            return (limits.num_allowed_now if said else None), limits.limited_by_total
        if not daily:
            return None, False
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        counted = [found for found in self.all() if found.date.startswith(today) and found.state != "error"]
        return daily - len(counted), False

    def _unlisted(self, reference: int, description: str) -> Submission:
        if not reference:
            raise UserError(
                f"Kaggle took the file, but its list of submissions to {self.slug} does not show it yet: run "
                "make upload again in some minutes, which looks there first"
            )
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return Submission(reference=str(reference), date=now, description=description, state="pending")

    def _patiently(self, call: Callable[[], T], aim: str) -> T:
        return patiently(call, aim, lambda error: sentence(error, self.slug, aim))


def _submission(line: "ApiSubmission") -> Submission:
    return Submission(
        reference=str(line.ref),
        date=f"{line.date:%Y-%m-%dT%H:%M:%SZ}" if line.date else "",
        description=line.description,
        state=_STATES[line.status.name],
        public=line.public_score,
        private=line.private_score,
        error=" ".join((getattr(line, "error_description", "") or "").split()),
    )
