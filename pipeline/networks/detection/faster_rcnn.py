"""Faster R-CNN (arXiv 1506.01497) on a feature pyramid, with Mask R-CNN's head (arXiv 1703.06870) on request.

The heads, samplers and coders are torchvision's. What lies between them is whole batches of a fixed number of
proposals, padded with empty boxes, so that there is one suppression and one RoIAlign for a batch, and the
network can be exported.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder, Matcher
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead

import ops
from pipeline.networks.detection.masks_in_boxes import mask_targets, paste
from pipeline.networks.detection.parts import (
    Detections,
    Detector,
    Targets,
    Trunk,
    cut,
    flatten,
    grid_anchors,
    image_borders,
    real_targets,
    suppress,
)
from pipeline.networks.detection.pyramid import CHANNELS, Pyramid
from pipeline.networks.detection.retinanet import BETA, match_anchors

STRIDES = (8, 16, 32, 64)
SIDES, RATIOS = (2, 3), (0.5, 1.0, 2.0)
"""Of anchors, in strides, and of height to width."""
BEST = 1000
"""Anchors of each level that may become proposals."""
PROPOSALS = 300
"""Of each image."""
PROPOSAL_IOU = 0.7
"""Proposals of a level that overlap a better one by more than this go."""
HIDDEN = 512
"""Width of the box head: half of the paper's."""
CANONICAL = 112
"""Side of the boxes pooled at stride 16: half of the pyramid paper's, for smaller inputs."""


class FasterRcnn(Detector):
    """See the module.

    ``raw`` gives, for R = PROPOSALS, ``scores`` (N, R, C), 0 for padding, and ``boxes`` (N, R, C, 4).
    """

    def __init__(self, trunk: Trunk, num_classes: int, masks: bool = False) -> None:
        super().__init__(trunk)
        self.num_classes = num_classes
        self.neck = Pyramid(trunk.channels, len(STRIDES) - len(trunk.channels))
        self.rpn_head = RPNHead(CHANNELS, len(SIDES) * len(RATIOS))
        self.box_head = nn.Sequential(
            TwoMLPHead(CHANNELS * 7 * 7, HIDDEN), FastRCNNPredictor(HIDDEN, 1 + num_classes)
        )
        self.mask_head = _mask_head(num_classes) if masks else None
        self.rpn_coder, self.coder = BoxCoder((1.0, 1.0, 1.0, 1.0)), BoxCoder((10.0, 10.0, 5.0, 5.0))
        self.rpn_matcher = Matcher(0.7, 0.3, allow_low_quality_matches=True)
        self.matcher = Matcher(0.5, 0.5)
        self.rpn_sampler = BalancedPositiveNegativeSampler(256, 0.5)
        self.sampler = BalancedPositiveNegativeSampler(128, 0.25)

    def raw(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """See the class."""
        return self._boxes(self.neck(self.features(images)), image_borders(images, None))

    def choose(
        self,
        images: torch.Tensor,
        borders: torch.Tensor,
        score_threshold: float,
        iou_threshold: float,
        max_boxes: int,
    ) -> Detections:
        """See Detector."""
        levels = self.neck(self.features(images))
        raw = self._boxes(levels, borders)
        found = suppress(raw["scores"], raw["boxes"], borders, score_threshold, iou_threshold, max_boxes)
        if self.mask_head is not None:
            logits = self._mask_logits(levels, [one["boxes"] for one in found])
            labels = torch.cat([one["labels"] for one in found])
            own = logits[torch.arange(len(labels), device=labels.device), labels].sigmoid()
            for one, shares in zip(found, own.split([len(one["labels"]) for one in found]), strict=True):
                one["masks"] = paste(shares, one["boxes"], images.shape[2:])
        return found

    def losses(self, images: torch.Tensor, targets: Targets) -> dict[str, torch.Tensor]:
        """``rpn_class_loss``, ``rpn_box_loss``, ``class_loss``, ``box_loss`` and, with masks, ``mask_loss``;
        see Detector."""
        targets = real_targets(targets, images)
        levels = self.neck(self.features(images))
        logits, offsets, anchors, counts = self._anchors(levels)
        proposals, found = self._proposals(logits, offsets, anchors, counts, image_borders(images, None))
        rois, matches = self._sample(proposals, found, targets)
        classes, shifts = self._pooled_boxes(levels, rois)
        with torch.autocast(images.device.type, enabled=False):
            losses = self._rpn_losses(logits, offsets, anchors, targets)
            losses |= self._box_losses(classes.float(), shifts.float(), rois, matches, targets)
        if self.mask_head is None:
            return losses
        with_object = [match >= 0 for match in matches]
        rois = [boxes[there] for boxes, there in zip(rois, with_object, strict=True)]
        matches = [match[there] for match, there in zip(matches, with_object, strict=True)]
        logits = self._mask_logits(levels, rois)
        with torch.autocast(images.device.type, enabled=False):
            labels = _matched(targets, "labels", matches)
            own = logits[torch.arange(len(labels), device=labels.device), labels]
            truth = mask_targets([target["masks"] for target in targets], rois, matches, own.shape[-1])
            loss = F.binary_cross_entropy_with_logits(own, truth, reduction="sum") / max(truth.numel(), 1)
            return losses | {"mask_loss": loss}

    def _anchors(
        self, levels: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[int]]:
        """Logits (N, A) and offsets (N, A, 4) of the anchors (A, 4), and how many each level has."""
        logits, offsets = self.rpn_head(levels)
        counts = [map[0].numel() for map in logits]
        anchors = grid_anchors(levels, STRIDES, SIDES, RATIOS)
        return flatten(logits, 1)[..., 0], flatten(offsets, 4), anchors, counts

    @torch.no_grad()
    def _proposals(
        self,
        logits: torch.Tensor,
        offsets: torch.Tensor,
        anchors: torch.Tensor,
        counts: list[int],
        borders: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Proposals (N, PROPOSALS, 4), the best first, padded with empty boxes; how many there are (N,)."""
        start, rows, levels = 0, [], []
        for level, (part, count) in enumerate(zip(logits.split(counts, dim=1), counts, strict=True)):
            rows.append(part.topk(min(BEST, count), dim=1).indices + start)
            levels.append(torch.full_like(rows[-1], level))
            start += count
        rows, levels = torch.cat(rows, dim=1), torch.cat(levels, dim=1)
        offsets = offsets.gather(1, rows[..., None].expand(-1, -1, 4))
        boxes = self.rpn_coder.decode_single(offsets.flatten(0, 1), anchors[rows.flatten()])
        boxes, real = cut(boxes.reshape(offsets.shape), borders)
        kept, found = ops.nms_padded(
            boxes,
            logits.gather(1, rows).sigmoid(),
            torch.where(real, levels, -1),
            PROPOSAL_IOU,
            PROPOSALS,
            validate=False,
        )
        chosen = boxes.gather(1, kept.clamp(min=0)[..., None].expand(-1, -1, 4))
        return torch.where(kept[..., None] >= 0, chosen, 0.0), found

    def _boxes(self, levels: list[torch.Tensor], borders: torch.Tensor) -> dict[str, torch.Tensor]:
        """Raw outputs, see the class."""
        proposals, found = self._proposals(*self._anchors(levels), borders)
        images, count = proposals.shape[:2]
        index = torch.arange(images, device=proposals.device, dtype=proposals.dtype)
        rois = torch.cat((index[:, None, None].expand(-1, count, 1), proposals), dim=2)
        logits, offsets = self._pooled_boxes(levels, rois.flatten(0, 1))
        boxes = self.coder.decode_single(offsets.float(), proposals.flatten(0, 1))
        scores = logits.float().softmax(dim=1).reshape(images, count, -1)[..., 1:]
        padding = torch.arange(count, device=found.device) >= found[:, None]
        return {
            "scores": scores.masked_fill(padding[..., None], 0),
            "boxes": boxes.reshape(images, count, -1, 4)[:, :, 1:],
        }

    def _pooled_boxes(
        self, levels: list[torch.Tensor], rois: list[torch.Tensor] | torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Class logits (R, 1 + C) and offsets (R, 4 * (1 + C)) of the boxes of all images, see `_pool`."""
        return self.box_head(_pool(levels, rois, 7))

    def _mask_logits(self, levels: list[torch.Tensor], boxes: list[torch.Tensor]) -> torch.Tensor:
        """Float32 (K, C, 28, 28) of the boxes of all images."""
        assert self.mask_head is not None
        return self.mask_head(_pool(levels, boxes, 14)).float()

    def _rpn_losses(
        self, logits: torch.Tensor, offsets: torch.Tensor, anchors: torch.Tensor, targets: Targets
    ) -> dict[str, torch.Tensor]:
        matched = [match_anchors(self.rpn_matcher, anchors, target["boxes"]) for target in targets]
        # Its codes: 1 for an object, 0 for background, -1 for neither.
        codes = [torch.where(match >= 0, 1, torch.where(match == -1, 0, -1)) for match in matched]
        positive, negative = (torch.stack(masks).bool() for masks in self.rpn_sampler(codes))
        sampled = positive | negative
        image, anchor = positive.nonzero(as_tuple=True)
        taken = [match[mask] for match, mask in zip(matched, positive, strict=True)]
        wanted = self.rpn_coder.encode_single(_matched(targets, "boxes", taken), anchors[anchor])
        total = sampled.sum().clamp(min=1)
        distance = F.smooth_l1_loss(offsets[image, anchor], wanted, beta=BETA, reduction="sum")
        objects = F.binary_cross_entropy_with_logits(
            logits[sampled], positive[sampled].float(), reduction="sum"
        )
        return {"rpn_class_loss": objects / total, "rpn_box_loss": distance / total}

    @torch.no_grad()
    def _sample(
        self, proposals: torch.Tensor, found: torch.Tensor, targets: Targets
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """For each image boxes to learn from (R, 4), the true ones among them, and which true box each shows
        (R,), -1 for background."""
        rois, matches = [], []
        for boxes, count, target in zip(proposals, found.tolist(), targets, strict=True):
            boxes = torch.cat((boxes[:count], target["boxes"]))
            match = match_anchors(self.matcher, boxes, target["boxes"])
            positive, negative = self.sampler([(match >= 0).long()])
            chosen = (positive[0] | negative[0]).bool()
            rois.append(boxes[chosen])
            matches.append(match[chosen])
        return rois, matches

    def _box_losses(
        self,
        logits: torch.Tensor,
        offsets: torch.Tensor,
        rois: list[torch.Tensor],
        matches: list[torch.Tensor],
        targets: Targets,
    ) -> dict[str, torch.Tensor]:
        match = torch.cat(matches)
        rows = (match >= 0).nonzero()[:, 0]
        taken = [one[one >= 0] for one in matches]
        classes = torch.zeros_like(match)
        classes[rows] = 1 + _matched(targets, "labels", taken)
        wanted = self.coder.encode_single(_matched(targets, "boxes", taken), torch.cat(rois)[rows])
        own = offsets.reshape(len(offsets), -1, 4)[rows, classes[rows]]
        total = max(len(match), 1)
        distance = F.smooth_l1_loss(own, wanted, beta=BETA, reduction="sum")
        return {
            "class_loss": F.cross_entropy(logits, classes, reduction="sum") / total,
            "box_loss": distance / total,
        }


def _mask_head(num_classes: int) -> nn.Module:
    """Features (K, CHANNELS, 14, 14) to logits (K, C, 28, 28), a mask for each class."""
    predictor = MaskRCNNPredictor(CHANNELS, CHANNELS, num_classes)
    # The library's start, made for normalised features, gives logits so large that the first steps diverge.
    last = predictor.get_submodule("mask_fcn_logits")
    assert isinstance(last, nn.Conv2d)
    nn.init.normal_(last.weight, std=0.001)
    return nn.Sequential(MaskRCNNHeads(CHANNELS, (CHANNELS,) * 4, 1), predictor)


def _pool(levels: list[torch.Tensor], boxes: list[torch.Tensor] | torch.Tensor, side: int) -> torch.Tensor:
    """(K, CHANNELS, side, side) of the boxes of all images, a list of (L, 4) or one tensor (K, 5) with the
    image's number first; the coarsest level is for proposals alone."""
    return ops.multiscale_roi_align(
        levels[:-1],
        boxes,
        side,
        [1 / stride for stride in STRIDES[:-1]],
        sampling_ratio=2,
        aligned=True,
        canonical_scale=CANONICAL,
        validate=False,
    )


def _matched(targets: Targets, name: str, matches: list[torch.Tensor]) -> torch.Tensor:
    """The rows `matches`, none of them -1, of what each image's target has by that name, joined."""
    return torch.cat([target[name][match] for target, match in zip(targets, matches, strict=True)])
