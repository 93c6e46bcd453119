"""The experiments of this competition. What was measured is in the README beside this."""

from dataclasses import replace

from pipeline.tasks.detection.config import (
    AugmentConfig,
    Config,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)

FAST = Config(
    folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
    model=ModelConfig(name="mobilenetv2_100", detector="fcos", image_size=320, pretrained=True),
    augment=AugmentConfig(min_scale=0.7, max_scale=1.4, color_jitter=0.2),
    train=TrainConfig(
        epochs=8,
        passes=2,
        batch_size=8,
        optimizer="adamw",
        lr=1e-3,
        backbone_lr_scale=0.2,
        weight_decay=0.02,
        schedule="cosine",
        warmup=0.05,
        clip_norm=10.0,
        ema=0.99,
        frozen_stages=4,
        amp="off",  # bf16 costs AP: see the README
        max_minutes=20,
    ),
    predict=PredictConfig(flip=False, batch_size=8),
)
"""One stage on a CPU: what 464 images can teach in less than half an hour."""

SAMPLE = replace(
    FAST,
    folds=FoldConfig(count=4, use=1),
    model=ModelConfig(name="test_resnet", detector="fcos", image_size=160),
    augment=AugmentConfig(min_scale=0.8, max_scale=1.25),
    train=replace(
        FAST.train,
        epochs=4,
        passes=5,
        batch_size=12,
        lr=3e-3,
        backbone_lr_scale=1.0,
        ema=0.95,
        frozen_stages=0,
        max_minutes=None,
    ),
    predict=PredictConfig(flip=True, batch_size=16),
)
"""For the generated sample: a very small network from scratch."""

BASE = Config(
    folds=FoldConfig(count=5),
    model=ModelConfig(name="resnet50", detector="faster_rcnn", image_size=640, pretrained=True),
    augment=AugmentConfig(min_scale=0.5, max_scale=1.8, color_jitter=0.3, copy_paste=0.3),
    train=TrainConfig(
        epochs=36,
        batch_size=16,
        optimizer="adamw",
        lr=2e-4,
        backbone_lr_scale=0.5,
        weight_decay=0.05,
        warmup=0.03,
        clip_norm=10.0,
        ema=0.999,
        frozen_stages=1,
    ),
    predict=PredictConfig(flip=True, scales=(0.8, 1.0, 1.2), batch_size=16),
)
"""Two stages on a GPU, five folds, three scales."""

CONFIGS: dict[str, Config] = {"sample": SAMPLE, "fast": FAST, "base": BASE}
