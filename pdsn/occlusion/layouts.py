"""Face regions that get one mask each: the 3x3 grid, and the landmark regions LM1 and LM2.

Regions come from the landmark statistics of the training split (Johnston & Ngxande, section 3.4), so
they belong to a data set. Their paper states them as multiples of the landmarks' standard deviation;
on well aligned faces that deviation shrinks and the bands with it, until the eye band no longer covers
an eye. `floor`, in units of the distance between the eyes, is the least size of a landmark region.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from pdsn.data.template import template
from pdsn.errors import PdsnError, UsageError
from pdsn.occlusion.settings import RegionsConfig

# The order of the five landmarks, see pdsn.data.dataset.LANDMARKS.
LEFT_EYE, RIGHT_EYE, NOSE, LEFT_MOUTH, RIGHT_MOUTH = range(5)

OCCLUDED_SHARE = 0.5
"""A region counts as occluded when more than this share of its area is covered (section 3.5)."""


class Box(NamedTuple):
    """A rectangle in pixels: rows top to bottom - 1, columns left to right - 1."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.bottom - self.top) * (self.right - self.left)


@dataclass(frozen=True)
class LandmarkStatistics:
    """Means and standard deviations of the training split's landmarks, in crop pixels.

    Attributes:
        size: height and width of the crop.
        mean: (5, 2) mean x, y of each landmark.
        std: (5, 2) standard deviation of each.
        mouth_std: (2,) of the point midway between the mouth's corners.
        eyes_y, mouth_y: mean and deviation of the vertical positions, both eyes or corners pooled.
    """

    size: tuple[int, int]
    mean: np.ndarray
    std: np.ndarray
    mouth_std: np.ndarray
    eyes_y: tuple[float, float]
    mouth_y: tuple[float, float]

    @classmethod
    def of(cls, landmarks: np.ndarray, size: tuple[int, int]) -> LandmarkStatistics:
        """Statistics of (N, 5, 2) landmarks in a crop of `size` (height, width)."""
        points = np.asarray(landmarks, dtype=np.float64)
        eyes, mouth = points[:, [LEFT_EYE, RIGHT_EYE], 1], points[:, [LEFT_MOUTH, RIGHT_MOUTH], 1]
        return cls(
            size=size,
            mean=points.mean(0),
            std=points.std(0),
            mouth_std=points[:, [LEFT_MOUTH, RIGHT_MOUTH]].mean(1).std(0),
            eyes_y=(float(eyes.mean()), float(eyes.std())),
            mouth_y=(float(mouth.mean()), float(mouth.std())),
        )

    @property
    def interocular(self) -> float:
        """Distance between the mean eye positions, in pixels."""
        return float(np.linalg.norm(self.mean[RIGHT_EYE] - self.mean[LEFT_EYE]))


@dataclass(frozen=True)
class Layout:
    """A named division of the face into regions.

    Attributes:
        name: "grid3x3", "LM1", "LM2" or "LM2-split".
        size: height and width of the crop in pixels.
        regions: name of each region and its box; regions of one layout do not overlap unless the
            landmarks' own boxes do (LM1).
        landmarks: the region that each landmark belongs in, for those that have one.
    """

    name: str
    size: tuple[int, int]
    regions: dict[str, Box]
    landmarks: dict[str, tuple[int, ...]]

    def coverage(self, occluded: Tensor) -> Tensor:
        """Share of each region's area that is covered.

        Args:
            occluded: (N, H, W) bool, True where the face is covered.

        Returns:
            (N, R) float32 in 0 to 1, in the order of `regions`.
        """
        from torch import stack

        parts = (occluded[:, b.top : b.bottom, b.left : b.right] for b in self.regions.values())
        return stack([part.float().mean((1, 2)) for part in parts], dim=1)

    def occluded(self, occluded: Tensor, share: float = OCCLUDED_SHARE) -> Tensor:
        """(N, R) bool: the regions of which more than `share` is covered."""
        return self.coverage(occluded) > share

    def landmark_share(self, landmarks: np.ndarray) -> dict[str, float]:
        """Share of faces whose landmarks lie inside their own region, per region and jointly.

        Args:
            landmarks: (N, 5, 2) x, y in crop pixels.

        Returns:
            Region name to share, 0 to 1, and "jointly" for faces with every landmark in its region.
            Empty for a layout whose regions belong to no landmark (the grid).
        """
        shares: dict[str, float] = {}
        jointly = np.ones(len(landmarks), dtype=bool)
        for name, points in self.landmarks.items():
            box = self.regions[name]
            chosen = self._points(np.asarray(landmarks), name, points)
            inside = (
                (chosen[..., 0] >= box.left)
                & (chosen[..., 0] < box.right)
                & (chosen[..., 1] >= box.top)
                & (chosen[..., 1] < box.bottom)
            ).all(1)
            shares[name] = float(inside.mean())
            jointly &= inside
        if shares:
            shares["jointly"] = float(jointly.mean())
        return shares

    def _points(self, landmarks: np.ndarray, region: str, points: tuple[int, ...]) -> np.ndarray:
        chosen = landmarks[:, list(points)]
        # LM1's mouth is the point midway between the corners, not the corners themselves.
        return chosen.mean(1, keepdims=True) if self.name == "LM1" and region == "mouth" else chosen


def _grid3x3(statistics: LandmarkStatistics, floor: float) -> Layout:
    del floor  # the grid does not follow the landmarks
    height, width = statistics.size
    rows = [round(height * i / 3) for i in range(4)]
    columns = [round(width * i / 3) for i in range(4)]
    boxes = {
        f"row{r + 1}-col{c + 1}": Box(rows[r], columns[c], rows[r + 1], columns[c + 1])
        for r in range(3)
        for c in range(3)
    }
    return Layout("grid3x3", statistics.size, boxes, {})


def _lm1(statistics: LandmarkStatistics, floor: float) -> Layout:
    mean, std = statistics.mean, statistics.std
    centres = {
        "left-eye": (mean[LEFT_EYE], std[LEFT_EYE]),
        "right-eye": (mean[RIGHT_EYE], std[RIGHT_EYE]),
        "nose": (mean[NOSE], std[NOSE]),
        "mouth": (mean[[LEFT_MOUTH, RIGHT_MOUTH]].mean(0), statistics.mouth_std),
    }
    boxes = {}
    for name, (centre, sigma) in centres.items():
        half_x, half_y = np.maximum(2 * sigma, floor * statistics.interocular / 2)
        boxes[name] = _box(
            centre[1] - half_y, centre[0] - half_x, centre[1] + half_y, centre[0] + half_x, statistics.size
        )
    return Layout(
        "LM1",
        statistics.size,
        boxes,
        {
            "left-eye": (LEFT_EYE,),
            "right-eye": (RIGHT_EYE,),
            "nose": (NOSE,),
            "mouth": (LEFT_MOUTH, RIGHT_MOUTH),
        },
    )


def _lm2(statistics: LandmarkStatistics, floor: float) -> Layout:
    height, width = statistics.size
    least = floor * statistics.interocular
    eyes, eyes_std = statistics.eyes_y
    mouth, mouth_std = statistics.mouth_y
    # The floor keeps the paper's proportions: eyes 3 to 2, mouth 1 to 1.
    edges = [
        0,
        eyes - max(3 * eyes_std, 0.6 * least),
        eyes + max(2 * eyes_std, 0.4 * least),
        mouth - max(2 * mouth_std, 0.5 * least),
        mouth + max(2 * mouth_std, 0.5 * least),
        height,
    ]
    rows = [min(max(round(edge), 0), height) for edge in edges]
    names = ("forehead", "eyes", "nose", "mouth", "chin")
    for name, top, bottom in zip(names, rows[:-1], rows[1:], strict=True):
        if bottom <= top:
            raise PdsnError(
                f"the {name} band of LM2 is empty (rows {top} to {bottom}): the landmarks vary too much "
                "for bands; prepare the photos with --align similarity, or lower --region-floor"
            )
    boxes = {
        name: Box(top, 0, bottom, width) for name, top, bottom in zip(names, rows[:-1], rows[1:], strict=True)
    }
    return Layout(
        "LM2",
        statistics.size,
        boxes,
        {"eyes": (LEFT_EYE, RIGHT_EYE), "nose": (NOSE,), "mouth": (LEFT_MOUTH, RIGHT_MOUTH)},
    )


def _lm2_split(statistics: LandmarkStatistics, floor: float) -> Layout:
    middle = round(float(statistics.mean[[LEFT_EYE, RIGHT_EYE], 0].mean()))
    width = statistics.size[1]
    boxes = {}
    for name, band in _lm2(statistics, floor).regions.items():
        boxes[f"{name}-left"] = Box(band.top, 0, band.bottom, middle)
        boxes[f"{name}-right"] = Box(band.top, middle, band.bottom, width)
    return Layout(
        "LM2-split",
        statistics.size,
        boxes,
        {
            "eyes-left": (LEFT_EYE,),
            "eyes-right": (RIGHT_EYE,),
            "mouth-left": (LEFT_MOUTH,),
            "mouth-right": (RIGHT_MOUTH,),
        },
    )


LAYOUTS: dict[str, Callable[[LandmarkStatistics, float], Layout]] = {
    "grid3x3": _grid3x3,
    "LM1": _lm1,
    "LM2": _lm2,
    "LM2-split": _lm2_split,
}
"""How each layout is made from landmark statistics and the region floor."""


def make_layout(name: str, statistics: LandmarkStatistics, floor: float) -> Layout:
    """Regions of a layout.

    Args:
        name: a key of `LAYOUTS`.
        statistics: of the training split.
        floor: least height of the bands of eyes and mouth (LM2), or height and width of a box (LM1), in units of
            the distance between the eyes; 0 is the paper's rule.

    Raises:
        UsageError: there is no layout of that name.
        PdsnError: the landmarks vary so much that a band is empty.
    """
    if name not in LAYOUTS:
        raise UsageError(f"--strategy {name} is unknown: choose from {', '.join(LAYOUTS)}")
    return LAYOUTS[name](statistics, floor)


def example_statistics() -> LandmarkStatistics:
    """Statistics of one face on pdsn's template: names of regions are the same on any data, and known without."""
    size = (128, 96)
    return LandmarkStatistics.of(template(size)[None], size)


def region_names(name: str) -> list[str]:
    """Names of a layout's regions, a key of `LAYOUTS`."""
    return list(make_layout(name, example_statistics(), RegionsConfig.floor).regions)


def mirrored(layout: Layout) -> list[list[int]]:
    """For each region, the index of the region that its mirror image overlaps most; none where it overlaps none.

    A mirrored photo is masked with the mirrored regions' masks; full-width bands map to themselves. Where the mirror
    image overlaps no region, no region of the mirrored photo is covered, and no mask is known for what is: nothing
    is dropped there. Another region's mask, its own too, would drop what can be seen.
    """
    width = layout.size[1]
    boxes = list(layout.regions.values())
    order = []
    for box in boxes:
        flipped = Box(box.top, width - box.right, box.bottom, width - box.left)
        shares = [_overlap(flipped, other) for other in boxes]
        order.append([int(np.argmax(shares))] if max(shares) > 0 else [])
    return order


def _overlap(a: Box, b: Box) -> float:
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    width = min(a.right, b.right) - max(a.left, b.left)
    shared = max(height, 0) * max(width, 0)
    return shared / (a.area + b.area - shared)


def _box(top: float, left: float, bottom: float, right: float, size: tuple[int, int]) -> Box:
    height, width = size
    first_row, first_column = min(max(round(top), 0), height - 1), min(max(round(left), 0), width - 1)
    last_row, last_column = min(round(bottom), height), min(round(right), width)
    # A landmark that never moves (sigma 0, floor 0) still gets one pixel.
    return Box(first_row, first_column, max(last_row, first_row + 1), max(last_column, first_column + 1))
