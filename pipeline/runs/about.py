"""What a person tells a run by, besides its name: about.json in its folder, which changes no result."""

from dataclasses import asdict, dataclass, fields, replace

from pipeline.base.files import write_json
from pipeline.runs.run import Run, read_json

ABOUT = "about.json"


@dataclass(frozen=True, kw_only=True)
class About:
    """What a run was begun with; empty where that is not known.

    Attributes
    ----------
    model : name of the network.
    size : of the images it sees, in pixels: a side, or height x width.
    changed : the options that differ from the named config's, as typed.
    note : a person's words.
    git_sha : the commit that trained it, see `pipeline.runs.provenance`.
    """

    model: str = ""
    size: str = ""
    changed: str = ""
    note: str = ""
    git_sha: str = ""

    def __str__(self) -> str:
        """One line: what there is of it."""
        shown = (
            self.model,
            self.size and f"{self.size} pixels",
            self.changed,
            self.note and f"“{self.note}”",
        )
        return ", ".join(part for part in shown if part)


def about_run(run: Run) -> About:
    """What is known of a run; of one made of others, what its members are, each once."""
    kept = read_json(run.folder / ABOUT)
    known = {one.name for one in fields(About)}
    mine = About(**{name: str(value) for name, value in (kept or {}).items() if name in known})
    described = read_json(run.folder / "config.json") or {}
    members = [about_run(Run(run.folder.with_name(name))) for name in described.get("members", ())]
    for name in ("model", "size") if members else ():
        parts = dict.fromkeys(part for one in members for part in getattr(one, name).split(" + ") if part)
        mine = replace(mine, **{name: " + ".join(parts)})
    return mine


def tell_about(run: Run, **values: str) -> About:
    """Keep more about a run, or something else; the file is left alone where nothing changes."""
    before = about_run(run)
    now = replace(before, **values)
    if now != before or not (run.folder / ABOUT).exists():
        write_json(run.folder / ABOUT, asdict(now))
    return now
