"""The stages a user can call. Each does what it needs of the stages before it, and skips what is done."""

import datetime

import numpy as np
import pandas as pd
import torch

from pipeline.base.device import to_device
from pipeline.base.errors import UserError
from pipeline.base.figures import TILES, plot_grid
from pipeline.base.files import atomic_path
from pipeline.base.progress import say
from pipeline.delivery.deliver import Finished, cv_scores
from pipeline.experiment.average import average
from pipeline.experiment.blend_runs import blend
from pipeline.experiment.experiment import Experiment
from pipeline.inputs.batches import TrainingBatches
from pipeline.inputs.transforms import Preprocess
from pipeline.runs.run import open_run, read_frame, save_frame
from pipeline.stages.export_folders import export_class_folders
from pipeline.stages.hand_in import hand_in, scores, upload, upload_unasked
from pipeline.stages.workbench import Workbench
from pipeline.track.workspace import save_view
from pipeline.training.loop import start, training_step
from pipeline.training.lr_range import plot_range_test, range_test, suggest


def data(bench: Workbench) -> str:
    """Fetch and reorganise the raw files; nothing else."""
    return f"data: {bench.experiments[0].data.folder}"


def export(bench: Workbench) -> str:
    """Write train_valid_test/ class folders of hard links, for tools that want that layout."""
    experiment = bench.experiments[0]
    target = bench.out or experiment.paths.data / experiment.competition.slug / "train_valid_test"
    export_class_folders(experiment.data, experiment.folds, target)
    return f"folders: {target}"


def folds(bench: Workbench) -> str:
    """Assign folds, check them for leaks, and count the images in each."""
    for experiment in bench.experiments:
        counts = experiment.folds["fold"].value_counts().sort_index()
        for fold, count in counts.items():
            say(f"{'always trained on' if fold < 0 else f'fold {fold}'}: {count:,} images")
    return f"folds: {bench.experiments[0].run.folder}"


def preview(bench: Workbench) -> str:
    """Draw a grid of augmented training images with their labels."""
    experiment = bench.experiments[0]
    task, images, classes = experiment.competition.task, experiment.train_images, experiment.data.classes
    model = task.build_model(experiment.config.model, classes, load=False)
    preprocess = Preprocess.of_model(model, experiment.config.model.image_size)
    count = TILES[0] * TILES[1]
    rows = np.random.default_rng(experiment.config.train.seed).permutation(len(images))[:count]
    targets = task.targets(images.frame.iloc[rows], classes, experiment.config)
    transform = task.train_transform(experiment.config.augment, preprocess)
    batches = TrainingBatches(
        images, rows, targets, transform, experiment.config, preprocess, experiment.device
    )
    mixer = task.mixer(experiment.config.augment, classes)
    tiles = []
    for pixels, target in batches.epoch(experiment.config.train.seed):
        pixels, target = mixer(pixels, target)
        shown = pixels.cpu() * _channels(preprocess.std) + _channels(preprocess.mean)
        shown = (255 * shown.clamp(0, 1)).byte().permute(0, 2, 3, 1).numpy()
        truths = to_device(target, torch.device("cpu"))
        tiles += [task.draw(image, value, classes) for image, value in zip(shown, truths, strict=True)]
    target_path = bench.out or experiment.run.folder / "preview.png"
    return f"preview: {plot_grid(tiles[:count], f'{bench.name}: augmented training images', target_path)}"


def _channels(values: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def lr_find(bench: Workbench) -> str:
    """Plot the loss over rising learning rates on the first fold, and suggest one. Saves no weights.

    Raises
    ------
    UserError : the loss suggests no rate; names the plot, which is drawn all the same.
    """
    experiment = bench.experiments[0]
    job = experiment.job(experiment.fold_numbers[0])
    session, batches, _ = start(job)
    frame = range_test(training_step(job, session, batches))
    path = bench.out or experiment.run.folder / "lr_find.png"
    try:
        lr = suggest(frame)
    except UserError as error:
        plot_range_test(frame, None, path)
        raise UserError(f"{error} (the losses are drawn in {path})") from error
    plot_range_test(frame, lr, path)
    say(f"suggested: --train.lr {lr:.2g} (the config has {experiment.config.train.lr:.2g})")
    return f"learning rates: {path}"


def train(bench: Workbench) -> str:
    """Train every fold that is not trained yet."""
    for experiment in bench.experiments:
        with experiment.run.lock():
            experiment.train()
    return "runs: " + " ".join(str(experiment.run.folder) for experiment in bench.experiments)


def predict(bench: Workbench) -> str:
    """Predict out-of-fold and test images with every fold; trains what is not trained yet."""
    for experiment in bench.experiments:
        with experiment.run.lock():
            experiment.train()
            experiment.finish()
    return "runs: " + " ".join(str(experiment.run.folder) for experiment in bench.experiments)


def submit(bench: Workbench) -> str:
    """Everything, from raw files to a validated submission file, its report and its ledger row."""
    whole = _predicted(bench)
    path = hand_in(bench, whole)
    upload_unasked(bench, whole.run.name)  # last: what Kaggle says is no part of the result
    return f"submission: {path}"


def _predicted(bench: Workbench) -> Finished:
    """The run, or ensemble of runs, that the bench asks for; trains and predicts what is missing."""
    predict(bench)
    finished = [_finished(experiment) for experiment in bench.experiments]
    return finished[0] if len(finished) == 1 else _ensemble(bench, finished)


def _finished(experiment: Experiment) -> Finished:
    return Finished(
        experiment.run,
        experiment.name,
        experiment.config.to_json(),
        str(experiment.config),
        experiment.fold_scores(),
        experiment.histories(),
        experiment.minutes(),
    )


def _ensemble(bench: Workbench, members: list[Finished]) -> Finished:
    """A run whose predictions are the mean of its members'."""
    first = bench.experiments[0]
    description = {"members": [member.run.name for member in members], "fingerprint": first.data.fingerprint}
    run = open_run(first.paths.runs / first.competition.slug, bench.name, description, datetime.date.today())
    with run.lock():
        for split in ("oof", "test"):
            frames = [read_frame(member.run.folder / f"{split}.parquet") for member in members]
            names = [member.run.name for member in members]
            mean = average(first.competition.task, frames, names, run.folder / split, first.config.predict)
            save_frame(mean, run.folder / f"{split}.parquet")
    truth = first.data.train.set_index("image_id")
    scores = []
    for member in members:
        oof = read_frame(member.run.folder / "oof.parquet")
        scores.append(
            float(first.competition.score(truth.loc[oof["image_id"]].reset_index(), oof, first.data.classes))
        )
    text = "\n".join(f"# {member.run.name}\n{member.config_text}" for member in members)
    return Finished(run, bench.name, description, text, scores, {}, sum(member.minutes for member in members))


def compare(benches: list[Workbench]) -> str:
    """Run several configs, as in --config scratch,probe,fast, and put their scores in one table."""
    # All before any trains, so that an option which does not suit the last config is told at once.
    firsts = [bench.experiments[0] for bench in benches]
    rows = []
    for bench, experiment in zip(benches, firsts, strict=True):
        whole = _predicted(bench)
        scores = cv_scores(whole, experiment.competition, experiment.data)
        rows.append(
            {"config": bench.name, **scores, "minutes": round(whole.minutes, 1), "run": whole.run.name}
        )
    table = pd.DataFrame(rows)
    path = benches[0].out or firsts[0].paths.runs / firsts[0].competition.slug / "comparison.csv"
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    say(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    return f"comparison: {path}"


def workspace(bench: Workbench) -> str:
    """Save the wandb view of all runs, their scores and curves. Needs a wandb login; trains nothing."""
    competition = bench.workshop.competition
    return f"workspace: {save_view(competition.slug, competition.metric, bench.track.entity)}"


STAGES = {
    stage.__name__.replace("_", "-"): stage
    for stage in (
        data,
        export,
        folds,
        preview,
        lr_find,
        train,
        predict,
        submit,
        blend,
        upload,
        scores,
        workspace,
    )
}
