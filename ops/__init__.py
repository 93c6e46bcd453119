"""NMS, RoI and box operators: kernels behind torch's dispatcher, and a plain-torch reference beside them.

Needs torch alone. ``python -m ops.build`` compiles, ``python -m ops.doctor`` says what is loaded.
"""

from ops.anchors import multibox_detection, multibox_prior, multibox_target
from ops.box_formats import box_area, box_convert, clip_boxes
from ops.boxes import box_ciou, box_diou, box_giou, box_iou
from ops.deform import deform_conv2d
from ops.nms import batched_nms, nms, nms_padded
from ops.ps_roi import ps_roi_align, ps_roi_pool
from ops.roi import multiscale_roi_align, pyramid_levels, roi_align
from ops.roi_modules import MultiScaleRoIAlign, RoIAlign, RoIPool
from ops.roi_pool import roi_pool
from ops.roi_rotated import RoIAlignRotated, roi_align_rotated
from ops.rotated import box_iou_rotated, nms_rotated
from ops.soft_nms import matrix_nms, soft_nms
from ops.wbf import weighted_boxes_fusion

__all__ = [
    "MultiScaleRoIAlign",
    "RoIAlign",
    "RoIAlignRotated",
    "RoIPool",
    "batched_nms",
    "box_area",
    "box_ciou",
    "box_convert",
    "box_diou",
    "box_giou",
    "box_iou",
    "box_iou_rotated",
    "clip_boxes",
    "deform_conv2d",
    "matrix_nms",
    "multibox_detection",
    "multibox_prior",
    "multibox_target",
    "multiscale_roi_align",
    "nms",
    "nms_padded",
    "nms_rotated",
    "ps_roi_align",
    "ps_roi_pool",
    "pyramid_levels",
    "roi_align",
    "roi_align_rotated",
    "roi_pool",
    "soft_nms",
    "weighted_boxes_fusion",
]
