"""The export of a run: networks, masks, a description, and a card, in a folder that needs no pdsn.

```
DIR/
  trunk.onnx       faces (N, 3, H, W) float32, 0 to 255, RGB -> maps (N, C, h, w)
  head.onnx        maps (N, C, h, w) -> embeddings (N, E), not normalised
  probe-trunk.onnx, probe-head.onnx   the same for probes, where the base has two branches
  segmenter.onnx   faces (N, 3, H, W) -> logits (N, H, W), above 0 where covered; not with --no-segmenter
  dictionary.npz   binary (R, C, h, w) bool, mean (R, C, h, w) float32, boxes (R, 4) int64; not for no FDM
  pdsn.json        how they go together, and the sha256 of each
  MODEL_CARD.md    what it was trained on, its figures, its limits, and an example
```
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pdsn.artefact import read_json, versions
from pdsn.data.dataset import LANDMARKS, FaceDataset
from pdsn.data.faces import goal_of
from pdsn.deploy.card import model_card
from pdsn.deploy.exported import Exported
from pdsn.deploy.onnx import (
    BATCHES,
    OPSET,
    PROBE,
    TOLERANCE,
    largest_difference,
    parts_of,
    require_onnx,
    write_part,
)
from pdsn.errors import PdsnError, UsageError
from pdsn.files import sha256_of, temporary_folder
from pdsn.masks.dictionary import MaskDictionary
from pdsn.occlusion.layouts import mirrored
from pdsn.progress import unheard

KIND, FORMAT = "pdsn export", 1
ABOUT, CARD, MASKS = "pdsn.json", "MODEL_CARD.md", "dictionary.npz"
FILES = (
    "trunk.onnx",
    "head.onnx",
    f"{PROBE}trunk.onnx",
    f"{PROBE}head.onnx",
    "segmenter.onnx",
    MASKS,
    CARD,
    ABOUT,
)
"""Every file that an export can have; an older export's that the new one lacks are removed."""
COMBINE = (
    "Two faces are compared under one FDM: a pixel that is covered in either cannot be compared (logits above 0). A region is "
    "occluded when more than `share` of the pixels in its box are. The FDM "
    "is the product of the occluded regions' masks (of binary ones, their AND), 1 where there is none; the "
    "array `masks` of dictionary.npz has them. It multiplies the maps of both faces "
    "before the head. Where there are probe-trunk.onnx and probe-head.onnx, probes pass these, galleries trunk.onnx and "
    "head.onnx. With `mirror`, the embedding of the mirror image, under the masks of the set of regions "
    "that `mirrored` names (null: none), is added. Compare by cosine: where `compare` is nearest, with each photo; where it is mean, "
    "with the normalised sum of each person's embeddings; where it is both, by the mean of the two cosines. Where a region "
    "is occluded, `unmasked` is the weight of the comparison without FDM, the rest that of the one under it: put the unit "
    "embeddings of a face side by side, each times the root of its weight."
)


@dataclass(frozen=True)
class Written:
    """A network that was written and checked.

    Attributes:
        file: its name.
        size: in bytes.
        difference: largest difference to torch, see `pdsn.deploy.onnx.largest_difference`.
    """

    file: str
    size: int
    difference: float


def check_target(folder: Path) -> None:
    """Raise UsageError unless a folder is new, empty or an earlier export."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--onnx {folder} is a file: give a folder")
    if not folder.is_dir() or all(path.name.startswith(".") for path in folder.iterdir()):
        return
    about = folder / ABOUT
    if not about.is_file() or read_json(about, "a new --onnx").get("kind") != KIND:
        raise UsageError(
            f"--onnx {folder} holds something else (no {ABOUT} of an export): give an empty or a new folder"
        )


def write_export(
    exported: Exported, target: Path, *, on_part: Callable[[str], None] = unheard
) -> list[Written]:
    """Write the export of a run and check every network against torch.

    Nothing appears in `target` before everything is written and checked.

    Args:
        exported: the parts of the run.
        target: the folder, see `check_target`.
        on_part: told the name of each network once it is written and checked.

    Returns:
        What was written.

    Raises:
        PdsnError: the extra `onnx` is not installed, a network cannot be written as ONNX, or its file does
            not answer as torch does.
        UsageError: `target` holds something else.
    """
    require_onnx()
    check_target(target)
    dataset, masks = exported.dataset, exported.dictionary
    faces = example_faces(dataset)
    parts = parts_of(exported.net, exported.segmenter, dataset.size)
    trunks = {part.name.removesuffix("trunk"): part.network for part in parts if part.name.endswith("trunk")}
    with _staged(target) as folder:
        written = []
        for part in parts:
            path = write_part(part, folder)
            inputs = trunks[part.name.removesuffix("head")](faces).detach() if part.takes == "maps" else faces
            difference = largest_difference(part, path, inputs)
            if not difference <= TOLERANCE:  # also refuses NaN
                raise PdsnError(
                    f"{part.file} differs from torch by {difference:.2g} standard deviations of its output, more "
                    f"than {TOLERANCE:g}: nothing was written to {target}; please report it"
                )
            written.append(Written(part.file, path.stat().st_size, difference))
            on_part(part.name)
        if masks is not None:
            write_masks(masks, folder / MASKS)
        about = describe_export(exported, written)
        (folder / CARD).write_text(model_card(exported, about), encoding="utf-8")
        about["files"] = {name: sha256_of(folder / name) for name in FILES if (folder / name).is_file()}
        (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        _publish(folder, target)
    return written


def example_faces(dataset: FaceDataset) -> Tensor:
    """As many faces (N, 3, H, W) float32 as the largest batch of the check, spread over the data set."""
    rows = np.linspace(0, len(dataset.faces) - 1, max(BATCHES)).round().astype(int)
    return dataset.tensor(rows).float().contiguous()


def write_masks(dictionary: MaskDictionary, path: Path) -> None:
    """Write a dictionary as plain arrays: binary, mean and boxes (top, left, bottom, right in pixels)."""
    np.savez(
        path,
        binary=dictionary.binary.cpu().numpy(),
        mean=dictionary.mean.cpu().numpy(),
        boxes=np.array([list(box) for box in dictionary.layout.regions.values()], dtype=np.int64),
    )


def describe_export(exported: Exported, written: list[Written]) -> dict[str, Any]:
    """What `pdsn.json` says, but for the hashes of the files."""
    crop, asked, masks = exported.crop, exported.settings.eval, exported.dictionary
    libraries = ("onnx", "onnxscript", "onnxruntime")
    about: dict[str, Any] = {
        "kind": KIND,
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **versions(),
        "size": list(exported.dataset.size),
        "channels": "RGB",
        "range": [0, 255],
        "map_shape": list(exported.net.map_shape),
        "embedding": exported.net.embedding,
        "align": crop.align,
        "landmarks": list(LANDMARKS),
        "template": goal_of(crop).tolist() if crop.align == "similarity" else None,
        "strategy": None if masks is None else exported.strategy,
        "regions": [] if masks is None else list(masks.layout.regions),
        "masks": None if masks is None else "mean" if masks.soft else "binary",
        "mirrored": [] if masks is None else [next(iter(one), None) for one in mirrored(masks.layout)],
        "share": exported.settings.regions.share,
        "mirror": asked.mirror,
        "compare": asked.compare,
        "unmasked": 0.0 if masks is None else asked.unmasked,
        "combine": COMBINE,
        "opset": OPSET,
        "checked": {
            "batches": list(BATCHES),
            "tolerance": TOLERANCE,
            "largest_difference": {part.file: part.difference for part in written},
        },
        "inputs": exported.sources,
    }
    about["libraries"] |= {name: version(name) for name in libraries}
    return about


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """An empty folder on the same file system as `target`; it goes when the block ends, however it ends."""
    with temporary_folder(target if target.is_dir() else target.parent) as temporary:
        # The temporary folder is for its owner alone; what is made in it has the usual permissions.
        (temporary / "export").mkdir()
        yield temporary / "export"


def _publish(folder: Path, target: Path) -> None:
    """Move a finished export to its place: a new folder in one step, an earlier export file by file."""
    if not target.exists():
        folder.rename(target)
        return
    for name in FILES:
        if name != ABOUT and not (folder / name).is_file():
            (target / name).unlink(missing_ok=True)
    # The description goes first: if this is cut short, the folder is known as an export, and hashes tell.
    for name in (ABOUT, *FILES):
        if (folder / name).is_file():
            (folder / name).replace(target / name)
