"""Fixtures: a tiny data set whose people differ everywhere, and a run trained on it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from pdsn.data.dataset import Face, FaceDataset, write_dataset
from pdsn.data.template import template

# Tests must not depend on the machine's cores, nor fight over them.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

SIZE = (64, 48)


def make_dataset(
    root: Path, people: int = 6, photos: int = 12, size: tuple[int, int] = SIZE, seed: int = 0
) -> FaceDataset:
    """People as smooth random patterns, photos as noisy, shifted and relit copies of them."""
    rng = np.random.default_rng(seed)
    faces, described = [], []
    for person in range(people):
        coarse = rng.uniform(30, 225, (8, 6, 3))
        pattern = np.kron(coarse, np.ones((size[0] // 8, size[1] // 6, 1)))
        for photo in range(photos):
            moved = np.roll(pattern, rng.integers(-2, 3, 2), (0, 1)) * rng.uniform(0.8, 1.2)
            faces.append(np.clip(moved + rng.normal(0, 12, pattern.shape), 0, 255).astype(np.uint8))
            points = template(size) + rng.normal(0, 0.8, (5, 2))
            name = f"person_{person:02d}"
            described.append(Face(name, f"{name}/{photo:03d}.png", (0.0, 0.0, size[1], size[0]), 1.0, points))
    return write_dataset(root, faces, described, size, settings={"source": "test"}, split_seed=0)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    """Six people with twelve photos each, 64x48."""
    return make_dataset(tmp_path_factory.mktemp("dataset"))
