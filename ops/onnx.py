"""ONNX export of nms and roi_align, which the standard has operators for (opset 16 and later).

``torch.onnx.export(model, args, dynamo=True, custom_translation_table=translation_table())``; needs
onnxscript.
"""

from collections.abc import Callable
from typing import Any

import torch


def translation_table() -> dict[Callable, Callable]:
    """What `torch.onnx.export` needs to translate `podium::nms` and `podium::roi_align`.

    Notes
    -----
    ONNX knows no GIoU or DIoU suppression, so a graph with another ``kind`` than ``iou`` raises ValueError
    when exported. Runtimes compute in float32 and may decide an IoU that equals the threshold up to rounding
    the other way.
    """
    from onnxscript import opset18

    op: Any = opset18  # typed for tensors of one type, and what it gets here are values of a graph

    def nms(boxes, scores, iou_threshold: float, kind: int, max_out: int):
        if kind != 0:
            raise ValueError("only nms with kind='iou' can be exported to ONNX")
        limit = op.Constant(value_ints=[max_out]) if max_out >= 0 else op.Shape(scores)
        # It takes (batch, N, 4) boxes and (batch, class, N) scores, and gives (batch, class, box) rows.
        # Any two opposite corners do, so xyxy may stand for its y1, x1, y2, x2.
        chosen = op.NonMaxSuppression(
            op.Unsqueeze(op.Cast(boxes, to=1), op.Constant(value_ints=[0])),
            op.Unsqueeze(op.Cast(scores, to=1), op.Constant(value_ints=[0, 1])),
            limit,
            op.Constant(value_floats=[iou_threshold]),
        )
        return op.Squeeze(
            op.Slice(
                chosen, op.Constant(value_ints=[2]), op.Constant(value_ints=[3]), op.Constant(value_ints=[1])
            ),
            op.Constant(value_ints=[1]),
        )

    def roi_align(
        input,
        rois,
        spatial_scale: float,
        pooled_height: int,
        pooled_width: int,
        sampling_ratio: int,
        aligned: bool,
    ):
        index = op.Slice(
            rois, op.Constant(value_ints=[0]), op.Constant(value_ints=[1]), op.Constant(value_ints=[1])
        )
        boxes = op.Slice(
            rois, op.Constant(value_ints=[1]), op.Constant(value_ints=[5]), op.Constant(value_ints=[1])
        )
        return op.RoiAlign(
            input,
            boxes,
            op.Cast(op.Squeeze(index, op.Constant(value_ints=[1])), to=7),
            coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
            output_height=pooled_height,
            output_width=pooled_width,
            sampling_ratio=max(sampling_ratio, 0),
            spatial_scale=spatial_scale,
        )

    return {torch.ops.podium.nms.default: nms, torch.ops.podium.roi_align.default: roi_align}
