"""The leaderboard page in a real browser: sorting, filtering, comparing, the charts, a phone, no network."""

import datetime
import json
import re
import statistics
from collections.abc import Iterator

import pytest
from scipy.stats import pearsonr, rankdata, spearmanr

from pipeline.runs.ledger import UPLOADING, LedgerRow, record, update_upload
from pipeline.track.leaderboard import collect, render, write_leaderboard
from tests.browser import asked_for, screenshot, show, start
from tests.track.project import Project, make_project

pytest.importorskip("selenium", reason="needs selenium")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select


@pytest.fixture(scope="module")
def browser() -> Iterator:
    driver = start()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def page(browser, project):
    """The page of the project, freshly loaded in a window 1200 pixels wide."""
    show(browser, write_leaderboard(project.submissions, project.runs, project.submissions / "page.html"))
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")] == []  # no error, no blocked request


def shown(browser) -> list[str]:
    """Names of the runs in the table, from the top."""
    return browser.execute_script(
        "return [...document.querySelectorAll('#runs tbody tr')].map(r => r.dataset.run)"
    )


def cells(browser, key: str) -> list[str]:
    """Texts of one column, from the top."""
    script = """
        const headings = [...document.querySelectorAll('#runs thead th')];
        const column = headings.findIndex(heading => heading.dataset.key === arguments[0]);
        return [...document.querySelectorAll('#runs tbody tr')].map(row => row.cells[column].innerText);
    """
    return browser.execute_script(script, key)


def heading(browser, key: str):
    return browser.find_element(By.CSS_SELECTOR, f"#runs th[data-key={key}]")


def sort_by(browser, key: str) -> str:
    """Click a heading; returns the order it then says it has."""
    heading(browser, key).find_element(By.TAG_NAME, "button").click()
    return heading(browser, key).get_attribute("aria-sort")


def tick(browser, run: str) -> None:
    browser.find_element(By.CSS_SELECTOR, f"tr[data-run='{run}'] input").click()


def text(browser, selector: str) -> str:
    return browser.find_element(By.CSS_SELECTOR, selector).text


def agreement(browser) -> dict[str, str]:
    entries = browser.find_elements(By.CSS_SELECTOR, "#agreement > div")
    return dict(entry.text.split("\n", 1) for entry in entries)


def a_row(**changes) -> LedgerRow:
    """A run of real data with a score of an error."""
    values: dict = {
        "run": "a-1",
        "date": "2026-11-22T02:15:27",
        "config": "a",
        "digest": "d",
        "git_sha": "none",
        "data": "kaggle",
        "metric": "x_error",
        "better": "smaller",
        "cv_score": 0.25,
        "cv_std": float("nan"),
        "folds": 1,
        "folds_planned": 1,
        "rows": 10,
        "sha256": "s",
        "minutes": 2.0,
    }
    return LedgerRow(**{**values, **changes})


def test_opens_with_the_best_score_on_top(page, project):
    rows = project.rows["birds"]
    assert shown(page) == [row.run for row in sorted(rows, key=lambda row: -row.cv_score)]
    assert heading(page, "cv_score").get_attribute("aria-sort") == "descending"
    assert text(page, "#shown") == "26 of 26"
    assert "larger is better" in text(page, "#about")
    screenshot(page, "wide")


def test_marks_the_best_run_but_never_a_sample(page, project):
    best = max((row for row in project.rows["birds"] if row.data != "sample"), key=lambda row: row.cv_score)
    assert max(project.rows["birds"], key=lambda row: row.cv_score).data == "sample"
    (marked,) = page.find_elements(By.CSS_SELECTOR, "#runs tr.best")
    assert marked.get_attribute("data-run") == best.run and "best CV" in marked.text
    assert best.run in text(page, "#facts li:first-child") and f"{best.cv_score:.5f}" in text(page, "#facts")


@pytest.mark.parametrize(
    ("key", "first"),
    [
        ("run", "ascending"),
        ("date", "descending"),
        ("config", "ascending"),
        ("cv_std", "descending"),
        ("folds", "descending"),
        ("minutes", "descending"),
        ("data", "ascending"),
        ("git_sha", "ascending"),
    ],
)
def test_sorts_by_any_column_in_either_direction(page, project, key, first):
    second = {"ascending": "descending", "descending": "ascending"}[first]
    by_run = {row.run: row for row in project.rows["birds"]}
    for order in (first, second):
        assert sort_by(page, key) == order
        values = [getattr(by_run[run], key) for run in shown(page)]
        known = [value for value in values if value == value]  # those without a spread are at the end
        assert known == values[: len(known)] == sorted(known, reverse=order == "descending")
    assert len(page.find_elements(By.CSS_SELECTOR, "#runs th[aria-sort]")) == 1


@pytest.mark.parametrize("key", ["lb_public", "lb_private", "gap", "rank_gap"])
def test_blanks_stay_at_the_end_in_either_direction(page, key):
    for _ in range(2):
        order = sort_by(page, key)
        values = [cell.replace("−", "-") for cell in cells(page, key)]
        numbers = [float(value) for value in values if value != "–"]
        assert 5 < len(numbers) < 26 and values[len(numbers) :] == ["–"] * (26 - len(numbers))
        assert numbers == sorted(numbers, reverse=order == "descending")


def test_gap_is_cv_minus_leaderboard(page, project):
    runs = {run["run"]: run for run in collect(project.submissions, project.runs, "")[0]["runs"]}
    for name, cell in zip(shown(page), cells(page, "gap"), strict=True):
        run = runs[name]
        expected = None if run["lb_public"] is None else run["cv_score"] - run["lb_public"]
        assert (
            (cell == "–")
            if expected is None
            else float(cell.replace("−", "-")) == pytest.approx(expected, abs=6e-6)
        )


def test_sorts_from_the_keyboard(page, project):
    page.find_element(By.CSS_SELECTOR, "#text").send_keys(Keys.TAB)
    button = heading(page, "minutes").find_element(By.TAG_NAME, "button")
    for _ in range(30):
        if page.switch_to.active_element == button:
            break
        page.switch_to.active_element.send_keys(Keys.TAB)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    longest = max(row.minutes for row in project.rows["birds"])
    assert heading(page, "minutes").get_attribute("aria-sort") == "descending"
    assert cells(page, "minutes")[0] == f"{longest:.1f}"
    page.switch_to.active_element.send_keys(Keys.SPACE)
    assert heading(page, "minutes").get_attribute("aria-sort") == "ascending"


def test_filters_by_text_data_and_config(page, project):
    rows = project.rows["birds"]

    def expect(condition) -> None:
        assert set(shown(page)) == {row.run for row in rows if condition(row)} != set()
        assert text(page, "#shown") == f"{len(shown(page))} of 26"

    Select(page.find_element(By.ID, "data")).select_by_visible_text("without samples")
    expect(lambda row: row.data != "sample")
    Select(page.find_element(By.ID, "data")).select_by_visible_text("kaggle")
    expect(lambda row: row.data == "kaggle")
    Select(page.find_element(By.ID, "config")).select_by_visible_text("base")
    expect(lambda row: row.data == "kaggle" and row.config == "base")
    page.find_element(By.ID, "text").send_keys("BASE 202611")
    expect(lambda row: row.data == "kaggle" and row.config == "base" and "202611" in row.run)
    assert len(page.find_elements(By.CSS_SELECTOR, "#time .point.cv")) == len(shown(page))
    page.find_element(By.ID, "text").send_keys(" nothing has this")
    assert text(page, "#runs tbody") == "No run matches." and text(page, "#time") == "No run matches."
    page.find_element(By.ID, "clear").click()
    expect(lambda row: True)
    page.find_element(By.ID, "text").send_keys(rows[3].git_sha)
    assert shown(page) == [rows[3].run]


def test_scatter_draws_every_scored_run_and_its_statistics_are_right(page, project):
    runs = [run for run in collect(project.submissions, project.runs, "")[0]["runs"] if run["lb_public"]]
    points = page.find_elements(By.CSS_SELECTOR, "#scatter .point")
    assert {point.get_attribute("data-run") for point in points} == {run["run"] for run in runs}
    for side in ("lb_public", "lb_private"):
        Select(page.find_element(By.ID, "side")).select_by_value(side)
        cv, lb = ([run[key] for run in runs] for key in ("cv_score", side))
        gaps = rankdata([-value for value in lb]) - rankdata([-value for value in cv])
        said = agreement(page)
        assert said["Runs with both"] == str(len(runs))
        assert float(said["Pearson"]) == pytest.approx(pearsonr(cv, lb).statistic, abs=6e-4)
        assert float(said["Spearman"]) == pytest.approx(spearmanr(cv, lb).statistic, abs=6e-4)
        assert float(said["Mean rank gap"]) == pytest.approx(statistics.mean(abs(gaps)), abs=6e-3)
        worst = runs[int(abs(gaps).argmax())]["run"]
        assert said["Largest rank gap"].startswith(worst)
        column = dict(zip(shown(page), cells(page, "rank_gap"), strict=True))
        assert [float(column[run["run"]].replace("−", "-")) for run in runs] == list(gaps)


def test_points_lie_where_their_scores_say(page, project):
    runs = {run["run"]: run for run in collect(project.submissions, project.runs, "")[0]["runs"]}
    points = page.find_elements(By.CSS_SELECTOR, "#scatter .point")
    found = [
        (point.get_attribute("data-run"), *(float(point.get_attribute(key)) for key in ("cx", "cy")))
        for point in points
    ]
    cv, lb = ([runs[name][key] for name, *_ in found] for key in ("cv_score", "lb_public"))
    assert pearsonr(cv, [x for _, x, _ in found]).statistic == pytest.approx(1)
    assert pearsonr(lb, [y for *_, y in found]).statistic == pytest.approx(-1)


def test_a_point_tells_its_run_and_lights_up_its_row(page):
    point = page.find_element(By.CSS_SELECTOR, "#scatter .point")
    name = point.get_attribute("data-run")
    page.execute_script("arguments[0].focus()", point)
    assert text(page, "#scatter-picked").startswith(name) and "rank" in text(page, "#scatter-picked")
    assert "lit" in page.find_element(By.CSS_SELECTOR, f"tr[data-run='{name}']").get_attribute("class")


def test_score_over_time_leaves_samples_out_and_says_so(page, project):
    drawn = {point.get_attribute("data-run") for point in page.find_elements(By.CSS_SELECTOR, "#time .cv")}
    assert drawn == {row.run for row in project.rows["birds"] if row.data != "sample"}
    assert "2 sample runs are left out" in text(page, "#legend")
    Select(page.find_element(By.ID, "data")).select_by_visible_text("sample")
    assert len(page.find_elements(By.CSS_SELECTOR, "#time .cv")) == 2 and "left out" not in text(
        page, "#legend"
    )


def test_compares_any_number_of_runs(page, project):
    one, other, third = (project.rows["birds"][number] for number in (3, 7, 11))
    settings = {
        run["run"]: run["settings"] for run in collect(project.submissions, project.runs, "")[0]["runs"]
    }
    assert "Tick two or more runs" in text(page, "#compare")
    tick(page, one.run)
    assert f"Tick one more run to compare with {one.run}" in text(page, "#compare")
    sort_by(page, "date")  # a new order keeps the ticks
    tick(page, other.run)

    def table() -> dict[str, list[str]]:
        script = """return Object.fromEntries([...document.querySelectorAll('#compare tr[data-setting]')].map(
            row => [row.dataset.setting, [...row.cells].slice(1).map(cell => cell.innerText)]))"""
        return page.execute_script(script)

    def parsed(cell: str):
        try:
            return json.loads(cell)
        except ValueError:
            return cell

    def compared() -> dict[str, list]:
        return {key: [parsed(cell) for cell in cells] for key, cells in table().items() if "." in key}

    def configs(*runs) -> dict[str, list]:
        found = {key: [settings[run.run][key] for run in runs] for key in settings[runs[0].run]}
        return {key: values for key, values in found.items() if any(value != values[0] for value in values)}

    difference = configs(one, other)
    assert "train.epochs" in difference and difference["train.epochs"] == [7, 11]
    assert compared() == difference
    assert table()["CV"][0] == f"{one.cv_score:.5f}"
    assert f"{other.cv_score - one.cv_score:.5f}".replace("-", "−") in table()["CV"][1]
    page.find_element(By.ID, "equal").click()
    assert set(settings[one.run]) <= set(table()) and "train.optimizer" not in difference
    screenshot(page, "compare")
    page.find_element(By.ID, "equal").click()
    tick(page, third.run)
    assert compared() == configs(one, other, third) and len(table()["CV"]) == 3
    assert f"{third.cv_score - one.cv_score:.5f}".replace("-", "−") in table()["CV"][2], "against the first"
    tick(page, one.run)
    assert compared() == configs(other, third)


def test_finds_a_run_by_its_note_its_model_and_what_was_changed(page, project):
    rows = project.rows["birds"]
    field = page.find_element(By.ID, "text")
    for words, expected in (
        ("cleaned labels", {rows[5].run}),
        ("convnext", {row.run for row in rows if row.model == "convnext_tiny"}),
        ("--train.lr 0.07", {rows[7].run}),
    ):
        field.clear()
        field.send_keys(words)
        assert set(shown(page)) == expected
    assert cells(page, "changed") == ["--train.lr 0.07"] and cells(page, "model") == ["resnet18"]


def test_says_when_a_config_is_not_there(page, project):
    missing, other = project.rows["birds"][2], project.rows["birds"][3]
    tick(page, missing.run)
    tick(page, other.run)
    assert f"The config of {missing.run} is not on this machine" in text(page, "#compare")
    assert page.find_elements(By.CSS_SELECTOR, "#compare tr[data-setting=CV]")


def test_links_lead_to_the_reports(page, project):
    links = page.find_elements(By.CSS_SELECTOR, "#runs tbody a")
    assert {link.text for link in links} == {
        path.parent.name for path in project.runs.glob("birds/*/report.html")
    }
    name = links[0].text
    links[0].click()
    assert text(page, "h1") == name


def test_switches_the_competition_and_remembers_it(page, project):
    Select(page.find_element(By.ID, "board")).select_by_visible_text("leaves")
    rows = project.rows["leaves"]
    for _ in range(2):
        assert shown(page) == [row.run for row in sorted(rows, key=lambda row: row.cv_score)]
        assert heading(page, "cv_score").get_attribute("aria-sort") == "ascending"
        assert "smaller is better" in text(page, "#about")
        best = min(rows, key=lambda row: row.cv_score)
        assert page.find_element(By.CSS_SELECTOR, "tr.best").get_attribute("data-run") == best.run
        assert "No run shown here has a leaderboard score" in text(page, "#scatter") and not agreement(page)
        page.refresh()


@pytest.mark.parametrize("dark", [False, True])
def test_fits_a_phone(page, project, dark):
    show(page, project.submissions / "page.html", width=390, dark=dark)
    width, inner = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width == inner == 390  # only the table scrolls sideways
    scroll, client = page.execute_script(
        "const box = document.querySelector('.scroll'); return [box.scrollWidth, box.clientWidth]"
    )
    assert scroll > client
    name = page.find_element(By.CSS_SELECTOR, "#runs tbody th")
    left = name.rect["x"]
    page.execute_script("document.querySelector('.scroll').scrollLeft = 300")
    assert (
        page.execute_script("return arguments[0].getBoundingClientRect().x", name) == left
    )  # stays in sight
    page.execute_script("document.querySelector('.scroll').scrollLeft = 0")
    for row in project.rows["birds"][3:5]:
        page.execute_script(
            "arguments[0].click()", page.find_element(By.CSS_SELECTOR, f"tr[data-run='{row.run}'] input")
        )
    chart = page.find_element(By.CSS_SELECTOR, "#time svg").rect
    assert chart["x"] >= 0 and chart["x"] + chart["width"] <= 390
    ink, paper = (
        sum(
            map(
                int, re.findall(r"\d+", page.execute_script(f"return getComputedStyle(document.body).{name}"))
            )
        )
        for name in ("color", "backgroundColor")
    )
    assert (ink > paper) == dark
    screenshot(page, "phone-dark" if dark else "phone")


def test_asks_the_network_for_nothing(page):
    asked = asked_for(page)
    assert asked and all(url.startswith(("file:", "data:", "about:")) for url in asked)


def test_without_runs_it_says_how_to_get_one(browser, tmp_path):
    (tmp_path / "submissions").mkdir()
    show(browser, write_leaderboard(tmp_path / "submissions", tmp_path / "runs", tmp_path / "page.html"))
    assert "No runs yet" in text(browser, "#nothing") and "make submit" in text(browser, "#nothing")
    assert not browser.find_element(By.ID, "content").is_displayed()
    screenshot(browser, "empty")


def test_an_upload_that_was_cut_is_not_shown_as_one_without_a_score(browser, tmp_path):
    ledger = tmp_path / "submissions" / "birds" / "ledger.csv"
    for name in ("a-1", "b-1"):
        record(ledger, a_row(run=name))
    update_upload(ledger, "a-1", uploaded=UPLOADING)
    update_upload(ledger, "b-1", uploaded="2026-11-23T02:15:27Z", reference="17")
    show(browser, write_leaderboard(tmp_path / "submissions", tmp_path / "runs", tmp_path / "page.html"))
    assert dict(zip(shown(browser), cells(browser, "lb_public"), strict=True)) == {
        "a-1": "upload cut",
        "b-1": "no score yet",
    }
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("scored", [True, False])
def test_runs_without_a_cv_are_shown_at_the_end(browser, project, tmp_path, scored):
    (board, _) = collect(project.submissions, project.runs, "")
    blank = [run for run in board["runs"] if run["lb_public"] is not None][:3]
    if not scored:
        board["runs"] = blank
    for run in blank:
        run["cv_score"] = None
        run["lb_public"] = run["lb_public"] if scored else None
        run["lb_private"] = None
    page = tmp_path / "page.html"
    page.write_text(render([board], datetime.datetime(2026, 1, 2)))
    show(browser, page)
    assert set(cells(browser, "cv_score")[-3:]) == set(cells(browser, "gap")[-3:]) == {"–"}
    drawn = {point.get_attribute("data-run") for point in browser.find_elements(By.CSS_SELECTOR, ".point.cv")}
    assert bool(drawn) == scored and not drawn & {run["run"] for run in blank}
    if not scored:
        assert text(browser, "#time") == "No run shown here has a score."
    assert browser.get_log("browser") == []


def test_a_single_run_and_hostile_names_are_shown_as_they_are(browser, tmp_path):
    evil = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    record(tmp_path / "submissions" / "birds" / "ledger.csv", a_row(config=evil, data=evil))
    show(browser, write_leaderboard(tmp_path / "submissions", tmp_path / "runs", tmp_path / "page.html"))
    assert (shown(browser), cells(browser, "config"), cells(browser, "cv_score")) == (
        ["a-1"],
        [evil],
        ["0.2500"],
    )
    assert len(browser.find_elements(By.CSS_SELECTOR, "#time .point")) == 1
    assert not browser.find_elements(By.TAG_NAME, "img") and browser.get_log("browser") == []
