"""A valid submission as soon as there is one fold, and a better one after each: whatever ends a command, the
best so far is on disk."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.base.files import file_hash, write_json
from pipeline.base.progress import say
from pipeline.delivery.deliver import Finished, copy_out, deliver_so_far
from pipeline.experiment.combine import folds_of, mean_of
from pipeline.experiment.experiment import Experiment
from pipeline.runs.run import Run, read_json
from pipeline.stages.context import Context
from pipeline.stages.finish import run_of, usable

SO_FAR = "so_far.json"
"""In a run's folder: which folds its submission was made of before it was finished."""


@dataclass(frozen=True)
class SoFar:
    """What there is of a run of one experiment, or of the mean of several.

    Attributes
    ----------
    out : where the submission is copied to, too.
    """

    experiments: list[Experiment]
    name: str
    context: Context
    out: Path | None

    def deliver(self) -> None:
        """Write and record a submission of the folds that are predicted, unless that is done or they are all.

        What the last of these submissions cannot be made without may yet come with the next fold, as a class
        that one fold lacks: it is told, and nothing else happens.
        """
        there = {one.run.name: one.predicted_folds() for one in usable(self.experiments)}
        if not any(there.values()) or self._are_all(there):
            return
        run = run_of(self.experiments, self.name, self.context)
        if self._is_done(run, there):
            return
        try:
            # The run of a single experiment is held by whoever trains it.
            with nullcontext() if len(self.experiments) == 1 else run.lock():
                path = deliver_so_far(
                    self._joined(run, there),
                    self.context.competition,
                    self.context.data,
                    self.context.source,
                    self.context.submissions,
                )
        except UserError as error:
            say(f"warning: no submission of the folds so far: {error}")
            return
        write_json(run.folder / SO_FAR, {"folds": there, "sha256": file_hash(path)})
        if self.out:
            copy_out(path, self.out)
        say(f"submission so far: {path}")

    def _are_all(self, there: dict[str, list[int]]) -> bool:
        return all(there.get(one.run.name) == one.fold_numbers for one in self.experiments)

    def _is_done(self, run: Run, there: dict[str, list[int]]) -> bool:
        path, known = self.context.submissions / f"{run.name}.csv", read_json(run.folder / SO_FAR) or {}
        return known.get("folds") == there and path.is_file() and known.get("sha256") == file_hash(path)

    def _joined(self, run: Run, there: dict[str, list[int]]) -> Finished:
        begun = [one for one in self.experiments if one.run.name in there]
        for one in begun:
            one.join(there[one.run.name])
        if len(self.experiments) > 1:
            mean_of([one.run for one in begun], run, self.context.competition)
        return Finished(
            run=run,
            config_name=self.name,
            config=begun[0].config.to_json() if len(self.experiments) == 1 else {"members": list(there)},
            config_text="",
            folds=folds_of(run),
            histories={},
            minutes=sum(one.minutes() for one in begun),
            planned=len(begun[0].fold_numbers),
        )
