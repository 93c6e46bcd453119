"""Whether every machine of a Ray cluster has the same code, the same packages and the same folders."""

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.errors import UserError
from pipeline.competition.identity import prediction_code, training_code
from pipeline.experiment.experiment import Experiment
from pipeline.runs.provenance import versions

ANSWER_S = 120
"""Seconds in which a machine must have imported podium."""


@dataclass(frozen=True)
class Node:
    """What a machine has.

    Attributes
    ----------
    missing : paths that it does not see.
    versions : of Python and the packages that results depend on.
    code : digests of the code that trains and predicts, by file.
    """

    missing: list[str]
    versions: dict[str, str]
    code: dict[str, str]


def check_nodes(ray: Any, nodes: Sequence[dict[str, Any]], experiment: Experiment) -> None:
    """Raise UserError naming what a machine has otherwise than this one."""
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    folders = [Path.cwd(), experiment.data.folder.resolve(), experiment.run.folder.resolve()]
    with contextlib.ExitStack() as stack:
        marks = [
            Path(stack.enter_context(tempfile.NamedTemporaryFile(dir=experiment.run.folder)).name).resolve()
        ]
        look = _look_at(experiment, [*map(str, folders), *map(str, marks)])
        here, task = look(), ray.remote(look)
        there = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
        asked = [task.options(num_cpus=0, scheduling_strategy=one).remote() for one in there]
        for node, reference in zip(nodes, asked, strict=True):
            host = node["NodeManagerHostname"]
            try:
                seen = ray.get(reference, timeout=ANSWER_S)
            except RayError as error:
                raise UserError(
                    f"{host} of the cluster cannot run podium ({first_line(error)}): install it there, in "
                    "the same folder as here"
                ) from error
            check_node(host, seen, here)


def check_node(host: str, node: Node, here: Node) -> None:
    """Raise UserError naming the first that a machine has otherwise than this one, `here`."""
    if node.missing:
        raise UserError(
            f"{host} of the cluster does not see {node.missing[0]}: run in a folder that all its machines "
            "share, at the same path"
        )
    if name := _first_difference(node.versions, here.versions):
        theirs, ours = (one.versions.get(name, "not at all") for one in (node, here))
        raise UserError(
            f"{host} of the cluster has {name} {theirs}, and this machine {ours}: install the same on all"
        )
    if name := _first_difference(node.code, here.code):
        raise UserError(
            f"{host} of the cluster has another {name} than this machine: bring the same version of podium "
            "and of the competition's folder to all"
        )


def _first_difference(one: dict[str, str], other: dict[str, str]) -> str | None:
    return next((name for name in sorted({**one, **other}) if one.get(name) != other.get(name)), None)


def _look_at(experiment: Experiment, paths: list[str]) -> Callable[[], Node]:
    """A function that says what a machine has; sent as a whole, for podium may be missing there."""
    competition, config = experiment.competition, experiment.config

    def look() -> Node:
        missing = [path for path in paths if not Path(path).exists()]
        code = training_code(competition, config) | prediction_code(competition)
        return Node(missing, versions(), code)

    return look


def first_line(error: BaseException) -> str:
    """The first words of what Ray says, which goes on for pages."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
