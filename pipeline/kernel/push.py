"""Push a bundle to Kaggle and fetch what it made: ``python -m pipeline.kernel.push --folder <bundle>``."""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import requests
import tyro

from pipeline.data.kaggle_source import kaggle_client, require_credentials
from pipeline.errors import UserError, name_some, told_to_the_user
from pipeline.files import write_json
from pipeline.kaggle_retry import FAILURES, patiently, sentence
from pipeline.kernel.metadata import with_owner
from pipeline.progress import say

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi

DATASET_TIMEOUT_S = 1800
"""How long Kaggle may take to unpack an uploaded dataset."""
FAILED = ("ERROR", "CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED")


@dataclass(frozen=True)
class PushOptions:
    """Options of the push."""

    folder: Path
    """Folder that pipeline.kernel.bundle built."""
    poll: float = 30.0
    """Seconds between two looks at the kernel's status."""
    follow: bool = True
    """Wait for the kernel and fetch its output; --no-follow only pushes."""


def push(options: PushOptions) -> Path | None:
    """Upload the dataset, push the kernel, follow it, and return the folder of its output.

    Raises
    ------
    UserError : no credentials, Kaggle refuses something or does not answer, the kernel failed, or left no
        submission.csv. Pushing again makes a new version of the dataset and of the kernel.
    """
    require_credentials()
    try:
        api = kaggle_client()
    except FAILURES as error:
        raise UserError(sentence(error, options.folder.name, "to push the kernel")) from error
    owner = api.config_values[api.CONFIG_NAME_USER]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy_with_owner(options.folder, folder, owner)
        dataset = json.loads((folder / "dataset" / "dataset-metadata.json").read_text())["id"]
        kernel = json.loads((folder / "kernel" / "kernel-metadata.json").read_text())["id"]
        upload_dataset(api, folder / "dataset", dataset)
        wait_for_dataset(api, dataset, min(options.poll, 10))
        push_kernel(api, folder / "kernel")
    if not options.follow:
        return None
    follow(api, kernel, options.poll)
    return fetch(api, kernel, options.folder / "output")


def copy_with_owner(folder: Path, target: Path, owner: str) -> None:
    """Copy a bundle's dataset and kernel folders, with the account's name in their metadata."""
    for part in ("dataset", "kernel"):
        try:
            shutil.copytree(folder / part, target / part)
            path = target / part / f"{part}-metadata.json"
            write_json(path, with_owner(json.loads(path.read_text()), owner))
        except OSError as error:
            raise UserError(f"{folder} is no bundle ({error}): build one with make kernel") from error


def upload_dataset(api: "KaggleApi", folder: Path, dataset: str) -> None:
    """Create the private dataset, or a new version of it where there is one."""
    if _status_of(api, dataset) is None:
        say(f"creating the dataset {dataset}")
        answer = _asked(
            lambda: api.dataset_create_new(str(folder), public=False, quiet=True, dir_mode="zip"),
            f"to create {dataset}",
        )
    else:
        say(f"uploading a new version of the dataset {dataset}")
        answer = _asked(
            lambda: api.dataset_create_version(str(folder), "podium", quiet=True, dir_mode="zip"),
            f"to update {dataset}",
        )
    if answer.error:
        raise UserError(f"Kaggle refuses the dataset {dataset}: {answer.error}")


def _status_of(api: "KaggleApi", dataset: str) -> str | None:
    """Kaggle's word for the dataset's state, None where there is no such dataset."""

    def ask() -> str | None:
        try:
            return api.dataset_status(dataset)
        except requests.HTTPError as error:
            # A private dataset that is not there is forbidden, as one of somebody else is.
            if error.response is not None and error.response.status_code in (403, 404):
                return None
            raise

    return patiently(ask, dataset, "to look at the dataset")


def wait_for_dataset(api: "KaggleApi", dataset: str, poll: float) -> None:
    """Wait until Kaggle has unpacked the dataset: a kernel pushed before would mount the version before."""
    deadline = monotonic() + DATASET_TIMEOUT_S
    while (status := _status_of(api, dataset)) != "ready":
        if status in ("failed", "deleted"):
            raise UserError(
                f"Kaggle could not process the dataset {dataset}: look at its page for the reason"
            )
        if monotonic() > deadline:
            raise UserError(
                f"the dataset {dataset} is not ready after {DATASET_TIMEOUT_S // 60} min: run again"
            )
        sleep(poll)


def push_kernel(api: "KaggleApi", folder: Path) -> None:
    """Push the kernel, which starts it. Raises UserError where Kaggle refuses it or one of its inputs."""
    answer = _asked(lambda: api.kernels_push(str(folder)), "to push the kernel")
    if answer.error:
        raise UserError(f"Kaggle refuses the kernel: {answer.error}")
    sources = (answer.invalid_dataset_sources, answer.invalid_competition_sources)
    if refused := [name for names in sources for name in names or ()]:
        raise UserError(
            f"the kernel cannot mount {name_some(refused)}: accept the competition's rules, or check that "
            "the dataset exists"
        )
    say(f"kernel version {answer.version_number}: {answer.url}")


def _asked(call: Callable[[], Any], aim: str) -> Any:
    """The answer of a call that must not be repeated blindly. What the client prints goes to stderr."""
    try:
        with redirect_stdout(sys.stderr):
            return call()
    except FAILURES as error:
        if isinstance(error, ValueError) and not isinstance(error, requests.RequestException):
            raise UserError(f"Kaggle's client refuses {aim}: {error}") from error
        raise UserError(sentence(error, "the kernel", aim)) from error


def follow(api: "KaggleApi", kernel: str, poll: float) -> None:
    """Wait for the kernel, saying each change of its status. Raises UserError where it fails."""
    said = ""
    while True:
        answer = patiently(lambda: api.kernels_status(kernel), kernel, "to follow the kernel")
        status = answer.status.name
        if status != said:
            say(f"kernel {kernel}: {status.lower()}")
            said = status
        if status == "COMPLETE":
            return
        if status in FAILED:
            raise UserError(
                f"the kernel {kernel} ended with {status.lower()}: {answer.failure_message or 'no message'}; "
                f"its log is at https://www.kaggle.com/code/{kernel}"
            )
        sleep(poll)


def fetch(api: "KaggleApi", kernel: str, target: Path) -> Path:
    """Fetch the kernel's output files and log into `target`, and return it.

    Raises UserError where submission.csv is not among them.
    """
    with redirect_stdout(sys.stderr):
        patiently(lambda: api.kernels_output(kernel, str(target), force=True), kernel, "to fetch the output")
    if not (target / "submission.csv").is_file():
        raise UserError(f"the kernel {kernel} left no submission.csv: read its log in {target}")
    return target


def main() -> None:
    """Push from the command line."""
    with told_to_the_user():
        folder = push(tyro.cli(PushOptions, prog="python -m pipeline.kernel.push"))
    if folder:
        print(f"submission: {folder / 'submission.csv'}", flush=True)


if __name__ == "__main__":
    main()
