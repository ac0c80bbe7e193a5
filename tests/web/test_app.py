"""What the page can do, over HTTP."""

from __future__ import annotations

import base64
import io
import json
import time

import numpy as np
import pytest
from PIL import Image

from pdsn.errors import PdsnError
from tests.web.fake import pattern, photo_of


def enrol(site, photo, name, person, **query):
    more = "".join(f"&{key}={value}" for key, value in query.items())
    said = site.ask("POST", f"/api/photos?name={name}&file={name}.png{more}", photo(person))
    assert said.status == 200, said.body
    return said.json


def names(site, query=""):
    return [one["name"] for one in site.ask("GET", f"/api/people{query}").json["people"]]


def test_a_stranger_enrols_and_recognises(site, photo):
    said = site.ask("POST", "/api/identify", photo(1, 2)).json
    assert [face["person"] for face in said["faces"]] == [None, None]
    assert said["faces"][0]["cosine"] is None and said["fpr"] is None
    done = site.ask("POST", "/api/photos?name=Ann&face=2", photo(1, 2)).json
    assert done["outcome"] == "added" and done["person"]["name"] == "Ann"
    said = site.ask("POST", "/api/identify", photo((1, 7), (2, 7))).json
    one, two = said["faces"]
    assert one["person"] is None and two["person"] == done["person"] and said["fpr"] == 0.01
    assert two["cosine"] > two["threshold"] > one["cosine"]
    assert two["nearest"][0]["picture"] and two["picture"] is None
    left, top, right, bottom = two["box"]
    assert 0 < left < right < said["width"] and 0 < top < bottom < said["height"]
    assert site.ask("GET", "/api/status").json["people"] == 1


def test_covered_parts_are_told_and_tinted(site, photo, tmp_path):
    enrol(site, photo, "Ann", 1)
    masked = pattern(1)
    masked[36:] = 255
    sent = photo_of(tmp_path / "m.png", masked)
    (face,) = site.ask("POST", "/api/identify?pictures=true", sent).json["faces"]
    assert face["covered"] == ["mouth"] and 0.3 < face["covered_share"] < 0.5
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(face["picture"])))).astype(int)
    chin, brow = shown[-20:, 40:-40].mean((0, 1)), shown[:20].mean((0, 1))
    assert chin[1] < 200 < chin[0], "white under the tint"
    assert abs(brow - pattern(1)[:6].mean((0, 1))).max() < 25


def test_somebody_is_shown_renamed_merged_and_removed(site, photo):
    ann = enrol(site, photo, "Ann", 1)["person"]["id"]
    ben = enrol(site, photo, "Ben", 2)["person"]["id"]
    assert names(site) == ["Ann", "Ben"]
    shown = site.ask("GET", f"/api/people/{ann}").json
    (kept,) = shown["photos"]
    assert (kept["source"], kept["picture"]) == ("Ann.png", True) and "crop" not in kept
    picture = site.ask("GET", f"/api/photos/{kept['id']}/picture")
    assert picture.headers["content-type"] == "image/png" and picture.headers["cache-control"] == "no-store"
    assert Image.open(io.BytesIO(picture.body)).size == (48, 64)
    taken = site.ask("PATCH", f"/api/people/{ben}", {"name": "Ann"})
    assert taken.status == 409 and "merge" in taken.json["detail"]
    assert site.ask("PATCH", f"/api/people/{ben}", {"name": "Zoë"}).json == {"id": ben, "name": "Zoë"}
    # New photos under the old name are the same person's, and that is said.
    assert site.ask("GET", f"/api/people/{ben}").json["former"] == ["Ben"] and shown["former"] == []
    again = enrol(site, photo, "Ben", (2, 1))
    assert again["person"] == {"id": ben, "name": "Zoë"}
    assert again["warnings"] == ["it was given as Ben, and is enrolled as Zoë, who was called so before"]
    assert site.ask("POST", f"/api/people/{ben}/merge", {"into": ben}).status == 409
    assert site.ask("POST", f"/api/people/{ben}/merge", {"into": 99}).status == 404
    assert site.ask("POST", f"/api/people/{ben}/merge", {"into": 10**21}).status == 422
    assert site.ask("POST", f"/api/people/{ben}/merge", {"into": ann}).json["name"] == "Ann"
    photos = [one["id"] for one in site.ask("GET", f"/api/people/{ann}").json["photos"]]
    assert site.ask("DELETE", f"/api/photos/{photos[0]}").json == {"photos": 1, "person": False}
    assert site.ask("DELETE", f"/api/photos/{photos[0]}").status == 404
    assert site.ask("DELETE", f"/api/people/{ann}").json == {"photos": 2, "person": True}
    assert site.ask("GET", f"/api/people/{ann}").status == 404 and names(site) == []


def test_ten_thousand_people_come_a_page_at_a_time_and_the_status_names_nobody(site, monkeypatch):
    site.people.names = {number: f"Person {number:05d}" for number in range(10_000)} | {
        10_000: "ann",
        10_001: "Joann",
    }
    first = site.ask("GET", "/api/people").json
    assert first["total"] == 10_002 and len(first["people"]) == 100
    assert [one["name"] for one in first["people"]][:3] == ["ann", "Joann", "Person 00000"], "as in a book"
    assert names(site, "?start=9999") == ["Person 09997", "Person 09998", "Person 09999"]
    assert names(site, "?search=%20ANN") == ["ann", "Joann"] and names(site, "?search=JOA&count=1") == [
        "Joann"
    ]
    assert names(site, "?search=nobody") == [] and site.ask("GET", "/api/people?count=1001").status == 422
    monkeypatch.setattr(site.people, "list", lambda: 1 / 0)
    status = site.ask("GET", "/api/status")
    assert status.json["people"] == 10_002 and len(status.body) < 1000


def test_a_name_that_the_face_speaks_against_is_told(site, photo):
    assert enrol(site, photo, "Ann", 1)["doubts"] == []
    assert enrol(site, photo, "Ann", (1, 1))["doubts"] == [], "as she looks"
    (other,) = enrol(site, photo, "Ann", 2)["doubts"]
    assert other.startswith("it does not look like the other photos of Ann: ")
    (twin,) = enrol(site, photo, "Anne", (1, 2))["doubts"]
    assert twin.startswith("it looks like Ann, who is enrolled too")


def test_who_was_trained_on_under_another_name_is_told(site, photo):
    site.people.trained = True
    enrol(site, photo, "Ann", 1)
    assert site.ask("GET", "/api/status").json["two_names"] == []
    ben = enrol(site, photo, "Ben", 2)["person"]["id"]
    assert site.ask("GET", "/api/status").json["two_names"] == [{"run": "ben_2", "name": "Ben"}]
    site.ask("PATCH", f"/api/people/{ben}", {"name": "ben_2"})
    assert site.ask("GET", "/api/status").json["two_names"] == []


def test_a_photo_that_is_too_poor_is_refused_with_the_reason_and_taken_if_told(site, photo):
    poor = photo(3, poor=True)
    said = site.ask("POST", "/api/photos?name=Cleo", poor).json
    assert (said["outcome"], said["reason"]) == ("refused", "its face is blurred")
    assert site.people.photos == {}
    assert site.ask("POST", "/api/photos?name=Cleo&accept_poor=true", poor).json["outcome"] == "added"
    again = site.ask("POST", "/api/photos?name=Cleo", poor).json
    assert again["outcome"] == "known" and "Cleo" in again["reason"]


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/api/identify", b"", 422, "cannot be read: empty file"),
        ("/api/identify", b"no photo", 422, "not an image"),
        ("/api/identify?fpr=2", b"x", 422, "fpr"),
        ("/api/photos?name=%20", b"PHOTO", 422, "is no name"),
        ("/api/photos", b"PHOTO", 422, "name"),
        ("/api/photos?name=Ann&face=3", b"PHOTO", 422, "there is no face 3"),
        ("/api/identify", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", 422, "HEIC"),
    ],
)
def test_what_cannot_be_done_is_one_line(site, photo, path, body, status, word):
    said = site.ask("POST", path, photo(1) if body == b"PHOTO" else body)
    assert said.status == status and list(said.json) == ["detail"]
    assert (
        word in said.json["detail"]
        and "\n" not in said.json["detail"]
        and "--min-face" not in said.json["detail"]
    )


def test_a_form_is_told_to_be_sent_as_the_file_itself(site, photo):
    for path in ("/api/identify", "/api/photos?name=Ann"):
        body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + photo(1) + b"\r\n--x--\r\n"
        said = site.ask("POST", path, body, Content_Type="multipart/form-data; boundary=x")
        assert said.status == 415 and "--data-binary @photo.jpg" in said.json["detail"]
    assert not site.people.photos


def test_a_rate_that_is_too_fine_is_called_as_the_parameter_is(site, photo):
    enrol(site, photo, "Ann", 1)
    said = site.ask("POST", "/api/identify?fpr=0.0001", photo(1))
    assert said.status == 422 and said.json["detail"].startswith("fpr 0.0001 is")


def test_the_header_is_asked_for_with_its_reason(site, photo):
    said = site.ask("POST", "/api/identify", photo(1), X_Pdsn="")
    assert said.status == 403
    assert said.json["detail"] == (
        "Pages of other sites could send this, too: send the header X-Pdsn: 1, which they cannot, with every POST."
    )


def test_a_photo_without_a_face_says_so_without_advice_for_the_command_line(site, tmp_path):
    Image.new("RGB", (200, 200), (90, 90, 90)).save(tmp_path / "grey.png")
    said = site.ask("POST", "/api/identify?file=grey.png", (tmp_path / "grey.png").read_bytes())
    assert (
        said.status == 422
        and said.json["detail"].startswith("grey.png: ")
        and "--" not in said.json["detail"]
    )


def test_an_unclear_face_becomes_a_question_and_its_answer_enrols_it(site, photo):
    enrol(site, photo, "Ann", 1)
    said = site.ask("POST", "/api/identify?file=door.png", photo(2)).json
    assert said["faces"][0]["question"] is None and site.ask("GET", "/api/questions").json == []
    faces = site.ask("POST", "/api/identify?ask=true&file=door.png", photo((1, 5), 2, 3)).json["faces"]
    first, second = (face["question"] for face in faces[1:])
    assert faces[0]["question"] is None and first and second
    again = site.ask("POST", "/api/identify?ask=true", photo((1, 5), 2, 3)).json["faces"]
    assert [face["question"] for face in again] == [None, first, second], "the same face is asked about once"
    question = site.ask("GET", "/api/questions").json[0]
    assert (question["id"], question["source"], question["person"]) == (first, "door.png", None)
    picture = site.ask("GET", f"/api/questions/{first}/picture")
    assert Image.open(io.BytesIO(picture.body)).size[0] > 96
    assert site.ask("POST", f"/api/questions/{first}/confirm", {}).status == 422
    done = site.ask("POST", f"/api/questions/{first}/confirm", {"name": "Ben"}).json
    assert (done["outcome"], done["person"]["name"]) == ("added", "Ben")
    assert site.ask("POST", "/api/identify", photo((2, 9))).json["faces"][0]["person"]["name"] == "Ben"
    assert site.ask("POST", f"/api/questions/{first}/confirm", {"name": "Ben"}).status == 404
    assert site.ask("GET", f"/api/questions/{first}/picture").status == 404
    assert site.ask("POST", f"/api/questions/{second}/reject").status == 204
    assert site.ask("GET", "/api/questions").json == []
    after = site.ask("POST", "/api/identify?ask=true", photo((1, 5), 2, 3)).json["faces"]
    assert [face["question"] for face in after] == [None, None, None], "named, and rejected"


def test_a_face_near_to_its_threshold_is_asked_about_by_name(site, photo, monkeypatch):
    monkeypatch.setattr("tests.web.fake.THRESHOLD", 0.98)
    ann = enrol(site, photo, "Ann", 1)["person"]
    (face,) = site.ask("POST", "/api/identify?ask=true", photo((1, 3), noise=90)).json["faces"]
    assert face["near"] and face["nearest"][0]["id"] == ann["id"]
    (question,) = site.ask("GET", "/api/questions").json
    assert question["person"] == ann and question["photo"] == face["nearest"][0]["photo"]
    assert site.ask("POST", f"/api/questions/{question['id']}/confirm", {}).json["person"] == ann
    assert site.ask("GET", f"/api/people/{ann['id']}").json["photos"][1]["source"] == "photo"


def test_the_middle_face_of_a_question_is_enrolled(site, photo):
    enrol(site, photo, "Ann", 1)
    faces = site.ask("POST", "/api/identify?ask=true", photo(2, 3, 4)).json["faces"]
    site.ask("POST", f"/api/questions/{faces[1]['question']}/confirm", {"name": "Cleo"})
    named = site.ask("POST", "/api/identify", photo((2, 1), (3, 1), (4, 1))).json["faces"]
    assert [face["person"] and face["person"]["name"] for face in named] == [None, "Cleo", None]


def test_questions_go_with_the_person_they_suggest_and_follow_a_merge(site, photo, monkeypatch):
    monkeypatch.setattr("tests.web.fake.THRESHOLD", 0.98)
    ann = enrol(site, photo, "Ann", 1)["person"]["id"]
    ben = enrol(site, photo, "Ben", 2)["person"]["id"]
    site.ask("POST", "/api/identify?ask=true", photo((1, 3), noise=90))
    site.ask("POST", f"/api/people/{ann}/merge", {"into": ben})
    (question,) = site.ask("GET", "/api/questions").json
    assert question["person"] == {"id": ben, "name": "Ben"}
    site.ask("DELETE", f"/api/people/{ben}")
    assert site.ask("GET", "/api/questions").json == []


def test_questions_outlast_a_status_that_is_asked_for_during_a_merge(site, photo, monkeypatch):
    monkeypatch.setattr("tests.web.fake.THRESHOLD", 0.98)
    ann = enrol(site, photo, "Ann", 1)["person"]["id"]
    ben = enrol(site, photo, "Ben", 2)["person"]["id"]
    site.ask("POST", "/api/identify?ask=true", photo((1, 3), noise=90))
    merge = site.people.merge

    def merge_and_look(*who: int) -> None:
        merge(*who)
        site.ask("GET", "/api/status")

    monkeypatch.setattr(site.people, "merge", merge_and_look)
    site.ask("POST", f"/api/people/{ann}/merge", {"into": ben})
    (question,) = site.ask("GET", "/api/questions").json
    assert question["person"] == {"id": ben, "name": "Ben"}


@pytest.mark.parametrize("merged", [False, True])
def test_no_question_is_lost_if_a_merge_fails(site, photo, monkeypatch, merged):
    monkeypatch.setattr("tests.web.fake.THRESHOLD", 0.98)
    ann = enrol(site, photo, "Ann", 1)["person"]["id"]
    ben = enrol(site, photo, "Ben", 2)["person"]["id"]
    for number in (1, 2):
        site.ask("POST", "/api/identify?ask=true", photo((number, 3), noise=90))
    merge = site.people.merge

    def fail(*who: int) -> None:
        if merged:
            merge(*who)
        raise PdsnError("the disk is full")

    monkeypatch.setattr(site.people, "merge", fail)
    assert site.ask("POST", f"/api/people/{ann}/merge", {"into": ben}).status >= 400
    suggested = [one["person"]["name"] for one in site.ask("GET", "/api/questions").json]
    assert suggested == (["Ben", "Ben"] if merged else ["Ann", "Ben"])


def test_the_log_says_who_did_what_without_names_or_faces(site, photo):
    ann = enrol(site, photo, "Ann", 1)["person"]["id"]
    site.ask("POST", "/api/identify?ask=true&pictures=true", photo(1, 5))
    site.ask("PATCH", f"/api/people/{ann}", {"name": "Anneliese"})
    site.ask("DELETE", f"/api/people/{ann}")
    site.ask("POST", "/api/identify", b"x", Origin="http://elsewhere.example")
    lines = site.log(5)
    assert [(line["action"], line["status"]) for line in lines] == [
        ("enrol", 200), ("identify", 200), ("rename", 200), ("remove", 200), ("refused POST", 403),
    ]  # fmt: skip
    assert (lines[0]["enrolled"], lines[3]["person"]) == (ann, ann)
    assert (lines[1]["faces"], lines[1]["named"]) == (2, 1) and all(
        line["client"] == "127.0.0.1" for line in lines
    )
    text = (site.folder / "audit.jsonl").read_text()
    assert "Ann" not in text and all(len(line) < 300 for line in text.splitlines())
    assert (site.folder / "audit.jsonl").stat().st_mode & 0o077 == 0
    assert (
        site.folder.stat().st_mode & 0o077 == 0
        and (site.folder / "questions.sqlite").stat().st_mode & 0o077 == 0
    )


def test_every_route_is_described_and_the_page_for_it_needs_nothing_from_elsewhere(site):
    described = site.ask("GET", "/openapi.json").json
    assert len(described["paths"]) >= 11
    for methods in described["paths"].values():
        assert all(about["description"].endswith(".") for about in methods.values())
    assert "application/octet-stream" in json.dumps(described["paths"]["/api/identify"])
    assert site.ask("GET", "/docs").status == 404 and site.ask("GET", "/redoc").status == 404
    page = site.ask("GET", "/reference")
    assert page.status == 200 and b"reference.js" in page.body


def test_something_unexpected_is_told_on_the_terminal_alone(site, photo, monkeypatch, capfd):
    monkeypatch.setattr(site.people, "list", lambda: 1 / 0)
    said = site.ask("GET", "/api/people")
    assert said.status == 500 and said.json == {
        "detail": "Something unexpected went wrong: the server's terminal says what."
    }
    told = ""
    for _ in range(100):  # after the answer
        told += capfd.readouterr().err
        if "\n" in told:
            break
        time.sleep(0.05)
    assert told == "pdsn serve: unexpected ZeroDivisionError at /api/people: division by zero\n"
