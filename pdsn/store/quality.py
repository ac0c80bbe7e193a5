"""The gate of a store: which photos are worth being compared with, which only with a warning, and which are not.

The limits were chosen on training and validation photos of LFW, of which size, sharpness and pose refuse none. Blurred until half
of them are below `DULL`, seven in ten were still recognised, a little further one in three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMALLEST, SMALL = 20.0, 40.0
"""Pixels: edge of a face in the photo below which it is refused, and below which there is a warning."""
DULL, SOFT = 0.05, 0.12
"""Sharpness below which a face is refused, and below which there is a warning; of LFW's training photos 0.14 at least."""
FLATTEST = 10.0
"""Deviation of grey values, of 0 to 255, below which contrast no longer counts: what is left there is rounding."""
AWAY, ASIDE = 0.75, 0.4
"""Pose above which a face is refused, and above which there is a warning; in LFW at most 0.5, and 1 photo in 100 above 0.4."""


@dataclass(frozen=True)
class Quality:
    """What the gate knows of a photo.

    Attributes:
        size: edge of the face in pixels of the photo.
        sharpness: see `sharpness_of`.
        pose: see `pose_of`.
        faces: number of faces in the photo.
        covered: names of the regions that count as covered.
        regions: number of regions that there are.
    """

    size: float
    sharpness: float
    pose: float
    faces: int
    covered: list[str]
    regions: int

    def reasons(self) -> list[str]:
        """Why the photo is refused; empty if it is not."""
        found = []
        if self.size < SMALLEST:
            found.append(f"its face is {self.size:.0f} px large, and {SMALLEST:.0f} are needed")
        if self.sharpness < DULL:
            found.append(f"its face is blurred (sharpness {self.sharpness:.3f}, {DULL} is needed)")
        if self.pose > AWAY:
            found.append(f"its face is turned away (pose {self.pose:.2f}, at most {AWAY})")
        if self.covered and len(self.covered) == self.regions:
            found.append("its face is covered altogether")
        return found

    def warnings(self) -> list[str]:
        """What to know of the photo, if it is taken."""
        found = self.reasons()
        if self.faces > 1:
            found.append(f"shows {self.faces} faces: the largest is enrolled")
        if SMALLEST <= self.size < SMALL:
            found.append(f"small face ({self.size:.0f} px)")
        if DULL <= self.sharpness < SOFT:
            found.append(f"soft (sharpness {self.sharpness:.3f})")
        if AWAY >= self.pose > ASIDE:
            found.append(f"turned aside (pose {self.pose:.2f})")
        if 0 < len(self.covered) < self.regions:
            found.append(f"covered: {', '.join(self.covered)}")
        return found


def sharpness_of(crop: np.ndarray) -> float:
    """How much fine detail the middle of an aligned face has: the deviation of its Laplacian over that of its grey values.

    About 0.3 for a photo in focus, whatever its contrast. The crop's own pixels count: a face that was enlarged is soft.

    Args:
        crop: (H, W, 3) uint8; a sixth of it on each side does not count, where the background may be in focus.
    """
    rows, columns = crop.shape[0] // 6, crop.shape[1] // 6
    grey = crop[rows:-rows, columns:-columns].astype(np.float32).mean(2)
    inner = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(inner.std() / max(float(grey.std()), FLATTEST))


def pose_of(landmarks: np.ndarray) -> float:
    """How far a face is turned to a side: how far the nose's tip lies from midway between the eyes, in distances of the eyes.

    About 0 for a frontal face, 0.5 at some 45 degrees.

    Args:
        landmarks: (5, 2) x, y in pixels of the crop.
    """
    left, right, nose = landmarks[:3].astype(float)
    along = right - left
    return float(abs(np.dot(nose - (left + right) / 2, along)) / max(float(np.dot(along, along)), 1e-6))
