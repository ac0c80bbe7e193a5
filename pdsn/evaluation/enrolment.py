"""Who is enrolled and who is asked about: the two protocols of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pdsn.data.dataset import FaceDataset
from pdsn.errors import PdsnError


@dataclass(frozen=True)
class Enrolment:
    """The gallery and the probes of a table.

    Attributes:
        gallery: (G,) rows of the enrolled photos in the data set, ascending.
        probes: (P,) rows of the photos that are asked about, ascending; everybody among them is enrolled.
        left_out: photos of the split whose person cannot be both enrolled and asked about.
        by_row: the probes of each row of the table, where they are not the same ones under every occlusion.
    """

    gallery: np.ndarray
    probes: np.ndarray
    left_out: int
    by_row: Mapping[str, np.ndarray] = field(default_factory=dict)

    def asked(self, row: str) -> np.ndarray:
        """(P,) rows of the photos that are asked about in a row of the table."""
        return self.by_row.get(row, self.probes)

    @classmethod
    def by_photo(cls, dataset: FaceDataset, split: str) -> Enrolment:
        """The training photos are enrolled, the photos of `split`, "val" or "test", are the probes.

        Photos of people without a training photo are left out.

        Raises:
            PdsnError: there is nobody to recognise.
        """
        gallery, probes = dataset.rows("train"), dataset.rows(split)
        known = probes[np.isin(dataset.labels[probes], dataset.labels[gallery])]
        if not len(known):
            raise PdsnError(
                f"{dataset.root}: the {split} split holds nobody of the gallery; prepare more photos a person"
            )
        return cls(gallery, known, len(probes) - len(known))

    @classmethod
    def by_person(cls, dataset: FaceDataset, split: str, enrol: int) -> Enrolment:
        """Some photos of each person of a split by person are enrolled, the others are the probes.

        Which ones the split seed decides, not the seed of the training. People with no more than `enrol`
        photos are left out.

        Args:
            dataset: the faces.
            split: "val" or "test".
            enrol: photos of each person in the gallery.

        Raises:
            PdsnError: there are no two people to tell apart.
        """
        inside = dataset.rows(split, by="person")
        chosen: list[np.ndarray] = []
        probes: list[np.ndarray] = []
        for person in np.unique(dataset.labels[inside]):
            rows = inside[dataset.labels[inside] == person]
            if len(rows) > enrol:
                order = np.random.default_rng((dataset.split_seed, int(person), 2)).permutation(rows)
                chosen.append(order[:enrol])
                probes.append(order[enrol:])
        if len(chosen) < 2:
            raise PdsnError(
                f"{dataset.root}: the {split} split by person holds {len(chosen)} people with more than {enrol} "
                "photos, too few to tell apart; prepare more people, or take a smaller enrol under [eval]"
            )
        gallery, asked = np.sort(np.concatenate(chosen)), np.sort(np.concatenate(probes))
        return cls(gallery, asked, len(inside) - len(gallery) - len(asked))
