"""The leaderboard page on this machine alone: ``python -m pipeline.track.serve``, anew at every load.

Only the page and the runs' reports are served: data, checkpoints and everything else in the project are not.
"""

import datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import tyro

from pipeline.base.errors import UserError, told_to_the_user
from pipeline.base.paths import default_paths
from pipeline.base.progress import say
from pipeline.track.leaderboard import collect, render

HOST = "127.0.0.1"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".svg": "image/svg+xml",
}
"""What a report is made of, and the only files that are served."""


class Handler(BaseHTTPRequestHandler):
    """``/`` is the page; ``/runs/<slug>/<run>/...`` are the files of a run's report."""

    def __init__(self, *arguments, submissions: Path, runs: Path) -> None:
        self.submissions, self.runs = submissions, runs.resolve()
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer with the page, a file of a report, or 403, 404, 500."""
        if not self._is_local():
            return self._answer(HTTPStatus.FORBIDDEN, b"this page is for this machine alone\n")
        path = unquote(urlsplit(self.path).path)
        if path == "/":
            return self._page()
        file = self._file(path)
        if file is None:
            return self._answer(HTTPStatus.NOT_FOUND, b"there is no such page\n")
        return self._answer(HTTPStatus.OK, file.read_bytes(), TYPES[file.suffix])

    do_HEAD = do_GET  # noqa: N815

    def _is_local(self) -> bool:
        """Whether the browser asked for this machine by name: a page elsewhere whose name is pointed here
        (DNS rebinding) must not read it."""
        name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        return name in (HOST, "localhost")

    def _page(self) -> None:
        try:
            boards = collect(self.submissions, self.runs, "runs")
        except UserError as error:
            return self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"error: {error}\n".encode())
        page = render(boards, datetime.datetime.now())
        return self._answer(HTTPStatus.OK, page.encode(), TYPES[".html"])

    def _file(self, path: str) -> Path | None:
        """The report's file behind a URL path, or None where that is nothing to be served."""
        if not path.startswith("/runs/") or "\0" in path:
            return None
        file = (self.runs / path.removeprefix("/runs/").lstrip("/")).resolve()
        inside = file.is_relative_to(self.runs)  # neither dots nor a link lead out of the runs
        return file if inside and file.suffix in TYPES and file.is_file() else None

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments) -> None:
        """Say nothing: a line for each request helps nobody here."""


def make_server(submissions: Path, runs: Path, port: int) -> ThreadingHTTPServer:
    """A server bound to the loopback address, not yet serving; port 0 takes any free one.

    Raises
    ------
    UserError : the port is taken, not allowed or out of range.
    """
    try:
        return ThreadingHTTPServer((HOST, port), partial(Handler, submissions=submissions, runs=runs))
    except (OSError, OverflowError) as error:
        raise UserError(f"port {port} cannot be used ({error}); choose another with --port") from error


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
