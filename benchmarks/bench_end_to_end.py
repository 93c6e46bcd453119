"""A whole small training against fastai's: the same photographs, network, epochs and batches.

Both read the files with the same number of workers, augment by crops and flips, and validate after each epoch
on the same share of the images, in the precision that each takes by itself. fastai is looked for in
build/peers, where ``make bench`` puts it.
"""

import importlib.util
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import timm
import torch

from benchmarks.compare import Case
from benchmarks.photographs import HELD_OUT, Work
from pipeline.experiment.precision import with_precision
from pipeline.tasks.classification.config import AugmentConfig, Config, ModelConfig, TrainConfig
from pipeline.training.loop import train_fold

NETWORK, SIDE, BATCH, EPOCHS, WORKERS = "mobilenetv2_050", 160, 32, 3, 2


def cases(folder: Path) -> Iterator[Case]:
    """One training of each; nothing where fastai is not installed."""
    if importlib.util.find_spec("fastai") is None:
        return
    work = Work(folder, 320, 640, 480)
    name = f"{EPOCHS} epochs of {NETWORK} at {SIDE} px, 320 photographs of 640 x 480"
    yield Case(name, lambda: _ours(work), lambda: _fastai(work), 1.5, 3, "fastai")


def _ours(work: Work) -> None:
    config = Config(
        model=ModelConfig(name=NETWORK, image_size=SIDE, pretrained=False),
        augment=AugmentConfig(crop="resized", min_area=0.35),
        train=TrainConfig(epochs=EPOCHS, batch_size=BATCH, workers=WORKERS, lr=0.05),
    )
    shared = work.folder / "precision"
    with tempfile.TemporaryDirectory(dir=work.folder) as folder:
        name = Path(folder).name
        chosen = with_precision(config, "cpu", Path(folder), shared, lambda config: work.job(config, name))
        train_fold(work.job(replace(chosen, predict=config.predict), name))


def _fastai(work: Work) -> None:
    from fastai.vision.all import (  # pyright: ignore[reportMissingImports]  # in build/peers
        ImageDataLoaders,
        Learner,
        RandomResizedCrop,
        accuracy,
    )

    loaders = ImageDataLoaders.from_folder(
        work.raw / "train",
        valid_pct=1 / HELD_OUT,
        seed=0,
        item_tfms=RandomResizedCrop(SIDE, min_scale=0.35),
        bs=BATCH,
        num_workers=WORKERS,
        device=torch.device("cpu"),
    )
    model = timm.create_model(NETWORK, num_classes=2)
    learner = Learner(loaders, model, loss_func=torch.nn.CrossEntropyLoss(), metrics=accuracy)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(EPOCHS, 1e-3)
