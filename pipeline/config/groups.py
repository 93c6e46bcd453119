"""The groups of options that all tasks share. A task adds its own options by a class of the same name.

None can be made with a value out of its limits: that raises UserError.

Field docstrings are the command line's help texts, so they say what a value means and in which unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

from pipeline.base.errors import UserError
from pipeline.config.limits import COUNT, NATURAL, SEED, SHARE, Limit, check_limits

ImageSize = int | tuple[int, int]
"""Of images in pixels: the side of a square, or height and width."""

Precision = Literal["auto", "on", "off"]
"""Of mixed precision; auto is measured, see `pipeline.experiment.precision`."""


def sides(size: ImageSize) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def named_size(size: ImageSize) -> str:
    """A size for people: ``224``, or ``96 x 320`` for height and width."""
    return " x ".join(map(str, [size] if isinstance(size, int) else size))


def one_or_two(size: ImageSize | Sequence[int]) -> ImageSize:
    """A size as it is told: one number for a square, else height and width.

    Raises UserError for any other count of numbers.
    """
    if not isinstance(size, Sequence):
        return size
    if len(size) != 2:
        raise UserError(
            f"--model.image-size is {tuple(size)}, and must be one number, or height and width: two"
        )
    return size[0] if size[0] == size[1] else (size[0], size[1])


@dataclass(frozen=True, kw_only=True)
class Group:
    """Options that belong together."""

    group: ClassVar[str]
    """What their names begin with on the command line."""

    def __post_init__(self) -> None:
        check_limits(self.group, self)

    def unused(self) -> dict[str, str]:
        """The fields that do nothing beside the other choices of the group, each with the reason."""
        return {}


@dataclass(frozen=True, kw_only=True)
class FoldConfig(Group):
    """How training images are split into folds."""

    group: ClassVar[str] = "folds"
    scheme: Literal["stratified", "group", "stratified_group", "holdout"] = "stratified"
    """stratified: equal class shares; group: a group never straddles folds; holdout: one fold of
    `valid_ratio` that ignores groups (to hold out whole groups, take scheme=group and use=1)."""
    count: Annotated[int, Limit(2, 1000)] = 5
    """Number of folds; holdout has one."""
    valid_ratio: Annotated[float, Limit(0.001, 0.999)] = 0.1
    """Share of the images held out for validation; holdout only."""
    seed: Annotated[int, SEED] = 0
    """Seed of the split."""
    csv: str | None = None
    """Take the split from this file instead: an id (image_id, or the first column) and a fold (0, 1, ...; -1:
    always trained on) for every training image."""
    use: Annotated[int | str | None, COUNT] = None
    """Train only these folds: 2 is the first two; a list with a comma names them, as in 0,3 or 3, alone. None
    trains all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.use is None:
            return
        there = 1 if self.scheme == "holdout" else self.count
        if isinstance(self.use, str):
            self.chosen(range(10**9 if self.csv else there))
        elif self.csv is None and self.use > there:
            raise UserError(f"--folds.use is {self.use}, and {self.scheme} makes {there} fold(s)")

    def chosen(self, there: Sequence[int]) -> list[int]:
        """The folds to train, in ascending order.

        Parameters
        ----------
        there : the numbers of all folds, ascending.

        Raises
        ------
        UserError : a number that is none of them, one twice, or a text that is no list of numbers.
        """
        if self.use is None:
            return list(there)
        if isinstance(self.use, int):
            if self.use > len(there):
                raise UserError(f"--folds.use is {self.use}, and there are {len(there)} fold(s)")
            return list(there[: self.use])
        words = [word.strip() for word in self.use.split(",") if word.strip()]
        if "," not in self.use or not words or not all(word.isdecimal() for word in words):
            raise UserError(
                f"--folds.use is {self.use!r}: give how many folds, or their numbers with a comma, such as "
                "0,3"
            )
        numbers = sorted(map(int, words))
        wrong = [number for number in numbers if number not in there]
        if wrong or len(set(numbers)) < len(numbers):
            what = f"fold {wrong[0]}, and the folds are 0 to {there[-1]}" if wrong else "a fold twice"
            raise UserError(f"--folds.use {self.use} names {what}")
        return numbers

    def unused(self) -> dict[str, str]:
        """See Group."""
        if self.csv is not None:
            return dict.fromkeys(("scheme", "count", "valid_ratio", "seed"), "folds.csv has the split")
        if self.scheme == "holdout":
            return {"count": "folds.scheme=holdout makes one fold"}
        return {"valid_ratio": f"folds.scheme={self.scheme} makes equal folds"}


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Group):
    """Which network, and what it starts from."""

    group: ClassVar[str] = "model"
    name: str = "podium_cifarnet"
    """Any timm model name, or podium_cifarnet, a small fast network for 32 x 32 images."""
    image_size: Annotated[ImageSize, Limit(8, 8192)] = 32
    """Pixels of the network's input: the side of a square, or height and width, such as 96 320."""
    fit: Literal["resize", "letterbox", "center_crop", "native"] = "resize"
    """How an image of another shape becomes the network's input."""
    pretrained: bool = False
    """Start from published weights: timm's hub, or its cache, or `weights`. Never silently without."""
    grad_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, more time."""
    weights: str | None = None
    """Start from this checkpoint instead: a file, or a folder that holds one, such as a mounted dataset."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", one_or_two(self.image_size))
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Group):
    """Random changes to training images. Nothing here touches validation or test images."""

    group: ClassVar[str] = "augment"
    horizontal_flip: bool = True
    """Mirror half of the images."""
    vertical_flip: bool = False
    """Turn half of the images upside down."""
    color_jitter: Annotated[float, SHARE] = 0.0
    """Strength of brightness, contrast and saturation changes, 0 to 1; hue moves by a quarter of it."""
    rotate: Annotated[float, Limit(0, 180)] = 0.0
    """Degrees by which an image is turned at most, either way."""
    shear: Annotated[float, Limit(0, 60)] = 0.0
    """Degrees by which each side is slanted at most, either way."""
    blur: Annotated[float, Limit(0, 32)] = 0.0
    """Greatest sigma, in pixels of the input, of the Gaussian blur of half of the images."""
    noise: Annotated[float, SHARE] = 0.0
    """Greatest standard deviation, as a share of white, of the Gaussian noise on half of the images."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Group):
    """The optimisation."""

    group: ClassVar[str] = "train"
    epochs: Annotated[int, COUNT] = 10
    """Rounds of training, each followed by a validation and a checkpoint."""
    passes: Annotated[int, COUNT] = 1
    """Passes over the training images in each epoch; more than 1 validates small datasets less often."""
    batch_size: Annotated[int, COUNT] = 256
    """Images per forward pass."""
    oversample: Annotated[float, SHARE] = 0.0
    """Power by which images of rare strata (labels, rarest classes, grades) are drawn more often:
    0 visits each image once a pass, 1 draws all strata equally often. Drawn with replacement above 0."""
    accumulate: Annotated[int, COUNT] = 1
    """Batches whose gradients are summed into one optimiser step."""
    optimizer: str = "sgd"
    """sgd (with Nesterov momentum), adamw, or another of timm's, such as lion, lamb or adan."""
    lr: Annotated[float, NATURAL] = 0.1
    """Peak learning rate of the head, or of everything where the scales below are 1."""
    momentum: Annotated[float, Limit(0, 0.9999)] = 0.9
    """SGD momentum."""
    weight_decay: Annotated[float, NATURAL] = 5e-4
    """Decay of weight matrices and kernels; biases and norms never decay."""
    backbone_lr_scale: Annotated[float | None, NATURAL] = None
    """Learning rate of everything but the head, relative to `lr`. None: 0.1 where the network starts from
    weights, 1 where all of it is new."""
    layer_decay: Annotated[float, SHARE] = 1.0
    """Each layer below the head learns at this fraction of the layer above it."""
    frozen_stages: Annotated[int, Limit(-1, 1000)] = 0
    """Stages of the backbone, counted from its input (the stem is the first), that never learn and whose
    BatchNorm keeps its statistics; -1: all of it, a linear probe."""
    unfreeze_every: Annotated[int, NATURAL] = 0
    """Gradual unfreezing: only the head learns at first, and every so many epochs the next stage below it
    joins; 0 is off."""
    schedule: Literal["cosine", "step", "one_cycle", "constant"] = "cosine"
    """cosine: to zero; step: times 0.1 at 50 % and 75 %; one_cycle: linear up for `warmup`, linear down to
    zero."""
    warmup: Annotated[float, SHARE] = 0.1
    """Share of all steps spent raising the learning rate linearly from above zero."""
    clip_norm: Annotated[float | None, Limit(1e-9)] = None
    """Largest gradient norm; None leaves gradients alone."""
    ema: Annotated[float, Limit(0, 0.99999)] = 0.0
    """Decay per step, which it rises to from 0, of the averaged weights used for prediction, such as 0.999;
    0 predicts with the last weights."""
    amp: Precision = "auto"
    """Mixed precision where the hardware has it: fp16 or bf16 on CUDA, bf16 on CPUs that compute in it. auto
    times a few steps with and without at the start of a run, and keeps to the faster."""
    keep: Literal["last", "best", "swa", "soup"] = "last"
    """Which weights predict: those of the last epoch, of the best one, the mean of the last
    `average_epochs` (swa, arXiv 1803.05407), or of the best of these, as many as help (soup, arXiv
    2203.05482). best and soup choose by validation score, which flatters the CV a little."""
    average_epochs: Annotated[int, Limit(2, 1000)] = 5
    """How many of the last epochs swa and soup average."""
    average_lr: Annotated[float, SHARE] = 0.1
    """With swa and soup, the share of the peak learning rate that it does not fall below after the warm-up,
    so that the averaged epochs differ."""
    patience: Annotated[int | None, COUNT] = None
    """Stop after this many epochs without a better validation score."""
    max_minutes: Annotated[float | None, NATURAL] = None
    """Wall time for the training of each fold: as many epochs are planned as fit into it, one at least."""
    deterministic: bool = False
    """On CUDA, only kernels that give the same bits every time, some of which are slow. CPUs always do."""
    compile: bool = False
    """Compile the network with torch.compile before it is trained: a minute or more at the start, then faster
    steps on GPUs. Needs Triton there, and a C++ compiler on CPUs."""
    devices: Annotated[int, Limit(1, 64)] = 1
    """Devices that train each fold together, each on its part of every batch, with BatchNorm's statistics of
    all of it on GPUs. Results differ by rounding, and by other draws of augmentation and dropout."""
    workers: Annotated[int | Literal["auto"], Limit(0, 1024)] = "auto"
    """Processes that load and augment images, where images are not packed. auto: as many as the time to load
    a batch is worth, at most one for each thread that computes."""
    seed: Annotated[int, SEED] = 0
    """Seed of weights, order and augmentation."""

    def unused(self) -> dict[str, str]:
        """See Group."""
        found = {}
        if not _has_momentum(self.optimizer):
            found["momentum"] = f"train.optimizer={self.optimizer} has none"
        if self.frozen_stages == -1:
            reason = "train.frozen_stages=-1 lets the backbone learn nothing"
            found |= dict.fromkeys(("backbone_lr_scale", "layer_decay", "unfreeze_every"), reason)
        if not self.averages:
            reason = f"train.keep={self.keep} averages no epochs"
            found |= dict.fromkeys(("average_epochs", "average_lr"), reason)
        return found

    @property
    def averages(self) -> bool:
        """Whether the mean of several epochs predicts."""
        return self.keep in ("swa", "soup")

    @property
    def looks_at_scores(self) -> bool:
        """Whether validation scores change what training gives."""
        return self.keep in ("best", "soup") or self.patience is not None


def _has_momentum(optimizer: str) -> bool:
    """Whether an optimizer of timm's takes one; one that does not exist is refused by the task's check."""
    if optimizer in ("sgd", "adamw"):
        return optimizer == "sgd"
    # Imported here, for it brings torch. timm documents both names, though its package does not list them.
    from timm.optim import (
        get_optimizer_info,  # pyright: ignore[reportPrivateImportUsage]  # documented
        list_optimizers,  # pyright: ignore[reportPrivateImportUsage]  # documented
    )

    return optimizer not in list_optimizers() or get_optimizer_info(optimizer).has_momentum


@dataclass(frozen=True, kw_only=True)
class PredictConfig(Group):
    """Test-time augmentation: predictions are averaged over every combination of views."""

    group: ClassVar[str] = "predict"
    flip: bool = True
    """Also the mirrored image, where training mirrors images too (`augment.horizontal_flip`)."""
    vertical_flip: bool = False
    """Also the image upside down, mirrored."""
    rot180: bool = False
    """Also the image turned by half."""
    rot90: bool = False
    """Also the image turned by one, two and three quarters."""
    batch_size: Annotated[int, COUNT] = 500
    """Most images (tiles, where there are) per forward pass; large ones are fewer. Does not change the
    result, or with `amp` by rounding only."""
    amp: Precision = "auto"
    """Mixed precision, as for training; timed apart from it."""

    def unused(self) -> dict[str, str]:
        """See Group."""
        return {"rot180": "predict.rot90 turns by half, too"} if self.rot90 else {}

    def plain(self) -> Self:
        """The same without test-time augmentation, for the validation after each epoch."""
        raise NotImplementedError
