"""Detectors: what they learn, what they find, and that every suppression and RoI is the project's own."""

import math

import pytest
import timm
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import ops
from pipeline.base.errors import UserError
from pipeline.networks.detection.detector import DETECTORS, build_detector
from pipeline.networks.detection.fcos import assign, centerness_of
from pipeline.networks.detection.fcos import decode as fcos_decode
from pipeline.networks.detection.masks_in_boxes import mask_targets, paste
from pipeline.networks.detection.parts import Detector, grid_anchors, suppress
from pipeline.networks.groups import parameter_groups
from pipeline.tasks.detection.config import ModelConfig, TrainConfig

SIDE, CLASSES = 96, 3
BACKBONE = "mobilenetv2_035"
VARIANTS = [*DETECTORS, "mask_rcnn"]


def build(variant: str, load: bool = True, mask_head: bool = False, **options) -> Detector:
    """The detector of a variant, with three classes; `options` are the config's."""
    config = ModelConfig(**{"name": BACKBONE, "image_size": SIDE, **options})
    if variant == "mask_rcnn":
        return build_detector(config, "faster_rcnn", CLASSES, mask_head=True, load=load)
    return build_detector(config, variant, CLASSES, mask_head, load)


@pytest.fixture(params=VARIANTS)
def variant(request) -> str:
    return request.param


@pytest.fixture
def model(variant):
    torch.manual_seed(0)
    return build(variant).to(memory_format=torch.channels_last)


def images(count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(count, 3, SIDE, SIDE, generator=generator)
    return pixels.contiguous(memory_format=torch.channels_last)


def target(boxes: list[list[float]], labels: list[int]) -> dict[str, torch.Tensor]:
    masks = torch.zeros(len(boxes), SIDE, SIDE, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[int(y1) : int(y2), int(x1) : int(x2)] = 1
    return {
        "boxes": torch.tensor(boxes).float().reshape(-1, 4),
        "labels": torch.tensor(labels).long(),
        "masks": masks,
    }


TWO = [target([[10, 12, 50, 60], [40, 8, 88, 40]], [0, 2]), target([[20, 20, 80, 84]], [1])]


class TestLosses:
    def test_every_parameter_learns_from_a_batch(self, model):
        losses = model(images(), TWO)
        assert all(loss.dtype == torch.float32 and loss.dim() == 0 for loss in losses.values())
        assert all(0 < loss.item() < 100 for loss in losses.values())
        sum(losses.values()).backward()
        still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
        assert still == []
        # A level whose boxes are all larger or smaller than these has none to give to anyone.
        by_level = ("scales", "box_heads")
        flat = [n for n, p in model.named_parameters() if not p.grad.any() and not n.startswith(by_level)]
        assert flat == []

    @pytest.mark.parametrize("boxes", [[], [[10.0, 10.0, 10.0, 50.0]], [[100.0, 0.0, 120.0, 50.0]]])
    def test_a_batch_without_real_boxes_has_finite_losses_and_gradients(self, model, boxes):
        losses = model(images(), [target(boxes, [0] * len(boxes)), target([], [])])
        assert all(math.isfinite(loss.item()) for loss in losses.values())
        assert all(loss.item() == 0 for name, loss in losses.items() if "box" in name or "mask" in name)
        sum(losses.values()).backward()
        gradients = [p.grad for p in model.backbone.parameters()]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.any() for gradient in gradients), "background teaches, too"

    def test_an_empty_image_among_others(self, model):
        losses = model(images(), [TWO[0], target([], [])])
        assert all(math.isfinite(loss.item()) and loss.item() > 0 for loss in losses.values())

    def test_mixed_precision_gives_float32_losses_close_to_full(self, model):
        model.eval()  # the same statistics for both
        torch.manual_seed(0)
        full = model(images(), TWO)
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model(images(), TWO)
            found = model.detect(images(), 0.0)
        assert all(loss.dtype == torch.float32 for loss in mixed.values())
        assert all(one["boxes"].dtype == one["scores"].dtype == torch.float32 for one in found)
        assert sum(mixed.values()).item() == pytest.approx(sum(full.values()).item(), rel=0.2)


LONG = {"faster_rcnn", "mask_rcnn"}


@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in VARIANTS]
)
def test_one_batch_is_learned_by_heart(variant):
    """Boxes of one colour each on grey, found again with their classes."""
    torch.manual_seed(0)
    model = build(variant)
    pixels = torch.zeros(2, 3, SIDE, SIDE)
    for image, truth in zip(pixels, TWO, strict=True):
        for box, label in zip(truth["boxes"].int().tolist(), truth["labels"].tolist(), strict=True):
            image[label, box[1] : box[3], box[0] : box[2]] = 2.0
    for module in model.backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5  # its averages have only these few steps
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(60):
        loss = sum(model(pixels, TWO).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = model.eval().detect(pixels, score_threshold=0.3)
    for one, truth in zip(found, TWO, strict=True):
        iou = ops.box_iou(truth["boxes"], one["boxes"])
        same = truth["labels"][:, None] == one["labels"]
        best, which = torch.where(same, iou, 0).max(dim=1)
        assert (best > 0.6).all(), (best, one)
        if variant == "mask_rcnn":
            found_masks = one["masks"][which]
            both = (found_masks & truth["masks"].bool()).sum(dim=(1, 2))
            either = (found_masks | truth["masks"].bool()).sum(dim=(1, 2))
            assert (both / either > 0.5).all()


class TestDetect:
    def test_shapes_order_and_limits(self, variant, model):
        found = model.eval().detect(images(), score_threshold=0.0, max_boxes=7)
        assert len(found) == 2
        for one in found:
            boxes, scores, labels = one["boxes"], one["scores"], one["labels"]
            assert boxes.shape == (7, 4) and scores.shape == labels.shape == (7,)
            assert (scores.diff() <= 0).all() and (scores > 0).all() and (scores <= 1).all()
            assert labels.dtype == torch.int64 and (labels >= 0).all() and (labels < CLASSES).all()
            assert (boxes >= 0).all() and (boxes <= SIDE).all() and (boxes[:, 2:] > boxes[:, :2]).all()
            assert ("masks" in one) == (variant == "mask_rcnn")
            if "masks" in one:
                assert one["masks"].shape == (7, SIDE, SIDE) and one["masks"].dtype == torch.bool

    def test_nothing_found_is_no_error(self, model):
        for one in model.eval().detect(images(), score_threshold=1.0):
            assert all(len(value) == 0 for value in one.values())
            assert one["boxes"].shape == (0, 4) and one["labels"].dtype == torch.int64

    def test_boxes_stay_out_of_the_padding(self, model):
        found = model.eval().detect(images(), score_threshold=0.0, sizes=[(96, 40), (30, 96)])
        assert all(len(one["boxes"]) for one in found)
        assert found[0]["boxes"][:, 2].max() <= 40 and found[1]["boxes"][:, 3].max() <= 30

    def test_does_not_depend_on_the_batch(self, model):
        batch = images(3)
        together = model.eval().detect(batch, score_threshold=0.0, max_boxes=5)
        for i, one in enumerate(together):
            (alone,) = model.detect(batch[i : i + 1], score_threshold=0.0, max_boxes=5)
            torch.testing.assert_close(alone["scores"], one["scores"], rtol=1e-4, atol=1e-5)
            # Of random weights many boxes are as good as one another: each must be there, in some order.
            assert len(alone["boxes"]) == len(one["boxes"])

    def test_training_mode_is_refused(self, model):
        with pytest.raises(RuntimeError, match="detect needs evaluation mode"):
            model.detect(images())

    def test_boxes_of_one_class_suppress_each_other(self):
        boxes = torch.tensor([[[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [5, 5, 5, 9]]]).float()
        scores = torch.tensor([[[0.9, 0.1], [0.8, 0.7], [0.3, 0.6], [1.0, 1.0]]])
        (found,) = suppress(scores, boxes, torch.tensor([[[28.0, 28, 28, 28]]]), 0.2, 0.5, 10)
        torch.testing.assert_close(found["scores"], torch.tensor([0.9, 0.7, 0.6, 0.3]))
        assert found["labels"].tolist() == [0, 1, 1, 0]
        assert found["boxes"][2].tolist() == [20, 20, 28, 28]

    def test_each_class_may_have_boxes_of_its_own(self):
        boxes = torch.tensor([[[[0, 0, 4, 4], [0, 0, 8, 8]]]]).float()
        (found,) = suppress(torch.tensor([[[0.4, 0.6]]]), boxes, torch.full((1, 1, 4), 9.0), 0.1, 0.5, 10)
        assert found["boxes"].tolist() == [[0, 0, 8, 8], [0, 0, 4, 4]] and found["labels"].tolist() == [1, 0]


class Watch(TorchDispatchMode):
    """Refuses every operator of torchvision's library and notes those of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.namespace != "torchvision", f"{func} was called"
        if func.namespace == "podium":
            self.used.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_suppression_and_rois_are_the_projects_own(variant, model, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("torchvision's own operator was called")

    for place in (
        "torchvision.ops.nms",
        "torchvision.ops.batched_nms",
        "torchvision.ops.roi_align",
        "torchvision.ops.boxes.nms",
        "torchvision.ops.boxes.batched_nms",
        "torchvision.models.detection.roi_heads.roi_align",
    ):
        monkeypatch.setattr(place, refuse)
    with Watch() as training:
        sum(model(images(), TWO).values()).backward()
    model.eval()
    with Watch() as evaluation:
        model.detect(images(), score_threshold=0.0)
    assert "nms_padded" in evaluation.used
    assert ("pairwise_iou" in training.used) == (variant != "fcos")
    if variant in ("faster_rcnn", "mask_rcnn"):
        assert {"nms_padded", "multiscale_roi_align", "multiscale_roi_align_backward"} <= training.used
        assert "multiscale_roi_align" in evaluation.used
    assert ("roi_align" in training.used) == (variant == "mask_rcnn")


def test_the_watch_sees_torchvisions_operators():
    import torchvision

    with Watch(), pytest.raises(AssertionError, match="was called"):
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)


@pytest.mark.parametrize("variant", ["fcos", "faster_rcnn"])
def test_exports_with_fixed_sizes(variant, model):
    model.eval()
    exported = torch.export.export(model, (images(),)).module()
    for name, value in exported(images()).items():
        torch.testing.assert_close(value, model(images())[name])


class TestBuild:
    def test_backbone_and_head_are_told_apart(self, model):
        groups = parameter_groups(model, TrainConfig(backbone_lr_scale=0.1))
        count = {
            name: sum(p.numel() for g in groups if g.name == name for p in g.parameters)
            for name in ("backbone", "head")
        }
        assert count["backbone"] == sum(p.numel() for p in model.backbone.parameters())
        parts = [p for part in model.get_classifier() for p in part.parameters()]
        assert count["head"] == sum(p.numel() for p in parts)
        assert model.pretrained_cfg["mean"] == timm.get_pretrained_cfg(BACKBONE).mean

    @pytest.mark.parametrize("name", ["resnet10t", "swin_tiny_patch4_window7_224"])
    def test_other_backbones(self, name):
        model = build("ssd", name=name).eval()
        assert len(model.detect(images(1), score_threshold=0.0)) == 1

    def test_a_classifiers_weights_fit_the_backbone(self, tmp_path):
        classifier = timm.create_model(BACKBONE, num_classes=5)
        torch.save(classifier.state_dict(), tmp_path / "w.pt")
        model = build("fcos", weights=str(tmp_path / "w.pt"))
        own, given = model.backbone.state_dict(), classifier.state_dict()
        assert all(torch.equal(value, given[name]) for name, value in own.items())

    def test_a_checkpoint_that_replaces_them_anyway_loads_none(self, tmp_path):
        gone = {"weights": str(tmp_path / "gone.pt")}
        with pytest.raises(UserError):
            build("fcos", **gone)
        for options in (gone, {"pretrained": True}):
            torch.manual_seed(0)
            found = build("fcos", load=False, **options).state_dict()
            torch.manual_seed(0)
            random = build("fcos").state_dict()
            assert all(torch.equal(value, random[name]) for name, value in found.items())

    @pytest.mark.parametrize(
        "options, message",
        [
            (
                {"name": "mobilenetv2_03"},
                r"no model is called 'mobilenetv2_03': did you mean .*mobilenetv2_035",
            ),
            (
                {"name": "vit_tiny_patch16_224"},
                r"has features at strides 16, 16, 16; detectors need 8, 16 and 32",
            ),
            ({"name": "podium_cifarnet"}, r"podium_cifarnet does not give its inner features \("),
            ({"mask_head": True}, r"the detector fcos has no masks: choose --model\.detector faster_rcnn"),
            ({"weights": "gone.pt"}, r"the weights file gone\.pt does not exist; check --model\.weights"),
        ],
    )
    def test_what_cannot_be_built_is_one_sentence(self, options, message):
        with pytest.raises(UserError, match=message) as error:
            build("fcos", **options)
        assert "\n" not in str(error.value)

    def test_an_unknown_detector_is_answered_with_those_there_are(self):
        with pytest.raises(UserError, match="no detector is called 'yolo': there are faster_rcnn, fcos, re"):
            build("yolo")


class TestParts:
    def test_anchors_lie_on_the_centres_of_cells(self):
        anchors = grid_anchors([torch.zeros(1, 1, 1, 2)], [8], [1, 2], [1.0, 4.0])
        assert anchors[:4].tolist() == [[0, 0, 8, 8], [2, -4, 6, 12], [-4, -4, 12, 12], [0, -12, 8, 20]]
        torch.testing.assert_close(anchors[4:], anchors[:4] + torch.tensor([8.0, 0, 8, 0]))

    def test_fcos_gives_a_cell_the_smallest_box_around_it(self):
        points, steps = torch.tensor([[20.0, 20], [60, 60], [20, 20]]), torch.tensor([8.0, 8, 128])
        boxes = torch.tensor([[0.0, 0, 40, 40], [10, 10, 30, 30], [52, 52, 90, 90]])
        # The second point is 11 pixels from the last box's centre: within 1.5 strides.
        assert assign(points, steps, boxes).tolist() == [1, 2, -1]
        assert assign(points, steps, boxes[:0]).tolist() == [-1, -1, -1]

    def test_fcos_decodes_distances_and_centerness(self):
        box = fcos_decode(
            torch.log(torch.tensor([[1.0, 2, 3, 4]])), torch.tensor([[50.0, 50]]), torch.tensor([8.0])
        )
        torch.testing.assert_close(box, torch.tensor([[42.0, 34, 74, 82]]))
        # sqrt(1/3 * 2/4), equation 3
        torch.testing.assert_close(
            centerness_of(torch.tensor([[50.0, 50]]), box), torch.tensor([(1 / 6) ** 0.5])
        )

    def test_a_mask_goes_into_its_box_and_back(self):
        truth = TWO[0]["masks"]
        boxes = torch.tensor([[4.0, 4, 60, 72], [30, 2, 94, 50]])
        small = mask_targets([truth], [boxes], [torch.tensor([0, 1])], 28)
        assert small.shape == (2, 28, 28) and 0 < small.mean() < 1
        back = paste(small, boxes, (SIDE, SIDE))
        both, either = (back & truth.bool()).sum(dim=(1, 2)), (back | truth.bool()).sum(dim=(1, 2))
        assert (both / either > 0.95).all()

    def test_a_full_mask_fills_its_box_exactly(self):
        pasted = paste(torch.ones(1, 28, 28), torch.tensor([[10.0, 20, 30, 50]]), (60, 40))
        assert pasted.sum() == 20 * 30 and pasted[0, 20:50, 10:30].all()
