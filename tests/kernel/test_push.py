"""Pushing through the real client to a server that speaks its protocol."""

import json
import re

import pytest

from pipeline.errors import UserError
from pipeline.files import write_json
from pipeline.kernel.metadata import OWNER, dataset_metadata, kernel_metadata
from pipeline.kernel.push import PushOptions, push
from tests.loopback import Answer, KaggleLoopback, Request, forget_kaggle_credentials

KERNEL, DATASET = "podium-flowers-train", "podium-flowers-train-bundle"


class KernelLoopback(KaggleLoopback):
    """Also takes datasets and kernels; `states` are its next answers to who asks how a kernel is."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()
        self.blobs: dict[str, bytes] = {}
        self.pushed: list[dict] = []
        self.versions: list[str] = []
        self.states = ["QUEUED", "RUNNING", "COMPLETE"]
        self.files["/output/submission.csv"] = b"id,label\n1,rose\n"
        self.outputs = ["submission.csv"]
        self.methods |= {
            "GetDatasetStatus": self._dataset_status,
            "StartBlobUpload": lambda request: {
                "token": request["name"],
                "createUrl": f"{self.url}/blob/{request['name']}",
            },
            "CreateDataset": self._create,
            "CreateDatasetVersion": self._version,
            "SaveKernel": self._save,
            "GetKernelSessionStatus": lambda request: {
                "status": self.states.pop(0),
                "failureMessage": "boom",
            },
            "ListKernelSessionOutput": lambda request: {
                "files": [{"url": f"{self.url}/output/{name}", "fileName": name} for name in self.outputs],
                "log": "[]",
            },
        }

    def answer(self, request: Request) -> Answer:
        found = re.fullmatch(r"/blob/(.+)", request.path)
        if found and request.method == "PUT":
            self.blobs[found[1]] = request.body
            return Answer(200)
        return super().answer(request)

    def _dataset_status(self, request: dict) -> dict | Answer:
        slug = request["datasetSlug"]
        return {"status": "READY"} if slug in self.known else Answer.json({"code": 403, "message": "no"}, 403)

    def _create(self, request: dict) -> dict:
        assert request["isPrivate"] and request["ownerSlug"] == "tester"
        self.known.add(request["slug"])
        self.versions.append("created")
        return {"ref": request["slug"], "status": "ok", "error": ""}

    def _version(self, request: dict) -> dict:
        self.versions.append("version")
        return {"ref": request["datasetSlug"], "status": "ok", "error": ""}

    def _save(self, request: dict) -> dict:
        self.pushed.append(request)
        return {"ref": request["slug"], "url": "https://www.kaggle.com/code/x", "versionNumber": 1}


@pytest.fixture
def server(monkeypatch, tmp_path):
    forget_kaggle_credentials(monkeypatch, tmp_path)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "good-token")
    with KernelLoopback() as loopback:
        loopback.stand_in_for_kaggle(monkeypatch)
        yield loopback


@pytest.fixture
def options(tmp_path):
    folder = tmp_path / "bundle"
    write_json(folder / "dataset" / "dataset-metadata.json", dataset_metadata(OWNER, DATASET))
    (folder / "dataset" / "wheels").mkdir()
    (folder / "dataset" / "wheels" / "podium.whl").write_text("wheel")
    about = kernel_metadata(OWNER, KERNEL, "k.ipynb", True, [f"{OWNER}/{DATASET}"], ["flowers"])
    write_json(folder / "kernel" / "kernel-metadata.json", about)
    (folder / "kernel" / "k.ipynb").write_text(json.dumps({"cells": []}))
    return PushOptions(folder, poll=0.01)


def test_dataset_kernel_status_and_output(server, options, capfd):
    output = push(options)
    assert (output / "submission.csv").read_text() == "id,label\n1,rose\n"
    assert server.versions == ["created"] and "wheels.zip" in server.blobs
    sent = server.pushed[0]
    assert sent["slug"] == f"tester/{KERNEL}" and sent["machineShape"] == "NvidiaTeslaT4"
    assert sent["enableInternet"] is False and sent["isPrivate"] is True
    assert sent["datasetDataSources"] == [f"tester/{DATASET}"]
    assert sent["competitionDataSources"] == ["flowers"]
    said = capfd.readouterr().err
    assert said.index("queued") < said.index("running") < said.index("complete")
    assert OWNER in (options.folder / "kernel" / "kernel-metadata.json").read_text()


def test_a_dataset_that_exists_gets_a_new_version(server, options):
    server.known.add(DATASET)
    push(options)
    assert server.versions == ["version"]


def test_a_kernel_that_fails_says_why(server, options):
    server.states = ["RUNNING", "ERROR"]
    with pytest.raises(UserError, match="ended with error: boom"):
        push(options)


def test_a_kernel_without_a_submission_is_a_failure(server, options):
    server.outputs = []
    with pytest.raises(UserError, match=r"no submission\.csv"):
        push(options)


def test_a_refused_input_is_named(server, options):
    server.methods["SaveKernel"] = lambda request: {"url": "u", "invalidCompetitionSources": ["flowers"]}
    with pytest.raises(UserError, match="cannot mount flowers"):
        push(options)


def test_without_credentials_nothing_is_sent(server, options, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    with pytest.raises(UserError, match="no Kaggle credentials"):
        push(options)
    assert server.requests == []
