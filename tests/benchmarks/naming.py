"""How often the people of a store are named rightly, with their faces covered and not; not a test, and not collected.

    python -m tests.benchmarks.naming PHOTOS --run runs/mine

(in a checkout) takes a folder with a folder of photos per person, and a finished run. Every fifth person, by name, is a stranger. Of each
of the others one photo is drawn and enrolled, as `pdsn enrol` does it; where the gate refuses it, the next one drawn. Of the other
photos of everybody some are asked about, one of each person after the other, as `pdsn identify --people` does it, at its threshold:
as they are, and with a thing painted on the photo before any face is looked for, in styles that nothing was trained on. What counts is the answer to the face that was there
before; where no face that is found overlaps it, none was found.

Ctrl-C ends the questions, and the tables are of those that were answered.

A person is named rightly, wrongly, or not at all: as unknown, or because no face was found. A stranger is named, or not. Below each rate
stands its 95 % interval: people are drawn anew, with all their photos. The rates stand again for people of whom the run has seen
nothing: neither what it has learned nor its thresholds come from their photos.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pdsn.api import Run
from pdsn.data.detector import Detection
from pdsn.data.faces import Detect, choose_face, crop_face, crop_matrix, find_faces, turn_photo
from pdsn.data.photos import list_photos
from pdsn.data.reading import read_photo
from pdsn.data.settings import PrepareConfig
from pdsn.metrics import bootstrap_interval
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import CLEAN, LOWER_FACE, draws_of, find_occluder
from pdsn.occlusion.painting import paint_photo
from pdsn.people.photo import PhotoError
from pdsn.people.tracks import overlap
from pdsn.progress import progress_bar
from pdsn.run.workspace import Workspace
from pdsn.runtime import precision_of, start
from pdsn.store.people import PeopleStore

OCCLUSIONS = (CLEAN, "face-mask", "sunglasses", "scarf", "cap", "hand", "eyes", LOWER_FACE)
STRANGERS = 5
"""One person in so many is not enrolled."""
OVERLAP = 0.3
"""What two boxes share, as a part of what they cover together, from which they are of one face."""
RIGHT, WRONG, UNKNOWN, NO_FACE = "right", "wrong", "unknown", "no face"
NAMED = "strangers named"


@dataclass(frozen=True)
class Question:
    """A photo that is asked about.

    Attributes:
        number: of the photo in the folder's listing: what is painted follows from it.
        file: its path within the folder.
        person: whom it shows.
        stranger: whether that person is not enrolled.
        new: whether the run has seen nothing of the person.
    """

    number: int
    file: str
    person: str
    stranger: bool
    new: bool


@dataclass(frozen=True)
class Painter:
    """Reads photos and paints on them.

    Attributes:
        folder: of the photos.
        crop, detect: how the run finds faces.
        seed: of what is painted.
    """

    folder: Path
    crop: PrepareConfig
    detect: Detect
    seed: int

    def read(self, question: Question) -> tuple[np.ndarray, Detection] | None:
        """A photo (H, W, 3) uint8, upright, and the face that it is about; None where it shows none."""
        pixels = read_photo(self.folder / question.file).pixels
        detections, turn = find_faces([pixels], self.detect)[0]
        if not detections:
            return None
        pixels = turn_photo(pixels, turn)
        return pixels, choose_face(detections, (pixels.shape[0], pixels.shape[1]), self.crop.face)

    def paint(
        self, question: Question, pixels: np.ndarray, face: Detection, name: str, occluder: Occluder
    ) -> np.ndarray:
        """The photo with something before its face."""
        cut, points = crop_face(pixels, face, self.crop)
        crop = torch.from_numpy(cut.copy()).permute(2, 0, 1)
        matrix = crop_matrix(pixels.shape, face, self.crop)
        draw = draws_of(self.seed, name, question.number)
        return paint_photo(pixels, face.landmarks, crop, matrix, occluder, draw, points)[0]


def draw_people(folder: Path, seed: int) -> dict[str, list[tuple[int, str]]]:
    """The photos, as (number, file), of each person in the order in which they are drawn."""
    photos: dict[str, list[tuple[int, str]]] = {}
    for number, photo in enumerate(list_photos(folder).photos):
        photos.setdefault(photo.person, []).append((number, photo.file))
    rng = np.random.default_rng(seed)
    return {name: [own[place] for place in rng.permutation(len(own))] for name, own in photos.items()}


def enrol(
    store: PeopleStore, folder: Path, people: Mapping[str, list[tuple[int, str]]], links: Path
) -> dict[str, int]:
    """Enrol one photo of each person, the first drawn that the gate takes.

    Returns:
        How many photos of each were tried; people of whom none was taken are left out.
    """
    tried = dict.fromkeys(people, 0)
    missing = list(people)
    while missing:
        for name in missing:
            _, file = people[name][tried[name]]
            target = links / name / Path(file).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to((folder / file).resolve())
            tried[name] += 1
        report = store.enrol(links)
        missing = [name for name in report.left_out if tried[name] < len(people[name])]
    return {name: count for name, count in tried.items() if name not in report.left_out}


def ask(store: PeopleStore, question: Question, pixels: np.ndarray, face: Detection) -> str:
    """What becomes of a question."""
    try:
        faces = store.identify(pixels, name=question.file).faces
    except PhotoError:
        return NO_FACE
    answer = max(faces, key=lambda one: overlap(one.found.box, face.box))
    if overlap(answer.found.box, face.box) < OVERLAP:
        return NO_FACE
    if answer.person is None:
        return UNKNOWN
    return RIGHT if answer.person == question.person else WRONG


def answers(
    store: PeopleStore, painter: Painter, questions: Sequence[Question], occluders: Mapping[str, Occluder]
) -> dict[str, list[str]]:
    """What becomes of each question under each occlusion; of those that were answered before Ctrl-C."""
    found: dict[str, list[str]] = {name: [] for name in occluders}
    count = 0
    with (
        suppress(KeyboardInterrupt),
        progress_bar("questions", len(questions) * len(occluders), "faces") as advance,
    ):
        for question in questions:
            known = painter.read(question)
            for name, occluder in occluders.items():
                if known is None:
                    found[name].append(NO_FACE)
                else:
                    pixels, face = known
                    painted = painter.paint(question, pixels, face, name, occluder)
                    found[name].append(ask(store, question, painted, face))
                advance()
            count += 1
    return {name: outcomes[:count] for name, outcomes in found.items()}


def rates(outcomes: Sequence[str], questions: Sequence[Question], seed: int) -> dict[str, list[float]]:
    """(rate, low, high), 0 to 1, of everything that can become of a question."""
    stranger = np.array([question.stranger for question in questions])
    people = np.array([question.person for question in questions])
    became = np.array(outcomes)
    rows = {kind: (became == kind, ~stranger) for kind in (RIGHT, WRONG, UNKNOWN, NO_FACE)}
    rows[NAMED] = (became == WRONG, stranger)
    found = {}
    for kind, (hits, asked) in rows.items():
        if asked.any():
            values = hits[asked].astype(float)
            interval = bootstrap_interval(values, people[asked], (0, 1), seed=seed)
            found[kind] = [float(values.mean()), *interval]
    return found


def show(about: str, table: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Print a table of two lines a row, at most 80 columns wide."""
    kinds = (RIGHT, WRONG, UNKNOWN, NO_FACE, NAMED)
    print(f"\n{about}; in %, below it the 95 % interval over people\n")
    print(f"{'occlusion':15}" + "".join(f"{'strangers' if kind == NAMED else kind:>12}" for kind in kinds))
    print(f"{'':15}" + "".join(f"{'named' if kind == NAMED else '':>12}" for kind in kinds).rstrip())
    for name, row in table.items():
        known = [row.get(kind) for kind in kinds]
        print(f"{name:15}" + "".join("" if one is None else f"{100 * one[0]:12.1f}" for one in known))
        ends = ["" if one is None else f"{100 * one[1]:.1f}-{100 * one[2]:.1f}" for one in known]
        print(f"{'':15}" + "".join(f"{end:>12}" for end in ends))


def measure(asked: argparse.Namespace, command: str, folder: Path) -> dict[str, object]:
    """Enrol, ask, and print."""
    began = time.perf_counter()
    workspace = Workspace.open(asked.run, start())
    store = Run(workspace, asked.strategy).people(folder / "people", create=True)
    people = draw_people(asked.photos, asked.seed)
    strangers = set(sorted(people)[STRANGERS - 1 :: STRANGERS])
    tried = enrol(
        store,
        asked.photos,
        {name: own for name, own in people.items() if name not in strangers},
        folder / "photos",
    )
    dataset, split = workspace.dataset, workspace.settings.split
    rows = np.concatenate([dataset.rows(part, split) for part in ("train", "val")])
    seen = {dataset.people[label] for label in dataset.labels[rows]}
    left = {
        name: own[tried.get(name, 0) :] for name, own in people.items() if name in strangers or name in tried
    }
    questions = [
        Question(*left[name][place], name, name in strangers, name not in seen)
        for place in range(asked.each)
        for name in left
        if place < len(left[name])
    ]
    print(
        f"{len(tried)} people enrolled with a photo each, {len(people) - len(strangers) - len(tried)} could not be; "
        f"{len(questions)} photos asked about, {sum(one.stranger for one in questions)} of them of {len(strangers)} strangers"
    )
    floor = workspace.settings.regions.floor
    occluders = {name: find_occluder(name, workspace.statistics, floor) for name in asked.occlusions}
    crop, detect = workspace.finding_faces()
    found = answers(store, Painter(asked.photos, crop, detect, asked.seed), questions, occluders)
    questions = questions[: len(found[asked.occlusions[0]])]
    if not questions:
        sys.exit("stopped before the first answer")
    tables = {}
    new = [place for place, question in enumerate(questions) if question.new]
    groups = {"everybody": list(range(len(questions))), "people new to the run": new}
    for about, places in groups.items():
        chosen = [questions[place] for place in places]
        tables[about] = {
            name: rates([outcomes[place] for place in places], chosen, asked.seed)
            for name, outcomes in found.items()
            if chosen
        }
        number = len({question.person for question in chosen})
        show(f"{about}: {len(chosen)} photos of {number} people", tables[about])
    seconds = time.perf_counter() - began
    print(
        f"\nat most {100 * store.default_fpr:g} % of strangers may be named; precision {precision_of(workspace.accelerator)}, "
        f"seed {asked.seed}\n{seconds / 60:.0f} minutes, {time.process_time() / 60:.0f} of the processor: {command}"
    )
    return {
        "command": command,
        "seed": asked.seed,
        "fpr": store.default_fpr,
        "seconds": round(seconds),
        "enrolled": len(tried),
        "strangers": len(strangers),
        "photos": {about: len(places) for about, places in groups.items()},
        "rates": tables,
    }


def main() -> None:
    """Measure, and write the JSON that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="a folder with a folder of photos per person")
    parser.add_argument("--run", type=Path, required=True, help="the run directory")
    parser.add_argument("--strategy", help="by which faces are compared; by default the run's")
    parser.add_argument("--occlusions", nargs="+", default=OCCLUSIONS, help="what is painted")
    parser.add_argument("--each", type=int, default=3, help="photos of a person that are asked about")
    parser.add_argument(
        "--seed", type=int, default=0, help="of which photos are drawn, and of what is painted"
    )
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    command = shlex.join(["python", "-m", "tests.benchmarks.naming", *sys.argv[1:]])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(asked, command, Path(folder))
    if asked.json is not None:
        asked.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
