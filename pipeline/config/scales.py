"""Groups of options about sizes, for tasks whose images keep their own size."""

from dataclasses import dataclass
from typing import Annotated, Self

from pipeline.base.errors import UserError
from pipeline.config.groups import AugmentConfig, PredictConfig
from pipeline.config.limits import NATURAL, Limit


@dataclass(frozen=True, kw_only=True)
class ScaledAugment(AugmentConfig):
    """Random rescaling before a square is cropped."""

    min_scale: Annotated[float, Limit(0.05, 16)] = 0.5
    """Smallest factor of random rescaling before a square is cropped."""
    max_scale: Annotated[float, Limit(0.05, 16)] = 2.0
    """Largest factor of it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_scale > self.max_scale:
            raise UserError(
                f"--augment.min-scale is {self.min_scale}, above --augment.max-scale, {self.max_scale}"
            )


@dataclass(frozen=True, kw_only=True)
class ScaledPredict(PredictConfig):
    """Several sizes of an image, and tiles of it."""

    scales: Annotated[tuple[float, ...], Limit(0.01, 8)] = (1.0,)
    """The image is predicted at each of these relative sizes."""
    tile: Annotated[int, NATURAL] = 0
    """Side in pixels of square tiles that are predicted one by one; 0: only the image whole."""
    overlap: Annotated[float, Limit(0, 0.9)] = 0.25
    """Share of a tile that it has in common with its neighbour."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.scales:
            raise UserError("--predict.scales are none, and must be one or more from 0.01 to 8")

    def unused(self) -> dict[str, str]:
        """See Group."""
        return super().unused() | ({} if self.tile else {"overlap": "predict.tile=0 makes no tiles"})


@dataclass(frozen=True, kw_only=True)
class MapPredict(ScaledPredict):
    """Test-time augmentation: predictions are averaged over every combination of views. Tiles are looked
    at instead of the whole image."""

    def plain(self) -> Self:
        """See `PredictConfig`. Tiles stay: the image may be too large without."""
        return type(self)(
            flip=False, tile=self.tile, overlap=self.overlap, batch_size=self.batch_size, amp=self.amp
        )
