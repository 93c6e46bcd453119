"""The wandb view by the real library: what it asks wandb to show, and saving it to a server on 127.0.0.1."""

import base64
import dataclasses
import json
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("wandb_workspaces", reason="needs the extra workspace, which the lowest wandb has not")

from competitions.cifar10.competition import Competition
from pipeline.base.errors import UserError
from pipeline.metrics.metric import Metric
from pipeline.metrics.usual import ACCURACY, LOG_LOSS
from pipeline.stages.main import main
from pipeline.tasks.classification.config import Config
from pipeline.track.workspace import CONFIG, CURVES, REACH_SECONDS, build_view, save_view
from pipeline.training.job import Epoch
from tests.loopback import Answer, FileServer, Request, closed_port_url

KEY = "secret0key" * 4


class WandbLoopback(FileServer):
    """Speaks the part of wandb's API that saving a view uses.

    Attributes
    ----------
    projects : those that exist, as entity/project
    views : the saved views, by wandb's own key
    saves : variables of every save
    error : what to answer a save instead
    """

    def __init__(self) -> None:
        super().__init__()
        self.projects = {"tester/podium-cifar10"}
        self.views: dict[str, dict] = {}
        self.saves: list[dict] = []
        self.error: str | None = None

    def answer(self, request: Request) -> Answer:
        if request.path != "/graphql":
            return Answer()  # the client's telemetry, and the look whether anybody answers
        asked = json.loads(request.body)
        if "upsertView" in asked["query"]:
            return self._save(asked["variables"])
        if "allViews" in asked["query"]:
            return self._look_up(asked["variables"])
        viewer = {"id": "1", "entity": "tester", "username": "tester", "flags": "{}", "teams": {"edges": []}}
        return Answer.json({"data": {"viewer": viewer, "serverInfo": None}})

    def _look_up(self, wanted: dict) -> Answer:
        if f"{wanted['entityName']}/{wanted['projectName']}" not in self.projects:
            return Answer.json({"data": {"project": None}})
        edges = [{"node": view} for name, view in self.views.items() if name == wanted["viewName"]]
        return Answer.json({"data": {"project": {"allViews": {"edges": edges}}}})

    def _save(self, values: dict) -> Answer:
        self.saves.append(values)
        if self.error:
            return Answer.json({"errors": [{"message": self.error}]})
        view = {"id": "view-1", "displayName": values["displayName"], "spec": values["spec"]}
        self.views[values["name"]] = view
        answer = {"view": {"id": view["id"], "name": values["name"]}, "inserted": "id" not in values}
        return Answer.json({"data": {"upsertView": answer}})


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No login and no files of wandb's but the test's own."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb-home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def wandb_server(monkeypatch):
    """A server that stands in for wandb, with a login."""
    with WandbLoopback() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server


def spec(metric: Metric = ACCURACY) -> dict:
    """What the library sends as the view."""
    return build_view("cifar10", metric, "tester")._model.spec.model_dump(by_alias=True, exclude_none=True)


def panels(section: str) -> list[dict]:
    sections = spec()["section"]["panelBankConfig"]["sections"]
    return next(one["panels"] for one in sections if one["name"] == section)


def test_the_table_has_a_row_for_each_group_sorted_by_cv():
    runs = spec()["section"]["runSets"][0]
    assert runs["grouping"] == [{"section": "run", "name": "group"}]
    assert runs["sort"]["keys"] == [
        {"key": {"section": "summary", "name": "cv_accuracy"}, "ascending": False}
    ]
    columns = runs["runFeed"]["columnOrder"]
    assert columns[:7] == [
        "run:displayName",
        "summary:cv_accuracy",
        "summary:cv_std",
        "summary:lb_public",
        "summary:lb_private",
        "summary:cv_lb_gap",
        "summary:minutes",
    ]
    assert "config:model.value.name" in columns
    assert set(columns) == set(runs["runFeed"]["columnVisible"])


def test_a_loss_is_sorted_from_the_smallest():
    assert spec(LOG_LOSS)["section"]["runSets"][0]["sort"]["keys"][0]["ascending"] is True


def test_the_panels_compare_cv_with_the_leaderboard():
    kinds = [panel["viewType"] for panel in panels("leaderboard")]
    assert kinds == ["Bar Chart", *["Scatter Plot"] * 3, "Parallel Coordinates Plot"]
    bars, against_public, *_, parallel = [panel["config"] for panel in panels("leaderboard")]
    assert bars["metrics"] == ["cv_accuracy", "lb_public", "lb_private"]
    axes = (against_public["xAxis"], against_public["yAxis"])
    assert axes == ("summary:cv_accuracy", "summary:lb_public")
    assert [column["accessor"] for column in parallel["columns"]] == [
        "config:model.value.image_size",
        "config:train.value.epochs",
        "config:train.value.lr",
        "summary:minutes",
        "summary:cv_std",
        "summary:cv_accuracy",
    ]


def test_the_curves_are_the_mean_of_the_folds_over_epochs():
    curves = [panel["config"] for panel in panels("folds")]
    assert [curve["metrics"] for curve in curves] == [["score"], ["loss"], ["lr"], ["images_per_second"]]
    assert all(curve["xAxis"] == "_step" and curve["groupArea"] == "minmax" for curve in curves)


def test_what_is_shown_is_what_is_logged():
    assert set(CURVES) <= {field.name for field in dataclasses.fields(Epoch)}
    config = Config().to_json()
    assert all(name.split(".")[1] in config[name.split(".")[0]] for name in CONFIG)


def test_saving_twice_updates_one_view(wandb_server, capfd):
    addresses = [save_view("cifar10", metric, None) for metric in (ACCURACY, LOG_LOSS)]
    assert addresses == [f"{wandb_server.url}/tester/podium-cifar10?nw=leaderboard"] * 2
    first, second = wandb_server.saves
    assert (first["entityName"], first["projectName"]) == ("tester", "podium-cifar10")
    assert first["displayName"] == "leaderboard"
    assert "id" not in first and second["id"] == "view-1"
    (view,) = wandb_server.views.values()
    assert "cv_log_loss" in view["spec"] and "cv_accuracy" not in view["spec"]
    assert KEY not in "".join(capfd.readouterr())
    files = [path.read_bytes() for path in Path("wandb-home").rglob("*") if path.is_file()]
    secrets = (KEY.encode(), base64.b64encode(f"api:{KEY}".encode()))  # as it is, and as the client sends it
    assert not [secret for content in files for secret in secrets if secret in content]


def test_what_wandb_refuses_is_told_without_the_key(wandb_server, capfd):
    wandb_server.error = f"no permission for {KEY}"
    with pytest.raises(UserError, match=r"did not save the view \(.*no permission for \*\*\*") as stop:
        save_view("cifar10", ACCURACY, None)
    assert KEY not in str(stop.value) + "".join(capfd.readouterr())


def test_a_project_without_runs_is_named(wandb_server):
    with pytest.raises(UserError, match=r"no project team/podium-cifar10: log a run first"):
        save_view("cifar10", ACCURACY, "team")
    assert wandb_server.saves == []


def test_a_dead_server_is_told_within_seconds(monkeypatch):
    import wandb_workspaces.workspaces  # noqa: F401  # what its import takes is not timed

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", closed_port_url())
    started = time.monotonic()
    with pytest.raises(UserError, match=r"cannot be reached: check the network"):
        save_view("cifar10", ACCURACY, None)
    assert time.monotonic() - started < REACH_SECONDS + 5


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    monkeypatch.delitem(sys.modules, "wandb_workspaces.workspaces", raising=False)
    with pytest.raises(UserError, match="pip install wandb-workspaces"):
        save_view("cifar10", ACCURACY, None)


def stage() -> None:
    """Run the stage, which needs no data."""
    main(Competition(), {"fast": Config(), "base": Config()}, ["workspace"])


def test_the_stage_without_a_login_is_one_sentence(capfd):
    with pytest.raises(SystemExit) as stop:
        stage()
    assert stop.value.code == 2
    assert "needs a login: wandb login, or set WANDB_API_KEY" in capfd.readouterr().err.splitlines()[-1]


def test_the_stage_prints_the_address_of_the_view_and_reads_no_data(wandb_server, tmp_path, capfd):
    stage()
    line = capfd.readouterr().out.splitlines()[-1]
    assert line == f"workspace: {wandb_server.url}/tester/podium-cifar10?nw=leaderboard"
    assert {path.name for path in tmp_path.iterdir()} <= {"wandb-home"}
