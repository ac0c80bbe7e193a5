"""What somebody who never saw the page stumbled on, in a real browser."""

from __future__ import annotations

from tests.people.photos import save_photo
from tests.report.test_in_browser import pytestmark as pytestmark
from tests.web.browsing import enrol_both, find, press, texts, typed, until, upload
from tests.web.fake import pattern


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
    until(page, "return document.querySelector('#people .small').textContent === '1 photo'")
    assert "2 people with 2 photos" in find(page, "#foot").text


def test_a_photo_that_is_taken_back_is_gone_from_the_page_of_its_person(page, two, tmp_path):
    enrol_both(page, two)
    press(page, '.tabs a[href="#people"]')
    press(page, "#people button")
    until(page, "return document.querySelector('#person input[type=file]')")
    find(page, "#person input[type=file]").send_keys(str(save_photo(tmp_path / "ben.png", pattern(2, 1))))
    press(page, "#person form.stack button")
    until(page, "return document.querySelectorAll('#person .album li').length === 2")
    press(page, "#person [role=status] .note button")
    until(page, "return document.querySelectorAll('#person .album li').length === 1")
    note = find(page, "#person [role=status] .note").text
    assert note == "The photo is removed, and not enrolled as Ann."


def test_a_doubt_about_an_answer_stays_until_it_is_acted_on(page, site, two, tmp_path):
    enrol_both(page, two)
    find(page, "#ask").click()
    upload(page, save_photo(tmp_path / "door.png", pattern(5), pattern(6)))
    until(page, "return document.getElementById('question-count').textContent === '2'")
    press(page, '.tabs a[href="#questions"]')
    until(page, "return document.querySelectorAll('#questions > li').length === 2")
    find(page, "#questions > li:first-child input").send_keys("Ann\n")
    until(page, "return document.querySelectorAll('#questions > li').length === 1")
    assert "does not look like the other photos of Ann" in find(page, "#questions-outcome").text
    find(page, "#questions > li:first-child input").send_keys("Eva\n")
    until(page, "return !document.getElementById('no-questions').hidden")
    assert "Enrolled as Eva." in find(page, "#toast").text
    press(page, "#questions-outcome button")
    until(page, "return document.querySelector('#questions-outcome').textContent.includes('is removed')")
    assert sorted(photo.name for photo, _ in site.people.photos.values()) == ["Ann", "Ben", "Eva"]
    until(page, "return document.getElementById('foot').textContent.includes('with 3 photos')")


def test_what_cannot_be_read_such_as_a_folder_that_is_dropped_is_said(page):
    page.execute_script("""
    const folder = new File([], "holiday");
    folder.slice = () => ({ arrayBuffer: async () => { throw new Error(); } });
    import("/static/recognise.js").then((one) => one.take([folder]));
    """)
    note = until(page, "return document.querySelector('#results .note.bad')?.textContent")
    assert note == "holiday cannot be read. Is it a folder, or gone?"
