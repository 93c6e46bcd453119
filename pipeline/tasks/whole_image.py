"""What tasks have in common that say something about an image as a whole: one vector of numbers for each."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import albumentations as A
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms import v2

from pipeline.base.errors import UserError
from pipeline.config import config, groups
from pipeline.config.limits import Limit
from pipeline.config.reach import Reach
from pipeline.config.whole_images import ImageAugment, ViewPredict, check_fit, whole_reach
from pipeline.frame.values import frame_of, mean_of, values_of
from pipeline.inputs.augment import augment_batch, batched_is_enough, train_transform
from pipeline.inputs.batches import Targets
from pipeline.inputs.preprocess import Preprocess
from pipeline.networks.build import build_classifier, build_joint, linear_head
from pipeline.networks.joint import Batch, Given, Joint, Pool
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
    pool: Pool = "mean"
    """How the features of a row's images become one, where a row has several: their mean, their maximum, or
    a mean by learnt weights (gated attention, arXiv 1802.04712)."""
    global_pool: Literal["network", "gem"] = "network"
    """How the maps of an image become its features: as the network's authors have it, or by their generalised
    mean (GeM, arXiv 1711.02512) with a learnt power."""


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

    def reach(self) -> Reach:
        """See Config."""
        return whole_reach(self.augment, self.model.fit, self.model.image_size)


ConfigT = TypeVar("ConfigT", bound=WholeImageConfig)


class WholeImageTask(Task[ConfigT]):
    """A task whose predictions frame has one float32 column for each class or target."""

    teachable: ClassVar[tuple[str, ...]] = ("hard", "soft")

    @abstractmethod
    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Predictions (N, C) of float32 network outputs (N, O)."""

    def outputs(self, classes: Sequence[str]) -> int:
        """How many outputs the network has."""
        return len(classes)

    def as_targets(self, values: np.ndarray) -> np.ndarray:
        """Predictions (N, C) as targets that training understands, (N, O)."""
        return values

    @abstractmethod
    def labels_of(self, values: np.ndarray, classes: Sequence[str]) -> dict[str, list]:
        """The target columns that predictions (N, C) amount to."""

    @abstractmethod
    def sureness(self, values: np.ndarray) -> np.ndarray:
        """(N,) the probability of what `labels_of` gives for each image."""

    def pseudo_labels(
        self,
        test: pd.DataFrame,
        predictions: pd.DataFrame,
        classes: Sequence[str],
        threshold: float,
        folder: Path,
    ) -> pd.DataFrame:
        """See Task. Raises UserError where predictions are of other classes."""
        values = _predicted(predictions, classes)
        # A probability that is stored as float32 may be a little less than what it stands for.
        sure = self.sureness(values) >= threshold - 1e-6
        return test[sure].assign(**self.labels_of(values[sure], classes))

    def softened(
        self, targets: Targets, predictions: pd.DataFrame, classes: Sequence[str], weights: np.ndarray
    ) -> "FixedTargets":
        """See Task. Raises UserError where predictions are of other classes."""
        assert targets.fixed is not None
        taught = torch.from_numpy(self.as_targets(_predicted(predictions, classes)).astype("float32"))
        truth = targets.fixed
        if truth.ndim == 1:
            truth = F.one_hot(truth, len(classes))
        share = torch.from_numpy(weights.astype("float32"))[:, None]
        return FixedTargets((1 - share) * truth.float() + share * taught)

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
        return self.build_network(config, classes, Given(channels), load)

    def build_network(
        self, config: ConfigT, classes: Sequence[str], given: Given, load: bool = True
    ) -> nn.Module:
        """Any timm classifier, or one that looks at several images and a table.

        Raises
        ------
        UserError : features are to be pooled, and a row has one image.
        """
        model, outputs = config.model, self.outputs(classes)
        if given.images == 1 and model.pool != "mean":
            raise UserError("--model.pool would do nothing, because each row has one image: leave it out")
        head = self.head(config, outputs)
        if given.plain and model.global_pool == "network" and head is None:
            return build_classifier(model, outputs, model.drop_rate, model.drop_path, load, given.channels)
        return build_joint(
            model,
            head or (lambda features: linear_head(features, outputs)),
            given,
            pool=model.pool,
            gem=model.global_pool == "gem",
            drop_rate=model.drop_rate,
            drop_path=model.drop_path,
            load=load,
        )

    def head(self, config: ConfigT, outputs: int) -> Callable[[int], nn.Module] | None:
        """What makes the head of so many outputs for so many features; None: the network's own, or a linear
        one."""
        return None

    def mixer(self, config: ConfigT, classes: Sequence[str]) -> Mixer:
        """See `mixer_of`; targets (B, C) are mixed likewise."""
        return mixer_of(config.augment, None)

    def predict(self, model: nn.Module, request: Request[ViewPredict]) -> Iterator[pd.DataFrame]:
        """image_id and one float32 column for each class or target."""
        for ids, values in view_means(model, self.activate, request):
            yield self.framed(ids, values.float().numpy(), request.classes)

    def framed(self, ids: np.ndarray, values: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
        """The predictions frame of values (N, C)."""
        return frame_of(ids, values, classes)

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


def _predicted(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Their values, float64 (N, C)."""
    if list(predictions.columns[1:]) != list(classes):
        raise UserError("the earlier run predicts other classes than this one: take one of today's data")
    return values_of(predictions, classes)


def mixer_of(augment: ImageAugment, classes: int | None) -> Mixer:
    """Mixup, CutMix, one of them at random, or nothing.

    Parameters
    ----------
    classes : how many there are, where targets are class indices (B,), which become shares (B, C); None where
        they are (B, C) already.
    """
    kinds = ((v2.MixUp, augment.mixup), (v2.CutMix, augment.cutmix))
    mixers = [kind(alpha=alpha) for kind, alpha in kinds if alpha]
    return _Mixing(mixers, classes) if mixers else unmixed


class _Mixing:
    """One of torchvision's mixers at random; a table is mixed as the targets are, and a mixed bag has as many
    images as the larger one."""

    def __init__(self, mixers: Sequence[v2.Transform], classes: int | None) -> None:
        self.choice, self.classes = v2.RandomChoice(mixers), classes

    def __call__(self, images: Batch, targets: torch.Tensor) -> tuple[Batch, torch.Tensor]:
        if targets.ndim == 1:
            assert self.classes is not None
            targets = F.one_hot(targets, self.classes).float()
        if not isinstance(images, Joint):
            return self.choice(images, targets)
        beside = images.table if images.table is not None else targets.new_zeros(len(targets), 0)
        pixels, mixed = self.choice(images.pixels, torch.cat([targets, beside], dim=1))
        targets, beside = mixed.split([targets.shape[1], beside.shape[1]], dim=1)
        counts = None if images.counts is None else torch.maximum(images.counts, images.counts.roll(1))
        return Joint(pixels, counts, None if images.table is None else beside), targets


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
