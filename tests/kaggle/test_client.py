"""Kaggle's client never waits for ever, not even while it is imported."""

import os
import subprocess
import sys

import pytest
import requests

from pipeline.kaggle import client as module
from pipeline.kaggle.client import kaggle_client, send_file
from tests.loopback import Answer, KaggleLoopback, forget_kaggle_credentials

SILENT = Answer(body=b"{}", stall=1)


@pytest.fixture
def kaggle(monkeypatch, tmp_path):
    """Kaggle that does not answer a log-in, and a user who has a token."""
    forget_kaggle_credentials(monkeypatch, tmp_path)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "good-token")
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    with KaggleLoopback() as server:
        server.stand_in_for_kaggle(monkeypatch)
        server.methods["IntrospectToken"] = lambda request: SILENT
        yield server


@pytest.mark.timeout(60)
def test_a_silent_log_in_is_a_failed_connection(kaggle):
    with pytest.raises(requests.ConnectionError, match="timed out"):
        kaggle_client()


@pytest.mark.timeout(120)
def test_importing_the_client_logs_in_with_a_time_out(kaggle):
    """In a process of its own: here the client may be imported already."""
    code = f"""
from kagglesdk import kaggle_env
from pipeline.kaggle import client as kaggle_client
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = {kaggle.url!r}
kaggle_client.TIMEOUT_S = 0.2
try:
    kaggle_client.kaggle_client()
except Exception as error:
    print(type(error).__name__)
"""
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, timeout=100, env=os.environ)
    assert told.stdout == "ConnectionError\n", told.stderr
    assert kaggle.calls == ["IntrospectToken"] * 2


@pytest.mark.timeout(60)
def test_a_storage_that_is_silent_or_refuses_raises(kaggle, tmp_path):
    (tmp_path / "file").write_text("content")
    kaggle.files["/place"] = b"{}"
    kaggle.answer = lambda request: Answer(403)
    with pytest.raises(requests.ConnectionError, match="the storage answered 403"):
        send_file(str(tmp_path / "file"), f"{kaggle.url}/place")
    kaggle.answer = lambda request: SILENT
    with pytest.raises(requests.RequestException, match="timed out"):
        send_file(str(tmp_path / "file"), f"{kaggle.url}/place")
