"""Build a folder that is ready to push to Kaggle.

The folder holds ``kernel/`` (the notebook and kernel-metadata.json), ``dataset/`` (dataset-metadata.json,
wheels, compiled operators, weights or checkpoints) and ``bundle.json``, which says how it was built.
"""

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import nbformat

from ops import _library
from pipeline.base.errors import UserError
from pipeline.base.files import atomic_folder, write_json
from pipeline.base.progress import say
from pipeline.competition.base import Competition
from pipeline.config.config import Entry, members_of
from pipeline.kernel.inference import copy_checkpoints
from pipeline.kernel.metadata import (
    OWNER,
    Kind,
    bundle_slug,
    dataset_metadata,
    kernel_metadata,
    kernel_slug,
)
from pipeline.kernel.wheels import REPOSITORY, fill_wheel_folder
from pipeline.networks.weights import SUFFIXES

TEMPLATE = REPOSITORY / "notebooks" / "04-kaggle-kernel.ipynb"
PARAMETERS = "parameters"
"""Tag of the notebook's cell whose values are filled in."""
WEIGHTS_OPTION = "--model.weights"
"""The stage's option that the notebook fills in where weights ride along."""


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """What the bundle holds, and how Kaggle runs it."""

    kind: Kind = "train"
    """train: everything happens in the kernel; inference: it only predicts, with the checkpoints of --run."""
    run: Path | None = None
    """Folder of a finished run whose checkpoints ride along; for inference."""
    weights: Path | None = None
    """File or folder of weights to start training from, for configs with pretrained=True."""
    out: Path | None = None
    """Where to build; build/kernel/<comp> by default."""
    owner: str = OWNER
    """Kaggle user that the kernel and the dataset belong to; by default whoever pushes."""
    data_source: str | None = None
    """Dataset (owner/slug) that holds the raw files of a competition Kaggle does not host."""
    gpu: bool = True
    """Ask Kaggle for two T4; --no-gpu for the CPU."""
    hours: float = 9.0
    """The session's time limit, for the pre-flight's report: 9 in most code competitions, 2 in some."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a kernel that trains does.

    Attributes
    ----------
    configs : the competition's experiments.
    config : the one that is trained, or auto: base on a GPU, else fast.
    arguments : further options of the stage, as one would type them.
    """

    configs: Mapping[str, Entry]
    config: str = "auto"
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What bundle.json says.

    Attributes
    ----------
    comp, kind, config, arguments : what the kernel runs.
    bundle : slug of the dataset with the wheels.
    data : Kaggle's slug of the competition or dataset with the raw files.
    data_source : ``<owner>/<slug>`` of that dataset, None where it is a competition.
    runs : the run to predict with, followed by its members.
    weights : whether there are weights to start from.
    """

    comp: str
    kind: Kind
    config: str
    arguments: list[str]
    hours: float
    bundle: str
    data: str
    data_source: str | None
    runs: list[str]
    weights: bool

    def parameters(self) -> dict[str, Any]:
        """The values of the notebook's parameters cell."""
        return {
            "COMP": self.comp,
            "KIND": self.kind,
            "CONFIG": self.config,
            "ARGUMENTS": self.arguments,
            "RUN": self.runs[0] if self.runs else None,
            "WEIGHTS": self.weights,
            "BUNDLE": self.bundle,
            "DATA": self.data,
            "HOURS": self.hours,
        }


def build_bundle(competition: Competition, training: Training, options: BundleOptions) -> Path:
    """Build the folder anew and return its path.

    Raises
    ------
    UserError : options that contradict each other, weights or a run that are not there, wheels that cannot be
        had; nothing is replaced then.
    """
    check_options(training, options)
    bundle = _describe(competition, training, options)
    out = options.out or Path("build") / "kernel" / competition.slug
    with atomic_folder(out) as folder:
        dataset = folder / "dataset"
        wheels = fill_wheel_folder(dataset / "wheels", out.parent / "wheels")
        if _library.LIBRARIES["cpu"].exists():
            (dataset / "operators").mkdir()
            shutil.copy2(_library.LIBRARIES["cpu"], dataset / "operators")
        else:
            say("warning: the operators are not compiled (make ops): plain torch will stand in for them")
        if options.weights:
            _copy_weights(options.weights, dataset / "weights")
        if options.run:
            runs = copy_checkpoints(options.run, dataset / "runs", competition)
            bundle = replace(bundle, runs=runs)
        write_json(dataset / "dataset-metadata.json", dataset_metadata(options.owner, bundle.bundle))
        _write_kernel(folder / "kernel", bundle, options)
        write_json(folder / "bundle.json", asdict(bundle))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    say(f"{len(wheels)} wheels, {size / 1e6:.0f} MB in all")
    return out


def check_options(training: Training, options: BundleOptions) -> None:
    """Raise UserError where the kernel could not work, before anything is fetched for it."""
    if options.kind == "inference" and options.run is None:
        raise UserError("an inference kernel needs checkpoints: name a finished run with --run runs/...")
    if options.kind == "train" and options.run is not None:
        raise UserError("--run is for inference: add --kind inference, or leave it out")
    if options.kind == "inference":
        _check_nothing_trains(training, options)
        return
    if any(word.partition("=")[0] == WEIGHTS_OPTION for word in training.arguments):
        raise UserError(
            f"{WEIGHTS_OPTION} names a file of this machine, which the kernel does not see: name it with "
            "--weights (make: WEIGHTS=), and it rides along"
        )
    names = ["base", "fast"] if training.config == "auto" else [training.config]
    for name in names:
        if name not in training.configs:
            raise UserError(f"there is no config {name!r}: choose one of {', '.join(training.configs)}")
        if options.weights is None and "--model.no-pretrained" not in training.arguments:
            _check_pretrained(name, training.configs[name])


def _check_nothing_trains(training: Training, options: BundleOptions) -> None:
    """Refuse what a kernel that only predicts would ignore."""
    surplus = list(training.arguments)
    if training.config != "auto":
        surplus += ["--config", training.config]
    if options.weights is not None:
        surplus += ["--weights", str(options.weights)]
    if surplus:
        raise UserError(
            f"an inference kernel predicts as its run did, and {shlex.join(surplus)} would do nothing: "
            "leave it out"
        )


def _check_pretrained(name: str, entry: Entry) -> None:
    for member in members_of(entry):
        if member.model.pretrained and member.model.weights is None:
            raise UserError(
                f"config {name} starts {member.model.name} from published weights, and a kernel has no "
                "network: name a file or folder of them with --weights (make: WEIGHTS=), or choose a config "
                "without, such as CONFIG=sample"
            )


def _describe(competition: Competition, training: Training, options: BundleOptions) -> Bundle:
    source, slug = options.data_source, competition.slug
    if competition.kaggle_slug is None and source is None:
        source = f"{options.owner}/{slug.replace('_', '-')}-raw-files"
        say(
            f"{slug} is not on Kaggle: the kernel will read its raw files from your dataset "
            f'{source}; name another with ARGS="--data-source <owner>/<slug>"'
        )
    return Bundle(
        comp=slug,
        kind=options.kind,
        config=training.config,
        arguments=list(training.arguments),
        hours=options.hours,
        bundle=bundle_slug(slug, options.kind),
        data=source.rpartition("/")[2] if source else competition.kaggle_slug or "",
        data_source=source,
        runs=[],
        weights=options.weights is not None,
    )


def _copy_weights(weights: Path, target: Path) -> None:
    """Copy one file of weights, or all in a folder and the folders in it."""
    files = [weights] if weights.is_file() else [path for path in weights.rglob("*") if path.is_file()]
    files = [path for path in files if path.suffix in SUFFIXES]
    if not files:
        raise UserError(f"{weights} holds no weights ({', '.join(SUFFIXES)}): name the file or its folder")
    for path in files:
        place = target / (path.name if path == weights else path.relative_to(weights))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _write_kernel(folder: Path, bundle: Bundle, options: BundleOptions) -> None:
    folder.mkdir()
    slug = kernel_slug(bundle.comp, bundle.kind)
    code_file = f"{slug}.ipynb"
    datasets = [f"{options.owner}/{bundle.bundle}", *([bundle.data_source] if bundle.data_source else [])]
    competitions = [] if bundle.data_source else [bundle.data]
    about = kernel_metadata(options.owner, slug, code_file, options.gpu, datasets, competitions)
    write_json(folder / "kernel-metadata.json", about)
    nbformat.write(fill_in(nbformat.read(TEMPLATE, as_version=4), bundle.parameters()), folder / code_file)


def fill_in(notebook: nbformat.NotebookNode, values: dict[str, Any]) -> nbformat.NotebookNode:
    """`notebook` with `values` as its parameters cell. Raises KeyError where the cell sets other names."""
    cell = next(cell for cell in notebook.cells if PARAMETERS in cell.metadata.get("tags", []))
    names = [line.partition(" = ")[0] for line in cell.source.splitlines() if " = " in line]
    if set(names) != set(values):
        raise KeyError(f"the notebook's parameters are {sorted(names)}, not {sorted(values)}")
    cell.source = "\n".join(f"{name} = {values[name]!r}" for name in names)
    return notebook
