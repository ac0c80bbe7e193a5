"""The scores behind a table of verification, in a file: what paired differences between runs are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pdsn.artefact import making, save_tensors
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


class StoredScores(Mapping[Key, PairScores]):
    """The scores in a file that `save_scores` wrote, each read when it is asked for: all of LFW's take half a gigabyte.

    Args:
        path: the file.
        remake: the command that makes it again, for messages.

    Raises:
        PdsnError: it is missing or damaged; so does asking for scores.
    """

    def __init__(self, path: Path, remake: str) -> None:
        self.path, self.remake = path, making(remake, path)
        if not path.is_file():
            raise PdsnError(f"{path} is missing: make it with `{self.remake}`")
        names = self._read(lambda stream: list(stream.keys()))
        self._keys = list(
            dict.fromkeys(tuple(name.split("\t")[:3]) for name in names if name.count("\t") == 3)
        )

    def __getitem__(self, key: Key) -> PairScores:
        occlusion, kind, strategy = key

        def take(stream: Any) -> list[np.ndarray]:
            scores = [
                stream.get_tensor(f"{occlusion}\t{kind}\t{strategy}\t{side}").double().numpy()
                for side in SIDES
            ]
            return [
                *scores,
                *(stream.get_tensor(f"{kind}\t{side}").numpy().astype(np.int64) for side in SIDES),
            ]

        if key not in self._keys:
            raise KeyError(key)
        return PairScores(*self._read(take))

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def _read(self, take: Callable[[Any], Any]) -> Any:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as stream:
                return take(stream)
        except (SafetensorError, OSError, ValueError) as error:
            raise PdsnError(
                f"{self.path} is damaged ({error}): make it again with `{self.remake}`"
            ) from error
