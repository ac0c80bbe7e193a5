"""How much of the exact answer a table's index finds, and how long both take; not a test, and not collected.

    pip install -e ".[scale]" && python -m tests.benchmarks.lance 100000

(in a checkout) makes a table in LanceDB with so many photos of drawn people, 13 a person, and two sets of regions instead of LM2's 32. There are
no faces: a person is a random direction of 128 numbers, a photo of the person that direction with noise, so that two photos of one
person have a cosine of about 0.5 and strangers one about 0; under the FDM a third of the numbers is left out. Half of the probes are further photos of the people, half are
strangers, all under the FDM. Recall is the share of the probes for which the index finds the nearest person of the exact search, and the share
of the five nearest people that it finds. Real embeddings crowd more in places: measure your own by `identify` with and
without `--index`.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.matchers.embedding import EmbeddingMatcher
from pdsn.matchers.matcher import Faces, Signature
from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import Box, Layout
from pdsn.store.insertion import NewPhoto
from pdsn.store.kinds import current, open_store
from pdsn.store.lance import index
from pdsn.store.lance.table import LanceStore
from pdsn.store.search import Hit, nearest_people
from pdsn.store.variants import Variants

SIDE, WIDTH, KEPT = 8, 128, 85
PHOTOS_A_PERSON = 13
NOISE = 1.0
"""Length of the noise on a person's direction."""
PART = 10_000
PROBES = 200
PEOPLE = 5


class Drawn(EmbeddingMatcher):
    """Takes the embeddings of probes from a list, by a number in their pixels."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__(Layout("one", (SIDE, SIDE), {"face": Box(0, 0, SIDE, SIDE)}, {}))
        self.vectors = vectors

    def look(self, pixels: Tensor, role: Role) -> list[Tensor]:
        numbers = pixels[:, 0, 0, 0].long() * 256 + pixels[:, 0, 0, 1].long()
        return [self.vectors[numbers]]

    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        return under(views[0], any(signature))


def under(vectors: Tensor, covered: bool) -> Tensor:
    """Unit vectors, with or without the numbers that the FDM leaves out."""
    kept = torch.arange(WIDTH) < (KEPT if covered else WIDTH)
    return F.normalize(vectors * kept)


def photos_of(people: Tensor, generator: torch.Generator) -> Tensor:
    """A photo of each of some people, given by their directions."""
    noise = F.normalize(torch.randn(people.shape, generator=generator)) * NOISE
    return F.normalize(people + noise)


def build(address: str, people: Tensor, photos: int) -> LanceStore:
    """A table with so many photos."""
    store = LanceStore.create(address, {"drawn": True}, [WIDTH, WIDTH])
    generator = torch.Generator().manual_seed(1)
    for first in range(0, photos, PART):
        numbers = range(first, min(first + PART, photos))
        vectors = photos_of(people[[number // PHOTOS_A_PERSON for number in numbers]], generator)
        rows = torch.cat([under(vectors, False), under(vectors, True)], 1).half().numpy()
        store.add(
            [
                NewPhoto(f"person {number // PHOTOS_A_PERSON}", f"{number}", f"{number}", f"{number}", (0, 0, 1, 1), 1.0, 1.0, 1.0,
                         0.0, [], [], row)
                for number, row in zip(numbers, rows, strict=True)
            ]
        )  # fmt: skip
    return store


def recall(exact: list[list[Hit]], found: list[list[Hit]]) -> tuple[float, float]:
    """Share of the nearest people, and of the five nearest, that were found."""
    first = np.mean([a[0].person == b[0].person for a, b in zip(exact, found, strict=True)])
    five = [
        len({hit.person for hit in a} & {hit.person for hit in b}) / len(a)
        for a, b in zip(exact, found, strict=True)
    ]
    return float(first), float(np.mean(five))


def measure(photos: int, folder: Path) -> None:
    """Print what search finds and takes in a table with so many photos."""
    generator = torch.Generator().manual_seed(0)
    people = F.normalize(torch.randn((photos // PHOTOS_A_PERSON + 1, WIDTH), generator=generator))
    mine = torch.randint(0, len(people), (PROBES // 2,), generator=generator)
    strangers = F.normalize(torch.randn((PROBES - len(mine), WIDTH), generator=generator))
    shown = torch.cat([photos_of(people[mine], generator), strangers])
    variants = Variants(Drawn(shown), "drawn")
    pixels = torch.zeros((PROBES, 3, SIDE, SIDE), dtype=torch.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = torch.arange(PROBES) // 256, torch.arange(PROBES) % 256
    covered = torch.ones((PROBES, SIDE, SIDE), dtype=torch.bool)
    probes = variants.matcher.prepare(Faces(pixels, covered), "probe")

    began = time.perf_counter()
    store = build(f"lance://{folder}/people", people, photos)
    built = time.perf_counter()
    index.make_index(store)
    indexed = time.perf_counter()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(
        f"{photos} photos: enrolled in {built - began:.0f} s, indexes of 2 columns in {indexed - built:.0f} s, {size / 2**30:.2f} GiB"
    )
    began = time.perf_counter()
    whole = current(store, None, "nearest")
    opened = time.perf_counter()
    nearest_people(whole, variants, probes[:1], PEOPLE)
    one = time.perf_counter()
    exact = nearest_people(whole, variants, probes, PEOPLE)
    all_ = time.perf_counter()
    print(
        f"  exact: opened in {opened - began:.1f} s, 1 probe {1000 * (one - opened):.0f} ms, {PROBES} at once {1000 * (all_ - one) / PROBES:.1f} ms each"
    )
    some = current(open_store(store.root, by_index=True), None, "nearest")
    for share in (0.01, 0.03, 0.1, 0.3):
        index.ASKED = share
        began = time.perf_counter()
        found = nearest_people(some, variants, probes, PEOPLE)
        took = (time.perf_counter() - began) / PROBES
        half = len(mine)
        known, unknown = recall(exact[:half], found[:half]), recall(exact[half:], found[half:])
        print(
            f"  index, {share:4.0%} of the groups: {1000 * took:.1f} ms each; nearest person found of the enrolled {known[0]:.1%}, of strangers "
            f"{unknown[0]:.1%}; five nearest {known[1]:.1%}, {unknown[1]:.1%}"
        )
    print(f"  memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


def main() -> None:
    """Measure each size that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=int, nargs="*", default=[100_000], help="photos in the table")
    for photos in parser.parse_args().photos:
        with tempfile.TemporaryDirectory() as folder:
            measure(photos, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
