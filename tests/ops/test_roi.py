"""RoI operators: worked examples, the reference, torchvision, and everything a torch operator must do."""

import os
import subprocess
import sys

import pytest
import torch
import torchvision
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torchvision.models.detection.anchor_utils import AnchorGenerator

from ops import reference_roi as reference
from ops.ps_roi import ps_roi_align, ps_roi_pool
from ops.roi import multiscale_roi_align, pyramid_levels, roi_align
from ops.roi_modules import MultiScaleRoIAlign, RoIAlign, RoIPool
from ops.roi_pool import roi_pool

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
TOLERANCE = {torch.float16: 4e-3, torch.bfloat16: 3e-2, torch.float32: 2e-5, torch.float64: 1e-9}
NAMES = ["roi_align", "multiscale_roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool"]
OPS = torch.ops.podium


def make_rois(count: int, images: int, height: float, width: float, seed: int) -> torch.Tensor:
    """RoIs (K, 5) in and about the image: small and large, some inverted, some points, some whole numbers."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    size = torch.tensor([width, height], dtype=torch.float64)
    centre, extent = (uniform(count, 2) * 1.4 - 0.2) * size, uniform(count, 2) ** 3 * size * 1.3
    extent = extent * torch.where(uniform(count, 1) < 0.1, -1, 1)
    corners = torch.cat([centre - extent / 2, centre + extent / 2], dim=1)
    corners = torch.where(uniform(count, 1) < 0.2, corners.round(), corners)
    corners = torch.where(uniform(count, 1) < 0.1, corners[:, [0, 1, 0, 1]], corners)
    image = torch.randint(0, images, (count, 1), generator=generator)
    return torch.cat([image.double(), corners], dim=1)


def close(actual: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype, scale: float = 1) -> None:
    tolerance = TOLERANCE[dtype] * scale
    torch.testing.assert_close(actual, expected.to(actual.dtype), rtol=tolerance, atol=tolerance)


def run(name: str, input, rois, size=(3, 2), scale=0.5, ratio=2, aligned=False, validate=True):
    """An operator by its name, with arguments that suit it."""
    if name == "roi_align":
        return roi_align(input, rois, size, scale, ratio, aligned, validate)
    if name == "multiscale_roi_align":
        features = [input, input[:, :, ::2, ::2]]
        return multiscale_roi_align(
            features, rois, size, [scale, scale / 2], ratio, aligned, 8, 1, validate=validate
        )
    if name == "roi_pool":
        return roi_pool(input, rois, size, scale, validate)
    if name == "ps_roi_align":
        return ps_roi_align(input, rois, size, scale, ratio, validate)
    return ps_roi_pool(input, rois, size, scale, validate)


def run_reference(name: str, input, rois, size=(3, 2), scale=0.5, ratio=2, aligned=False):
    """The same, from the reference."""
    if name == "roi_align":
        return reference.roi_align(input, rois, scale, *size, ratio, aligned)
    if name == "multiscale_roi_align":
        scales = [scale, scale / 2]
        levels = pyramid_levels(rois[:, 1:], scales, 8, 1)
        features = [input, input[:, :, ::2, ::2]]
        return reference.multiscale_roi_align(features, rois, levels, scales, *size, ratio, aligned)
    if name == "roi_pool":
        return reference.roi_pool(input, rois, scale, *size)[0]
    if name == "ps_roi_align":
        return reference.ps_roi_align(input, rois, scale, *size, ratio)
    return reference.ps_roi_pool(input, rois, scale, *size)


def sample(device="cpu", dtype=torch.float32, channels=12, count=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    input = torch.randn(2, channels, 9, 11, generator=generator, dtype=torch.float64).to(device, dtype)
    return input, make_rois(count, 2, 18, 22, seed).to(
        device, torch.float64 if dtype == torch.float64 else torch.float32
    )


# Worked examples


@pytest.mark.parametrize("device", DEVICES)
def test_worked_examples(device) -> None:
    def image(values, *shape):
        return torch.as_tensor(values, dtype=torch.float32, device=device).reshape(1, -1, *shape)

    def box(*corners):
        return torch.tensor([[0.0, *corners]], device=device)

    def same(actual, *expected):
        torch.testing.assert_close(
            actual.flatten().cpu(), torch.tensor(expected, dtype=torch.float32), rtol=1e-5, atol=1e-5
        )

    ramp = image(torch.arange(25), 5, 5)
    rows = [
        [7.5, 8, 8.5, 9],
        [10, 10.5, 11, 11.5],
        [12.5, 13, 13.5, 14],
        [15, 15.5, 16, 16.5],
    ]
    same(roi_align(ramp, box(1, 1, 3, 3), 4, 1, 0), *[value for row in rows for value in row])
    same(roi_align(ramp, box(1, 1, 3, 3), 4, 1, 0, True), *[value - 3 for row in rows for value in row])
    same(roi_align(ramp, box(-3, -3, 9, 9), 2, 1, -1, True), 2, 2.472222, 6.361111, 5.5)

    small = image([[1, 2, 5, 6], [3, 4, 7, 8], [9, 10, 13, 14], [11, 12, 15, 16]], 4, 4).requires_grad_()
    pooled = roi_align(small, box(0, 0, 3, 3), 2, 1, 2, True)
    same(pooled, 1.9375, 4.75, 7.5625, 10.375)
    same(roi_align(small, box(0, 0, 3, 3), 2, 1, 2), 3.625, 6.875, 10.125, 13.375)
    pooled.sum().backward()
    row = [0.47265625, 0.4296875, 0.4296875, 0.04296875]
    same(small.grad[0, 0, 0], *row)
    same(small.grad[0, 0, 1], 0.4296875, 0.390625, 0.390625, 0.0390625)
    same(roi_pool(small, box(0, 0, 3, 3), 2), 4, 8, 12, 16)

    ramp = image(torch.arange(16), 4, 4)
    same(roi_pool(ramp, box(0, 0, 20, 20), 2, 0.1), 5, 6, 9, 10)
    same(roi_pool(ramp, box(0, 10, 30, 30), 2, 0.1), 9, 11, 13, 15)
    same(roi_pool(ramp, box(0.5, 0.5, 2.5, 2.5), 2), 10, 11, 14, 15)

    planes = image(torch.arange(64), 4, 4)
    same(ps_roi_align(planes, box(0, 0, 4, 4), 2, 1, 2), 2.5, 20.5, 42.5, 60.5)
    same(ps_roi_pool(planes, box(0, 0, 3, 3), 2), 2.5, 19.5, 38.5, 55.5)


def test_pyramid_levels() -> None:
    sides = torch.tensor([1.0, 111, 112, 223, 224, 447, 448, 5000, 0])
    boxes = torch.stack([torch.zeros(9), torch.zeros(9), sides, sides], dim=1)
    assert pyramid_levels(boxes, [1 / 4, 1 / 8, 1 / 16, 1 / 32]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 0]
    assert pyramid_levels(boxes, [1 / 16, 1 / 16, 1 / 32]).tolist() == [0, 0, 0, 0, 0, 0, 2, 2, 0]
    inverted = torch.tensor([[10.0, 0, 0, 1000]])
    assert pyramid_levels(inverted, [1 / 4, 1 / 8]).tolist() == [0]
    assert pyramid_levels(boxes, [1 / 4, 1 / 16]).tolist() == [
        0,
        0,
        0,
        0,
        1,
        1,
        1,
        1,
        0,
    ]  # a level is missing


# Against the reference

cases = st.tuples(
    st.sampled_from([0, 1, 2, 7, 63, 64, 65]),  # RoIs
    st.sampled_from([(1, 1), (2, 3), (1, 16), (1, 17), (3, 5)]),  # images, channels
    st.tuples(st.integers(1, 13), st.integers(1, 13)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from([-1, 0, 1, 2, 3]),
    st.booleans(),
    st.sampled_from(DTYPES),
    st.sampled_from(["usual", "channels_last", "sliced", "expanded"]),
    st.integers(0, 10**6),
)


def from_case(name: str, case, device: str):
    count, (images, channels), (height, width), size, ratio, aligned, dtype, layout, seed = case
    if count > 7:  # the reference is slow
        height, width, size = min(height, 4), min(width, 4), (1, 2)
        count = count if name == "roi_align" else 7
    if name.startswith("ps"):
        channels *= size[0] * size[1]
    generator = torch.Generator().manual_seed(seed)
    input = torch.randn(images, channels, 2 * height, width, generator=generator, dtype=torch.float64).to(
        device, dtype
    )
    if name == "roi_pool" and seed % 2:
        input = input.round()  # equal maxima
    input = input[:, :, ::2] if layout == "sliced" else input[:, :, :height].contiguous()
    if layout == "channels_last":
        input = input.contiguous(memory_format=torch.channels_last)
    if layout == "expanded":
        input = input[:1, :, :1].expand(input.shape)
    rois = make_rois(count, images, height * 2, width * 2, seed)
    rois = rois.to(device, torch.float64 if dtype == torch.float64 else torch.float32)
    return input, rois, {"size": size, "ratio": ratio, "aligned": aligned}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_equals_reference(name, device) -> None:
    @settings(max_examples=25, deadline=None)
    @given(cases)
    def check(case) -> None:
        input, rois, how = from_case(name, case, device)
        actual, expected = run(name, input, rois, **how), run_reference(name, input, rois, **how)
        assert actual.dtype == input.dtype
        for order in (torch.contiguous_format, torch.channels_last):
            assert actual.is_contiguous(memory_format=order) == expected.is_contiguous(memory_format=order)
        if name == "roi_pool":
            assert torch.equal(actual, expected)
        else:
            close(actual, expected, input.dtype, 4)

    check()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_backward_equals_reference(name, device) -> None:
    @settings(max_examples=15, deadline=None)
    @given(cases)
    def check(case) -> None:
        input, rois, how = from_case(name, case, device)
        leaf = input.detach().requires_grad_()
        out = run(name, leaf, rois, **how)
        grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(device, out.dtype)
        (actual,) = torch.autograd.grad(out, leaf, grad)
        if name == "multiscale_roi_align":
            levels = pyramid_levels(rois[:, 1:], [0.5, 0.25], 8, 1)
            features = [input, input[:, :, ::2, ::2]]
            both = reference.multiscale_roi_align_backward(
                grad, features, rois, levels, [0.5, 0.25], *how["size"], how["ratio"], how["aligned"]
            )
            expected = both[0].clone()
            expected[:, :, ::2, ::2] += both[1]
        elif name == "roi_pool":
            # Of equal values the first is the maximum; torch's own on a GPU is any of them.
            _, argmax = reference.roi_pool(input.cpu(), rois.cpu(), 0.5, *how["size"])
            expected = reference.roi_pool_backward(grad.cpu(), argmax, rois.cpu(), *input.shape).to(device)
        else:
            settings_ = [*how["size"]]
            settings_ += [how["ratio"]] * (name != "ps_roi_pool") + [how["aligned"]] * (name == "roi_align")
            expected = getattr(reference, f"{name}_backward")(grad, rois, 0.5, *settings_, *input.shape)
        close(actual, expected, input.dtype, 40)

    check()


@pytest.mark.parametrize("device", DEVICES)
def test_many_rois(device) -> None:
    # More than are planned at once, so that gradients are summed in two goes.
    input, rois = sample(device, channels=3, count=4097)
    leaf = input.requires_grad_()
    out = roi_align(leaf, rois, 2, 0.5, 2)
    parts = [roi_align(leaf, part, 2, 0.5, 2) for part in rois.split(1000)]
    assert torch.equal(out, torch.cat(parts))
    (actual,) = torch.autograd.grad(out.square().sum(), leaf)
    expected = [torch.autograd.grad(part.square().sum(), leaf)[0].double() for part in parts]
    close(actual, sum(expected), torch.float32, 100)
    some = torch.tensor([0, 4095, 4096], device=device)
    close(out[some], reference.roi_align(input.detach(), rois[some], 0.5, 2, 2, 2, False), torch.float32)


# Against torchvision


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES[:1] + NAMES[2:])
def test_equals_torchvision(name, device) -> None:
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)

        def pick(low, high, generator=generator):
            return int(torch.randint(low, high + 1, (1,), generator=generator))

        size, ratio, aligned = (pick(1, 6), pick(1, 6)), pick(-1, 3), bool(pick(0, 1))
        images, channels = pick(1, 3), pick(1, 20)
        shape = (
            images,
            channels * (size[0] * size[1] if name.startswith("ps") else 1),
            pick(2, 16),
            pick(2, 16),
        )
        dtype = torch.float64 if seed % 4 == 0 else torch.float32
        input = (
            torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype).requires_grad_()
        )
        rois = make_rois(pick(0, 12), images, shape[2] * 2, shape[3] * 2, seed).to(device, dtype)
        if name == "ps_roi_pool":  # torchvision leaves the last row and column out, forward only
            rois[:, 1:] = (
                rois[:, 1:].clamp(min=0).minimum(rois.new_tensor([shape[3], shape[2]] * 2) * 2 - 3.1)
            )
        if name == "ps_roi_align" and ratio <= 0:  # torchvision divides by no samples
            rois[:, 3:] = torch.maximum(rois[:, 3:], rois[:, 1:3] + 1)
        theirs = getattr(torchvision.ops, name)
        if name == "roi_align":
            expected = theirs(input, rois, size, 0.5, ratio, aligned)
        elif name == "ps_roi_align":
            expected = theirs(input, rois, size, 0.5, ratio)
        else:
            expected = theirs(input, rois, size, 0.5)
        actual = run(name, input, rois, size, 0.5, ratio, aligned)
        close(actual, expected, dtype, 2)
        grad = torch.randn(actual.shape, generator=generator).to(device, dtype)
        (ours,) = torch.autograd.grad(actual, input, grad)
        (expected,) = torch.autograd.grad(expected, input, grad)
        close(ours, expected, dtype, 10)


@pytest.mark.parametrize("device", DEVICES)
def test_modules_equal_torchvision(device) -> None:
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        height, width = 64 * (1 + seed % 3), 96
        sizes = [(height // step, width // step) for step in (4, 8, 16, 32)]
        maps = {
            f"p{i}": torch.randn(2, 3, *size, generator=generator).to(device) for i, size in enumerate(sizes)
        }
        maps["pool"] = torch.randn(2, 3, 1, 1, device=device)
        boxes = [make_rois(seed % 5, 1, height, width, seed + i)[:, 1:].float().to(device) for i in range(2)]
        boxes = [torch.cat([b[:, :2], torch.maximum(b[:, :2], b[:, 2:])], dim=1) for b in boxes]
        arguments = (["p0", "p1", "p2", "p3"], (3, 4), 2)
        ours = MultiScaleRoIAlign(*arguments, canonical_scale=40, canonical_level=3)
        theirs = torchvision.ops.MultiScaleRoIAlign(*arguments, canonical_scale=40, canonical_level=3)
        shapes = [(height, width), (height - 9, width)]
        close(ours(maps, boxes, shapes), theirs(maps, boxes, shapes), torch.float32)
        close(
            RoIAlign(3, 0.25, 2, True)(maps["p0"], boxes),
            torchvision.ops.RoIAlign(3, 0.25, 2, True)(maps["p0"], boxes),
            torch.float32,
        )
        close(
            RoIPool((3, 2), 0.25)(maps["p0"], boxes),
            torchvision.ops.RoIPool((3, 2), 0.25)(maps["p0"], boxes),
            torch.float32,
        )
    assert repr(RoIPool(3, 0.5)) == repr(torchvision.ops.RoIPool(3, 0.5))
    assert repr(RoIAlign(3, 0.5, 2)) == repr(torchvision.ops.RoIAlign(3, 0.5, 2))
    assert repr(ours) == repr(theirs)


def test_module_in_a_torchvision_detector() -> None:
    torch.manual_seed(0)
    model = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None
    )
    model = model.eval()
    theirs = model.roi_heads.box_roi_pool
    ours = MultiScaleRoIAlign(theirs.featmap_names, theirs.output_size, theirs.sampling_ratio)
    calls = []
    theirs.register_forward_hook(lambda module, arguments, output: calls.append((arguments, output)))
    images = [torch.rand(3, 200, 260), torch.rand(3, 180, 220)]
    with torch.no_grad():
        model(images)
        ((arguments, expected),) = calls
        assert len(expected) > 100
        close(ours(*arguments), expected, torch.float32, 10)
        model.roi_heads.box_roi_pool = ours
        model.roi_heads.score_thresh = 0.0
        assert len(model(images)[1]["boxes"]) > 0


def test_a_torchvision_detector_learns() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)]
    backbone = nn.Sequential(*layers)
    backbone.out_channels = 8  # FasterRCNN reads it
    model = torchvision.models.detection.FasterRCNN(
        backbone,
        num_classes=2,
        min_size=64,
        max_size=96,
        rpn_anchor_generator=AnchorGenerator(((16, 32),), ((1.0,),)),
        box_roi_pool=torchvision.ops.MultiScaleRoIAlign(["0"], 3, 2),
        rpn_post_nms_top_n_train=50,
        rpn_post_nms_top_n_test=50,
        box_score_thresh=0.0,
    )
    model.roi_heads.box_roi_pool = MultiScaleRoIAlign(["0"], 3, 2)
    images = [torch.rand(3, 64, 80), torch.rand(3, 72, 64)]
    boxes = torch.tensor([[8.0, 8, 40, 40], [20, 30, 50, 60]])
    targets = [{"boxes": boxes, "labels": torch.ones(2, dtype=torch.int64)} for _ in images]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = [parameter.detach().clone() for parameter in backbone.parameters()]
    losses = model(images, targets)
    losses["loss_classifier"].backward(retain_graph=True)  # reaches the backbone through the pooling alone
    assert all(parameter.grad.abs().sum() > 0 for parameter in backbone.parameters())
    optimizer.zero_grad()
    sum(losses.values()).backward()
    optimizer.step()
    for parameter, old in zip(backbone.parameters(), before, strict=True):
        assert parameter.isfinite().all() and not torch.equal(parameter, old)
    with torch.no_grad():
        found = model.eval()(images)
    for image, result in zip(images, found, strict=True):
        assert len(result["boxes"]) > 0 and result["boxes"].isfinite().all()
        assert result["boxes"].min() >= 0 and result["boxes"][:, 3].max() <= image.shape[1]


@pytest.mark.parametrize("channels", [6, 12, 30])
@pytest.mark.parametrize("name", NAMES)
def test_few_rois_of_a_large_map(name, channels) -> None:
    # So few pixels are taken that they are read where they are, not gathered first.
    generator = torch.Generator().manual_seed(4)
    input = torch.randn(2, channels, 90, 110, generator=generator)
    rois = torch.cat(
        [make_rois(4, 2, 180, 220, 8).float(), torch.tensor([[1, 3, 5, 210, 170], [0, -9, -9, 260, 200.0]])]
    )
    for size in ((3, 2), (1, 1), (6, 1)):
        if "ps" in name and channels % (size[0] * size[1]):
            continue
        for ratio in (1, 2, 5):
            found, expected = (go(name, input, rois, size, 0.5, ratio) for go in (run, run_reference))
            close(found, expected, torch.float32, scale=5)
            last = run(name, input.contiguous(memory_format=torch.channels_last), rois, size, 0.5, ratio)
            close(last, expected, torch.float32, scale=5)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_few_channels(channels) -> None:
    input, rois = sample(channels=channels, count=60)
    for one in (input, input.contiguous(memory_format=torch.channels_last), input[:, :, :, ::2]):
        leaf, theirs = one.clone().requires_grad_(), one.clone().requires_grad_()
        for name in ("roi_align", "roi_pool"):
            found, expected = run(name, one, rois), run_reference(name, one, rois)
            close(found, expected, torch.float32)
        out = roi_pool(leaf, rois, 3, 0.5)
        expected = torchvision.ops.roi_pool(theirs, rois, 3, 0.5)
        torch.testing.assert_close(out, expected)
        weight = torch.arange(out.numel()).reshape(out.shape) / 100
        (out * weight).sum().backward()
        (expected * weight).sum().backward()
        torch.testing.assert_close(leaf.grad, theirs.grad)


# What a torch operator must do


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_gradients(name, device) -> None:
    generator = torch.Generator().manual_seed(0)
    input = torch.randn(2, 6, 4, 5, generator=generator, dtype=torch.float64).to(device)
    rois = make_rois(4, 2, 8, 10, 3).to(device)
    for ratio, aligned in ((2, False), (-1, True)):
        how = {"ratio": ratio, "aligned": aligned}
        leaf = input.clone().requires_grad_()

        def function(leaf, how=how):
            return run(name, leaf, rois, **how)

        assert gradcheck(function, (leaf,), nondet_tol=1e-9)
        assert gradgradcheck(function, (leaf,), nondet_tol=1e-9, fast_mode=True)


def all_operators(device: str):
    """Every operator with small arguments, forward and backward."""
    input, rois = sample(device)
    input = input.requires_grad_()
    last = input.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    features = [input, last[:, :, ::2, ::2].detach().contiguous()]
    levels = torch.tensor([0, 1, 0, 1, 1, 1, 0, 0, 1], device=device)
    grad = torch.randn(9, 12, 3, 2, device=device, requires_grad=True)
    part = torch.randn(9, 2, 3, 2, device=device, requires_grad=True)
    argmax = OPS.roi_pool(input, rois, 0.5, 3, 2)[1]
    size = (2, 12, 9, 11)
    many = ([0.5, 0.25], 3, 2, 2, True)
    return [
        (OPS.roi_align, (input, rois, 0.5, 3, 2, 2, True)),
        (OPS.roi_align, (last, rois, 0.5, 3, 2, -1, False)),
        (OPS.roi_align_backward, (grad, rois, 0.5, 3, 2, 2, True, *size)),
        (OPS.multiscale_roi_align, (features, rois, levels, *many)),
        (OPS.multiscale_roi_align_backward, (grad, features, rois, levels, *many)),
        (OPS.roi_pool, (last, rois, 0.5, 3, 2)),
        (OPS.roi_pool_backward, (grad, argmax, rois, *size)),
        (OPS.ps_roi_align, (input, rois, 0.5, 3, 2, 2)),
        (OPS.ps_roi_align_backward, (part, rois, 0.5, 3, 2, 2, *size)),
        (OPS.ps_roi_pool, (input, rois, 0.5, 3, 2)),
        (OPS.ps_roi_pool_backward, (part, rois, 0.5, 3, 2, *size)),
    ]


@pytest.mark.parametrize("device", DEVICES)
def test_opcheck(device) -> None:
    for operator, arguments in all_operators(device):
        torch.library.opcheck(operator.default, arguments)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_compile_and_export(name, device) -> None:
    input, rois = sample(device)
    leaf = input.clone().requires_grad_()
    expected = run(name, leaf, rois)
    (gradient,) = torch.autograd.grad(expected.square().sum(), leaf)

    def function(input, rois):
        return run(name, input, rois)

    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    actual = compiled(leaf, rois)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(torch.autograd.grad(actual.square().sum(), leaf)[0], gradient)

    class Module(torch.nn.Module):
        def forward(self, input, rois):
            return function(input, rois)

    count = torch.export.Dim("count", min=2, max=1000)
    exported = torch.export.export(Module(), (input, rois), dynamic_shapes=({}, {0: count}))
    more = torch.cat([rois, rois])
    torch.testing.assert_close(exported.module()(input, more), function(input, more))


def test_compile_with_an_unknown_number_of_rois() -> None:
    # As after NMS: the number of RoIs is in no input.
    input, rois = sample()
    leaf = input.requires_grad_()

    def function(input, rois, keep):
        return roi_align(input, rois[keep.nonzero()[:, 0]], 3, 0.5, 2)

    keep = torch.arange(9) % 2 == 0
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        actual = compiled(leaf, rois, keep)
    torch.testing.assert_close(actual, function(leaf, rois, keep))
    actual.sum().backward()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_autocast_and_channels_last(name, device) -> None:
    input, rois = sample(device, torch.bfloat16)
    with torch.autocast(device, dtype=torch.bfloat16):
        assert run(name, input, rois).dtype == torch.float32
    assert run(name, input, rois).dtype == torch.bfloat16
    last = input.float().contiguous(memory_format=torch.channels_last).requires_grad_()
    out = run(name, last, rois)
    assert out.is_contiguous(memory_format=torch.channels_last)
    (grad,) = torch.autograd.grad(out, last, torch.ones_like(out))
    assert grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_boxes_as_a_list(name, device) -> None:
    input, rois = sample(device)
    rois = rois[rois[:, 0].argsort(stable=True)]
    boxes = [rois[rois[:, 0] == image][:, 1:] for image in range(2)]
    assert torch.equal(run(name, input, boxes), run(name, input, rois))
    empty = [boxes[0][:0], boxes[1][:0]]
    assert run(name, input, empty).shape[0] == 0


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_threads(name) -> None:
    input, rois = sample(channels=96, count=40)

    def both():
        leaf = input.clone().requires_grad_()
        out = run(name, leaf, rois)
        return out, torch.autograd.grad(out.square().sum(), leaf)[0]

    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(both())
    finally:
        torch.set_num_threads(before)
    for out, grad in results[1:]:
        assert torch.equal(out, results[0][0]) and torch.equal(grad, results[0][1])


LEVEL_CODE = """
import sys, torch, ops.ps_roi, ops.roi, ops.roi_pool
for name, arguments, expected in torch.load(sys.argv[1]):
    actual = getattr(torch.ops.podium, name)(*arguments)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
"""


def test_each_instruction_set(tmp_path) -> None:
    expected = []
    for dtype in (torch.float32, torch.float64):
        for operator, arguments in all_operators("cpu"):
            name = operator.__name__
            tensors = [
                a.detach().to(dtype) if isinstance(a, torch.Tensor) and a.is_floating_point() else a
                for a in arguments
            ]
            tensors = [[t.detach().to(dtype) for t in a] if isinstance(a, list) and name.startswith("multi")
                       and isinstance(a[0], torch.Tensor) else a for a in tensors]  # fmt: skip
            expected.append((name, tensors, getattr(reference, name)(*tensors)))
    torch.save(expected, tmp_path / "expected.pt")
    command = [sys.executable, "-c", LEVEL_CODE, str(tmp_path / "expected.pt")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(command, env={**environment, "PODIUM_CPU": level}, stderr=subprocess.PIPE, text=True)
        for level in ("baseline", "avx2", "avx512")
    ]
    for process in running:
        _, words = process.communicate()
        assert process.returncode == 0, words


# Errors, and values that nobody should pass


@pytest.mark.parametrize("device", DEVICES)
def test_argument_errors(device) -> None:
    input, rois = sample(device)
    bad, beyond = rois.clone(), rois.clone()
    bad[4, 2] = float("nan")
    beyond[1, 0] = 2
    for call, words in (
        (lambda: roi_align(input, bad, 2), "boxes holds NaN or infinity, first in row 4"),
        (lambda: roi_pool(input, bad, 2), "boxes holds NaN or infinity, first in row 4"),
        (lambda: ps_roi_align(input, bad, 2), "boxes holds NaN or infinity, first in row 4"),
        (lambda: run("multiscale_roi_align", input, bad), "boxes holds NaN or infinity, first in row 4"),
        (lambda: roi_align(input, beyond, 2), "boxes name images 0 to 2, but input has 2"),
        (lambda: roi_align(input[0], rois, 2), "input must have shape"),
        (lambda: roi_align(input.int(), rois, 2), "input must be float16"),
        (lambda: roi_align(input, rois[:, 1:], 2), r"boxes must have shape \(any, 5\)"),
        (lambda: roi_align(input, [rois[:, 1:]], 2), "a list of 2 tensors"),
        (lambda: roi_align(input, [rois, rois], 2), r"boxes\[0\] must have shape \(any, 4\)"),
        (lambda: roi_align(input, rois, 0), "output height must be from 1"),
        (lambda: roi_align(input, rois, (2, -1)), "output width must be from 1"),
        (lambda: roi_align(input, rois, (1, 2, 3)), "output_size must be"),
        (lambda: roi_align(input, rois, 2, -1.0), "spatial_scale must be from"),
        (lambda: roi_align(input, rois, 2, float("nan")), "spatial_scale must be from"),
        (lambda: roi_align(input, rois, 2, 1.0, 5000), "sampling_ratio must be from 0 to 4096"),
        (lambda: ps_roi_pool(input, rois, 5), "no multiple of 5 x 5 bins"),
        (lambda: roi_pool(input[:1, :1, :1, :1].expand(1, 1, 2**16, 2**15), rois, 5), r"fewer than 2\*\*31"),
        (lambda: multiscale_roi_align([input], rois, 2, []), "a scale for each feature map"),
        (lambda: multiscale_roi_align([input, input], rois, 2, [0.25, 0.5]), "scales must not ascend"),
        (lambda: multiscale_roi_align([input, input[:, :4]], rois, 2, [1, 0.5]), "same first two dimensions"),
        (lambda: MultiScaleRoIAlign(["a"], 2, 2)({"a": input}, [], []), "image_shapes must not be empty"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


strange = st.sampled_from(
    [float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 1e30, 1e15, 1e9, -1.0, 0.0, 2.5, 7.0]
)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_strange_rois_do_no_harm(name, device) -> None:
    @settings(max_examples=60, deadline=None)
    @example([(0.0, -1.0, -1.0, -float("inf"), -float("inf"))], -1, False, torch.float16)
    @given(
        st.lists(st.tuples(*[strange] * 5), max_size=4),
        st.sampled_from([-1, 2]),
        st.booleans(),
        st.sampled_from(DTYPES),
    )
    def check(rows, ratio, aligned, dtype) -> None:
        input, _ = sample(device, dtype)
        rois = torch.tensor(rows, dtype=torch.float64, device=device).reshape(-1, 5)
        rois = rois.to(torch.float64 if dtype == torch.float64 else torch.float32)
        leaf = input.requires_grad_()
        out = run(name, leaf, rois, ratio=ratio, aligned=aligned, validate=False)
        (grad,) = torch.autograd.grad(out, leaf, torch.ones_like(out))
        assert out.isfinite().all() and grad.isfinite().all()
        assert run_reference(name, input.detach(), rois, ratio=ratio, aligned=aligned).isfinite().all()
        if len(rows) and name != "roi_pool":
            # Not aligned, a size of -inf is at least 1, so that an end at -inf is one after the start.
            ends = rois[:, 3:].isfinite() | ((not aligned) & rois[:, 3:].isneginf())
            placed = rois[:, 1:3].isfinite().all(dim=1) & ends.all(dim=1)
            nowhere = ~((rois[:, 0] > -1) & (rois[:, 0] < 2) & placed)
            if name != "ps_roi_pool":
                assert not out[nowhere].any()

    check()


@pytest.mark.parametrize("device", DEVICES)
def test_infinite_pixels_stay_where_they_are(device) -> None:
    input = torch.zeros(1, 1, 6, 6, device=device)
    input[0, 0, 5, 5] = float("inf")
    rois = torch.tensor([[0.0, 0, 0, 4, 4]], device=device)
    assert roi_align(input, rois, 2, 1.0, 2).isfinite().all()
    input[0, 0, 1, 1] = float("nan")
    assert torch.equal(roi_pool(input, rois, 1), torch.zeros(1, 1, 1, 1, device=device))


def test_empty_inputs() -> None:
    for name in NAMES:
        for shape in ((0, 12, 4, 4), (2, 0, 4, 4), (2, 12, 0, 4), (2, 12, 4, 0)):
            input = torch.zeros(shape, requires_grad=True)
            for count in (0, 3):
                out = run(name, input, torch.zeros(count, 5), validate=False)
                assert out.shape[0] == count and not out.any()
                out.sum().backward()


def test_operators_check_what_would_crash() -> None:
    input, rois = sample()
    for call in (
        lambda: OPS.roi_align(input, rois[:, :4], 1.0, 2, 2, 2, False),
        lambda: OPS.roi_align(input, rois, 1.0, 0, 2, 2, False),
        lambda: OPS.roi_align_backward(torch.zeros(1, 12, 2, 2), rois, 1.0, 2, 2, 2, False, 2, 12, 9, 11),
        lambda: OPS.multiscale_roi_align(
            [input], rois, torch.zeros(3, dtype=torch.int64), [1.0], 2, 2, 2, False
        ),
        lambda: OPS.multiscale_roi_align([], rois, torch.zeros(9, dtype=torch.int64), [], 2, 2, 2, False),
        lambda: OPS.ps_roi_pool(input, rois, 1.0, 5, 5),
        lambda: OPS.roi_pool(input[0], rois, 1.0, 5, 5),
        lambda: OPS.roi_pool(input[:1, :1, :1, :1].expand(1, 1, 2**16, 2**15), rois, 1.0, 5, 5),
        lambda: OPS.roi_pool_backward(
            torch.zeros(9, 12, 2, 2), torch.zeros(9, 12, 2, 2, dtype=torch.int64), rois, 2, 12, 9, 11
        ),
    ):
        with pytest.raises(Exception):  # noqa: B017  the type depends on the device's kernel
            call()
    levels = torch.tensor([0, 1, -1, 2**40, 0, 0, 0, 0, 0])
    out = OPS.multiscale_roi_align([input, input], rois, levels, [0.5, 0.25], 2, 2, 2, False)
    assert not out[2:4].any()
