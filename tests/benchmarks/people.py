"""How long search in a people store takes, beside faiss's flat index on the same embeddings; not a test, and not collected.

    pip install -e ".[bench]" && python -m tests.benchmarks.people 13000 1000000

(in a checkout) makes a store with so many photos of drawn people (unit vectors of 128 numbers, 13 photos a person), with two sets of regions
instead of LM2's 32: search reads one of them, however many there are. It asks for the five nearest people of one probe, and of
64 at once, under the FDM of the other set, and asks faiss (`IndexFlatIP`, float32) for the five nearest photos. Both take turns,
with as many threads; the fastest turn of each counts, in seconds of the processor per thread, which others on the machine
disturb least. The removal of a person is timed by the clock. `--vectors int8` has embeddings kept so.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn import functional as F

from pdsn.matchers.embedding import EmbeddingMatcher
from pdsn.matchers.matcher import Faces, Signature
from pdsn.networks.branches import Role
from pdsn.occlusion.layouts import Box, Layout
from pdsn.store.codes import CODES, DEFAULT
from pdsn.store.folder_snapshot import FolderSnapshot
from pdsn.store.insertion import NewPhoto
from pdsn.store.search import nearest_people
from pdsn.store.store import VECTORS, Store
from pdsn.store.variants import Variants

SIDE, WIDTH = 8, 128
PHOTOS_A_PERSON = 13
PART = 10_000
TURNS = 7


class Drawn(EmbeddingMatcher):
    """Takes the embedding of a probe from its pixels; of covered ones it is another."""

    def __init__(self) -> None:
        super().__init__(Layout("one", (SIDE, SIDE), {"face": Box(0, 0, SIDE, SIDE)}, {}))

    def look(self, pixels: Tensor, role: Role) -> list[Tensor]:
        return [pixels.flatten(1).float() - 128]

    def embed(self, views: list[Tensor], signature: Signature, role: Role) -> Tensor:
        return F.normalize(views[0][:, int(any(signature)) :][:, :WIDTH])


def build(root: Path, photos: int, vectors: str) -> tuple[Store, Variants]:
    """A store with so many photos, that keeps embeddings in one of the ways of `codes.CODES`."""
    variants = Variants(Drawn(), "drawn")
    store = Store.create(root, {"drawn": True, VECTORS: vectors}, [WIDTH, WIDTH])
    generator = torch.Generator().manual_seed(0)
    for first in range(0, photos, PART):
        count = min(PART, photos - first)
        vectors = F.normalize(torch.randn((count, 2, WIDTH), generator=generator), dim=2)
        rows = vectors.half().flatten(1).numpy()
        store.add(
            [
                NewPhoto(f"person {number // PHOTOS_A_PERSON}", f"{number}", f"{number}", f"{number}", (0, 0, 1, 1), 1.0, 1.0, 1.0,
                         0.0, [], [], row)
                for number, row in enumerate(rows, first)
            ]
        )  # fmt: skip
    return store, variants


def fastest(*tasks: Callable[[], object]) -> list[float]:
    """Seconds of the processor of the fastest of several turns of each task, which take turns."""
    best = [np.inf] * len(tasks)
    for _ in range(TURNS):
        for place, task in enumerate(tasks):
            began = time.process_time()
            task()
            best[place] = min(best[place], time.process_time() - began)
    return best


def measure(photos: int, vectors: str, threads: int) -> None:
    """Print what search takes in a store with so many photos."""
    import faiss

    faiss.omp_set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        store, variants = build(Path(folder) / "team", photos, vectors)
        built = time.perf_counter()
        snapshot = FolderSnapshot(store)
        opened = time.perf_counter() - built
        print(f"{photos} photos: enrolled in {built - began:.1f} s, opened in {opened:.2f} s")
        place = variants.place((True,))
        shown = torch.randint(0, 256, (64, 3, SIDE, SIDE), dtype=torch.uint8)
        probes = variants.matcher.prepare(
            Faces(shown, torch.ones((64, SIDE, SIDE), dtype=torch.bool)), "probe"
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        nearest_people(snapshot, variants, probes, 5)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        index = faiss.IndexFlatIP(WIDTH)
        for first in range(0, photos, PART):
            index.add(snapshot.rows(place, np.arange(first, min(first + PART, photos))).numpy())
        for count in (1, 64):
            asked = probes[:count]
            queries = asked.under((True,), list(range(count))).numpy()
            ours, theirs = fastest(
                lambda asked=asked: nearest_people(snapshot, variants, asked, 5),
                lambda queries=queries: index.search(queries, 5),
            )
            print(
                f"  {count:2} probes: {1000 * ours / threads:8.2f} ms, faiss {1000 * theirs / threads:8.2f} ms, ratio {ours / theirs:.2f}"
            )
        print(
            f"  memory of the first search: {grown:.0f} MiB, a signature's array {photos * store.vectors.sizes[place] / 2**20:.0f} MiB"
        )
        began = time.perf_counter()
        store.remove("person 5")
        print(f"  a person removed in {time.perf_counter() - began:.2f} s")


def main() -> None:
    """Measure each size that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=int, nargs="+", help="photos in the store")
    parser.add_argument("--vectors", choices=CODES, default=DEFAULT)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with threadpool_limits(asked.threads):  # numpy's products
        for photos in asked.photos:
            measure(photos, asked.vectors, asked.threads)


if __name__ == "__main__":
    sys.exit(main())
