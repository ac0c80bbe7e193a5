"""Recognisers that pdsn can take as its base: how they are built, what they see, how their weights are named.

An architecture of one's own is a Python file such as

```python
from torch import nn

from pdsn.networks.imported.architecture import Architecture


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

import hashlib
import importlib.util
import math
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from pdsn.config.sections import ALIGNMENTS, LARGEST_SIDE, SMALLEST_SIDE, SettingError
from pdsn.errors import PdsnError, UsageError
from pdsn.networks.imported.inception_resnet import DOWNLOADS, InceptionResnet, without_logits
from pdsn.networks.imported.iresnet import BLOCKS, TEMPLATE, IResNet, norm_for_features
from pdsn.networks.imported.mobilefacenet import TEMPLATE_112X96, MobileFaceNet

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


ARCHITECTURES: dict[str, Architecture] = {
    "mobilefacenet": Architecture(
        "mobilefacenet", MobileFaceNet, (112, 96), std=(128.0, 128.0, 128.0), landmarks=TEMPLATE_112X96
    ),
    **{
        name: Architecture(
            name, partial(IResNet, blocks), (112, 112), landmarks=TEMPLATE, rename=norm_for_features
        )
        for name, blocks in BLOCKS.items()
    },
    "inception_resnet_v1": Architecture(
        "inception_resnet_v1",
        InceptionResnet,
        (160, 160),
        std=(128.0, 128.0, 128.0),
        align="box",
        rename=without_logits,
        downloads=DOWNLOADS,
    ),
}
"""Recognisers by name."""


ARCH = "pretrained.arch"
"""The setting that names one."""


def find_architecture(name: str) -> Architecture:
    """What `--arch` names.

    Args:
        name: a key of `ARCHITECTURES`, "timm:NAME", or a Python file that defines `architecture`. The file
            is executed: that is what naming it asks for.

    Raises:
        SettingError: there is none of that name, or the file defines none; one line says why.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if name.startswith("timm:"):
        # timm takes seconds to import.
        from pdsn.networks.imported.timm_backbone import timm_architecture

        return timm_architecture(name.removeprefix("timm:"))
    if name.endswith(".py"):
        return _own(Path(name))
    raise SettingError(
        ARCH,
        name,
        f"is unknown: choose from {', '.join(ARCHITECTURES)}, timm:NAME or a FILE.py that defines `architecture`",
    )


def _own(path: Path) -> Architecture:
    if not path.is_file():
        raise SettingError(ARCH, path, ": there is no such file")
    # Files in different folders may have one name.
    whole = str(path.resolve())
    module_name = f"pdsn_architecture_{hashlib.sha256(whole.encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(module_name, whole)
    assert spec is not None and spec.loader is not None, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    # Dataclasses with postponed annotations look their module up there.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except PdsnError as error:
        raise SettingError(ARCH, path, f": {error}") from error
    except (Exception, SystemExit) as error:
        reason = (str(error).splitlines() or [""])[0]
        wrong = f"fails{_line(error, whole)}: {type(error).__name__}: {reason}"
        raise SettingError(ARCH, path, wrong) from error
    found = getattr(module, "architecture", None)
    if found is None:
        raise SettingError(
            ARCH, path, "defines no `architecture`: end it with architecture = Architecture(…)"
        )
    if not isinstance(found, Architecture):
        raise SettingError(
            ARCH,
            path,
            f": `architecture` is a {type(found).__name__}, not an Architecture "
            "of pdsn.networks.imported.architecture",
        )
    return found


def _line(error: BaseException, path: str) -> str:
    """The line of the user's file at which it failed, in words; empty if it is not known."""
    if isinstance(error, SyntaxError):
        # Its message names the line.
        return ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f" in line {lines[-1]}" if lines else ""
