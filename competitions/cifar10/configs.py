"""The experiments of this competition. What was measured is in the README beside this."""

from dataclasses import replace

from pipeline.tasks.classification.config import (
    AugmentConfig,
    Config,
    Ensemble,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)

FAST = Config(
    folds=FoldConfig(scheme="holdout", valid_ratio=0.1),
    model=ModelConfig(name="podium_cifarnet"),
    augment=AugmentConfig(crop="pad", pad=2),
    train=TrainConfig(
        epochs=6,
        batch_size=512,
        lr=1.0,
        momentum=0.85,
        weight_decay=5e-4,
        schedule="one_cycle",
        warmup=0.25,
        label_smoothing=0.1,
        ema=0.98,
        max_minutes=11,
    ),
    predict=PredictConfig(flip=True, shift=1),
)

SAMPLE = replace(
    FAST,
    folds=FoldConfig(count=5, use=2),
    augment=AugmentConfig(crop="pad", pad=2, horizontal_flip=True),
    train=replace(FAST.train, epochs=6, batch_size=128, lr=0.5, ema=0.95),
)

BASE = Config(
    folds=FoldConfig(count=5),
    model=ModelConfig(name="podium_cifarnet_wide"),
    augment=AugmentConfig(crop="pad", pad=4, cutout=8),
    train=TrainConfig(
        epochs=40,
        batch_size=512,
        lr=1.0,
        momentum=0.85,
        weight_decay=5e-4,
        schedule="one_cycle",
        warmup=0.2,
        label_smoothing=0.1,
        ema=0.99,
    ),
    predict=PredictConfig(flip=True, shift=1),
)

RESNET = replace(
    BASE,
    model=ModelConfig(name="resnet18"),
    augment=AugmentConfig(crop="pad", pad=4, cutmix=1.0),
    train=TrainConfig(epochs=60, batch_size=256, lr=0.1, weight_decay=5e-4, warmup=0.1, ema=0.999),
)

CONFIGS: dict[str, Config | Ensemble] = {
    "sample": SAMPLE,
    "fast": FAST,
    "base": BASE,
    "best": Ensemble((BASE, RESNET)),
}
