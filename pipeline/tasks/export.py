"""A trained network as a graph for other programs: the pixels of images go in, what the task predicts comes
out.

Preprocessing is inside. A resize is two products with matrices, which follow from the image's height and
width in the graph, so that these may be anything; the matrices hold OpenCV's weights (areas where an image
shrinks, the network's interpolation where it grows), and results are those of `pipeline.inputs.preprocess`
but for the rounding of a pixel to its 256 levels.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import nn

from pipeline.inputs.preprocess import Preprocess, mean_color

Activate = Callable[[torch.Tensor], torch.Tensor]
"""From a network's float32 outputs to predictions."""
CUBIC = -0.75
"""OpenCV's parameter of bicubic interpolation."""


class Graph(nn.Module):
    """Images (N, H, W, C), uint8 or, where images are not of 8 bits, float32 from 0 to 1, to a tuple of
    tensors.

    Parameters
    ----------
    model : the trained network.
    """

    outputs: ClassVar[dict[str, str]]
    """Name of each output, and what it is."""
    any_size: ClassVar[bool] = True
    """Whether height and width may be anything; if not, they are those of the example it is exported with."""
    averages: ClassVar[bool] = True
    """Whether outputs of several networks have a mean."""

    def __init__(self, model: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.model, self.preprocess = model, preprocess
        shape = (1, preprocess.channels, 1, 1)
        self.register_buffer("mean", torch.tensor(preprocess.mean).view(shape))
        self.register_buffer("std", torch.tensor(preprocess.std).view(shape))
        self.register_buffer("fill", torch.tensor(mean_color(preprocess), dtype=torch.float32).view(shape))

    def placed(self, images: torch.Tensor, interpolation: str, center: bool = True) -> "Placed":
        """Images as the preprocessing's fit brings them to the network's input.

        Parameters
        ----------
        interpolation : where an image grows.
        center : whether an image that does not fill the input lies in its middle, and not at its upper left.
        """
        preprocess = self.preprocess
        old = _lengths(images)
        new = _new_lengths(old, preprocess)
        room = torch.tensor(preprocess.shape, dtype=torch.float64, device=images.device) - new
        # The lower half of an odd rest lies before an image that is padded, and of one that is cropped.
        before = torch.floor(room.abs() / 2) * room.sign() if center else torch.zeros_like(room)
        rows, columns = _resize_matrices(images, old, new, -before, preprocess, interpolation)
        pixels = rows @ images.permute(0, 3, 1, 2).float() @ columns.mT
        if not preprocess.deep:
            pixels = pixels.round().clamp(0, 255)
        inside = (rows.sum(dim=1) > 0.5)[:, None] & (columns.sum(dim=1) > 0.5)
        return Placed(torch.where(inside, pixels, self.get_buffer("fill")), old, new)

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """As the network wants its input."""
        white = 1.0 if self.preprocess.deep else 255.0
        return (pixels / white - self.get_buffer("mean")) / self.get_buffer("std")


class Placed(NamedTuple):
    """Pixels (N, C, H, W) of the network's input, and height and width (2,) of the images before and after
    their resize."""

    pixels: torch.Tensor
    old: torch.Tensor
    new: torch.Tensor


class Mean(nn.Module):
    """The mean of several graphs' outputs.

    Parameters
    ----------
    weights : of each graph; they sum to 1.
    """

    def __init__(self, graphs: Sequence[Graph], weights: Sequence[float]) -> None:
        super().__init__()
        self.graphs, self.weights = nn.ModuleList(graphs), list(weights)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """As each graph."""
        found = [graph(images) for graph in self.graphs]
        return tuple(
            torch.stack([one * weight for one, weight in zip(same, self.weights, strict=True)]).sum(dim=0)
            for same in zip(*found, strict=True)
        )


class WholeImageGraph(Graph):
    """Each image as the network sees it, and one vector of numbers for it."""

    outputs: ClassVar[dict[str, str]] = {"predictions": "float32 (N, K): a column for each class or target"}

    def __init__(self, model: nn.Module, preprocess: Preprocess, activate: Activate) -> None:
        super().__init__(model, preprocess)
        self.activate = activate

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        pixels = self.placed(images, self.preprocess.interpolation).pixels
        return (self.activate(self.model(self.normalised(pixels)).float()),)


class PixelGraph(Graph):
    """Numbers of each pixel of images of one size, that at which the network looks at them."""

    outputs: ClassVar[dict[str, str]] = {
        "predictions": "float32 (N, K, H, W): numbers from 0 to 1 at each pixel, such as probabilities"
    }
    any_size: ClassVar[bool] = False

    def __init__(self, model: nn.Module, preprocess: Preprocess, activate: Activate) -> None:
        super().__init__(model, preprocess)
        self.activate = activate

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        pixels = images.permute(0, 3, 1, 2).float()
        return (self.activate(self.model(self.normalised(pixels)).float()),)


def _lengths(images: torch.Tensor) -> torch.Tensor:
    """Height and width of images (N, H, W, C) as float64 (2,) that a graph computes."""
    ones = torch.ones_like(images[0, :, :, 0], dtype=torch.float64)
    return torch.stack((ones[:, 0].sum(), ones[0].sum()))


def _new_lengths(old: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """Height and width (2,) to which an image is resized, before it is cropped or padded."""
    shape = torch.tensor(preprocess.shape, dtype=torch.float64, device=old.device)
    if preprocess.fit == "resize":
        return shape
    if preprocess.fit == "center_crop":
        least = torch.tensor([round(side / preprocess.crop_share) for side in preprocess.shape]).to(old)
        # An image that has the input's size is left alone.
        scale = torch.where((old == shape).all(), 1.0, (least / old).max())
    else:
        scale = (shape / old).min()
    return torch.round(old * scale).clamp(min=1)


def _resize_matrices(
    images: torch.Tensor,
    old: torch.Tensor,
    new: torch.Tensor,
    first: torch.Tensor,
    how: Preprocess,
    kind: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (S, L) by which the L pixels of a side become the S of the input, from number `first` of the
    `new` ones on; for the height and the width. Rows outside the new length are zero.

    Parameters
    ----------
    old, new, first : of height and width (2,), float64.
    kind : interpolation where an image grows.
    """
    shrinks, never_grows = (new < old).any(), (new <= old).all()
    found = []
    for place, (size, line) in enumerate(
        zip(how.shape, (images[0, :, 0, 0], images[0, 0, :, 0]), strict=True)
    ):
        source = torch.ones_like(line, dtype=torch.float64).cumsum(0) - 1
        target = torch.arange(size, dtype=torch.float64, device=images.device) + first[place]
        step, last = old[place] / new[place], old[place]
        smaller = torch.where(
            never_grows, _areas(source, target, step, last), _mixed(source, target, step, last)
        )
        weights = torch.where(shrinks, smaller, _taps(source, target, step, last, kind))
        inside = (target >= 0) & (target < new[place])
        found.append(torch.where(inside[:, None], weights, 0.0).float())
    return found[0], found[1]


def _areas(source: torch.Tensor, target: torch.Tensor, step: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """Share of each target pixel (rows) that each source pixel (columns) covers."""
    low, high = (target * step)[:, None], torch.minimum((target + 1) * step, old)[:, None]
    covered = (torch.minimum(source + 1, high) - torch.maximum(source, low)).clamp(min=0)
    return covered / covered.sum(dim=1, keepdim=True).clamp(min=1e-12)


def _taps(
    source: torch.Tensor, target: torch.Tensor, step: torch.Tensor, old: torch.Tensor, interpolation: str
) -> torch.Tensor:
    """Interpolation between source pixels, whose last ones are repeated beyond the image."""
    if interpolation == "nearest":
        return _one_hot(source, torch.floor(target * step).clamp(min=0), old)
    place = (target + 0.5) * step - 0.5
    left = torch.floor(place)
    part = place - left
    taps = {0: 1 - part, 1: part} if interpolation == "bilinear" else _cubic(part)
    return sum(
        (_one_hot(source, left + offset, old) * weight[:, None] for offset, weight in taps.items()),
        start=torch.zeros((), dtype=torch.float64, device=source.device),
    )


def _mixed(source: torch.Tensor, target: torch.Tensor, step: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """What OpenCV's areas become where one side of an image shrinks and the other grows."""
    left = torch.floor(target * step)
    part = (target + 1) - (left + 1) / step
    part = torch.where(part <= 0, 0.0, part - torch.floor(part))
    return _one_hot(source, left, old) * (1 - part)[:, None] + _one_hot(source, left + 1, old) * part[:, None]


def _one_hot(source: torch.Tensor, place: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    inside = torch.minimum(place.clamp(min=0), old - 1)
    return (source[None] == inside[:, None]).double()


def _cubic(part: torch.Tensor) -> dict[int, torch.Tensor]:
    def near(x: torch.Tensor) -> torch.Tensor:
        return ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1

    def far(x: torch.Tensor) -> torch.Tensor:
        return ((CUBIC * x - 5 * CUBIC) * x + 8 * CUBIC) * x - 4 * CUBIC

    return {-1: far(part + 1), 0: near(part), 1: near(1 - part), 2: far(2 - part)}
