"""A few lines of Python: load a run, enrol, identify, verify."""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pdsn import api
from pdsn.api import load_run
from pdsn.artefact import MODEL
from pdsn.bases.lmcl import base_folder, train_base
from pdsn.bases.opening import load_base
from pdsn.bases.settings import BaseConfig
from pdsn.data.dataset import FaceDataset
from pdsn.data.detector import Detection
from pdsn.data.template import template
from pdsn.drawn.dataset import draw_people, photo_of
from pdsn.errors import PdsnError, UsageError
from pdsn.masks.dictionary import MaskDictionary
from pdsn.occlusion.layouts import LandmarkStatistics, make_layout
from pdsn.people.annotate import MOST_CARDS, TALLEST, WIDEST
from pdsn.people.identification import BATCH
from pdsn.people.photo import PhotoError
from pdsn.run.directory import RunDir
from pdsn.runtime import start
from pdsn.store import kinds
from tests.conftest import make_dataset
from tests.people.films import write_film
from tests.people.photos import GREY, PlainDetector, save_photo

BASE = {"arch": "resnet18", "width": 8, "embedding": 32, "epochs": 24, "batch": 16, "dropout": 0.0}
TEN = [f"person_{number:02d}" for number in range(10)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    """Sixteen pattern people with twelve photos each."""
    return make_dataset(tmp_path_factory.mktemp("sixteen"), people=16)


@pytest.fixture(scope="module")
def trained(dataset: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the sixteen, with a dictionary that keeps half of the features at random."""
    run = RunDir(tmp_path_factory.mktemp("api") / "run")
    run.remember({}, data=str(dataset.root), preset="demo", settings={"base": BASE})
    folder = base_folder(run.base, BaseConfig(**BASE), dataset, 0)
    folder.open()
    train_base(dataset, BaseConfig(**BASE), folder, start("cpu", "fp32"), 0)
    landmarks = dataset.landmarks[dataset.rows("train")]
    strategy = make_layout("LM2", LandmarkStatistics.of(landmarks, dataset.size), 0.57)
    shape = (len(strategy.regions), *load_base(folder).net.map_shape)
    kept = torch.rand(shape, generator=torch.Generator().manual_seed(0)) > 0.3
    MaskDictionary(strategy, kept.float(), kept, folder.sha256()).save(run.dictionary("LM2"))
    return run.root


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "Detector", PlainDetector)


@pytest.fixture(scope="module")
def others() -> np.ndarray:
    """Fourteen people the base never saw, ten for the gallery and four strangers: three photos each, in order."""
    rng = np.random.default_rng(77)
    faces = []
    for _ in range(14):
        pattern = np.kron(rng.uniform(30, 225, (8, 6, 3)), np.ones((8, 8, 1)))
        for _ in range(3):
            relit = pattern * rng.uniform(0.98, 1.02)
            faces.append(np.clip(relit + rng.normal(0, 4, pattern.shape), 0, 255).astype(np.uint8))
    return np.stack(faces)


@pytest.fixture(scope="module")
def team(others: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the ten, two photos each."""
    root = tmp_path_factory.mktemp("team")
    for person, name in enumerate(TEN):
        for photo in range(2):
            save_photo(root / name / f"{photo}.png", others[3 * person + photo])
    return root


@pytest.fixture
def run(trained: Path) -> api.Run:
    return load_run(trained, occlusion_source="none", device="cpu", precision="fp32")


def test_ten_people_whom_the_base_never_saw(run, team, others, tmp_path):
    people = run.enrol(team)
    assert people.gallery.people == TEN
    named = []
    for person in range(10):
        path = save_photo(tmp_path / f"{person}.png", others[3 * person + 2])
        (face,) = people.identify(path, fpr=0.1)
        named.append(face.person)
        assert face.nearest[0].person == TEN[person] and len(face.nearest) == 5
        assert -1 <= face.cosine <= 1 and face.impostors == 32
    assert named == TEN


def test_strangers_are_unknown_in_one_photo_with_people_who_are_not(run, team, others, tmp_path):
    people = run.enrol(team)
    rows = [2, 3 * 10, 3 * 11, 5, 3 * 12]  # person 0, two strangers, person 1, another stranger
    answer = people.identify(save_photo(tmp_path / "group.png", *others[rows]), fpr=0.04)
    assert [face.person for face in answer] == [TEN[0], None, None, TEN[1], None]
    lefts = [face.found.box[0] for face in answer]
    assert lefts == sorted(lefts)
    people.draw(answer, tmp_path / "out" / "named.png")
    with Image.open(tmp_path / "out/named.png") as picture:
        assert picture.format == "PNG"


def test_the_runs_own_people_name_their_test_photos(run, dataset, tmp_path):
    people = run.enrol()
    assert people.gallery.source == "run" and people.gallery.people == dataset.people
    for row in dataset.rows("test")[::5]:
        (face,) = people.identify(save_photo(tmp_path / "p.png", dataset.faces[row]), fpr=0.1)
        assert face.nearest[0].person == dataset.people[dataset.labels[row]]


def test_maps_are_kept_on_disk_and_answer_alike(run, trained, dataset, tmp_path):
    photo = save_photo(tmp_path / "p.png", dataset.faces[dataset.rows("test")[0]])
    first = run.enrol().identify(photo, fpr=0.1).faces[0].as_dict()
    kept = sorted((trained / "cache").glob("views-*.safetensors"))
    assert len(kept) == 2  # the gallery's and the strangers'
    again = load_run(trained, occlusion_source="none", device="cpu", precision="fp32")
    assert again.enrol().identify(photo, fpr=0.1).faces[0].as_dict() == first
    assert sorted((trained / "cache").glob("views-*")) == kept
    for path in (trained / "cache").iterdir():
        path.write_bytes(b"damaged")
    again = load_run(trained, occlusion_source="none", device="cpu", precision="fp32")
    assert again.enrol().identify(photo, fpr=0.1).faces[0].as_dict() == first


def test_strangers_are_looked_at_once_and_how_far_it_is_is_told(trained, team, others, tmp_path):
    shutil.rmtree(trained / "cache", ignore_errors=True)
    told: list[tuple[int, int]] = []
    for _ in range(2):
        run = load_run(trained, occlusion_source="none", device="cpu", precision="fp32")
        run.get_ready(on_progress=lambda done, total: told.append((done, total)))
    total = told[0][1]
    done = [now for now, _ in told]
    assert {one for _, one in told} == {total} and done == sorted(set(done)) and done[-1] == total
    kept = sorted((trained / "cache").glob("strangers-*"))
    run.enrol(team).identify(save_photo(tmp_path / "p.png", others[0]), fpr=0.1)
    assert sorted((trained / "cache").glob("strangers-*")) == kept and len(kept) == 1


def test_what_is_kept_of_strangers_depends_on_who_says_what_is_covered(trained):
    def digest(source: str) -> str:
        run = load_run(trained, occlusion_source="none", device="cpu", precision="fp32")
        return run._workspace.kept_scores(run.strategy, source).digest("seen")

    model = RunDir(trained).segmenter / MODEL
    digests = [digest("none"), digest("segmenter")]
    model.parent.mkdir()
    try:
        for weights in (b"one", b"another"):
            model.write_bytes(weights)
            digests.append(digest("segmenter"))
            assert digest("none") == digests[0]
    finally:
        shutil.rmtree(model.parent)
    assert len(set(digests)) == 4


def test_verify(run, others, tmp_path):
    a, b = (save_photo(tmp_path / f"a{n}.png", others[n]) for n in range(2))
    c = save_photo(tmp_path / "c.png", others[18])  # far from the first, whatever rounding a CPU trains with
    same, different = run.verify(a, b, fpr=0.02), run.verify(a, c, fpr=0.02)
    assert same.same and not different.same
    assert same.threshold == different.threshold
    assert same.impostors == 32 * 31 // 2 - 16  # sixteen people with two validation photos each
    run.draw(same, tmp_path / "pair.png")
    assert (tmp_path / "pair.png").is_file()


def test_a_photo_may_come_as_a_path_as_bytes_as_an_image_or_as_an_array(run, team, others, tmp_path):
    people = run.enrol(team)
    path = save_photo(tmp_path / "a.png", others[2], others[5])
    with Image.open(path) as image:
        ways = [
            path,
            str(path),
            path.read_bytes(),
            image,
            np.asarray(image),
            np.asarray(image)[:, ::-1][:, ::-1],
        ]
        answers = [people.identify(photo, fpr=0.1) for photo in ways]
        verdicts = [run.verify(photo, photo, fpr=0.1) for photo in ways[2:]]
    said = [[face.as_dict() for face in answer] for answer in answers]
    assert [face["person"] for face in said[0]] == TEN[:2] and said[1:] == said[:-1]
    assert [str(answer.photo.path) for answer in answers] == [str(path)] * 2 + ["photo 1"] * 4
    for verdict in verdicts:
        assert [photo["photo"] for photo in verdict.as_dict()["photos"]] == ["photo 1", "photo 2"]
    named = run.verify(path, path.read_bytes(), fpr=0.1, names=("door", "badge"))
    assert [photo["photo"] for photo in named.as_dict()["photos"]] == ["door", "badge"]
    assert people.identify(path.read_bytes(), fpr=0.1, name="door").photo.path == Path("door")
    people.draw(answers[-1], tmp_path / "drawn.png")
    run.draw(named, tmp_path / "pair.png")


def test_the_readmes_lines_name_people(trained, team, others, tmp_path, monkeypatch, capsys):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    code = re.search(r"## From Python\n+```python\n(.*?)```", readme, re.S)
    for name, target in (("runs/mine", trained), ("team-photos", team)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(target)
    # The detector of these tests needs a background that JPEG leaves alone: what a file is, its content says.
    save_photo(tmp_path / "badge.png", others[0]).rename(tmp_path / "badge.jpg")
    save_photo(tmp_path / "door.png", others[2], others[30]).rename(tmp_path / "door.jpg")
    plain = partial(load_run, occlusion_source="none", device="cpu", precision="fp32")
    monkeypatch.setattr(api, "load_run", plain)
    monkeypatch.chdir(tmp_path)
    plain("runs/mine").people("team", create=True).enrol("team-photos", accept_poor=True)
    exec(code[1], {})
    known, unknown, same = capsys.readouterr().out.splitlines()
    assert known.startswith(f"{TEN[0]} ") and unknown.startswith("unknown ") and same == "True"


def test_how_embeddings_are_to_be_kept_is_not_lost_when_another_command_makes_the_store_first(
    trained, tmp_path, monkeypatch
):
    run = load_run(trained, occlusion_source="none", device="cpu", precision="fp32")
    looked = kinds.check_vectors

    def made_meanwhile(place: Path, vectors: str) -> None:
        looked(place, vectors)
        monkeypatch.undo()
        run.people(place, create=True)

    monkeypatch.setattr(kinds, "check_vectors", made_meanwhile)
    with pytest.raises(UsageError, match="keeps embeddings as float16, .* leave --vectors int8 out"):
        run.people(tmp_path / "team", create=True, vectors="int8")
    assert run.people(tmp_path / "team", vectors="float16").list() == []


def test_the_largest_face_is_verified(run, others, tmp_path):
    both = save_photo(tmp_path / "both.png", others[6], others[0], scale=(1, 3))
    alone = save_photo(tmp_path / "alone.png", others[1])
    answer = run.verify(both, alone, fpr=0.1)
    assert answer.same and answer.faces == (2, 1)
    assert answer.photos[0].faces[0].box[2] - answer.photos[0].faces[0].box[0] == 3 * 48


def test_what_is_covered_decides_about_the_fdm_and_the_threshold(trained, team, others, tmp_path):
    run = load_run(trained, occlusion_source="none", device="cpu", precision="fp32")
    white = others[2].copy()
    white[44:] = 255

    def lower(faces: torch.Tensor) -> torch.Tensor:
        return (faces == 255).all(1)

    run._cover = lower
    people = run.enrol(team)
    before = set((trained / "cache").glob("scores-*.npy"))
    clean, masked = people.identify(save_photo(tmp_path / "p.png", others[2], white), fpr=0.1)
    assert clean.covered == [] and "mouth" in masked.covered and "eyes" not in masked.covered
    assert masked.threshold != clean.threshold
    assert masked.as_dict()["covered_share"] == pytest.approx(20 / 64, abs=0.05)  # soft edges
    new = set((trained / "cache").glob("scores-*.npy")) - before
    assert new, "what took a calibration is kept"
    again = run.enrol(team)
    again._identifier._strangers = None  # they are not asked again
    assert [face.as_dict() for face in again.identify(tmp_path / "p.png", fpr=0.1)] == [
        clean.as_dict(), masked.as_dict(),
    ]  # fmt: skip
    verified = run.verify(tmp_path / "p.png", save_photo(tmp_path / "q.png", white), fpr=0.1)
    assert verified.covered == masked.covered


def test_a_film_of_two_people_and_a_stranger(run, team, others, tmp_path):
    frames = []
    for number in range(12):
        shown = others[[2, 5, 31]] if number < 6 else others[[1, 4, 32]]
        frame = np.full((200, 400, 3), GREY, np.uint8)
        for face, left in zip(shown, (10 + 2 * number, 120 + 2 * number, 250 + 3 * number), strict=True):
            frame[20 + number : 20 + number + 128, left : left + 96] = np.kron(
                face, np.ones((2, 2, 1), np.uint8)
            )
        frames.append(frame)
    told, film = [], write_film(tmp_path / "film.mkv", frames)
    answer = run.enrol(team).identify_video(film, every=0.2, fpr=0.1, on_track=told.append)
    assert [track.person for track in answer.tracks] == [TEN[0], TEN[1], None] and told == answer.tracks
    assert [track.track.frames for track in answer.tracks] == [6, 6, 6] and answer.frames == 6
    with pytest.raises(UsageError, match="--fpr 2"):
        run.enrol(team).identify_video(film, fpr=2)
    with pytest.raises(PhotoError, match="is a video, and only photos are read"):
        run.enrol(team).identify(film)


def test_a_crowd_of_a_thousand_is_worked_on_in_batches(trained, team, tmp_path, monkeypatch):
    class Crowd(PlainDetector):
        def __call__(self, photos):
            grid = [(x, y) for x in range(0, 1000, 25) for y in range(0, 625, 25)]
            points = template((24, 18))
            found = [
                Detection(np.array([x, y, x + 18, y + 24.0]), 0.99, points + np.array([x, y]))
                for x, y in grid
            ]
            return [
                found if photo.shape[0] == 640 else super(Crowd, self).__call__([photo])[0]
                for photo in photos
            ]

    monkeypatch.setattr(api, "Detector", Crowd)
    run = load_run(trained, occlusion_source="none", device="cpu", precision="fp32")
    sizes = []

    def cover(faces: torch.Tensor) -> torch.Tensor:
        sizes.append(len(faces))
        return torch.zeros((len(faces), *faces.shape[2:]), dtype=torch.bool)

    run._cover = cover
    people = run.enrol(team)
    noise = np.random.default_rng(0).integers(0, 256, (640, 1024, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "crowd.png")
    answer = people.identify(tmp_path / "crowd.png", fpr=0.1)
    assert len(answer) == 1000 == sum(sizes) and max(sizes) == BATCH
    people.draw(answer, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.width <= WIDEST + 100 and picture.height <= TALLEST + MOST_CARDS * 250


def test_a_drawn_portrait_through_the_real_detector(trained, tmp_path, monkeypatch):
    monkeypatch.undo()
    person = next(iter(draw_people(1, seed=7)))
    face, _ = photo_of(person, 0, 1, (256, 192), 7)
    photo = np.full((400, 400, 3), 120, np.uint8)
    photo[72:328, 104:296] = face
    Image.fromarray(photo).save(tmp_path / "portrait.png")
    run = load_run(trained, occlusion_source="none", device="cpu", precision="fp32")
    (found,) = run.enrol().identify(tmp_path / "portrait.png", fpr=0.1)
    left, top, right, bottom = found.found.box
    assert 104 - 20 < left < right < 296 + 40 and 72 - 20 < top < bottom < 328 + 40
    assert np.isfinite(found.cosine)


def test_what_is_missing_is_said_with_the_command_that_makes_it(trained, tmp_path):
    with pytest.raises(PdsnError, match="holds no run: make one with `pdsn run --run"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(PdsnError, match="make it with `pdsn segment-train"):
        load_run(trained, device="cpu")
    with pytest.raises(PdsnError, match="--strategy LM1 has no dictionary .this run has LM2, none"):
        load_run(trained, strategy="LM1", device="cpu")
    with pytest.raises(UsageError, match="--occlusion-source oracle is unknown: choose from segmenter, none"):
        load_run(trained, occlusion_source="oracle", device="cpu")
    bare = Path(shutil.copytree(trained, tmp_path / "bare"))
    shutil.rmtree(bare / "dictionary")
    with pytest.raises(PdsnError, match="has no mask dictionary: make one with `pdsn build-dictionary"):
        load_run(bare, device="cpu")
    assert load_run(bare, strategy="none", device="cpu").occlusion_source == "none"
    shutil.rmtree(bare / "base")
    with pytest.raises(PdsnError, match="make it with `pdsn base-train --run"):
        load_run(bare, strategy="none", device="cpu")


def test_rates_that_nobody_can_tell(run, team, others, tmp_path):
    people = run.enrol(team)
    photo = save_photo(tmp_path / "p.png", others[0])
    assert people.default_fpr == people.finest_fpr > 0.01
    assert (
        people.identify(photo).faces[0].as_dict()
        == people.identify(photo, fpr=people.finest_fpr).faces[0].as_dict()
    )
    with pytest.raises(UsageError, match="--fpr 0.01 is too small to be told by 32 .* at least 0.03"):
        people.identify(photo, fpr=0.01)
    for rate in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="--fpr .* is out of range"):
            people.identify(photo, fpr=rate)
        with pytest.raises(UsageError, match="--fpr .* is out of range"):
            run.verify(photo, photo, fpr=rate)


def test_a_gallery_that_nobody_has_any_more_is_no_longer_in_memory(run, team, others, tmp_path):
    photo = save_photo(tmp_path / "p.png", others[2])
    kept = []
    for _ in range(3):
        people = run.enrol()
        people.identify(photo, fpr=0.1)
        kept.append(len(run._workspace.memory._kept))
    assert kept == [2, 2, 2], "the gallery's maps and the strangers'"
    both = people, run.enrol()
    assert len(run._workspace.memory._kept) == 3
    answers = [one.identify(photo, fpr=0.1).faces[0].as_dict() for one in both]
    assert answers[0] == answers[1]
    del people, both
    run.enrol(team)
    assert len(run._workspace.memory._kept) == 1
