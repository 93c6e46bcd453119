"""What a run and its folds depend on, put together of the parts in `pipeline.competition.identity`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.base.errors import name_some
from pipeline.base.files import digest, file_hash
from pipeline.competition.base import Competition
from pipeline.competition.identity import (
    own_splitting_code,
    prediction_code,
    scoring_code,
    training_code,
    training_options,
    weights_identity,
)
from pipeline.competition.prepared import Prepared
from pipeline.config.config import Config
from pipeline.experiment.teachers import Teachers
from pipeline.training.plan import Plan


def describe(
    competition: Competition,
    config: Config,
    source_kind: str,
    data: Prepared,
    teachers: Teachers,
    hours: float | None,
) -> dict[str, Any]:
    """All that a run's result depends on, as its config.json keeps it.

    Parameters
    ----------
    hours : the limit of the command, which decides how much of the config is done.
    """
    options = config.effective().to_json()
    options["train"].pop("workers")
    options["predict"].pop("batch_size")
    options["model"].pop("weights")  # their content counts, as does that of predictions
    options["pseudo"].pop("run")
    options["distill"].pop("run")
    split = options["folds"].pop("csv")
    if split is not None:
        options["folds"]["csv"] = file_hash(Path(split))  # what it holds, wherever it lies
    own_split = {} if split is not None else own_splitting_code(competition)
    return {
        "config": options,
        "hours": hours,
        "data": source_kind,
        "train_data": data.train_identity,
        "test_data": data.test_identity,
        "weights": weights_identity(config),
        **teachers.identity(),
        "code": {
            "training": training_code(competition, config),
            "prediction": prediction_code(competition),
            "scoring": scoring_code(competition),
            **({"splitting": own_split} if own_split else {}),
        },
    }


def training_identity(
    about: dict[str, Any],
    config: Config,
    classes: Sequence[str],
    fold: int,
    inside: Sequence[str],
    own: str,
    plan: Plan | None = None,
) -> str:
    """What the weights of a fold depend on.

    Parameters
    ----------
    about : what `describe` gave.
    inside : ids of the images in the fold.
    own : a name that makes it equal no other run's fold, or an empty text.
    plan : how many epochs there was time for; a single number is as if the config asked for it.
    """
    parts = {"train_data": about["train_data"], "classes": list(classes), "fold": fold, "valid": list(inside)}
    options = training_options(config)
    if plan is not None:
        epochs = plan.total if len(plan.epochs) == 1 else plan.epochs
        options["train"] = {**options["train"], "epochs": epochs}
    parts |= {"options": options, "weights": about["weights"]}
    if about["pseudo"]:
        parts["pseudo"] = [about["pseudo"][str(fold)], about["config"]["pseudo"], about["test_data"]]
    if about["distill"]:
        parts["distill"] = [about["distill"], about["config"]["distill"]]
    return digest({**parts, "code": about["code"]["training"], "own": own}, length=16)


def prediction_identity(
    about: dict[str, Any], training: str, split: str, amp: str, views: bool = True
) -> str:
    """What the predictions of a fold depend on.

    Parameters
    ----------
    training : what `training_identity` gave.
    split : oof or test.
    amp : on or off, the precision that auto became.
    views : whether there was time for test-time augmentation.
    """
    test = about["test_data"] if split == "test" else ""
    config = about["config"]
    options = config["predict"] | {"amp": amp} | ({} if views else {"views": views})
    parts = [training, options, config["train"]["keep"], about["code"]["prediction"], split, test]
    return digest(parts, length=16)


def changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What of a run's identity is not as it was, for people."""
    found = []
    now = json.loads(json.dumps(now))  # as it would be read: with lists for tuples
    old, new = before.get("config", {}), now["config"]
    for group in new:
        for name, value in new[group].items():
            if old.get(group, {}).get(name) != value:
                found.append(f"--{group}.{name.replace('_', '-')} {old.get(group, {}).get(name)} -> {value}")
    texts = {"train_data": "training data", "test_data": "test data", "weights": "weights"}
    texts |= {"pseudo": "pseudo-labels", "distill": "predictions to distil"}
    if before.get("hours") != now["hours"]:
        found.append(f"--hours {before.get('hours')} -> {now['hours']}")
    for key, text in texts.items():
        if before.get(key) != now[key]:
            found.append(f"other {text}")
    files = set()
    for part, code in now["code"].items():
        known = before.get("code", {}).get(part, {})
        files |= {name for name in {*code, *known} if code.get(name) != known.get(name)}
    if files:
        found.append(f"other code: {name_some(sorted(files))}")
    return found
