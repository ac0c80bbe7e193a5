"""The one evaluation: every matcher is asked about the same occluded probes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pdsn.calibration.impostors import Impostors, look_at
from pdsn.calibration.rivals import GalleryRivals
from pdsn.calibration.strangers import Strangers
from pdsn.data.dataset import FaceDataset
from pdsn.evaluation.answers import Answer, FoundPixels, join_answers, join_pixels
from pdsn.evaluation.enrolment import Enrolment
from pdsn.evaluation.probes import MakeProbes, Probes
from pdsn.evaluation.rates import closed_set, hits, mean_gain
from pdsn.masks.strategy import NO_FDM
from pdsn.matchers.matcher import Faces, Matcher, Prepared, by_signature, names_of
from pdsn.metrics import (
    best_per_person,
    open_set_rates,
    photo_rank,
    stranger_scores,
    true_rank,
)
from pdsn.occlusion.labels import foreground_iou, pixel_accuracy
from pdsn.occlusion.layouts import OCCLUDED_SHARE, Layout
from pdsn.occlusion.occluder import Occluder
from pdsn.occlusion.occluders import is_fixed
from pdsn.progress import unheard

PROTOCOL = "2"
"""Raised whenever a table would hold other figures or columns: one that was made before is made again."""
FPIRS = {"01": 0.01, "10": 0.1}
"""False positive identification rates asked for in the table, and what its records call them."""


@dataclass
class Evaluation:
    """All answers of a table, in the order in which they were asked for.

    Attributes:
        dataset: the faces.
        answers: one for each occlusion and strategy.
        segmentation: one record for each occlusion, how well the covered pixels were found.
        found_pixels: the same for each photo, by occlusion, see `FoundPixels`.
        left_out: photos of the split that were not asked about, see `Enrolment`.
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
        """One record for each occlusion and strategy, rates as fractions, means over photos and their draws.

        For rank-k, its intervals and the gain over no FDM see `rates.closed_set` (no gain without strategy
        `none`). `tpir01` and `tpir10` are TPIR where an FPIR of 0.01 and 0.1 was asked for, `fpir01` and `fpir10` the
        FPIR that was achieved; None where the calibration photos are too few. The thresholds are those of `identify`:
        from strangers among other photos, by signature. `probes` counts photos, `missed` the draws in which no face was found any more.
        """
        records = []
        for answer in self.answers:
            plain = None if answer.strategy == NO_FDM else self.find(answer.occlusion, NO_FDM)
            ranks = answer.by_draw()
            rates = closed_set(
                ranks,
                answer.by_draw("photo_ranks"),
                self._people(answer),
                None if plain is None else plain.by_draw(),
                bootstrap=bootstrap,
                seed=seed,
            )
            record = {
                "occlusion": answer.occlusion,
                "strategy": answer.strategy,
                "probes": ranks.shape[1],
                "draws": answer.draws,
                **rates,
                **_open_set(answer),
                "missed": int((answer.found < 0).sum()),
                "seconds": round(answer.seconds, 3),
            }
            records.append(record)
        return records

    def mean_gains(
        self, occlusions: Sequence[str], *, bootstrap: int, seed: int
    ) -> dict[str, dict[str, object]]:
        """Rank-1 above no FDM, averaged over occlusions, of each strategy; the interval resamples photos."""
        found: dict[str, dict[str, object]] = {}
        for strategy in dict.fromkeys(answer.strategy for answer in self.answers):
            pairs = [(self.find(name, strategy), self.find(name, NO_FDM)) for name in occlusions]
            asked = [
                (hits(ours.by_draw(), 1), hits(plain.by_draw(), 1))
                for ours, plain in pairs
                if strategy != NO_FDM and ours is not None and plain is not None
            ]
            if asked:
                people = self._people(self.answers[0])
                found[strategy] = mean_gain(occlusions, asked, people, bootstrap=bootstrap, seed=seed)
        return found

    def _people(self, answer: Answer) -> np.ndarray:
        """(P,) the true person of each photo that was asked about."""
        return self.dataset.labels[answer.rows[: len(answer.rows) // answer.draws]]


def evaluate(
    dataset: FaceDataset,
    matchers: Mapping[str, Matcher],
    occluders: Mapping[str, Occluder],
    enrolment: Enrolment,
    strangers: Strangers,
    *,
    make_probes: MakeProbes,
    find_covered: Callable[[Tensor], Tensor] | None,
    triggers: Layout,
    share: float = OCCLUDED_SHARE,
    draws: int = 1,
    on_answer: Callable[[Answer], None] = unheard,
    on_look: Callable[[str], None] = unheard,
    on_first_draw: Callable[[Mapping[str, Answer], Probes, Tensor], None] = unheard,
) -> Evaluation:
    """Recognise the probes under every occlusion with every matcher, one draw after the other.

    A probe in which no face is found any more counts as an error.

    Args:
        dataset: the faces.
        matchers: by strategy, or by their own names.
        occluders: by name.
        enrolment: the gallery and the probes.
        strangers: from whom the thresholds are calibrated.
        make_probes: makes the occluded faces of the probes, see `Enrolment.asked`.
        find_covered: the covered pixels (P, H, W) bool of faces (P, 3, H, W); None takes the exact ones.
        triggers: regions by which the segmentation's "triggered" is counted.
        share: a region of `triggers` counts as occluded when more than this share of it is covered.
        draws: how often each photo is occluded; once where an occlusion leaves nothing to chance.
        on_answer: told of each matcher's answer to each draw as it comes.
        on_look: told of each look of the strangers when it is done, see `impostors.look_at`.
        on_first_draw: told of each occlusion when all have answered its first draw: the answers by strategy,
            the probes and what was taken as covered (P, H, W).
    """
    result = Evaluation(dataset, left_out=enrolment.left_out)
    faces, people = dataset.tensor(enrolment.gallery), torch.from_numpy(dataset.labels[enrolment.gallery])
    gallery = Faces.free(faces, people)
    enrolled = {strategy: matcher.prepare(gallery, "gallery") for strategy, matcher in matchers.items()}
    seen = look_at(strangers, matchers, find_covered, on_look=on_look)
    impostors = {
        strategy: Impostors(
            matcher,
            GalleryRivals(matcher, enrolled[strategy], dataset.people, people),
            strangers,
            seen[strategy],
        )
        for strategy, matcher in matchers.items()
    }
    for occlusion, occluder in occluders.items():
        pixels: list[FoundPixels] = []
        answers: dict[str, list[Answer]] = {strategy: [] for strategy in matchers}
        for draw in range(1 if is_fixed(occluder) else draws):
            asked = make_probes(occlusion, occluder, draw)
            covered = asked.exact if find_covered is None else find_covered(asked.faces)
            assert covered is not None, "the exact masks of photographs are not known"
            if asked.exact is not None:
                rows = enrolment.asked(occlusion)
                pixels.append(_agreement(rows, draw, asked, asked.exact, covered, triggers, share))
            shown = Faces(asked.faces, covered)
            _calibrate(impostors, shown)
            for strategy in matchers:
                names = (occlusion, strategy)
                given = (enrolled[strategy], impostors[strategy])
                answer = _answer(names, dataset, enrolment, draw, shown, asked.found, *given)
                answers[strategy].append(answer)
                on_answer(answer)
            if draw == 0:
                on_first_draw({strategy: parts[0] for strategy, parts in answers.items()}, asked, covered)
        if pixels:
            result.found_pixels[occlusion] = join_pixels(pixels)
            result.segmentation.append(result.found_pixels[occlusion].record(occlusion))
        result.answers += [join_answers(parts) for parts in answers.values()]
    return result


def _calibrate(impostors: Mapping[str, Impostors], probes: Faces) -> None:
    """Have the thresholds ready for some covered probes: signature by signature, so that matchers share the maps."""
    wanted = {name: set(own.matcher.signatures(probes)) for name, own in impostors.items()}
    for signature in sorted(set().union(*wanted.values())):
        for name, own in impostors.items():
            if signature in wanted[name]:
                own.normal(signature)


def _answer(
    names: tuple[str, str],
    dataset: FaceDataset,
    enrolment: Enrolment,
    draw: int,
    probes: Faces,
    seen: np.ndarray,
    enrolled: Prepared,
    impostors: Impostors,
) -> Answer:
    """What the matcher behind some impostors says of one draw; `seen` (P,) is in which probes a face was found."""
    began = time.perf_counter()
    matcher, count = impostors.matcher, len(probes)
    prepared = matcher.prepare(probes, "probe")
    scores = matcher.compare(prepared, enrolled)
    thresholds = {fpr: np.full(count, np.nan) for fpr in FPIRS.values()}
    normal = np.empty((count, 2))
    for signature, rows in by_signature(prepared.signatures).items():
        normal[rows] = impostors.normal(signature)
        for fpr, known in thresholds.items():
            if fpr >= impostors.finest_fpr:
                known[rows] = impostors.threshold(signature, fpr)
    labels = torch.from_numpy(dataset.labels)
    asked = enrolment.asked(names[0])
    true, people = labels[asked], labels[enrolment.gallery]
    best = best_per_person(scores, people, len(dataset.people))
    nearest = scores.max(1)
    return Answer(
        *names,
        asked,
        np.full(count, draw),
        np.where(seen, true_rank(best, true).numpy(), len(dataset.people) + 1),
        np.where(seen, photo_rank(scores, people, true).numpy(), len(enrolment.gallery) + 1),
        np.where(seen, enrolment.gallery[nearest.indices.numpy()], -1),
        np.where(seen, nearest.values.numpy(), np.nan),
        np.where(seen, stranger_scores(best, true).numpy(), np.nan),
        thresholds,
        normal,
        [names_of(signature, matcher.regions) for signature in prepared.signatures],
        time.perf_counter() - began,
    )


def _agreement(
    rows: np.ndarray,
    draw: int,
    probes: Probes,
    exact: Tensor,
    covered: Tensor,
    triggers: Layout,
    share: float,
) -> FoundPixels:
    # Photos that the occluder left clean have no foreground to find.
    iou = torch.where(exact.any(2).any(1), foreground_iou(covered, exact), torch.nan)
    return FoundPixels(
        rows,
        np.full(len(rows), draw),
        np.where(probes.found, pixel_accuracy(covered, exact).numpy(), np.nan),
        np.where(probes.found, iou.numpy(), np.nan),
        triggers.occluded(covered, share).any(1).numpy(),
        triggers.occluded(exact, share).any(1).numpy(),
    )


def _open_set(answer: Answer) -> dict[str, float | None]:
    """TPIR and achieved FPIR where each of `FPIRS` was asked for."""
    found: dict[str, float | None] = {}
    for name, fpr in FPIRS.items():
        thresholds = answer.thresholds[fpr]
        rates = open_set_rates(answer.ranks, answer.cosine, answer.stranger, thresholds)
        for rate, value in zip(("tpir", "fpir"), rates, strict=True):
            found[f"{rate}{name}"] = None if np.isnan(thresholds).any() or np.isnan(value) else value
    return found
