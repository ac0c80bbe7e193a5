"""How the detector's networks are trained with painted photos."""

from __future__ import annotations

from pdsn.config.setting import Section, section, setting


@section("detector")
class DetectorConfig(Section):
    """Training of the detector's last two networks, and of the one that places landmarks, with painted photos."""

    scenes: int = setting(
        default=3,
        help="painted scenes that are made of each photo for each network, twice as many for the one that places landmarks",
        low=1,
        high=10_000,
        before=3,
    )
    epochs: int = setting(
        default=3, help="passes over the crops of these scenes", low=1, high=10_000, before=3
    )
    share: float = setting(
        default=0.5,
        help="of the trained weights of the last two networks in their mean with the published ones, which know more of what is no face (Wortsman et al., "
        "Robust fine-tuning of zero-shot models, 2022)",
        low=0,
        high=1,
        before=0.5,
    )
    batch: int = setting(default=256, help="crops a step, over all processes", low=2, high=65_536, before=256)
    lr: float = setting(default=1e-3, help="largest learning rate", low=1e-8, high=100, before=1e-3)
