"""Where the networks of a run looked, each in the images that its own fold validates."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from pipeline.competition.base import Competition
from pipeline.competition.prepared import Prepared
from pipeline.prediction.saliency import looked_at
from pipeline.runs.run import Run
from pipeline.tasks.task import Saliency
from pipeline.training.checkpoint import Checkpoint


def saliency_of(
    run: Run, keep: str, folds: pd.Series, competition: Competition, data: Prepared, device: str
) -> Saliency:
    """See `Saliency`; a fold's network is read once.

    Parameters
    ----------
    keep : name of the checkpoint that predicts.
    folds : the fold of each image, by its id.
    """

    def look(ids: Sequence[str], outputs: Sequence[int]) -> list[np.ndarray | None]:
        found: dict[int, np.ndarray | None] = {}
        row_of = pd.Series(range(len(data.train)), index=data.train["image_id"])
        numbers = folds.loc[list(ids)].to_numpy()
        for fold in np.unique(numbers).tolist():
            places = np.flatnonzero(numbers == fold).tolist()
            checkpoint = Checkpoint.load(run.fold(fold) / f"{keep}.pt", competition.task.config)
            model = checkpoint.build(competition.task, torch.device(device))
            images = data.images("train", competition.reach(checkpoint.config))
            rows = row_of.loc[[ids[place] for place in places]].to_numpy()
            asked = np.asarray(outputs)[places]
            pictures = looked_at(model, images, rows, asked, checkpoint.preprocess)
            found |= dict(zip(places, pictures or (), strict=False))
        return [found.get(place) for place in range(len(ids))]

    return look
