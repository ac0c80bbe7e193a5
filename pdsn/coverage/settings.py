"""The segmentation that finds what is covered, and its training."""

from __future__ import annotations

from pdsn.config.setting import Section, section, setting
from pdsn.data.settings import LARGEST_SIDE, SMALLEST_SIDE

BASE = "base"
"""The encoder that is the frozen base's own trunk."""
ENCODERS = (
    BASE,
    "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "resnet18", "resnet34",
)  # fmt: skip
SOURCES = ("segmenter", "none")
"""Who says what of a new photo is covered: the segmentation, or nobody, and then nothing is."""


@section("segment")
class SegmentConfig(Section):
    """Network and training of the segmentation."""

    encoder: str = setting(
        default="vgg16_bn",
        help="base takes the frozen base's own trunk and trains a small decoder; others are a U-Net's, by their names in "
        "segmentation-models-pytorch: vgg16 is the paper's, vgg11_bn takes two thirds of its time, resnet18 a third",
        choices=ENCODERS,
    )
    height: int = setting(
        default=64,
        help="rows that a U-Net sees; larger faces are reduced to it",
        low=SMALLEST_SIDE,
        high=LARGEST_SIDE,
    )
    occlusions: str = setting(
        default="worn",
        help="what it learns to find: varied has hands in any pose, things, hair and pieces of photos drawn anew each time, on faces "
        "with glasses and beards in any light; worn has drawn styles and plain shapes alone",
        choices=("varied", "worn"),
        before="worn",
    )
    touched: float = setting(
        default=1.0,
        help="share of free faces, as photographs may show them, that may have a band that counts as covered, such as 0.02: sets the "
        "limit of each band on validation photos; 1 sets none",
        low=0,
        high=1,
        before=1.0,
    )
    steps: int = setting(
        default=1500, help="of training, whatever the number of photos", low=1, high=10_000_000
    )
    batch: int = setting(default=16, help="photos a step, over all processes", low=2, high=65_536)
    lr: float = setting(default=1e-3, help="largest learning rate", low=1e-8, high=100)
    validations: int = setting(
        default=5,
        help="how often the network is validated on the way; the best one is kept",
        low=1,
        high=1000,
    )
    labels: str = setting(
        default="mask",
        help="mask takes the occluders' exact masks, difference that of the photos, cleaned by opening and closing (Johnston & "
        "Ngxande, section 4.1)",
        choices=("mask", "difference"),
    )
    init: str = setting(
        default="",
        help="start the encoder from ImageNet weights (a download)",
        choices=("", "imagenet"),
        metavar="imagenet",
    )
