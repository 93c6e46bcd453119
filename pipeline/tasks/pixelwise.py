"""What tasks have in common that say something about every pixel of an image, at its own size."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import nn

from pipeline.config import config, groups
from pipeline.config.limits import Limit
from pipeline.config.reach import Reach
from pipeline.config.scales import MapPredict as PredictConfig
from pipeline.config.scales import ScaledAugment
from pipeline.inputs.preprocess import Preprocess
from pipeline.networks.segmentation.segmenter import build_segmenter, check_decoder
from pipeline.prediction.maps import map_path, predict_maps
from pipeline.prediction.request import Request
from pipeline.prediction.stored import average_maps, load_values, save_map
from pipeline.tasks.export import PixelGraph
from pipeline.tasks.task import Task

__all__ = ["ModelConfig", "PixelwiseConfig", "PixelwiseTask", "PredictConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(groups.ModelConfig):
    """Which network, and what it starts from. `name` is the encoder; `image_size` the size of training
    crops."""

    fit: Literal["native", "resize", "letterbox"] = "native"
    """The size at which images are looked at. native: their own, of which training crops `image_size`;
    resize: squashed to `image_size`; letterbox: in proportion, as large as fits in it. Targets follow, and
    predictions are brought back to the image's own size."""
    decoder: str = "fpn"
    """fcn, fcn8, or one of segmentation-models-pytorch (unet, fpn, deeplabv3plus, ...)."""
    drop_rate: Annotated[float, Limit(0, 0.95)] = 0.0
    """Dropout in the decoder."""


@dataclass(frozen=True, kw_only=True)
class PixelwiseConfig(config.Config):
    """One experiment of such a task."""

    model: ModelConfig = field(default_factory=ModelConfig)
    augment: ScaledAugment = field(default_factory=ScaledAugment)
    predict: PredictConfig = field(default_factory=PredictConfig)

    def check(self) -> None:
        """Turned images must fit the network, where it has one size of them."""
        if self.model.fit != "native":
            self.turns_squares()

    def reach(self) -> Reach | None:
        """See Config. Where an image is looked at in another size than its own it is brought to that first,
        and scaled, cut and turned then."""
        if self.model.fit == "native":
            return None
        return Reach.of(self.model.image_size, covers=self.model.fit == "resize")


ConfigT = TypeVar("ConfigT", bound=PixelwiseConfig)


class PixelwiseTask(Task[ConfigT]):
    """A task whose predictions frame has a ``map_file`` with the path of each image's numbers (C, H, W), see
    `pipeline.prediction.stored`, its ``height`` and ``width``."""

    map_type: ClassVar[type[np.unsignedinteger]] = np.uint8
    """What the numbers are stored in."""

    @abstractmethod
    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Predictions from 0 to 1 (N, C, H, W) of float32 network outputs of that shape."""

    @property
    def load(self) -> Callable[[str | Path], np.ndarray]:
        """Reads a stored map."""
        return load_values

    def outputs(self, classes: Sequence[str]) -> int:
        """How many numbers the network gives each pixel."""
        return len(classes)

    def check(self, config: ConfigT) -> None:
        """The encoder and the decoder must exist."""
        super().check(config)
        check_decoder(config.model.decoder)

    def build_model(
        self, config: ConfigT, classes: Sequence[str], load: bool = True, channels: int = 3
    ) -> nn.Module:
        """Any timm encoder with a decoder."""
        model = config.model
        return build_segmenter(model, model.decoder, self.outputs(classes), model.drop_rate, load, channels)

    def predict(self, model: nn.Module, request: Request[PredictConfig]) -> Iterator[pd.DataFrame]:
        """image_id, map_file, height and width, an image at a time."""
        return predict_maps(model, request, self.activate, self.map_type)

    def graph(self, model: nn.Module, preprocess: Preprocess, config: ConfigT) -> PixelGraph:
        """See `pipeline.tasks.export`; one view, no tiles."""
        return PixelGraph(model, preprocess, self.activate)

    def average(self, frames: Sequence[pd.DataFrame], folder: Path, config: ConfigT) -> pd.DataFrame:
        """Mean of the maps, one image in memory at a time; written to `folder`."""
        if len(frames) == 1:
            return frames[0]
        files = []
        columns = (frame["map_file"] for frame in frames)
        for image_id, *maps in zip(frames[0]["image_id"], *columns, strict=True):
            files.append(str(map_path(folder, image_id)))
            save_map(Path(files[-1]), average_maps(maps, self.load), self.map_type)
        return frames[0].assign(map_file=files)
