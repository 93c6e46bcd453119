"""Options and variables of the environment that make no sense."""

from tests.broken.case import Case

NUMBERS = {
    "train.lr": ("nan", "inf", "-inf", "-1", "1e400", "abc", "", "0,1", "1e-3x", "None", "0x1"),
    "train.epochs": ("0", "-3", "1.5", "1e3", "nan", "", "many", "\u0663x", "3 4"),
    "train.batch-size": ("0", "-1", "2.0", "inf"),
    "train.weight-decay": ("-1e-9", "nan"),
    "train.momentum": ("1", "-0.1", "nan"),
    "train.ema": ("1", "-0.1", "nan"),
    "train.warmup": ("-0.1", "1.1", "nan"),
    "train.clip-norm": ("0", "-1", "nan", "inf"),
    "train.max-minutes": ("-1", "nan", "inf"),
    "train.patience": ("0", "-1", "x"),
    "train.workers": ("-1", "1e9", "1000000"),
    "train.seed": ("-1", "4294967296", "1.0", "x"),
    "train.frozen-stages": ("-2", "1e3"),
    "train.oversample": ("-0.5", "2", "nan"),
    "train.keep": ("first", "", "LAST"),
    "train.schedule": ("cosinus", ""),
    "train.optimizer": ("sdg", "", "../sgd"),
    "train.amp": ("maybe", "2"),
    "folds.count": ("1", "0", "-5", "1001", "nan"),
    "folds.scheme": ("kfold", ""),
    "folds.seed": ("-1", "x"),
    "folds.use": ("0", "-1", "6"),
    "model.name": ("resnet-of-mine", "", "../x", "resnet18\n", "a" * 300),
    "model.image-size": ("0", "-32", "1e9", "33.3", "nan"),
    "model.drop-rate": ("1", "-0.1", "nan"),
    "model.weights": ("gone.pt", "/dev/null", "."),
    "predict.batch-size": ("0", "-1", "x"),
    "augment.color-jitter": ("2", "-1", "nan"),
}
"""By option, values that it may not have."""
WORDS = {"model.name": "no model is called", "model.weights": "weights", "train.optimizer": "optimizer"}
"""What is said of some options instead of their names."""


def command(
    name: str, *arguments: str, words: tuple[str, ...], environment: dict[str, str] | None = None
) -> Case:
    """A command of cifar10 that is refused."""
    return Case(name=name, world="cifar10", arguments=arguments, refused=words, environment=environment or {})


OPTIONS = [
    command(
        f"--{name} {value[:40]!a}",
        "train",
        "--config",
        "fast",
        f"--{name}={value}",
        words=(WORDS.get(name, f"--{name}"),),
    )
    for name, values in NUMBERS.items()
    for value in values
]

OTHERS = [
    command("a config that is not there", "train", "--config", "fats", words=("'fats'", "fast")),
    command("two configs for one run", "train", "--config", "fast,fast", words=("one config",)),
    command("an empty config", "train", "--config", "", words=("config",)),
    command("a run that is not there", "train", "--run", "gone", words=("gone",)),
    command("a run outside its folder", "train", "--run", "../../raw", words=("raw",)),
    command("an empty run", "train", "--run", "", words=("run",)),
    command("a run with options", "train", "--run", "x", "--train.lr", "1", words=("--train.lr",)),
    command("an option of another stage", "data", "--train.lr", "1", words=("--train.lr",)),
    command(
        "an option that is none", "train", "--train.learning-rate", "1", words=("--train.learning-rate",)
    ),
    command("a word left over", "data", "please", words=("please",)),
    command(
        "a dash that an editor made long", "data", "\u2013\u2013data=sample", words=("\u2013\u2013data",)
    ),
    command("a format that is not there", "submit", "--format", "tar", words=("'tar'",)),
    command("what is done with bad images", "data", "--on-bad-image", "skip", words=("on-bad-image",)),
    command("two sources", "data", "--data", "sample", words=("RAW=raw",)),
    command("a source that is not there", "data", "--data", "internet", words=("data",)),
    command(
        "an option that does nothing",
        "train",
        "--config",
        "fast",
        "--folds.valid-ratio",
        "0.2",
        words=("--folds.valid-ratio",),
    ),
    command("blending no runs", "blend", words=("run",)),
    command("blending one run", "blend", "--runs", "gone", words=("run",)),
    command("blending runs that are not there", "blend", "--runs", "gone", "lost", words=("gone",)),
    command("uploading a run that is not there", "upload", "--run", "gone", words=("gone",)),
]

CASES = [*OPTIONS, *OTHERS]
