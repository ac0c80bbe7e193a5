"""The one evaluation: every recogniser is asked about the same occluded probes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pdsn.data.dataset import FaceDataset
from pdsn.errors import PdsnError
from pdsn.occlusion.occluders import Occluder, occlude
from pdsn.recognition.metrics import (
    best_per_person,
    bootstrap_interval,
    rank_rate,
    rank_rate_per_person,
    true_rank,
)
from pdsn.recognition.recogniser import Recogniser

NO_FDM = "none"
"""Name of the strategy without a feature-discarding mask."""


@dataclass(frozen=True)
class Answer:
    """One recogniser's answers under one occlusion.

    Attributes:
        occlusion, strategy: names.
        rows: (P,) rows of the probes in the data set.
        ranks: (P,) place of the true person, 1 for the nearest.
        found: (P,) row of the nearest gallery photo.
        cosine: (P,) its score.
        regions: the regions that counted as occluded, for each probe.
        seconds: wall-clock time of the answers; maps that strategies share count for the first.
    """

    occlusion: str
    strategy: str
    rows: np.ndarray
    ranks: np.ndarray
    found: np.ndarray
    cosine: np.ndarray
    regions: list[list[str]]
    seconds: float


@dataclass
class Evaluation:
    """All answers of a table, in the order in which they were asked for."""

    dataset: FaceDataset
    answers: list[Answer] = field(default_factory=list)
    left_out: int = 0

    def find(self, occlusion: str, strategy: str) -> Answer | None:
        """The answers under an occlusion by a strategy, None if it was not asked."""
        for answer in self.answers:
            if (answer.occlusion, answer.strategy) == (occlusion, strategy):
                return answer
        return None

    def records(self, *, bootstrap: int, seed: int) -> list[dict[str, object]]:
        """One record for each occlusion and strategy, rates as fractions.

        `ci95` is of rank-1, by bootstrap over photos; `gain` is rank-1 above no FDM on the same probes,
        `gain_ci95` the interval of that paired difference (both absent without strategy `none`).
        """
        records = []
        for answer in self.answers:
            labels = self.dataset.labels[answer.rows]
            hits = (answer.ranks <= 1).astype(float)
            record: dict[str, object] = {
                "occlusion": answer.occlusion,
                "strategy": answer.strategy,
                "probes": len(answer.rows),
                "rank1": rank_rate(answer.ranks, 1),
                "rank5": rank_rate(answer.ranks, 5),
                "rank1_per_person": rank_rate_per_person(answer.ranks, labels, 1),
                "rank5_per_person": rank_rate_per_person(answer.ranks, labels, 5),
                "ci95": list(bootstrap_interval(hits, draws=bootstrap, seed=seed)),
            }
            plain = self.find(answer.occlusion, NO_FDM)
            if plain is not None and answer.strategy != NO_FDM:
                gain = hits - (plain.ranks <= 1)
                record["gain"] = float(gain.mean())
                record["gain_ci95"] = list(bootstrap_interval(gain, draws=bootstrap, seed=seed))
            record["seconds"] = round(answer.seconds, 3)
            records.append(record)
        return records

    def mean_gains(
        self, occlusions: Sequence[str], *, bootstrap: int, seed: int
    ) -> dict[str, dict[str, object]]:
        """Rank-1 above no FDM, averaged over occlusions, of each strategy; the interval resamples photos."""
        found: dict[str, dict[str, object]] = {}
        for strategy in dict.fromkeys(answer.strategy for answer in self.answers):
            gains = []
            for name in occlusions:
                ours, plain = self.find(name, strategy), self.find(name, NO_FDM)
                if strategy != NO_FDM and ours is not None and plain is not None:
                    gains.append((ours.ranks <= 1).astype(float) - (plain.ranks <= 1))
            if gains:
                mean = np.mean(gains, axis=0)
                found[strategy] = {
                    "occlusions": list(occlusions),
                    "gain": float(mean.mean()),
                    "ci95": list(bootstrap_interval(mean, draws=bootstrap, seed=seed)),
                }
        return found


def evaluate(
    dataset: FaceDataset,
    recognisers: Mapping[str, Recogniser],
    occluders: Mapping[str, Occluder],
    *,
    split: str,
    seed: int,
    describe: Callable[[str, Tensor], list[list[str]]],
    on_answer: Callable[[Answer], None] | None = None,
) -> Evaluation:
    """Recognise the probes of a split under every occlusion with every recogniser.

    The gallery is the training split. Probes whose person has no gallery photo are left out.

    Args:
        dataset: the faces.
        recognisers: by strategy.
        occluders: by name.
        split: the probes, "test" or "val".
        seed: of the occlusions; a photo's occlusion depends on it, the name and the photo alone.
        describe: the occluded regions' names of each probe, from strategy and covered pixels (P, H, W).
        on_answer: told of each answer as it comes.

    Raises:
        PdsnError: there is nobody to recognise.
    """
    gallery, probes = dataset.rows("train"), dataset.rows(split)
    known = probes[np.isin(dataset.labels[probes], dataset.labels[gallery])]
    if not len(known):
        raise PdsnError(
            f"{dataset.root}: the {split} split holds nobody of the gallery; prepare more photos a person"
        )
    result = Evaluation(dataset, left_out=len(probes) - len(known))
    people = torch.from_numpy(dataset.labels[gallery])
    labels = torch.from_numpy(dataset.labels[known])
    faces = dataset.tensor(gallery)
    for recogniser in recognisers.values():
        recogniser.enrol(faces, people)
    clean = dataset.tensor(known)
    for occlusion, occluder in occluders.items():
        occluded, covered = occlude(
            occluder, clean, dataset.landmarks[known], seed=seed, name=occlusion, rows=known.tolist()
        )
        for strategy, recogniser in recognisers.items():
            began = time.perf_counter()
            scores = recogniser.scores(occluded, covered)
            nearest = scores.max(1)
            ranks = true_rank(best_per_person(scores, people, len(dataset.people)), labels)
            answer = Answer(
                occlusion,
                strategy,
                known,
                ranks.cpu().numpy(),
                gallery[nearest.indices.cpu().numpy()],
                nearest.values.cpu().numpy(),
                describe(strategy, covered),
                time.perf_counter() - began,
            )
            result.answers.append(answer)
            if on_answer is not None:
                on_answer(answer)
    return result
