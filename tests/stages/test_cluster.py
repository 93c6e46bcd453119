"""Folds on a real Ray cluster: the bytes of one process, whatever is lost, and one sentence for what is
wrong."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.errors import UserError
from pipeline.experiment.nodes import Node, check_node
from tests.stages.test_so_far import ledger, raw, the_file
from tests.stages.test_workers import predictions, submit

__all__ = ["raw", "submit"]

cluster_utils = pytest.importorskip("ray.cluster_utils", reason="needs Ray: pip install '.[cluster]'")

LONG = ("--config", "fast", "--folds.scheme", "stratified", "--folds.count", "2", "--train.epochs", "40")
"""Folds of some seconds each."""


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without a core, and two machines with one each."""
    one = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        one.add_node(num_cpus=1)
    one.wait_for_nodes()
    yield one
    one.shutdown()


@pytest.fixture
def started(raw, tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Function that begins a command in a folder of this test, as a user would."""
    processes = []

    def start(*options: str, folder: str = "here") -> subprocess.Popen[str]:
        (tmp_path / folder).mkdir(exist_ok=True)
        words = ["submit", "--raw", str(raw), "--device", "cpu", "--worker-cores", "1", *options]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "competitions.cifar10", *words],
                cwd=tmp_path / folder,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
        )
        return processes[-1]

    yield start
    for one in processes:
        one.kill()
        one.wait()


def line_with(process: subprocess.Popen[str], text: str) -> str:
    """The next line that a command says with this text."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return line
    raise AssertionError("".join(said))


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """What a command ends with, and what it says until then."""
    assert process.stderr is not None
    said = process.stderr.read()
    return process.wait(), said


def parent_of(process: int) -> int:
    """The process that started another."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow
def test_two_jobs_of_a_cluster_give_the_bytes_of_one_process(submit, capfd):
    submit("--workers", "1", "--worker-cores", "1")
    alone, before = the_file(), predictions()
    shutil.rmtree("runs")
    shutil.rmtree("submissions")
    capfd.readouterr()
    submit("--cluster", "local", "--workers", "2", "--worker-cores", "1")
    assert the_file() == alone and predictions() == before and len(before) == 6
    assert ledger()["folds"] == 3
    said = capfd.readouterr().err
    assert "2 folds at once on 1 machine(s) of the cluster: on cpu, 1 threads each" in said
    assert {line[-6:] for line in said.replace(" pid", "\n").splitlines() if "(fold" in line} == {
        "fold 0", "fold 1", "fold 2"
    }  # fmt: skip


@pytest.mark.slow
def test_a_fold_whose_machine_is_lost_goes_on_on_another(cluster, started, tmp_path, monkeypatch):
    alone = started(*LONG, folder="alone")
    assert end_of(alone)[0] == 0
    lost = started(*LONG, "--cluster", cluster.address)
    line = line_with(lost, "epoch 3/")
    raylet = parent_of(int(line.partition("pid=")[2].partition(")")[0].partition(",")[0]))
    node = next(one for one in cluster.worker_nodes if one.all_processes["raylet"][0].process.pid == raylet)
    cluster.remove_node(node, allow_graceful=False)
    code, said = end_of(lost)
    assert code == 0, said
    assert "resumed after epoch" in said
    found = []
    for folder in ("alone", "here"):
        monkeypatch.chdir(tmp_path / folder)
        found.append((the_file(), predictions()))
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_cluster_that_goes_away_is_one_sentence_and_nothing_is_lost(cluster, started, tmp_path):
    lost = started(*LONG, "--cluster", cluster.address)
    line_with(lost, "epoch 3/")
    cluster.shutdown()
    code, said = end_of(lost)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(errors) == 1, said
    assert "goes on from the last epoch" in errors[0]
    code, said = end_of(started(*LONG))
    assert code == 0 and "resumed after epoch" in said


@pytest.mark.slow
def test_two_runs_share_a_cluster(cluster, started):
    runs = [
        started(*LONG, "--train.epochs", "2", "--cluster", cluster.address, folder=name)
        for name in ("one", "other")
    ]
    assert [end_of(one)[0] for one in runs] == [0, 0]


@pytest.mark.slow
def test_what_is_wrong_in_a_job_is_the_one_sentence(cluster, started):
    wrong = started(*LONG, "--train.lr", "1e30", "--train.warmup", "0", "--cluster", cluster.address)
    code, said = end_of(wrong)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(errors) == 1, said
    assert "lower --train.lr" in errors[0]


@pytest.mark.slow
def test_a_signal_ends_the_command_and_its_jobs(cluster, started):
    stopped = started(*LONG, "--cluster", cluster.address)
    line = line_with(stopped, "epoch 3/")
    job = int(line.partition("pid=")[2].partition(")")[0].partition(",")[0])
    began = time.monotonic()
    stopped.send_signal(signal.SIGTERM)
    code, said = end_of(stopped)
    assert code == 143 and "interrupted by SIGTERM: the same command goes on" in said
    assert time.monotonic() - began < 11
    for _ in range(100):
        if not Path(f"/proc/{job}").exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{job} is still there")


HERE = Node([], {"python": "3.12.1", "torch": "2.9.0"}, {"training/loop.py": "a", "tasks/task.py": "b"})


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (replace(HERE, missing=["/shared/runs"]), "node7 .* does not see /shared/runs: .* at the same path"),
        (replace(HERE, versions={**HERE.versions, "torch": "2.8.0"}), "torch 2.8.0, and this machine 2.9.0"),
        (replace(HERE, versions={"python": "3.12.1"}), "torch not at all, and this machine 2.9.0"),
        (replace(HERE, code={**HERE.code, "training/loop.py": "c"}), "another training/loop.py than this"),
    ],
    ids=["folder", "version", "package", "code"],
)
def test_what_a_machine_has_otherwise_is_named(node, sentence):
    with pytest.raises(UserError, match=sentence):
        check_node("node7", node, HERE)


def test_equal_machines_pass():
    check_node("node7", HERE, HERE)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (
            "127.0.0.1:1",
            "no Ray cluster answers at --cluster 127.0.0.1:1: is ray start --head --port 1 running",
        ),
        ("ray://127.0.0.1:1", "no Ray cluster answers at --cluster ray://127.0.0.1:1"),
        ("nowhere.invalid:6379", "no Ray cluster answers at --cluster nowhere.invalid:6379"),
        ("there", "--cluster is 'there', and must be local, auto, host:port or ray://host:port"),
        ("host:port", "no Ray cluster answers at --cluster host:port"),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_told_at_once(submit, capfd, address, sentence):
    with pytest.raises(SystemExit) as end:
        submit("--cluster", address)
    assert end.value.code == 2 and sentence in capfd.readouterr().err


def test_without_ray_one_sentence_says_what_to_install(submit, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit) as end:
        submit("--cluster", "local")
    assert end.value.code == 2
    assert "--cluster needs Ray, which is not installed: pip install '.[cluster]'" in capfd.readouterr().err
