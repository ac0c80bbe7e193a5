"""How explanations are measured."""

from __future__ import annotations

from pdsn.config.setting import Section, SettingError, section, setting
from pdsn.explain.names import MAP_METHODS


@section("explain")
class ExplainConfig(Section):
    """Explanations of many probes, in numbers; nothing that is trained depends on it."""

    methods: tuple[str, ...] = setting(
        default=MAP_METHODS,
        help="methods to measure",
        before=list(MAP_METHODS),
        option="--method",
        metavar="NAME",
    )
    probes: int = setting(
        default=200, help="photos under each occlusion, spread evenly", low=2, high=1_000_000, before=200
    )
    curves: int = setting(
        default=40,
        help="of these, photos for deletion and insertion; 0 leaves the curves out",
        low=0,
        high=1_000_000,
        before=40,
    )
    steps: int = setting(default=16, help="of a deletion or insertion", low=2, high=1000, before=16)
    layer: str = setting(
        default="map", help="layer of the base for gradcam and layercam", before="map", metavar="NAME"
    )

    def check(self) -> None:
        """See `Section`."""
        wrong = [name for name in self.methods if name not in MAP_METHODS]
        if wrong or not self.methods:
            raise SettingError(
                "explain.methods", ", ".join(wrong), f"cannot be measured: one of {', '.join(MAP_METHODS)}"
            )
