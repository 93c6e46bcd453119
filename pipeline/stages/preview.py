"""Draw a grid of augmented training images with their labels."""

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.base.device import to_device
from pipeline.base.figures import TILES, plot_grid
from pipeline.experiment.experiment import Experiment
from pipeline.inputs.batches import TrainingBatches
from pipeline.inputs.preprocess import Preprocess
from pipeline.stages.context import Context
from pipeline.stages.experiments import experiments_of
from pipeline.stages.options import ConfigOptions, OutOptions, SourceOptions


@dataclass(frozen=True, kw_only=True)
class Options(ConfigOptions, SourceOptions, OutOptions):
    """Draw a grid of augmented training images with their labels."""


def run(context: Context, options: Options) -> str:
    """Draw the picture."""
    experiment = experiments_of(options, context, options.name)[0]
    tiles, count = [], TILES[0] * TILES[1]
    task, classes, seed = context.competition.task, context.data.classes, experiment.config.train.seed
    preprocess, batches = _batches(experiment, count)
    mixer = task.mixer(experiment.config, classes)
    for pixels, target in batches.epoch(seed):
        pixels, target = mixer(pixels, target)
        shown = pixels.cpu() * _channels(preprocess.std) + _channels(preprocess.mean)
        images = (255 * shown.clamp(0, 1)).byte().permute(0, 2, 3, 1).numpy()
        truths = to_device(target, torch.device("cpu"))
        tiles += [task.draw(image, value, classes) for image, value in zip(images, truths, strict=True)]
    path = options.out or experiment.run.folder / "preview.png"
    return f"preview: {plot_grid(tiles[:count], f'{experiment.name}: augmented training images', path)}"


def _batches(experiment: Experiment, count: int) -> tuple[Preprocess, TrainingBatches]:
    """Batches of `count` training images, chosen by the config's seed."""
    task, config, data = experiment.competition.task, experiment.config, experiment.data
    model = task.build_model(config, data.classes, load=False)
    preprocess, images = Preprocess.of_model(model, config.model.image_size), data.images("train")
    own = experiment.competition.augment(config, preprocess)
    rows = np.random.default_rng(config.train.seed).permutation(len(images))[:count]
    return preprocess, TrainingBatches(
        images=images,
        rows=rows,
        targets=task.targets(images.frame.iloc[rows], data.classes, config),
        transform=own or task.train_transform(config, preprocess),
        batch_transform=None if own else task.batch_transform(config, images.packed_size),
        train=config.train,
        preprocess=preprocess,
        device=torch.device(experiment.device),
    )


def _channels(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)
