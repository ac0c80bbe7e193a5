"""Explanations of many probes, in numbers: do the maps lie on what is covered, do they point at what counts?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pdsn.data.dataset import FaceDataset, evenly, next_other
from pdsn.evaluation.probes import MakeProbes
from pdsn.explain.attribution import attribution, layer_of, to_pixels
from pdsn.explain.measures import area, order_curve, rank_correlation, share_inside
from pdsn.explain.score import PairScore
from pdsn.explain.settings import ExplainConfig
from pdsn.explain.untrained import at_random
from pdsn.masks.strategy import NO_FDM
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.matcher import Faces, by_signature
from pdsn.metrics import bootstrap_interval
from pdsn.occlusion.occluder import Occluder

BATCH = 50
"""Faces that a gradient is taken of at a time."""
LEAST_PEOPLE = 10
"""Fewer give no interval."""
SHARES = ("covered", "bare")
LIKENESSES = ("random", "other")
KINDS = ("deletion", "insertion")
UNBOUNDED = (-np.inf, np.inf)


@dataclass
class Measured:
    """One method's figures under one occlusion for one matcher, photo by photo; NaN where one cannot be told.

    Attributes:
        method, occlusion, strategy: names.
        covered: (P,) share of the map that lies on the pixels that the occluder has covered.
        bare: (P,) share of the map of the clean photo, without an FDM, that lies on the same pixels.
        area: (P,) share of the face that these pixels are.
        random: (P,) rank correlation with the map of the same network with random weights: a map that hardly changes
            shows the photo, not what was learned (Adebayo et al., 2018).
        other: (P,) rank correlation with the map of the next photo of another person: what any two faces have in common.
        curves: scores (P, S + 1) while pixels go or come, see `measures.order_curve`, by `KINDS`, and by the same names with
            "_any" where the order is random; NaN for photos that have none.
        blank: (P,) whether the map is 0 everywhere.
    """

    method: str
    occlusion: str
    strategy: str
    covered: np.ndarray
    bare: np.ndarray
    area: np.ndarray
    random: np.ndarray
    other: np.ndarray
    curves: dict[str, np.ndarray]
    blank: np.ndarray


@dataclass
class ExplainedProbes:
    """What was measured, and whom the photos show."""

    people: np.ndarray
    measured: list[Measured] = field(default_factory=list)

    def find(self, method: str, occlusion: str, strategy: str) -> Measured | None:
        """The figures of a method under an occlusion for a matcher; None if it was not measured."""
        for one in self.measured:
            if (one.method, one.occlusion, one.strategy) == (method, occlusion, strategy):
                return one
        return None

    def records(self, *, bootstrap: int, seed: int) -> list[dict[str, object]]:
        """A record for each method, occlusion and matcher.

        Of `Measured`'s shares and likenesses the mean over the photos that have one, None where none has, and `_ci95`, its
        interval over people; "area" is the mean share of the face that is covered, "ratio" the mean of `covered`
        divided by it: 1 where a map lies on the covered pixels no more and no less than elsewhere. "maps" counts the photos
        whose map is not all 0. "change" is `covered` above that without an FDM, of the photos that have a map with both.
        "deletion" and "insertion" are the areas under the mean curves from 0, nothing is seen, to 1, the whole face is;
        "_any" where the order is random; "curves" has the mean curves.
        """
        found = []
        for one in self.measured:
            plain = None if one.strategy == NO_FDM else self.find(one.method, one.occlusion, NO_FDM)
            record: dict[str, object] = {
                "method": one.method,
                "occlusion": one.occlusion,
                "strategy": one.strategy,
                "photos": len(one.random),
                "maps": int((~one.blank).sum()),
            }
            # The area is what was painted, not an estimate: it has no interval.
            record["area"] = self._mean("area", one.area, bootstrap, seed)["area"]
            with np.errstate(divide="ignore", invalid="ignore"):
                record |= self._mean("ratio", one.covered / one.area, bootstrap, seed)
            for name in (*SHARES, *LIKENESSES):
                record |= self._mean(name, getattr(one, name), bootstrap, seed)
            if plain is not None:
                record |= self._mean("change", one.covered - plain.covered, bootstrap, seed)
            found.append(record | _areas(one.curves))
        return found

    def _mean(self, name: str, values: np.ndarray, bootstrap: int, seed: int) -> dict[str, object]:
        known = ~np.isnan(values)
        if not known.any():
            return {name: None, f"{name}_ci95": None}
        interval = None
        if len(np.unique(self.people[known])) >= LEAST_PEOPLE:
            interval = list(
                bootstrap_interval(values[known], self.people[known], UNBOUNDED, draws=bootstrap, seed=seed)
            )
        return {name: float(values[known].mean()), f"{name}_ci95": interval}


def _areas(curves: Mapping[str, np.ndarray]) -> dict[str, object]:
    """Areas under the mean curves, and the curves; None where no photo has any."""
    known = ~np.isnan(next(iter(curves.values()))[:, 0])
    if not known.any():
        return {"curved": 0, **dict.fromkeys(curves), "curves": None}
    means = {name: scores[known].mean(0) for name, scores in curves.items()}
    # Of the whole face and of one of which nothing is seen.
    whole, empty = float(means["deletion"][0]), float(means["deletion"][-1])
    scaled = {
        name: (curve - empty) / (whole - empty) if whole != empty else curve * 0
        for name, curve in means.items()
    }
    return {
        "curved": int(known.sum()),
        **{name: area(torch.from_numpy(curve)) for name, curve in scaled.items()},
        "curves": {name: [round(float(score), 6) for score in curve] for name, curve in means.items()},
    }


@dataclass(frozen=True)
class Task:
    """What is to be measured.

    Attributes:
        dataset: the faces.
        gallery: (G,) rows of the enrolled photos.
        probes: (P,) rows of the photos that are explained, all of enrolled people.
        matchers: no FDM and others, by name.
        find_covered: finds the covered pixels; None takes the exact ones.
        instead: (3, H, W), what is seen where a pixel is deleted: the mean training face.
        own: the settings.
    """

    dataset: FaceDataset
    gallery: np.ndarray
    probes: np.ndarray
    matchers: Mapping[str, Cosine]
    find_covered: Callable[[Tensor], Tensor] | None
    instead: Tensor
    own: ExplainConfig


def measure(
    task: Task,
    occluders: Mapping[str, Occluder],
    make_probes: MakeProbes,
    on_progress: Callable[[str], None] | None = None,
) -> ExplainedProbes:
    """Explain the score of each probe with the nearest photo of its own person, and measure the maps.

    Both matchers are asked about the same photo, the nearest without an FDM.

    Args:
        task: what is measured.
        occluders: by the rows of the table.
        make_probes: makes the probes of a row, those of `task.probes`.
        on_progress: told each occlusion, method and matcher that is done.
    """
    dataset = task.dataset
    labels = dataset.labels[task.probes]
    # Each probe is compared with photos of its own person: those of others need not be looked at.
    gallery_rows = task.gallery[np.isin(dataset.labels[task.gallery], labels)]
    enrolled, owners = dataset.tensor(gallery_rows), dataset.labels[gallery_rows]
    result = ExplainedProbes(labels)
    random = {name: at_random(matcher) for name, matcher in task.matchers.items()}
    for matcher in task.matchers.values():  # a layer that is none is said before anything is computed
        layer_of(PairScore(matcher, matcher.signatures(Faces.free(enrolled[:1]))[0]), task.own.layer)
    plain = task.matchers[NO_FDM]
    gallery = plain.prepare(Faces.free(enrolled), "gallery")
    own = torch.from_numpy(owners[None] == labels[:, None])

    def beside(faces: Faces) -> Faces:
        """The nearest photo of each probe's own person."""
        scores = plain.compare(plain.prepare(faces, "probe"), gallery)
        return Faces.free(enrolled[scores.masked_fill(~own, -torch.inf).argmax(1)])

    clean = Faces.free(dataset.tensor(task.probes))
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(clean.pixels.shape[2:], generator=generator).expand(len(clean), -1, -1)
    free = _groups(plain, clean, beside(clean))
    bare = {method: _maps(free, method, clean, task.own.layer) for method in task.own.methods}
    for occlusion, occluder in occluders.items():
        made = make_probes(occlusion, occluder, 0)
        assert made.exact is not None
        covered = made.exact if task.find_covered is None else task.find_covered(made.faces)
        faces = Faces(made.faces, covered)
        references = beside(faces)
        for name, matcher in task.matchers.items():
            trained, untrained = (_groups(one, faces, references) for one in (matcher, random[name]))
            # A random order is the same whatever the method.
            drawn_curves = _curves(task, trained, places, faces)
            any_order = {f"{kind}_any": curves for kind, curves in drawn_curves.items()}
            for method in task.own.methods:
                maps = _maps(trained, method, faces, task.own.layer)
                drawn = _maps(untrained, method, faces, task.own.layer)
                result.measured.append(
                    Measured(
                        method,
                        occlusion,
                        name,
                        covered=share_inside(maps, made.exact).numpy(),
                        bare=share_inside(bare[method], made.exact).numpy(),
                        area=made.exact.double().flatten(1).mean(1).numpy(),
                        random=rank_correlation(maps, drawn).numpy(),
                        other=_likeness_to_others(maps, labels),
                        curves=_curves(task, trained, maps, faces) | any_order,
                        blank=(maps == 0).flatten(1).all(1).numpy(),
                    )
                )
                if on_progress is not None:
                    on_progress(f"{occlusion}, {method}")
    return result


def _groups(matcher: Cosine, faces: Faces, references: Faces) -> list[tuple[PairScore, list[int], Tensor]]:
    """Faces by what counts as covered of them: the score, the rows, and what these are compared with (n, E)."""
    found = []
    for signature, rows in by_signature(matcher.signatures(faces)).items():
        score = PairScore(matcher, signature)
        found.append((score, rows, score.reference(references[rows])))
    return found


def _maps(
    groups: Sequence[tuple[PairScore, list[int], Tensor]], method: str, faces: Faces, layer: str
) -> Tensor:
    """The maps (P, H, W) of faces under their own signatures, each with its reference."""
    size = (faces.pixels.shape[2], faces.pixels.shape[3])
    result = torch.empty((len(faces), *size))
    for score, rows, known in groups:
        for first in range(0, len(rows), BATCH):
            part = slice(first, first + BATCH)
            cells = attribution(method, score, faces.pixels[rows[part]], known[part], layer)
            result[rows[part]] = to_pixels(cells, size).cpu()
    return result


def _likeness_to_others(maps: Tensor, labels: np.ndarray) -> np.ndarray:
    """The rank correlation (P,) of each map (P, H, W) with that of the next photo of another person; NaN where there is nobody else."""
    others = next_other(torch.from_numpy(labels))
    alone = others == torch.arange(len(others))
    return rank_correlation(maps, maps[others]).masked_fill(alone, torch.nan).numpy()


def _curves(
    task: Task, groups: Sequence[tuple[PairScore, list[int], Tensor]], orders: Tensor, faces: Faces
) -> dict[str, np.ndarray]:
    """The curves (P, S + 1) of some probes, spread evenly, by kind, in the order of maps (P, H, W); NaN of the others."""
    found = {kind: np.full((len(faces), task.own.steps + 1), np.nan) for kind in KINDS}
    chosen = set(evenly(np.arange(len(faces)), task.own.curves).tolist())
    for score, rows, known in groups:
        for place, row in enumerate(rows):
            if row not in chosen:
                continue
            reference = known[[place]]

            def scored(some: Tensor, score: PairScore = score, reference: Tensor = reference) -> Tensor:
                return score(some.to(reference.device), reference)

            for kind, curves in found.items():
                curves[row] = order_curve(
                    faces.pixels[row], task.instead, orders[row], scored, task.own.steps, kind
                ).numpy()
    return found
