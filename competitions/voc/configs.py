"""The experiments of this competition. What was measured is in the README beside this."""

from dataclasses import replace

from pipeline.config import (
    AugmentConfig,
    Config,
    Ensemble,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)

FAST = Config(
    folds=FoldConfig(scheme="holdout", valid_ratio=0.15),
    model=ModelConfig("mobilenetv2_100", decoder="fpn", image_size=256, pretrained=True),
    augment=AugmentConfig(crop="none", min_scale=0.6, max_scale=1.6, horizontal_flip=True, color_jitter=0.2),
    train=TrainConfig(
        epochs=8,
        passes=2,
        batch_size=8,
        optimizer="adamw",
        lr=2e-3,
        weight_decay=1e-2,
        backbone_lr_scale=0.2,
        loss="ce+0.5*dice",
        schedule="one_cycle",
        warmup=0.2,
        ema=0.97,
        max_minutes=11,
    ),
    predict=PredictConfig(flip=True, batch_size=4),
)

SAMPLE = replace(
    FAST,
    folds=FoldConfig(count=3, use=1),
    model=ModelConfig("test_resnet", decoder="fpn", image_size=96),
    augment=AugmentConfig(crop="none", min_scale=0.8, max_scale=1.25, horizontal_flip=True),
    train=replace(
        FAST.train, epochs=5, passes=4, batch_size=8, lr=5e-3, backbone_lr_scale=1.0, ema=0.9, warmup=0.1
    ),
)

BASE = Config(
    folds=FoldConfig(count=5),
    model=ModelConfig("resnet50", decoder="deeplabv3plus", image_size=512, pretrained=True, drop_rate=0.1),
    augment=AugmentConfig(crop="none", min_scale=0.5, max_scale=2.0, horizontal_flip=True, color_jitter=0.3),
    train=TrainConfig(
        epochs=60,
        batch_size=16,
        optimizer="adamw",
        lr=1e-3,
        weight_decay=1e-2,
        backbone_lr_scale=0.1,
        loss="ce+dice",
        warmup=0.05,
        ema=0.999,
        clip_norm=5.0,
        workers=8,
    ),
    predict=PredictConfig(flip=True, scales=(0.75, 1.0, 1.25), batch_size=8),
)

FCN = replace(
    BASE,
    model=ModelConfig("resnet18", decoder="fcn", image_size=320, pretrained=True),
    augment=AugmentConfig(crop="none", min_scale=1.0, max_scale=1.0, horizontal_flip=True),
    train=replace(BASE.train, epochs=30, batch_size=32, loss="ce"),
    predict=PredictConfig(flip=True, batch_size=8),
)

CONFIGS: dict[str, Config | Ensemble] = {
    "sample": SAMPLE,
    "fast": FAST,
    "base": BASE,
    "fcn": FCN,
}
