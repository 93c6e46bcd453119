"""Real servers on 127.0.0.1 that can misbehave: a file server, and one that speaks Kaggle's protocol."""

import base64
import json
import os
import re
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the server sends; after `cut` bytes of the body it hangs up, after `stall` it goes silent; with
    `hang_up` it sends nothing at all."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: int | None = None
    hang_up: bool = False

    @classmethod
    def json(cls, value: dict, status: int = 200) -> "Answer":
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Fault:
    """One misbehaviour: a status instead of an answer, or an answer that breaks off after some bytes."""

    status: int | None = None
    cut: int | None = None
    stall: int | None = None


@dataclass(frozen=True)
class Mishap:
    """One misbehaviour of a method of Kaggle's: a status or no answer, after its work is `done` or not."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False


class FileServer:
    """Serves `files` by path. Use as a context manager.

    Attributes
    ----------
    files : path -> content
    ranges : whether Range requests are honoured
    faults : misbehaviours of the next answers, one each, in turn
    claimed_length : what to say a file's length is, if not the truth
    body_cuts : for the next uploads, one each: after how many bytes to hang up, None to read all
    requests : everything that was asked, in order
    """

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = files or {}
        self.ranges = True
        self.faults: list[Fault] = []
        self.claimed_length: int | None = None
        self.body_cuts: list[int | None] = []
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> "FileServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Request) -> Answer:
        """The answer to one request; a subclass adds its own and falls back on this one."""
        content = self.files.get(request.path.partition("?")[0])
        fault = self.faults.pop(0) if self.faults else Fault()
        if fault.status is not None:
            return Answer(fault.status)
        if content is None:
            return Answer(404)
        headers = {"ETag": '"1"', "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT"}
        if self.claimed_length is not None:
            headers["Content-Length"] = str(self.claimed_length)
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if not self.ranges or wanted is None:
            return Answer(200, content, headers | {"Accept-Ranges": "bytes"}, fault.cut, fault.stall)
        start, end = int(wanted[1]), len(content)
        if start >= end:
            return Answer(416, b"", {"Content-Range": f"bytes */{end}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{end}"
        return Answer(206, content[start:], headers, fault.cut, fault.stall)


class KaggleLoopback(FileServer):
    """Speaks the part of Kaggle's protocol that the `kaggle` client uses.

    Parameters
    ----------
    competitions : Kaggle's slug -> content of the zip with all of its files

    Attributes
    ----------
    accepted : what an Authorization header may hold
    methods : method of the API -> function from the request's JSON to the answer's, or to a whole `Answer`
    refusals : method of the API -> status to answer instead
    mishaps : method of the API, or ``upload`` for the storage -> misbehaviours of its next calls, one each
    calls : the methods called, in order
    submissions : Kaggle's list, newest first, as it answers it
    uploads : what was put into the storage, by token
    about : what it says about every competition
    limits : what it says about the submissions left
    looks_until_scored : how often the list is read before the newest submission is scored
    looks_until_listed : how often the list is read before the newest submission is in it
    scored : what scoring adds to a submission
    """

    def __init__(self, competitions: dict[str, bytes] | None = None) -> None:
        super().__init__({f"/storage/{slug}.zip": body for slug, body in (competitions or {}).items()})
        self.accepted = {"Bearer good-token", "Basic " + base64.b64encode(b"tester:good-key").decode()}
        self.refusals: dict[str, int] = {}
        self.methods: dict[str, Callable[[dict], dict | Answer]] = {
            "IntrospectToken": self._introspect,
            "DownloadDataFiles": self._download,
            "GetCompetition": lambda request: self.about,
            "GetSubmissionLimits": lambda request: self.limits,
            "ListSubmissions": self._list,
            "StartSubmissionUpload": self._start_upload,
            "CreateSubmission": self._create,
        }
        self.mishaps: dict[str, list[Mishap]] = {}
        self.calls: list[str] = []
        self.submissions: list[dict] = []
        self.uploads: dict[str, bytes] = {}
        self.about = {"maxDailySubmissions": 5, "userHasEntered": True}
        self.limits = {"numToday": 1, "numTotal": 7, "numAllowedNow": 4}
        self.looks_until_scored = 0
        self.looks_until_listed = 0
        self.scored = {"status": "COMPLETE", "publicScore": "0.91230", "privateScore": "0.90120"}

    def answer(self, request: Request) -> Answer:
        called = re.fullmatch(r"/v1/([\w.]+)/(\w+)|/(upload)/\w+", request.path)
        if not called:
            return super().answer(request)
        method = called[2] or called[3]
        self.calls.append(method)
        mishap = self.mishaps[method].pop(0) if self.mishaps.get(method) else None
        answer = None if mishap and not mishap.done else self._answer_to(method, request)
        if mishap is None:
            return answer
        if mishap.status is None:
            return Answer(hang_up=True)
        return replace(_refusal(mishap.status), headers=_refusal(mishap.status).headers | mishap.headers)

    def _answer_to(self, method: str, request: Request) -> Answer:
        if method == "upload":
            self.uploads[request.path.rpartition("/")[2]] = request.body
            return Answer()
        if method in self.refusals:
            return _refusal(self.refusals[method])
        if method not in self.methods:
            return _refusal(404)
        if method != "IntrospectToken" and request.headers.get("Authorization") not in self.accepted:
            return _refusal(401)
        answer = self.methods[method](json.loads(request.body or b"{}"))
        return answer if isinstance(answer, Answer) else Answer.json(answer)

    def stand_in_for_kaggle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the real client in this process speak to this server."""
        from kagglesdk import kaggle_env

        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, self.url)

    def _introspect(self, request: dict) -> dict:
        return {"active": f"Bearer {request['token']}" in self.accepted, "username": "tester"}

    def _list(self, request: dict) -> dict:
        if self.looks_until_scored > 0:
            self.looks_until_scored -= 1
        elif self.submissions and self.submissions[0]["status"] == "PENDING":
            self.submissions[0] |= self.scored
        hidden = int(self.looks_until_listed > 0)
        self.looks_until_listed -= hidden
        size = min(request.get("pageSize") or 20, 20)
        start = ((request.get("page") or 1) - 1) * size
        return {"submissions": self.submissions[hidden:][start : start + size]}

    def _start_upload(self, request: dict) -> dict:
        token = f"token{len(self.calls)}"
        return {"token": token, "createUrl": f"{self.url}/upload/{token}"}

    def _create(self, request: dict) -> dict | Answer:
        if request["blobFileTokens"] not in self.uploads:
            return _refusal(400)
        reference = 1000 + len(self.submissions)
        now = datetime.now(UTC)
        submission = {
            "ref": reference,
            "date": f"{now:%Y-%m-%dT%H:%M:%S}.1234567Z",
            "description": request.get("submissionDescription", ""),
            "status": "PENDING",
            "totalBytes": len(self.uploads[request["blobFileTokens"]]),
        }
        self.submissions.insert(0, submission)
        return {"message": "Successfully submitted", "ref": reference}

    def _download(self, request: dict) -> Answer:
        path = f"/storage/{request['competitionName']}.zip"
        if path not in self.files:
            return _refusal(404)
        return Answer(302, headers={"Location": f"{self.url}{path}?signature=1"})


def forget_kaggle_credentials(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Hide this machine's Kaggle credentials from the test, with `home` as an empty home folder."""
    for name in [name for name in os.environ if name.startswith(("KAGGLE_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))


def closed_port_url() -> str:
    """The URL of a port on this machine that nobody listens on: a dead network."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client may hang up at any time, and the tests make it; anything else is worth a traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _refusal(status: int) -> Answer:
    return Answer.json({"code": status, "message": f"refused with {status}"}, status)


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            cut = server.body_cuts.pop(0) if self.command == "PUT" and server.body_cuts else None
            if cut is not None:
                self.rfile.read(cut)
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, dict(self.headers), body)
            server.requests.append(request)
            self._send(server.answer(request))

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):  # every method: do_GET, do_POST, ...
                return self.answer
            raise AttributeError(name)

        def _send(self, answer: Answer) -> None:
            if answer.hang_up:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            limit = answer.cut if answer.cut is not None else answer.stall
            self.wfile.write(answer.body[:limit])
            if answer.stall is not None:
                server.closing.wait()
            self.close_connection = limit is not None

        def log_message(self, *_: object) -> None:
            pass

    return Handler
