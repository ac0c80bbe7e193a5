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
_COVERED = '''

def covered(faces):
    """Which pixels (N, H, W) of faces (N, 3, H, W) are covered, bool."""
    return segmenter.run(None, {"faces": faces})[0] > 0
'''
_OCCLUDED = '''

def occluded(pixels):
    """Numbers of the regions of which more than the share is covered, of pixels (H, W) bool."""
    parts = [pixels[top:bottom, left:right] for top, left, bottom, right in masks["boxes"]]
    return tuple(number for number, part in enumerate(parts) if part.mean() > about["share"])
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

def cosines(probe, gallery):
    """Cosines (G,) of a probe (3, H, W) to gallery faces (G, 3, H, W)."""
    return embed(gallery{enrolled}) @ embed(probe[None]{shown})[0]
'''
_JOINTLY = '''

def cosines(probe, gallery{covered}):
    """Cosines (G,) of a probe (3, H, W) to gallery faces (G, 3, H, W){given}.

    A pixel that is covered in one photo cannot be compared, whatever the other shows: both count.
    """
    hidden = [occluded(one) for one in {probe} | {gallery}]
    result = np.zeros(len(gallery), np.float32)
    for regions in set(hidden):
        alike = [number for number, other in enumerate(hidden) if other == regions]
{score}    return result
'''
_UNDER = """
        result[alike] = embed(gallery[alike], regions{enrolled}) @ embed(probe[None], regions{shown})[0]
"""
_BOTH = """
        # Under the FDM and without it, weighted.
        for left_out, weight in ((regions, 1 - about["unmasked"]), ((), about["unmasked"])):
            part = embed(gallery[alike], left_out{enrolled}) @ embed(probe[None], left_out{shown})[0]
            result[alike] += weight * part
"""


def example(
    *, masks: bool, segmenter: bool, mirror: bool, unmasked: bool = False, branches: bool = False
) -> str:
    """The program for an export.

    It defines `cosines(probe, gallery)`, or `cosines(probe, gallery, probe_covered, gallery_covered)` where the
    export has masks but no segmentation.

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
        text += (_COVERED if segmenter else "") + _OCCLUDED
    text += _EMBED.format(
        regions=", regions" if masks else "",
        networks=", trunk, head" if branches else "",
        without=" without these regions' features" if masks else "",
        views="(False, True)" if mirror else "(False,)",
        fdm=_FDM[1:] if masks else "",
    )
    networks = {
        "enrolled": ", trunk, head" if branches else "",
        "shown": ", probe_trunk, probe_head" if branches else "",
    }
    if not masks:
        return (text + _COSINES.format(**networks)).rstrip("\n")
    text += _JOINTLY.format(
        covered="" if segmenter else ", probe_covered, gallery_covered",
        given="" if segmenter else ", with their covered pixels (H, W), (G, H, W)",
        probe="covered(probe[None])" if segmenter else "probe_covered",
        gallery="covered(gallery)" if segmenter else "gallery_covered",
        score=(_BOTH if unmasked else _UNDER)[1:].format(**networks),
    )
    return text.rstrip("\n")
