"""One label per image."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import albumentations as A
import numpy as np
import pandas as pd
import torch
from torch import nn
from torchvision.transforms import v2

from pipeline.base.errors import UserError
from pipeline.base.figures import plot_confusion, plot_mistakes
from pipeline.config.config import AugmentConfig, Config, ModelConfig, PredictConfig, TrainConfig
from pipeline.inputs.batches import Images, Targets
from pipeline.inputs.transforms import Preprocess, train_transform
from pipeline.networks.build import build_classifier
from pipeline.prediction.predict import Request
from pipeline.prediction.predict import probabilities as view_probabilities
from pipeline.tasks.task import Mixer, OutputLoss


class Classification:
    """Truth: a ``label`` column. Predictions: one probability column per class, rows summing to 1."""

    target_columns = ("label",)

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The distinct labels, sorted. Raises UserError where there is only one."""
        names = sorted(train["label"].unique())
        if len(names) < 2:
            raise UserError(
                f"every training image has the label {names[0]!r}: a classifier needs at least two classes"
            )
        return names

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """The labels."""
        return train["label"]

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> "Labels":
        """int64 class indices (N,)."""
        codes = pd.Index(classes).get_indexer(frame["label"])
        return Labels(torch.from_numpy(codes.astype("int64")))

    def train_transform(self, augment: AugmentConfig, preprocess: Preprocess) -> A.Compose:
        """See `pipeline.inputs.transforms`."""
        return train_transform(augment, preprocess)

    def build_model(self, config: ModelConfig, classes: Sequence[str], load: bool = True) -> nn.Module:
        """Any timm classifier."""
        return build_classifier(config, len(classes), load)

    def draw(self, image: np.ndarray, target: torch.Tensor, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """The image as it is and the class name; for a mixed target the names and shares."""
        if target.ndim == 0:
            return image, classes[int(target)]
        shares = {classes[int(index)]: float(target[index]) for index in target.argsort(descending=True)[:2]}
        return image, "\n".join(f"{name} {share:.2f}" for name, share in shares.items() if share > 0.005)

    def mixer(self, augment: AugmentConfig, classes: Sequence[str]) -> Mixer:
        """Mixup, CutMix, one of them at random, or nothing. Mixed targets are probabilities (N, C)."""
        mixers = []
        if augment.mixup:
            mixers.append(v2.MixUp(alpha=augment.mixup, num_classes=len(classes)))
        if augment.cutmix:
            mixers.append(v2.CutMix(alpha=augment.cutmix, num_classes=len(classes)))
        return v2.RandomChoice(mixers) if mixers else lambda images, targets: (images, targets)

    def objective(self, config: TrainConfig, targets: Targets) -> OutputLoss:
        """Cross-entropy with torch's label smoothing."""
        return OutputLoss(nn.CrossEntropyLoss(label_smoothing=config.label_smoothing))

    def predict(self, model: nn.Module, request: Request) -> Iterator[pd.DataFrame]:
        """image_id and one float32 probability (softmax) column per class."""
        for ids, values in view_probabilities(model, softmax, request):
            yield to_frame(ids, values, request.classes)

    def average(self, frames: Sequence[pd.DataFrame], folder: Path, config: PredictConfig) -> pd.DataFrame:
        """Arithmetic mean of the probabilities."""
        mean = np.mean(
            [frame.drop(columns="image_id").to_numpy() for frame in frames], axis=0, dtype=np.float64
        )
        result = pd.DataFrame(mean.astype("float32"), columns=frames[0].columns[1:])
        result.insert(0, "image_id", frames[0]["image_id"].to_numpy())
        return result

    def report(
        self, truth: pd.DataFrame, oof: pd.DataFrame, images: Images, classes: Sequence[str], folder: Path
    ) -> list[Path]:
        """Confusion matrix, and the images whose true class got the least probability."""
        return [
            plot_confusion(truth["label"], _predicted(oof, classes), classes, folder / "confusion.png"),
            plot_mistakes(truth, oof, images, classes, folder / "mistakes.png"),
        ]


def softmax(outputs: torch.Tensor) -> torch.Tensor:
    """Probabilities of logits (N, C)."""
    return outputs.softmax(dim=1)


class Labels:
    """One class index per image; augmenting an image leaves it alone."""

    def __init__(self, whole: torch.Tensor) -> None:
        self.whole = whole

    def example(self, index: int, read: Callable[[int], np.ndarray], transform: A.Compose) -> tuple:
        """See `pipeline.inputs.batches.Targets`."""
        return transform(image=read(index))["image"], self.whole[index]

    def batch(self, truths: Sequence[torch.Tensor]) -> torch.Tensor:
        """int64 (B,)."""
        return torch.stack(list(truths))


def to_frame(ids: Sequence[str], probabilities: torch.Tensor, classes: Sequence[str]) -> pd.DataFrame:
    """A predictions frame: image_id and one float32 column per class, of probabilities (N, C)."""
    frame = pd.DataFrame(probabilities.float().numpy(), columns=list(classes))
    frame.insert(0, "image_id", np.asarray(ids, dtype=object))
    return frame.astype({"image_id": "str"})


def log_loss(truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]) -> float:
    """Mean negative logarithm of the true class's probability, which is clipped at float32's precision."""
    from sklearn.metrics import log_loss as of_scikit_learn

    values = predictions[list(classes)].to_numpy(dtype="float64").clip(1e-7, 1)
    codes = pd.Index(classes).get_indexer(truth["label"])
    return float(
        of_scikit_learn(codes, values / values.sum(axis=1, keepdims=True), labels=range(len(classes)))
    )


def _predicted(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    return np.asarray(classes, dtype=object)[predictions[list(classes)].to_numpy().argmax(axis=1)]
