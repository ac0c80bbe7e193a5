"""How masks are made: the generators, the matched maker, the dictionary, and the head under FDMs."""

from __future__ import annotations

from pdsn.config.setting import Section, SettingError, section, setting


@section("masks")
class MaskConfig(Section):
    """Training of the mask generators (Johnston & Ngxande, section 3.2)."""

    weight: float = setting(
        default=10.0,
        help="lambda of equation 3, the weight of the difference beside the class loss",
        low=0,
        high=1e6,
        option="--lambda",
    )
    epochs: int = setting(default=6, help="passes over the training photos", low=1, high=10_000)
    batch: int = setting(default=64, help="pairs a step, over all processes", low=2, high=65_536)
    lr: float = setting(default=1e-2, help="largest learning rate", low=1e-8, high=100)
    intensity: int = setting(
        default=-1,
        help="grey level 0 to 255 of the block on the occluded twin; -1 draws one for each photo",
        low=-1,
        high=255,
    )
    jitter: float = setting(
        default=0.0,
        help="how far each edge of that block moves at most, as a share of the region's side; 0 is the paper's",
        low=0,
        high=1,
        before=0.0,
    )
    shared: bool = setting(
        default=True,
        help="the loss sees the mean mask of the batch, as the dictionary will hold a mean mask; without it each pair's own, the "
        "paper's form",
        before=False,
    )
    patience: int = setting(
        default=0,
        help="end after so many validations without a better one, at a constant rate, and after all epochs at the latest; 0 "
        "trains all epochs",
        low=0,
        high=10_000,
        before=0,
    )


PHOTOS = "photos"


@section("matching")
class MatchingConfig(Section):
    """Masks learned in the comparison itself, see `pdsn.masks.matched`."""

    steps: int = setting(
        default=600, help="of training, whatever the number of photos", low=1, high=10_000_000
    )
    batch: int = setting(default=96, help="photos a step, over all processes", low=2, high=65_536)
    lr: float = setting(default=0.1, help="largest learning rate", low=1e-8, high=100)
    margin: float = setting(
        default=0.2, help="m of the large margin cosine loss; its scale is the base's", low=0, high=1
    )
    draws: int = setting(default=2, help="occluded twins of each training photo", low=1, high=1000)
    validations: int = setting(
        default=4,
        help="how often the masks are validated on the way; the best ones are kept",
        low=1,
        high=1000,
    )
    against: str = setting(
        default="means",
        help="what occluded photos are compared with while masks are learned: the mean map of each person's clean photos, or "
        "one clean photo of each, another in each step; photos gain more for people that nothing is trained on",
        choices=("means", PHOTOS),
        before="means",
    )


@section("head")
class HeadConfig(Section):
    """The base's head, trained on under random FDMs, see `pdsn.masks.head_tuning`."""

    strategy: str = setting(
        default="", help="whose FDMs; none is matched, and `pdsn run` then tunes no head", metavar="NAME"
    )
    steps: int = setting(
        default=600, help="of training, whatever the number of photos", low=1, high=10_000_000
    )
    batch: int = setting(
        default=64, help="occluded photos a step, and as many clean ones", low=2, high=65_536
    )
    lr: float = setting(default=1e-3, help="largest learning rate", low=1e-8, high=100)
    weight_decay: float = setting(default=5e-4, help="of matrices and convolutions", low=0, high=1)
    draws: int = setting(default=2, help="occluded twins of each training photo", low=1, high=1000)
    validations: int = setting(
        default=4, help="how often the head is validated on the way; the best one is kept", low=1, high=1000
    )


@section("dictionary")
class DictionaryConfig(Section):
    """The mask dictionary (Johnston & Ngxande, section 3.3)."""

    strategies: tuple[str, ...] = setting(
        default=("grid3x3", "LM1", "LM2", "matched", "random", "geometric", "difference", "relative"),
        help="those that `pdsn run` builds",
    )
    percentile: float = setting(
        default=-1.0,
        help="drop the features below it, 0 to 100; -1 takes the paper's for the layout: 25 for grid3x3, 20 for LM1, 30 for LM2 "
        "and LM2-split. Soft masks, as matched has, are not cut",
    )
    regions: str = setting(
        default="LM2", help="the layout of makers that are named alone, such as matched", metavar="LAYOUT"
    )
    preferred: str = setting(
        default="",
        help="the one of the strategies by which new photos are compared where nobody asks for another; none is matched, or else "
        "LM2",
        before="",
    )

    def check(self) -> None:
        """See `Section`."""
        if self.percentile != -1.0 and not 0 <= self.percentile <= 100:
            raise SettingError("dictionary.percentile", self.percentile, "is out of range: from 0 to 100")
        if self.preferred and self.preferred not in self.strategies:
            raise SettingError(
                "dictionary.preferred",
                self.preferred,
                f"is none of [dictionary] strategies ({', '.join(self.strategies)}): add it, or set preferred to one of them",
            )
