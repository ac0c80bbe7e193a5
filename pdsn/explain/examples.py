"""The right answers that a matcher is surest of, and the wrong ones, each with an explanation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from pdsn.data.dataset import FaceDataset
from pdsn.evaluation.answers import Answer
from pdsn.explain.explanation import Explainer, Explanation, Pair
from pdsn.explain.photos import aligned_photo, entry_photo
from pdsn.explain.pictures import top_of
from pdsn.files import write_text
from pdsn.matchers.matcher import Faces
from pdsn.occlusion.occluder import Occluder
from pdsn.pictures import (
    FAINT,
    INK,
    PAPER,
    RIGHT,
    WRONG,
    Colour,
    face_picture,
    heat_picture,
    save_picture,
    text_width,
    write,
)

COUNT = 10
"""Of either kind."""
MOST_ALIKE = 2
"""Of either kind under one occlusion."""
HEIGHT, GAP, LINE, LETTERS = 128, 6, 20, 13
"""Pixels; letters are read on a phone, where a strip is two thirds as wide."""
METHOD = "layercam"
EXAMPLES = "examples"
"""The folder within a table's figures; examples.json in it says what they are."""


@dataclass(frozen=True)
class Example:
    """One probe.

    Attributes:
        kind: "best" for a right answer, "worst" for a wrong one.
        occlusion: its name.
        row: of the photo in the data set.
        found: row of the nearest enrolled photo.
        score: of the answer, in standard deviations above the mean of strangers covered alike.
    """

    kind: str
    occlusion: str
    row: int
    found: int
    score: float


def choose_examples(answers: Sequence[Answer], labels: np.ndarray) -> list[Example]:
    """The surest right answers and the surest wrong ones under occlusions by which a region counts as covered.

    At most one of either for each person, and `MOST_ALIKE` for each occlusion.

    Args:
        answers: of one matcher; those to clean photos are left out.
        labels: (N,) whom each photo of the data set shows.
    """
    every: list[Example] = []
    for answer in answers:
        if answer.occlusion == "clean":
            continue
        # Where no region counts as covered there are no masks to show.
        covered = np.array([bool(regions) for regions in answer.regions])
        first = (answer.draw == 0) & (answer.found >= 0) & covered
        scores = (answer.cosine - answer.normal[:, 0]) / answer.normal[:, 1]
        for index in np.flatnonzero(first).tolist():
            every.append(
                Example(
                    "best" if answer.ranks[index] == 1 else "worst",
                    answer.occlusion,
                    int(answer.rows[index]),
                    int(answer.found[index]),
                    float(scores[index]),
                )
            )
    every.sort(key=lambda one: -one.score)
    return [
        *_of_one_each([one for one in every if one.kind == "best"], labels),
        *_of_one_each([one for one in every if one.kind == "worst"], labels),
    ]


def write_examples(
    folder: Path,
    examples: Sequence[Example],
    explainer: Explainer,
    dataset: FaceDataset,
    occluders: Mapping[str, Occluder],
    find_covered: Callable[[Tensor], Tensor],
    seed: int,
) -> None:
    """Explain examples, a picture each, and write examples.json beside them; its `top` is the row below the caption.

    Args:
        folder: where they go.
        examples: see `choose_examples`.
        explainer: for no FDM and the matcher that answered.
        dataset: the faces.
        occluders: by name.
        find_covered: finds the covered pixels.
        seed: of the occlusions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = []
    for number, one in enumerate(examples, 1):
        probe = entry_photo(dataset, dataset.files[one.row], occluders[one.occlusion], one.occlusion, seed)
        other = aligned_photo(dataset.files[one.found], dataset.tensor([one.found])[0])
        crops = torch.cat([probe.crops(), other.crops()])
        covered = find_covered(crops)
        pair = Pair(Faces(crops[:1], covered[:1]), Faces.free(crops[1:]))
        columns = explainer.columns(pair)
        methods = [name for name in (METHOD, "fdm") if name in explainer.methods]
        found = [explainer.explain(name, pair, columns) for name in methods]
        file = f"{one.kind}-{number:02}.png"
        told = {
            "kind": one.kind,
            "file": file,
            "occlusion": one.occlusion,
            "photo": dataset.files[one.row],
            "person": dataset.people[dataset.labels[one.row]],
            "found_photo": dataset.files[one.found],
            "found_person": dataset.people[dataset.labels[one.found]],
            "score": round(one.score, 4),
            "scores": {column.name: round(column.cosine, 4) for column in columns},
            "covered": columns[-1].covered,
        }
        lines = _caption(told)
        strip = _strip(probe.faces[0].crop, other.faces[0].crop, covered[0].numpy(), found)
        save_picture(_captioned(strip, lines), folder / file)
        said.append({**told, "top": _height(lines)})
    write_text(folder / "examples.json", json.dumps(said, indent=2) + "\n")


def _of_one_each(examples: Sequence[Example], labels: np.ndarray) -> list[Example]:
    """The first `COUNT`, at most one of each person and `MOST_ALIKE` of each occlusion."""
    chosen: dict[int, Example] = {}
    counts: dict[str, int] = {}
    for one in examples:
        person = int(labels[one.row])
        if person not in chosen and counts.get(one.occlusion, 0) < MOST_ALIKE:
            chosen[person] = one
            counts[one.occlusion] = counts.get(one.occlusion, 0) + 1
    return list(chosen.values())[:COUNT]


def _strip(
    probe: np.ndarray, found: np.ndarray, covered: np.ndarray, explanations: Sequence[Explanation]
) -> Image.Image:
    """Probe, nearest photo, and what the methods say, side by side with a word below each."""
    parts = [face_picture(probe, HEIGHT, covered), face_picture(found, HEIGHT)]
    captions = ["probe", "nearest photo"]
    for one in explanations:
        top = 1.0 if one.method == "fdm" else top_of(list(one.maps.values())) or 1.0
        for name, cells in one.maps.items():
            shown = cells / top
            parts.append(heat_picture(probe, shown, HEIGHT))
            captions.append(name)
    width = sum(part.width + GAP for part in parts) - GAP
    strip = Image.new("RGB", (width, HEIGHT + LINE), PAPER)
    pen, left = ImageDraw.Draw(strip), 0
    for part, caption in zip(parts, captions, strict=True):
        strip.paste(part, (left, 0))
        write(pen, (left, HEIGHT + 2), caption, FAINT, LETTERS, part.width)
        left += part.width + GAP
    return strip


def _caption(told: Mapping[str, Any]) -> list[tuple[str, Colour]]:
    """Lines above a strip: who it is and who was named, under what, how alike, and what the example is one of."""
    right = told["kind"] == "best"
    named = told["person"] if right else f"{told['person']}, taken for {told['found_person']}"
    verdict = "right" if right else "wrong"
    cosines = ", ".join(f"{name} {cosine:.3f}" for name, cosine in told["scores"].items())
    return [
        (f"{verdict}: {named}", RIGHT if right else WRONG),
        (f"under {told['occlusion']}; found covered: {', '.join(told['covered']) or 'no region'}", INK),
        (f"cosine: {cosines}; score {told['score']:.1f}, in deviations above strangers", INK),
        (f"{told['kind']}: one of the {verdict} answers with the highest scores", FAINT),
    ]


def _height(lines: Sequence[tuple[str, Colour]]) -> int:
    return len(lines) * LINE + GAP


def _captioned(strip: Image.Image, lines: Sequence[tuple[str, Colour]]) -> Image.Image:
    """A strip below the lines of its caption."""
    width = max(strip.width, *(text_width(text, LETTERS) for text, _ in lines))
    whole = Image.new("RGB", (width, strip.height + _height(lines)), PAPER)
    pen = ImageDraw.Draw(whole)
    for place, (text, colour) in enumerate(lines):
        write(pen, (0, place * LINE), text, colour, LETTERS, width)
    whole.paste(strip, (0, _height(lines)))
    return whole
