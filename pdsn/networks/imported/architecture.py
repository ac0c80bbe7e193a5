"""Recognisers that pdsn can take as its base: how they are built, what they see, how their weights are named.

An architecture of one's own is a Python file such as

```python
from torch import nn

from pdsn.api import Architecture


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8, padding=1), nn.ReLU())
        self.neck = nn.Linear(8 * 8 * 8, 16)

    def features(self, x):
        return self.trunk(x)

    def head(self, maps):
        return self.neck(maps.flatten(1))


architecture = Architecture("tiny", Tiny, size=(64, 64))
```
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from pdsn.data.settings import ALIGNMENTS, LARGEST_SIDE, SMALLEST_SIDE
from pdsn.errors import UsageError

Tensors = dict[str, Tensor]


def same(weights: Tensors) -> Tensors:
    """Weights whose published names are the module's own."""
    return weights


@dataclass(frozen=True)
class Architecture:
    """A recogniser, cut where the masks apply, and the faces it was trained on.

    Attributes:
        name: what messages call it.
        build: makes the network with random weights: a module with `features(x)`, normalised faces
            (N, 3, H, W) float32 -> the last spatial map (N, C, h, w), and `head(maps)` -> embeddings (N, E).
        size: (height, width) of a face in pixels, each 32 to 512.
        mean, std: the network sees (x - mean) / std of a face x in 0 to 255; red, green, blue, whatever
            `bgr` says.
        bgr: the network wants blue first.
        align: "similarity" puts five landmarks on a template; "box" cuts the face box and stretches it.
        landmarks: five (x, y) in pixels of the crop: left eye, right eye, nose, left and right mouth corner,
            left and right as seen in the photo; None is pdsn's own template at that size.
        rename: published tensor names -> the module's names; may drop what the module has no use for.
        downloads: names that may stand for a file of weights, each with what fetches it (published names).
            Nothing is fetched unless called; a failed download raises PdsnError.

    Raises:
        UsageError: a value is out of range; the line names the field and what is possible.
    """

    name: str
    build: Callable[[], nn.Module]
    size: tuple[int, int]
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    bgr: bool = False
    align: str = "similarity"
    landmarks: tuple[tuple[float, float], ...] | None = None
    rename: Callable[[Tensors], Tensors] = same
    downloads: Mapping[str, Callable[[], Tensors]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise UsageError(f"an architecture's name {self.name!r}: must be a word")
        if not callable(self.build):
            self._refuse("build", "must be a function without arguments that makes the network")
        size = _numbers(self.size, 2)
        if not size or not all(side % 1 == 0 and SMALLEST_SIDE <= side <= LARGEST_SIDE for side in size):
            self._refuse(
                "size",
                f"must be (height, width), whole numbers from {SMALLEST_SIDE} to {LARGEST_SIDE} pixels",
            )
        mean, std = _numbers(self.mean, 3), _numbers(self.std, 3)
        if not mean or not all(0 <= value <= 255 for value in mean):
            self._refuse("mean", "must be three numbers from 0 to 255: red, green, blue")
        if not std or not all(value > 0 for value in std):
            self._refuse("std", "must be three numbers above 0: red, green, blue")
        if not isinstance(self.bgr, bool):
            self._refuse("bgr", "must be True or False")
        if self.align not in ALIGNMENTS:
            self._refuse("align", f"must be {' or '.join(ALIGNMENTS)}")
        object.__setattr__(self, "size", tuple(int(side) for side in size))
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)
        if self.landmarks is not None:
            object.__setattr__(self, "landmarks", self._template())
        if not callable(self.rename):
            self._refuse("rename", "must be a function from tensors by published name to tensors by own name")
        if not isinstance(self.downloads, Mapping) or not all(map(callable, self.downloads.values())):
            self._refuse("downloads", "must map a name to a function that fetches the tensors")

    def _template(self) -> tuple[tuple[float, ...], ...]:
        if self.align != "similarity":
            self._refuse("landmarks", f"must be None where align is {self.align}")
        points = tuple(_numbers(point, 2) for point in _sequence(self.landmarks))
        height, width = self.size
        if len(points) != 5 or not all(
            point and 0 <= point[0] <= width and 0 <= point[1] <= height for point in points
        ):
            self._refuse("landmarks", f"must be five (x, y) within the crop, {height} high and {width} wide")
        if points[0][0] >= points[1][0] or points[3][0] >= points[4][0]:
            self._refuse("landmarks", "must name left before right, as seen in the photo")
        return points

    def _refuse(self, name: str, possible: str) -> None:
        raise UsageError(f"architecture {self.name}: {name} is {getattr(self, name)!r}: it {possible}")


def _sequence(value: object) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else ()


def _numbers(value: object, count: int) -> tuple[float, ...]:
    """`count` finite numbers, or () where `value` is something else."""
    values = _sequence(value)
    numeric = all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values
    )
    return values if numeric and len(values) == count else ()
