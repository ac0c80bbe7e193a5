"""The page in a real browser: skipped, visibly, where there is no Chromium with its driver."""

from __future__ import annotations

import pytest

from tests.people.photos import save_photo
from tests.report.test_in_browser import CONTRAST
from tests.report.test_in_browser import pytestmark as pytestmark
from tests.web.browsing import enrol_both, find, opened, press, texts, until, upload
from tests.web.conftest import TOKEN
from tests.web.fake import pattern


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
    until(page, "return [...document.querySelectorAll('#results canvas')].every((one) => one.width > 30)")
    until(
        page,
        "const shown = [...document.images];"
        "return shown.length > 0 && shown.every((one) => one.complete && one.naturalWidth > 0)",
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
    until(
        page,
        "const shown = [...document.querySelectorAll('#questions img')];"
        "return shown.length > 0 && shown.every((one) => one.naturalWidth > 90)",
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
    page.execute_script(
        "const one = document.getElementById('dialog');"
        "window.answered = new Promise((done) => one.addEventListener('close', () => done(true), { once: true }))"
    )
    press(page, "#dialog button[value=no]")
    assert page.execute_script("return window.answered"), "the page hears of it a moment later"
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
