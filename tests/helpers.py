"""Names that several tests need."""

import importlib
from pathlib import Path

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from pipeline.contract import Competition
from pipeline.models import cifarnet

REPOSITORY = Path(__file__).parents[1]
SLUGS = sorted(path.parent.name for path in (REPOSITORY / "competitions").glob("*/competition.py"))
TINY = "cifarnet_for_tests"
"""A timm name for a network small enough to train within a test."""

default_cfgs = generate_default_cfgs({TINY: cifarnet.default_cfgs["podium_cifarnet"].default.to_dict()})


@register_model
def cifarnet_for_tests(pretrained: bool = False, **options) -> cifarnet.CifarNet:
    """podium_cifarnet with few channels."""
    return build_model_with_cfg(cifarnet.CifarNet, TINY, pretrained, widths=(8, 16, 16), **options)


def competition_of(slug: str) -> Competition:
    """The competition in folder `slug`."""
    return importlib.import_module(f"competitions.{slug}.competition").Competition()
