"""The experiments of this competition. What was measured is in the README beside this.

All but `sample` work on the photographs, with a MobileNetV2 at 224 pixels. Those that start from published
weights take them from timm's hub or its cache, or from --model.weights PATH, a file or a folder.
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
    folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
    model=ModelConfig(name="mobilenetv2_100", image_size=224, pretrained=True, drop_rate=0.2),
    augment=AugmentConfig(crop="resized", min_area=0.35, color_jitter=0.2),
    train=TrainConfig(
        epochs=4,
        passes=2,
        batch_size=32,
        optimizer="adamw",
        lr=2e-3,
        weight_decay=0.02,
        frozen_stages=5,
        warmup=0.15,
        label_smoothing=0.1,
        max_minutes=6,
    ),
    predict=PredictConfig(flip=True),
)
"""Fine-tuning: the head, which is new, learns at ten times the rate of the backbone, whose first layers
(edges and textures) stay as they are; that also halves the time."""

BASE = replace(
    FAST,
    folds=FoldConfig(count=5),
    train=replace(FAST.train, max_minutes=None),
)
"""The same in five folds, whose models are averaged."""

PROBE = replace(FAST, train=replace(FAST.train, frozen_stages=-1))
"""A linear probe: only the head learns. How much of the score the weights bring along."""

SCRATCH = replace(
    FAST,
    model=replace(FAST.model, pretrained=False),
    train=replace(FAST.train, frozen_stages=0),
)
"""The same network and budget without pretraining: how much fine-tuning is worth."""

SAMPLE = Config(
    folds=FoldConfig(count=5, use=2),
    model=ModelConfig(name="podium_cifarnet", image_size=64),
    augment=AugmentConfig(crop="resized", min_area=0.6, vertical_flip=True),
    train=TrainConfig(
        epochs=5,
        passes=4,
        batch_size=32,
        lr=0.2,
        momentum=0.85,
        weight_decay=5e-4,
        schedule="one_cycle",
        warmup=0.25,
        label_smoothing=0.1,
        ema=0.95,
    ),
    predict=PredictConfig(flip=True),
)
"""For the generated sample: a small network from scratch."""

CONFIGS: dict[str, Config] = {
    "sample": SAMPLE,
    "fast": FAST,
    "base": BASE,
    "probe": PROBE,
    "scratch": SCRATCH,
}
