"""How much of an image's resolution a config can use: reading more would be work for nothing."""

import math
from dataclasses import dataclass

from pipeline.config.groups import ImageSize, sides

PAYS = 0.7
"""Share of its pixels that an image must shrink to before it is made smaller at all: to draw the same picture
once more at almost its own size costs sharpness and saves little."""


@dataclass(frozen=True)
class Reach:
    """The smallest size at which an image still has a pixel for every pixel of the network's input.

    Attributes
    ----------
    height, width : in pixels, that an image is brought to before anything else is done with it.
    covers : whether an image must reach both of them, or may lie inside them and touch one.
    """

    height: int
    width: int
    covers: bool = True

    @classmethod
    def of(cls, size: ImageSize, margin: float = 1.0, covers: bool = True) -> "Reach":
        """That of an input of this size.

        Parameters
        ----------
        margin : how many times as large as the input an image has to be, each side, for crops that are
            enlarged.
        """
        height, width = (math.ceil(round(side * margin, 6)) for side in sides(size))
        return cls(height, width, covers)

    def shape(self, height: int, width: int) -> tuple[int, int] | None:
        """Height and width to which an image of this size is made smaller; None: it is left as it is."""
        factors = (self.height / height, self.width / width)
        scale = max(factors) if self.covers else min(factors)
        if scale**2 > PAYS:
            return None
        return tuple(max(1, math.ceil(round(side * scale, 6))) for side in (height, width))  # pyright: ignore[reportReturnType]  # two of them
