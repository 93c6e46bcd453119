"""The leaderboard's server, over real sockets: what it shows, what it does not, and what clients may send."""

import http.client
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.track.serve import make_server
from tests.track.project import Project, make_project
from tests.track.test_leaderboard import GOOD, HEADER, data_of, ledger_of


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


@contextmanager
def serving(submissions: Path, runs: Path, seconds: float = 10):
    with make_server(submissions, runs, 0, seconds) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def get(server, path: str, host: str | None = None, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(*server.server_address, timeout=10)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.getheader("Content-Type"), answer.read().decode()


def test_the_server_shows_the_page_and_its_reports(project):
    with serving(project.submissions, project.runs) as server:
        assert server.server_address[0] == "127.0.0.1"
        status, kind, page = get(server, "/")
        assert (status, kind) == (200, "text/html; charset=utf-8")
        link = next(run["report"] for run in data_of(page)["boards"][0]["runs"] if run["report"])
        status, kind, report = get(server, f"/{link}")
        assert (status, kind) == (200, "text/html; charset=utf-8") and "<h1>birds" not in report
        assert link.split("/")[2] in report
        assert get(server, "/", method="HEAD") == (200, "text/html; charset=utf-8", "")
        assert get(server, "/", host=f"localhost:{server.server_port}")[0] == 200


def test_the_server_shows_nothing_else(project, tmp_path):
    folder = tmp_path / "runs" / "birds" / "a"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("report")
    (folder / "best.pt").write_text("weights")
    (tmp_path / "secret.html").write_text("secret")
    (folder / "out.html").symlink_to(tmp_path / "secret.html")
    with serving(project.submissions, tmp_path / "runs") as server:
        assert get(server, "/runs/birds/a/report.html")[2] == "report"
        for path in (
            "/runs/birds/a/best.pt",
            "/runs/birds/a/out.html",
            "/runs/birds/a/",
            "/runs/../secret.html",
            "/runs/%2e%2e/secret.html",
            f"/runs/{tmp_path}/secret.html",
            "/runs/%00.html",
            "/submissions/birds/ledger.csv",
            "/secret.html",
        ):
            assert get(server, path)[0] == 404, path
        for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1.evil.example"):
            assert get(server, "/", host=host)[0] == 403


def test_the_server_reads_the_ledgers_anew_and_says_what_is_wrong_with_one(tmp_path):
    submissions = ledger_of(tmp_path, HEADER)
    with serving(submissions, tmp_path / "runs") as server:
        assert data_of(get(server, "/")[2])["boards"] == []
        (submissions / "birds" / "ledger.csv").write_text(HEADER + GOOD)
        assert len(data_of(get(server, "/")[2])["boards"][0]["runs"]) == 1
        (submissions / "birds" / "ledger.csv").write_text(HEADER + GOOD.replace("0.8478", "x"))
        status, kind, text = get(server, "/")
        assert status == 500 and kind.startswith("text/plain") and "line 2" in text


def test_a_port_in_use_is_a_user_error(project):
    with make_server(project.submissions, project.runs, 0) as first:
        with pytest.raises(UserError, match=f"port {first.server_port} cannot be used"):
            make_server(project.submissions, project.runs, first.server_port)
        with pytest.raises(UserError, match="port 99999 cannot be used"):
            make_server(project.submissions, project.runs, 99999)


def raw_answer(server, request: bytes, finish: bool = True) -> bytes:
    """All that the server answers to these bytes."""
    with socket.create_connection(server.server_address, timeout=10) as client:
        client.sendall(request)
        if finish:
            client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


LOCAL = b"Host: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: [\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: \xff\x00\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\n\r\n", 403),
        (b"GET //[ HTTP/1.1\r\n" + LOCAL, 404),
        (b"GET http://[ HTTP/1.1\r\n" + LOCAL, 400),
        (b"GET /runs/" + b"a" * 300 + b".html HTTP/1.1\r\n" + LOCAL, 404),
        (b"GET /runs/" + b"a/" * 5000 + b"b.html HTTP/1.1\r\n" + LOCAL, 404),
        (b"GET /runs/" + b"a" * 70_000 + b" HTTP/1.1\r\n" + LOCAL, 414),
        (b"GET /runs/a%00.html HTTP/1.1\r\n" + LOCAL, 404),
        (b"GET /runs/a\x00.html HTTP/1.1\r\n" + LOCAL, 404),
        (b"GET /runs/%ff%fe.html HTTP/1.1\r\n" + LOCAL, 404),
        (b"GET /runs/%zz.html HTTP/1.1\r\n" + LOCAL, 404),
        (b"GET /runs/birds/loop/report.html HTTP/1.1\r\n" + LOCAL, 404),
        (b"GET * HTTP/1.1\r\n" + LOCAL, 404),
        (b"GET / HTTP/9.9\r\n" + LOCAL, 505),
        (b"GET / HTTP/one\r\n" + LOCAL, 400),
        (b"GET /\r\n", 403),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 tls\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + LOCAL, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n" + LOCAL, 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n" + LOCAL + b"hello", 405),
        (b"DELETE /runs/birds HTTP/1.1\r\n" + LOCAL, 405),
        (b"OPTIONS * HTTP/1.1\r\n" + LOCAL, 405),
        (b"BREW / HTTP/1.1\r\n" + LOCAL, 501),
    ],
    ids=lambda value: value[:40] if isinstance(value, bytes) else value,
)
def test_whatever_arrives_gets_one_clean_answer(project, capfd, request_, status):
    loop = project.runs / "birds" / "loop"
    if not loop.is_symlink():
        loop.symlink_to(loop)
    with serving(project.submissions, project.runs) as server:
        answer = raw_answer(server, request_)
        assert get(server, "/")[0] == 200
    assert answer.startswith(b"HTTP/1.0 %d " % status) and answer.count(b"HTTP/1.0 ") == 1
    assert "Traceback" not in answer.decode("latin-1") and capfd.readouterr() == ("", "")


def test_head_and_other_methods_have_headers_alone_or_say_what_is_allowed(project):
    with serving(project.submissions, project.runs) as server:
        assert raw_answer(server, b"HEAD /nowhere HTTP/1.1\r\n" + LOCAL).endswith(b"\r\n\r\n")
        assert b"\r\nAllow: GET, HEAD\r\n" in raw_answer(server, b"PUT / HTTP/1.1\r\n" + LOCAL)


def test_clients_that_do_not_finish_their_request_are_cut_off_and_others_served(project, capfd):
    """Half-open connections, and one byte after the other: neither holds the server, nor its thread."""
    with serving(project.submissions, project.runs, seconds=0.4) as server:
        idle = [socket.create_connection(server.server_address, timeout=10) for _ in range(20)]
        began = time.monotonic()
        slow = socket.create_connection(server.server_address, timeout=10)
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert get(server, "/")[0] == 200
        answer = b""
        while not answer and time.monotonic() - began < 10:
            slow.sendall(b"X")
            slow.settimeout(0.05)
            try:
                answer = slow.recv(65536)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.0 408 ") and time.monotonic() - began < 5
        assert [client.recv(12) for client in idle] == [b"HTTP/1.0 408"] * len(idle)
        for client in (*idle, slow):
            client.close()
        assert get(server, "/")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_client_that_does_not_take_its_answer_gets_no_second_one(tmp_path, capfd):
    folder = tmp_path / "runs" / "birds" / "a"
    folder.mkdir(parents=True)
    (folder / "report.html").write_bytes(bytes(20_000_000))  # more than the sockets' buffers hold
    with serving(tmp_path, tmp_path / "runs", seconds=0.3) as server:
        client = socket.create_connection(server.server_address, timeout=10)
        client.sendall(b"GET /runs/birds/a/report.html HTTP/1.1\r\n" + LOCAL)
        time.sleep(0.6)
        answer = b"".join(iter(lambda: client.recv(1_000_000), b""))
        client.close()
    assert answer.startswith(b"HTTP/1.0 200 ") and len(answer) < 20_000_000 and b" 408 " not in answer
    assert capfd.readouterr() == ("", "")


def test_a_bug_is_an_answer_too(project, monkeypatch):
    monkeypatch.setattr("pipeline.track.serve.render", lambda boards, now: {}["surprise"])
    with serving(project.submissions, project.runs) as server:
        assert get(server, "/") == (500, "text/plain; charset=utf-8", "error: KeyError: 'surprise'\n")


def test_a_client_that_goes_away_is_no_error(project, capfd):
    with serving(project.submissions, project.runs) as server:
        for _ in range(5):
            client = socket.create_connection(server.server_address, timeout=10)
            # Closed with a reset, before the answer is read.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.sendall(b"GET / HTTP/1.1\r\n" + LOCAL)
            client.close()
        assert get(server, "/")[0] == 200
    assert capfd.readouterr() == ("", "")
