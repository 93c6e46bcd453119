"""Pushing through the real client to a server that speaks its protocol."""

import json
import re

import pytest

from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.kaggle import client as kaggle_client
from pipeline.kaggle import retry as kaggle_retry
from pipeline.kernel import output as output_module
from pipeline.kernel.metadata import OWNER, dataset_metadata, kernel_metadata
from pipeline.kernel.push import PushOptions, push
from tests.loopback import Answer, KaggleLoopback, Mishap, Request, forget_kaggle_credentials

KERNEL, DATASET = "podium-flowers-train", "podium-flowers-train-bundle"
PAGE = f"https://www.kaggle.com/code/tester/{KERNEL}"


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
        self.blob_statuses: list[int] = []
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
                "status": self.states.pop(0) if self.states else "COMPLETE",
                "failureMessage": "boom",
            },
            "ListKernelSessionOutput": self._output,
        }

    def answer(self, request: Request) -> Answer:
        found = re.fullmatch(r"/blob/(.+)", request.path)
        if found and request.method == "PUT":
            self.blobs[found[1]] = request.body
            return Answer(self.blob_statuses.pop(0) if self.blob_statuses else 200)
        return super().answer(request)

    def _output(self, request: dict) -> dict:
        """One file to a page."""
        start = int(request.get("pageToken") or 0)
        names = self.outputs[start : start + 1]
        more = start + 1 < len(self.outputs)
        files = [{"url": f"{self.url}/output/{name}", "fileName": name} for name in names]
        return {"files": files, "log": "[]", "nextPageToken": str(start + 1) if more else ""}

    def _dataset_status(self, request: dict) -> dict | Answer:
        slug = request["datasetSlug"]
        return {"status": "READY"} if slug in self.known else Answer.json({"code": 403, "message": "no"}, 403)

    def _create(self, request: dict) -> dict:
        assert request["isPrivate"] and request["ownerSlug"] == "tester"
        self.known.add(request["slug"])
        self.versions.append("created")
        assert request["files"]
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


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses before requests are repeated, which take no time."""
    taken = []
    monkeypatch.setattr(kaggle_retry, "sleep", taken.append)
    return taken


def failure(options: PushOptions) -> str:
    """The one sentence of a push that fails; nothing in it is about a competition's files."""
    with pytest.raises(UserError) as caught:
        push(options)
    message = str(caught.value)
    assert "\n" not in message
    assert "kaggle.com/competitions" not in message and "handed in" not in message
    return message


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


# --- what comes back


def test_each_push_has_an_output_folder_of_its_own_outside_the_bundle(server, options, tmp_path):
    first, second = push(options), push(options)
    assert first != second
    for folder in (first, second):
        assert (folder / "submission.csv").is_file() and options.folder not in folder.parents
    assert first == tmp_path / "bundle-output" / f"{KERNEL}-v1"


def test_all_pages_of_the_output_and_the_log_are_fetched(server, options):
    server.outputs = ["submission.csv", "plots/curve.png"]
    server.files["/output/plots/curve.png"] = b"png"
    output = push(options)
    assert (output / "plots" / "curve.png").read_bytes() == b"png"
    assert (output / f"{KERNEL}.log").read_text() == "[]"


def test_a_kernel_without_a_submission_is_a_failure_also_after_one_with(server, options):
    push(options)
    server.outputs = []
    assert "left no submission.csv" in failure(options)


def test_a_file_that_is_gone_is_no_empty_submission(server, options, pauses):
    del server.files["/output/submission.csv"]
    message = failure(options)
    assert "(404)" in message and PAGE in message and "start it once more" in message
    assert pauses == []


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"<html>Sign in</html>", b"1,rose\n2,tulip\n", b"id,label\n"]
)
def test_what_is_no_submission_is_refused(server, options, content):
    server.files["/output/submission.csv"] = content
    message = failure(options)
    assert "submission.csv" in message and "push again" in message and PAGE in message


# --- what Kaggle refuses


def test_a_refused_input_is_named(server, options):
    server.methods["SaveKernel"] = lambda request: {"url": "u", "invalidCompetitionSources": ["flowers"]}
    with pytest.raises(UserError, match="cannot mount flowers"):
        push(options)


def test_without_credentials_nothing_is_sent(server, options, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    with pytest.raises(UserError, match="no Kaggle credentials"):
        push(options)
    assert server.requests == []


def test_a_kernel_that_is_refused_is_refused_in_kaggles_words(server, options, pauses):
    server.refusals["SaveKernel"] = 403
    message = failure(options)
    assert "refuses to push the kernel (403): refused with 403" in message and "phone number" in message
    assert pauses == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_status_that_is_refused_is_said_at_once(server, options, pauses, status):
    """The client makes a ValueError of it."""
    server.refusals["GetKernelSessionStatus"] = status
    message = failure(options)
    assert "refuses to follow the kernel: Cannot access kernel" in message and "start it once more" in message
    assert pauses == []


# --- accidents


@pytest.mark.parametrize("mishap", [Mishap(done=True), Mishap(502, done=True)])
def test_a_kernel_whose_answer_was_lost_is_not_pushed_again(server, options, mishap):
    server.mishaps["SaveKernel"] = [mishap]
    message = failure(options)
    assert f"look at {PAGE} before you push again" in message and "run again" not in message
    assert len(server.pushed) == 1


def test_too_many_requests_start_no_kernel(server, options):
    server.mishaps["SaveKernel"] = [Mishap(429, {"Retry-After": "33"})]
    assert "(429) to push the kernel: wait 33 s, then run again" in failure(options)


def test_a_network_that_dies_while_following_does_not_ask_for_another_push(server, options, pauses):
    server.mishaps["GetKernelSessionStatus"] = [Mishap()] * 5
    message = failure(options)
    assert f"look at {PAGE}" in message and "start it once more" in message and "run again" not in message
    assert pauses == [2, 4, 8, 16]


@pytest.mark.parametrize("method", ["GetDatasetStatus", "GetKernelSessionStatus"])
def test_a_short_accident_is_waited_for(server, options, pauses, method):
    server.mishaps[method] = [Mishap()]
    assert (push(options) / "submission.csv").is_file()
    assert pauses == [2]


def test_no_dataset_is_made_without_its_files(server, options, pauses):
    server.blob_statuses = [403]
    push(options)
    assert pauses == [2] and server.versions == ["created"]
    server.blob_statuses = [403] * 5
    assert "the connection to Kaggle failed" in failure(options)
    assert server.versions == ["created"] and len(server.pushed) == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("method", ["SaveKernel", "GetKernelSessionStatus", "ListKernelSessionOutput"])
def test_a_silent_server_is_a_failed_connection(server, options, monkeypatch, method):
    monkeypatch.setattr(kaggle_client, "TIMEOUT_S", 0.2)
    server.methods[method] = lambda request: Answer(body=b"{}", stall=1)
    assert f"look at {PAGE}" in failure(options)


@pytest.mark.timeout(60)
def test_a_silent_storage_is_a_failed_connection(server, options, monkeypatch):
    monkeypatch.setattr(output_module, "TIMEOUT_S", 0.2)
    answer = server.answer
    stalled = Answer(body=b"id,label\n", stall=2)
    server.answer = lambda request: stalled if "/output/" in request.path else answer(request)
    assert "the connection to Kaggle failed" in failure(options)
