"""Real wandb runs, offline, read back with wandb's own messages; and what happens when wandb fails."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
import wandb

from pipeline.track.wandb_log import TrackConfig, Tracker, has_login
from pipeline.training.job import Epoch
from tests.loopback import Answer, FileServer, Request

EPOCHS = [
    Epoch(epoch=1, loss=0.9, lr=0.1, score=0.5, images_per_second=100.0, seconds=3.0),
    Epoch(epoch=2, loss=0.4, lr=0.05, score=0.8, images_per_second=110.0, seconds=2.0),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No login, no home, a secret in the environment."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("KAGGLE_KEY", "a-secret-key-of-kaggle")
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb-home"))


def records(folder: Path, runs: str = "offline-run-*") -> list:
    """Every record of the runs under `folder`, which have all ended.

    wandb's own process writes them, and the last of them after the end of a run was reported.
    """
    found = []
    for path in sorted(folder.glob(f"wandb/{runs}/*.wandb")):
        waited(lambda path=path: parsed(path)[-1:] and parsed(path)[-1].WhichOneof("record_type") == "exit")
        found += parsed(path)
    return found


def parsed(path: Path) -> list:
    """The records that a file holds so far."""
    from wandb.proto import wandb_internal_pb2

    return [wandb_internal_pb2.Record.FromString(data) for data in chunks(path.read_bytes())]


def chunks(content: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format, which wandb uses after a header of seven bytes."""
    block, header = 32768, struct.Struct("<IHB")  # checksum, length, kind: 1 whole, 2 first, 3 middle, 4 last
    assert content[:4] in (b":W&B", b"")
    place, parts = 7, b""
    while place + header.size <= len(content):
        if block - place % block < header.size:
            place += block - place % block
            continue
        _, length, kind = header.unpack_from(content, place)
        if place + header.size + length > len(content):
            return  # still being written
        parts += content[place + header.size : place + header.size + length]
        place += header.size + length
        if kind in (1, 4):
            yield parts
            parts = b""


def tracker(folder: Path, **options) -> Tracker:
    return Tracker(TrackConfig(**options), "cifar10", "fast-20261122-abcd1234", folder)


def waited(ready, seconds: float = 30) -> None:
    """Wait until `ready` gives something true."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def values(records: list) -> list[dict[str, str]]:
    """The logged rows, as JSON texts by key."""
    rows = []
    for record in records:
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            rows.append({item.key or "/".join(item.nested_key): item.value_json for item in items})
    return rows


def test_a_fold_is_a_run_of_its_group_with_every_epoch(tmp_path, capsys):
    with tracker(tmp_path).fold(3, {"train": {"lr": 0.1}}) as log:
        log.begun([{"group": "head", "parameters": 1234, "lr": 0.1, "weight_decay": 0.0}])
        for epoch in EPOCHS:
            log.epoch(epoch)
    found = records(tmp_path)
    run = next(record.run for record in found if record.WhichOneof("record_type") == "run")
    assert (run.run_group, run.job_type, run.run_id) == (
        "fast-20261122-abcd1234",
        "fold3",
        "fast-20261122-abcd1234-fold3",
    )
    assert run.project == "podium-cifar10"
    assert any("lr" in item.value_json or "lr" in item.key for item in run.config.update)
    configs = [item for record in found if record.HasField("config") for item in record.config.update]
    assert any(item.key == "groups" and "1234" in item.value_json for item in configs)
    rows = values(found)
    assert [row["score"] for row in rows] == ["0.5", "0.8"]
    assert [row["_step"] for row in rows] == ["1", "2"]
    assert "wandb sync" in capsys.readouterr().err


def test_a_summary_holds_scores_page_table_and_submission_and_no_secret(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("WANDB_API_KEY", "a-secret-key-of-wandb" * 2)
    (tmp_path / "report.html").write_text("<!doctype html><h1>A run</h1>")
    (tmp_path / "s.csv").write_text("id,label\n1,cat\n")
    ledger = pd.DataFrame({"run": ["a", "b"], "cv_score": ["0.8", "0.9"]})
    facts = {"cv_accuracy": 0.9, "folds": [0.9], "data": "folder"}
    tracker(tmp_path, wandb="offline").summary(
        {}, facts, tmp_path / "report.html", tmp_path / "s.csv", [], ledger
    )
    found = records(tmp_path)
    summary = {
        item.key: item.value_json
        for record in found
        if record.WhichOneof("record_type") == "summary"
        for item in record.summary.update
    }
    assert summary["cv_accuracy"] == "0.9" and summary["data"] == '"folder"'
    keys = {key for row in values(found) for key in row}
    assert any(key.startswith("report") for key in keys)
    assert any(key.startswith("leaderboard") for key in keys)
    assert "submission" in [record.artifact.type for record in found if record.HasField("artifact")]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "wandb").rglob("*") if path.is_file())
    told = "".join(capfd.readouterr()).encode()
    for secret in (b"a-secret-key-of-kaggle", b"a-secret-key-of-wandb"):
        assert secret not in stored and secret not in told


def test_without_artifacts_none_is_logged(tmp_path):
    (tmp_path / "s.csv").write_text("id,label\n1,cat\n")
    tracker(tmp_path, artifacts="none").summary(
        {}, {}, tmp_path / "s.csv", tmp_path / "s.csv", [], pd.DataFrame({"run": []})
    )
    kinds = [record.artifact.type for record in records(tmp_path) if record.HasField("artifact")]
    assert "submission" not in kinds  # the table of the leaderboard is one of its own


def test_disabled_writes_nothing(tmp_path):
    with tracker(tmp_path, wandb="disabled").fold(0, {}) as log:
        log.epoch(EPOCHS[0])
    assert not (tmp_path / "wandb").exists()


def test_the_environment_overrides_and_a_login_goes_online(tmp_path, monkeypatch):
    assert tracker(tmp_path).mode() == "offline" and not has_login()
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert tracker(tmp_path).mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert tracker(tmp_path).mode() == "disabled"


def test_netrc_is_a_login_too(tmp_path):
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert has_login() and not has_login("https://wandb.example.org")
    host = urlsplit(wandb.Settings().base_url).hostname  # where a login of today is
    (tmp_path / "netrc").write_text(f"machine {host} login user password secret\n")
    assert has_login()


@pytest.mark.parametrize("broken", ["init", "log"])
def test_a_wandb_that_fails_is_a_word_and_nothing_more(tmp_path, monkeypatch, capsys, broken):
    import wandb

    def fail(*arguments, **options):
        raise wandb.errors.CommError(f"{broken} is down")

    if broken == "init":
        monkeypatch.setattr(wandb, "init", fail)
    else:
        monkeypatch.setattr(wandb.Run, "log", fail)
    with tracker(tmp_path).fold(0, {}) as log:
        for epoch in EPOCHS:
            log.epoch(epoch)
    assert capsys.readouterr().err.count(f"wandb failed ({broken} is down)") == 1


def test_a_dead_server_does_not_hold_the_run_up(tmp_path, monkeypatch):
    """A login, and a server that refuses every connection."""
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("pipeline.track.wandb_log.INIT_SECONDS", 3)
    monkeypatch.setattr("pipeline.track.wandb_log.FINISH_SECONDS", 3)
    started = time.monotonic()
    with tracker(tmp_path).fold(0, {}) as log:
        for epoch in EPOCHS:
            log.epoch(epoch)
    assert time.monotonic() - started < 60


class WandbServer(FileServer):
    """Speaks the part of wandb's API that a run needs, until `down`, when it hangs up on everyone."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.streamed: list[dict] = []

    def answer(self, request: Request) -> Answer:
        if self.down:
            return Answer(hang_up=True)
        if request.path.endswith("/file_stream"):
            self.streamed.append(json.loads(request.body))
            return Answer.json({})
        if request.path != "/graphql":
            return Answer.json({})
        asked = json.loads(request.body)
        if "upsertBucket" in asked["query"]:
            name = asked["variables"]["name"]
            project = {"name": "podium-cifar10", "entity": {"name": "tester"}}
            bucket = {"id": "1", "name": name, "displayName": name, "project": project, "historyLineCount": 0}
            return Answer.json({"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}})
        viewer = {"id": "1", "entity": "tester", "username": "tester", "flags": "{}", "teams": {"edges": []}}
        return Answer.json({"data": {"viewer": viewer, "serverInfo": None, "model": None}})


def test_an_outage_in_the_middle_loses_no_epoch_and_stops_nothing(tmp_path, monkeypatch, capsys):
    """The server takes the first epoch and then hangs up on every connection, for good."""
    wandb.teardown()  # its process keeps the address it was started with
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setattr("pipeline.track.wandb_log.FINISH_SECONDS", 3)
        log = tracker(tmp_path)
        with log.fold(0, {}) as first:
            first.epoch(EPOCHS[0])
            waited(lambda: server.streamed)
            server.down = True
            monkeypatch.setattr("pipeline.track.wandb_log.INIT_SECONDS", 3)
            first.epoch(EPOCHS[1])
        with log.fold(1, {}) as second:
            for epoch in EPOCHS:
                second.epoch(epoch)
        wandb.teardown()  # as at the end of a process
    told = capsys.readouterr().err
    assert "wandb sync --include-online" in told and "wandb failed" not in told
    for pattern in ("run-*-fold0", "offline-run-*-fold1-*"):
        rows = values(records(tmp_path, pattern))
        assert [row["score"] for row in rows if "score" in row] == ["0.5", "0.8"]
