"""Draw some training images as they are, beside augmented versions with their labels."""

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.base.device import to_device
from pipeline.base.figures import TILES, plot_grid
from pipeline.experiment.experiment import Experiment
from pipeline.inputs.batches import TrainingBatches
from pipeline.inputs.preprocess import Preprocess, as_picture
from pipeline.inputs.table import width_of
from pipeline.networks.joint import Given, pixels_of
from pipeline.stages.context import Context
from pipeline.stages.experiments import experiments_of
from pipeline.stages.options import ComputeOptions, ConfigOptions, OutOptions, SourceOptions


@dataclass(frozen=True, kw_only=True)
class Options(ConfigOptions, SourceOptions, OutOptions, ComputeOptions):
    """Draw some training images as they are, beside augmented versions with their labels."""


def run(context: Context, options: Options) -> str:
    """Draw the picture: each row an image as it is, then as training sees it."""
    experiment = experiments_of(options, context, options.name)[0]
    task, classes, seed = context.competition.task, context.data.classes, experiment.config.train.seed
    preprocess, batches = _batches(experiment, TILES[0])
    ids = batches.images.frame["image_id"].tolist()
    lines = [[(batches.images.picture(row), f"{ids[row]}\nas it is")] for row in batches.rows.tolist()]
    mixer = task.mixer(experiment.config, classes)
    for version in range(1, TILES[1]):
        pixels, target = mixer(*batches.in_order(seed + version))
        shown = pixels_of(pixels).cpu() * _channels(preprocess.std) + _channels(preprocess.mean)
        if not preprocess.deep:
            shown = (255 * shown.clamp(0, 1)).byte()
        images = shown.permute(0, 2, 3, 1).numpy()
        truths = to_device(target, torch.device("cpu"))
        for line, image, value in zip(lines, images, truths, strict=True):
            line.append(task.draw(as_picture(image, preprocess.images), value, classes))
    path = options.out or experiment.run.folder / "preview.png"
    title = f"{experiment.name}: training images as they are, and augmented"
    return f"preview: {plot_grid([tile for line in lines for tile in line], title, path)}"


def _batches(experiment: Experiment, count: int) -> tuple[Preprocess, TrainingBatches]:
    """Batches of `count` training images, chosen by the config's seed."""
    task, config, data = experiment.competition.task, experiment.config, experiment.data
    table = experiment.competition.table
    fitted = {} if table is None else table.fit(data.train)
    given = Given(data.decoding.channels, data.decoding.reader.images, width_of(fitted))
    model, about = task.build_network(config, data.classes, given, load=False), config.model
    preprocess = Preprocess.of_model(model, about.image_size, data.decoding, about.fit, fitted)
    images = data.images("train")
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
