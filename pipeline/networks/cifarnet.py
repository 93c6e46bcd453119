"""A small fast network for 32 x 32 images, in the style of the CIFAR-10 speed records.

Frozen 2 x 2 whitening convolution, then three blocks of (conv, pool, norm, GELU, conv, norm, GELU), a global
max pool and a linear head, as in airbench94 (Keller Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single
GPU", arXiv 2404.00498), narrower so that two CPU cores train it in minutes. Registered with timm, so it is
just another name.
"""

import torch
import torch.nn.functional as F
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

__all__ = ["CifarNet"]

WHITENED_IMAGES = 5000
"""Images whose patches give the whitening statistics; more change nothing visible."""


class Block(nn.Sequential):
    """conv 3x3, max pool 2, norm, GELU, conv 3x3, norm, GELU: (N, inputs, S, S) -> (N, outputs, S/2, S/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        super().__init__(
            first,
            nn.MaxPool2d(2),
            nn.BatchNorm2d(outputs, momentum=0.4),
            nn.GELU(),
            second,
            nn.BatchNorm2d(outputs, momentum=0.4),
            nn.GELU(),
        )
        for layer in (first, second):
            # Identity on the channels that have one (paper's section 3.3): early gradients reach the stem.
            nn.init.dirac_(layer.weight.data[: layer.in_channels])


class CifarNet(nn.Module):
    """See the module's docstring. Input (N, 3, 32, 32) normalised; output (N, num_classes) float logits.

    Parameters
    ----------
    widths : channels of the three blocks.
    global_pool : max, or empty for the maps themselves, without classes.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 3,
        widths: tuple[int, int, int] = (32, 128, 128),
        drop_rate: float = 0.0,
        global_pool: str = "max",
    ) -> None:
        super().__init__()
        self.global_pool = global_pool
        self.num_classes, self.num_features, self.drop_rate = num_classes, widths[-1], drop_rate
        patch = in_chans * 2 * 2
        self.whiten = nn.Conv2d(in_chans, 2 * patch, 2)
        self.whiten.requires_grad_(False)
        self.blocks = nn.Sequential(
            *(Block(i, o) for i, o in zip((2 * patch, *widths), widths, strict=False))
        )
        self.reset_classifier(num_classes)

    @torch.no_grad()
    def init_from_images(self, images: torch.Tensor) -> None:
        """Set the first convolution to the patch-whitening transform of normalised images (N, 3, H, W)."""
        patches = (
            F.unfold(images[:WHITENED_IMAGES].float().contiguous(), 2)
            .transpose(1, 2)
            .reshape(-1, images.shape[1] * 4)
        )
        values, vectors = torch.linalg.eigh((patches.T.double() @ patches.double()) / len(patches))
        filters = (vectors / (values + 5e-4).sqrt()).T.flip(0).reshape(-1, images.shape[1], 2, 2)
        self.whiten.weight.copy_(torch.cat([filters, -filters]))
        assert self.whiten.bias is not None
        self.whiten.bias.zero_()

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Which parameters form a layer, for timm's layer-wise learning rates."""
        return {"stem": r"^whiten", "blocks": r"^blocks\.(\d+)"}

    def get_classifier(self) -> nn.Module:
        """The linear head."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the head by a new one for `num_classes`, or by none for 0."""
        self.num_classes = num_classes
        if not num_classes:
            self.head = nn.Identity()
            return
        self.head = nn.Linear(self.num_features, num_classes, bias=False)
        nn.init.normal_(self.head.weight)

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, 32, 32) -> (N, num_features, 3, 3)."""
        with torch.no_grad():  # frozen: the most expensive backward, at full resolution, is never run
            whitened = F.gelu(self.whiten(images))
        return self.blocks(whitened)

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """(N, num_features, H, W) -> (N, num_classes); without classes (N, num_features), or without a pool
        the maps themselves."""
        if not self.global_pool:
            return features
        pooled = F.dropout(features.amax((2, 3)), self.drop_rate, self.training)
        if not self.num_classes:
            return pooled
        # Unit-variance head weights with small logits train faster at these rates than small weights.
        return self.head(pooled) / 9

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, 32, 32) -> (N, num_classes)."""
        return self.forward_head(self.forward_features(images))


default_cfgs = generate_default_cfgs(
    {
        "podium_cifarnet": {
            "input_size": (3, 32, 32),
            "num_classes": 10,
            "mean": (0.4914, 0.4822, 0.4465),
            "std": (0.2470, 0.2435, 0.2616),
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "first_conv": "whiten",
            "classifier": "head",
        },
        "podium_cifarnet_wide": {
            "input_size": (3, 32, 32),
            "num_classes": 10,
            "mean": (0.4914, 0.4822, 0.4465),
            "std": (0.2470, 0.2435, 0.2616),
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "first_conv": "whiten",
            "classifier": "head",
        },
    }
)


@register_model
def podium_cifarnet(pretrained: bool = False, **kwargs) -> CifarNet:
    """Widths 32-128-128, 0.5 million parameters."""
    return build_model_with_cfg(CifarNet, "podium_cifarnet", pretrained, **kwargs)


@register_model
def podium_cifarnet_wide(pretrained: bool = False, **kwargs) -> CifarNet:
    """Widths 64-256-256, airbench94's own, 2 million parameters: for a GPU."""
    return build_model_with_cfg(CifarNet, "podium_cifarnet_wide", pretrained, widths=(64, 256, 256), **kwargs)
