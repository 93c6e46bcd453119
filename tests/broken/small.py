"""Commands of cifar10 with a network and an epoch that take a second."""

from dataclasses import replace

from competitions.cifar10.competition import Competition
from competitions.cifar10.configs import SAMPLE
from pipeline.stages.main import main
from tests.helpers import TINY

CONFIGS = {
    name: replace(
        SAMPLE,
        folds=replace(SAMPLE.folds, count=2, use=1),
        model=replace(SAMPLE.model, name=TINY),
        train=replace(SAMPLE.train, epochs=1, batch_size=4, workers=0, amp="off", seed=seed),
        predict=replace(SAMPLE.predict, shift=0, flip=False, amp="off"),
    )
    for seed, name in enumerate(("fast", "other"))
}


def run(arguments: list[str]) -> None:
    """A stage and its options."""
    main(Competition(), CONFIGS, arguments)
