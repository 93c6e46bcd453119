"""RetinaNet (arXiv 1708.02002): every anchor of a pyramid predicts its class, by focal loss, and its offset
to the box."""

import torch
import torch.nn.functional as F
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.ops import sigmoid_focal_loss

import ops
from pipeline.networks.detection.one_stage import STRIDES, OneStage
from pipeline.networks.detection.parts import Targets, Trunk, flatten, grid_anchors, real_targets

SIDES = tuple(4 * 2 ** (octave / 3) for octave in range(3))
"""Of anchors, in strides."""
RATIOS = (0.5, 1.0, 2.0)
BETA = 1 / 9
"""Where smooth L1 turns from a square to a straight line."""


class RetinaNet(OneStage):
    """See the module. ``raw`` gives ``scores`` (N, A, C) and ``boxes`` (N, A, 4)."""

    def __init__(self, trunk: Trunk, num_classes: int) -> None:
        super().__init__(trunk, num_classes, boxes=len(SIDES) * len(RATIOS), values=4)
        self.coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        # Overlaps between these teach nothing; a box that no anchor overlaps as much gets its best ones.
        self.matcher = Matcher(0.5, 0.4, allow_low_quality_matches=True)

    def heads(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Class logits (N, A, C), offsets (N, A, 4), anchors (A, 4)."""
        logits, offsets = self.outputs(images)
        return logits, flatten(offsets, 4), grid_anchors(offsets, STRIDES, SIDES, RATIOS)

    def raw(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """See the class."""
        logits, offsets, anchors = self.heads(images)
        boxes = self.coder.decode_single(offsets.flatten(0, 1), anchors.repeat(images.shape[0], 1))
        return {"scores": logits.sigmoid(), "boxes": boxes.reshape(offsets.shape)}

    def losses(self, images: torch.Tensor, targets: Targets) -> dict[str, torch.Tensor]:
        """``class_loss`` and ``box_loss``; see Detector."""
        logits, offsets, anchors = self.heads(images)
        with torch.autocast(images.device.type, enabled=False):
            matched, boxes, labels = [], [], []
            for target in real_targets(targets, images):
                match = match_anchors(self.matcher, anchors, target["boxes"])
                matched.append(match)
                boxes.append(target["boxes"][match[match >= 0]])
                labels.append(target["labels"][match[match >= 0]])
            matched = torch.stack(matched)  # (N, A)
            image, anchor = (matched >= 0).nonzero(as_tuple=True)  # in the order of `boxes`
            truth = torch.zeros_like(logits)
            truth[image, anchor, torch.cat(labels)] = 1
            counts = (matched != Matcher.BETWEEN_THRESHOLDS)[..., None]
            wanted = self.coder.encode_single(torch.cat(boxes), anchors[anchor])
            distance = F.smooth_l1_loss(offsets[image, anchor], wanted, beta=BETA, reduction="sum")
            total = max(len(image), 1)
            return {
                "class_loss": (sigmoid_focal_loss(logits, truth) * counts).sum() / total,
                "box_loss": distance / total,
            }


def match_anchors(matcher: Matcher, anchors: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """For each anchor (A,) which of boxes (K, 4) it predicts, or -1 for background, or -2 for neither."""
    if len(boxes) == 0:
        return torch.full((len(anchors),), -1, dtype=torch.int64, device=anchors.device)
    return matcher(ops.box_iou(boxes, anchors, validate=False))
