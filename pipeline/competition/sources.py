"""Where the raw files of a competition come from."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_folder, digest, file_hash, locked, remove_leftovers, write_json
from pipeline.base.paths import Paths, mounted_input, on_kaggle
from pipeline.base.progress import banner, say
from pipeline.competition.base import Competition
from pipeline.kaggle.download import competition_archive, download_competition, has_credentials
from pipeline.raw.download import download
from pipeline.raw.files import is_visible
from pipeline.runs.run import read_json

SAMPLE_SEED = 0

Wanted = Literal["auto", "kaggle", "mirror", "sample"]
"""Where raw files are wanted from; see `find_source`."""


@dataclass(frozen=True)
class Source:
    """Raw files on this machine.

    Parameters
    ----------
    kind : where they come from; scores on ``sample`` mean nothing.
    raw : folder of raw files, only ever read.
    truth : parquet with the truth of the sample's test images; None for real data, whose truth nobody has.
    """

    kind: Literal["folder", "kaggle", "mounted", "mirror", "sample"]
    raw: Path
    truth: Path | None


def find_source(
    competition: Competition,
    paths: Paths,
    data: Wanted = "auto",
    raw: Path | None = None,
) -> Source:
    """Find, download or generate the raw files of a competition.

    Parameters
    ----------
    data : ``auto`` takes the first there is of: files in ``<data>/<slug>/raw``, in a Kaggle kernel the
        mounted input, a download from Kaggle, Kaggle when there are credentials, the generated sample.
    raw : folder of raw files to use instead.

    Raises
    ------
    UserError : `raw` has no files or comes with a `data`, or the files cannot be had from where `data` says.
    """
    home = paths.data / competition.slug
    if raw is not None:
        if data != "auto":
            raise UserError(f"RAW={raw} and DATA={data} exclude each other: give one of them")
        return _given(raw)
    if data == "auto":
        return _auto(competition, home)
    with locked(home):
        if data == "kaggle":
            return _from_kaggle(competition, home)
        if data == "mirror":
            return _from_mirror(competition, home)
        return _sample(competition, home)


def _auto(competition: Competition, home: Path) -> Source:
    if _has_files(home / "raw"):
        return Source("folder", home / "raw", None)
    mounted = mounted_input(competition.kaggle_slug) if on_kaggle() and competition.kaggle_slug else None
    if mounted is not None and _has_files(mounted):
        return Source("mounted", mounted, None)
    with locked(home):
        slug = competition.kaggle_slug
        if slug and (_downloaded(slug, home) or has_credentials()):
            return _from_kaggle(competition, home)
        banner(_sample_notice(competition))
        return _sample(competition, home)


def _given(raw: Path) -> Source:
    if not raw.is_dir():
        what = "is a file" if raw.exists() else "does not exist"
        raise UserError(f"RAW={raw} {what}: give the folder that holds the raw files")
    if not _has_files(raw):
        raise UserError(f"RAW={raw} is empty: give the folder that holds the raw files")
    return Source("folder", raw, None)


def _downloaded(kaggle_slug: str, home: Path) -> bool:
    return competition_archive(kaggle_slug, home / "kaggle").exists()


def _from_kaggle(competition: Competition, home: Path) -> Source:
    if competition.kaggle_slug is None:
        raise UserError(f"{competition.slug} is not on Kaggle: {_other_ways(competition, 'kaggle')}")
    download_competition(competition.kaggle_slug, home / "kaggle")
    return Source("kaggle", home / "kaggle", None)


def _from_mirror(competition: Competition, home: Path) -> Source:
    if competition.mirror is None:
        raise UserError(f"{competition.slug} has no mirror: {_other_ways(competition, 'mirror')}")
    name = competition.mirror.url.partition("?")[0].rpartition("/")[2]
    download(competition.mirror.url, home / "mirror" / name, competition.mirror.sha1)
    return Source("mirror", home / "mirror", None)


def _sample(competition: Competition, home: Path) -> Source:
    """The generated sample; generated anew when its generator has changed, or a file of it."""
    folder = home / "sample"
    source, state = folder / "raw", folder / "sample.json"
    generator = digest([SAMPLE_SEED, _generator(competition)])
    known = read_json(state)
    if not isinstance(known, dict) or known.get("generator") != generator or not _is_whole(folder, known):
        say(f"generating the sample of {competition.slug} in {folder}")
        remove_leftovers(home)
        with atomic_folder(folder) as temporary:
            (temporary / "raw").mkdir()
            truth = competition.make_sample(temporary / "raw", SAMPLE_SEED)
            for name in truth.columns:  # the folder is still to get its name
                if truth[name].map(lambda cell: str(temporary) in str(cell)).any():
                    truth[name] = [_moved(cell, str(temporary), str(folder)) for cell in truth[name]]
            truth.to_parquet(temporary / "truth.parquet")
            files = [path for path in (temporary / "raw").rglob("*") if path.is_file()]
            about = {
                "generator": generator,
                "truth": file_hash(temporary / "truth.parquet"),
                "sizes": {str(path.relative_to(temporary)): path.stat().st_size for path in files},
            }
            write_json(temporary / state.name, about)
    return Source("sample", source, folder / "truth.parquet")


def _moved(cell: str | Sequence[str], old: str, new: str) -> str | list[str]:
    """A path below the folder `old`, or a list of such, below `new`."""
    return cell.replace(old, new) if isinstance(cell, str) else [path.replace(old, new) for path in cell]


def _is_whole(folder: Path, known: dict[str, Any]) -> bool:
    """Whether the truth is the one that was written, and no raw file is missing or of another size."""
    try:
        sizes = {name: (folder / name).stat().st_size for name in known["sizes"]}
        return sizes == known["sizes"] and file_hash(folder / "truth.parquet") == known["truth"]
    except (OSError, KeyError, TypeError):
        return False


def _generator(competition: Competition) -> str:
    """The source of what makes the sample: sample.py beside the competition's module, or that module."""
    module = Path(inspect.getfile(type(competition)))
    sample = module.with_name("sample.py")
    return (sample if sample.exists() else module).read_text()


def _sample_notice(competition: Competition) -> str:
    return (
        f"SAMPLE DATA. There is no real data for {competition.slug}, so generated images stand in for it.\n"
        "  Scores on them mean nothing, and they cannot be submitted.\n"
        f"  For a real run, {_other_ways(competition, 'sample')}."
    )


def _other_ways(competition: Competition, *but: str) -> str:
    ways = {
        "raw": "give the folder with the raw files as RAW=<folder>",
        "kaggle": "use DATA=kaggle (needs a Kaggle account)" if competition.kaggle_slug else None,
        "mirror": "use DATA=mirror (a public download)" if competition.mirror else None,
        "sample": "use DATA=sample (generated)",
    }
    return ", or ".join(text for way, text in ways.items() if text and way not in but)


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(is_visible(path.name) for path in folder.iterdir())
