"""Maps of faces, computed once for every matcher that looks at the same faces."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from torch import Tensor

from pdsn.bases.encoder import Encoder
from pdsn.networks.branches import Role, has_branches


class MapMemory:
    """Maps of faces and, for the flip-sum, of their mirror images; those of the last faces are kept.

    The matchers of one table share it: the trunk runs once for all columns. The maps of faces that are
    needed again and again, with others in between, can be kept (`keep`), as long as somebody has the faces.

    Args:
        encoder: the base.
        mirror: whether mirror images count too.
    """

    def __init__(self, encoder: Encoder, *, mirror: bool) -> None:
        self.encoder = encoder
        self.mirror = mirror
        self._branches = has_branches(encoder.net)
        self._faces: Tensor | None = None
        self._role: Role = "gallery"
        self._views: list[Tensor] = []
        self._kept: list[tuple[weakref.ref[Tensor], Role, list[Tensor]]] = []

    def keep(
        self,
        faces: Tensor,
        views: list[Tensor] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        role: Role = "gallery",
    ) -> list[Tensor]:
        """Keep the maps of these very faces (the tensor itself) until nobody else has it any more.

        Args:
            faces: (N, 3, H, W) uint8.
            views: their maps as `views` returned them before, if they are known.
            on_progress: told the faces done and in all.
            role: on which side they will be compared.

        Returns:
            The maps, see `views`.
        """
        made = (
            self._look(faces, role, on_progress)
            if views is None
            else [view.to(self.encoder.device) for view in views]
        )
        self._kept.append((weakref.ref(faces, self._forget), role, made))
        return made

    def _forget(self, gone: weakref.ref[Tensor]) -> None:
        self._kept = [one for one in self._kept if one[0] is not gone]

    def views(self, faces: Tensor, role: Role = "gallery") -> list[Tensor]:
        """Maps (N, C, h, w) of the faces on a side and, with `mirror`, those of their mirror images."""
        for kept, side, views in self._kept:
            if kept() is faces and self._alike(side, role):
                return views
        if self._faces is not faces or not self._alike(self._role, role):
            self._views = self._look(faces, role)
            self._faces, self._role = faces, role
        return self._views

    def _alike(self, one: Role, other: Role) -> bool:
        """Whether faces have the same maps on two sides."""
        return one == other or not self._branches

    def _look(
        self, faces: Tensor, role: Role, on_progress: Callable[[int, int], None] | None = None
    ) -> list[Tensor]:
        sides = 2 if self.mirror else 1
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            if on_progress is not None:
                on_progress(done // sides, len(faces))

        views = [self.encoder.maps(faces, count, role)]
        if self.mirror:
            views.append(self.encoder.maps(faces.flip(3), count, role))
        return views
