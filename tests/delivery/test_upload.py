"""Uploads by the real `kaggle` client, against a server on this machine that speaks Kaggle's protocol."""

import email.utils
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from competitions.cifar10.configs import CONFIGS
from pipeline.base.errors import UserError
from pipeline.base.files import file_hash
from pipeline.competition.prepared import Prepared
from pipeline.delivery.upload import refresh_scores, should_upload, upload
from pipeline.kaggle import client as kaggle_client
from pipeline.kaggle import retry as kaggle_retry
from pipeline.kaggle import submissions as kaggle_submissions
from pipeline.runs.ledger import UPLOAD_COLUMNS, UPLOADING, LedgerRow, read_ledger, record, update_upload
from pipeline.stages.context import Context
from pipeline.stages.main import main
from pipeline.stages.upload import score_facts
from pipeline.tasks.classification.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from tests.helpers import TINY
from tests.loopback import Answer, KaggleLoopback, Mishap, closed_port_url, forget_kaggle_credentials

RUN = "fast-20260101-0123abcd"
SLUG = Competition.kaggle_slug


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def monotonic(self) -> float:
        return sum(self.pauses)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(kaggle_submissions, "sleep", made.sleep)
    monkeypatch.setattr(kaggle_submissions, "monotonic", made.monotonic)
    monkeypatch.setattr(kaggle_retry, "sleep", made.sleep)
    return made


@pytest.fixture
def kaggle(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KaggleLoopback]:
    """Kaggle, and a user who has a token."""
    forget_kaggle_credentials(monkeypatch, tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("KAGGLE_API_TOKEN", "good-token")
    with KaggleLoopback() as server:
        server.stand_in_for_kaggle(monkeypatch)
        yield server


@dataclass(frozen=True)
class Place:
    """A folder of submissions with one run on Kaggle's data."""

    folder: Path
    data: Prepared

    def upload(self, run: str | None = RUN, **options) -> str:
        return upload(Competition(), lambda run, kind: self.data, run, self.folder, **options)

    def failure(self, run: str | None = RUN, **options) -> str:
        """The one sentence of an upload that fails."""
        with pytest.raises(UserError) as caught:
            self.upload(run, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def add(
        self, run: str, label: str = "cat", data: str = "kaggle", date: str = "2026-01-01T12:00:00"
    ) -> None:
        path = self.folder / f"{run}.csv"
        self.data.sample_submission.assign(label=label).to_csv(path, index=False, lineterminator="\n")
        record(
            self.folder / "ledger.csv",
            LedgerRow(
                run=run,
                date=date,
                config="fast",
                digest="0123abcd",
                git_sha="c0ffee",
                data=data,
                metric="accuracy",
                better="larger",
                cv_score=0.9,
                cv_std=0.0,
                folds=1,
                folds_planned=1,
                rows=3,
                sha256=file_hash(path),
                minutes=7.5,
            ),
        )

    def row(self, run: str = RUN) -> dict[str, str]:
        """The ledger's `UPLOAD_COLUMNS` of a run."""
        return (
            read_ledger(self.folder / "ledger.csv").set_index("run").loc[run, list(UPLOAD_COLUMNS)].to_dict()
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    ids = ["1", "2", "3"]
    sample = pd.DataFrame({"id": ids, "label": "airplane"})
    test = pd.DataFrame({"image_id": ids, "path": ids})
    data = Prepared(
        folder=tmp_path,
        train=test,
        test=test,
        sample_submission=sample,
        classes=list(CLASSES),
        train_identity="t",
        test_identity="t",
    )
    made = Place(tmp_path, data)
    made.add(RUN)
    return made


def test_an_upload_hands_in_the_file_and_brings_back_its_scores(
    kaggle: KaggleLoopback, place: Place, capsys: pytest.CaptureFixture
) -> None:
    told = []
    line = place.upload(on_score=lambda run, values: told.append((run, values)))
    assert line == f"upload: {RUN}, submission 1000, public 0.91230, private 0.90120"
    (submission,) = kaggle.submissions
    assert submission["description"].startswith(f"{RUN} sha256:")
    assert list(kaggle.uploads.values()) == [(place.folder / f"{RUN}.csv").read_bytes()]
    row = place.row()
    assert row["uploaded"] == submission["date"][:19] + "Z"
    assert (row["reference"], row["lb_public"], row["lb_private"]) == ("1000", "0.91230", "0.90120")
    assert told == [(RUN, row)]
    assert capsys.readouterr().out == ""  # stdout is for results


def test_the_newest_run_on_real_data_is_chosen_and_named(
    kaggle: KaggleLoopback, place: Place, capsys: pytest.CaptureFixture
) -> None:
    place.add("newest", "dog", date="2026-03-01T12:00:00")
    place.add("older", "frog", date="2026-02-01T12:00:00")
    place.add("sample", "ship", data="sample", date="2026-04-01T12:00:00")
    assert place.upload(None).startswith("upload: newest,")
    assert "uploading newest, the newest run on real data (CV 0.9)" in capsys.readouterr().err


# --- what is refused before Kaggle sees it


def test_a_competition_that_is_not_on_kaggle(kaggle: KaggleLoopback, place: Place) -> None:
    competition = Competition()
    competition.kaggle_slug = None
    for call in (
        lambda: upload(competition, lambda run, kind: place.data, RUN, place.folder),
        lambda: refresh_scores(competition, place.folder),
    ):
        with pytest.raises(UserError, match="cifar10 is not on Kaggle"):
            call()
    assert kaggle.calls == []


def test_bad_runs_and_files_never_leave_the_machine(kaggle: KaggleLoopback, place: Place) -> None:
    place.add("sample", data="sample")
    assert "generated sample" in place.failure("sample")
    assert f"has no run other: choose one of those it has ({RUN}, sample)" in place.failure("other")
    path = place.folder / f"{RUN}.csv"
    path.write_text(path.read_text().replace("2,cat", "2,dog"))
    assert f"{RUN}.csv is not the file that" in place.failure()
    path.unlink()
    assert f"{RUN}.csv is not there" in place.failure()
    place.add(RUN, label="unicorn")
    assert "not allowed, the first 'unicorn' at id 1" in place.failure()
    assert kaggle.calls == []


def test_a_ledger_of_samples_has_nothing_to_upload(kaggle: KaggleLoopback, place: Place) -> None:
    place.add(RUN, data="sample")
    assert "has no run on real data" in place.failure(None)
    (place.folder / "ledger.csv").unlink()
    assert "has no run on real data" in place.failure(None)
    assert f"has no run {RUN}" in place.failure()
    assert kaggle.calls == []


def test_no_credentials(kaggle: KaggleLoopback, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert "there are no Kaggle credentials" in place.failure()
    assert kaggle.calls == []


def test_the_same_file_is_not_handed_in_again(kaggle: KaggleLoopback, place: Place) -> None:
    place.upload()
    place.add("twin")
    asked = len(kaggle.calls)
    for run in (RUN, "twin"):
        assert f"already uploaded, as submission 1000 of {RUN} with public score 0.91230" in place.failure(
            run
        )
    assert len(kaggle.calls) == asked


def test_a_file_handed_in_from_elsewhere_is_found_on_any_page_and_recorded(
    kaggle: KaggleLoopback, place: Place
) -> None:
    place.upload()
    others = [kaggle.submissions[0] | {"ref": ref, "description": "mine"} for ref in range(2000, 2045)]
    kaggle.submissions = others + kaggle.submissions
    update_upload(place.folder / "ledger.csv", RUN, **dict.fromkeys(UPLOAD_COLUMNS, ""))  # another machine's
    assert f"Kaggle already has {place.folder / RUN}.csv, as submission 1000" in place.failure()
    assert place.row()["lb_public"] == "0.91230"
    assert kaggle.calls.count("CreateSubmission") == 1


def test_two_uploads_at_once(kaggle: KaggleLoopback, place: Place) -> None:
    with FileLock(place.folder / ".upload.lock"):
        assert "another process is uploading" in place.failure()
    assert kaggle.submissions == []


# --- what Kaggle limits


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"numToday": 5, "numTotal": 9, "numAllowedNow": 0}, "today's submissions to cifar-10 are used up"),
        ({"numTotal": 99, "numAllowedNow": 0, "limitedByTotal": True}, "no more submissions from you"),
    ],
)
def test_used_up_submissions(kaggle: KaggleLoopback, place: Place, limits: dict, words: str) -> None:
    kaggle.limits = limits
    assert words in place.failure()
    assert kaggle.uploads == {}
    assert place.row()["uploaded"] == ""


def test_a_user_without_a_team_yet_may_upload(kaggle: KaggleLoopback, place: Place) -> None:
    kaggle.limits = {"numToday": 0, "numTotal": 0, "numAllowedNow": 0}
    assert "public 0.91230" in place.upload()


def test_a_client_that_cannot_ask_for_limits_counts_today(
    kaggle: KaggleLoopback, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kaggle.api.kaggle_api_extended import KaggleApi

    monkeypatch.delattr(KaggleApi, "competition_get_submission_limits")
    today = datetime.now(UTC)
    dates = [today, today, today - timedelta(days=1)]
    kaggle.submissions = [
        {"ref": number, "date": f"{date:%Y-%m-%dT%H:%M:%S}Z", "description": "", "status": "COMPLETE"}
        for number, date in enumerate(dates, start=1)
    ]
    kaggle.about["maxDailySubmissions"] = 2
    assert "used up" in place.failure()
    kaggle.about["maxDailySubmissions"] = 3
    assert "public 0.91230" in place.upload()


@pytest.mark.parametrize(
    ("fact", "words"), [("isKernelsSubmissionsOnly", "make kernel"), ("submissionsDisabled", "at present")]
)
def test_a_competition_that_takes_no_files(
    kaggle: KaggleLoopback, place: Place, fact: str, words: str
) -> None:
    kaggle.about[fact] = True
    assert words in place.failure()
    assert kaggle.uploads == {}


# --- what Kaggle refuses, and accidents


@pytest.mark.parametrize("method", ["ListSubmissions", "StartSubmissionUpload", "CreateSubmission"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not accept the credentials"),
        (403, "https://www.kaggle.com/competitions/cifar-10/rules"),
        (404, "no competition cifar-10"),
        (400, "(400): refused with 400"),
    ],
)
def test_each_refusal_is_said_at_once(
    kaggle: KaggleLoopback, place: Place, clock: Clock, method: str, status: int, words: str
) -> None:
    kaggle.refusals[method] = status
    assert words in place.failure()
    assert clock.pauses == []
    assert kaggle.submissions == []
    assert place.row()["uploaded"] == ""  # nothing is on its way


def test_an_expired_token(kaggle: KaggleLoopback, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "expired")
    assert "does not accept the credentials" in place.failure()


@pytest.mark.parametrize("method", ["ListSubmissions", "GetSubmissionLimits", "StartSubmissionUpload"])
@pytest.mark.parametrize("status", [429, 500, 503, None])
def test_a_short_accident_is_waited_for(
    kaggle: KaggleLoopback, place: Place, clock: Clock, method: str, status: int | None
) -> None:
    kaggle.mishaps[method] = [Mishap(status), Mishap(status)]
    assert "public 0.91230" in place.upload()
    assert clock.pauses[:2] == [2, 4]
    assert len(kaggle.submissions) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(429, "no more requests for now (429)"), (502, "out of order (502)"), (None, "check the network")],
)
def test_a_long_accident_is_an_error(
    kaggle: KaggleLoopback, place: Place, clock: Clock, status: int | None, words: str
) -> None:
    kaggle.mishaps["ListSubmissions"] = [Mishap(status)] * 5
    assert words in place.failure()
    assert clock.pauses == [2, 4, 8, 16]


def test_retry_after_is_honoured(kaggle: KaggleLoopback, place: Place, clock: Clock) -> None:
    date = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    kaggle.mishaps["ListSubmissions"] = [
        Mishap(429, {"Retry-After": "33"}),
        Mishap(503, {"Retry-After": date}),
    ]
    kaggle.mishaps["CreateSubmission"] = [Mishap(429, {"Retry-After": "44"})]
    place.upload()
    first, second, third = clock.pauses[:3]
    assert (first, third) == (33, 44)
    assert 50 < second <= 60
    assert len(kaggle.submissions) == 1


def test_a_long_retry_after_is_told(kaggle: KaggleLoopback, place: Place, clock: Clock) -> None:
    kaggle.mishaps["ListSubmissions"] = [Mishap(429, {"Retry-After": "3600"})]
    assert "run again in 3,600 s" in place.failure()
    assert clock.pauses == []


def test_a_dead_network(kaggle: KaggleLoopback, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    kaggle.url = closed_port_url()
    kaggle.stand_in_for_kaggle(monkeypatch)
    assert "check the network" in place.failure()


def test_a_silent_server_is_a_failed_connection(
    kaggle: KaggleLoopback, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle_client, "TIMEOUT_S", 0.2)
    kaggle.methods["ListSubmissions"] = lambda request: Answer(body=b"{}", stall=1)
    assert "check the network" in place.failure()


def test_a_log_in_page_instead_of_kaggle(kaggle: KaggleLoopback, place: Place) -> None:
    kaggle.methods["ListSubmissions"] = lambda request: Answer(body=b"<html>Please log in</html>")
    assert "check the network" in place.failure()


# --- a cut never loses a submission and never repeats one


def test_a_cut_in_the_middle_of_the_file(kaggle: KaggleLoopback, place: Place) -> None:
    ids = [str(number) for number in range(400_000)]  # more than the buffers of a connection hold
    sample = pd.DataFrame({"id": ids, "label": "cat"})
    test = pd.DataFrame({"image_id": ids, "path": ids})
    place = replace(place, data=replace(place.data, sample_submission=sample, test=test))
    place.add(RUN)
    kaggle.body_cuts = [1_000_000, 2_000_000]
    assert "public 0.91230" in place.upload()
    assert kaggle.calls.count("StartSubmissionUpload") == 3
    assert len(kaggle.submissions) == 1
    assert list(kaggle.uploads.values()) == [(place.folder / f"{RUN}.csv").read_bytes()]


@pytest.mark.parametrize("mishap", [Mishap(503), Mishap(403), Mishap(), Mishap(500, done=True)])
def test_an_accident_of_the_storage(kaggle: KaggleLoopback, place: Place, mishap: Mishap) -> None:
    kaggle.mishaps["upload"] = [mishap]
    assert "public 0.91230" in place.upload()
    assert len(kaggle.submissions) == 1


@pytest.mark.parametrize("status", [None, 500, 504])
@pytest.mark.parametrize("done", [False, True])
def test_an_answer_lost_right_after_handing_in(
    kaggle: KaggleLoopback, place: Place, status: int | None, done: bool
) -> None:
    kaggle.mishaps["CreateSubmission"] = [Mishap(status, done=done)]
    assert "submission 1000, public 0.91230" in place.upload()
    assert len(kaggle.submissions) == 1
    assert kaggle.calls.count("CreateSubmission") == (1 if done else 2)


def test_a_list_that_lags_behind_a_lost_answer(kaggle: KaggleLoopback, place: Place) -> None:
    kaggle.mishaps["CreateSubmission"] = [Mishap(done=True)]
    kaggle.looks_until_listed = 3  # the check for duplicates reads it too
    assert "submission 1000, public 0.91230" in place.upload()
    assert kaggle.calls.count("CreateSubmission") == 1


def test_a_network_that_dies_right_after_handing_in(kaggle: KaggleLoopback, place: Place) -> None:
    """The second call finds what the first had handed in."""

    def create_and_die(request: dict) -> Answer:
        kaggle._create(request)
        kaggle.mishaps["ListSubmissions"] = [Mishap()] * 5
        return Answer(hang_up=True)

    kaggle.methods["CreateSubmission"] = create_and_die
    assert "nothing is handed in twice" in place.failure()
    assert place.row()["uploaded"] == UPLOADING
    assert "submission 1000, public 0.91230" in place.upload()
    assert len(kaggle.submissions) == 1
    assert place.row()["reference"] == "1000"


def test_a_network_that_dies_right_before_handing_in(kaggle: KaggleLoopback, place: Place) -> None:
    kaggle.mishaps["StartSubmissionUpload"] = [Mishap()] * 5
    assert "check the network" in place.failure()
    assert place.row()["uploaded"] == UPLOADING
    assert "submission 1000, public 0.91230" in place.upload()
    assert len(kaggle.submissions) == 1


def test_a_refusal_that_is_not_about_the_file_leaves_the_upload_open(
    kaggle: KaggleLoopback, place: Place
) -> None:
    """The file is taken, and then Kaggle shows its list no more."""

    def create_and_close(request: dict) -> dict:
        kaggle.refusals["ListSubmissions"] = 403
        return kaggle._create(request)

    kaggle.methods["CreateSubmission"] = create_and_close
    place.failure()
    assert place.row()["uploaded"] == UPLOADING
    kaggle.refusals.clear()
    assert "submission 1000, public 0.91230" in place.upload()
    assert len(kaggle.submissions) == 1


# --- the score


def test_a_slow_score_is_waited_for_ever_less_often(
    kaggle: KaggleLoopback, place: Place, clock: Clock
) -> None:
    kaggle.looks_until_scored = 10
    assert "public 0.91230" in place.upload()
    waits = [pause for pause in clock.pauses if pause]
    assert waits == sorted(waits) and waits[0] == 3 and 3 < waits[-1] <= 60


def test_a_score_that_does_not_come_in_time_is_read_later(
    kaggle: KaggleLoopback, place: Place, clock: Clock
) -> None:
    kaggle.looks_until_scored = 1000
    assert place.upload(wait_seconds=100).endswith("not scored yet: make scores reads the score later")
    assert clock.monotonic() == 100
    assert (place.row()["reference"], place.row()["lb_public"]) == ("1000", "")
    assert refresh_scores(Competition(), place.folder) == []
    kaggle.looks_until_scored = 0
    told = []
    (row,) = refresh_scores(Competition(), place.folder, lambda run, values: told.append(run))
    assert (row["run"], row["lb_public"], row["lb_private"]) == (RUN, "0.91230", "0.90120")
    assert place.row()["lb_private"] == "0.90120"
    assert told == [RUN]
    assert refresh_scores(Competition(), place.folder) == []


def test_a_file_that_cannot_be_scored(kaggle: KaggleLoopback, place: Place) -> None:
    kaggle.scored = {"status": "ERROR", "errorDescription": "Submission must have\n300000 rows"}
    message = place.failure()
    assert f"could not score {place.folder / RUN}.csv" in message
    assert "Submission must have 300000 rows" in message
    assert (place.row()["reference"], place.row()["lb_public"]) == ("1000", "")
    assert "already uploaded" in place.failure()


def test_a_network_that_dies_while_waiting_for_the_score(kaggle: KaggleLoopback, place: Place) -> None:
    kaggle.looks_until_scored = 3

    def scoring(request: dict) -> dict:
        if place.row()["reference"]:
            kaggle.mishaps["ListSubmissions"] = [Mishap()] * 4
            kaggle.methods["ListSubmissions"] = kaggle._list
            return Answer(hang_up=True)
        return kaggle._list(request)

    kaggle.methods["ListSubmissions"] = scoring
    message = place.failure()
    assert f"{RUN} is uploaded as submission 1000, and make scores reads its score later" in message
    kaggle.looks_until_scored = 0
    assert len(refresh_scores(Competition(), place.folder)) == 1


def test_scores_of_files_handed_in_elsewhere_reach_their_runs_and_no_others(
    kaggle: KaggleLoopback, place: Place
) -> None:
    place.upload()
    place.add("other", "dog")
    place.add("sample", data="sample")  # the very same file
    update_upload(place.folder / "ledger.csv", RUN, **dict.fromkeys(UPLOAD_COLUMNS, ""))
    assert [row["run"] for row in refresh_scores(Competition(), place.folder)] == [RUN]
    assert place.row()["reference"] == "1000"
    assert place.row("other") == place.row("sample") == dict.fromkeys(UPLOAD_COLUMNS, "")


def test_scores_without_runs(kaggle: KaggleLoopback, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no runs yet"):
        refresh_scores(Competition(), tmp_path)


# --- the stages


@pytest.fixture
def project(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The working folder is a project with the run of `place` and no data."""
    monkeypatch.chdir(place.folder)
    folder = Path("submissions") / "cifar10"
    folder.mkdir(parents=True)
    made = replace(place, folder=folder)
    made.add(RUN)
    return made


def _stage(*arguments: str, configs: dict[str, Config] = CONFIGS) -> None:
    main(Competition(), configs, [*arguments, "--track.wandb", "disabled"])


def _refused(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """The last line of a stage that ends with status 2."""
    with pytest.raises(SystemExit) as stop:
        _stage(*arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_stages_find_the_competitions_folder(
    kaggle: KaggleLoopback, project: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(Context, "data_of", lambda context, run, kind: project.data)
    _stage("upload", "--data", "kaggle")
    assert capsys.readouterr().out.startswith(f"upload: {RUN}, submission 1000")
    _stage("scores")
    assert capsys.readouterr().out == f"scores: {project.folder / 'ledger.csv'} (0 changed)\n"
    kaggle.submissions[0]["privateScore"] = "0.5"
    _stage("scores")
    assert capsys.readouterr().out.endswith("(1 changed)\n")
    assert project.row()["lb_private"] == "0.5"


def test_scores_need_no_data(kaggle: KaggleLoopback, project: Place) -> None:
    """With credentials, `--data auto` would download the competition."""
    _stage("scores")
    assert set(kaggle.calls) == {"IntrospectToken", "ListSubmissions"}
    assert not Path("data").exists()


def test_uploading_a_run_on_a_folder_asks_for_it_before_all_is_downloaded(
    kaggle: KaggleLoopback, project: Place, capsys: pytest.CaptureFixture
) -> None:
    project.add(RUN, data="folder")
    told = _refused(capsys, "upload")
    assert f"{RUN} was trained on a folder of raw files" in told and "the same RAW=<folder> again" in told
    assert kaggle.calls == [] and not Path("data").exists()


TINY_RUN = Config(
    folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
    model=ModelConfig(name=TINY),
    train=TrainConfig(epochs=1, batch_size=50, amp="off"),
    predict=PredictConfig(flip=False),
)
TINY_CONFIGS = {"one": TINY_RUN, "other": replace(TINY_RUN, train=replace(TINY_RUN.train, seed=7))}


@pytest.fixture
def raw_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The competition's files as Kaggle sends them: 60 training and 12 test images."""
    monkeypatch.setattr(sample, "TRAIN", 60)
    monkeypatch.setattr(sample, "TEST", 12)
    sample.write_sample(tmp_path / "raw", CLASSES, seed=5)
    return Path(shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path / "raw")).read_bytes()


def test_submit_uploads_last_once_and_never_fails_by_it(
    kaggle: KaggleLoopback, raw_zip: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    kaggle.files[f"/storage/{SLUG}.zip"] = raw_zip
    row = Place(Path("submissions") / "cifar10", None).row

    def submit(name: str = "one") -> tuple[str, str]:
        """The run, and what was said."""
        out = tmp_path / f"{name}.csv"
        out.unlink(missing_ok=True)
        _stage("submit", "--data", "kaggle", "--config", name, "--out", str(out), configs=TINY_CONFIGS)
        told, said = capsys.readouterr()
        path = Path(told.splitlines()[-1].removeprefix("submission: "))
        assert path.read_bytes() == out.read_bytes()
        return path.stem, said

    kaggle.limits = {"numToday": 5, "numTotal": 9, "numAllowedNow": 0}
    run, said = submit()
    assert "not uploaded: today's submissions to cifar-10 are used up" in said
    assert kaggle.submissions == [] and row(run)["uploaded"] == ""

    kaggle.limits["numAllowedNow"] = 1
    kaggle.scored = {"status": "ERROR", "errorDescription": "no such rows"}
    _, said = submit()
    assert "warning: Kaggle could not score" in said and "not uploaded" not in said
    assert row(run)["reference"] == "1000"

    asked = len(kaggle.calls)
    _, said = submit()
    assert "uploaded before, as submission 1000" in said
    assert len(kaggle.calls) == asked

    kaggle.scored = {"status": "COMPLETE", "publicScore": "0.1", "privateScore": "0.2"}
    other, said = submit("other")
    assert f"upload: {other}, submission 1001, public 0.1, private 0.2" in said

    asked = len(kaggle.calls)
    _stage("blend", "--data", "kaggle", "--runs", run, other, configs=TINY_CONFIGS)
    blended = Path(capsys.readouterr().out.splitlines()[-1].removeprefix("submission: ")).stem
    assert len(kaggle.calls) == asked and row(blended)["uploaded"] == ""


def test_scores_are_logged_as_numbers_with_the_gap_to_the_cv() -> None:
    values = dict(zip(UPLOAD_COLUMNS, ("2026-01-02", "1000", "0.75", ""), strict=True))
    assert score_facts(values, "0.875") == values | {"lb_public": 0.75, "cv_lb_gap": 0.125}
    assert score_facts(values | {"lb_public": ""}, "0.875") == values | {"lb_public": ""}


def test_submit_uploads_by_itself_only_what_came_from_kaggle(
    kaggle: KaggleLoopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert should_upload("kaggle", {})
    assert should_upload("kaggle", {"UPLOAD": "1"})
    assert not should_upload("kaggle", {"UPLOAD": "0"})
    assert not any(should_upload(kind, {}) for kind in ("folder", "mounted", "mirror", "sample"))
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert not should_upload("kaggle", {})
