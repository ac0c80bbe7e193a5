"""What `pdsn prepare` makes of the photos."""

from __future__ import annotations

import math

from pdsn.config.setting import Section, SettingError, section, setting

ALIGNMENTS = ("similarity", "box")
FACE_CHOICES = ("centre", "largest")
SMALLEST_SIDE, LARGEST_SIDE = 32, 512
"""Sides of a crop in pixels that `--size` may ask for."""
SMALLEST_FACE = 12
"""The first network of MTCNN sees 12 px squares: nothing smaller can be found."""


@section("prepare")
class PrepareConfig(Section):
    """How photos become faces."""

    size: tuple[int, int] = setting(
        default=(128, 96),
        help=f"height and width of a face in pixels, each {SMALLEST_SIDE} to {LARGEST_SIDE}",
        metavar="HxW",
    )
    align: str = setting(
        default="similarity",
        help="similarity puts the five landmarks on a template, box cuts the face box and stretches it",
        choices=ALIGNMENTS,
    )
    face: str = setting(
        default="centre",
        help="which face of several: the one nearest the centre, or the largest",
        choices=FACE_CHOICES,
    )
    min_photos: int = setting(default=10, help="people with fewer usable photos are left out; at least 2")
    frontal: float | None = setting(
        default=None,
        help="leave out side views: how far the point between the eyes is at most from the middle of the face box, as a share "
        "of the box's width",
    )
    split_seed: int = setting(default=0, help="seed of both splits; not the seed of training")
    min_face: int = setting(
        default=40,
        help=f"edge in pixels of the smallest face looked for, {SMALLEST_FACE} to {LARGEST_SIDE}, in the photo reduced to 1024",
    )
    detector: str = setting(
        default="covered",
        help="networks that find faces: covered is MTCNN whose last two were trained on with painted photos, and one that places "
        "the landmarks of covered faces; mtcnn as it was published; or a file of `pdsn detector-train`",
        metavar="NAME",
        before="mtcnn",
    )
    template: tuple[tuple[float, ...], ...] | None = setting(
        default=None,
        help="five points x, y in pixels of the crop where alignment by similarity puts the landmarks; none is pdsn's own, and "
        "a pretrained recogniser brings its own",
        before=None,
    )

    def check(self) -> None:
        """See `Section`."""
        sides = tuple(self.size)
        if len(sides) != 2 or not all(
            _whole(side) and SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides
        ):
            raise SettingError(
                "prepare.size",
                "x".join(str(side) for side in sides),
                f"must be height and width in whole pixels from {SMALLEST_SIDE} to {LARGEST_SIDE}, such as 128x96",
            )
        object.__setattr__(self, "size", sides)
        if not _whole(self.min_photos) or self.min_photos < 2:
            wrong = "must be a whole number, at least 2, one to enrol and one to test"
            raise SettingError("prepare.min_photos", self.min_photos, wrong)
        if self.frontal is not None and not (math.isfinite(self.frontal) and 0 < self.frontal <= 1):
            wrong = "must be above 0 and at most 1, the share of the face box's width"
            raise SettingError("prepare.frontal", self.frontal, wrong)
        if not _whole(self.split_seed) or self.split_seed < 0:
            raise SettingError("prepare.split_seed", self.split_seed, "must be a whole number, at least 0")
        if not _whole(self.min_face) or not SMALLEST_FACE <= self.min_face <= LARGEST_SIDE:
            wrong = f"must be a whole number of pixels from {SMALLEST_FACE} to {LARGEST_SIDE}"
            raise SettingError("prepare.min_face", self.min_face, wrong)
        if self.template is not None:
            object.__setattr__(self, "template", self._points())

    def _points(self) -> tuple[tuple[float, ...], ...]:
        """The template as it is kept, once it is known to be one."""
        points = tuple(tuple(float(value) for value in point) for point in self.template or ())
        width, height = self.size[1], self.size[0]
        if len(points) != 5 or not all(
            len(point) == 2 and 0 <= point[0] <= width and 0 <= point[1] <= height for point in points
        ):
            raise SettingError(
                "prepare.template",
                [list(point) for point in points],
                f"must be five points x, y within the {height}x{width} crop: "
                "left eye, right eye, nose, left and right mouth corner",
            )
        if self.align != "similarity":
            raise SettingError(
                "prepare.align", self.align, "does not go with a template: that is for similarity alone"
            )
        return points


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
