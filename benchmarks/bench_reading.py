"""Reading photographs for training: our batches against torchvision's ImageFolder and timm's loader.

All give normalised random resized crops of 224 pixels, flipped at random, with two workers; the time is that
of an epoch, workers' start included.
"""

from collections.abc import Iterator
from pathlib import Path

import timm.data
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.compare import Case
from benchmarks.photographs import Work
from pipeline.inputs.filling import fill_copies
from pipeline.inputs.preprocess import Preprocess
from pipeline.tasks.classification.config import AugmentConfig, Config, ModelConfig, TrainConfig

SIDE, BATCH, WORKERS = 224, 32, 2
STATISTICS = timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD
SIZES = ((4000, 3000, 40, 14), (640, 480, 320, 2.4), (320, 240, 640, 2.1))
"""Width and height in pixels, how many, and how many times as fast as torchvision we mean to be."""


def cases(folder: Path) -> Iterator[Case]:
    """An epoch of photographs of each size."""
    for width, height, count, target in SIZES:
        work = Work(folder, count, width, height)
        name = f"read {width} x {height}, {count} photographs"
        ours, files = _ours(work), str(work.raw / "train")
        yield Case(f"{name} (torchvision)", ours, _torchvision(files), target, 3, "torchvision v2")
        yield Case(f"{name} (timm)", ours, _timm(files), None, 3, "timm")


def _ours(work: Work):
    config = Config(
        model=ModelConfig(name="mobilenetv2_100", image_size=SIDE),
        augment=AugmentConfig(crop="resized", min_area=0.35),
        train=TrainConfig(batch_size=BATCH, workers=WORKERS),
    )
    opened = work.job(config, "reading").open()
    fill_copies([opened.images], opened.data.copies, most_gb=None)
    batches = opened.batches(Preprocess(SIDE, *STATISTICS))

    def read() -> None:
        for _ in batches.epoch(seed=0):
            pass

    return read


def _torchvision(files: str):
    steps = [
        v2.RandomResizedCrop(SIDE, scale=(0.35, 1.0)),
        v2.RandomHorizontalFlip(),
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(*STATISTICS),
    ]
    loader = DataLoader(
        ImageFolder(files, v2.Compose(steps)), BATCH, shuffle=True, num_workers=WORKERS, drop_last=True
    )

    def read() -> None:
        for _ in loader:
            pass

    return read


def _timm(files: str):
    loader = timm.data.create_loader(
        timm.data.create_dataset("", files),
        input_size=(3, SIDE, SIDE),
        batch_size=BATCH,
        is_training=True,
        scale=(0.35, 1.0),
        num_workers=WORKERS,
        persistent_workers=False,
        use_prefetcher=False,
    )

    def read() -> None:
        for _ in loader:
            pass

    return read
