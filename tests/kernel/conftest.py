"""What the kernel's tests share."""

from pathlib import Path

import pytest

from pipeline.kernel import bundle as bundle_module


@pytest.fixture
def one_wheel(monkeypatch):
    """One empty wheel stands for all of a bundle's: the real ones take an index to ask and a minute."""

    def fill(folder: Path, cache: Path) -> list[str]:
        folder.mkdir(parents=True)
        (folder / "podium-0.1.0-py3-none-any.whl").write_bytes(b"")
        return ["podium"]

    monkeypatch.setattr(bundle_module, "fill_wheel_folder", fill)
