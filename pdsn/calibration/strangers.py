"""Thresholds for "unknown" and "same": from the scores of people who are known to be somebody else.

They come from photos whose names are known, the *strangers*: the run's own, which are, split by photo, everybody's
validation photos; split by person, the photos of the validation people; or those of a folder, since strangers on other
photos than the run's look more or less alike than they do there. For identification each of them is asked about as a
stranger: its highest score in the gallery **without its own person**, see `pdsn.calibration.impostors`. For
verification pairs of photos of two different people count.

Scores under different feature-discarding masks (FDMs) cannot be compared, and an FDM does not remove all that an
occlusion does. So the strangers wear what people wear, in the validation's styles, which nothing was trained on; what
is covered is found as it is for a probe; and scores are measured in standard deviations above the mean of strangers of
the same signature. Where a signature is rare among them, a block of random grey over its regions stands in.

The false-positive rate that is asked for remains an estimate. Split by photo, the strangers are strangers to
the gallery, not to the base: it was trained on other photos of everybody, so people it never saw may pass more
often. Split by person it never saw them, as it never saw whoever comes to the door. Either way what they wear is
painted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pdsn import __version__
from pdsn.data.dataset import FaceDataset, evenly
from pdsn.errors import PdsnError, UsageError
from pdsn.files import atomic_path
from pdsn.occlusion.layouts import Box
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import CLEAN, RANDOM_BLOCK, Block, Nothing, RandomBlock, occlude
from pdsn.occlusion.worn import KINDS, Worn

DEFAULT_FPR = 0.01
"""Share of strangers who may be taken for somebody, where nobody asks for another."""
OWN = "the run's validation photos"
"""Where strangers come from, unless from a folder."""
MOST_STRANGERS = 1000
"""Photos of strangers behind a threshold; of more, as many spread evenly."""
FEW = 128
"""Of these as many as get a block where a signature is rare."""
METHOD = 2
"""Raised whenever the strangers or what they wear change: scores that were kept before are not taken up."""
LOOKS = (CLEAN, *KINDS, RANDOM_BLOCK)
"""What each stranger is seen under, one after the other: nothing, what people wear, and a block."""


@dataclass(frozen=True)
class Strangers:
    """Photos of people with known names, from which thresholds are calibrated.

    Attributes:
        faces: (V, 3, H, W) uint8.
        names: the person of each.
        landmarks: (V, 5, 2) x, y in pixels: where what they wear goes.
        source: where they come from, for messages.
    """

    faces: Tensor
    names: list[str]
    landmarks: np.ndarray
    source: str = OWN
    _blocked: dict[tuple[Box, ...], Tensor] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, dataset: FaceDataset, by: str = "photo") -> Strangers:
        """The validation photos of the split by "photo" or by "person", at most `MOST_STRANGERS`.

        Raises:
            PdsnError: there are none.
        """
        rows = evenly(dataset.rows("val", by), MOST_STRANGERS)
        if not len(rows):
            raise PdsnError(
                f"no threshold can be calibrated: {dataset.root} has no validation photos in the split by {by}; "
                "prepare more people, with more photos each"
            )
        names = [dataset.people[label] for label in dataset.labels[rows]]
        return cls(dataset.tensor(rows), names, dataset.landmarks[rows])

    def __len__(self) -> int:
        return len(self.faces)

    def blocked(self, boxes: tuple[Box, ...]) -> Tensor:
        """The photos (V, 3, H, W) with a block of random grey over some boxes, the same at every call."""
        if not boxes:
            return self.faces  # the tensor itself: its maps are kept
        if boxes not in self._blocked:
            # The last one alone is kept: matchers are asked about it one after the other, and share its maps.
            self._blocked.clear()
            self._blocked[boxes] = self._under(Block(boxes, None), "stranger", range(len(self)))[0]
        return self._blocked[boxes]

    @cached_property
    def few(self) -> tuple[np.ndarray, Strangers]:
        """Rows of at most `FEW` of them, spread evenly, and these: enough for a mean and a deviation."""
        rows = evenly(np.arange(len(self)), FEW)
        names = [self.names[row] for row in rows]
        return rows, Strangers(self.faces[rows.tolist()], names, self.landmarks[rows], self.source)

    def wearing(self, look: str, rows: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Photos under one of `LOOKS`, the same at every call.

        Args:
            look: what is worn.
            rows: N of the photos; None for all.

        Returns:
            (N, 3, H, W) uint8 and the exact mask (N, H, W) bool of what is covered.
        """
        if look == CLEAN and rows is None:
            return self.faces, torch.zeros((len(self), *self.faces.shape[2:]), dtype=torch.bool)
        occluder = (
            Worn(look, "val") if look in KINDS else RandomBlock() if look == RANDOM_BLOCK else Nothing()
        )
        return self._under(occluder, f"stranger {look}", range(len(self)) if rows is None else rows)

    def _under(self, occluder: Occluder, name: str, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        chosen = list(rows)
        faces, landmarks = self.faces[chosen], self.landmarks[chosen]
        return occlude(occluder, faces, landmarks, seed=0, name=name, rows=chosen)


class KeptScores:
    """Impostor scores, computed once for each way of being covered; on disk too where there is a folder.

    Args:
        folder: where files are kept, safe to delete; None for this process alone.
        made: everything the scores depend on besides the key of each: base, dictionary, data set, precision.
    """

    def __init__(self, folder: Path | None = None, made: Sequence[object] = ()) -> None:
        self.folder = folder
        self.made = tuple(made)
        self._known: dict[Hashable, np.ndarray] = {}

    def get(self, key: Hashable, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The scores (n,) of a key, from memory, from disk, or computed."""
        if key not in self._known:
            self._known[key] = compute() if self.folder is None else self._from(self.folder, key, compute)
        return self._known[key]

    def digest(self, key: Hashable) -> str:
        """Part of the name of a file that depends on all this and a key."""
        return hashlib.sha256(repr((__version__, METHOD, self.made, key)).encode()).hexdigest()[:16]

    def _from(self, folder: Path, key: Hashable, compute: Callable[[], np.ndarray]) -> np.ndarray:
        path = folder / f"scores-{self.digest(key)}.npy"
        with suppress(OSError, ValueError, EOFError):
            return np.asarray(np.load(path, allow_pickle=False))
        scores = compute()
        # A run that cannot be written to can be used all the same.
        with suppress(OSError), atomic_path(path) as temporary:
            np.save(temporary, scores)
        return scores


def threshold_at(impostors: np.ndarray, fpr: float) -> float:
    """The cosine that has to be passed: the m-th largest of n impostor scores, m = floor(fpr * (n + 1)).

    At most m - 1 of the impostors lie above it, a share below `fpr`. A further impostor, drawn as these
    were, passes it with a probability of at most m / (n + 1), thus of at most `fpr` (a conformal test).

    Args:
        impostors: (n,) scores.
        fpr: false-positive rate, at least 1 / (n + 1) and below 1.
    """
    place = _place(fpr, len(impostors))
    return float(np.partition(impostors, len(impostors) - place)[len(impostors) - place])


def finest_rate(count: int) -> float:
    """The smallest false-positive rate that `count` impostor scores can tell, rounded up to a millionth."""
    return math.ceil(1e6 / (count + 1)) / 1e6


def check_rate(fpr: float, count: int, what: str) -> None:
    """Raise UsageError unless `count` impostor scores can tell a false-positive rate."""
    if not 0 < fpr < 1:
        raise UsageError(f"--fpr {fpr} is out of range: above 0 and below 1, such as 0.01")
    if _place(fpr, count) < 1:
        raise UsageError(
            f"--fpr {fpr:g} is too small to be told by {count} {what}: at least {finest_rate(count):g}"
        )


def _place(fpr: float, count: int) -> int:
    # 0.29 * 100 is 28.999…: what is whole on paper must stay whole.
    return min(math.floor(fpr * (count + 1) + 1e-9), count)
