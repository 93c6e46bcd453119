"""Look for copies, leaks, conflicting targets and odd images, and write a page of them."""

from dataclasses import dataclass

import numpy as np

from pipeline.audit.findings import all_images, find
from pipeline.audit.fingerprint import POSITIONS
from pipeline.audit.known import fingerprints
from pipeline.audit.near import near_pairs
from pipeline.audit.page import parts, summary
from pipeline.base.files import locked
from pipeline.base.page import write_page
from pipeline.base.progress import progress, say
from pipeline.stages.context import Context
from pipeline.stages.experiments import experiments_of
from pipeline.stages.options import ConfigOptions, OutOptions, SourceOptions


@dataclass(frozen=True, kw_only=True)
class Options(ConfigOptions, SourceOptions, OutOptions):
    """Look for copies, leaks, conflicting targets and odd images, and write a page of them."""


def run(context: Context, options: Options) -> str:
    """Write the page."""
    experiment = experiments_of(options, context, options.name)[0]
    data, home = context.data, context.paths.data / context.competition.slug
    images = all_images(data, experiment.folds)
    first = images[~images["content_hash"].duplicated()]
    rows = [
        (data.images(split), first.loc[first["split"] == split, "row"].to_numpy())
        for split in ("train", "test")
    ]
    with locked(home / "prepared"):
        known = fingerprints(rows, home / "prepared")
    usable = int(np.any(known.values != 0, axis=1).sum())
    with progress("compare images", usable * len(POSITIONS), "images") as advance:
        near = near_pairs(known.values, advance)
    found = find(data, context.competition.task, experiment.folds, images, known, near)
    for what, count, named in summary(found):
        say(f"{what}: {count:,}{f' ({named})' if count else ''}")
    title = f"{context.competition.slug}: audit of the images"
    return f"audit: {write_page(options.out or home / 'audit.html', title, parts(found, data))}"
