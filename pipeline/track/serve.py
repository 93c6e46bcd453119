"""The leaderboard page on this machine alone: ``python -m pipeline.track.serve``, anew at every load.

Only the page and the runs' reports are served: data, checkpoints and everything else in the project are not.
"""

import datetime
import io
import socket
import sys
import time
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tyro

from pipeline.base.errors import UserError, told_to_the_user
from pipeline.base.paths import default_paths
from pipeline.base.progress import say
from pipeline.track.leaderboard import collect, render

HOST = "127.0.0.1"
TEXT = "text/plain; charset=utf-8"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".svg": "image/svg+xml",
}
"""What a report is made of, and the only files that are served."""
REQUEST_S = 10.0
"""Seconds that a client has to send its whole request, and again to take the whole answer."""


class _UntilDeadline(socket.SocketIO):
    """Reads from a connection until a point in time, however slowly the bytes drip."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        super().__init__(connection, "r")
        self.connection, self.deadline = connection, time.monotonic() + seconds

    def readinto(self, b: Any) -> int | None:
        """As of any raw stream. Raises TimeoutError past the deadline."""
        self.connection.settimeout(max(0.001, self.deadline - time.monotonic()))
        return super().readinto(b)


class Handler(BaseHTTPRequestHandler):
    """``/`` is the page; ``/runs/<slug>/<run>/...`` are the files of a run's report."""

    default_request_version = "HTTP/1.0"  # so that whatever cannot be parsed gets a status line, too

    def __init__(self, *arguments, submissions: Path, runs: Path, seconds: float) -> None:
        self.submissions, self.runs, self.seconds = submissions, runs.resolve(), seconds
        self.answered = False
        super().__init__(*arguments)

    def setup(self) -> None:
        """As the base class does, with a time limit on the request as a whole and not on each byte of it."""
        super().setup()
        self.rfile = io.BufferedReader(_UntilDeadline(self.connection, self.seconds))

    def log_error(self, format: str, *arguments) -> None:
        """Answer a request that took too long, of which the base class would only make a note; a client that
        does not take its answer gets no second one."""
        if arguments and isinstance(arguments[0], TimeoutError) and not self.answered:
            # What an answer is made of may not have been read yet.
            self.command, self.requestline, self.request_version = "GET", "", "HTTP/1.0"
            self._answer(HTTPStatus.REQUEST_TIMEOUT, b"the request did not arrive in time\n")

    def do_GET(self) -> None:
        """Answer with the page, a file of a report, or 400, 403, 404, 500."""
        try:
            local, path = self._is_local(), unquote(urlsplit(self.path).path)
        except ValueError:  # a host or a path that is no URL's
            return self._answer(HTTPStatus.BAD_REQUEST, b"this is no address\n")
        if not local:
            return self._answer(HTTPStatus.FORBIDDEN, b"this page is for this machine alone\n")
        try:
            status, body, kind = self._found(path)
        except Exception as error:  # whatever it is, the client gets one answer
            said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            body = f"error: {said}\n".encode(errors="backslashreplace")
            status, kind = HTTPStatus.INTERNAL_SERVER_ERROR, TEXT
        self._answer(status, body, kind)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        """Refuse whatever changes something."""
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, b"this server only shows\n")

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = do_POST  # noqa: N815

    def _found(self, path: str) -> tuple[HTTPStatus, bytes, str]:
        if path == "/":
            page = render(collect(self.submissions, self.runs, "runs"), datetime.datetime.now())
            return HTTPStatus.OK, page.encode(), TYPES[".html"]
        file = self._file(path)
        if file is None:
            return HTTPStatus.NOT_FOUND, b"there is no such page\n", TEXT
        return HTTPStatus.OK, file.read_bytes(), TYPES[file.suffix]

    def _is_local(self) -> bool:
        """Whether the browser asked for this machine by name: a page elsewhere whose name is pointed here
        (DNS rebinding) must not read it."""
        name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        return name in (HOST, "localhost")

    def _file(self, path: str) -> Path | None:
        """The report's file behind a URL path, or None where that is nothing to be served."""
        if not path.startswith("/runs/") or "\0" in path:
            return None
        try:
            file = (self.runs / path.removeprefix("/runs/").lstrip("/")).resolve()
            inside = file.is_relative_to(self.runs)  # neither dots nor a link lead out of the runs
            return file if inside and file.suffix in TYPES and file.is_file() else None
        except (OSError, RuntimeError):  # a name that no file can have, links in a circle
            return None

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = TEXT) -> None:
        self.answered = True
        self.connection.settimeout(self.seconds)  # of the request's time, little may be left
        self.send_response(status)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments) -> None:
        """Say nothing: a line for each request helps nobody here."""


class _Server(ThreadingHTTPServer):
    """A thread for each connection."""

    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is nobody's fault; anything else is one line, and the others are served."""
        error = sys.exception()
        if not isinstance(error, (ConnectionError, TimeoutError)):
            say(f"warning: a request failed ({type(error).__name__}: {error})")


def make_server(submissions: Path, runs: Path, port: int, seconds: float = REQUEST_S) -> ThreadingHTTPServer:
    """A server bound to the loopback address, not yet serving; port 0 takes any free one.

    Parameters
    ----------
    seconds : see `REQUEST_S`.

    Raises
    ------
    UserError : the port is taken, not allowed or out of range.
    """
    handler = partial(Handler, submissions=submissions, runs=runs, seconds=seconds)
    try:
        return _Server((HOST, port), handler)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"port {port} cannot be used ({error}); choose another with --port, 0 takes any free one"
        ) from error


def serve(port: int = 8000, submissions: Path | None = None, runs: Path | None = None) -> None:
    """Show the leaderboard at http://127.0.0.1:PORT until interrupted.

    Parameters
    ----------
    port : where to listen, on this machine only.
    submissions : folder of the ledgers; default: submissions.
    runs : folder of the runs; default: runs.
    """
    paths = default_paths()
    with make_server(submissions or paths.submissions, runs or paths.runs, port) as server:
        say(f"leaderboard: http://{HOST}:{server.server_port} (Ctrl+C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("")


def main(arguments: list[str] | None = None) -> None:
    """Command line. Exits with status 2 and one sentence where the user can help it."""
    with told_to_the_user():
        tyro.cli(serve, args=arguments, prog="python -m pipeline.track.serve")


if __name__ == "__main__":
    main()
