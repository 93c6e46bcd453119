"""Push a bundle to Kaggle and fetch what it made: ``python -m pipeline.kernel.push --folder <bundle>``.

Each push starts the kernel, which costs GPU quota, so no message may tell the user to push again while the
kernel may be running.
"""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

import requests
import tyro

from pipeline.base.errors import UserError, name_some, told_to_the_user
from pipeline.base.files import write_json
from pipeline.base.progress import say
from pipeline.kaggle.client import kaggle_client
from pipeline.kaggle.download import require_credentials
from pipeline.kaggle.retry import FAILURES, is_in_words, is_refusal, kernel_sentence, patiently
from pipeline.kernel.metadata import with_owner
from pipeline.kernel.output import AIM, SUBMISSION, check_submission, fetch_output, new_folder

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi

T = TypeVar("T")

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

    The output goes into a new folder beside the bundle, which the next ``make kernel`` replaces.

    Raises
    ------
    UserError : no credentials, Kaggle refuses something or does not answer, the kernel failed, or left no
        submission.csv that is one. Pushing again makes a new version of the dataset and of the kernel.
    """
    require_credentials()
    try:
        api = kaggle_client()
    except FAILURES as error:
        raise UserError(kernel_sentence(error, "to log in", "run again")) from error
    owner = api.config_values[api.CONFIG_NAME_USER]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy_with_owner(options.folder, folder, owner)
        dataset = json.loads((folder / "dataset" / "dataset-metadata.json").read_text())["id"]
        kernel = json.loads((folder / "kernel" / "kernel-metadata.json").read_text())["id"]
        upload_dataset(api, folder / "dataset", dataset)
        wait_for_dataset(api, dataset, min(options.poll, 10))
        version = push_kernel(api, folder / "kernel", kernel)
    if not options.follow:
        return None
    follow(api, kernel, options.poll)
    bundle = options.folder.resolve()
    outputs = bundle.with_name(f"{bundle.name}-output")
    return fetch(api, kernel, new_folder(outputs, f"{kernel.rpartition('/')[2]}-v{version}"))


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
    """Create the private dataset, or a new version of it where there is one.

    Raises UserError where Kaggle refuses it or does not answer.
    """
    # Repeated from the start: a version too many does no harm.
    answer = _patiently(lambda: _send_dataset(api, folder, dataset), f"to upload the dataset {dataset}")
    if answer.error:
        raise UserError(f"Kaggle refuses the dataset {dataset}: {answer.error}")


def _send_dataset(api: "KaggleApi", folder: Path, dataset: str) -> Any:
    is_new = _status_of(api, dataset) is None
    say(f"creating the dataset {dataset}" if is_new else f"uploading a new version of the dataset {dataset}")
    with redirect_stdout(sys.stderr):
        if is_new:
            return api.dataset_create_new(str(folder), public=False, quiet=True, dir_mode="zip")
        return api.dataset_create_version(str(folder), "podium", quiet=True, dir_mode="zip")


def _status_of(api: "KaggleApi", dataset: str) -> str | None:
    """Kaggle's word for the dataset's state, None where there is no such dataset."""
    try:
        return api.dataset_status(dataset)
    except requests.HTTPError as error:
        # A private dataset that is not there is forbidden, as one of somebody else is.
        if error.response is not None and error.response.status_code in (403, 404):
            return None
        raise


def wait_for_dataset(api: "KaggleApi", dataset: str, poll: float) -> None:
    """Wait until Kaggle has unpacked the dataset: a kernel pushed before would mount the version before."""
    deadline = monotonic() + DATASET_TIMEOUT_S
    aim = f"to look at the dataset {dataset}"
    while (status := _patiently(lambda: _status_of(api, dataset), aim)) != "ready":
        if status in ("failed", "deleted"):
            raise UserError(
                f"Kaggle could not process the dataset {dataset}: look at its page for the reason"
            )
        if monotonic() > deadline:
            raise UserError(
                f"the dataset {dataset} is not ready after {DATASET_TIMEOUT_S // 60} min: run again"
            )
        sleep(poll)


def push_kernel(api: "KaggleApi", folder: Path, kernel: str) -> int:
    """Push the kernel, which starts it, and return its version.

    Raises UserError where Kaggle refuses it or one of its inputs, or where the answer was lost.
    """
    try:
        with redirect_stdout(sys.stderr):
            answer = api.kernels_push(str(folder))
    except FAILURES as error:
        way_out = "run again"
        if not is_refusal(error) and not is_in_words(error):
            way_out = f"look at {page_of(kernel)} before you push again: Kaggle may have started the kernel"
        raise UserError(kernel_sentence(error, "to push the kernel", way_out)) from error
    if answer.error:
        raise UserError(f"Kaggle refuses the kernel: {answer.error}")
    sources = (answer.invalid_dataset_sources, answer.invalid_competition_sources)
    if refused := [name for names in sources for name in names or ()]:
        raise UserError(
            f"the kernel cannot mount {name_some(refused)}: accept the competition's rules, or check that "
            "the dataset exists"
        )
    say(f"kernel version {answer.version_number}: {answer.url}")
    return answer.version_number


def page_of(kernel: str) -> str:
    """Address of the kernel ``<owner>/<slug>``."""
    return f"https://www.kaggle.com/code/{kernel}"


def _patiently(call: Callable[[], T], aim: str, way_out: str = "run again") -> T:
    return patiently(call, aim, lambda error: kernel_sentence(error, aim, way_out))


def _stays(kernel: str) -> str:
    return f"look at {page_of(kernel)}, where the kernel goes on: pushing again would start it once more"


def follow(api: "KaggleApi", kernel: str, poll: float) -> None:
    """Wait for the kernel, saying each change of its status. Raises UserError where it fails."""
    said = ""
    while True:
        answer = _patiently(lambda: api.kernels_status(kernel), "to follow the kernel", _stays(kernel))
        status = answer.status.name
        if status != said:
            say(f"kernel {kernel}: {status.lower()}")
            said = status
        if status == "COMPLETE":
            return
        if status in FAILED:
            raise UserError(
                f"the kernel {kernel} ended with {status.lower()}: {answer.failure_message or 'no message'}; "
                f"its log is at {page_of(kernel)}"
            )
        sleep(poll)


def fetch(api: "KaggleApi", kernel: str, target: Path) -> Path:
    """Fetch the kernel's output files and log into the empty folder `target`, and return it.

    Raises UserError where submission.csv is not among them, or is no CSV with a header and rows.
    """
    fetch_output(api, kernel, target, lambda error: kernel_sentence(error, AIM, _stays(kernel)))
    check_submission(target / SUBMISSION, page_of(kernel))
    return target


def main() -> None:
    """Push from the command line."""
    with told_to_the_user():
        folder = push(tyro.cli(PushOptions, prog="python -m pipeline.kernel.push"))
    if folder:
        print(f"submission: {folder / SUBMISSION}", flush=True)


if __name__ == "__main__":
    main()
