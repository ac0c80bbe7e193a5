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
from pdsn.occlusion.labels import foreground_iou, pixel_accuracy
from pdsn.occlusion.occluders import Occluder
from pdsn.occlusion.regions import Strategy
from pdsn.recognition.metrics import (
    best_per_person,
    bootstrap_interval,
    rank_rate,
    rank_rate_per_person,
    true_rank,
)
from pdsn.recognition.probes import MakeProbes, Probes
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
        found: (P,) row of the nearest gallery photo; -1 where no face was found in the probe.
        cosine: (P,) its score; NaN where no face was found.
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


@dataclass(frozen=True)
class FoundPixels:
    """How well the covered pixels of each probe were found; NaN where no face was found.

    Attributes:
        rows: (P,) rows of the probes in the data set.
        accuracy: (P,) share of pixels told right.
        iou: (P,) foreground intersection over union; NaN also where nothing is covered.
        triggered: (P,) whether a region counts as occluded, bool.
        triggered_exact: (P,) whether one would by the exact mask, bool.
    """

    rows: np.ndarray
    accuracy: np.ndarray
    iou: np.ndarray
    triggered: np.ndarray
    triggered_exact: np.ndarray

    def record(self, occlusion: str) -> dict[str, object]:
        """Means over the photos that show a face; None where there is nothing to average."""
        seen = ~np.isnan(self.accuracy)
        return {
            "occlusion": occlusion,
            "photos": int(seen.sum()),
            "pixel_accuracy": _mean(self.accuracy[seen]),
            "iou": _mean(self.iou[~np.isnan(self.iou)]),
            "triggered": _mean(self.triggered[seen]),
            "triggered_exact": _mean(self.triggered_exact[seen]),
        }


@dataclass
class Evaluation:
    """All answers of a table, in the order in which they were asked for.

    Attributes:
        dataset: the faces.
        answers: one for each occlusion and strategy.
        segmentation: one record for each occlusion, how well the covered pixels were found.
        found_pixels: the same for each photo, by occlusion, see `FoundPixels`.
        left_out: probes whose person has no gallery photo.
    """

    dataset: FaceDataset
    answers: list[Answer] = field(default_factory=list)
    segmentation: list[dict[str, object]] = field(default_factory=list)
    found_pixels: dict[str, FoundPixels] = field(default_factory=dict)
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
                "missed": int((answer.found < 0).sum()),
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


def _nothing(*told: object) -> None:
    """What nobody asked to be told of."""
    del told


def evaluate(
    dataset: FaceDataset,
    recognisers: Mapping[str, Recogniser],
    occluders: Mapping[str, Occluder],
    *,
    split: str,
    make_probes: Callable[[np.ndarray], MakeProbes],
    find_covered: Callable[[Tensor], Tensor] | None,
    triggers: Strategy,
    describe: Callable[[str, Tensor], list[list[str]]],
    on_answer: Callable[[Answer], None] = _nothing,
    on_occlusion: Callable[[Evaluation, str, Probes, Tensor], None] = _nothing,
) -> Evaluation:
    """Recognise the probes of a split under every occlusion with every recogniser.

    The gallery is the training split. Probes whose person has no gallery photo are left out. A probe in
    which no face is found any more counts as an error.

    Args:
        dataset: the faces.
        recognisers: by strategy.
        occluders: by name.
        split: the probes, "test" or "val".
        make_probes: from the probes' rows to the maker of their occluded faces.
        find_covered: the covered pixels (P, H, W) bool of faces (P, 3, H, W); None takes the exact ones.
        triggers: regions by which the segmentation's "triggered" is counted.
        describe: the occluded regions' names of each probe, from strategy and covered pixels (P, H, W).
        on_answer: told of each answer as it comes.
        on_occlusion: told of each occlusion when all have answered: the evaluation so far, the
            occlusion's name, its probes and what was taken as covered (P, H, W).

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
    make = make_probes(known)
    for occlusion, occluder in occluders.items():
        asked = make(occlusion, occluder)
        covered = asked.exact if find_covered is None else find_covered(asked.faces)
        result.found_pixels[occlusion] = _agreement(known, asked, covered, triggers)
        result.segmentation.append(result.found_pixels[occlusion].record(occlusion))
        for strategy, recogniser in recognisers.items():
            began = time.perf_counter()
            scores = recogniser.scores(asked.faces, covered)
            nearest = scores.max(1)
            ranks = true_rank(best_per_person(scores, people, len(dataset.people)), labels).cpu().numpy()
            answer = Answer(
                occlusion,
                strategy,
                known,
                np.where(asked.found, ranks, len(dataset.people) + 1),
                np.where(asked.found, gallery[nearest.indices.cpu().numpy()], -1),
                np.where(asked.found, nearest.values.cpu().numpy(), np.nan),
                describe(strategy, covered),
                time.perf_counter() - began,
            )
            result.answers.append(answer)
            on_answer(answer)
        on_occlusion(result, occlusion, asked, covered)
    return result


def _agreement(rows: np.ndarray, probes: Probes, covered: Tensor, triggers: Strategy) -> FoundPixels:
    exact = probes.exact
    # Photos that the occluder left clean have no foreground to find.
    iou = torch.where(exact.any(2).any(1), foreground_iou(covered, exact), torch.nan)
    return FoundPixels(
        rows,
        np.where(probes.found, pixel_accuracy(covered, exact).numpy(), np.nan),
        np.where(probes.found, iou.numpy(), np.nan),
        triggers.occluded(covered).any(1).numpy(),
        triggers.occluded(exact).any(1).numpy(),
    )


def _mean(values: np.ndarray) -> float | None:
    """The mean of a vector; None of an empty one, which JSON can say and NaN it cannot."""
    return float(values.mean()) if len(values) else None
