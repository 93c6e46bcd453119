"""A real browser, where there is one: pages opened at any width, in light and in dark."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")


def start() -> Any:
    """Chromium without a window; skips the test where there is none, or no driver of it."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    if not CHROMIUM or not DRIVER:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("headless=new", "disable-dev-shm-usage", "disable-gpu", "force-prefers-reduced-motion"):
        options.add_argument(f"--{argument}")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # root has no sandbox to give; the page is our own
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


def show(browser, path: Path, width: int = 1200, dark: bool = False) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get("about:blank")  # so that a changed address behind # is a new load as well
    browser.get(path.as_uri())


def screenshot(browser, name: str) -> None:
    """Keep a picture of the whole page, where PODIUM_SCREENSHOTS names a folder for it."""
    if folder := os.environ.get("PODIUM_SCREENSHOTS"):
        height = browser.execute_script("return document.documentElement.scrollHeight")
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {
                **browser.execute_script("return {width: innerWidth}"),
                "height": height,
                "deviceScaleFactor": 1,
                "mobile": False,
            },
        )
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def asked_for(browser) -> set[str]:
    """Addresses that the browser asked for since this was last called."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
