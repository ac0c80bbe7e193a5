"""MTCNN's cascade of three networks (Zhang et al., 2016), run over batches of photos.

The networks and their weights are facenet-pytorch's. The cascade around them is written here, because
`MTCNN.detect` looks at one candidate at a time (most of its time goes into thousands of tiny crops), raises
when no photo of a batch shows a face, and lets the boxes of neighbouring photos suppress each other when they
reach over the photo's edge. Here every photo is treated by itself outside the networks: a batch finds
what photo by photo finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pdsn.data.boxes import nested, shifted, square, suppress, suppress_nested
from pdsn.data.confirming import confirmed
from pdsn.data.landmarks import place_landmarks
from pdsn.data.sums import Sums
from pdsn.data.weights import COVERED, load_networks, weights_of

if TYPE_CHECKING:
    from torch import Tensor, nn

MTCNN = "mtcnn"
"""The networks as published; `weights.COVERED` has the last two trained on for covered faces, and one for their landmarks."""
SURE = 0.9
"""Probability of a face from which a weaker one is no longer considered, however near the centre."""
PIXELS_A_PASS = 2**18
"""Pixels of photos that the first network sees at once: its maps stay in the cache and memory bounded."""
CROPS_A_PASS = 64
"""Candidates that the others see at once, likewise."""
CANDIDATE = 0.03
"""Probability of a face from which a candidate of a further look is asked about again."""
SEVERAL = 8
"""Sure faces up to which a photo is looked at again for one in its middle: in a crowd that takes seconds, and nobody is in the middle."""
APART = 0.5
"""Share of the smaller of two boxes below which they are two faces."""


@dataclass(frozen=True)
class Detection:
    """One face found in a photo.

    Attributes:
        box: (4,) float64 left, top, right, bottom in pixels of the photo; may reach over its edge.
        probability: the last network's confidence, above the look's threshold and at most 1.
        landmarks: (5, 2) float64 x, y in pixels of the photo, in the order of `pdsn.data.dataset.LANDMARKS`.
        further: whether it took a further look to find it.
    """

    box: np.ndarray
    probability: float
    landmarks: np.ndarray
    further: bool = False


Further = Literal["middle", "nowhere", "never"]
"""Which photos are looked at again: those in whose middle there is no sure face; those where there is none anywhere, a fifth of
the time of a photo of 1280 pixels with a face at the side; or none."""


@dataclass(frozen=True)
class Look:
    """How closely a photo is looked at.

    Attributes:
        thresholds: probability from which each of the three networks passes a candidate on; where candidates are confirmed, the
            third is of the confirmed probability.
        pyramid: each level of the pyramid is this much smaller than the last.
        margin: the photo's edge is repeated around it, as a share of its shorter side: the first network proposes nothing
            that reaches over the edge, so that a face that fills the photo is lost.
        smallest: no smaller face is looked for than this share of the photo's shorter side, margin included.
        trained: ask the last two networks as they were trained on, not as published, and let `confirmed` say how probable a face is.
    """

    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    pyramid: float = 0.709
    margin: float = 0.0
    smallest: float = 0.0
    trained: bool = False


LOOKS: dict[str, tuple[Look, ...]] = {
    MTCNN: (Look(),),
    COVERED: (
        Look(),
        Look((0.4, 0.05, SURE), margin=0.3, trained=True),
        Look((0.3, 0.02, 0.4), pyramid=0.8, margin=0.3, smallest=0.15, trained=True),
    ),
}
"""Looks at a photo, MTCNN's own values first; each further one at photos in whose middle there is no sure face so far. So a photo
that MTCNN is sure of costs no time and stays as it is. The last look is for portraits: it may find a face that is not sure."""


class Detector:
    """Finds faces and their five landmarks.

    Args:
        min_face: edge in pixels of the smallest face looked for; the time grows with its inverse square.
        device: torch device of the networks.
        networks: `COVERED`, `MTCNN`, or a file that `pdsn detector-train` made.

    Raises:
        PdsnError: the file cannot be read.
    """

    def __init__(self, min_face: int = 40, device: str = "cpu", networks: str = COVERED) -> None:
        import torch

        from pdsn.data.mtcnn import OutputNet, RefinementNet, published

        self.min_face, self.networks = min_face, networks
        self.device = torch.device(device)
        modules: tuple[nn.Module, ...] = (*published(), RefinementNet(), OutputNet(), OutputNet())
        self.proposal, self.refine, self.output, *trained = (
            module.eval().to(self.device).to(memory_format=torch.channels_last) for module in modules
        )
        self._trained, self._landmarks = trained[:2], trained[2]
        self._places = networks != MTCNN and load_networks(weights_of(networks), *trained)

    def __call__(self, photos: Sequence[np.ndarray], further: Further = "middle") -> list[list[Detection]]:
        """Detect in photos of equal size.

        Args:
            photos: N arrays (H, W, 3) uint8, RGB.
            further: where to look again, see `Further`.

        Returns:
            The faces of each photo, most probable first; an empty list where there is none.

        Raises:
            ValueError: the photos differ in size.
        """
        if len({photo.shape for photo in photos}) > 1:
            raise ValueError("the photos of a batch must have one size")
        if not photos:
            return []
        first, *more = LOOKS.get(self.networks, LOOKS[COVERED])
        found = self.look(photos, first)
        for look in more if further != "never" else ():
            unsure = [
                index
                for index, faces in enumerate(found)
                if _may_hide_another(faces, photos[index].shape, further)
            ]
            if not unsure:
                break
            for index, faces in zip(unsure, self.look([photos[i] for i in unsure], look), strict=True):
                found[index] = _joined(found[index], faces)
        return place_landmarks(self._landmarks, self.device, photos, found) if self._places else found

    def look(self, photos: Sequence[np.ndarray], look: Look) -> list[list[Detection]]:
        """Detect in at least one photo of equal size, as `__call__` does, once."""
        refine, output = self._trained if look.trained else (self.refine, self.output)
        margin = int(look.margin * min(photos[0].shape[:2]))
        if margin:
            around = ((margin, margin), (margin, margin), (0, 0))
            photos = [np.pad(photo, around, mode="edge") for photo in photos]
        sums = [Sums(photo) for photo in photos]
        boxes = self.proposals(sums, look)

        # Second stage: 24 px crops refine the boxes and drop most of them.
        regression, passed = self.ask(refine, sums, boxes, 24)
        for index, (shift, score) in enumerate(zip(regression, passed, strict=True)):
            keep = score > look.thresholds[1]
            kept = np.column_stack([boxes[index][keep, :4], score[keep]])
            order = suppress(kept, 0.7)
            boxes[index] = square(shifted(kept[order], shift[keep][order]))

        # Third stage: 48 px crops give the final box and the landmarks.
        regression, passed, places = self.ask(output, sums, boxes, 48)
        found = []
        for photo, box, shift, score, place in zip(sums, boxes, regression, passed, places, strict=True):
            keep = score > (CANDIDATE if look.trained else look.thresholds[2])
            box, shift, score, place = box[keep], shift[keep], score[keep], place[keep]
            edges = box[:, 2:4] - box[:, :2] + 1
            landmarks = np.stack([place[:, :5], place[:, 5:]], axis=2) * edges[:, None] + box[:, None, :2] - 1
            final = shifted(np.column_stack([box[:, :4], score]), shift)
            if look.trained:
                rows = suppress_nested(final, 0.8)
                final[:, 4] = 0.0
                final[rows, 4] = confirmed(output, self.output, self.device, photo, final[rows])
            found.append(
                [
                    Detection(final[i, :4] - margin, float(final[i, 4]), landmarks[i] - margin, look.trained)
                    for i in suppress_nested(final, 0.7)
                    if final[i, 4] > look.thresholds[2]
                ]
            )
        return found

    def proposals(self, photos: list[Sums], look: Look) -> list[np.ndarray]:
        """First stage: a fully convolutional look at each level of the pyramid -> per photo (M, 5) squares."""
        import torch

        height, width = photos[0].height, photos[0].width
        scale = 12 / max(self.min_face, look.smallest * min(height, width))
        levels: list[list[np.ndarray]] = [[] for _ in photos]
        while min(height, width) * scale >= 12:
            size = (int(height * scale + 1), int(width * scale + 1))
            step = max(1, PIXELS_A_PASS // (size[0] * size[1]))
            for first in range(0, len(photos), step):
                small = np.stack([photo.resized(size) for photo in photos[first : first + step]])
                pixels = self._input(small)
                with torch.inference_mode():
                    shift, probability = self.proposal(pixels)
                shift, probability = shift.cpu().numpy(), probability[:, 1].cpu().numpy()
                for index in range(len(small)):
                    row, column = np.nonzero(probability[index] >= look.thresholds[0])
                    corner = np.column_stack([column, row]) * 2.0
                    box = np.column_stack(
                        [
                            np.floor((corner + 1) / scale),
                            np.floor((corner + 12) / scale),
                            probability[index, row, column],
                            shift[index][:, row, column].T,
                        ]
                    )
                    levels[first + index].append(box[suppress(box, 0.5)])
            scale *= look.pyramid
        boxes = []
        for level in levels:
            box = np.concatenate([np.zeros((0, 9)), *level])
            box = box[suppress(box, 0.7)]
            edges = box[:, 2:4] - box[:, :2]
            corners = np.column_stack([box[:, :2] + box[:, 5:7] * edges, box[:, 2:4] + box[:, 7:9] * edges])
            boxes.append(square(np.column_stack([corners, box[:, 4]])))
        return boxes

    def ask(
        self, network: nn.Module, photos: list[Sums], boxes: list[np.ndarray], edge: int
    ) -> list[list[np.ndarray]]:
        """Show all boxes of all photos to a network; boxes wholly outside their photo are dropped from `boxes`.

        Returns:
            For each output of the network (regression, score of a face, landmarks) a list per photo.
        """
        import torch

        crops = []
        for index, photo in enumerate(photos):
            inside, cut = photo.candidates(boxes[index], edge)
            boxes[index] = boxes[index][inside]
            crops.append(cut)
        landmarks = 1 if edge == 48 else 0
        pixels = np.concatenate(crops)
        if not len(pixels):
            empty = [np.zeros((0, 4)), np.zeros(0)] + [np.zeros((0, 10))] * landmarks
            return [[part] * len(photos) for part in empty]
        parts: list[list[np.ndarray]] = []
        for first in range(0, len(pixels), CROPS_A_PASS):
            with torch.inference_mode():
                out = network(self._input(pixels[first : first + CROPS_A_PASS]))
            # The refinement answers (boxes, scores), the output (boxes, landmarks, scores).
            parts.append(
                [part.cpu().numpy().astype(np.float64) for part in (out[0], out[-1][:, 1], *out[1:-1])]
            )
        ends = np.cumsum([len(box) for box in boxes])[:-1]
        return [np.split(np.concatenate(part), ends) for part in zip(*parts, strict=True)]

    def _input(self, pixels: np.ndarray) -> Tensor:
        """See `mtcnn.normalised`."""
        import torch

        from pdsn.data.mtcnn import normalised

        return normalised(torch.from_numpy(pixels).to(self.device))


def sure(face: Detection) -> bool:
    """Whether the probability is at least `SURE`."""
    return face.probability >= SURE


def _may_hide_another(faces: Sequence[Detection], shape: tuple[int, ...], further: Further) -> bool:
    """Whether a photo (H, W, …) with these faces is looked at again."""
    known = sum(map(sure, faces))
    return not known or (further == "middle" and known <= SEVERAL and not _in_the_middle(faces, shape))


def _in_the_middle(faces: Sequence[Detection], shape: tuple[int, ...]) -> bool:
    """Whether the middle of a photo (H, W, …) lies in a sure face."""
    middle = np.array([shape[1], shape[0]]) / 2
    return any(
        sure(face) and (face.box[:2] <= middle).all() and (face.box[2:] >= middle).all() for face in faces
    )


def _joined(faces: list[Detection], further: list[Detection]) -> list[Detection]:
    """The faces of a photo by the looks so far and a further one.

    Sure faces stay, and sure ones apart from them are added; where there is no sure one, the look with the surest face counts.
    """
    known = [face for face in faces if sure(face)]
    if not known:
        return max(faces, further, key=_surest)
    boxes = np.array([face.box for face in known])
    new = [face for face in further if sure(face) and (nested(face.box, boxes) < APART).all()]
    found = np.array([face.box for face in new]).reshape(-1, 4)
    old = [face for face in faces if sure(face) or (nested(face.box, found) < APART).all()]
    return sorted([*old, *new], key=lambda face: -face.probability)


def _surest(faces: Sequence[Detection]) -> float:
    """The largest probability among faces, 0 if there is none."""
    return max((face.probability for face in faces), default=0.0)
