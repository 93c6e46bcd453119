"""Predicting any folder of images with a finished run."""

import datetime
from pathlib import Path

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.competition.unreadable import OnBadImage
from pipeline.export.apply import Apply, fitted_decision
from pipeline.export.folder import read_folder, write_pictures, write_table
from pipeline.export.members import chosen_run, members_of
from pipeline.readers.decoding import Decoding
from pipeline.stages.context import Context
from pipeline.training.checkpoint import Checkpoint


def check_folder(context: Context, settings: tuple[str, ...]) -> None:
    """Refuse options of training data and of experiments beside a folder of images.

    Parameters
    ----------
    settings : what the names of an experiment's options begin with.

    Raises
    ------
    UserError : names them.
    """
    own = ("--config", "--data", "--raw", "--track.", *settings)
    typed = [word.partition("=")[0] for word in context.arguments if word.startswith(own)]
    if typed:
        raise UserError(
            f"--images are predicted by a finished run (--run), as it was made: leave out {name_some(typed)}"
        )


def predict_folder(
    context: Context, images: Path, run: str | None, out: Path | None, on_bad_image: OnBadImage
) -> str:
    """Predict the images, and write the table, the pictures and their page.

    Raises
    ------
    UserError : no such run or folder, or images that cannot be read.
    """
    competition = context.competition
    chosen = chosen_run(context.runs, run)
    first = Checkpoint.load(members_of(chosen)[0].path, competition.task.config)
    decision = None if competition.decision is None else fitted_decision(chosen)
    decoding = Decoding.from_json(competition.reader, first.preprocess.decoding)
    out = out or chosen.folder / "predicted" / f"{datetime.datetime.now():%Y%m%d-%H%M%S}"
    found = read_folder(images, decoding, on_bad_image, out)
    say(f"{len(found):,} images, predicted by {chosen.name} on {context.device}")
    apply = Apply(competition=competition, images=found, classes=first.classes, device=context.device)
    predictions = apply.predict(chosen, out / "files")
    if competition.decision is not None:
        predictions = competition.decision.apply(predictions, first.classes, decision)
    table = write_table(competition, predictions, found, first.classes, out)
    say(f"pictures: {write_pictures(competition, predictions, found, first.classes, out)}")
    return f"predictions: {table}"
