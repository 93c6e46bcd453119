"""Downloads by the real `kaggle` client, against a server on this machine that speaks Kaggle's protocol."""

import errno
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.kaggle import download as kaggle_source
from pipeline.kaggle.download import download_competition, has_credentials
from tests.loopback import Fault, KaggleLoopback, closed_port_url, forget_kaggle_credentials


def competition_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("trainLabels.csv", "id,label\n1,cat\n")
        archive.writestr("train/1.png", os.urandom(2_000_000))
    return packed.getvalue()


ZIP = competition_zip()


@pytest.fixture
def kaggle(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KaggleLoopback]:
    """Kaggle, with the competition cifar-10 and a user who has a token."""
    forget_kaggle_credentials(monkeypatch, tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("KAGGLE_API_TOKEN", "good-token")
    with KaggleLoopback({"cifar-10": ZIP}) as server:
        server.stand_in_for_kaggle(monkeypatch)
        yield server


def failure(folder: Path, slug: str = "cifar-10") -> str:
    """The one sentence a failing download gives; nothing that looks complete is left."""
    with pytest.raises(UserError) as caught:
        download_competition(slug, folder)
    assert "\n" not in str(caught.value)
    assert not (folder / f"{slug}.zip").exists()
    return str(caught.value)


def test_a_download_is_whole_and_happens_once(
    kaggle: KaggleLoopback, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    download_competition("cifar-10", tmp_path / "kaggle")
    assert (tmp_path / "kaggle" / "cifar-10.zip").read_bytes() == ZIP
    assert [path.name for path in (tmp_path / "kaggle").iterdir()] == ["cifar-10.zip"]
    asked = len(kaggle.requests)
    download_competition("cifar-10", tmp_path / "kaggle")
    assert len(kaggle.requests) == asked
    assert capsys.readouterr().out == ""  # stdout is for results


def test_a_user_name_and_key_do_as_well(
    kaggle: KaggleLoopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", "tester")
    monkeypatch.setenv("KAGGLE_KEY", "good-key")
    download_competition("cifar-10", tmp_path)
    assert (tmp_path / "cifar-10.zip").read_bytes() == ZIP


def test_a_dropped_connection_is_continued(kaggle: KaggleLoopback, tmp_path: Path) -> None:
    kaggle.faults = [Fault(), Fault(cut=1_280_000)]  # the first answers the client's own, unread, request
    download_competition("cifar-10", tmp_path)
    assert (tmp_path / "cifar-10.zip").read_bytes() == ZIP
    assert kaggle.requests[-1].headers["Range"] == "bytes=1280000-"


def test_an_interrupted_run_is_continued(
    kaggle: KaggleLoopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle_source, "RETRIES", 0)
    kaggle.faults = [Fault(), Fault(cut=1_280_000)]
    assert "goes on where it stopped" in failure(tmp_path)
    download_competition("cifar-10", tmp_path)
    assert (tmp_path / "cifar-10.zip").read_bytes() == ZIP
    assert kaggle.requests[-1].headers["Range"] == "bytes=1280000-"


def test_a_silent_server_is_a_failed_connection(
    kaggle: KaggleLoopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle_source, "RETRIES", 0)
    monkeypatch.setattr(kaggle_source, "TIMEOUT_S", 0.2)
    kaggle.faults = [Fault(), Fault(stall=1_280_000)]
    assert "check the network" in failure(tmp_path)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, ("credentials", "https://www.kaggle.com/settings")),
        (403, ("rules", "https://www.kaggle.com/competitions/cifar-10/rules")),
        (404, ("no competition cifar-10",)),
        (429, ("wait",)),
        (500, ("out of order",)),
        (503, ("out of order",)),
        (418, ("418", "https://www.kaggle.com/competitions/cifar-10/data")),
    ],
)
def test_each_refusal_says_what_to_do(
    kaggle: KaggleLoopback, tmp_path: Path, status: int, words: tuple[str, ...]
) -> None:
    kaggle.refusals["DownloadDataFiles"] = status
    message = failure(tmp_path)
    assert all(word in message for word in words), message


def test_an_unknown_competition(kaggle: KaggleLoopback, tmp_path: Path) -> None:
    assert "no competition no-such-thing" in failure(tmp_path, "no-such-thing")


def test_no_credentials(kaggle: KaggleLoopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    message = failure(tmp_path)
    assert "KAGGLE_API_TOKEN" in message
    assert "DATA=sample" in message
    assert kaggle.requests == []


@pytest.mark.parametrize("name", ["KAGGLE_API_TOKEN", "KAGGLE_KEY"])
def test_expired_credentials(
    kaggle: KaggleLoopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", "tester")
    monkeypatch.setenv(name, "expired")
    if name == "KAGGLE_API_TOKEN":
        monkeypatch.delenv("KAGGLE_USERNAME")
    assert "does not accept the credentials" in failure(tmp_path)


def test_a_dead_network(kaggle: KaggleLoopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kaggle.url = closed_port_url()
    kaggle.stand_in_for_kaggle(monkeypatch)
    assert "check the network" in failure(tmp_path)


def test_more_than_the_disk_holds(kaggle: KaggleLoopback, tmp_path: Path) -> None:
    kaggle.claimed_length = 10**18
    assert "free some space" in failure(tmp_path)


def test_a_full_disk(kaggle: KaggleLoopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kaggle_source, "RETRIES", 0)
    (tmp_path / ".part").mkdir()
    (tmp_path / ".part" / "cifar-10.zip").symlink_to("/dev/full")
    assert "free some space" in failure(tmp_path)


def test_a_folder_that_cannot_be_written(kaggle: KaggleLoopback, tmp_path: Path) -> None:
    (tmp_path / ".part").touch()
    assert os.strerror(errno.EEXIST) in failure(tmp_path)


def test_something_else_than_a_zip(kaggle: KaggleLoopback, tmp_path: Path) -> None:
    kaggle.files["/storage/cifar-10.zip"] = b"<html>Please log in</html>"
    assert "not a zip archive" in failure(tmp_path)
    kaggle.files["/storage/cifar-10.zip"] = ZIP
    download_competition("cifar-10", tmp_path)


# --- where credentials are looked for

KEY = json.dumps({"username": "tester", "key": "good-key"})
PLACES = {
    "token file": (".kaggle/access_token", "good-token", {}),
    "token file from Windows": (".kaggle/access_token.txt", "good-token", {}),
    "key file": (".kaggle/kaggle.json", KEY, {}),
    "key file in .config": (".config/kaggle/kaggle.json", KEY, {}),
    "key file in XDG_CONFIG_HOME": ("xdg/kaggle/kaggle.json", KEY, {"XDG_CONFIG_HOME": "xdg"}),
    "key file in KAGGLE_CONFIG_DIR": ("mine/kaggle.json", KEY, {"KAGGLE_CONFIG_DIR": "mine"}),
    "log-in": (".kaggle/credentials.json", json.dumps({"refresh_token": "x"}), {}),
}


@pytest.mark.parametrize("place", PLACES)
def test_credentials_are_found(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, content, variables = PLACES[place]
    forget_kaggle_credentials(monkeypatch, tmp_path)
    for variable, folder in variables.items():
        monkeypatch.setenv(variable, str(tmp_path / folder))
    assert not has_credentials()
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(content)
    assert has_credentials()
    (tmp_path / name).write_text("")
    assert not has_credentials()


def test_credentials_in_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_kaggle_credentials(monkeypatch, tmp_path)
    monkeypatch.setenv("KAGGLE_USERNAME", "tester")
    assert not has_credentials()
    monkeypatch.setenv("KAGGLE_KEY", "good-key")
    assert has_credentials()


@pytest.mark.parametrize("place", ["key file", "key file in .config"])
def test_the_client_looks_in_the_same_places(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own: the client chooses its folder when it is imported."""
    name, content, _ = PLACES[place]
    forget_kaggle_credentials(monkeypatch, tmp_path)
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(content)
    code = "import kaggle; print(kaggle.api.config_values['username'])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split()[-1] == "tester"
