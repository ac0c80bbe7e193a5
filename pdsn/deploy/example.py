"""The program in a model card: what the run's recogniser does, in numpy and onnxruntime."""

from __future__ import annotations

_OPEN = """
import json
from pathlib import Path

import numpy as np
import onnxruntime

FOLDER = Path(".")  # where this card lies
about = json.loads((FOLDER / "pdsn.json").read_text(encoding="utf-8"))
"""
_MASKS = """
masks = dict(np.load(FOLDER / "dictionary.npz"))
"""
_NETWORKS = """
files = [str(FOLDER / f"{{name}}.onnx") for name in ({files})]
{names} = (onnxruntime.InferenceSession(file) for file in files)
"""
_COVERED = """
    covered = segmenter.run(None, {"faces": face[None]})[0][0] > 0
"""
_OCCLUDED = '''

def occluded({argument}):
    """Numbers of the regions of which more than the share is covered."""
{covered}    parts = [covered[top:bottom, left:right] for top, left, bottom, right in masks["boxes"]]
    return [number for number, part in enumerate(parts) if part.mean() > about["share"]]
'''
_EMBED = '''

def embed(faces{regions}{networks}):
    """Embeddings (N, E) of length 1 of faces (N, 3, H, W){without}."""
    total = np.float32(0)
    for flipped in {views}:
        view = np.ascontiguousarray(faces[..., ::-1]) if flipped else faces
        maps = trunk.run(None, {{"faces": view}})[0]
{fdm}        total = total + head.run(None, {{"maps": maps}})[0]
    return total / np.linalg.norm(total, axis=1, keepdims=True)
'''
_FDM = """
        chosen = sorted({about["mirrored"][n] if flipped else n for n in regions} - {None})
        maps = maps * masks[about["masks"]][chosen].prod(0, dtype=np.float32)  # no region: 1
"""
_COSINES = '''

def cosines(probe, gallery{covered}):
    """Cosines (G,) of a probe (3, H, W) to gallery faces (G, 3, H, W)."""
{regions}    return embed(gallery{asked}{enrolled}) @ embed(probe[None]{asked}{shown})[0]
'''
_BOTH = '''

def cosines(probe, gallery{covered}):
    """Cosines (G,) of a probe (3, H, W) to gallery faces (G, 3, H, W), under the FDM and without it, weighted."""
{regions}    under, without = (
        embed(gallery, hidden{enrolled}) @ embed(probe[None], hidden{shown})[0] for hidden in (regions, [])
    )
    return (1 - about["unmasked"]) * under + about["unmasked"] * without
'''


def example(
    *, masks: bool, segmenter: bool, mirror: bool, unmasked: bool = False, branches: bool = False
) -> str:
    """The program for an export.

    It defines `cosines(probe, gallery)`, or `cosines(probe, gallery, covered)` where the export has masks but
    no segmentation.

    Args:
        masks: the export has a dictionary.
        segmenter: the export has the segmentation.
        mirror: embeddings of mirror images are added.
        unmasked: the comparison without masks counts beside the one under them.
        branches: probes have networks of their own.
    """
    finds = masks and segmenter
    names = [
        "trunk",
        "head",
        *(("probe-trunk", "probe-head") if branches else ()),
        *(("segmenter",) if finds else ()),
    ]
    files = ", ".join(f'"{name}"' for name in names)
    text = _OPEN[1:] + (_MASKS[1:] if masks else "")
    text += _NETWORKS[1:].format(names=", ".join(names).replace("-", "_"), files=files)
    if masks:
        argument, covered = ("face", _COVERED[1:]) if segmenter else ("covered", "")
        text += _OCCLUDED.format(argument=argument, covered=covered)
    text += _EMBED.format(
        regions=", regions" if masks else "",
        networks=", trunk, head" if branches else "",
        without=" without these regions' features" if masks else "",
        views="(False, True)" if mirror else "(False,)",
        fdm=_FDM[1:] if masks else "",
    )
    text += (_BOTH if masks and unmasked else _COSINES).format(
        covered=", covered" if masks and not segmenter else "",
        regions=f"    regions = occluded({'probe' if segmenter else 'covered'})\n" if masks else "",
        asked=", regions" if masks else "",
        enrolled=", trunk, head" if branches else "",
        shown=", probe_trunk, probe_head" if branches else "",
    )
    return text.rstrip("\n")
