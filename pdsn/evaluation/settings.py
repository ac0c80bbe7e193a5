"""What a table is asked for."""

from __future__ import annotations

from pdsn.config.setting import Section, SettingError, section, setting

COMPARISONS = ("nearest", "mean", "both")


@section("eval")
class EvalConfig(Section):
    """Recognition of the probes."""

    occlusions: tuple[str, ...] = setting(
        default=("all",),
        help="rows of the table: all, clean, forehead, eyes, nose, mouth, chin, nose+mouth+chin, face-mask, sunglasses, scarf, cap, "
        "hand, random-block, BAND-textured, face-mask-seen, sunglasses-seen, face, background, or block:LAYOUT/REGION",
        option="--occlusion",
        metavar="NAME",
    )
    split: str = setting(default="test", help="the probes", choices=("test", "val"))
    source: str = setting(
        default="segmenter",
        help="where the covered pixels come from: segmenter is the segmentation, oracle the occluders' exact masks",
        choices=("segmenter", "oracle"),
        option="--occlusion-source",
    )
    align: str = setting(
        default="clean",
        help="clean occludes the aligned face, occluded paints the photo, then detects and aligns",
        choices=("clean", "occluded"),
        before="clean",
    )
    mirror: bool = setting(default=True, help="add the embedding of the mirror image (flip-sum)")
    head: bool = setting(
        default=True, help="take the head tuned by head-train, where there is one", before=True
    )
    compare: str = setting(
        default="nearest",
        help="with each person's nearest photo, the paper's rule, the mean of their photos, or both, by the mean of the two cosines",
        choices=COMPARISONS,
        before="nearest",
    )
    unmasked: float = setting(
        default=0.0,
        help="weight of the cosine without the FDM beside the one under it",
        low=0,
        high=1,
        before=0.0,
    )
    bootstrap: int = setting(default=2000, help="resamples behind each interval", low=100, high=100_000)
    enrol: int = setting(
        default=5,
        help="photos of each person in the gallery, in a run that is split by person",
        low=1,
        high=1000,
        before=5,
    )
    draws: int = setting(
        default=1,
        help="how often each photo is occluded, each time with another draw",
        low=1,
        high=100,
        before=1,
    )
    matchers: tuple[str, ...] = setting(
        default=(),
        help="matchers beside the cosine and PDSN, a column each, see pdsn list matchers",
        before=[],
        option="--matcher",
        metavar="NAME",
    )

    fuse: tuple[str, ...] = setting(
        default=(),
        help="columns of two matchers or strategies each, A+B: the mean of their scores, calibrated on validation photos",
        before=[],
        metavar="A+B",
    )

    def check(self) -> None:
        """See `Section`."""
        if not self.occlusions:
            raise SettingError("eval.occlusions", [], 'is empty: name some, or "all"')
