"""ONNX export of nms, nms_padded, roi_align and multiscale_roi_align, by the standard's operators (opset 18).

``torch.onnx.export(model, args, dynamo=True, custom_translation_table=translation_table())``; needs
onnxscript.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch


def translation_table() -> dict[Callable, Callable]:
    """What `torch.onnx.export` needs to translate `podium::nms`, `nms_padded`, `roi_align` and
    `multiscale_roi_align`.

    Notes
    -----
    ONNX knows no GIoU or DIoU suppression, so a graph with another ``kind`` than ``iou`` raises ValueError
    when exported. Runtimes compute in float32 and may decide an IoU that equals the threshold up to rounding
    the other way. `nms_padded` becomes one suppression of all images and classes, without an offset of boxes;
    `multiscale_roi_align` pools every RoI on every level, and takes its own.
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

    def nms_padded(boxes, scores, labels, iou_threshold: float, min_score: float, kind: int, max_out: int):
        if kind != 0:
            raise ValueError("only nms_padded with kind='iou' can be exported to ONNX")
        boxes, scores, labels = op.Cast(boxes, to=1), op.Cast(scores, to=1), op.Cast(labels, to=7)
        one, low = op.Constant(value_int=1), op.Constant(value_float=float("-inf"))
        classes = op.Max(op.Add(op.ReduceMax(labels, keepdims=0), one), one)
        shape = op.Constant(value_ints=[1, -1, 1])
        numbers = op.Reshape(op.Range(op.Constant(value_int=0), classes, one), shape)
        own = op.Equal(op.Unsqueeze(labels, op.Constant(value_ints=[1])), numbers)
        chosen = op.NonMaxSuppression(
            boxes,
            op.Where(own, op.Unsqueeze(scores, op.Constant(value_ints=[1])), low),
            op.Constant(value_ints=[max_out]),
            op.Constant(value_floats=[iou_threshold]),
            op.Constant(value_floats=[float("-inf") if math.isnan(min_score) else min_score]),
        )
        places = op.Gather(chosen, op.Constant(value_ints=[0, 2]), axis=1)
        left = op.ScatterND(op.Expand(low, op.Shape(scores)), places, op.GatherND(scores, places))
        count = op.Min(op.Shape(scores, start=1), op.Constant(value_ints=[max_out]))
        best, rows = op.TopK(left, count)
        kept = op.Greater(best, low)
        missing = op.Sub(op.Constant(value_ints=[max_out]), count)
        padding = op.Concat(op.Constant(value_ints=[0, 0, 0]), missing, axis=0)
        nothing = op.Constant(value_int=-1)
        counts = op.ReduceSum(op.Cast(kept, to=7), op.Constant(value_ints=[1]), keepdims=0)
        return op.Pad(op.Where(kept, rows, nothing), padding, nothing), counts

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

    def multiscale_roi_align(
        inputs,
        rois,
        levels,
        scales: Sequence[float],
        pooled_height: int,
        pooled_width: int,
        sampling_ratio: int,
        aligned: bool,
    ):
        result = None
        for number, (image, scale) in enumerate(zip(inputs, scales, strict=True)):
            pooled = roi_align(image, rois, scale, pooled_height, pooled_width, sampling_ratio, aligned)
            own = op.Equal(op.Cast(levels, to=7), op.Constant(value_int=number))
            own = op.Unsqueeze(own, op.Constant(value_ints=[1, 2, 3]))
            result = pooled if result is None else op.Where(own, pooled, result)
        return result

    return {
        torch.ops.podium.nms.default: nms,
        torch.ops.podium.nms_padded.default: nms_padded,
        torch.ops.podium.roi_align.default: roi_align,
        torch.ops.podium.multiscale_roi_align.default: multiscale_roi_align,
    }
