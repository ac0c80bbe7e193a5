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
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn

PYRAMID = 0.709
"""Each level of the pyramid is this much smaller than the last: half the area, MTCNN's own value."""
THRESHOLDS = (0.6, 0.7, 0.7)
"""Probability from which each network passes a candidate on, MTCNN's own values."""
PIXELS_A_PASS = 2**18
"""Pixels of photos that the first network sees at once: its maps stay in the cache and memory bounded."""


@dataclass(frozen=True)
class Detection:
    """One face found in a photo.

    Attributes:
        box: (4,) float64 left, top, right, bottom in pixels of the photo; may reach over its edge.
        probability: the last network's confidence, above 0.7 and at most 1.
        landmarks: (5, 2) float64 x, y in pixels of the photo, in the order of `pdsn.data.dataset.LANDMARKS`.
    """

    box: np.ndarray
    probability: float
    landmarks: np.ndarray


class Detector:
    """Finds faces and their five landmarks.

    Args:
        min_face: edge in pixels of the smallest face looked for; the time grows with its inverse square.
        device: torch device of the networks.
    """

    def __init__(self, min_face: int = 40, device: str = "cpu") -> None:
        import torch
        from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

        self.min_face = min_face
        self.device = torch.device(device)
        self._proposal, self._refine, self._output = (
            network().eval().to(self.device, memory_format=torch.channels_last)
            for network in (PNet, RNet, ONet)
        )

    def __call__(self, photos: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Detect in photos of equal size.

        Args:
            photos: N arrays (H, W, 3) uint8, RGB.

        Returns:
            The faces of each photo, most probable first; an empty list where there is none.

        Raises:
            ValueError: the photos differ in size.
        """
        if len({photo.shape for photo in photos}) > 1:
            raise ValueError("the photos of a batch must have one size")
        if not photos:
            return []
        sums = [_Sums(photo) for photo in photos]
        boxes = self._proposals(sums)

        # Second stage: 24 px crops refine the boxes and drop most of them.
        regression, passed = self._look(self._refine, sums, boxes, 24)
        for index, (shift, score) in enumerate(zip(regression, passed, strict=True)):
            keep = score > THRESHOLDS[1]
            kept = np.column_stack([boxes[index][keep, :4], score[keep]])
            order = _suppress(kept, 0.7)
            boxes[index] = _square(_shifted(kept[order], shift[keep][order]))

        # Third stage: 48 px crops give the final box and the landmarks.
        regression, passed, places = self._look(self._output, sums, boxes, 48)
        found = []
        for box, shift, score, place in zip(boxes, regression, passed, places, strict=True):
            keep = score > THRESHOLDS[2]
            box, shift, score, place = box[keep], shift[keep], score[keep], place[keep]
            edges = box[:, 2:4] - box[:, :2] + 1
            landmarks = np.stack([place[:, :5], place[:, 5:]], axis=2) * edges[:, None] + box[:, None, :2] - 1
            final = _shifted(np.column_stack([box[:, :4], score]), shift)
            found.append(
                [
                    Detection(final[i, :4], float(final[i, 4]), landmarks[i])
                    for i in _suppress_nested(final, 0.7)
                ]
            )
        return found

    def _proposals(self, photos: list[_Sums]) -> list[np.ndarray]:
        """First stage: a fully convolutional look at each level of the pyramid -> per photo (M, 5) squares."""
        import torch

        height, width = photos[0].height, photos[0].width
        scale = 12 / self.min_face
        levels: list[list[np.ndarray]] = [[] for _ in photos]
        while min(height, width) * scale >= 12:
            size = (int(height * scale + 1), int(width * scale + 1))
            step = max(1, PIXELS_A_PASS // (size[0] * size[1]))
            for first in range(0, len(photos), step):
                small = np.stack([photo.resized(size) for photo in photos[first : first + step]])
                pixels = self._input(small)
                with torch.inference_mode():
                    shift, probability = self._propose(pixels)
                shift, probability = shift.cpu().numpy(), probability[:, 1].cpu().numpy()
                for index in range(len(small)):
                    row, column = np.nonzero(probability[index] >= THRESHOLDS[0])
                    corner = np.column_stack([column, row]) * 2.0
                    box = np.column_stack(
                        [
                            np.floor((corner + 1) / scale),
                            np.floor((corner + 12) / scale),
                            probability[index, row, column],
                            shift[index][:, row, column].T,
                        ]
                    )
                    levels[first + index].append(box[_suppress(box, 0.5)])
            scale *= PYRAMID
        boxes = []
        for level in levels:
            box = np.concatenate([np.zeros((0, 9)), *level])
            box = box[_suppress(box, 0.7)]
            edges = box[:, 2:4] - box[:, :2]
            corners = np.column_stack([box[:, :2] + box[:, 5:7] * edges, box[:, 2:4] + box[:, 7:9] * edges])
            boxes.append(_square(np.column_stack([corners, box[:, 4]])))
        return boxes

    def _propose(self, pixels):  # type: ignore[no-untyped-def]
        """PNet as facenet-pytorch's, with its pooling as three maxima: several times faster on a CPU."""
        import torch
        from torch.nn import functional

        net = self._proposal
        maps = net.prelu1(net.conv1(pixels))
        # An odd row or column is pooled with itself, as ceil_mode does.
        maps = functional.pad(maps, (0, maps.shape[3] % 2, 0, maps.shape[2] % 2), mode="replicate")
        rows = torch.maximum(maps[:, :, ::2], maps[:, :, 1::2])
        maps = torch.maximum(rows[..., ::2], rows[..., 1::2])
        maps = net.prelu3(net.conv3(net.prelu2(net.conv2(maps))))
        return net.conv4_2(maps), net.softmax4_1(net.conv4_1(maps))

    def _look(
        self, network: nn.Module, photos: list[_Sums], boxes: list[np.ndarray], edge: int
    ) -> list[list[np.ndarray]]:
        """Show all boxes of all photos to a network; boxes wholly outside their photo are dropped from `boxes`.

        Returns:
            For each output of the network (regression, score of a face, landmarks) a list per photo.
        """
        import torch

        crops = []
        for index, photo in enumerate(photos):
            # The parts outside the photo are cut off and the rest is stretched, as MTCNN does.
            low = np.maximum(np.trunc(boxes[index][:, :2]), 1) - 1
            high = np.minimum(np.trunc(boxes[index][:, 2:4]), (photo.width, photo.height))
            inside = (high > low).all(axis=1)
            boxes[index] = boxes[index][inside]
            crops.append(photo.crops(np.column_stack([low, high])[inside].astype(np.int64), edge))
        landmarks = 1 if edge == 48 else 0
        pixels = np.concatenate(crops)
        if not len(pixels):
            empty = [np.zeros((0, 4)), np.zeros(0)] + [np.zeros((0, 10))] * landmarks
            return [[part] * len(photos) for part in empty]
        parts: list[list[np.ndarray]] = []
        for first in range(0, len(pixels), 256):
            with torch.inference_mode():
                out = network(self._input(pixels[first : first + 256]))
            # RNet answers (boxes, scores), ONet (boxes, landmarks, scores).
            parts.append(
                [part.cpu().numpy().astype(np.float64) for part in (out[0], out[-1][:, 1], *out[1:-1])]
            )
        ends = np.cumsum([len(box) for box in boxes])[:-1]
        return [np.split(np.concatenate(part), ends) for part in zip(*parts, strict=True)]

    def _input(self, pixels: np.ndarray):  # type: ignore[no-untyped-def]
        """(N, h, w, 3) float32, 0 to 255 -> (N, 3, h, w) float32 in about -1 to 1, channels last in memory."""
        import torch

        return (torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2) - 127.5) * 0.0078125


class _Sums:
    """A photo's running sums: the mean of any rectangle from four look-ups, exact in whole numbers.

    Resizing takes the mean over each pixel's share of the source, rounded outwards to whole source
    pixels: torch's adaptive average pooling, which MTCNN resizes with.
    """

    def __init__(self, photo: np.ndarray) -> None:
        self.height, self.width = photo.shape[:2]
        kind = np.int32 if self.height * self.width * 255 < 2**31 else np.int64
        self._sums = np.zeros((self.height + 1, self.width + 1, 3), dtype=kind)
        rows = np.cumsum(photo, axis=0, dtype=kind)
        np.cumsum(rows, axis=1, out=self._sums[1:, 1:])

    def resized(self, size: tuple[int, int]) -> np.ndarray:
        """The whole photo as (h, w, 3) float32, 0 to 255."""
        (top, bottom), (left, right) = (
            _bins(np.array([length]), count)
            for length, count in zip((self.height, self.width), size, strict=True)
        )
        rows = self._sums[bottom[0]] - self._sums[top[0]]
        total = rows[:, right[0]] - rows[:, left[0]]
        area = (bottom - top)[0][:, None] * (right - left)[0]
        return (total / area[..., None]).astype(np.float32)

    def crops(self, boxes: np.ndarray, edge: int) -> np.ndarray:
        """Boxes (M, 4) int64 left, top, right, bottom inside the photo -> (M, edge, edge, 3) float32, 0 to 255."""
        left, right = (part + boxes[:, 0, None] for part in _bins(boxes[:, 2] - boxes[:, 0], edge))
        top, bottom = (
            (part + boxes[:, 1, None]) * (self.width + 1) for part in _bins(boxes[:, 3] - boxes[:, 1], edge)
        )
        flat = self._sums.reshape(-1, 3)

        def at(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
            return np.take(flat, rows[:, :, None] + columns[:, None, :], axis=0)

        total = at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left)
        area = ((bottom - top) // (self.width + 1))[:, :, None] * (right - left)[:, None, :]
        return (total / area[..., None]).astype(np.float32)


def _bins(lengths: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First and one past last source pixel (M, count) of each of `count` pixels, for M lengths."""
    steps = np.arange(count)
    return steps * lengths[:, None] // count, -(-(steps + 1) * lengths[:, None] // count)


def _suppress(boxes: np.ndarray, overlap: float) -> np.ndarray:
    """Indices of the boxes (M, 5 or more: corners, score) left by non-maximum suppression, best first."""
    import torch
    from torchvision.ops import nms

    if len(boxes) == 0:
        return np.zeros(0, dtype=np.int64)
    kept: np.ndarray = nms(torch.from_numpy(boxes[:, :4]), torch.from_numpy(boxes[:, 4]), overlap).numpy()
    return kept


def _suppress_nested(boxes: np.ndarray, overlap: float) -> list[int]:
    """As `_suppress`, but the overlap is a share of the smaller box: a box inside a better one goes."""
    area = np.prod(boxes[:, 2:4] - boxes[:, :2] + 1, axis=1)
    kept: list[int] = []
    for index in np.argsort(-boxes[:, 4], kind="stable").tolist():
        low = np.maximum(boxes[kept, :2], boxes[index, :2])
        high = np.minimum(boxes[kept, 2:4], boxes[index, 2:4])
        common = np.prod(np.maximum(high - low + 1, 0), axis=1)
        if not (common > overlap * np.minimum(area[kept], area[index])).any():
            kept.append(index)
    return kept


def _shifted(boxes: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move the corners of (M, 5) boxes by a network's (M, 4) answer, given in edges of the box."""
    edges = boxes[:, 2:4] - boxes[:, :2] + 1
    return np.column_stack([boxes[:, :4] + shift * np.tile(edges, 2), boxes[:, 4]])


def _square(boxes: np.ndarray) -> np.ndarray:
    """(M, 5) boxes grown to squares around their centres."""
    edges = boxes[:, 2:4] - boxes[:, :2]
    longest = edges.max(axis=1, keepdims=True)
    low = boxes[:, :2] + edges / 2 - longest / 2
    return np.column_stack([low, low + longest, boxes[:, 4]])
