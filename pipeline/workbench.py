"""What a stage works on."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.blend import Method
from pipeline.experiment import Experiment


@dataclass(frozen=True)
class Workbench:
    """What a stage works on.

    Attributes
    ----------
    name : the chosen entry of the competition's configs.
    experiments : one, or the members of an ensemble.
    out : where the user also wants the result.
    format : csv, or the other submission format to write as well.
    run, runs, method : which run to upload; which to blend, and how.
    """

    name: str
    experiments: list[Experiment]
    out: Path | None
    format: str = "csv"
    run: str | None = None
    runs: tuple[str, ...] = ()
    method: Method = "climb"
