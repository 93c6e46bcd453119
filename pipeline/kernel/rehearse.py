"""Run a bundle here as Kaggle would: ``python -m pipeline.kernel.rehearse --folder build/kernel/<slug>``."""

import importlib
import json
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import tyro

from pipeline.base.errors import UserError, name_some, told_to_the_user
from pipeline.base.paths import Paths
from pipeline.base.progress import say
from pipeline.competition.base import Competition
from pipeline.competition.prepare import prepare
from pipeline.competition.sources import Source, find_source
from pipeline.delivery.submission import check_file
from pipeline.kernel.bundle import Bundle, fill_in
from pipeline.kernel.environment import make_environment, stand_in_wheels
from pipeline.kernel.metadata import OWNER, mount_of, with_owner
from pipeline.kernel.sandbox import Sandbox, obstacle
from pipeline.kernel.wheels import closure, kaggle_image, read_wheels

REHEARSER = "rehearser"
"""Name of the Kaggle user where the bundle names none."""


@dataclass(frozen=True)
class RehearsalOptions:
    """Options of the rehearsal."""

    folder: Path
    """Folder that pipeline.kernel.bundle built."""
    raw: str = "sample"
    """Folder of raw files to mount as the competition's, or sample for the generated ones."""
    config: str | None = None
    """Train this config instead of the bundle's; on sample data the config sample, if not given."""


def load_competition(slug: str) -> Competition:
    """The competition in folder `slug`, which a bundle names by its text alone.

    Everywhere else the competition's own ``__main__`` hands itself over, so that the pipeline imports none. A
    rehearsal starts from a bundle, as the kernel's notebook does, and imports what the bundle names as the
    notebook does. Raises UserError where there is none.
    """
    try:
        return importlib.import_module(f"competitions.{slug}.competition").Competition()
    except ModuleNotFoundError as error:
        if error.name not in (f"competitions.{slug}", f"competitions.{slug}.competition"):
            raise
        raise UserError(f"there is no folder competitions/{slug}: check COMP={slug}") from error


def read_bundle(folder: Path) -> Bundle:
    """What bundle.json in `folder` says. Raises UserError where there is none."""
    try:
        return Bundle(**json.loads((folder / "bundle.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder} is no bundle ({error}): build one with make kernel") from error


def check_complete(folder: Path) -> None:
    """Raise UserError where a package is neither in Kaggle's image nor in the bundle in the version
    needed."""
    found = closure(read_wheels(folder / "dataset"), kaggle_image())
    if found.missing:
        raise UserError(
            f"neither Kaggle's image nor {folder}/dataset has {name_some(found.missing)}: build it again"
        )


def rehearse(options: RehearsalOptions) -> Path:
    """Run the bundle's notebook in a sandbox, check its submission, and return the submission's path.

    Everything is left in ``<folder>/rehearsal``: the working folder, and the notebook with its outputs.

    Raises
    ------
    UserError : no bundle, namespaces are not allowed here, the bundle lacks a package, a cell failed, the
        working folder is too large, submission.csv is missing or would be refused.
    """
    if reason := obstacle():
        raise UserError(f"a rehearsal needs Linux namespaces, and {reason}")
    bundle = read_bundle(options.folder)
    if bundle.kind == "inference" and options.config is not None:
        raise UserError(
            f"an inference kernel predicts as its run did, and --config {options.config} would do nothing: "
            "leave it out"
        )
    check_complete(options.folder)
    competition = load_competition(bundle.comp)
    home = options.folder / "rehearsal"
    shutil.rmtree(home, ignore_errors=True)
    for name in ("working", "tmp"):
        (home / name).mkdir(parents=True)
    paths = Paths(home / "check", home / "check", home / "check")
    sample = options.raw == "sample"
    source = find_source(
        competition, paths, "sample" if sample else "auto", None if sample else Path(options.raw)
    )
    stand_ins = stand_in_wheels(options.folder / "dataset", home / "dataset")
    if stand_ins:
        say(f"not for this Python, so this machine's stand in: {name_some(stand_ins, 20)}")
    make_environment(home / "environment", kaggle_image())
    notebook = home / "notebook.ipynb"
    _write_notebook(options, bundle, notebook)
    inputs = mounts(options.folder, bundle, home / "dataset", source.raw)
    sandbox = Sandbox(inputs, home / "working", home / "tmp", home / "environment")
    sandbox.run(notebook, home / "executed.ipynb")
    sandbox.check_size()
    return _checked(competition, source, paths, home / "working" / "submission.csv")


def mounts(folder: Path, bundle: Bundle, dataset: Path, raw: Path) -> dict[str, Path]:
    """Place under /kaggle/input of each input that kernel-metadata.json names."""
    about = json.loads((folder / "kernel" / "kernel-metadata.json").read_text())
    about = with_owner(about, REHEARSER if OWNER in about["id"] else about["id"].partition("/")[0])
    places = {}
    for source in about["dataset_sources"]:
        is_bundle = source.rpartition("/")[2] == bundle.bundle
        places[str(mount_of(source, Path()))] = dataset if is_bundle else raw
    for slug in about["competition_sources"]:
        places[f"competitions/{slug}"] = raw
    return places


def _write_notebook(options: RehearsalOptions, bundle: Bundle, target: Path) -> None:
    source = next((options.folder / "kernel").glob("*.ipynb"))
    config = options.config or ("sample" if options.raw == "sample" else bundle.config)
    if bundle.kind == "train" and config != bundle.config:
        say(f"training the config {config}, not the bundle's {bundle.config}")
    notebook = fill_in(nbformat.read(source, as_version=4), {**bundle.parameters(), "CONFIG": config})
    nbformat.write(notebook, target)


def _checked(competition: Competition, source: Source, paths: Paths, path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"the kernel left no submission.csv in its working folder {path.parent}")
    data = prepare(competition, source, paths.data / competition.slug)
    check_file(path, data.sample_submission, data.test, competition.submission_format(data.classes))
    return path


def main() -> None:
    """Rehearse from the command line."""
    # A request to end must end the sandbox too, which is a session of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with told_to_the_user():
        path = rehearse(tyro.cli(RehearsalOptions, prog="python -m pipeline.kernel.rehearse"))
    say("the kernel ran without a network on the image's packages, and its submission is valid")
    print(f"submission: {path}", flush=True)


if __name__ == "__main__":
    main()
