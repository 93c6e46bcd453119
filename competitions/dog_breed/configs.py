"""The experiments of this competition. What was measured is in the README beside this.

All but `sample` start from weights published for ImageNet: from timm's hub or its cache, or from
--model.weights PATH, a file or a folder.
"""

from dataclasses import replace

from pipeline.tasks.classification.config import (
    AugmentConfig,
    Config,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)

FAST = Config(
    folds=FoldConfig(scheme="holdout", valid_ratio=0.1),
    model=ModelConfig(name="mobilenetv2_100", image_size=224, pretrained=True),
    augment=AugmentConfig(crop="resized", min_area=0.35),
    train=TrainConfig(
        epochs=5,
        batch_size=64,
        optimizer="adamw",
        lr=3e-3,
        weight_decay=0.02,
        frozen_stages=-1,
        warmup=0.1,
    ),
    predict=PredictConfig(flip=True),
)
"""Features of a pretrained network, of which nothing but the head learns."""

BASE = replace(
    FAST,
    folds=FoldConfig(count=5),
    model=ModelConfig(name="resnet50.a1_in1k", image_size=288, pretrained=True),
    train=replace(FAST.train, epochs=8),
    predict=PredictConfig(flip=True, crops=5),
)
"""The same with a larger network in five folds, whose probabilities are averaged."""

TUNE = replace(
    FAST,
    augment=replace(FAST.augment, color_jitter=0.2),
    train=replace(FAST.train, lr=1e-3, frozen_stages=5, label_smoothing=0.05),
)
"""The upper stages learn too, at a tenth of the head's rate."""

SAMPLE = Config(
    folds=FoldConfig(scheme="holdout", valid_ratio=0.125),
    model=ModelConfig(name="podium_cifarnet", image_size=48),
    augment=AugmentConfig(crop="resized", min_area=0.7),
    train=TrainConfig(
        epochs=5,
        passes=2,
        batch_size=32,
        lr=0.25,
        momentum=0.85,
        weight_decay=5e-4,
        schedule="one_cycle",
        warmup=0.25,
        ema=0.95,
    ),
    predict=PredictConfig(flip=True),
)
"""For the generated sample: a small network from scratch."""

CONFIGS: dict[str, Config] = {
    "sample": SAMPLE,
    "fast": FAST,
    "base": BASE,
    "tune": TUNE,
}
