"""How many folds are trained at once, and where."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from pipeline.base.errors import UserError
from pipeline.base.progress import say
from pipeline.experiment.cluster import Place, ray_crew
from pipeline.experiment.crew import processes, threads
from pipeline.experiment.experiment import Experiment
from pipeline.experiment.work import Alone, Crew
from pipeline.stages.context import Context
from pipeline.stages.options import WorkerOptions


def check_workers(options: WorkerOptions) -> None:
    """Raise UserError for numbers that are none."""
    for name, value in (("workers", options.workers), ("worker-cores", options.worker_cores)):
        if isinstance(value, int) and value < 1:
            raise UserError(f"--{name} is {value}, and must be at least 1")


def several_at_once(options: WorkerOptions, context: Context) -> bool:
    """Whether folds of several experiments can be trained at once."""
    return options.cluster is not None or len(devices_of(options, context)) > 1


@contextmanager
def crew_of(options: WorkerOptions, context: Context, experiments: Sequence[Experiment]) -> Iterator[Crew]:
    """Who trains the folds of these experiments: this process, or others that it starts."""
    jobs = sum(len(one.fold_numbers) for one in experiments)
    each = max(one.config.train.devices for one in experiments)
    if options.cluster is not None:
        with ray_crew(
            options.cluster, experiments, lambda nodes: _place(options, context, nodes, jobs, each)
        ) as crew:
            yield crew
        return
    devices = devices_of(options, context, each)[:jobs]
    if len(devices) == 1:
        with threads(options.worker_cores):
            yield Alone()
        return
    cores = options.worker_cores or max(1, (os.cpu_count() or 1) // len(devices))
    say(f"{len(devices)} folds at once: on {', '.join(devices)}, {cores} threads each")
    with processes(devices, cores) as crew:
        yield crew


def devices_of(options: WorkerOptions, context: Context, each: int = 1) -> list[str]:
    """The device of each worker, as torch names them; the first one where it has several, `each`."""
    there = [str(context.device)]
    if context.wanted_device == "auto" and context.device.type == "cuda":
        first = range(0, max(1, torch.cuda.device_count() - each + 1), each)
        there = [f"cuda:{number}" for number in first]
    count = options.workers
    if count == "auto":
        on_cpu = (os.cpu_count() or 1) // options.worker_cores if options.worker_cores else 1
        count = max(1, on_cpu) if context.device.type == "cpu" else len(there)
    return [there[number % len(there)] for number in range(count)]


def _place(
    options: WorkerOptions, context: Context, nodes: Sequence[Mapping[str, float]], jobs: int, each: int
) -> Place:
    """What each job, which computes on `each` devices, gets of a cluster's machines, and how many run at
    once."""
    cpus, gpus = ([int(node.get(name, 0)) for node in nodes] for name in ("CPU", "GPU"))
    device = context.device.type
    if device == "cpu" and context.wanted_device == "auto" and sum(gpus):
        raise UserError(
            "the cluster has GPUs, and this machine, where precision and speed are measured, has none: begin "
            "the command on a machine with one, or give --device cpu"
        )
    there = [cpu for cpu, gpu in zip(cpus, gpus, strict=True) if device == "cpu" or gpu >= each]
    if not there:
        raise UserError(
            f"no machine of the cluster has {each} GPU(s): lower --train.devices, or give --device cpu"
        )
    cores = options.worker_cores
    if cores is None and device == "cuda":
        cores = max(1, min(each * cpu // gpu for cpu, gpu in zip(cpus, gpus, strict=True) if gpu))
    elif cores is None:
        at_once = -(-options.workers // len(there)) if isinstance(options.workers, int) else 1
        cores = max(1, min(there) // at_once)
    if cores > max(there):
        raise UserError(
            f"--worker-cores is {cores}, and no machine of the cluster has more than {max(there)}"
        )
    most = sum(gpu // each for gpu in gpus) if device == "cuda" else sum(cpu // cores for cpu in there)
    size = max(1, min(jobs, most if options.workers == "auto" else options.workers))
    say(f"{size} folds at once on {len(nodes)} machine(s) of the cluster: on {device}, {cores} threads each")
    return Place(device, each if device == "cuda" else 0, cores, size)
