"""Folds on the machines of a Ray cluster. Needs the extra ``cluster``.

Ray places the jobs, and begins one again elsewhere when its process or machine is lost: all that a fold keeps
lies in the run's folder, which every machine sees, so it goes on from its last epoch.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import UserError
from pipeline.base.progress import plainly
from pipeline.experiment.crew import threads
from pipeline.experiment.experiment import Experiment
from pipeline.experiment.nodes import check_nodes, first_line
from pipeline.experiment.work import Crew, FoldWork, Measured

if TYPE_CHECKING:
    from ray import ObjectRef

RETRIES = 3
"""How often a job is begun again whose process or machine was lost."""
REACH_S = 10
"""Seconds in which a cluster answers."""
GONE_S = 10
"""Seconds without an answer after which a cluster is gone."""
GOES_ON = "the same command goes on from the last epoch"


@dataclass(frozen=True)
class Place:
    """What each job gets of a cluster, and how many run at once.

    Attributes
    ----------
    device : cpu or cuda.
    gpus : that Ray gives each job.
    cores : that each computes with.
    """

    device: str
    gpus: int
    cores: int
    size: int


class RayCrew:
    """See Crew: jobs of a Ray cluster."""

    def __init__(self, place: Place) -> None:
        import ray

        self.size, self.place = place.size, place
        self.task = ray.remote(
            num_cpus=place.cores,
            num_gpus=place.gpus,
            max_retries=RETRIES,
            retry_exceptions=False,
        )(_do)
        self.running: dict[Future[Measured], ObjectRef] = {}

    def submit(self, work: FoldWork) -> "Future[Measured]":
        """See Crew."""
        reference = self.task.options(name=f"fold {work.fold}").remote(
            work.on(self.place.device), self.place.cores, str(Path.cwd())
        )
        future: Future[Measured] = Future()
        self.running[future] = reference
        reference.future().add_done_callback(lambda done: _copy(done, future))
        return future

    def result(self, future: "Future[Measured]") -> Measured:
        """See Crew."""
        from ray.exceptions import RayError, RayTaskError

        self.running.pop(future, None)
        try:
            return future.result()
        except RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise UserError(str(error.cause)) from None
            raise
        except RayError as error:
            raise UserError(
                f"a job of the cluster was lost {RETRIES + 1} times, as happens where its machine has too "
                f"little memory or goes away ({first_line(error)}): {GOES_ON}"
            ) from error

    def give_up(self) -> None:
        """The cluster is gone: so is what runs on it."""
        for future in list(self.running):
            if not future.done():
                future.set_exception(
                    UserError(f"the Ray cluster no longer answers: {GOES_ON}, also on another one")
                )


@contextmanager
def ray_crew(
    address: str,
    experiments: Sequence[Experiment],
    place: Callable[[Sequence[dict[str, float]]], Place],
) -> Iterator[Crew]:
    """A crew of the cluster at this address, which it leaves with the block.

    Parameters
    ----------
    address : ``local``: one of this machine alone, which begins and ends with the block; ``auto``: the one
        that this machine belongs to, or RAY_ADDRESS names; else as Ray's.
    place : from the resources (CPU, GPU) of each machine, what a job gets.

    Raises
    ------
    UserError : no Ray, no answer, or a machine that has other versions, other code or not the same folders.
    """
    with _connected(address) as ray:
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        if not nodes:
            raise UserError(
                f"the Ray cluster at {address} has no machine with a CPU: ray status lists what it has"
            )
        check_nodes(ray, nodes, experiments[0])
        crew = RayCrew(place([node["Resources"] for node in nodes]))
        client = address.removeprefix("ray://") if address.startswith("ray://") else None
        with _watched(client or ray.get_runtime_context().gcs_address, crew.give_up):
            yield crew


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to others
        "RAY_DEDUP_LOGS": "0",  # two folds say the same of their epochs
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_COLOR_PREFIX": "1" if sys.stderr.isatty() else "0",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    try:
        with _own_signals():
            import ray
    except ImportError as error:
        raise UserError("--cluster needs Ray, which is not installed: pip install '.[cluster]'") from error
    _require_answer(address)
    try:
        with _own_signals():
            ray.init(address=address, include_dashboard=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise UserError(
            f"no Ray cluster can be used at --cluster {address} ({first_line(error)}): ray start --head "
            "begins one, ray status says what is there, and --cluster local takes this machine alone"
        ) from error
    try:
        yield ray
    finally:
        with _own_signals():
            ray.shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself, and the command would end without its sentence."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _require_answer(address: str) -> None:
    """Raise UserError where nobody listens at a host and port; Ray would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        if address not in ("local", "auto"):
            raise UserError(
                f"--cluster is {address!r}, and must be local, auto, host:port or ray://host:port"
            )
        return
    if not _answers(host, port, REACH_S):
        raise UserError(
            f"no Ray cluster answers at --cluster {address}: is ray start --head --port {port} running "
            "there, and is the port open to this machine?"
        )


def _answers(host: str, port: str, seconds: float) -> bool:
    try:
        with socket.create_connection((host, int(port)), timeout=seconds):
            return True
    except (OSError, ValueError, OverflowError):
        return False


@contextmanager
def _watched(address: str, gone: Callable[[], None]) -> Iterator[None]:
    """Call `gone` where the cluster at host:port stops answering. Ray would end this process without a
    word."""
    host, _, port = address.rpartition(":")
    ended = threading.Event()

    def watch() -> None:
        failures = 0
        while not ended.wait(1):
            failures = 0 if _answers(host, port, 2) else failures + 1
            if failures >= GONE_S // 2:
                return gone()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def _do(work: FoldWork, cores: int, folder: str) -> Measured:
    os.chdir(folder)  # paths are as they were typed
    with threads(cores), plainly():
        return work()


def _copy(done: "Future[Measured]", future: "Future[Measured]") -> None:
    if future.done():
        return
    error = done.exception()
    if error is None:
        future.set_result(done.result())
    else:
        future.set_exception(error)
