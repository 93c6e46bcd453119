"""What a result depends on, by content: never by a path, a time stamp or a name.

========================  ================================================================================
identity                  follows from
========================  ================================================================================
data                      the frames that `load_train` and `load_test` give, without paths, and the decoded
                          content of every image and mask. The loading code may change freely.
a fold's training         the training data, which images are in the fold, the options that training uses,
                          the content of the weights it starts from, and the code that trains
a fold's predictions      its training, the options and code of prediction, the test data
a run                     all of that, and the code that scores and writes: its name ends with the digest
========================  ================================================================================

Options that change no result (`FREE`) are in none. Code is compared without comments, docstrings and layout,
file by file, so that a run can say which one changed. Of the competition's own folder only what training or
prediction can reach counts for them: the task object and the methods in `HOOKS`, with everything they use.
"""

import ast
import inspect
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

import ops
from pipeline.base.files import digest, file_hash
from pipeline.competition.base import Competition
from pipeline.config.config import Config
from pipeline.networks.weights import resolve_weights

PACKAGE = Path(__file__).parents[1]
"""The folder of the pipeline."""
TRAINING_ROOMS = ("training", "inputs", "networks")
PREDICTION_ROOMS = ("prediction", "inputs", "networks")
SCORING_ROOMS = ("metrics",)
SHRINKING_FILES = ("config/reach.py", "raw/shrink.py")
"""What makes images smaller than they were when their content was hashed."""
PREDICTION_FILES = ("predict.py",)
"""Files of a task's folder that predict, and do not train."""
SHOWING_FILES = (
    "pictures.py",
    "report.py",
    "saliency.py",
    "showing.py",
    "breakdown.py",
    "sample.py",
    "blend.py",
    "columns.py",
    "combine.py",
    "counts.py",
    "decide.py",
    "export.py",
)
"""Files of a task's folder, or of a room, that only read predictions, or hand a network on."""
HOOKS = ("task", "reader", "table", "augment", "reach", "objective")
"""Members of a competition that training and prediction use."""
FREE = {"folds": ("use",), "train": ("devices", "max_minutes", "workers"), "predict": ("batch_size",)}
"""Options that change no result of a fold that trained to its end."""


def frame_identity(frame: pd.DataFrame, hashes: dict[str, list[str]], paths: Sequence[str] = ()) -> str:
    """Identity of a manifest.

    Parameters
    ----------
    frame : with content_hash; `path` does not count.
    hashes : for columns of paths, what stands in their place.
    paths : columns of paths of images, whose content is in content_hash.
    """
    shown = frame.drop(columns=["path", *paths]).assign(**hashes)
    text = shown[sorted(shown.columns)].to_json(orient="split", index=False, double_precision=15)
    return digest(text, length=16)


def weights_identity(config: Config) -> str:
    """Of the weights that a network starts from: their content, or which published ones."""
    if config.model.weights is not None:
        return file_hash(resolve_weights(config.model.weights, config.model.name))
    return f"published {config.model.name}" if config.model.pretrained else "none"


def training_options(config: Config) -> dict[str, Any]:
    """The options that a fold's training uses."""
    kept = ("model", "augment", "train")
    options = {name: _without(name, group) for name, group in config.effective().to_json().items()}
    options["model"].pop("weights")
    if config.train.looks_at_scores:
        return {name: options[name] for name in (*kept, "predict")}
    if not config.train.averages:
        options["train"].pop("keep")
    return {name: options[name] for name in kept}


def _without(group: str, options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in FREE.get(group, ())}


def training_code(competition: Competition, config: Config) -> dict[str, str]:
    """Digests of the code that trains, by file."""
    found = (
        _rooms(TRAINING_ROOMS)
        | _shrinking()
        | _task_code(competition, exclude=(*SHOWING_FILES, *PREDICTION_FILES))
    )
    found |= _own_code(competition) | _operators()
    if config.train.looks_at_scores:
        found |= prediction_code(competition) | scoring_code(competition)
    return found


def reading_code(competition: Competition) -> str:
    """Digest of the code that reads images other than photographs."""
    return digest([_rooms(("readers",)), _own_code(competition, ("reader",))])


def splitting_code() -> str:
    """Digest of the code that assigns folds, so that a saved split is not taken for one of today's code."""
    return _digest_of(PACKAGE / "frame" / "folds.py")


def own_splitting_code(competition: Competition) -> dict[str, str]:
    """Digests of the code of a competition's own split; empty where it has none."""
    return _own_code(competition, ("split",))


def prediction_code(competition: Competition) -> dict[str, str]:
    """Digests of the code that predicts, by file."""
    return (
        _rooms(PREDICTION_ROOMS)
        | _shrinking()
        | _task_code(competition, exclude=SHOWING_FILES)
        | _own_code(competition)
        | _operators()
    )


def scoring_code(competition: Competition) -> dict[str, str]:
    """Digests of the code that scores and writes, by file: metrics, the task and the folder's own modules."""
    own = Path(inspect.getfile(type(competition))).parent
    modules = [path for path in sorted(own.glob("*.py")) if path.name not in ("configs.py", "__main__.py")]
    mine = {f"{own.name}/{path.name}": _digest_of(path) for path in modules if path.name != "sample.py"}
    fitted = {
        f"prediction/{name}": _digest_of(PACKAGE / "prediction" / name)
        for name in ("combine.py", "decide.py")
    }
    return (
        _rooms(SCORING_ROOMS)
        | fitted
        | _task_code(competition, exclude=("pictures.py", "report.py", "showing.py"))
        | mine
    )


def _rooms(names: Iterable[str]) -> dict[str, str]:
    return {
        str(path.relative_to(PACKAGE)): _digest_of(path)
        for name in names
        for path in sorted((PACKAGE / name).rglob("*.py"))
        if path.name not in SHOWING_FILES
    }


def _shrinking() -> dict[str, str]:
    return {name: _digest_of(PACKAGE / name) for name in SHRINKING_FILES}


def _task_code(competition: Competition, exclude: tuple[str, ...]) -> dict[str, str]:
    """The folder of a task that ships; a task of the competition's own is among its own code."""
    module = Path(inspect.getfile(type(competition.task)))
    if not module.is_relative_to(PACKAGE):
        return {}
    files = [*sorted((PACKAGE / "tasks").glob("*.py")), *sorted(module.parent.rglob("*.py"))]
    return {str(path.relative_to(PACKAGE)): _digest_of(path) for path in files if path.name not in exclude}


def _operators() -> dict[str, str]:
    folder = Path(ops.__file__).parent
    files = [*folder.glob("*.py"), *(folder / "csrc" / "cpu").glob("*.*")]
    skipped = ("build.py", "doctor.py", "onnx.py")
    return {
        f"ops/{path.relative_to(folder)}": _digest_of(path)
        for path in sorted(files)
        if path.name not in skipped and not path.name.startswith("reference")
    }


@cache
def _digest_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return digest(_plain(ast.parse(text)) if path.suffix == ".py" else text)


def forget_sources() -> None:
    """Read the sources again where they are asked for next; a process otherwise reads each once."""
    _digest_of.cache_clear()


def _plain(tree: ast.AST) -> str:
    """Source without comments, docstrings and layout."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [one for one in body if not _is_text(one)]
            node.body = kept or [ast.Pass()]  # pyright: ignore[reportAttributeAccessIssue]  # it has one
    return ast.unparse(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _own_code(competition: Competition, hooks: Iterable[str] = HOOKS) -> dict[str, str]:
    """What of the competition's folder these members reach, by module and name."""
    module = Path(inspect.getfile(type(competition)))
    folder = Folder(module.parent)
    folder.reach_members(module.stem, type(competition).__name__, hooks)
    return {f"{module.parent.name}/{name}": digest(text) for name, text in sorted(folder.reached.items())}


class Folder:
    """The definitions at the top of a folder's modules, and which of them are reached from some of them."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.trees = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")}
        self.reached: dict[str, str] = {}

    def reach_members(self, module: str, name: str, members: Iterable[str]) -> None:
        """Reach what these members of a class use, and the members themselves."""
        for node in self.trees[module].body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                for member in node.body:
                    if set(_defined(member)) & set(members):
                        self._add(module, f"{name}.{'/'.join(_defined(member))}", member)

    def _reach(self, module: str, name: str) -> None:
        for node in self.trees.get(module, ast.Module([], [])).body:
            if name in _defined(node):
                self._add(module, name, node)
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = node.module.split(".")
                for alias in node.names:
                    if name == (alias.asname or alias.name) and inside[:2] == ["competitions", self.name]:
                        self._reach(inside[-1], alias.name)

    def _add(self, module: str, name: str, node: ast.stmt) -> None:
        key = f"{module}.py: {name}"
        if key in self.reached:
            return
        self.reached[key] = _plain(node)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                self._reach(module, inner.id)


def _defined(node: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [
        one.id for target in targets for one in ast.walk(target or ast.Pass()) if isinstance(one, ast.Name)
    ]
