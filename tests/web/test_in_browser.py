"""The page in a real browser: skipped, visibly, where there is no Chromium with its driver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.people.photos import save_photo
from tests.report.test_in_browser import BROWSER, CONTRAST, DRIVER
from tests.report.test_in_browser import pytestmark as pytestmark
from tests.web.conftest import TOKEN, Site
from tests.web.fake import pattern

FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium with a camera that shows a test picture."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *FAKE_CAMERA):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    driver.set_window_size(1200, 900)
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def page(browser: Any, site: Site) -> Any:
    """The page, opened, with an empty store."""
    opened(browser, site)
    return browser


def opened(driver: Any, site: Site, path: str = "/") -> None:
    driver.get(f"http://127.0.0.1:{site.port}{path}")
    driver.get_log("browser")
    until(driver, "return document.documentElement.dataset.ready === 'yes'")


def until(driver: Any, script: str) -> Any:
    """What a script returns, once that is something."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 30).until(lambda one: one.execute_script(script))


def find(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def press(driver: Any, selector: str) -> None:
    """Click on what is there now: the page may have drawn it anew since it was looked for."""
    until(driver, f"return document.querySelector({selector!r})")
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


def upload(driver: Any, path: Any) -> None:
    find(driver, "#files").send_keys(str(path))


def texts(driver: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
    return driver.execute_script(script, selector)


@pytest.fixture
def two(tmp_path):
    return save_photo(tmp_path / "two.png", pattern(1), pattern(2))


def enrol_both(driver: Any, two: Any) -> None:
    """Drop a photo, and name its faces one after the other."""
    upload(driver, two)
    for number, name in ((1, "Ann"), (2, "Ben")):
        until(driver, f"return document.querySelector('.face[data-face=\"{number}\"] form')")
        find(driver, f'.face[data-face="{number}"] input').send_keys(name + "\n")
        until(driver, f"return document.querySelector('.face[data-face=\"{number}\"] .note.good')")


def test_a_stranger_enrols_and_recognises(page, site, two, tmp_path):
    assert "Nobody is enrolled yet" in find(page, "#recognise-intro").text
    enrol_both(page, two)
    assert [one.name for one in site.people.list()] == ["Ann", "Ben"]
    assert find(page, "#results h3").text == "2 faces: Ann and Ben"
    assert texts(page, ".face .ask button") == [], "what is enrolled is not offered again"
    masked = pattern(1, 3)
    masked[40:] = 255
    upload(page, save_photo(tmp_path / "door.png", masked, pattern(3)))
    until(page, "return document.querySelectorAll('#results article h3').length === 2")
    until(page, "return document.querySelectorAll('#results article:first-child .face').length === 2")
    first, second = texts(page, "#results article:first-child .face")
    assert (
        "Covered (tinted): mouth" in first
        and "Nearest: Ann, likeness" in first
        and "Named above 0.90" in first
    )
    assert second.startswith(("This photo", "2. Unknown")) and "Who is it?" in second
    drawn = until(
        page, "return [...document.querySelectorAll('#results canvas')].every((one) => one.width > 30)"
    )
    assert drawn and all(
        until(page, "return [...document.images].map((one) => one.complete && one.naturalWidth > 0)")
    )
    assert page.get_log("browser") == []
    asked = page.execute_script(
        "return performance.getEntriesByType('resource').map((one) => new URL(one.name).host)"
    )
    assert set(asked) == {f"127.0.0.1:{site.port}"}


def test_a_question_is_asked_and_answered(page, site, two, tmp_path):
    enrol_both(page, two)
    find(page, "#ask").click()
    upload(page, save_photo(tmp_path / "door.png", pattern(5), pattern(6)))
    until(page, "return document.getElementById('question-count').textContent === '2'")
    find(page, '.tabs a[href="#questions"]').click()
    until(page, "return document.querySelectorAll('#questions > li').length === 2")
    assert all(
        until(
            page,
            "return [...document.querySelectorAll('#questions img')].map((one) => one.naturalWidth > 90)",
        )
    )
    find(page, "#questions > li:first-child input").send_keys("Eva\n")
    until(page, "return document.querySelectorAll('#questions > li').length === 1")
    assert [one.name for one in site.people.list()] == ["Ann", "Ben", "Eva"]
    next(
        one for one in page.find_elements("css selector", "#questions button") if "without" in one.text
    ).click()
    until(page, "return !document.getElementById('no-questions').hidden")


def test_somebody_is_renamed_merged_and_removed(page, site, two):
    enrol_both(page, two)
    press(page, '.tabs a[href="#people"]')
    until(page, "return document.querySelectorAll('#people > li').length === 2")
    press(page, "#people button")
    until(page, "return document.querySelector('#person input[type=text]')")
    page.execute_script(
        "const one = document.querySelector('#person input[type=text]'); one.value = 'Anna'; one.form.requestSubmit()"
    )
    until(page, "return document.querySelector('#person h2')?.textContent === 'Anna'")
    page.execute_script(
        "const one = document.querySelector('#person input[name=into]'); one.value = 'ben'; one.form.requestSubmit()"
    )
    until(page, "return document.getElementById('dialog').open")
    press(page, "#dialog-yes")
    until(page, "return document.querySelector('#person h2')?.textContent === 'Ben'")
    assert [(one.name, one.photos) for one in site.people.list()] == [("Ben", 2)]
    assert until(page, "return document.querySelectorAll('#person .album li').length === 2")
    page.execute_script("[...document.querySelectorAll('#person > .card button.danger')].at(-1).click()")
    until(page, "return document.getElementById('dialog').open")
    press(page, "#dialog button[value=no]")
    assert len(site.people.list()) == 1
    page.execute_script("[...document.querySelectorAll('#person > .card button.danger')].at(-1).click()")
    until(page, "return document.getElementById('dialog').open")
    press(page, "#dialog-yes")
    until(page, "return !document.getElementById('nobody').hidden")
    assert site.people.list() == []


def test_a_photo_that_is_none_is_said_and_the_page_goes_on(page, two, tmp_path):
    (tmp_path / "notes.png").write_text("no photo")
    upload(page, tmp_path / "notes.png")
    assert "not an image" in until(page, "return document.querySelector('#results .note.bad')?.textContent")
    upload(page, two)
    until(page, "return document.querySelectorAll('.face').length === 2")


def test_too_poor_a_face_is_refused_with_a_way_on(page, site, tmp_path):
    upload(page, save_photo(tmp_path / "poor.png", pattern(3, poor=True)))
    until(page, "return document.querySelector('.face form')")
    find(page, ".face input").send_keys("Cleo\n")
    note = until(page, "return document.querySelector('.face .note.bad')?.textContent")
    assert "its face is blurred" in note and site.people.list() == []
    find(page, ".face .note.bad button").click()
    until(page, "return document.querySelector('.face .note.good')")
    assert [one.name for one in site.people.list()] == ["Cleo"]


def test_a_photo_is_taken_with_the_camera(page):
    find(page, "#camera-open").click()
    until(page, "return document.getElementById('video').videoWidth > 0")
    find(page, "#camera-take").click()
    taken = until(page, "return document.querySelector('#results article')?.getAttribute('aria-label')")
    assert taken.startswith("camera-") and taken.endswith(".jpg")
    find(page, "#camera-close").click()
    until(page, "return document.getElementById('camera').hidden")


def test_a_camera_that_is_refused_is_said(page):
    page.execute_script(
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); }"
    )
    find(page, "#camera-open").click()
    assert "was not allowed" in until(page, "return document.getElementById('camera-problem').textContent")
    assert not find(page, "#camera").is_displayed()


def test_a_name_is_text_whatever_it_says(page, site, two):
    upload(page, two)
    until(page, "return document.querySelector('.face form')")
    bad = "<img src=x onerror=document.title='gone'>"
    find(page, ".face input").send_keys(bad + "\n")
    until(page, "return document.querySelector('.face .note.good')")
    find(page, '.tabs a[href="#people"]').click()
    assert until(page, "return document.querySelector('#people strong')?.textContent") == bad
    assert page.title.startswith("Who is it?") and page.get_log("browser") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_a_desk_and_a_phone(page, site, two, scheme):
    site.people.trained = True
    enrol_both(page, two)
    page.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    page.execute_script("document.getElementById('stale').hidden = false")
    feature = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for tab in ("recognise", "people", "questions", f"people/{site.people.list()[0].id}"):
            page.execute_script("location.hash = arguments[0]", f"#{tab}")
            until(page, f"return !document.getElementById('{tab.split('/')[0]}-view').hidden")
            assert page.execute_script(CONTRAST) == [], tab
            assert page.execute_script("return document.documentElement.scrollWidth") <= 360, tab
        opened(page, site, "/reference")
        assert page.execute_script(CONTRAST) == []
        assert len(texts(page, "article")) > 20
        assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_everything_has_a_name_and_can_be_reached_by_keyboard(page, two):
    enrol_both(page, two)
    script = """
    return [...document.querySelectorAll('button, input, select, img, canvas, video, a')]
      .filter((one) => one.getClientRects().length)
      .filter((one) => !(one.textContent.trim() || one.labels?.length || one.alt || one.ariaLabel || one.getAttribute('aria-label')))
      .map((one) => one.outerHTML.slice(0, 80));
    """
    assert page.execute_script(script) == []
    assert (
        page.execute_script(
            "return [...document.querySelectorAll('[tabindex]')].filter((one) => one.tabIndex > 0).length"
        )
        == 0
    )


def test_a_browser_logs_in(browser, guarded):
    browser.get(f"http://127.0.0.1:{guarded.port}/")
    assert browser.current_url.endswith("/login")
    find(browser, "input").send_keys("wrong-token\n")
    until(browser, "return location.hash === '#wrong'")
    assert find(browser, "#wrong").is_displayed()
    find(browser, "input").send_keys(TOKEN + "\n")
    until(browser, "return document.documentElement.dataset.ready === 'yes'")
    find(browser, "#log-out").click()
    until(browser, "return location.pathname === '/login'")


def typed(driver: Any, *keys: str) -> None:
    """Keys for whatever has the focus, as of somebody without a mouse."""
    for one in keys:
        driver.switch_to.active_element.send_keys(one)


def test_by_keyboard_alone_one_face_after_the_other_is_named_and_the_queue_answered(
    page, site, two, tmp_path
):
    upload(page, two)
    until(page, "return document.querySelectorAll('.face form').length === 2")
    page.execute_script("document.querySelector('.face input').focus()")
    typed(page, "Ann\n")
    until(page, "return document.activeElement.matches('.face[data-face=\"2\"] input')")
    assert "Enrolled as Ann." in find(page, "#said").get_attribute("textContent"), "read out"
    typed(page, "Ben\n")
    until(page, "return document.activeElement.matches('#results h3')")
    find(page, "#ask").click()
    upload(page, save_photo(tmp_path / "door.png", pattern(5), pattern(6)))
    until(page, "return document.getElementById('question-count').textContent === '2'")
    page.execute_script("location.hash = '#questions'")
    until(page, "return document.querySelectorAll('#questions > li').length === 2")
    find(page, "#questions > li:last-child input").send_keys("Fay")
    page.execute_script("document.querySelector('#questions > li:first-child input').focus()")
    typed(page, "Eva\n")
    until(page, "return document.activeElement.matches('#questions > li:only-child h3')")
    assert find(page, "#questions input").get_attribute("value") == "Fay", "what was typed stays"


def test_skipping_to_the_content_stays_where_one_is(page):
    press(page, '.tabs a[href="#people"]')
    until(page, "return !document.getElementById('people-view').hidden")
    page.execute_script("document.querySelector('.skip').focus()")
    typed(page, "\n")
    until(page, "return document.activeElement.id === 'main'")
    assert find(page, "#people-view").is_displayed() and page.current_url.endswith("#people")


def test_photos_that_were_looked_at_before_a_change_are_looked_at_again(page, two, tmp_path):
    upload(page, two)
    upload(page, save_photo(tmp_path / "later.png", pattern(1, 4)))
    until(page, "return document.querySelectorAll('.face form').length === 3")
    assert not find(page, "#stale").is_displayed()
    find(page, '[aria-label="two.png"] .face[data-face="1"] input').send_keys("Ann\n")
    until(page, "return !document.getElementById('stale').hidden")
    assert texts(page, '[aria-label="later.png"] h3') == ["1 face: unknown"]
    press(page, "#again")
    until(page, "return document.getElementById('stale').hidden")
    assert texts(page, '[aria-label="later.png"] h3') == ["1 face: Ann"]
    press(page, "#close-results")
    assert texts(page, "#results article") == [] and not find(page, "#results-bar").is_displayed()


def test_a_name_that_is_there_but_for_capitals_is_asked_about(page, site, two):
    enrol_both(page, two)
    press(page, '.tabs a[href="#people"]')
    name = find(page, "#enrol input[name=name]")
    name.send_keys("Ann")
    assert "Enrolled already with 1 photo" in until(
        page, "return document.getElementById('enrol-hint').textContent"
    )
    name.clear()
    name.send_keys("aNN")
    find(page, "#enrol input[type=file]").send_keys(str(two))
    press(page, "#enrol button")
    until(page, "return document.getElementById('dialog').open")
    assert find(page, "#dialog-title").text == "Is this Ann?"
    press(page, "#dialog button[value=no]")
    until(page, "return !document.querySelector('#enrol button').disabled")
    assert [one.name for one in site.people.list()] == ["Ann", "Ben"] and name.get_attribute("value") == "aNN"


def test_a_refused_change_is_said_beside_it_until_the_next_try(page, site, two):
    enrol_both(page, two)
    page.execute_script("location.hash = arguments[0]", f"#people/{site.people.list()[0].id}")
    until(page, "return document.querySelector('#person input[name=name]')")
    rename = "const one = document.querySelector('#person input[name=name]'); one.value = arguments[0]; one.form.requestSubmit()"
    page.execute_script(rename, "Ben")
    assert "already somebody called Ben" in until(
        page, "return document.querySelector('#person [role=alert]')?.textContent"
    )
    page.execute_script(rename, "Anna")
    until(page, "return document.querySelector('#person h2').textContent === 'Anna'")
    assert page.find_elements("css selector", "#person [role=alert]") == []


def test_of_many_people_a_page_is_shown_and_the_others_are_searched_for(page, site):
    site.people.names = {number: f"Person {number:04d}" for number in range(2000)}
    press(page, '.tabs a[href="#people"]')
    until(page, "return document.querySelectorAll('#people > li').length === 100")
    press(page, "#more")
    until(page, "return document.querySelectorAll('#people > li').length === 200")
    assert find(page, "#more-text").text.startswith("200 of 2000.")
    find(page, "#search").send_keys("son 1999")
    assert until(
        page,
        "return [...document.querySelectorAll('#people strong')].map((one) => one.textContent).join() === 'Person 1999'",
    )
    assert not find(page, "#more-row").is_displayed()


def test_who_was_learnt_under_another_name_is_renamed_at_once(page, site, two):
    site.people.trained = True
    enrol_both(page, two)
    press(page, '.tabs a[href="#people"]')
    assert "Ben looks like ben_2" in until(
        page, "return document.querySelector('#two-names .note')?.textContent"
    )
    press(page, "#two-names button")
    until(page, "return !document.querySelector('#two-names .note')")
    assert [one.name for one in site.people.list()] == ["Ann", "ben_2"]


def test_all_questions_are_closed_at_once(page, site, tmp_path):
    find(page, "#ask").click()
    upload(page, save_photo(tmp_path / "door.png", pattern(5), pattern(6)))
    until(page, "return document.getElementById('question-count').textContent === '2'")
    press(page, '.tabs a[href="#questions"]')
    until(page, "return !document.getElementById('close-all').hidden")
    press(page, "#close-all")
    until(page, "return document.getElementById('dialog').open")
    press(page, "#dialog-yes")
    until(page, "return !document.getElementById('no-questions').hidden")
    assert site.ask("GET", "/api/questions").json == []


def test_a_photo_under_the_wrong_name_is_doubted_and_taken_back(page, site, two, tmp_path):
    enrol_both(page, two)
    press(page, '.tabs a[href="#people"]')
    find(page, "#enrol input[name=name]").send_keys("Ann")
    find(page, "#enrol input[type=file]").send_keys(str(save_photo(tmp_path / "ben.png", pattern(2, 1))))
    press(page, "#enrol button.main")
    note = until(page, "return document.querySelector('#enrol-outcome .note')?.textContent")
    assert "But it looks like Ben, who is enrolled too" in note and len(site.people.photos) == 3
    press(page, "#enrol-outcome .note button")
    until(
        page,
        "return document.querySelector('#enrol-outcome .note').textContent.startsWith('The photo is removed')",
    )
    assert len(site.people.photos) == 2


def test_what_cannot_be_read_such_as_a_folder_that_is_dropped_is_said(page):
    page.execute_script("""
    const folder = new File([], "holiday");
    folder.slice = () => ({ arrayBuffer: async () => { throw new Error(); } });
    import("/static/recognise.js").then((one) => one.take([folder]));
    """)
    note = until(page, "return document.querySelector('#results .note.bad')?.textContent")
    assert note == "holiday cannot be read. Is it a folder, or gone?"
