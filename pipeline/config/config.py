"""Every choice of an experiment, in small frozen groups. A config is data: it prints, compares and digests.

None can be made with a number out of its limits: that raises UserError.

Field docstrings are the command line's help texts, so they say what a value means and in which unit.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.base.files import digest
from pipeline.config.limits import check_limits


@dataclass(frozen=True)
class FoldConfig:
    """How training images are split into folds."""

    scheme: Literal["stratified", "group", "stratified_group", "holdout"] = "stratified"
    """stratified: equal class shares; group: a group never straddles folds; holdout: one fold of
    `valid_ratio` that ignores groups (to hold out whole groups, take scheme=group and use=1)."""
    count: int = 5
    """Number of folds (ignored by holdout, which has one)."""
    valid_ratio: float = 0.1
    """Share of the images held out for validation; holdout only."""
    seed: int = 0
    """Seed of the split."""
    use: int | None = None
    """Train only the first `use` folds; None trains all."""

    def __post_init__(self) -> None:
        check_limits("folds", self)


@dataclass(frozen=True)
class ModelConfig:
    """Which network, and what it starts from."""

    name: str = "podium_cifarnet"
    """Any timm model name, or podium_cifarnet; for segmentation and detection it is the encoder."""
    decoder: str = "fpn"
    """Segmentation: fcn, fcn8, or one of segmentation-models-pytorch (unet, fpn, deeplabv3plus, ...)."""
    detector: Literal["faster_rcnn", "retinanet", "fcos", "ssd"] = "fcos"
    """Detection: two-stage faster_rcnn, one-stage retinanet, fcos or (smallest) ssd."""
    mask_head: bool = False
    """Detection with faster_rcnn: also a mask for each box (Mask R-CNN)."""
    image_size: int = 32
    """Side of the square network input in pixels; for segmentation of the training crops."""
    pretrained: bool = False
    """Start from published weights: timm's hub, or its cache, or `weights`. Never silently without."""
    weights: str | None = None
    """Start from this checkpoint instead: a file, or a folder that holds one, such as a mounted dataset."""
    drop_rate: float = 0.0
    """Dropout before the classifier."""

    def __post_init__(self) -> None:
        check_limits("model", self)


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to training images. Nothing here touches validation or test images."""

    crop: Literal["pad", "resized", "none"] = "pad"
    """pad: reflect-pad by `pad` and crop back; resized: random area and aspect, then resize."""
    pad: int = 4
    """Pixels of padding on each side for crop=pad."""
    min_area: float = 0.35
    """Smallest share of the image kept by crop=resized."""
    min_scale: float = 0.5
    """Segmentation and detection: smallest factor of random rescaling before a square is cropped."""
    max_scale: float = 2.0
    """Largest factor of it."""
    mosaic: float = 0.0
    """Detection: share of the images that are put together from four, and cropped."""
    copy_paste: float = 0.0
    """Detection: share of the images that get objects of another one pasted in, by their masks (arXiv
    2012.07177)."""
    horizontal_flip: bool = True
    """Mirror half of the images."""
    vertical_flip: bool = False
    """Turn half of the images upside down."""
    color_jitter: float = 0.0
    """Strength of brightness, contrast and saturation changes, 0 to 1; hue moves by a quarter of it."""
    cutout: int = 0
    """Side in pixels of one square set to the mean colour; 0 is off."""
    mixup: float = 0.0
    """Beta parameter of mixup (arXiv 1710.09412); 0 is off."""
    cutmix: float = 0.0
    """Beta parameter of CutMix (arXiv 1905.04899); 0 is off. With mixup on too, each batch draws one of
    them."""

    def __post_init__(self) -> None:
        check_limits("augment", self)


@dataclass(frozen=True)
class TrainConfig:
    """The optimisation."""

    epochs: int = 10
    """Rounds of training, each followed by a validation and a checkpoint."""
    passes: int = 1
    """Passes over the training images in each epoch; more than 1 validates small datasets less often."""
    batch_size: int = 256
    """Images per forward pass."""
    accumulate: int = 1
    """Batches whose gradients are summed into one optimiser step."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """sgd is with Nesterov momentum."""
    lr: float = 0.1
    """Peak learning rate of the head, or of everything where the scales below are 1."""
    momentum: float = 0.9
    """SGD momentum."""
    weight_decay: float = 5e-4
    """Decay of weight matrices and kernels; biases and norms never decay."""
    backbone_lr_scale: float | None = None
    """Learning rate of everything but the head, relative to `lr`. None: 0.1 where the network starts from
    weights, 1 where all of it is new."""
    layer_decay: float = 1.0
    """Each layer below the head learns at this fraction of the layer above it."""
    frozen_stages: int = 0
    """Stages of the backbone, counted from its input (the stem is the first), that never learn and whose
    BatchNorm keeps its statistics; -1: all of it, a linear probe."""
    unfreeze_every: int = 0
    """Gradual unfreezing: only the head learns at first, and every so many epochs the next stage below it
    joins; 0 is off."""
    loss: str = "ce"
    """Segmentation: a sum of ce, dice, focal and lovasz, each with a factor or none, such as ce+0.5*dice."""
    logit_adjustment: float = 0.0
    """Segmentation: tau of logit adjustment (arXiv 2007.07314) of ce and focal by the classes' shares of the
    training pixels; 0 is off. Above it rare classes are predicted more often, at 1 as if all were as
    frequent."""
    schedule: Literal["cosine", "step", "one_cycle", "constant"] = "cosine"
    """cosine: to zero; step: times 0.1 at 50 % and 75 %; one_cycle: linear up for `warmup`, linear down to
    zero."""
    warmup: float = 0.1
    """Share of all steps spent raising the learning rate linearly from above zero."""
    label_smoothing: float = 0.0
    """Share of each target spread over all classes."""
    clip_norm: float | None = None
    """Largest gradient norm; None leaves gradients alone."""
    ema: float = 0.0
    """Decay per step, which it rises to from 0, of the averaged weights used for prediction, such as 0.999;
    0 predicts with the last weights."""
    amp: bool = True
    """Mixed precision where the hardware gains by it: fp16 or bf16 on CUDA, bf16 on CPUs that compute in
    it."""
    keep: Literal["last", "best"] = "last"
    """Which epoch predicts. best picks it by validation score, which flatters the CV a little; last does
    not."""
    patience: int | None = None
    """Stop after this many epochs without a better validation score."""
    max_minutes: float | None = None
    """Wall time for the training of each fold: it ends before an epoch that would exceed this."""
    workers: int = 2
    """Processes that load and augment images, where images are not packed."""
    seed: int = 0
    """Seed of weights, order and augmentation."""

    def __post_init__(self) -> None:
        check_limits("train", self)


@dataclass(frozen=True)
class PredictConfig:
    """Test-time augmentation: probabilities are averaged over every combination of views."""

    flip: bool = True
    """Also the mirrored image."""
    shift: int = 0
    """Also the image moved by this many pixels along both diagonals; 0 is off."""
    crops: int = 1
    """1: the whole image; 5: also the four corner crops of 7/8 of each side, scaled back up."""
    scales: tuple[float, ...] = (1.0,)
    """Segmentation and detection: the image is predicted at each of these relative sizes."""
    tile: int = 0
    """Side in pixels of square tiles that are predicted one by one: for segmentation instead of the whole
    image, for detection (small objects in large images) besides it. 0: only the image whole."""
    min_score: float = 0.02
    """Detection: boxes need a greater score."""
    nms_iou: float = 0.6
    """Detection: of two boxes of a class with a greater IoU only the better is kept."""
    max_boxes: int = 100
    """Detection: most boxes of an image."""
    fusion: Literal["wbf", "nms"] = "wbf"
    """Detection: how the boxes of several views become one list: weighted fusion or suppression."""
    overlap: float = 0.25
    """Share of a tile that it has in common with its neighbour."""
    batch_size: int = 500
    """Most images (tiles, where there are) per forward pass; large ones are fewer. Does not change the
    result."""

    def __post_init__(self) -> None:
        check_limits("predict", self)


@dataclass(frozen=True)
class Config:
    """One experiment, whole."""

    folds: FoldConfig = field(default_factory=FoldConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)

    def resolved(self) -> "Config":
        """With what None leaves to the other fields."""
        if self.train.backbone_lr_scale is not None:
            return self
        scale = 0.1 if self.model.pretrained or self.model.weights else 1.0
        return dataclasses.replace(self, train=dataclasses.replace(self.train, backbone_lr_scale=scale))

    def to_json(self) -> dict[str, Any]:
        """Plain nested dictionaries, in field order."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Config":
        """Inverse of `to_json`. A field this version does not know raises TypeError."""
        groups = {group.name: group.default_factory for group in dataclasses.fields(cls)}
        return cls(**{name: groups[name](**_with_tuples(fields)) for name, fields in value.items()})

    def digest(self) -> str:
        """Eight hexadecimal digits that change when any field changes."""
        return digest(self.to_json())

    def __str__(self) -> str:
        return json.dumps(self.to_json(), indent=2)


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists alone."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


@dataclass(frozen=True)
class Ensemble:
    """Several experiments whose predictions are averaged with equal weight."""

    members: tuple[Config, ...]
