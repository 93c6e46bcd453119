"""The experiments of this competition. What was measured is in the README beside this."""

from dataclasses import replace

from pipeline.tasks.segmentation.config import (
    AugmentConfig,
    Config,
    Ensemble,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)

FAST = Config(
    folds=FoldConfig(count=4),
    model=ModelConfig(name="mobilenetv2_100", decoder="fcn8", image_size=320, pretrained=True, drop_rate=0.2),
    augment=AugmentConfig(min_scale=0.55, max_scale=1.0, color_jitter=0.2),
    train=TrainConfig(
        epochs=3,
        passes=4,
        batch_size=16,
        optimizer="adamw",
        lr=2e-3,
        weight_decay=2e-2,
        frozen_stages=6,
        loss="ce",
        logit_adjustment=0.35,
        schedule="one_cycle",
        warmup=0.1,
        ema=0.98,
        amp="off",
        max_minutes=6,
    ),
    predict=PredictConfig(flip=True, scales=(0.65, 0.9), batch_size=4, amp="off"),
)
"""A few hundred images teach a linear classifier on good features more than a decoder from scratch. All but
the encoder's last two stages stay as ImageNet left them. A few minutes for each of four folds give more than
all of them for one model: their mean is better, and every image counts in the CV."""

SAMPLE = replace(
    FAST,
    folds=FoldConfig(count=3, use=1),
    model=ModelConfig(name="test_resnet", decoder="fpn", image_size=96),
    augment=AugmentConfig(min_scale=0.8, max_scale=1.25, horizontal_flip=True),
    train=replace(
        FAST.train,
        epochs=5,
        passes=4,
        batch_size=8,
        lr=5e-3,
        weight_decay=1e-2,
        frozen_stages=0,
        loss="ce+0.5*dice",
        logit_adjustment=0.0,
        ema=0.9,
        max_minutes=None,
    ),
    predict=PredictConfig(flip=True, batch_size=4),
)

BASE = Config(
    folds=FoldConfig(count=5),
    model=ModelConfig(
        name="resnet50", decoder="deeplabv3plus", image_size=512, pretrained=True, drop_rate=0.1
    ),
    augment=AugmentConfig(min_scale=0.5, max_scale=2.0, horizontal_flip=True, color_jitter=0.3),
    train=TrainConfig(
        epochs=60,
        batch_size=16,
        optimizer="adamw",
        lr=1e-3,
        weight_decay=1e-2,
        loss="ce+dice",
        warmup=0.05,
        ema=0.999,
        clip_norm=5.0,
    ),
    predict=PredictConfig(flip=True, scales=(0.75, 1.0, 1.25), batch_size=8),
)

FCN = replace(
    FAST,
    model=replace(FAST.model, decoder="fcn", drop_rate=0.0),
)
"""The tutorials' network on the same encoder, with the same images and the same time, to compare with."""

CONFIGS: dict[str, Config | Ensemble] = {
    "sample": SAMPLE,
    "fast": FAST,
    "base": BASE,
    "fcn": FCN,
}
