"""The two files that tell Kaggle what a bundle is: kernel-metadata.json and dataset-metadata.json."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline.base.errors import UserError

OWNER = "INSERT_OWNER_HERE"
"""Stands for the Kaggle user until one is known; pushing puts the name of the account in its place."""
MACHINE = "NvidiaTeslaT4"
"""Two T4. The other choice, P100, fails every operation of current torch."""
PROJECT = "podium"
TITLE_LENGTH = (6, 50)
"""What Kaggle allows for the title and the slug of a dataset; a kernel's are close to it."""

Kind = Literal["train", "inference"]


def kernel_slug(comp: str, kind: Kind) -> str:
    """Slug of the kernel, such as ``podium-flowers-train``; its title is the same words."""
    return _checked_slug(f"{PROJECT}-{comp}-{kind}")


def bundle_slug(comp: str, kind: Kind) -> str:
    """Slug of the dataset with the wheels and weights of that kernel."""
    return _checked_slug(f"{PROJECT}-{comp}-{kind}-bundle")


def _checked_slug(slug: str) -> str:
    slug = slug.replace("_", "-").lower()
    if not TITLE_LENGTH[0] <= len(slug) <= TITLE_LENGTH[1]:
        raise UserError(f"Kaggle allows names of {TITLE_LENGTH[0]} to {TITLE_LENGTH[1]} letters, not {slug}")
    return slug


def kernel_metadata(
    owner: str,
    slug: str,
    code_file: str,
    gpu: bool,
    datasets: Sequence[str],
    competitions: Sequence[str],
) -> dict[str, Any]:
    """kernel-metadata.json, every field explicit, because the documented and the real defaults differ.

    Parameters
    ----------
    datasets : ``<owner>/<slug>`` of each dataset to mount.
    competitions : Kaggle's slug of each competition whose files to mount.
    """
    return {
        "id": f"{owner}/{slug}",
        "title": slug.replace("-", " "),  # slugifies to the id, as Kaggle asks
        "code_file": code_file,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": gpu,
        "enable_tpu": False,
        "enable_internet": False,
        "machine_shape": MACHINE if gpu else None,
        "dataset_sources": list(datasets),
        "competition_sources": list(competitions),
        "kernel_sources": [],
        "model_sources": [],
        "keywords": [],
        "docker_image_pinning_type": "latest",
        "docker_image": None,
    }


def dataset_metadata(owner: str, slug: str) -> dict[str, Any]:
    """dataset-metadata.json of the bundle's dataset, which is uploaded as a private one."""
    return {"title": slug.replace("-", " "), "id": f"{owner}/{slug}", "licenses": [{"name": "other"}]}


def with_owner(value: Any, owner: str) -> Any:
    """`value`, any JSON, with `owner` in place of OWNER."""
    if isinstance(value, str):
        return f"{owner}/{value.removeprefix(f'{OWNER}/')}" if value.startswith(f"{OWNER}/") else value
    if isinstance(value, list):
        return [with_owner(item, owner) for item in value]
    if isinstance(value, dict):
        return {key: with_owner(item, owner) for key, item in value.items()}
    return value


def mount_of(source: str, root: Path) -> Path:
    """Where Kaggle mounts the dataset ``<owner>/<slug>`` under the input folder `root`."""
    return root / "datasets" / source
