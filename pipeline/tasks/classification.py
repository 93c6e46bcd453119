"""One label per image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torchvision.transforms import v2

from pipeline.config import AugmentConfig, ModelConfig, TrainConfig
from pipeline.data.batches import Images
from pipeline.errors import UserError
from pipeline.models.build import build_classifier
from pipeline.plots import plot_confusion, plot_mistakes
from pipeline.tasks.task import Mixer


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

    def targets(self, frame: pd.DataFrame, classes: Sequence[str]) -> torch.Tensor:
        """int64 class indices (N,)."""
        codes = pd.Index(classes).get_indexer(frame["label"])
        return torch.from_numpy(codes.astype("int64"))

    def build_model(self, config: ModelConfig, classes: Sequence[str], load: bool = True) -> nn.Module:
        """Any timm classifier."""
        return build_classifier(config, len(classes), load)

    def caption(self, target: torch.Tensor, classes: Sequence[str]) -> str:
        """The class name; for a mixed target the names and shares."""
        if target.ndim == 0:
            return classes[int(target)]
        shares = {classes[int(index)]: float(target[index]) for index in target.argsort(descending=True)[:2]}
        return "\n".join(f"{name} {share:.2f}" for name, share in shares.items() if share > 0.005)

    def mixer(self, augment: AugmentConfig, classes: Sequence[str]) -> Mixer:
        """Mixup, CutMix, one of them at random, or nothing. Mixed targets are probabilities (N, C)."""
        mixers = []
        if augment.mixup:
            mixers.append(v2.MixUp(alpha=augment.mixup, num_classes=len(classes)))
        if augment.cutmix:
            mixers.append(v2.CutMix(alpha=augment.cutmix, num_classes=len(classes)))
        return v2.RandomChoice(mixers) if mixers else lambda images, targets: (images, targets)

    def loss(self, config: TrainConfig) -> nn.Module:
        """Cross-entropy with torch's label smoothing."""
        return nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)

    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Softmax."""
        return outputs.softmax(dim=1)

    def to_frame(
        self, ids: Sequence[str], probabilities: torch.Tensor, classes: Sequence[str]
    ) -> pd.DataFrame:
        """image_id and one float32 column per class."""
        frame = pd.DataFrame(probabilities.float().cpu().numpy(), columns=list(classes))
        frame.insert(0, "image_id", np.asarray(ids, dtype=object))
        return frame.astype({"image_id": "str"})

    def average(self, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
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


def _predicted(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    return np.asarray(classes, dtype=object)[predictions[list(classes)].to_numpy().argmax(axis=1)]
