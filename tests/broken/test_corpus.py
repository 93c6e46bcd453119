"""Whatever is wrong is refused in one sentence with status 2, or read with a meaning that is stated here;
raw files and earlier results stay as they are."""

import re
import shutil
from pathlib import Path

import pytest

from pipeline.competition.prepared import open_prepared
from pipeline.stages.main import main
from tests.broken import (
    archives,
    coco_json,
    commands,
    images,
    masks,
    samples,
    stored,
    tables,
    targets,
    voc_xml,
)
from tests.broken.case import Case
from tests.broken.worlds import WORLDS, competition

KINDS = (
    images,
    tables,
    samples,
    targets,
    coco_json,
    voc_xml,
    masks,
    archives,
    commands,
    stored,
)
CASES = [case for kind in KINDS for case in kind.CASES]


def contents(folder: Path) -> dict[str, object]:
    """All that is in a folder: the bytes of files, where links lead, and what else there is."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = path.stat().st_mode
    return found


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory):
    """Function from a world to a folder with its sound raw files and what a command made of them."""
    root = tmp_path_factory.mktemp("worlds")
    made: dict[str, Path] = {}

    def get(world: str) -> Path:
        if world not in made:
            folder = root / world
            raw = folder / "raw"
            raw.mkdir(parents=True)
            WORLDS[world](raw)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                main(competition(world, root), {}, ["data", "--raw", "raw"])
            made[world] = folder
        return made[world]

    return get


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_refused_in_one_sentence_or_read_as_stated(case: Case, sound, tmp_path, monkeypatch, capfd):
    before = sound(case.world)
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    case.breaks(tmp_path / "raw")
    case.spoils(tmp_path)
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    raw, results = contents(tmp_path / "raw"), contents(tmp_path / "data")
    capfd.readouterr()
    code: object = 0
    try:
        tested = competition(case.world, before.parent)
        main(tested, {"fast": tested.task.config()}, [*case.arguments, "--raw", "raw"])
    except SystemExit as stop:
        code = stop.code
    out, err = capfd.readouterr()
    assert not (tmp_path / "podium-error.log").exists(), (tmp_path / "podium-error.log").read_text()
    assert contents(tmp_path / "raw") == raw
    kept = contents(tmp_path / "data")
    # Equal content that lies elsewhere is written to the folder of this content again.
    same = out.removeprefix("data: data/").strip() or "none"
    earlier = [name for name in results if re.search("prepared/[0-9a-f]+-", name) and same not in name]
    assert [name for name in earlier if kept.get(name) != results[name]] == []
    if case.refused:
        *_, line = err.splitlines() or [""]
        assert code == 2 and out == "" and line.startswith("error: "), err
        assert err.count("\nerror: ") <= 1 and "Traceback" not in err
        assert [word for word in case.refused if word not in line] == [], line
    else:
        assert code == 0, err
        assert [word for word in case.says if word not in err] == [], err
        assert case.holds is not None and out.startswith("data: ")
        assert case.holds(open_prepared(Path(out.removeprefix("data: ").strip()), tested.reader))
