"""What tasks have in common that say something about an image as a whole: one vector of numbers for each."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import albumentations as A
import numpy as np
import pandas as pd
import torch
from torch import nn
from torchvision.transforms import v2

from pipeline.config import config, groups
from pipeline.config.limits import Limit
from pipeline.config.whole_images import ImageAugment, ViewPredict, check_fit
from pipeline.frame.values import frame_of, mean_of
from pipeline.inputs.augment import augment_batch, batched_is_enough, train_transform
from pipeline.inputs.preprocess import Preprocess
from pipeline.networks.build import build_classifier
from pipeline.prediction.request import Request
from pipeline.prediction.views import view_means
from pipeline.tasks.export import WholeImageGraph
from pipeline.tasks.task import Mixer, Task, unmixed


@dataclass(frozen=True, kw_only=True)
class ModelConfig(groups.ModelConfig):
    """Which network, and what it starts from."""

    fit: Literal["resize", "letterbox", "center_crop"] = "resize"
    """How an image of another shape becomes the input. resize: all of it, squashed; letterbox: all of it in
    proportion, with bars of the mean colour; center_crop: its middle in proportion, as published networks
    are measured: what lies outside is never seen."""
    drop_rate: Annotated[float, Limit(0, 0.95)] = 0.0
    """Dropout before the classifier."""
    drop_path: Annotated[float, Limit(0, 0.95)] = 0.0
    """Stochastic depth (arXiv 1603.09382) of networks that have residual branches."""


@dataclass(frozen=True, kw_only=True)
class WholeImageConfig(config.Config):
    """One experiment of such a task."""

    model: ModelConfig = field(default_factory=ModelConfig)
    augment: ImageAugment = field(default_factory=ImageAugment)
    predict: ViewPredict = field(default_factory=ViewPredict)

    def check(self) -> None:
        """Padding, shifts and holes must fit the image, and turned images the network."""
        self.turns_squares()
        check_fit(self.augment, self.predict, self.model.image_size)


ConfigT = TypeVar("ConfigT", bound=WholeImageConfig)


class WholeImageTask(Task[ConfigT]):
    """A task whose predictions frame has one float32 column for each class or target."""

    @abstractmethod
    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Predictions (N, C) of float32 network outputs (N, O)."""

    def outputs(self, classes: Sequence[str]) -> int:
        """How many outputs the network has."""
        return len(classes)

    def train_transform(self, config: ConfigT, preprocess: Preprocess) -> A.Compose:
        """See `pipeline.inputs.augment`."""
        return train_transform(config.augment, preprocess)

    def batch_transform(
        self, config: ConfigT, packed_size: tuple[int, int] | None
    ) -> Callable[[torch.Tensor, Preprocess], torch.Tensor] | None:
        """See `pipeline.inputs.augment`."""
        if not batched_is_enough(config.augment, packed_size, config.model.image_size):
            return None
        return lambda images, preprocess: augment_batch(images, config.augment, preprocess.mean)

    def build_model(
        self, config: ConfigT, classes: Sequence[str], load: bool = True, channels: int = 3
    ) -> nn.Module:
        """Any timm classifier."""
        model = config.model
        return build_classifier(
            model, self.outputs(classes), model.drop_rate, model.drop_path, load, channels
        )

    def mixer(self, config: ConfigT, classes: Sequence[str]) -> Mixer:
        """See `mixer_of`; targets (B, C) are mixed likewise."""
        return mixer_of(config.augment, None)

    def predict(self, model: nn.Module, request: Request[ViewPredict]) -> Iterator[pd.DataFrame]:
        """image_id and one float32 column for each class or target."""
        for ids, values in view_means(model, self.activate, request):
            yield frame_of(ids, values.float().numpy(), request.classes)

    def average(self, frames: Sequence[pd.DataFrame], folder: Path, config: ConfigT) -> pd.DataFrame:
        """Arithmetic mean."""
        return mean_of(frames)

    def picture(
        self, image: np.ndarray, prediction: Mapping[str, Any], classes: Sequence[str]
    ) -> tuple[np.ndarray, str]:
        """The image as it is, and its three largest numbers."""
        best = sorted(classes, key=lambda name: -prediction[name])[:3]
        return image, ", ".join(f"{name} {prediction[name]:.3g}" for name in best)

    def graph(self, model: nn.Module, preprocess: Preprocess, config: ConfigT) -> WholeImageGraph:
        """See `pipeline.tasks.export`; each image is looked at once."""
        return WholeImageGraph(model, preprocess, self.activate)


def mixer_of(augment: ImageAugment, classes: int | None) -> Mixer:
    """Mixup, CutMix, one of them at random, or nothing.

    Parameters
    ----------
    classes : how many there are, where targets are class indices (B,), which become shares (B, C); None where
        they are (B, C) already.
    """
    mixers: list[Any] = []
    if augment.mixup:
        mixers.append(v2.MixUp(alpha=augment.mixup, num_classes=classes))
    if augment.cutmix:
        mixers.append(v2.CutMix(alpha=augment.cutmix, num_classes=classes))
    return v2.RandomChoice(mixers) if mixers else unmixed


class FixedTargets:
    """Truth that augmenting an image leaves alone: one row of a tensor for each image."""

    def __init__(self, fixed: torch.Tensor) -> None:
        """`fixed` (N, ...) in the images' order."""
        self.fixed: torch.Tensor | None = fixed
        self._rows = fixed

    def example(self, index: int, read: Callable[[int], np.ndarray], transform: A.Compose) -> tuple:
        """See `pipeline.inputs.batches.Targets`."""
        return transform(image=read(index))["image"], self._rows[index]

    def batch(self, truths: Sequence[torch.Tensor]) -> torch.Tensor:
        """(B, ...)."""
        return torch.stack(list(truths))
