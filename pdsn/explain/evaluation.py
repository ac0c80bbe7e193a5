"""Explanations of many probes, in numbers: do the maps lie on what is covered, do they point at what counts?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from pdsn.bases.encoder import Encoder
from pdsn.data.dataset import FaceDataset, evenly
from pdsn.evaluation.probes import MakeProbes
from pdsn.explain.attribution import attribution, layer_of, to_pixels
from pdsn.explain.measures import area, focus, order_curve, rank_correlation
from pdsn.explain.score import PairScore
from pdsn.explain.settings import ExplainConfig
from pdsn.masks.strategy import NO_FDM
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.matcher import Faces, by_signature
from pdsn.matchers.memory import MapMemory
from pdsn.metrics import bootstrap_interval
from pdsn.occlusion.occluders import Occluder

FIGURES = ("focus", "deletion", "insertion", "random")
"""What is measured, see `Measured`."""
BATCH = 50
"""Faces that a gradient is taken of at a time."""
UNBOUNDED = (-np.inf, np.inf)


@dataclass
class Measured:
    """One method's figures under one occlusion for one matcher, photo by photo; NaN where one cannot be told.

    Attributes:
        method, occlusion, strategy: names.
        focus: (P,) see `measures.focus`, of the pixels that the occluder has covered.
        deletion, insertion: (P,) areas under the curves, see `measures.order_curve`; NaN for photos that have none.
        random: (P,) rank correlation with the map of the same network with random weights: a map that hardly changes
            shows the photo, not what was learned (Adebayo et al., 2018).
    """

    method: str
    occlusion: str
    strategy: str
    focus: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    random: np.ndarray


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
        """A record for each method, occlusion and matcher: means with intervals over people.

        `FIGURE` is a mean, None where no photo has one; `FIGURE_ci95` its interval. `FIGURE_change` and `FIGURE_change_ci95`
        are of the paired difference from no FDM.
        """
        found = []
        for one in self.measured:
            plain = None if one.strategy == NO_FDM else self.find(one.method, one.occlusion, NO_FDM)
            record: dict[str, object] = {
                "method": one.method,
                "occlusion": one.occlusion,
                "strategy": one.strategy,
                "photos": len(one.focus),
            }
            for name in FIGURES:
                values = getattr(one, name)
                record |= self._mean(name, values, bootstrap, seed)
                if plain is not None:
                    record |= self._mean(f"{name}_change", values - getattr(plain, name), bootstrap, seed)
            found.append(record)
        return found

    def _mean(self, name: str, values: np.ndarray, bootstrap: int, seed: int) -> dict[str, object]:
        known = ~np.isnan(values)
        if not known.any():
            return {name: None, f"{name}_ci95": None}
        interval = bootstrap_interval(
            values[known], self.people[known], UNBOUNDED, draws=bootstrap, seed=seed
        )
        return {name: float(values[known].mean()), f"{name}_ci95": list(interval)}


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
    enrolled = dataset.tensor(task.gallery)
    labels, owners = dataset.labels[task.probes], dataset.labels[task.gallery]
    result = ExplainedProbes(labels)
    random = {name: at_random(matcher) for name, matcher in task.matchers.items()}
    plain = task.matchers[NO_FDM]
    layer_of(PairScore(plain, ()), task.own.layer)  # a layer that there is not is said at once
    gallery = plain.prepare(Faces.free(enrolled), "gallery")
    own = torch.from_numpy(owners[None] == labels[:, None])
    for occlusion, occluder in occluders.items():
        made = make_probes(occlusion, occluder, 0)
        assert made.exact is not None
        covered = made.exact if task.find_covered is None else task.find_covered(made.faces)
        faces = Faces(made.faces, covered)
        scores = plain.compare(plain.prepare(faces, "probe"), gallery)
        nearest = scores.masked_fill(~own, -torch.inf).argmax(1)
        references = Faces.free(enrolled[nearest])
        for name, matcher in task.matchers.items():
            for method in task.own.methods:
                maps = _maps(matcher, method, faces, references, task.own.layer)
                untrained = _maps(random[name], method, faces, references, task.own.layer)
                curves = _curves(task, matcher, maps, faces, references)
                result.measured.append(
                    Measured(
                        method,
                        occlusion,
                        name,
                        focus(maps, made.exact).numpy(),
                        curves["deletion"],
                        curves["insertion"],
                        rank_correlation(maps, untrained).numpy(),
                    )
                )
                if on_progress is not None:
                    on_progress(f"{occlusion}, {method}")
    return result


def at_random(matcher: Cosine) -> Cosine:
    """The same matcher on a base of the same kind whose weights are drawn anew, from a fixed seed."""
    memory = matcher.memory
    net = copy.deepcopy(memory.encoder.net)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for module in net.modules():
            draw = getattr(module, "reset_parameters", None)
            if isinstance(module, nn.Module) and callable(draw):
                draw()
    same = copy.copy(matcher)
    same.memory = MapMemory(Encoder(net, memory.encoder.accelerator), mirror=memory.mirror)
    return same


def _maps(matcher: Cosine, method: str, faces: Faces, references: Faces, layer: str) -> Tensor:
    """The maps (P, H, W) of faces under their own signatures, each with its reference."""
    size = (faces.pixels.shape[2], faces.pixels.shape[3])
    result = torch.empty((len(faces), *size))
    for signature, rows in by_signature(matcher.signatures(faces)).items():
        score = PairScore(matcher, signature)
        for first in range(0, len(rows), BATCH):
            part = rows[first : first + BATCH]
            known = score.reference(references[part])
            cells = attribution(method, score, faces.pixels[part], known, layer)
            result[part] = to_pixels(cells, size).cpu()
    return result


def _curves(
    task: Task, matcher: Cosine, maps: Tensor, faces: Faces, references: Faces
) -> dict[str, np.ndarray]:
    """Areas (P,) under the curves of some probes, spread evenly, by kind; NaN of the others."""
    found = {kind: np.full(len(faces), np.nan) for kind in ("deletion", "insertion")}
    signatures = matcher.signatures(faces)
    for row in evenly(np.arange(len(faces)), task.own.curves).tolist():
        score = PairScore(matcher, signatures[row])
        known = score.reference(references[[row]])
        for kind, areas in found.items():
            curve = order_curve(
                faces.pixels[row],
                task.instead,
                maps[row],
                lambda some, score=score, known=known: score(some.to(known.device), known),  # type: ignore[misc]
                task.own.steps,
                kind,
            )
            areas[row] = area(curve)
    return found
