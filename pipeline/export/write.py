"""Writing graphs as ONNX files or programs of torch.export, each checked before it gets its name."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path, write_json

Format = Literal["onnx", "pt2"]
TOLERANCE = 1e-4
"""By how much the file's outputs may differ from the network's: of probabilities and scores, and of boxes in
shares of the image's longer side."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A graph and what its user has to know.

    Attributes
    ----------
    size : height and width of the example it is traced with, and of all images where these are not free.
    outputs : what each output is, by name.
    about : plain values that the file beside it holds.
    """

    graph: nn.Module
    size: tuple[int, int]
    any_size: bool
    channels: int
    deep: bool
    outputs: dict[str, str]
    about: dict[str, Any]

    def example(self, count: int, size: tuple[int, int], seed: int) -> torch.Tensor:
        """Images of noise, in blocks as large as an eighth of a side: (count, height, width, channels)."""
        generator = torch.Generator().manual_seed(seed)
        blocks = torch.rand(count, self.channels, 8, 8, generator=generator)
        images = nn.functional.interpolate(blocks, size, mode="nearest").permute(0, 2, 3, 1).contiguous()
        return images if self.deep else (images * 255).round().byte()

    def cases(self) -> Iterator[torch.Tensor]:
        """One image, and a batch of another size where sizes are free."""
        height, width = self.size
        yield self.example(1, self.size, seed=1)
        yield self.example(3, (height + height // 2, width * 2) if self.any_size else self.size, seed=2)


def write_model(model: Model, kind: Format, path: Path) -> float:
    """Write the file, and beside it a JSON of what goes in and what comes out.

    Returns
    -------
    The largest difference between its outputs and the network's, on images of noise.

    Raises
    ------
    UserError : a package is missing, the network cannot be traced, or the file does not give the same.
        Nothing is left then.
    """
    graph = model.graph.eval()
    with torch.inference_mode(False), torch.no_grad(), atomic_path(path) as temporary:
        try:
            (_onnx if kind == "onnx" else _program)(graph, model, temporary)
        except ImportError as error:
            raise UserError(f"ONNX files need packages that are not installed ({error.name}): pip install "
                            "'.[onnx]' here, or FORMAT=pt2") from error  # fmt: skip
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"{type(graph).__name__} cannot be exported as {kind} ({reason}): try the other FORMAT, or "
                "another "
                "--model.name"
            ) from error
        run = (_onnx_session if kind == "onnx" else _loaded)(temporary)
        worst = max(_difference(graph, run, images) for images in model.cases())
        if not worst <= TOLERANCE:
            raise UserError(
                f"the {kind} file would give other results than the network, by {worst:.2g}: it is not "
                "written; "
                "try the other FORMAT"
            )
    write_json(path.with_suffix(".json"), {**model.about, "outputs": model.outputs, "difference": worst})
    return worst


def _shapes(model: Model) -> dict[str, Any]:
    sizes = {1: "height", 2: "width"} if model.any_size else {}
    return {"images": dict.fromkeys((0, *sizes), torch.export.Dim.DYNAMIC)}


def _program(graph: nn.Module, model: Model, path: Path) -> None:
    images = model.example(2, model.size, seed=0)
    program = torch.export.export(graph, (images,), dynamic_shapes=_shapes(model))
    torch.export.save(program, path, extra_files={"about.json": json.dumps(model.about)})


def _onnx(graph: nn.Module, model: Model, path: Path) -> None:
    from ops.onnx import translation_table

    program = torch.onnx.export(
        graph,
        (model.example(2, model.size, seed=0),),
        input_names=["images"],
        output_names=list(model.outputs),
        dynamic_shapes=_shapes(model),
        dynamo=True,
        custom_translation_table=translation_table(),
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props.update({key: json.dumps(value) for key, value in model.about.items()})
    program.save(path)


def _loaded(path: Path) -> Any:
    module = torch.export.load(path).module()
    return lambda images: [value.numpy() for value in module(images)]


def _onnx_session(path: Path) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images.numpy()})


def _difference(graph: nn.Module, run: Any, images: torch.Tensor) -> float:
    """The largest one; infinite where shapes or labels differ."""
    wanted: Sequence[np.ndarray] = [value.numpy() for value in graph(images)]
    found: Sequence[np.ndarray] = run(images)
    worst = 0.0
    for one, other in zip(wanted, found, strict=True):
        if one.shape != other.shape or not np.isfinite(other).all():
            return float("inf")
        if one.dtype.kind in "iu":
            worst = max(worst, 0.0 if (one == other).all() else float("inf"))
        elif one.size:
            # Boxes are in pixels, and everything else is of the size of 1.
            scale = max(1.0, float(np.abs(one).max()))
            worst = max(worst, float(np.abs(one - other).max()) / scale)
    return worst
