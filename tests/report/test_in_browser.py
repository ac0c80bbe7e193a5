"""The page in a real browser: skipped, visibly, where there is no Chromium with its driver."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    not (DRIVER and BROWSER), reason="no chromium and chromedriver: apt install them"
)

CONTRAST = """
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
const behind = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor);
    if (a > 0) return [r, g, b];
  }
  return [255, 255, 255];
};
const low = [];
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  if (!own || node.closest("script, style") || !node.getClientRects().length) continue;
  const style = getComputedStyle(node);
  const ink = parse(node.namespaceURI.endsWith("svg") ? style.fill : style.color).slice(0, 3);
  const [a, b] = [luminance(ink), luminance(behind(node))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) low.push([node.textContent.trim().slice(0, 40), ratio]);
}
return low;
"""
"""Texts whose contrast with what is behind them is below 4.5 to 1 (WCAG 2.1, 1.4.3)."""

DRAWINGS = """
return [...document.querySelectorAll(".drawing")].map((one) => {
  const letters = [...one.querySelectorAll("text")].map((text) => parseFloat(getComputedStyle(text).fontSize));
  const svg = one.querySelector("svg");
  return [one.scrollWidth - one.clientWidth, Math.min(...letters) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width];
});
"""
"""Of each drawing the pixels by which it has to be scrolled sideways, and the size of its smallest letters in pixels."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    # Without reduced motion the page scrolls smoothly, and the driver clicks where a heading was a moment ago.
    still = "--force-prefers-reduced-motion"
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", still):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def shown(browser, page) -> Any:
    """The page, opened at the width of a desk."""
    browser.set_window_size(1200, 900)
    browser.get(page.as_uri())
    return browser


def column(driver: Any, table: int, place: int) -> list[str]:
    """The texts of one column."""
    return driver.execute_script(
        "return [...document.querySelectorAll('table')[arguments[0]].tBodies[0].rows].map((row) => "
        "row.cells[arguments[1]].textContent)",
        table,
        place,
    )


def test_nothing_is_complained_about_and_nothing_is_fetched(shown):
    assert shown.get_log("browser") == []
    fetched = shown.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in fetched if not name.startswith("data:")] == []


def test_pictures_load(shown):
    script = "for (const one of document.querySelectorAll('details')) one.open = true; return [...document.images].map((one) => one.complete && one.naturalWidth)"
    assert shown.execute_script(script) == [256, 256, 256]


def test_a_table_is_sorted_by_mouse_and_by_keyboard(shown):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    rate = shown.find_elements(By.CSS_SELECTOR, "table:first-of-type thead button")[1]
    assert column(shown, 0, 0) == ["clean", "eyes"]
    rate.click()
    assert column(shown, 0, 0) == ["clean", "eyes"]  # highest first
    rate.click()
    assert column(shown, 0, 0) == ["eyes", "clean"]
    heading = rate.find_element(By.XPATH, "..")
    assert heading.get_attribute("aria-sort") == "ascending"
    # The third brings the first order back, by keyboard as well; then it begins anew.
    rate.send_keys(Keys.ENTER)
    assert column(shown, 0, 0) == ["clean", "eyes"] and heading.get_attribute("aria-sort") is None
    rate.send_keys(Keys.ENTER)
    assert column(shown, 0, 0) == ["clean", "eyes"] and heading.get_attribute("aria-sort") == "descending"


def place_of(driver: Any, caption: str) -> int:
    """Which of the page's tables has a caption."""
    captions = driver.execute_script(
        "return [...document.querySelectorAll('.caption')].map((one) => one.textContent)"
    )
    return captions.index(caption)


def press(driver: Any, table: int, place: int) -> None:
    """Click on a heading, folded away or not."""
    driver.execute_script(
        "document.querySelectorAll('table')[arguments[0]].querySelectorAll('thead button')[arguments[1]].click()",
        table,
        place,
    )


def test_empty_cells_stand_last_whichever_way_numbers_are_sorted(shown):
    table = place_of(shown, "Means over the test photos")
    press(shown, table, 1)
    assert column(shown, table, 1) == ["0.900", ""]
    press(shown, table, 1)
    assert column(shown, table, 1) == ["0.900", ""]


def test_words_go_from_a_first_and_come_back(shown):
    table = place_of(shown, "Some words")
    start = ["pear", "", "apple", "fig"]
    seen = [column(shown, table, 1)]
    for _ in range(3):
        press(shown, table, 1)
        seen.append(column(shown, table, 1))
    assert seen == [start, ["apple", "fig", "pear", ""], ["pear", "fig", "apple", ""], start]
    # Another column forgets the first.
    press(shown, table, 1)
    press(shown, table, 0)
    assert column(shown, table, 0) == ["first", "fourth", "second", "third"]
    marked = shown.execute_script(
        "return [...document.querySelectorAll('table')[arguments[0]].querySelectorAll('thead th')].map((one) => one.ariaSort)",
        table,
    )
    assert marked == ["ascending", None]


def test_a_table_of_settings_is_not_sorted(shown):
    table = place_of(shown, "Settings")
    script = "const t = document.querySelectorAll('table')[arguments[0]]; for (const one of t.querySelectorAll('th')) one.click(); return t.querySelectorAll('button').length"
    assert shown.execute_script(script, table) == 0
    assert column(shown, table, 0) == ["b", "a"]


def test_no_name_is_given_twice_and_all_that_is_drawn_is_there(shown):
    ids = shown.execute_script("return [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids)) > 20
    lost = shown.execute_script(
        "return [...document.querySelectorAll('use')].map((one) => one.href.baseVal.slice(1))"
        ".filter((id) => document.getElementById(id) === null)"
    )
    assert lost == []


def test_printed_everything_is_unfolded(shown):
    shown.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert shown.execute_script("return [...document.querySelectorAll('details')].every((one) => one.open)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(shown, scheme):
    feature = [{"name": "prefers-color-scheme", "value": scheme}]
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    ground = shown.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert shown.execute_script(CONTRAST) == []


def test_it_fits_a_phone(shown):
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        wide = shown.execute_script("return document.documentElement.scrollWidth")
        drawings = shown.execute_script(DRAWINGS)
    finally:
        shown.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= 360
    assert len(drawings) == 1
    for scrolled, letters in drawings:
        assert scrolled == 0 and letters >= 9


def test_a_drawing_is_no_larger_than_it_need_be_on_a_desk(shown):
    ((_, letters),) = shown.execute_script(DRAWINGS)
    assert letters <= 16


def test_a_row_keeps_its_name_in_sight_on_a_phone(browser, page):
    browser.set_window_size(500, 800)
    browser.get(page.as_uri())
    moved = browser.execute_script("""
        const box = [...document.querySelectorAll(".wide")].find((one) => one.scrollWidth > one.clientWidth + 20);
        const place = (cell) => cell.getBoundingClientRect().left;
        const [name, value] = [box.querySelector("tbody th"), box.querySelector("tbody td")];
        const before = [place(name), place(value)];
        box.scrollLeft = 20;
        return [place(name) - before[0], place(value) - before[1]];
    """)
    assert moved == [0, -20]
