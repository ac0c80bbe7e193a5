"""Which people are drawn."""

from __future__ import annotations

from pdsn.config.setting import Section, SettingError, section, setting
from pdsn.data.settings import LARGEST_SIDE, SMALLEST_SIDE


@section("synthetic")
class SyntheticConfig(Section):
    """The drawn people of `--data synthetic`."""

    people: int = setting(default=40, help="how many", low=2, high=1000)
    photos: int = setting(default=90, help="photos of each", low=4, high=1000)
    size: tuple[int, int] = setting(default=(64, 48), help="height and width of a face in pixels")
    seed: int = setting(default=0, help="of the drawing; another seed draws other people", low=0, high=2**31)

    def check(self) -> None:
        """See `Section`."""
        if len(self.size) != 2 or not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in self.size):
            raise SettingError(
                "synthetic.size",
                "x".join(str(side) for side in self.size),
                f"must be height and width of {SMALLEST_SIDE} to {LARGEST_SIDE} pixels",
            )
