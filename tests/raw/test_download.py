"""Downloads against a real server on this machine: complete and verified, or one sentence."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.raw import download as module
from pipeline.raw.download import download
from tests.loopback import Fault, FileServer, closed_port_url

CONTENT = random.Random(0).randbytes(3_000_000)
SHA1 = hashlib.sha1(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "BACKOFF_S", 0.001)
    with FileServer({"/data.zip": CONTENT}) as running:
        yield running


def ranges(server: FileServer) -> list[str | None]:
    """What each request asked for; None is all of it."""
    return [request.headers.get("Range") for request in server.requests]


def test_a_download_is_whole_and_happens_once(server: FileServer, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "data.zip"
    download(f"{server.url}/data.zip", target, SHA1)
    download(f"{server.url}/data.zip", target, SHA1)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert ranges(server) == [None]


def test_a_damaged_target_is_replaced(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(CONTENT[:-1])
    download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


def test_a_dropped_connection_is_continued_where_it_broke(server: FileServer, tmp_path: Path) -> None:
    server.faults = [Fault(cut=HALF), Fault(cut=module.CHUNK), Fault(cut=0), Fault(status=503)]
    download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    whole = HALF // module.CHUNK * module.CHUNK
    assert ranges(server) == [None, f"bytes={whole}-", *[f"bytes={whole + module.CHUNK}-"] * 3]


def test_an_earlier_run_is_continued(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(CONTENT[:HALF])
    download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={HALF}-"]


def test_a_run_killed_before_the_rename_downloads_nothing_more(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(CONTENT)
    download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_part_that_is_too_long_starts_over(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(CONTENT + b"more")
    download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_starts_over(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    server.faults = [Fault(cut=HALF)]
    download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


def test_a_silent_server_is_asked_again(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", (1, 0.2))
    server.faults = [Fault(stall=HALF)]
    download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


def test_it_gives_up_when_there_is_no_progress(server: FileServer, tmp_path: Path) -> None:
    """Also with a server that ignores ranges and hangs up at the same place every time."""
    server.ranges = False
    server.faults = [Fault(cut=HALF)] * 50
    with pytest.raises(UserError, match="check the network and run again"):
        download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert len(server.requests) <= module.ATTEMPTS + 1
    assert not (tmp_path / "data.zip").exists()


def test_another_content_is_refused_and_removed(server: FileServer, tmp_path: Path) -> None:
    server.files["/data.zip"] = b"<html>Please log in</html>"
    with pytest.raises(UserError, match=f"where {SHA1} is expected"):
        download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_one_sentence(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"404 Not Found for .*gone.zip.*DATA="):
        download(f"{server.url}/gone.zip", tmp_path / "data.zip", SHA1)
    assert len(server.requests) == 1


def test_server_errors_are_one_sentence_in_the_end(server: FileServer, tmp_path: Path) -> None:
    server.faults = [Fault(status=503)] * 50
    with pytest.raises(UserError, match="503 Service Unavailable"):
        download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert len(server.requests) == module.ATTEMPTS


@pytest.mark.parametrize("url", [closed_port_url(), "http://no-such-host.invalid"], ids=["port", "host"])
def test_a_dead_network_is_one_sentence(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(module, "BACKOFF_S", 0.001)
    with pytest.raises(UserError, match="check the network") as caught:
        download(f"{url}/data.zip", tmp_path / "data.zip", SHA1)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_full_disk_is_one_sentence(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"No space left on device.*free some space"):
        download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert not (tmp_path / "data.zip").exists()


def test_more_than_the_disk_holds_is_refused_at_once(server: FileServer, tmp_path: Path) -> None:
    server.claimed_length = 10**18
    with pytest.raises(UserError, match="needs 1,000,000,000"):
        download(f"{server.url}/data.zip", tmp_path / "data.zip", SHA1)
    assert list(tmp_path.iterdir()) == []
