"""What networks of timm's have beside what `nn.Module` declares; all else of a module counts as a tensor."""

from collections.abc import Collection
from typing import Any, Protocol, cast

import timm
from timm.models import FeatureInfo, PretrainedCfg
from torch import nn


class TimmNetwork(Protocol):
    """A classifier; this pipeline's own networks have some of it too."""

    pretrained_cfg: dict[str, Any]
    """How its weights were trained, and what its parts are called; see timm's PretrainedCfg."""

    def get_classifier(self) -> nn.Module | Collection[nn.Module]:
        """The layer or layers that are replaced for other classes."""
        ...

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns of the names that form a layer, or a stage with `coarse`."""
        ...

    def no_weight_decay(self) -> Collection[str]:
        """Names that its authors exempt from weight decay."""
        ...


class FeatureNetwork(Protocol):
    """A network without its classifier, which gives its inner features."""

    feature_info: FeatureInfo
    """Of each feature its channels and its stride."""


def classifier_parts(model: nn.Module) -> tuple[nn.Module, ...]:
    """The modules of its classifier; none where `model` does not say which these are."""
    if not hasattr(model, "get_classifier"):
        return ()
    classifier = cast(TimmNetwork, model).get_classifier()
    return (classifier,) if isinstance(classifier, nn.Module) else tuple(classifier)


def published_cfg(name: str) -> PretrainedCfg:
    """What timm says of the published weights of an architecture that `timm.is_model` knows."""
    cfg = timm.get_pretrained_cfg(name)
    assert cfg is not None  # all architectures are registered with one, those of this pipeline too
    return cfg
