"""Maps of a frozen network on disk: an array of float16, and a JSON file beside it that says what it was made from.

float16 rounds a map by 5e-4 of its value, far less than an occlusion changes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdsn.artefact import completed, read_json
from pdsn.errors import PdsnError
from pdsn.files import write_text

LARGEST = float(np.finfo(np.float16).max)


def kept_maps(path: Path, wanted: dict[str, Any], before: Mapping[str, Any]) -> np.ndarray | None:
    """The array at `path`, memory-mapped, if it is finished and was made from what is wanted, else None.

    Args:
        path: the .npy file.
        wanted: what it has to be made from, as JSON has it.
        before: what later entries are of older files, see `artefact.completed`.
    """
    try:
        found = completed(read_json(path.with_suffix(".json"), ""), wanted, before)
        return np.load(path, mmap_mode="r", allow_pickle=False) if found == wanted else None
    except (PdsnError, OSError, ValueError):  # missing or damaged: to be made again
        return None


def forget_maps(path: Path) -> None:
    """Until it is `finished`, nothing may pass for the array at `path`, which is about to be written."""
    path.with_suffix(".json").unlink(missing_ok=True)


def finished_maps(path: Path, wanted: dict[str, Any]) -> np.ndarray:
    """The array at `path`, memory-mapped, after a note beside it of what it was made from."""
    write_text(path.with_suffix(".json"), json.dumps(wanted) + "\n")
    return np.load(path, mmap_mode="r", allow_pickle=False)


def to_disk(maps: Tensor) -> np.ndarray:
    """Maps as float16. Those of a hardly trained base may pass its largest value; infinities would end as NaN."""
    return maps.clamp(max=LARGEST).half().cpu().numpy()


def to_tensor(maps: np.ndarray, device: torch.device) -> Tensor:
    """Maps off the disk as a float32 tensor on the device."""
    return torch.from_numpy(np.array(maps)).to(device).float()
