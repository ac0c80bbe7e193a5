"""The scores behind a table of verification, in a file: what paired differences between runs are made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from pdsn.artefact import load_tensors, save_tensors
from pdsn.errors import PdsnError
from pdsn.evaluation.verification import PairScores

SCORES = "scores.safetensors"
"""What it is called."""
Key = tuple[str, str, str]
"""Occlusion, kind of pair, strategy."""
SIDES = ("genuine", "impostor")


def save_scores(path: Path, scores: Mapping[Key, PairScores]) -> None:
    """Write the scores of pairs, as float16, and whom they show.

    All occlusions and strategies of one kind have the same pairs in the same order: people are written once for each kind.
    """
    tensors: dict[str, torch.Tensor] = {}
    for (occlusion, kind, strategy), pairs in scores.items():
        for side in SIDES:
            values = torch.from_numpy(np.asarray(getattr(pairs, side))).half()
            tensors["\t".join((occlusion, kind, strategy, side))] = values
            people = torch.from_numpy(np.asarray(getattr(pairs, f"{side}_people"))).int()
            tensors.setdefault("\t".join((kind, side)), people)
    save_tensors(path, tensors, {})


def load_scores(path: Path, remake: str) -> dict[Key, PairScores]:
    """Read what `save_scores` wrote.

    Raises:
        PdsnError: it is missing or damaged; the message says that `remake` makes it again.
    """
    tensors, _ = load_tensors(path, remake)
    try:
        people = {
            name: value.numpy().astype(np.int64) for name, value in tensors.items() if name.count("\t") == 1
        }
        keys = dict.fromkeys(tuple(name.split("\t")[:3]) for name in tensors if name.count("\t") == 3)
        return {
            (occlusion, kind, strategy): PairScores(
                *(tensors[f"{occlusion}\t{kind}\t{strategy}\t{side}"].double().numpy() for side in SIDES),
                *(people[f"{kind}\t{side}"] for side in SIDES),
            )
            for occlusion, kind, strategy in keys
        }
    except (KeyError, ValueError) as error:
        raise PdsnError(f"{path} is damaged ({error}): make it again with `{remake}`") from error
