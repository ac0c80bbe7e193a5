"""What the detector does with boxes: non-maximum suppression, shifts, squares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress as ignored
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def suppress(boxes: np.ndarray, overlap: float) -> np.ndarray:
    """Indices of the boxes (M, 5 or more: corners, score) left by non-maximum suppression, best first."""
    import torch

    if len(boxes) == 0:
        return np.zeros(0, dtype=np.int64)
    kept: np.ndarray = _suppression()(
        torch.from_numpy(boxes[:, :4]), torch.from_numpy(boxes[:, 4]), overlap
    ).numpy()
    return kept


@cache
def _suppression() -> Callable[[Tensor, Tensor, float], Tensor]:
    """torchvision's non-maximum suppression, from its library alone: importing all of torchvision takes about two seconds."""
    import torch

    spec = find_spec("torchvision")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    with ignored(OSError, AttributeError, RuntimeError):
        for library in folder.glob("_C*"):
            torch.ops.load_library(str(library))
        operator: Callable[[Tensor, Tensor, float], Tensor] = torch.ops.torchvision.nms
        return operator
    from torchvision.ops import nms

    return nms


def suppress_nested(boxes: np.ndarray, overlap: float) -> list[int]:
    """As `suppress`, but the overlap is a share of the smaller box: a box inside a better one goes."""
    kept: list[int] = []
    for index in np.argsort(-boxes[:, 4], kind="stable").tolist():
        if not (nested(boxes[index], boxes[kept]) > overlap).any():
            kept.append(index)
    return kept


def nested(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """What a box (4 or more) has in common with others (M, 4 or more), as shares (M,) of the smaller of both."""
    low, high = np.maximum(others[:, :2], box[:2]), np.minimum(others[:, 2:4], box[2:4])
    common = np.prod(np.maximum(high - low + 1, 0), axis=1)
    areas = np.prod(others[:, 2:4] - others[:, :2] + 1, axis=1)
    return common / np.minimum(areas, np.prod(box[2:4] - box[:2] + 1))


def shifted(boxes: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move the corners of (M, 5) boxes by a network's (M, 4) answer, given in edges of the box."""
    edges = boxes[:, 2:4] - boxes[:, :2] + 1
    return np.column_stack([boxes[:, :4] + shift * np.tile(edges, 2), boxes[:, 4]])


def square(boxes: np.ndarray) -> np.ndarray:
    """(M, 5) boxes grown to squares around their centres."""
    edges = boxes[:, 2:4] - boxes[:, :2]
    longest = edges.max(axis=1, keepdims=True)
    low = boxes[:, :2] + edges / 2 - longest / 2
    return np.column_stack([low, low + longest, boxes[:, 4]])
