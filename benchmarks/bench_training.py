"""Training and prediction: our loop against a bare one, and each precision against the other."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import timm
import torch
from timm.optim import create_optimizer_v2
from torch.nn import functional

from benchmarks.compare import Case
from benchmarks.photographs import Work
from pipeline.base.device import amp_dtype, channels_last
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.tasks.classification.config import AugmentConfig, Config, ModelConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from pipeline.training.history import read_history
from pipeline.training.loop import train_fold

CPU = torch.device("cpu")


def configs(workers: int) -> Iterator[tuple[str, Config, tuple[int, int], int]]:
    """Name, config, (width, height) and number of the images of each network."""
    small = Config(
        model=ModelConfig(name="podium_cifarnet"),
        augment=AugmentConfig(pad=2),
        train=TrainConfig(epochs=3, batch_size=500, lr=0.5, workers=workers),
    )
    yield "podium_cifarnet, 32 px", small, (32, 32), 3750
    large = Config(
        model=ModelConfig(name="mobilenetv2_100", image_size=224, pretrained=False),
        augment=AugmentConfig(crop="resized", min_area=0.35),
        train=TrainConfig(epochs=3, batch_size=32, lr=0.05, workers=workers),
    )
    yield "mobilenetv2_100, 224 px", large, (320, 240), 320


def cases(folder: Path) -> Iterator[Case]:
    """Training against a bare loop on one batch in memory; mixed precision against float32."""
    dtype = amp_dtype(CPU)
    for name, config, (width, height), count in configs(workers=1):
        work = Work(folder, count, width, height)
        best = _with(config, "on" if dtype else "off")
        ours = _training(work, best)
        yield Case(f"train {name} (bare loop)", ours, _bare(best, dtype), 0.95, 3, "a bare loop, one batch")
        if dtype is not None:
            name_of = str(dtype).removeprefix("torch.")
            plain = _training(work, _with(config, "off"))
            yield Case(f"train {name} ({name_of})", ours, plain, None, 3, "ours in float32")
            target = 2.8 if width == 32 else 2.25
            sides = [_prediction(work, config, amp) for amp in ("on", "off")]
            yield Case(f"predict {name} ({name_of})", *sides, target, 3, "ours in float32")


def _with(config: Config, amp: str) -> Config:
    return replace(config, train=replace(config.train, amp=amp))


def _training(work: Work, config: Config):
    """Function that trains for three epochs and returns the seconds of a thousand images, as the history has
    them, without the first epoch."""

    def train() -> float:
        with tempfile.TemporaryDirectory(dir=work.folder) as folder:
            train_fold(work.job(config, Path(folder).name))
            rates = [row.images_per_second for row in read_history(Path(folder))]
        return 1000 / statistics.median(rates[1:])

    return train


def _bare(config: Config, dtype: torch.dtype | None):
    """Function that takes steps on one batch in memory, with timm's network and optimizer, and returns the
    seconds of a thousand images."""
    size, batch = config.model.image_size, config.train.batch_size
    torch.manual_seed(0)
    model = channels_last(timm.create_model(config.model.name, num_classes=2), CPU)
    optimizer = create_optimizer_v2(model, "sgd", lr=1e-3, momentum=0.9, weight_decay=5e-4)
    images = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 2, (batch,))
    steps = max(2, 1000 // batch)

    def train() -> float:
        model.train()
        started = time.perf_counter()
        for _ in range(steps):
            with torch.autocast("cpu", dtype, enabled=dtype is not None):
                loss = functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return 1000 * (time.perf_counter() - started) / (steps * batch)

    return train


def _prediction(work: Work, config: Config, amp: str):
    """Function that predicts a few hundred images once, without views."""
    opened = work.job(config, "prediction").open()
    model = Classification().build_model(config, opened.classes, load=False)
    preprocess = Preprocess.of_model(model, config.model.image_size, opened.data.decoding)
    model = channels_last(model, CPU)
    request = Request(
        images=opened.images,
        rows=np.arange(min(len(opened.images), 1000)),
        classes=opened.classes,
        preprocess=preprocess,
        config=replace(config.predict.plain(), amp=amp),
        loaders=Loaders(0, torch.device("cpu")),
        folder=work.folder,
    )
    return lambda: predict(model, Classification(), request)
