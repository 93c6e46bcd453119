"""Runs on wandb: curves of each fold, one summary for each run, and a leaderboard table.

Nothing here may stop or slow a training: whatever fails is said once, and the run goes on without it. wandb
itself sends from another process; what could not be sent stays in the run's folder for ``wandb sync``.
"""

import functools
import netrc
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pandas as pd

from pipeline.base.progress import say
from pipeline.runs.run import Run
from pipeline.training.job import Epoch, FoldLog

INIT_SECONDS = 20
"""Longest wait for wandb's answer when a run begins."""
FINISH_SECONDS = 60
"""Longest wait when it ends; wandb's own process writes what is left when ours ends."""
FIRST_ADDRESS = "https://api.wandb.ai"
"""Of wandb's server in older releases, and in the logins made with them."""


@dataclass(frozen=True)
class TrackConfig:
    """Logging to wandb. Not part of what a run is: it changes no result and no digest."""

    wandb: Literal["online", "offline", "disabled"] = "online"
    """online needs a login (`wandb login`, or WANDB_API_KEY) and is offline without one; offline writes files
    to sync later. The environment's WANDB_MODE overrides this."""
    entity: str | None = None
    """User or team on wandb; None is the login's own."""
    artifacts: Literal["none", "submission", "all"] = "submission"
    """What is stored on wandb as artifacts; all: the checkpoints too."""


@dataclass(frozen=True)
class Tracking:
    """Makes the logs of runs; it can be pickled, as its logs can.

    Attributes
    ----------
    slug : the competition.
    """

    config: TrackConfig
    slug: str

    def __call__(self, run: Run) -> "Tracker":
        """The log of a run."""
        return Tracker(self.config, self.slug, run.name, run.folder)


@dataclass
class Tracker:
    """Logs of one run.

    Attributes
    ----------
    slug : the competition; the project is ``podium-<slug>``.
    run : name of the run, the group of its folds.
    folder : where wandb's own files go.
    unreachable : the server has not answered; everything later is offline, so that it waits no more.
    """

    config: TrackConfig
    slug: str
    run: str
    folder: Path
    unreachable: bool = False

    @contextmanager
    def fold(self, fold: int, settings: dict[str, Any]) -> Iterator[FoldLog]:
        """Yield the log of this fold's training. A resumed fold continues its wandb run."""
        with self._started(f"fold{fold}", settings) as live:

            def begun(groups: list[dict[str, Any]]) -> None:
                _try(lambda: live.config.update({"groups": groups}, allow_val_change=True))

            def epoch(one: Epoch) -> None:
                values = {name: value for name, value in vars(one).items() if name != "epoch"}
                _try(lambda: live.log(values, step=one.epoch))

            yield FoldLog(begun, epoch) if live else FoldLog()

    def summary(
        self,
        settings: dict[str, Any],
        facts: dict[str, Any],
        report: Path,
        submission: Path,
        checkpoints: list[Path],
        ledger: pd.DataFrame,
    ) -> None:
        """Log a finished run: its scores, page, files, and the competition's ledger as a table."""

        def log(live: Any) -> None:
            import wandb

            plain = {name: value for name, value in facts.items() if isinstance(value, int | float | str)}
            live.summary.update(plain)
            live.log({"report": wandb.Html(report.read_text(encoding="utf-8"), inject=False)})
            live.log({"leaderboard": wandb.Table(dataframe=ledger.astype("str"))})
            files = {"none": [], "submission": [submission], "all": [submission, *checkpoints]}
            if files[self.config.artifacts]:
                artifact = wandb.Artifact(self.run, type="submission")
                for path in files[self.config.artifacts]:
                    # Members of an ensemble have folds of the same names, so theirs begin with the run's.
                    parts = path.parts[-2 if path.is_relative_to(self.folder) else -3 :]
                    name = "/".join(parts) if path in checkpoints else path.name
                    artifact.add_file(str(path), name=name)
                live.log_artifact(artifact)

        with self._started("summary", settings) as live:
            if live:
                _try(lambda: log(live))

    def scores(self, values: dict[str, Any]) -> None:
        """Add what the organiser said about the run's file."""
        with self._started("summary", {}) as live:
            if live:
                _try(lambda: live.summary.update(values))

    @contextmanager
    def _started(self, job: str, settings: dict[str, Any]) -> Iterator[Any]:
        mode = self.mode()
        live = None if mode == "disabled" else _try(lambda: self._init(job, settings, mode))
        if live is None and mode == "online":
            mode, self.unreachable = "offline", True
            live = _try(lambda: self._init(job, settings, mode))
        try:
            yield live
        finally:
            if live:
                self._finish(live)

    def mode(self) -> str:
        """online, offline or disabled: what is asked for and can be had."""
        mode = os.environ.get("WANDB_MODE") or self.config.wandb
        return "offline" if mode == "online" and (self.unreachable or not has_login()) else mode

    def _finish(self, live: Any) -> None:
        """End a run, but do not wait for a network that does not answer."""

        def end() -> None:
            try:
                live.finish()
            except Exception as error:
                if not self.unreachable:  # given up already, and said so
                    _say_failed(error)

        thread = threading.Thread(target=end, daemon=True)
        thread.start()
        thread.join(FINISH_SECONDS)
        if thread.is_alive():
            self.unreachable = True
            _say_once(
                "warning: wandb does not answer; what it has not got can be sent later: "
                f"wandb sync --include-online {self.folder / 'wandb'}/run-*"
            )

    def _init(self, job: str, settings: dict[str, Any], mode: str) -> Any:
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        options = wandb.Settings(
            init_timeout=INIT_SECONDS,
            console="off",  # what is printed is not wandb's business
            disable_code=True,
            disable_git=True,
            silent=True,
        )
        if mode == "offline":
            _say_once(
                f"wandb: offline, in {self.folder / 'wandb'}; to send it: wandb login, then "
                f"wandb sync {self.folder / 'wandb'}/offline-run-*"
            )
        return wandb.init(
            entity=self.config.entity,
            project=f"podium-{self.slug}",
            group=self.run,
            job_type=job,
            name=f"{self.run}-{job}",
            # wandb still holds the id of a run that it could not begin.
            id=f"{self.run}-{job}-later" if self.unreachable else f"{self.run}-{job}",
            resume="allow",
            mode=mode,  # pyright: ignore[reportArgumentType]  # whatever WANDB_MODE says: wandb checks it
            dir=self.folder,
            config=settings,
            settings=options,
        )


def has_login(host: str | None = None) -> bool:
    """Whether a key for wandb's server is in the environment or in netrc. The key is not looked at.

    Parameters
    ----------
    host : address of the server; None is the one that wandb would log to, under any address it has had.
    """
    if os.environ.get("WANDB_API_KEY"):
        return True
    given = host or os.environ.get("WANDB_BASE_URL")
    names = [urlsplit(url).hostname or "" for url in ([given] if given else [FIRST_ADDRESS, _address()])]
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        keys = netrc.netrc(str(path))
    except (OSError, netrc.NetrcParseError):
        return False
    return any(keys.authenticators(name) is not None for name in names)


def _address() -> str:
    """Where the installed wandb logs to; it has moved."""
    try:
        import wandb

        return wandb.Settings().base_url
    except Exception:  # whatever keeps it from loading is told when a run is logged
        return FIRST_ADDRESS


def _try(call: Callable[[], Any]) -> Any:
    """The call's result; None, and a word about it, where it fails."""
    try:
        return call()
    except Exception as error:
        _say_failed(error)
        return None


def _say_failed(error: Exception) -> None:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    _say_once(f"warning: wandb failed ({reason}); the run goes on without it")


@functools.cache
def _say_once(text: str) -> None:
    say(text)
