"""`pdsn enrol`, `pdsn people …`, `identify --people` and `verify --people` as they are typed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from pdsn import api
from pdsn.calibration.mistaken import Mistaken
from pdsn.data.dataset import FaceDataset
from pdsn.errors import UsageError
from pdsn.store.doubts import doubts_of
from pdsn.store.names import how_to_merge
from pdsn.store.store import Store
from tests.people.photos import PlainDetector, save_photo
from tests.stages.conftest import Said, give, stop_at

COMMON = ("--device", "cpu", "--precision", "fp32", "--occlusion-source", "none")


@pytest.fixture(scope="module")
def run(people: Path) -> Path:
    """The run that the tests of this module share."""
    return people


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "Detector", PlainDetector)


def faces_of(drawn: FaceDataset, person: int) -> np.ndarray:
    rows = drawn.rows("train")
    return np.asarray(drawn.faces[rows[drawn.labels[rows] == person]])


@pytest.fixture(scope="module")
def photos(drawn: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos each of three of the run's people under other names, beside what is no use."""
    folder = tmp_path_factory.mktemp("photos") / "team-photos"
    for person, name in enumerate(("Ann", "Bob", "Cid")):
        for number, face in enumerate(faces_of(drawn, person)[:2]):
            save_photo(folder / name / f"{number}.png", face)
    save_photo(folder / "Dan/blurred.png", np.full((64, 48, 3), 120, np.uint8))
    save_photo(folder / "Ann/two.png", *faces_of(drawn, 0)[2:4])
    (folder / "Ann/notes.txt").write_text("no photo")
    return folder


@pytest.fixture(scope="module")
def made(run: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    """A store, and what `enrol` said of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "Detector", PlainDetector)
        folder = tmp_path_factory.mktemp("store") / "team"
        said = give("enrol", photos, "--people", folder, "--run", run, *COMMON)
    return folder, said


@pytest.fixture
def team(made: tuple[Path, Said], tmp_path: Path) -> Path:
    """A copy of the store, to change at will."""
    return Path(shutil.copytree(made[0], tmp_path / "team"))


def test_each_photo_is_said_what_became_of_it(made):
    folder, said = made
    assert said.code == 0, said.err
    assert (
        "6 photos enrolled, " in said.out
        and "3 refused, 0 known already; 3 people with 6 photos in" in said.out
    )
    assert "Ann/two.png is left out: shows 2 faces of much the same size" in said.err
    assert "Dan/blurred.png is left out: its face is blurred" in said.err
    assert "Ann/notes.txt is left out: not a photo" in said.err
    assert "Dan cannot be named: no usable photo" in said.err
    assert not (folder / "crops").exists() and not list(folder.rglob("*.png"))


def test_what_is_there_is_known_by_content_and_what_is_new_is_added(run, photos, team, drawn, tmp_path):
    more = Path(shutil.copytree(photos, tmp_path / "more"))
    (more / "Ann/0.png").rename(more / "Ann/renamed.png")
    save_photo(more / "Eve/0.png", faces_of(drawn, 4)[0])
    said = give("enrol", more, "--people", team, "--run", run, *COMMON, "--json", "--keep-crops")
    answer = json.loads(said.out)
    assert [photo["name"] for photo in answer["added"]] == ["Eve"] and answer["people"]["people"] == 4
    assert {"photo": "Ann/renamed.png", "whose": "enrolled already as Ann (Ann/0.png)"} in answer["known"]
    assert answer["elsewhere"] == answer["renamed"] == []
    assert Path(answer["added"][0]["crop"]).is_file() and len(list((team / "crops").iterdir())) == 1
    assert give("people", "check", "--people", team).code == 0


def test_a_photo_that_is_enrolled_as_somebody_else_is_said(run, photos, team, drawn, tmp_path):
    others = tmp_path / "others"
    for number, face in enumerate(faces_of(drawn, 5)[:4]):
        save_photo(others / "Fay" / f"{number}.png", face)
        save_photo(others / "Twice" / f"{number}.png", face)
    shutil.copy(photos / "Ann/0.png", others / "Fay/ann.png")
    at = ("--people", team, "--run", run, *COMMON)
    said = give("enrol", others, *at)
    assert (
        said.code == 0
        and "4 photos enrolled" in said.out
        and "5 known already, 5 as somebody else" in said.out
    )
    assert "pdsn enrol: Fay/ann.png is enrolled already as Ann (Ann/0.png)" in said.err
    assert "and 2 more are enrolled already as somebody else: Twice/2.png, Twice/3.png" in said.err
    assert "pdsn enrol: Twice/0.png is enrolled already as Fay (Fay/0.png)" in said.err
    assert "no usable photo" not in said.err
    assert "Twice cannot be named: all usable photos are enrolled already as Fay" in said.err
    answer = json.loads(give("enrol", others, *at, "--json").out)
    assert {"photo": "Twice/1.png", "given": "Twice", "name": "Fay"} in answer["elsewhere"]
    assert answer["left_out"] == ["Twice"] and len(answer["known"]) == 9
    one = give("enrol", others / "Fay/1.png", "--name", "Gus", *at)
    assert one.code == 0 and "Fay/1.png is enrolled already as Fay (Fay/1.png)" in one.err


def test_the_folder_of_a_former_name_is_still_that_person_s(run, photos, team, drawn, tmp_path):
    more = Path(shutil.copytree(photos, tmp_path / "more"))
    save_photo(more / "Ann/new.png", faces_of(drawn, 0)[3])
    assert give("people", "rename", "Ann", "Anna", "--people", team).code == 0
    assert give("people", "merge", "Bob", "Cid", "--people", team).code == 0
    said = give("enrol", more, "--people", team, "--run", run, *COMMON)
    assert "1 photos enrolled" in said.out and "6 known already; 2 people with 7 photos" in said.out
    assert "photos given as Ann are enrolled as Anna, who was called so before" in said.err
    for wrong in ("as somebody else", "Ann cannot be named", "Bob cannot be named", "given as Bob"):
        assert wrong not in said.err
    save_photo(more / "Bob/new.png", faces_of(drawn, 1)[3])
    said = give("enrol", more, "--people", team, "--run", run, *COMMON, "--json")
    answer = json.loads(said.out)
    assert answer["renamed"] == [{"given": "Bob", "name": "Cid"}] and answer["added"][0]["name"] == "Cid"
    # A name in another spelling is no other name.
    for name, other in (("Ann", "ANN"), ("Cid", "cid")):
        shutil.copytree(photos / name, tmp_path / "spelled" / other)
    save_photo(tmp_path / "spelled/ANN/newer.png", faces_of(drawn, 0)[4])
    spelled = json.loads(
        give("enrol", tmp_path / "spelled", "--people", team, "--run", run, *COMMON, "--json").out
    )
    assert spelled["renamed"] == [{"given": "ANN", "name": "Anna"}] and spelled["people"]["people"] == 2
    assert spelled["elsewhere"] == spelled["left_out"] == [] and len(spelled["known"]) == 4
    # Who does not mean that follows the advice.
    (line,) = (line for line in said.err.splitlines() if "photos given as Bob" in line)
    commands = re.findall(r"`pdsn (people [^`]*)`", line)
    assert [command.split()[1] for command in commands] == ["forget", "remove"]
    assert [give(*shlex.split(command)).code for command in commands] == [0, 0]
    assert answer["added"][0]["id"] not in [photo.id for photo in Store.open(team).show("Cid").photos]
    assert give("enrol", more, "--people", team, "--run", run, *COMMON).code == 0
    assert Store.open(team).show("Bob").person.photos == 1
    said = give("people", "remove", "Ann", "--people", team)
    assert (
        said.code == 2 and "it is a former name of Anna, which `pdsn people forget Ann --people " in said.err
    )
    said = give("people", "forget", "ann", "--people", team)
    assert said.out == "Ann is forgotten: it was a former name of Anna\n"
    said = give("people", "forget", "Ann", "--people", team)
    assert said.code == 2 and "has no former name Ann: `pdsn people show NAME --people " in said.err


def test_photos_that_look_like_somebody_else_are_told(run, team, drawn, tmp_path, monkeypatch):
    def doubts(self, photos, fpr):
        """To the tiny network all drawn people look alike: `tests/store/test_doubts.py` has what is doubted."""
        lines = doubts_of("Amanda", "Bob", None, 0.5, how_to_merge(self.store.root, "Amanda", "Bob"))
        return {photo.id: lines for photo in photos if photo.name == "Amanda" and fpr < 0.1}

    monkeypatch.setattr("pdsn.store.answers.StoreIdentifier.doubts", doubts)
    at = ("--people", team, "--run", run, *COMMON)
    for number, face in enumerate(faces_of(drawn, 1)[2:5]):
        save_photo(tmp_path / "in/Amanda" / f"{number}.png", face)
    save_photo(tmp_path / "in/Cid/9.png", faces_of(drawn, 2)[3])
    monkeypatch.setattr("stages.enrol.NAMED", 2)
    said = give("enrol", tmp_path / "in", *at)
    lines = [line for line in said.err.splitlines() if "doubt" in line or "looks like Bob," in line]
    advice = f"use `pdsn people merge Amanda Bob --people {team}`"
    looks = f"it looks like Bob, who is enrolled too: if both are one person, {advice}"
    assert lines == [
        f"pdsn enrol: Amanda/0.png: {looks}",
        f"pdsn enrol: Amanda/1.png: {looks}",
        "pdsn enrol: and 1 more photos that raise such a doubt: --json has all",
    ]
    assert give(*shlex.split(advice.split("`")[1])[1:]).code == 0
    assert Store.open(team).show("Bob").former == ["Amanda"]
    photo = save_photo(tmp_path / "more.png", faces_of(drawn, 1)[6])
    assert json.loads(give("enrol", photo, "--name", "Cid", *at, "--json").out)["doubts"] == []
    assert give("people", "rename", "Bob", "Rob", "--people", team).code == 0
    assert give("people", "rename", "Cid", "Amanda", "--people", team).code == 0
    photo = save_photo(tmp_path / "again.png", faces_of(drawn, 1)[7])
    answer = json.loads(give("enrol", photo, "--name", "Amanda", *at, "--json").out)
    assert answer["doubts"] == [{"id": answer["added"][0]["id"], "photo": str(photo), "doubts": [looks]}]


def test_a_call_that_was_stopped_before_it_doubted_goes_on_with_that(run, team, drawn, tmp_path, monkeypatch):
    def stopped(self, photos, fpr):
        raise KeyboardInterrupt

    def doubts(self, photos, fpr):
        return {photo.id: ["a doubt"] for photo in photos if photo.name == "Eve"}

    for number, face in enumerate(faces_of(drawn, 4)[:3]):
        save_photo(tmp_path / "in/Eve" / f"{number}.png", face)
    words = ("enrol", tmp_path / "in", "--people", team, "--run", run, *COMMON)
    with monkeypatch.context() as patch:
        patch.setattr("pdsn.store.answers.StoreIdentifier.doubts", stopped)
        assert give(*words).code == 130
    monkeypatch.setattr("pdsn.store.answers.StoreIdentifier.doubts", doubts)
    said = give(*words)
    assert "0 photos enrolled" in said.out and "3 known already" in said.out
    assert said.err.count(": a doubt") == 3 and "Eve/2.png: a doubt" in said.err
    # Of too many none of those that were there before; of very many some, which is said.
    monkeypatch.setattr("stages.enrol.FEW_PHOTOS", 3)
    save_photo(tmp_path / "in/Eve/3.png", faces_of(drawn, 4)[3])
    answer = json.loads(give(*words, "--json").out)
    assert [one["photo"] for one in answer["doubts"]] == ["Eve/3.png"]
    assert answer["asked"] == {"photos": 1, "of": 1}
    monkeypatch.setattr("stages.enrol.FEW_PHOTOS", 1000)
    monkeypatch.setattr("pdsn.store.doubts.MOST_PAIRS", 20)
    said = give(*words, "--json")
    assert json.loads(said.out)["asked"] == {"photos": 2, "of": 4}
    assert "whether they look like somebody else was asked of 2 of 4 photos, spread evenly" in said.err


def test_names_that_differ_in_spelling_alone_are_told_and_the_advice_works(run, team, drawn, tmp_path):
    at = ("--people", team, "--run", run, *COMMON)
    for name, person in (("ann", 0), ("BOB", 1), ("Eve_Adams", 3), ("eve adams", 3)):
        save_photo(tmp_path / "in" / name / "0.png", faces_of(drawn, person)[6 + name.islower()])
    said = give("enrol", tmp_path / "in", *at)
    lines = [line for line in said.err.splitlines() if "are enrolled as two people" in line]
    assert [line.partition(" are ")[0].removeprefix("pdsn enrol: ") for line in lines] == [
        "BOB and Bob", "Eve_Adams and eve adams", "ann and Ann",
    ]  # fmt: skip
    for line in lines:
        (advice,) = re.findall(r"`pdsn (people merge .*)`", line)
        assert give(*shlex.split(advice)).code == 0
    assert [person.name for person in Store.open(team).people()] == ["Ann", "Bob", "Cid", "eve adams"]
    assert json.loads(give("enrol", tmp_path / "in", *at, "--json").out)["spelled_alike"] == []
    # Of a former name as well.
    save_photo(tmp_path / "more/CID/0.png", faces_of(drawn, 2)[6])
    assert give("enrol", tmp_path / "more", *at).code == 0
    assert give("people", "rename", "Cid", "Sid", "--people", team).code == 0
    save_photo(tmp_path / "more/CID/1.png", faces_of(drawn, 2)[7])
    answer = json.loads(give("enrol", tmp_path / "more", *at, "--json").out)
    assert answer["spelled_alike"] == [{"name": "CID", "other": "Sid"}] and answer["renamed"] == []


def test_photos_of_one_person_are_enrolled_by_name(run, team, drawn, tmp_path):
    photo = save_photo(tmp_path / "in" / "new.png", *faces_of(drawn, 3)[:2])
    said = give("enrol", photo, "--name", "Dan", "--people", team, "--run", run, *COMMON)
    assert said.code == 1 and "new.png is left out: shows 2 faces of much the same size" in said.err
    said = give("enrol", photo, "--name", "Dan", "--accept-poor", "--people", team, "--run", run, *COMMON)
    assert said.code == 0 and "1 photos enrolled, 1 of them with a warning" in said.out
    assert "shows 2 faces: the largest is enrolled" in said.err
    save_photo(tmp_path / "in" / "alone.png", faces_of(drawn, 3)[2])
    said = give("enrol", tmp_path / "in", "--name", "Dan", "--people", team, "--run", run, *COMMON)
    assert said.code == 0 and "1 photos enrolled" in said.out
    assert len(Store.open(team).show("Dan").photos) == 2


def test_a_stopped_call_goes_on_where_it_was(run, photos, tmp_path, monkeypatch):
    folder = tmp_path / "team"
    monkeypatch.setattr("pdsn.store.enrolling.CHUNK", 2)
    words = ("enrol", photos, "--people", folder, "--run", run, *COMMON)
    with monkeypatch.context() as patch:
        stop_at(patch, "pdsn.store.store.insert", 4)
        said = give(*words)
    assert said.code == 130 and "enrol: stopped; the same command goes on from here" in said.err
    there = Store.open(folder).counts()[1]
    assert 0 < there < 6
    said = give(*words)
    assert (
        f"{6 - there} photos enrolled" in said.out
        and f"{there} known already; 3 people with 6 photos" in said.out
    )
    assert give("people", "check", "--people", folder).out.startswith("clean: 3 people with 6 photos")


def test_people_of_a_store_are_named_on_photos(run, team, drawn, tmp_path):
    photo = save_photo(tmp_path / "in" / "two.png", faces_of(drawn, 0)[1], faces_of(drawn, 2)[0])
    said = give("identify", photo, "--people", team, "--run", run, *COMMON, "--fpr", "0.2", "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert answer["gallery"] == {"source": str(team), "people": 3, "photos": 6}
    (found,) = answer["photos"]
    assert [face["nearest"][0]["person"] for face in found["faces"]] == ["Ann", "Cid"]
    assert all(face["nearest"][0]["cosine"] > 0.99 and len(face["nearest"]) == 3 for face in found["faces"])
    assert found["faces"][0]["nearest"][0]["photo"] == "Ann/1.png"
    assert Path(found["picture"]).is_file()
    # As the same photos in a folder are named.
    shown = give("identify", photo, "--people", team, "--run", run, *COMMON, "--fpr", "0.2", "--no-draw")
    assert "two.png: 2 faces" in shown.out and "Ann 1.00" in shown.out


def test_people_under_two_names_are_told_at_each_identify_of_a_small_store(
    run, team, drawn, tmp_path, monkeypatch
):
    photo = save_photo(tmp_path / "in" / "one.png", faces_of(drawn, 0)[1])
    words = ("identify", photo, "--people", team, "--run", run, *COMMON, "--no-draw")
    found = [(f"run {n}", f"Ann {n}") for n in range(15)]
    monkeypatch.setattr("pdsn.store.answers.StoreIdentifier.two_names", lambda self: found)
    many = Mistaken(photos=6, passing=5, people=4, fpr=0.1)
    monkeypatch.setattr("pdsn.store.answers.StoreIdentifier.mistaken", lambda self, fpr: many)
    said = give(*words)
    assert said.code == 0, said.err
    (line,) = (line for line in said.err.splitlines() if line.startswith("pdsn identify: Ann 1 "))
    assert (
        "looks like run 1 of the run's validation photos under another name, and raises the thresholds"
        in line
    )
    assert line.endswith(f"use `pdsn people rename 'Ann 1' 'run 1' --people {team}` if they are one person")
    named = ", ".join(f"Ann {n} (run {n})" for n in range(3, 13))
    assert (
        f"and 12 more that look like people of the run's validation photos: {named} and 2 more\n" in said.err
    )
    assert "5 of 6 enrolled photos pass for somebody else" in said.err
    monkeypatch.setattr("stages.identify.SMALL", 5)
    assert "look" not in give(*words).err


def test_a_store_names_as_the_folder_it_was_enrolled_from(run, team, photos, drawn, tmp_path):
    photo = save_photo(tmp_path / "in" / "two.png", faces_of(drawn, 1)[3], faces_of(drawn, 5)[0])
    words = ("--run", run, *COMMON, "--fpr", "0.2", "--json", "--no-draw")
    good = Path(shutil.copytree(photos, tmp_path / "good"))
    shutil.rmtree(good / "Dan")
    one, other = (
        json.loads(give("identify", photo, *source, *words).out)["photos"][0]["faces"]
        for source in (("--people", team), ("--gallery", good))
    )
    for ours, theirs in zip(one, other, strict=True):
        assert ours["person"] == theirs["person"]
        for key in ("cosine", "threshold"):
            assert ours[key] == pytest.approx(theirs[key], abs=3e-3)
        assert [match["photo"] for match in ours["nearest"]] == [
            match["photo"] for match in theirs["nearest"]
        ]


def test_a_photo_is_compared_with_the_person_it_is_said_to_show(run, team, drawn, tmp_path):
    photo = save_photo(tmp_path / "in" / "ann.png", faces_of(drawn, 0)[0])
    words = ("--people", team, "--run", run, *COMMON, "--fpr", "0.1")
    said = give("verify", photo, "--name", "Ann", *words)
    assert said.code == 0 and said.out.startswith("Ann: cosine ") and "to Ann/0.png" in said.out, said.err
    answer = json.loads(give("verify", photo, "--name", "Cid", *words, "--json").out)
    assert answer["person"] == "Cid" and answer["same"] is (answer["cosine"] > answer["threshold"])
    assert answer["nearest"].startswith("Cid/") and Path(answer["picture"]).is_file()


def test_verify_chooses_a_rate_that_the_strangers_to_that_person_can_tell(run, drawn, tmp_path):
    name = drawn.people[0]
    photo = save_photo(tmp_path / "in" / name / "0.png", faces_of(drawn, 0)[0])
    save_photo(tmp_path / "in" / "Bob" / "0.png", faces_of(drawn, 1)[0])
    at = ("--people", tmp_path / "team", "--run", run, *COMMON)
    assert give("enrol", tmp_path / "in", *at).code == 0
    said = give("verify", photo, "--name", name, *at)
    assert said.code == 0 and said.out.startswith(f"{name}: cosine 1.0"), said.err
    assert "pdsn verify: --fpr is 0.09091: there are too few photos of strangers" in said.err
    # Of the twelve validation photos that person's own two do not count; to Bob, who is none of the run's, all do.
    assert json.loads(give("verify", photo, "--name", "Bob", *at, "--json").out)["fpr"] == 0.076924
    store = api.load_run(run, device="cpu", occlusion_source="none").people(tmp_path / "team")
    assert store.verify(photo, name).same and store.default_fpr_of(name) == 0.09091
    with pytest.raises(UsageError, match="is too small to be told by 10 photos of strangers"):
        store.verify(photo, name, fpr=0.08)


@pytest.mark.parametrize(
    "words", [("x.png",), ("x.png", "y.png", "--name", "Ann"), ("x.png", "--people", "team"), ("x.png", "y.png", "--people", "team", "--name", "Ann")]
)  # fmt: skip
def test_verify_wants_two_photos_or_one_and_a_person(run, refused, words):
    assert "give two photos, or one with --people DIR and --name NAME" in refused(
        2, "verify", *words, "--run", run
    )


def test_people_are_listed_shown_renamed_merged_and_removed(team):
    at = ("--people", team)
    assert "3 people with 6 photos in" in give("people", "list", *at).out
    assert [one["name"] for one in json.loads(give("people", "list", *at, "--json").out)["people"]] == [
        "Ann",
        "Bob",
        "Cid",
    ]
    assert "Ann/0.png" in give("people", "show", "Ann", *at).out
    assert json.loads(give("people", "show", "Ann", *at, "--json").out)["photos"][1]["source"] == "Ann/1.png"
    assert give("people", "rename", "Ann", "Anna", *at).out == "Ann is Anna now\n"
    assert give("people", "merge", "Bob", "Anna", *at).out == "Bob is Anna now, with 4 photos\n"
    assert "Anna (before: Ann, Bob)" in give("people", "show", "Anna", *at).out
    number = json.loads(give("people", "show", "Anna", *at, "--json").out)["photos"][0]["id"]
    assert give("people", "remove", "--photo", number, *at).out == f"photo {number} is removed\n"
    assert give("people", "remove", "Anna", *at).out == "Anna is removed, with 3 photos\n"
    assert give("people", "check", *at).out == f"clean: 1 people with 2 photos in {team}\n"
    assert json.loads(give("people", "check", *at, "--json").out)["clean"] is True
    (team / "Ann.jpg").write_bytes(b"1")
    said = give("people", "check", *at)
    assert said.code == 1 and "Ann.jpg belongs to no photo: delete it\n1 things are wrong" in said.out


@pytest.mark.parametrize(
    ("code", "words", "line"),
    [
        (2, ("people", "show", "Dan", "--people", "TEAM"), "people show: --people TEAM has nobody called Dan"),
        (2, ("people", "rename", "Ann", "Bob", "--people", "TEAM"), "has Bob already: if both are one person, use"),
        (2, ("people", "remove", "--people", "TEAM"), "say who is to be removed: NAME, or --photo ID"),
        (2, ("people", "remove", "--photo", str(2**63), "--people", "TEAM"), "people remove: Invalid value for '--photo'"),
        (1, ("people", "list", "--people", "TEAM-2"), "people list: --people TEAM-2: there is no people store"),
        (2, ("people", "list"), "people list: Missing option '--people'"),
        (2, ("enrol", "PHOTOS", "--people", "PHOTOS/store"), "lies among the photos"),
        (2, ("enrol", "PHOTOS", "--people", "RUN"), "--people RUN holds something else"),
        (2, ("enrol", "PHOTOS/Ann/0.png", "--people", "TEAM"), "is a file: say whom it shows by --name"),
        (1, ("enrol", "TEAM-3", "--people", "TEAM"), "no such folder"),
        (1, ("identify", "PHOTOS/Ann/0.png", "--people", "PHOTOS", "--run", "RUN"), "there is no people store"),
        (2, ("identify", "PHOTOS/Ann/0.png", "--people", "TEAM", "--gallery", "PHOTOS"), "--gallery and --people exclude each other"),
        (2, ("verify", "PHOTOS/Ann/0.png", "--people", "TEAM", "--name", "Ane", "--run", "RUN"), "nobody called Ane, but Ann"),
        (2, ("enrol", "PHOTOS", "--people", "NEW", "--strategy", "LM2+matched", "--run", "RUN"), "compares the photos themselves"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(refused, run, team, photos, tmp_path, code, words, line):
    places = {"TEAM": team, "PHOTOS": photos, "RUN": run, "NEW": tmp_path / "new"}

    def put(text: str) -> str:
        return re.sub("TEAM|PHOTOS|RUN|NEW", lambda found: str(places[found[0]]), text)

    assert put(line) in refused(code, *(put(word) for word in words))


def test_another_strategy_s_store_is_refused_and_the_advice_works(refused, run, team, photos):
    line = refused(
        1, "identify", photos / "Ann/0.png", "--people", team, "--strategy", "LM2", "--run", run, *COMMON
    )
    assert "was enrolled with another strategy" in line and "give --strategy matched, or enrol" in line
    (advice,) = re.findall(r"`pdsn (enrol PHOTOS .*)`", line)
    words = shlex.split(advice.replace("PHOTOS", str(photos)))
    assert give(*words, *COMMON).code == 0
    said = give(
        "identify",
        photos / "Ann/0.png",
        "--people",
        f"{team}-2",
        "--strategy",
        "LM2",
        "--run",
        run,
        *COMMON,
        "--fpr",
        "0.2",
    )
    assert said.code == 0, said.err


def test_an_empty_store_says_who_fills_it(refused, run, team, photos):
    for name in ("Ann", "Bob", "Cid"):
        assert give("people", "remove", name, "--people", team).code == 0
    line = refused(1, "identify", photos / "Ann/0.png", "--people", team, "--run", run, *COMMON)
    assert (
        f"--people {team} is empty: enrol people with `pdsn enrol PHOTOS --people {team} --run RUN --strategy matched`"
        in line
    )


def test_embeddings_are_kept_in_int8_where_it_is_asked_for(made, run, photos, tmp_path, refused):
    folder, said = made
    small = tmp_path / "small"
    words = ("enrol", photos, "--people", small, "--run", run, *COMMON)
    mine = give(*words, "--vectors", "int8")
    assert mine.code == 0 and mine.out.replace(str(small), "TEAM") == said.out.replace(str(folder), "TEAM")
    sizes = [sum(path.stat().st_size for path in at.rglob("vectors/0/*")) for at in (small, folder)]
    assert sizes[0] < 0.6 * sizes[1]
    # It stays so without a word, and is not mixed.
    assert "6 known already" in give(*words).out
    assert "keeps embeddings as int8, and a store has them all alike: leave --vectors float16 out" in refused(
        2, *words, "--vectors", "float16"
    )
    assert "--vectors int4: give float16 or int8" in refused(2, *words, "--vectors", "int4")
    answers = []
    for people in (folder, small):
        asked = give(
            "identify", photos / "Ann/0.png", "--people", people, "--run", run, "--json", "--no-draw", *COMMON
        )
        (face,) = json.loads(asked.out)["photos"][0]["faces"]
        answers.append({one["person"]: one["cosine"] for one in face["nearest"]})
    assert answers[1] == pytest.approx(answers[0], abs=0.01)
    assert give("people", "check", "--people", small).out.startswith("clean: 3 people with 6 photos")


def test_a_table_answers_as_a_folder_does(made, run, photos, tmp_path):
    pytest.importorskip("lancedb", reason='needs LanceDB: pip install "pdsn[scale]"')
    folder, said = made
    table = f"lance://{tmp_path}/team"
    mine = give("enrol", photos, "--people", table, "--run", run, *COMMON)
    assert mine.code == 0 and mine.out.replace(table, "TEAM") == said.out.replace(str(folder), "TEAM")
    again = give("enrol", photos, "--people", table, "--run", run, *COMMON)
    assert "0 photos enrolled" in again.out and "6 known already" in again.out
    shown = photos / "Ann/0.png"
    answers = []
    for people in (folder, table):
        asked = give("identify", shown, "--people", people, "--run", run, "--json", "--no-draw", *COMMON)
        assert asked.code == 0, asked.err
        (face,) = json.loads(asked.out)["photos"][0]["faces"]
        answers.append({**face, "nearest": [(one["person"], one["cosine"]) for one in face["nearest"]]})
    assert answers[0] == answers[1] and answers[0]["nearest"][0][0] == "Ann"
    claim = give("verify", shown, "--people", table, "--name", "Ann", "--run", run, "--no-draw", *COMMON)
    assert claim.code == 0 and claim.out.startswith("Ann: cosine 1.0")
    assert give("people", "remove", "Bob", "--people", table).code == 0
    assert "clean: 2 people with 4 photos" in give("people", "check", "--people", table).out


def test_what_a_table_is_not_for_is_refused(run, photos, team, tmp_path, refused):
    pytest.importorskip("lancedb", reason='needs LanceDB: pip install "pdsn[scale]"')
    table = f"lance://{tmp_path}/table"
    enrolled = ("enrol", photos, "--people", table, "--run", run, *COMMON)
    assert "keeps no pictures: leave --keep-crops out" in refused(2, *enrolled, "--keep-crops")
    assert give(*enrolled).code == 0
    asked = ("identify", photos / "Ann/0.png", "--run", run, "--no-draw", *COMMON)
    assert "no index: leave --index out" in refused(2, *asked, "--people", table, "--index")
    assert "--index is for tables" in refused(2, *asked, "--people", team, "--index")
    assert "give --people lance://… too" in refused(2, *asked, "--index")
    assert "has 6 photos, and an index pays from 5000 on" in refused(2, "people", "index", "--people", table)
    assert "has no index, and needs none" in refused(2, "people", "index", "--people", team)
    assert "is for one in a folder" in refused(2, "serve", "--people", table, "--run", run)
    assert "say which folder" in refused(2, *asked, "--people", "lance://")
    assert "lies among the photos" in refused(
        2, "enrol", photos, "--people", f"lance://{photos}/x", "--run", run
    )


def test_workers_are_refused_where_they_cannot_help(run, photos, tmp_path, refused):
    pytest.importorskip("ray", reason='needs Ray: pip install "pdsn[scale]"')
    asked = ("enrol", photos, "--people", tmp_path / "team", "--run", run, *COMMON)
    assert "--workers 0 is out of range" in refused(2, *asked, "--workers", 0)
    assert "--keep-crops is for one process" in refused(2, *asked, "--workers", 2, "--keep-crops")
    assert "--name is for one process" in refused(2, *asked, "--workers", 2, "--name", "Ann")
    assert "no cluster of Ray answers" in refused(1, *asked, "--ray", "127.0.0.1:1")
