"""Options of learning from what an earlier run predicts."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import tyro

from pipeline.config.groups import Group
from pipeline.config.limits import SHARE, Limit


@dataclass(frozen=True, kw_only=True)
class PseudoConfig(Group):
    """Pseudo-labels: test images with what an earlier run predicts for them join each fold's training images.
    A fold takes them from that run's model of the same fold, which has not seen what the fold validates on;
    both runs must split alike. They are never validated on."""

    group: ClassVar[str] = "pseudo"
    run: Annotated[str | None, tyro.conf.arg(aliases=("--pseudo",))] = None
    """A finished run of the same data, by name; None adds no images. Of a run made of others, the mean of
    its members is taken."""
    kind: Literal["hard", "soft"] = "hard"
    """hard: decided labels; soft: probabilities as they are."""
    threshold: Annotated[float, SHARE] = 0.0
    """Least probability of what is taken. Classes: of an image's most probable one; several labels: of every
    label being there or not; masks: of a pixel's class (others are ignored); boxes: their score."""

    def unused(self) -> dict[str, str]:
        """See Group."""
        if self.run is not None:
            return {}
        return dict.fromkeys(("kind", "threshold"), "--pseudo names no run")


@dataclass(frozen=True, kw_only=True)
class DistillConfig(Group):
    """Distillation: targets move towards an earlier run's out-of-fold predictions of the same images. Each is
    of a model that has not seen its image; both runs must split alike. But that model has seen the images
    that the new fold validates on, so the CV may be flattered a little; the test score is not."""

    group: ClassVar[str] = "distill"
    run: Annotated[str | None, tyro.conf.arg(aliases=("--distill",))] = None
    """A finished run of the same data, by name, with all folds; None keeps the targets."""
    weight: Annotated[float, Limit(0.001, 1)] = 0.5
    """Share w of the predictions p in the targets, (1 - w) y + w p."""

    def unused(self) -> dict[str, str]:
        """See Group."""
        return {} if self.run is not None else {"weight": "--distill names no run"}
