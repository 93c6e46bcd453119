"""What the pipeline asks of a task, and what most tasks do alike."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import albumentations as A
import numpy as np
import pandas as pd
import torch
from torch import nn

from pipeline.base.errors import UserError
from pipeline.base.parts import Part
from pipeline.config.config import Config
from pipeline.frame.submission import Format
from pipeline.frame.top import Top
from pipeline.inputs.batches import Images, Targets
from pipeline.inputs.preprocess import Preprocess, whole_image
from pipeline.metrics.metric import Needs
from pipeline.networks.groups import check_optimizer
from pipeline.networks.joint import Batch, Given
from pipeline.networks.weights import check_name, resolve_weights
from pipeline.prediction.request import Request
from pipeline.tasks.export import Graph

ConfigT = TypeVar("ConfigT", bound=Config)

Rows = np.ndarray | pd.DataFrame | Top
"""Something with one row for each image, which `rows_of` takes some of."""


def rows_of(evidence: Rows, rows: np.ndarray) -> Rows:
    """Some rows of an array (N, ...) or a frame, by number."""
    if isinstance(evidence, Top):
        return evidence.take(rows)
    if isinstance(evidence, pd.DataFrame):
        return evidence.iloc[rows].reset_index(drop=True)
    return evidence[rows]


@dataclass(frozen=True, kw_only=True)
class Blended:
    """Predictions of a blend, and what was fitted.

    Attributes
    ----------
    note : the weights, for people.
    """

    oof: pd.DataFrame
    test: pd.DataFrame
    note: str


@dataclass(frozen=True, kw_only=True)
class BlendRequest:
    """What to blend, for a method that is fitted.

    Attributes
    ----------
    oofs, tests : predictions of each run, all with the same ids in the same order.
    truth : the train frame's rows in the order of `oofs`.
    folds : (N,) the fold of each of these rows.
    score : the metric of truth and predictions, larger for better.
    tables : what the competition's table has beside the rows of `oofs` and of `tests`, float (N, T) and
        (M, T); None where there is none.
    """

    method: str
    oofs: Sequence[pd.DataFrame]
    tests: Sequence[pd.DataFrame]
    truth: pd.DataFrame
    folds: np.ndarray
    classes: Sequence[str]
    score: Callable[[pd.DataFrame, pd.DataFrame], float]
    tables: tuple[np.ndarray, np.ndarray] | None = None

    def with_tables(self, oof: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (C, N, F) and (C, M, F) with the table's columns behind their own."""
        if self.tables is None:
            return oof, test
        pairs = zip((oof, test), self.tables, strict=True)
        first, second = (
            np.concatenate([one, np.broadcast_to(table, (len(one), *table.shape))], axis=2)
            for one, table in pairs
        )
        return first, second


Saliency = Callable[[Sequence[str], Sequence[int]], list[np.ndarray | None]]
"""From ids of validated images, and the number of an output for each, to pictures of what in the image spoke
for it, uint8 (S, S, 3); None where the network cannot be asked."""


def no_saliency(ids: Sequence[str], outputs: Sequence[int]) -> list[np.ndarray | None]:
    """The Saliency of predictions that no single network made."""
    return [None] * len(ids)


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """What to show.

    Attributes
    ----------
    truth, oof : the same images in the same order.
    images : split that holds these images, among others.
    evidence : what `Task.evidence` makes of truth and predictions, made once.
    folder : the run's, for pictures that are files.
    saliency : where the network looked.
    """

    truth: pd.DataFrame
    oof: pd.DataFrame
    images: Images
    classes: Sequence[str]
    evidence: Callable[[Needs], tuple[Rows, ...]]
    folder: Path
    saliency: Saliency = no_saliency


class Task(ABC, Generic[ConfigT]):
    """How targets look, which network, which loss, which predictions.

    Its constructor only stores, and an instance can be pickled: jobs carry one to other processes.
    """

    config: type[ConfigT]
    """The options of an experiment."""
    target_columns: tuple[str, ...]
    """Columns of a train frame that hold the truth."""
    file_columns: tuple[str, ...] = ()
    """Those of them that hold paths of files, or lists of paths."""
    name_columns: ClassVar[tuple[str, ...]] = ()
    """Those of them that hold names of classes, or lists of such."""
    teachable: ClassVar[tuple[str, ...]] = ()
    """In which forms predictions may become targets: hard, by `pseudo_labels`, and soft, by `softened`."""
    blend_methods: ClassVar[Mapping[str, str]] = {"mean": "predictions are averaged"}
    """How runs may be blended, each with what it does; the first is the default where nothing can be fitted,
    the last where there are several folds."""

    def check(self, config: ConfigT) -> None:
        """Refuse what can be refused without any image. Raises UserError."""
        check_name(config.model.name)
        check_optimizer(config.train.optimizer)
        if config.model.weights is not None:
            resolve_weights(config.model.weights, config.model.name)
        name = type(self).__name__.lower()
        if config.pseudo.run is not None and config.pseudo.kind not in self.teachable:
            there = f": take {' or '.join(self.teachable)}" if self.teachable else " of any kind"
            raise UserError(f"{name} has no pseudo-labels of --pseudo.kind {config.pseudo.kind}{there}")
        if config.distill.run is not None and "soft" not in self.teachable:
            raise UserError(f"{name} has no soft targets: leave out --distill")

    @abstractmethod
    def classes(self, train: pd.DataFrame) -> list[str]:
        """Class names, in the order of every model output. Raises UserError where they make no sense."""

    @abstractmethod
    def strata(self, train: pd.DataFrame) -> pd.Series:
        """One value per row whose shares every fold should keep."""

    @abstractmethod
    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: ConfigT) -> Targets:
        """The truth of these rows, for training."""

    def pseudo_labels(
        self,
        test: pd.DataFrame,
        predictions: pd.DataFrame,
        classes: Sequence[str],
        threshold: float,
        folder: Path,
    ) -> pd.DataFrame:
        """The rows of a test frame that are predicted surely enough, with the target columns.

        Parameters
        ----------
        predictions : of the same images in the same order.
        threshold : see `pipeline.config.teachers.PseudoConfig`.
        folder : for files that target columns name.
        """
        raise NotImplementedError  # of tasks that are not teachable, which `check` refuses

    def softened(
        self, targets: Targets, predictions: pd.DataFrame, classes: Sequence[str], weights: np.ndarray
    ) -> Targets:
        """``(1 - w) y + w p`` for the targets y and predictions p of the same images in the same order.

        Parameters
        ----------
        weights : (N,) w of each image.
        """
        raise NotImplementedError  # as above

    @abstractmethod
    def train_transform(self, config: ConfigT, preprocess: Preprocess) -> A.Compose:
        """Random transform of an image with its truth to the network's input size."""

    def held_out(
        self, frame: pd.DataFrame, classes: Sequence[str], config: ConfigT, preprocess: Preprocess
    ) -> tuple[Targets, A.Compose]:
        """The truth of validation images, with a transform as `train_transform`'s in which nothing is random:
        their loss is measured so."""
        return self.targets(frame, classes, config), A.Compose([*whole_image(preprocess)])

    def batch_transform(
        self, config: ConfigT, packed_size: tuple[int, int] | None
    ) -> Callable[[torch.Tensor, Preprocess], torch.Tensor] | None:
        """The same changes as `train_transform`'s for a whole batch (B, C, S, S) of packed images of
        this size, or None where they cannot be made so."""
        return None

    @abstractmethod
    def build_model(
        self, config: ConfigT, classes: Sequence[str], load: bool = True, channels: int = 3
    ) -> nn.Module:
        """A network for `classes` and images of so many channels; with `load` it starts from the weights that
        the config asks for."""

    def build_network(
        self, config: ConfigT, classes: Sequence[str], given: Given, load: bool = True
    ) -> nn.Module:
        """A network for rows of one image, as `build_model` makes it, or of more where the task can.

        Raises
        ------
        UserError : the task cannot.
        """
        if not given.plain:
            raise UserError(
                f"{type(self).__name__} takes one image in each row and no table beside it: choose a task "
                "that says something about a row as a whole, or another reader and no table"
            )
        return self.build_model(config, classes, load, given.channels)

    @abstractmethod
    def draw(self, image: np.ndarray, target: Any, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """A training image (uint8 (H, W, 3)) with its target, mixed or not, to look at; and a caption."""

    def mixer(self, config: ConfigT, classes: Sequence[str]) -> "Mixer":
        """The transform of a whole training batch, images and targets together."""
        return unmixed

    @abstractmethod
    def objective(self, config: ConfigT, targets: Targets) -> "Objective":
        """What training minimises; `targets` are the truth of all that is learned from."""

    def remembers(self, config: ConfigT) -> bool:
        """Whether a trained network keeps something of the images that it has learned from."""
        return False

    def remembered(
        self, model: nn.Module, batches: Iterator[tuple[np.ndarray, Batch]], targets: Targets
    ) -> dict[str, torch.Tensor]:
        """What it keeps, by the names of its tensors.

        Parameters
        ----------
        batches : ids and images of all of them, not augmented.
        targets : their truth, in the same order.
        """
        return {}

    @abstractmethod
    def predict(self, model: nn.Module, request: Request) -> Iterator[pd.DataFrame]:
        """Predictions of the rows asked for, in order, a part at a time: probabilities, never logits."""

    def finite(self, predictions: pd.DataFrame) -> np.ndarray:
        """bool (N,): whether all numbers of a row are finite."""
        numbers = predictions.select_dtypes("number").to_numpy(dtype="float64")
        return np.asarray(np.isfinite(numbers).all(axis=1), dtype=bool)

    @abstractmethod
    def average(self, frames: Sequence[pd.DataFrame], folder: Path, config: ConfigT) -> pd.DataFrame:
        """Mean of several predictions frames over the same ids in the same order.

        `folder` is for files that a predictions frame refers to; `config` says how boxes are fused.
        """

    @abstractmethod
    def evidence(
        self, needs: Needs, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[Rows, ...]:
        """What a metric that needs this is called with; the frames hold the same ids in the same order.

        Raises
        ------
        UserError : the task has no such thing.
        """

    def blend(self, request: BlendRequest) -> Blended:
        """Combine runs by a method that is fitted. Called with `blend_methods` other than mean alone."""
        raise UserError(f"there is no --method {request.method}: take one of {', '.join(self.blend_methods)}")

    @abstractmethod
    def report(self, request: ReportRequest) -> Iterable[Part]:
        """Tables, charts and pictures of what the model gets right and wrong, for the run's page."""

    @abstractmethod
    def submission_format(self, classes: Sequence[str]) -> Format:
        """Columns of the usual submission of this task, for competitions that have no other."""

    @abstractmethod
    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """Predictions in the form of `submission_format`."""

    @abstractmethod
    def picture(
        self, image: np.ndarray, prediction: Mapping[str, Any], classes: Sequence[str]
    ) -> tuple[np.ndarray, str]:
        """An image (uint8 (H, W, 3)) with its row of a predictions frame, to look at; and a caption."""

    @abstractmethod
    def graph(self, model: nn.Module, preprocess: Preprocess, config: ConfigT) -> Graph:
        """A trained network, on the CPU, for other programs. Raises UserError where it cannot be one."""

    def no_evidence(self, needs: str) -> UserError:
        """The error of `evidence`."""
        return UserError(f"{type(self).__name__.lower()} has no {needs}: choose a metric that needs others")


class Mixer(Protocol):
    """Maps a batch of images (see `pipeline.networks.joint.Batch`) and targets to another."""

    def __call__(self, images: Any, targets: Any) -> tuple[Any, Any]: ...


class Objective(Protocol):
    """Maps a network and a batch to a scalar float32 loss."""

    def __call__(self, model: nn.Module, images: Any, targets: Any) -> torch.Tensor: ...


MEASURED = "measured"
"""Attribute of a network whose losses are measured."""


@contextmanager
def measuring(model: nn.Module) -> Iterator[None]:
    """Around losses that are measured and not learnt from: all layers evaluate, until it ends."""
    training = {name: module.training for name, module in model.named_modules()}
    model.eval()
    object.__setattr__(model, MEASURED, True)
    try:
        yield
    finally:
        object.__delattr__(model, MEASURED)
        for name, module in model.named_modules():
            module.training = training[name]


def feeds_a_loss(model: nn.Module) -> bool:
    """Whether what the network gives now goes to a loss, and not into predictions."""
    return model.training or MEASURED in vars(model)


def unmixed(images: Batch, targets: Any) -> tuple[Batch, Any]:
    """The Mixer that mixes nothing."""
    return images, targets


class OutputLoss:
    """A loss of the network's outputs, computed in float32 whatever the network computes in."""

    def __init__(self, loss: Callable[[torch.Tensor, Any], torch.Tensor]) -> None:
        self.loss = loss

    def __call__(self, model: nn.Module, images: Batch, targets: Any) -> torch.Tensor:
        """See Objective."""
        outputs = model(images)
        with torch.autocast(images.device.type, enabled=False):
            return self.loss(outputs.float(), targets)
