"""Maps of faces, computed once for every matcher that looks at the same faces."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from torch import Tensor

from pdsn.bases.encoder import Encoder


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
        self._faces: Tensor | None = None
        self._views: list[Tensor] = []
        self._kept: list[tuple[weakref.ref[Tensor], list[Tensor]]] = []

    def keep(
        self,
        faces: Tensor,
        views: list[Tensor] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Tensor]:
        """Keep the maps of these very faces (the tensor itself) until nobody else has it any more.

        Args:
            faces: (N, 3, H, W) uint8.
            views: their maps as `views` returned them before, if they are known.
            on_progress: told the faces done and in all.

        Returns:
            The maps, see `views`.
        """
        made = (
            self._look(faces, on_progress)
            if views is None
            else [view.to(self.encoder.device) for view in views]
        )
        self._kept.append((weakref.ref(faces, self._forget), made))
        return made

    def _forget(self, gone: weakref.ref[Tensor]) -> None:
        self._kept = [one for one in self._kept if one[0] is not gone]

    def views(self, faces: Tensor) -> list[Tensor]:
        """Maps (N, C, h, w) of the faces and, with `mirror`, those of their mirror images."""
        for kept, views in self._kept:
            if kept() is faces:
                return views
        if self._faces is not faces:
            self._views = self._look(faces)
            self._faces = faces
        return self._views

    def _look(self, faces: Tensor, on_progress: Callable[[int, int], None] | None = None) -> list[Tensor]:
        sides = 2 if self.mirror else 1
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            if on_progress is not None:
                on_progress(done // sides, len(faces))

        views = [self.encoder.maps(faces, count)]
        if self.mirror:
            views.append(self.encoder.maps(faces.flip(3), count))
        return views
