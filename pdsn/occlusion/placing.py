"""Where a flat picture in face units lands on a head in a photo.

Five landmarks give a weak-perspective camera: the eyes and the middle of the mouth fix the plane of the face, the
nose tip, which stands out of it, how far the head is turned. A worn thing is a curved surface over that plane.
Anwar and Raychowdhury (MaskTheFace, 2020) warp by homographies to key points; with five landmarks the jaw and the
cheeks have to be estimated, which is what the surface is for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from pdsn.occlusion.layouts import LEFT_EYE, LEFT_MOUTH, NOSE, RIGHT_EYE, RIGHT_MOUTH

MOUTH_Y = 1.11
"""Height of the mouth in face units: mean of LFW's people with at least ten photos."""
NOSE_Y, NOSE_Z = 0.595, 0.5
"""Height of the nose tip on a face that looks ahead, and how far it stands out."""
EAR = (1.16, -0.06, -0.85)
"""x, y, z of the right ear's upper end."""
STEEPEST = 2.0
"""Tangent of the largest yaw that is followed, 63°: beyond it five landmarks say little."""
SMALLEST = 3.0
"""Least distance in pixels between eyes and mouth that still is a face."""


@dataclass(frozen=True)
class Pose:
    """A weak-perspective camera.

    Attributes:
        origin: (2,) x, y in pixels of the point midway between the eyes.
        axes: (2, 2) columns: pixels that one face unit in x and in y moves.
        turn: (2,) face units in x and y that one unit of depth towards the viewer moves.
    """

    origin: np.ndarray
    axes: np.ndarray
    turn: np.ndarray

    @property
    def scale(self) -> float:
        """Pixels per face unit, the larger of both directions."""
        return float(np.linalg.norm(self.axes, axis=0).max())

    def project(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) x, y, z in face units to (N, 2) x, y in pixels."""
        return self.origin + (points[:, :2] + points[:, 2:] * self.turn) @ self.axes.T

    def moved(self, shift: np.ndarray, scale: float, roll: float) -> Pose:
        """A little elsewhere: `shift` (2,) in face units, a factor, and an angle in radians."""
        spin = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        return replace(self, origin=self.origin + self.axes @ shift, axes=spin @ self.axes * scale)

    def unturned(self) -> Pose:
        """The same place for a thing that does not turn with the head: x is no longer foreshortened."""
        right, down = np.linalg.norm(self.axes, axis=0)
        wider = max(1.0, float(down / right))
        axes = self.axes * np.array([wider, 1.0])
        return replace(self, axes=axes, turn=self.turn / np.array([wider, 1.0]))


@dataclass(frozen=True)
class Surface:
    """Depth over the plane of the face: z = ridge(y) - bend(y) * x^2, in face units.

    Attributes:
        y: (K,) heights, ascending; between them ridge and bend change linearly.
        ridge: (K,) depth on the midline.
        bend: (K,) how fast the surface falls off to the sides.
        hangs: height below which the thing hangs down from the body and follows the photo's vertical, not the
            head's roll; infinite for what is fixed to the head.
    """

    y: tuple[float, ...]
    ridge: tuple[float, ...]
    bend: tuple[float, ...]
    hangs: float = np.inf

    def depth(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """z at points of the surface."""
        return np.interp(y, self.y, self.ridge) - np.interp(y, self.y, self.bend) * x**2


def pose_of(landmarks: np.ndarray) -> Pose | None:
    """The camera that shows a face with these landmarks.

    Args:
        landmarks: (5, 2) x, y in pixels, in the order of `pdsn.data.dataset.LANDMARKS`.

    Returns:
        None where the landmarks are no face: not finite, or all in one place.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if not np.isfinite(points).all():
        return None
    eyes, mouth = points[[LEFT_EYE, RIGHT_EYE]].mean(0), points[[LEFT_MOUTH, RIGHT_MOUTH]].mean(0)
    down = (mouth - eyes) / MOUTH_Y
    height = float(np.hypot(*down))
    if height * MOUTH_Y < SMALLEST:
        return None
    square = np.array([down[1], -down[0]]) / height
    right = points[RIGHT_EYE] - points[LEFT_EYE]
    # Left and right are named as seen in the photo; a detector that names them the other way round is put right.
    if right @ square < 0:
        right = -right
    # In profile the eyes' distance vanishes; the face's own height then says how large it is.
    least = 0.4 * height
    if right @ square < least:
        right = right + (least - right @ square) * square
    axes = np.stack([right, down], axis=1)
    nose = np.linalg.solve(axes, points[NOSE] - eyes)
    across = float(np.clip(nose[0] / NOSE_Z, -STEEPEST, STEEPEST))
    # Noses differ in length as much as heads nod: half of the difference is taken for a nod.
    nod = float(np.clip(0.5 * (nose[1] - NOSE_Y) / NOSE_Z, -0.25, 0.25))
    return Pose(eyes, axes, np.array([across, nod]))


def on_plane(pose: Pose, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels in face units, on the plane of the face: the inverse of `Pose.project` where the depth is 0.

    Args:
        pose: the camera.
        x, y: pixels, of any shapes that broadcast.
    """
    inverse = np.linalg.inv(pose.axes).astype(np.float32)
    dx, dy = x - np.float32(pose.origin[0]), y - np.float32(pose.origin[1])
    return inverse[0, 0] * dx + inverse[0, 1] * dy, inverse[1, 0] * dx + inverse[1, 1] * dy


def on_surface(
    pose: Pose, surface: Surface, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The point of a surface that is seen at each pixel.

    With the camera's turn k, a point is seen at u = x + k (ridge - bend x^2): a quadratic in x, of which the
    solution nearer to the viewer is wanted. Where it has none the line of sight passes the head by.

    Args:
        pose: the camera.
        surface: what is looked at.
        x, y: pixels, (1, w) and (h, 1) or any other shapes that broadcast.

    Returns:
        x and y in face units, and whether the surface is seen there at all (bool).
    """
    u, v = on_plane(pose, x, y)
    inverse = np.linalg.inv(pose.axes).astype(np.float32)
    if np.isfinite(surface.hangs) and inverse[1, 1] > 0:
        # Along the photo's vertical u changes by this much per v; a head upside down has nothing hanging.
        lean = np.clip(inverse[0, 1] / inverse[1, 1], -1, 1)
        u -= lean * np.maximum(v - np.float32(surface.hangs), 0)
    across, nod = (np.float32(k) for k in pose.turn)
    ridges, bends, step = _tables(surface)
    down = v
    # y depends on the depth and the depth on y: the nod is small, so twice settles it.
    for _ in range(2):
        row = np.clip((down - np.float32(surface.y[0])) * step, 0, 255).astype(np.intp)
        ridge, bend = ridges.take(row), bends.take(row)
        offset = u - across * ridge
        under = 1 - (4 * across) * bend * offset
        along = 2 * offset / (1 + np.sqrt(np.maximum(under, 0)))
        down = v - nod * (ridge - bend * along * along)
    return along, down, under >= 0


@cache
def _tables(surface: Surface) -> tuple[np.ndarray, np.ndarray, np.float32]:
    """Ridge and bend at 256 even steps of y, and the steps per face unit."""
    fine = np.linspace(surface.y[0], surface.y[-1], 256)
    ridges, bends = (np.interp(fine, surface.y, values) for values in (surface.ridge, surface.bend))
    step = np.float32(255 / (surface.y[-1] - surface.y[0]))
    return ridges.astype(np.float32), bends.astype(np.float32), step
