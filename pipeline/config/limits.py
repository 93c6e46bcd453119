"""Which numbers a config may hold. What depends on the data is checked where the data are."""

import math
from typing import Any

from pipeline.base.errors import UserError

LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "folds": {"use": (1, math.inf)},
    "model": {"image_size": (8, math.inf), "drop_rate": (0, 0.95)},
    "augment": {
        "pad": (0, math.inf),
        "min_area": (0.01, 1),
        "min_scale": (0.05, math.inf),
        "max_scale": (0.05, math.inf),
        "mosaic": (0, 1),
        "copy_paste": (0, 1),
        "color_jitter": (0, 1),
        "cutout": (0, math.inf),
        "mixup": (0, math.inf),
        "cutmix": (0, math.inf),
    },
    "train": {
        "epochs": (1, math.inf),
        "passes": (1, math.inf),
        "batch_size": (1, math.inf),
        "accumulate": (1, math.inf),
        "lr": (0, math.inf),
        "momentum": (0, 0.9999),
        "weight_decay": (0, math.inf),
        "backbone_lr_scale": (0, math.inf),
        "layer_decay": (0, 1),
        "frozen_stages": (-1, math.inf),
        "unfreeze_every": (0, math.inf),
        "logit_adjustment": (0, math.inf),
        "warmup": (0, 1),
        "label_smoothing": (0, 0.99),
        "clip_norm": (1e-9, math.inf),
        "ema": (0, 0.99999),
        "patience": (1, math.inf),
        "max_minutes": (0, math.inf),
        "workers": (0, math.inf),
    },
    "predict": {
        "shift": (0, math.inf),
        "tile": (0, math.inf),
        "min_score": (0, 1),
        "nms_iou": (0, 1),
        "max_boxes": (1, math.inf),
        "overlap": (0, 0.9),
        "batch_size": (1, math.inf),
    },
}
"""Least and greatest value of each field of each group; None, where a field may be None, is always legal."""


def check_limits(group: str, config: Any) -> None:
    """Raise UserError where a field of a config's group is out of its limits, or NaN."""
    for name, (least, most) in LIMITS[group].items():
        value = getattr(config, name)
        if value is not None and not least <= value <= most:
            allowed = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
            raise UserError(f"--{group}.{name.replace('_', '-')} is {value}, and must be {allowed}")
    if group == "augment" and config.min_scale > config.max_scale:
        raise UserError(
            f"--augment.min-scale is {config.min_scale}, above --augment.max-scale, {config.max_scale}"
        )
    if group == "predict" and not (config.scales and all(0 < scale <= 8 for scale in config.scales)):
        raise UserError(f"--predict.scales are {config.scales}, and must be one or more from above 0 to 8")
