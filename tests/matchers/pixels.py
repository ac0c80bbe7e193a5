"""A matcher whose scores are known without any network: cosines of the pixels themselves."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from pdsn.matchers.matcher import Faces, Role, Rows, Signature, names_of
from pdsn.occlusion.layouts import Box, Layout


class Pixels:
    """Leaves the pixels of covered regions out of both faces; with `only`, sees these rows come what may.

    Attributes:
        asked: the probes of each `prepare`, in order.
        compared: how many probes each `compare` had.
    """

    symmetric = True

    def __init__(self, layout: Layout, only: slice | None = None) -> None:
        self.layout = layout
        self.only = only
        self.asked: list[Tensor] = []
        self.compared: list[int] = []

    @property
    def regions(self) -> Mapping[str, Box]:
        return self.layout.regions

    def signatures(self, a: Faces, b: Faces | None = None) -> list[Signature]:
        covered = a.covered if b is None else a.covered | b.covered
        return [tuple(row) for row in self.layout.occluded(covered).tolist()]

    def joint(self, a: Faces, b: Faces) -> tuple[list[Signature], Tensor]:
        pairs = [self.signatures(a[[row] * len(b)], b) for row in range(len(a))]
        found = sorted({signature for row in pairs for signature in row})
        return found, torch.tensor([[found.index(signature) for signature in row] for row in pairs])

    def prepare(self, faces: Faces, role: Role) -> PixelFaces:
        if role == "probe":
            self.asked.append(faces.pixels)
        return PixelFaces(self, faces)

    def restored(self, tensors: Mapping[str, Tensor]) -> PixelFaces:
        return PixelFaces(self, Faces(tensors["pixels"], tensors["covered"]))

    def compare(self, probes: PixelFaces, gallery: PixelFaces) -> Tensor:
        self.compared.append(len(probes))
        result = torch.empty((len(probes), len(gallery)))
        signatures, places = self.joint(probes.faces, gallery.faces)
        for place, signature in enumerate(signatures):
            scores = (
                self.embed(probes.faces.pixels, signature) @ self.embed(gallery.faces.pixels, signature).T
            )
            result = torch.where(places == place, scores, result)
        return result

    def pairs(self, a: PixelFaces, b: PixelFaces) -> Tensor:
        return self.compare(a, b).diagonal()

    def embed(self, pixels: Tensor, signature: Signature) -> Tensor:
        """Pixels (N, E), of length 1, without those that a signature counts as covered."""
        keep = torch.ones(self.layout.size)
        if self.only is not None:
            keep[:] = 0
            keep[self.only] = 1
        else:
            for name in names_of(signature, self.regions):
                box = self.regions[name]
                keep[box.top : box.bottom, box.left : box.right] = 0
        return F.normalize(((pixels.float() - 128) * keep).flatten(1))


class PixelFaces:
    def __init__(self, matcher: Pixels, faces: Faces) -> None:
        self.matcher = matcher
        self.faces = faces

    @property
    def signatures(self) -> list[Signature]:
        return self.matcher.signatures(self.faces)

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, rows: Rows) -> PixelFaces:
        return PixelFaces(self.matcher, self.faces[rows])

    def kept(self) -> dict[str, Tensor]:
        return {"pixels": self.faces.pixels, "covered": self.faces.covered.contiguous()}
