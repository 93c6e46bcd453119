"""Write a finished run's networks as ONNX files or torch.export programs, and check them."""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from pipeline.base.errors import UserError
from pipeline.base.progress import say
from pipeline.export.members import Member, chosen_run, members_of
from pipeline.export.write import Format, Model, write_model
from pipeline.runs.run import Run
from pipeline.stages.context import Context
from pipeline.stages.options import OutOptions
from pipeline.tasks.export import Graph, Mean
from pipeline.training.checkpoint import Checkpoint

MOST_TRACED = 512
"""Longest side in pixels of the example that a graph of free sizes is traced with."""


@dataclass(frozen=True, kw_only=True)
class Options(OutOptions):
    """Write a finished run's networks as ONNX files or torch.export programs, with their preprocessing, and
    check that they give what the networks give.

    The input is `images`, (N, height, width, channels): uint8, or float32 from 0 to 1 where the competition's
    images are not of 8 bits. --out is the folder; without it, export/ in the run's folder.
    """

    run: str | None = None
    """The finished run; the newest one by default."""
    format: Format = "onnx"
    """onnx: for onnxruntime and others. pt2: a program of torch.export, which needs this package's ops for
    boxes."""
    files: Literal["auto", "mean", "folds"] = "auto"
    """mean: one file with the mean of all folds and members; folds: a file for each. auto: mean, where the
    task's predictions have one (boxes have none)."""
    size: tuple[int, int] | None = None
    """Height and width of the images, where the network takes one size (segmentation); without it, the side
    of training crops."""


def run(context: Context, options: Options) -> str:
    """Write the files.

    Raises
    ------
    UserError : no such run, a mean of what has none, a size where all sizes are taken, a file that would not
        give the network's results.
    """
    chosen = chosen_run(context.runs, options.run)
    members = members_of(chosen)
    checkpoints = [Checkpoint.load(one.path, context.competition.task.config) for one in members]
    graphs = [_graph(context, one) for one in checkpoints]
    if options.files == "mean" and not graphs[0].averages:
        raise UserError("the predictions of several detectors have no mean in one graph: leave --files out")
    together = graphs[0].averages and options.files != "folds" and len(graphs) > 1
    if options.size is not None and (graphs[0].any_size or min(options.size) < 1):
        raise UserError(
            "--size is for networks that take images of one size, and this one takes any: leave it out"
        )
    folder = options.out or chosen.folder / "export"
    for name, graph, checkpoint in _files(together, members, graphs, checkpoints):
        model = _model(name, graph, graphs[0], checkpoint, chosen, options)
        path = folder / f"{name}.{options.format}"
        worst = write_model(model, options.format, path)
        say(f"{path}: {path.stat().st_size / 1e6:.1f} MB, within {worst:.1g} of the network's results")
    return f"models: {folder}"


def _graph(context: Context, checkpoint: Checkpoint) -> Graph:
    task = context.competition.task
    if not checkpoint.preprocess.given.plain:
        raise UserError(
            "other programs are given one image and nothing else, and this network looks at several images "
            "of a row or at a table: predict with it here"
        )
    model = checkpoint.build(task, torch.device("cpu")).to(memory_format=torch.contiguous_format)
    return task.graph(model, checkpoint.preprocess, checkpoint.config).eval()


def _files(
    together: bool, members: list[Member], graphs: list[Graph], checkpoints: list[Checkpoint]
) -> list[tuple[str, torch.nn.Module, Checkpoint]]:
    if together:
        return [("mean", Mean(graphs, [one.weight for one in members]), checkpoints[0])]
    names = [one.name for one in members]
    return list(zip(names, graphs, checkpoints, strict=True))


def _model(
    name: str, graph: torch.nn.Module, kind: Graph, checkpoint: Checkpoint, chosen: Run, options: Options
) -> Model:
    preprocess = checkpoint.preprocess
    height, width = preprocess.shape
    # Not the network's size, nor a square, so that none is taken for another.
    free = (min(height, MOST_TRACED) + 9, min(width, MOST_TRACED) + 21)
    size = options.size or (free if kind.any_size else (height, width))
    sizes = "any height and width" if kind.any_size else f"height {size[0]}, width {size[1]}"
    values = (
        "float32 from 0 (black) to 1 (white)"
        if preprocess.deep
        else "uint8, RGB" + ("" if preprocess.channels == 3 else f" or {preprocess.channels} channels")
    )
    about: dict[str, Any] = {
        "run": chosen.name,
        "networks": name,
        "classes": checkpoint.classes,
        "input": f"images: (N, height, width, {preprocess.channels}), {values}; {sizes}",
    }
    return Model(
        graph=graph,
        size=size,
        any_size=kind.any_size,
        channels=preprocess.channels,
        deep=preprocess.deep,
        outputs=dict(kind.outputs),
        about=about,
    )
