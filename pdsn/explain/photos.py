"""Why two photos, or a photo and a person, score as they do: the methods of `explanation` on photos of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pdsn.data.dataset import FaceDataset
from pdsn.errors import UsageError
from pdsn.explain.explanation import Column, Explainer, Explanation, Pair
from pdsn.masks.strategy import heading
from pdsn.matchers.matcher import Faces
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import occlude
from pdsn.people.gallery import Gallery, readable
from pdsn.people.photo import Cover, FoundFace, SearchedPhoto
from pdsn.people.verification import Verification

Verify = Callable[[SearchedPhoto, SearchedPhoto], Verification]
"""Two photos -> the verdict of one matcher, with the threshold in force."""
SEVERAL = 3
"""People with similar names that a message names."""


@dataclass(frozen=True)
class PhotoExplanation:
    """Why a photo scores as it does with another, or with a person.

    Attributes:
        photos: the probe and what it is compared with, a face each; of a person the photo most like the probe.
        faces: number of faces found in each; of several the largest was taken.
        person: whose mean it is compared with; None where it is the photo itself.
        covered_pixels: (2, H, W) bool.
        columns: the score of each matcher.
        thresholds: by the same names, above which two photos count as one person's; None where a person was asked for.
        explanations: one for each method.
    """

    photos: tuple[SearchedPhoto, SearchedPhoto]
    faces: tuple[int, int]
    person: str | None
    covered_pixels: np.ndarray
    columns: list[Column]
    thresholds: dict[str, float | None]
    explanations: list[Explanation]

    def as_dict(self) -> dict[str, object]:
        """What JSON says."""
        return {
            "probe": readable(str(self.photos[0].path)),
            "reference": readable(str(self.photos[1].path)),
            "person": self.person,
            "covered_share": [round(float(one.mean()), 4) for one in self.covered_pixels],
            "scores": {
                column.name: {
                    "cosine": round(column.cosine, 6),
                    "threshold": _rounded(self.thresholds[column.name]),
                    "covered": column.covered,
                }
                for column in self.columns
            },
            "methods": {one.method: one.said for one in self.explanations},
        }


def explain_photos(
    explainer: Explainer,
    cover: Cover,
    photos: tuple[SearchedPhoto, SearchedPhoto],
    methods: Sequence[str],
    verify: Mapping[str, Verify],
) -> PhotoExplanation:
    """Explain the score of the largest face of one photo with that of another.

    Args:
        explainer: the methods.
        cover: finds the covered pixels.
        photos: the probe and what it is compared with.
        methods: see `Explainer.methods`.
        verify: the verdict of each matcher of the explainer, by name.
    """
    probe, other = photos[0].largest(), photos[1].largest()
    crops = [probe.crops(), other.crops()]
    covered = cover(torch.cat(crops))
    pair = Pair(Faces(crops[0], covered[:1]), Faces(crops[1], covered[1:]))
    columns = explainer.columns(pair)
    thresholds: dict[str, float | None] = {
        heading(name): ask(probe, other).threshold for name, ask in verify.items()
    }
    found = [explainer.explain(method, pair, columns) for method in methods]
    counts = len(photos[0].faces), len(photos[1].faces)
    return PhotoExplanation((probe, other), counts, None, covered.numpy(), columns, thresholds, found)


def explain_person(
    explainer: Explainer,
    cover: Cover,
    photo: SearchedPhoto,
    gallery: Gallery,
    person: str,
    methods: Sequence[str],
) -> PhotoExplanation:
    """Explain the score of the largest face of a photo with the mean of a person's enrolled photos.

    Args:
        explainer, cover, methods: see `explain_photos`.
        photo: the probe.
        gallery: holds the person.
        person: the name.

    Raises:
        UsageError: nobody is called so.
    """
    if person not in gallery.people:
        raise UsageError(f"--person {person} is not enrolled: {_alike(person, gallery.people)}")
    probe = photo.largest()
    crops = probe.crops()
    covered = cover(crops)
    theirs = gallery.labels == gallery.people.index(person)
    rows = torch.nonzero(theirs & _others(gallery, photo, crops[0]))[:, 0]
    if not len(rows):
        raise UsageError(f"--person {person} has no other photo than this one: name another photo")
    free = Faces.free(gallery.faces[rows])
    matcher = next(iter(explainer.matchers.values()))
    scores = matcher.compare(
        matcher.prepare(Faces(crops, covered), "probe"), matcher.prepare(free, "gallery")
    )
    nearest = int(scores[0].argmax())
    order = [nearest, *(row for row in range(len(rows)) if row != nearest)]
    pair = Pair(Faces(crops, covered), free[order], mean=True)
    columns = explainer.columns(pair)
    shown = aligned_photo(gallery.files[int(rows[nearest])], gallery.faces[rows[nearest]])
    found = [explainer.explain(method, pair, columns) for method in methods]
    pixels = torch.cat([covered, torch.zeros_like(covered)]).numpy()
    return PhotoExplanation(
        (probe, shown),
        (len(photo.faces), 1),
        person,
        pixels,
        columns,
        {column.name: None for column in columns},
        found,
    )


def nearest_photo(
    explainer: Explainer, cover: Cover, photo: SearchedPhoto, gallery: Gallery
) -> SearchedPhoto:
    """The enrolled photo that the largest face of a photo is most like by the last matcher; never the very same picture.

    Raises:
        UsageError: there is no other.
    """
    crops = photo.largest().crops()
    matcher = list(explainer.matchers.values())[-1]
    probe = matcher.prepare(Faces(crops, cover(crops)), "probe")
    scores = matcher.compare(probe, matcher.prepare(Faces.free(gallery.faces), "gallery"))
    others = _others(gallery, photo, crops[0])
    if not others.any():
        raise UsageError(f"{photo.path} is the only photo of the run's people: give a REFERENCE")
    row = int(scores[0].masked_fill(~others, -torch.inf).argmax())
    return aligned_photo(gallery.files[row], gallery.faces[row])


def entry_photo(
    dataset: FaceDataset, file: str, occluder: Occluder | None = None, name: str = "", seed: int = 0
) -> SearchedPhoto:
    """An aligned face of a data set as if it were a photo, painted over as the probes of `pdsn eval` are.

    Args:
        dataset: the faces.
        file: its name there.
        occluder: what covers it; None leaves it as it is.
        name, seed: of the occlusion: they tell how it is drawn.

    Raises:
        ValueError: there is no such entry.
    """
    row = list(dataset.files).index(file)
    faces = dataset.tensor([row])
    if occluder is not None:
        faces, _ = occlude(occluder, faces, dataset.landmarks[[row]], seed=seed, name=name, rows=[row])
    return aligned_photo(file, faces[0])


def aligned_photo(file: str, face: Tensor) -> SearchedPhoto:
    """A face (3, H, W) uint8 that was aligned before, as a photo of itself."""
    crop = face.permute(1, 2, 0).contiguous().numpy()
    box = np.array([0, 0, crop.shape[1], crop.shape[0]], np.float64)
    return SearchedPhoto(Path(file), crop, np.ones(2), [FoundFace(box, 1.0, crop)])


def _others(gallery: Gallery, photo: SearchedPhoto, face: Tensor) -> Tensor:
    """Which photos of a gallery are neither this picture (3, H, W) nor the entry of its name: (G,) bool."""
    named = torch.tensor([file == str(photo.path) for file in gallery.files])
    return (gallery.faces != face).flatten(1).any(1) & ~named


def _alike(person: str, people: Sequence[str]) -> str:
    from difflib import get_close_matches

    alike = get_close_matches(person, people, SEVERAL, 0.5) or list(people)[:SEVERAL]
    return f"give a name such as {', '.join(alike)}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
