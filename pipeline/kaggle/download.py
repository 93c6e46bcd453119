"""A competition's files from Kaggle, through Kaggle's own client."""

import errno
import json
import os
import sys
import zipfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import cast

import requests

from pipeline.base.errors import UserError
from pipeline.base.files import require_space
from pipeline.base.progress import say
from pipeline.kaggle.client import TIMEOUT_S, kaggle_client
from pipeline.raw.download import CHUNK

RETRIES = 3
"""How often the client continues a download that broke off, after 2, 4 and 8 seconds."""

SETTINGS_PAGE = "https://www.kaggle.com/settings"

REFUSED_LOGIN = f"Kaggle does not accept the credentials: create a new token at {SETTINGS_PAGE}"


def has_credentials() -> bool:
    """Whether the `kaggle` client would find credentials; whether Kaggle accepts them shows at first use.

    The places are the client's own: a token in KAGGLE_API_TOKEN or ``~/.kaggle/access_token``,
    KAGGLE_USERNAME with KAGGLE_KEY, ``kaggle.json``, or what ``kaggle auth login`` leaves behind.
    """
    home = Path("~/.kaggle").expanduser()
    tokens = (home / "access_token", home / "access_token.txt")
    if os.environ.get("KAGGLE_API_TOKEN") or any(map(_text, tokens)):
        return True
    key = _json(_config_folder() / "kaggle.json")
    if all(os.environ.get(f"KAGGLE_{name.upper()}") or key.get(name) for name in ("username", "key")):
        return True
    return bool(_json(home / "credentials.json").get("refresh_token"))


def require_credentials(otherwise: str = "") -> None:
    """Raise UserError, with `otherwise` as the end of its sentence, where there are no credentials."""
    if not has_credentials():
        raise UserError(
            f"there are no Kaggle credentials: create a token at {SETTINGS_PAGE} and put it into the "
            f"variable KAGGLE_API_TOKEN or the file ~/.kaggle/access_token{otherwise}"
        )


def competition_archive(kaggle_slug: str, folder: Path) -> Path:
    """Where `download_competition` puts the competition's files; exists only once it is complete."""
    return folder / f"{kaggle_slug}.zip"


def download_competition(kaggle_slug: str, folder: Path) -> None:
    """Download all files of a competition as one zip into `folder`, unless it is there.

    An interrupted download is kept in a hidden folder beside it, and continued by the next call.

    Raises
    ------
    UserError : credentials are missing or refused, the rules are not accepted, there is no such competition,
        the network is dead, Kaggle is out of order, the disk is full.
    """
    archive = competition_archive(kaggle_slug, folder)
    if archive.exists():
        return
    require_credentials(", or choose DATA=sample")
    part = folder / ".part" / archive.name
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _download(kaggle_slug, part)
    except (requests.RequestException, OSError, ValueError, SystemExit) as error:
        raise UserError(_sentence(error, kaggle_slug, folder)) from error
    if not zipfile.is_zipfile(part):
        part.unlink()
        raise UserError(
            f"what came from Kaggle for {kaggle_slug} is not a zip archive: check that no proxy or log-in "
            "page stands between, and run again"
        )
    part.replace(archive)
    part.parent.rmdir()


def _download(kaggle_slug: str, part: Path) -> None:
    api = kaggle_client()
    from kagglesdk.competitions.types.competition_api_service import ApiDownloadDataFilesRequest

    request = ApiDownloadDataFilesRequest()
    request.competition_name = kaggle_slug
    with api.build_kaggle_client() as client:
        service = client.competitions.competition_api_client
        # Annotated with the HttpRedirect that it has followed.
        found = cast(requests.Response, service.download_data_files(request))
        found.close()
        # The same request once more, because the client's own has no time-out and may hang for ever.
        answer = _send(found.request)
        length = int(answer.headers.get("Content-Length", 0))
        held = part.stat().st_size if part.exists() else 0
        require_space(part.parent, length - held, f"downloading {kaggle_slug} from Kaggle")
        say(f"downloading {kaggle_slug} from Kaggle ({length / 1e6:,.0f} MB)")
        quiet = not sys.stderr.isatty()
        with redirect_stdout(sys.stderr):
            api.download_file(
                answer,
                str(part),
                client.http_client(),
                quiet,
                resume=True,
                chunk_size=CHUNK,
                max_retries=RETRIES,
                timeout=TIMEOUT_S,
            )


def _send(request: requests.PreparedRequest) -> requests.Response:
    session = requests.Session()
    assert request.url is not None  # it was sent before
    settings = session.merge_environment_settings(request.url, {}, True, None, None)
    answer = session.send(request, timeout=TIMEOUT_S, **settings)
    answer.raise_for_status()
    return answer


def _sentence(error: BaseException, slug: str, folder: Path) -> str:
    """What went wrong and what to do, in one sentence."""
    if isinstance(error, SystemExit):
        return REFUSED_LOGIN
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return refusal(error.response.status_code, slug, f"to download {slug}")
    if isinstance(error, requests.RequestException):
        return (
            f"the connection to Kaggle failed while downloading {slug} ({type(error).__name__}): check the "
            "network and run again, and the download goes on where it stopped; DATA=sample needs no network"
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk with {folder} is full: free some space and run again to download {slug}"
    if isinstance(error, OSError):
        return f"cannot download {slug} into {folder}: {error}; make the folder writable and run again"
    return f"the download of {slug} from Kaggle broke off ({error}): run again"


def refusal(status: int, slug: str, aim: str) -> str:
    """What Kaggle means by an HTTP status and what to do, in one sentence; `aim` is as in "to download x"."""
    page = f"https://www.kaggle.com/competitions/{slug}"
    if status == requests.codes.unauthorized:
        return f"Kaggle does not accept the credentials (401): create a new token at {SETTINGS_PAGE}"
    if status == requests.codes.forbidden:
        return f"Kaggle refuses {slug} (403): accept the competition's rules at {page}/rules and run again"
    if status == requests.codes.not_found:
        return f"Kaggle knows no competition {slug} (404): compare its name with the address {page}"
    if status == requests.codes.too_many_requests:
        return f"Kaggle takes no more requests for now (429): wait some minutes and run again {aim}"
    if status >= 500:
        return f"Kaggle is out of order ({status}): wait some minutes and run again {aim}"
    return f"Kaggle refuses {aim} ({status}): look at {page}/data for the reason"


def _config_folder() -> Path:
    """The folder of kaggle.json, chosen as the client chooses it."""
    if named := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(named)
    home = Path("~/.kaggle").expanduser()
    if sys.platform.startswith("linux") and not home.exists():
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / "kaggle"
    return home


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _json(path: Path) -> dict:
    try:
        value = json.loads(_text(path))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
