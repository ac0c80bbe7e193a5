"""How regions are laid over the face."""

from __future__ import annotations

from pdsn.config.setting import Section, section, setting


@section("regions")
class RegionsConfig(Section):
    """Regions, and when they count as covered."""

    floor: float = setting(
        default=0.57,
        help="least height of the bands of eyes and mouth (LM2), or height and width of a box (LM1), in units of the distance "
        "between the eyes; 0 is the paper's rule",
        low=0,
        high=2,
        option="--region-floor",
    )
    share: float = setting(
        default=0.5,
        help="the coverage threshold: a region counts as covered when more than this share of it is",
        low=0,
        high=0.999,
        before=0.5,
    )
