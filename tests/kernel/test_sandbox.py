"""What a notebook in the sandbox sees and may do, and that nothing of it is left."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from pipeline.base.errors import UserError
from pipeline.kernel.environment import make_environment
from pipeline.kernel.sandbox import Sandbox, folder_size, obstacle
from pipeline.kernel.wheels import Image

pytestmark = pytest.mark.skipif(obstacle() is not None, reason=f"needs namespaces: {obstacle()}")

LOOK = """
import errno, json, os, socket
from pathlib import Path
seen = {"cwd": os.getcwd(), "run": os.environ["KAGGLE_KERNEL_RUN_TYPE"]}
seen["text"] = Path("/kaggle/input/datasets/me/one/file").read_text()
for path in ("/kaggle/input/datasets/me/one/new", "/kaggle/input/new"):
    try:
        Path(path).write_text("")
        seen[path] = "written"
    except OSError as error:
        seen[path] = errno.errorcode[error.errno]
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
    seen["network"] = "connected"
except OSError as error:
    seen["network"] = errno.errorcode[error.errno]
try:
    import tyro
    seen["tyro"] = "imported"
except ImportError:
    seen["tyro"] = "absent"
Path("/kaggle/tmp/scratch").write_text("x")
seen["itself"] = Path(f"/proc/{os.getpid()}").samefile("/proc/self")
Path("seen.json").write_text(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment") / "image"
    make_environment(folder, Image("3.12", {"ipykernel": None}, frozenset()))
    return folder


@pytest.fixture
def run(environment, tmp_path):
    """Function that runs cells in a sandbox with the folder ``one`` mounted as the dataset me/one."""
    for name in ("one", "working", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "file").write_text("content")

    def run(*cells: str, limit: float = 1e9) -> None:
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
        nbformat.write(book, tmp_path / "book.ipynb")
        inputs = {"datasets/me/one": tmp_path / "one"}
        sandbox = Sandbox(inputs, tmp_path / "working", tmp_path / "tmp", environment, limit)
        sandbox.run(tmp_path / "book.ipynb", tmp_path / "log.ipynb")
        sandbox.check_size()

    return run


def test_a_notebook_sees_kaggles_folders_and_no_network(run, tmp_path):
    run(LOOK)
    seen = json.loads((tmp_path / "working" / "seen.json").read_text())
    assert seen == {
        "cwd": "/kaggle/working",
        "run": "Batch",
        "text": "content",
        "/kaggle/input/datasets/me/one/new": "EROFS",
        "/kaggle/input/new": "EROFS",
        "network": "ENETUNREACH",
        "tyro": "absent",
        "itself": True,
    }
    assert (tmp_path / "tmp" / "scratch").read_text() == "x"
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["file"]


def test_a_cell_that_fails_is_reported_and_logged(run, tmp_path, capfd):
    with pytest.raises(UserError, match=r"log\.ipynb"):
        run("1 / 0")
    assert "ZeroDivisionError" in capfd.readouterr().err
    outputs = nbformat.read(tmp_path / "log.ipynb", as_version=4).cells[0].outputs
    assert any(output.get("ename") == "ZeroDivisionError" for output in outputs)


def test_too_large_a_working_folder_is_refused(run, tmp_path):
    with pytest.raises(UserError, match="/kaggle/working holds"):
        run("open('big', 'wb').write(bytes(200_000))", limit=100_000)
    assert folder_size(tmp_path / "working") >= 200_000


# --- the end of a rehearsal that was stopped

STAYS = """
import pathlib, subprocess, sys, time
beat = "import pathlib, time\\nwhile True: pathlib.Path('beat').write_text('x'); time.sleep(0.02)"
subprocess.Popen([sys.executable, "-c", beat], start_new_session=True)  # which no signal to a group reaches
while not pathlib.Path("beat").exists():
    time.sleep(0.01)
"""


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_beating(folder: Path) -> bool:
    beat = folder / "working" / "beat"
    last = beat.stat().st_mtime_ns
    time.sleep(0.3)
    return beat.stat().st_mtime_ns != last


def assert_ended(folder: Path) -> None:
    """No process of the notebook is left, and its log has what was printed."""
    outputs = nbformat.read(folder / "log.ipynb", as_version=4).cells[0].outputs
    assert "was here" in str(outputs)
    assert not is_beating(folder)


def test_too_large_a_working_folder_ends_every_process_and_leaves_the_log(run, tmp_path):
    too_much = "open('big', 'wb').write(bytes(200_000)); time.sleep(600)"
    with pytest.raises(UserError, match="/kaggle/working holds"):
        run("print('was here')", STAYS + too_much, limit=100_000)
    assert_ended(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_rehearsal_that_is_stopped_ends_every_process_and_leaves_the_log(environment, tmp_path, number):
    for name in ("working", "tmp"):
        (tmp_path / name).mkdir()
    cells = map(nbformat.v4.new_code_cell, ["print('was here')", STAYS + "time.sleep(600)"])
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), tmp_path / "book.ipynb")
    script = f"""
import signal, sys
from pathlib import Path
from pipeline.kernel.sandbox import Sandbox
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
sandbox = Sandbox({{}}, Path("working"), Path("tmp"), Path({str(environment)!r}))
sandbox.run(Path("book.ipynb"), Path("log.ipynb"))
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    wait_for((tmp_path / "working" / "beat").exists)
    process.send_signal(number)
    process.wait(60)
    if number == signal.SIGKILL:  # nobody is left who waits for the end
        wait_for(lambda: not is_beating(tmp_path))
    assert_ended(tmp_path)
