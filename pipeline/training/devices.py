"""One fold on several devices: a process for each, watched by the one that started them."""

import contextlib
import math
import multiprocessing
import multiprocessing.connection
import os
import pickle
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch

from pipeline.base.children import begin_child
from pipeline.base.errors import UserError
from pipeline.base.progress import warnings_kept
from pipeline.training.job import FoldJob, FoldLog, NoListener
from pipeline.training.loop import train_fold
from pipeline.training.ranks import together

PATIENCE_S = 5.0
"""After one process has failed, for the reason to come: the others fail as soon as one is gone."""


def train_on_devices(job: FoldJob, log: FoldLog) -> None:
    """Train one fold as `train_fold` does, on as many devices as its config says.

    Raises
    ------
    UserError : what a process raised; one has ended; there are not so many devices.
    """
    devices = devices_of(job.device, job.config.train.devices)
    job = replace(job, listener=NoListener())  # it listens here, and may hold what cannot be sent
    threads = max(1, torch.get_num_threads() // len(devices))
    context = multiprocessing.get_context("spawn")  # a forked process could not use CUDA
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP warns where all weights are used
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        children, ends = [], []
        for rank in range(len(devices)):
            ours, theirs = context.Pipe(duplex=False)
            arguments = (job, rank, devices, threads, Path(folder) / "meeting", theirs)
            child = context.Process(target=_train, args=arguments)
            stack.callback(_end, child)
            child.start()
            theirs.close()  # so that it ends with the process
            children.append(child)
            ends.append(ours)
        _follow(job.fold, children, ends, log)


def devices_of(first: str, count: int) -> list[str]:
    """So many devices, from this one on, as torch names them; a CPU is shared.

    Raises
    ------
    UserError : there are fewer.
    """
    device = torch.device(first)
    if device.type == "cpu":
        return [first] * count
    start, there = device.index or 0, torch.cuda.device_count() if device.type == "cuda" else 1
    if start + count > there:
        raise UserError(
            f"--train.devices is {count}, and from {device.type}:{start} on there is "
            f"{max(0, there - start)}: lower it, or leave --device out"
        )
    return [f"{device.type}:{number}" for number in range(start, start + count)]


def _follow(fold: int, children: Sequence[SpawnProcess], ends: Sequence[Connection], log: FoldLog) -> None:
    """Pass on what the processes tell, until all have ended. Raises what one of them raised."""
    open_ends, failures, deadline = dict(enumerate(ends)), dict[int, Exception](), math.inf
    while open_ends and time.monotonic() < deadline:
        for rank in [rank for rank, end in open_ends.items() if end.poll()]:
            kind, value = _told(open_ends[rank])
            if kind == "begun":
                log.begun(value)
            elif kind == "epoch":
                log.epoch(value)
            elif kind == "failed":
                failures[rank] = value
            else:
                del open_ends[rank]
                children[rank].join(PATIENCE_S)
            if failures or children[rank].exitcode:
                deadline = min(deadline, time.monotonic() + PATIENCE_S)
        multiprocessing.connection.wait(open_ends.values(), timeout=0.5)
    wrong = [error for error in failures.values() if isinstance(error, UserError)]
    if not wrong and any(child.exitcode and rank not in failures for rank, child in enumerate(children)):
        wrong = [
            UserError(
                f"fold {fold}: one of the {len(children)} processes that train it has ended, as happens "
                "where there is too little memory: the same command goes on from the last epoch"
            )
        ]
    for error in [*wrong, *failures.values()]:
        raise error


def _told(end: Connection) -> tuple[str, Any]:
    try:
        return end.recv()
    except (EOFError, OSError):
        return "ended", None


def _end(child: SpawnProcess) -> None:
    """All that it keeps is written atomically."""
    if child.pid is None:
        return
    child.terminate()
    child.join(PATIENCE_S)
    if child.is_alive():
        child.kill()
        child.join()


def _train(
    job: FoldJob, rank: int, devices: Sequence[str], threads: int, meeting: Path, end: Connection
) -> None:
    """One of the processes."""
    begin_child()
    torch.set_num_threads(threads)
    log, device = FoldLog(), torch.device(devices[rank])
    try:
        with contextlib.ExitStack() as stack:
            if rank == 0:
                log = FoldLog(
                    begun=lambda groups: end.send(("begun", groups)),
                    epoch=lambda epoch: end.send(("epoch", epoch)),
                )
                stack.enter_context(warnings_kept(job.folder.parent))
            else:  # the first one speaks for all
                silence = stack.enter_context(Path(os.devnull).open("w"))
                stack.enter_context(contextlib.redirect_stderr(silence))
            ranks = stack.enter_context(together(rank, len(devices), device, meeting))
            train_fold(replace(job, device=devices[rank]), log, ranks)
    except Exception as error:
        end.send(("failed", _sendable(error)))
        end.close()
        sys.exit(1)


def _sendable(error: Exception) -> Exception:
    """The error itself where it can be sent, with where it was raised; else one of the same words."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(text)
    if not isinstance(error, UserError | OSError):
        return RuntimeError(text)
    return error
