"""The hub is asked once and briefly, each time in a process of its own with an empty cache."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers import REPOSITORY

PROGRAM = """
from pipeline.base.errors import UserError
from pipeline.config.groups import ModelConfig
from pipeline.networks.weights import check_published

check_published(ModelConfig(name="resnet10t", weights="given.pt", pretrained=True))
check_published(ModelConfig(name="resnet10t"))
for _ in range(2):
    try:
        check_published(ModelConfig(name="resnet10t", pretrained=True))
    except UserError as error:
        print(error)
"""


def test_a_hub_that_refuses_is_asked_once(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path)}
        environment |= {"HF_HUB_CACHE": str(tmp_path / "hub"), "TORCH_HOME": str(tmp_path)}
        environment |= {"OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"}
        environment.pop("HF_HUB_OFFLINE", None)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], cwd=REPOSITORY, env=environment, text=True, **pipes
        )
        connection, _ = server.accept()
        began = time.monotonic()
        connection.close()
        out, err = process.communicate(timeout=60)
        waited = time.monotonic() - began
        server.settimeout(0)
        asked_again = True
        try:
            server.accept()
        except BlockingIOError:
            asked_again = False
    assert out.count("no pretrained weights for resnet10t could be had") == 2, err
    assert not asked_again and waited < 15
