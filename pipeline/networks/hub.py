"""The hub that published weights come from: asked once whether it answers, and briefly.

Its client tries every file five times with growing pauses, which takes minutes where there is no network, and
asks even for files that its cache holds.
"""

from functools import cache

import huggingface_hub.constants as hub
import requests
import timm

PATIENCE_S = 4.0
"""For an answer of any kind."""


def needs_hub(name: str) -> bool:
    """Whether the published weights of timm's network `name` are on the hub."""
    cfg = timm.get_pretrained_cfg(name, allow_unregistered=False) if timm.is_model(name) else None
    return bool(cfg and cfg.hf_hub_id)


@cache
def hub_answers() -> bool:
    """Whether the hub can be reached; asked at the first call of a process. Where it cannot, or
    HF_HUB_OFFLINE is set, its client looks into its cache alone from then on."""
    if hub.HF_HUB_OFFLINE:
        return False
    try:
        requests.head(hub.ENDPOINT, timeout=PATIENCE_S)
    except requests.RequestException:
        hub.HF_HUB_OFFLINE = True
        return False
    return True
