"""A run's page in a real browser: on a phone, in the dark, sorting, finding, looking closer, no network."""

from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.base.parts import Chart, Charts, Matrix, Part, Series, Table, Tile, Tiles
from pipeline.delivery.report import decision_table, folds_table, write_report
from tests.browser import asked_for, screenshot, show, start

pytest.importorskip("selenium", reason="needs selenium")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

SCORES = np.linspace(1, 0, 12).tolist()
NAMES = [f"a class with a long name {number}" for number in range(12)]
FACTS = {"run": "fast-20260101-0123abcd", "cv_accuracy": 0.010000000000000009, "rows": 12345}


def parts() -> Iterator[Part]:
    """Something of each kind."""
    epochs = np.arange(1, 4)
    losses = [
        Series(name="learnt from", x=epochs, y=[3.0, 2.0, 1.0], style="dashed"),
        Series(name="validation", x=epochs, y=[2.5, 2.2, 2.1], color=1),
    ]
    yield folds_table("accuracy", [("fold 0", 500, 0.9), ("fold 1", 500, 0.95)], 0.925)
    yield Charts(title="Training", charts=[Chart(title="Loss", across="epoch", up="loss", series=losses)] * 3)
    yield decision_table([0.1, 0.2], ["cat", "dog"], "f1", 0.8, 0.7)
    rows = [
        (name, score, count)
        for name, score, count in zip(NAMES, np.linspace(1, 0, 12), range(12), strict=True)
    ]
    yield Table(title="Classes", heads=["class", "F1", "support"], rows=[*rows, ("absent", float("nan"), 0)])
    yield Matrix(title="Confusion", names=NAMES, values=np.eye(12) * 90)
    pixels = np.random.default_rng(0).integers(0, 255, (900, 600, 3), dtype="uint8")
    tiles = [
        Tile(pictures=[pixels, pixels], title=f"id{n}", lines=[f"predicted {NAMES[n]}"]) for n in range(6)
    ]
    yield Tiles(title="Worst mistakes", tiles=tiles, legend=[("truth", (0, 114, 178))])


@pytest.fixture(scope="module")
def browser() -> Iterator:
    driver = start()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("run"), "birds: fast", FACTS, [parts], "{'lr': 0.1}")


@pytest.fixture
def page(browser, report):
    """The page, freshly loaded in a window 1440 pixels wide."""
    show(browser, report, width=1440)
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")] == []  # no error, no blocked request


def element(page, selector: str):
    return page.find_element(By.CSS_SELECTOR, selector)


def first_cells(page, title: str) -> list[str]:
    script = """
        const section = [...document.querySelectorAll('section')].find(
            one => one.querySelector('h2')?.textContent === arguments[0]);
        return [...section.querySelectorAll('tbody tr')].map(row => row.cells[0].textContent);
    """
    return page.execute_script(script, title)


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (820, True), (390, False), (390, True)])
def test_fits_any_screen_in_light_and_dark(page, report, width, dark):
    show(page, report, width=width, dark=dark)
    wide, inner = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= inner == width, "only tables scroll sideways"
    colors = page.execute_script(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    ink, paper = (sum(map(int, color.strip("rgb()").split(","))) for color in colors)
    assert (ink > paper) == dark
    chart = element(page, "svg.chart").rect
    assert chart["x"] >= 0 and chart["x"] + chart["width"] <= width and chart["height"] > 100
    screenshot(page, f"report-{width}{'-dark' if dark else ''}")


def test_numbers_are_rounded(page):
    assert (
        "0.01" in element(page, "table").text and "000000009" not in page.page_source.split("data-value")[0]
    )
    assert "0.010000000000000009" not in element(page, "main").text


def test_a_head_sorts_and_what_is_no_number_stays_last(page):
    heads = page.find_elements(By.XPATH, "//h2[.='Classes']/..//th/button")
    heads[1].click()
    assert first_cells(page, "Classes") == [*NAMES[::-1], "absent"]
    heads[1].click()
    assert first_cells(page, "Classes") == [*NAMES, "absent"]
    heads[0].click()
    assert first_cells(page, "Classes") == [*NAMES, "absent"], "a class 2 before a class 10"


def test_a_point_says_its_numbers_and_a_name_hides_its_line(page):
    dot = page.find_elements(By.CSS_SELECTOR, "svg.chart g")[1].find_elements(By.TAG_NAME, "circle")[2]
    ActionChains(page).move_to_element(dot).perform()
    assert element(page, ".told").text == "validation: 3, 2.1"
    button = page.find_elements(By.CSS_SELECTOR, ".legend button")[1]
    button.click()
    assert not dot.is_displayed() and button.get_attribute("aria-pressed") == "false"
    button.click()
    assert dot.is_displayed()


def test_a_word_finds_mistakes_and_a_picture_can_be_looked_at(page):
    field = element(page, "input.find")
    field.send_keys("name 3")
    shown = [tile for tile in page.find_elements(By.CSS_SELECTOR, ".tiles > div") if tile.is_displayed()]
    assert [tile.text.split()[0] for tile in shown] == ["id3"]
    shown[0].find_element(By.TAG_NAME, "button").click()
    large = element(page, "dialog.large")
    assert large.is_displayed() and large.text == "id3"
    assert large.find_element(By.TAG_NAME, "img").size["height"] > 300
    large.click()
    assert not large.is_displayed()


def test_asks_the_network_for_nothing(page):
    asked = asked_for(page)
    assert asked and all(url.startswith(("file:", "data:", "about:")) for url in asked)
