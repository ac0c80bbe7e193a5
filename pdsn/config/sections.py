"""Settings of every stage: frozen dataclasses that check themselves. Standard library only.

Whoever adds a setting says in `BEFORE` of its class what it is of artefacts that were made before there was such a
setting: the value, as JSON has it, that reproduces them, whatever the default. They are opened with it, not refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pdsn.bases.table import BASES
from pdsn.errors import UsageError, unknown

if TYPE_CHECKING:
    from pdsn.plugin import Plugin

ALIGNMENTS = ("similarity", "box")
SPLITS_BY = ("photo", "person")
FACE_CHOICES = ("centre", "largest")
SMALLEST_SIDE, LARGEST_SIDE = 32, 512
"""Sides of a crop in pixels that `--size` may ask for."""
COMPARISONS = ("nearest", "mean", "both")
ENCODERS = (
    "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "resnet18", "resnet34",
)  # fmt: skip
SMALLEST_FACE = 12
"""The first network of MTCNN sees 12 px squares: nothing smaller can be found."""


class SettingError(UsageError):
    """A setting that cannot be, named as a file sets it; a command line says where it was set instead.

    Args:
        setting: its name with the section, "base.epochs", or without one at the top, "seed".
        value: what it is.
        wrong: the rest of the line, what is wrong with it and what is possible: "is unknown: …" or ": no such file".
        exit_code: 1 where it is not the value that is wrong, but what lies behind it, such as a download.
    """

    def __init__(self, setting: str, value: object, wrong: str, exit_code: int = 2) -> None:
        self.setting, self.value, self.wrong, self.exit_code = setting, value, wrong, exit_code
        section, _, name = setting.rpartition(".")
        super().__init__(self.line(f"[{section}] {name} =" if section else f"{name} ="))

    def line(self, name: str) -> str:
        """The line with another name of the setting, such as an option's."""
        return f"{name} {self.value}{'' if self.wrong.startswith(':') else ' '}{self.wrong}"


@dataclass(frozen=True)
class PrepareConfig:
    """What `pdsn prepare` makes of the photos.

    Attributes:
        size: (height, width) of a crop in pixels, each 32 to 512.
        align: "similarity" puts the five landmarks on the template; "box" cuts the face box and stretches it.
        face: the face kept of a photo that shows several: nearest the "centre" or the "largest".
        min_photos: people with fewer usable photos are left out.
        frontal: keep a photo only if the point midway between the eyes is at most this share of the face box's
            width away from the box's middle; None keeps side views too.
        split_seed: seed of both splits.
        min_face: edge in pixels of the smallest face looked for, in the photo reduced to at most 1024 px.
        template: five (x, y) in pixels of the crop, where alignment by similarity puts the landmarks; None
            for pdsn's own, see `pdsn.data.template`. A pretrained recogniser brings its own along.

    Raises:
        SettingError: a value is out of range; the line names the setting and what is possible.
    """

    BEFORE: ClassVar[dict[str, object]] = {"template": None}

    size: tuple[int, int] = (128, 96)
    align: str = "similarity"
    face: str = "centre"
    min_photos: int = 10
    frontal: float | None = None
    split_seed: int = 0
    min_face: int = 40
    template: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
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
        _one_of("prepare.align", self.align, ALIGNMENTS)
        _one_of("prepare.face", self.face, FACE_CHOICES)
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


@dataclass(frozen=True)
class PretrainedConfig:
    """A recogniser that was trained elsewhere, in place of a base of our own.

    Attributes:
        arch: "" for none, or its architecture, see `pdsn.networks.imported.table.find_architecture`.
        weights: its weights: a file, or the name of a download that the architecture knows.
        classifier: what the mask generators' class loss compares with: the normalised "means" of the training
            people's embeddings, or a classifier "trained" on the frozen embeddings.
    """

    BEFORE: ClassVar[dict[str, object]] = {}

    arch: str = ""
    weights: str = ""
    classifier: str = "means"

    def __post_init__(self) -> None:
        _one_of("pretrained.classifier", self.classifier, ("means", "trained"))


@dataclass(frozen=True)
class SyntheticConfig:
    """The embedded people that are drawn for `--data synthetic`.

    Attributes:
        people: how many, 2 to 1000.
        photos: photos of each, 4 to 1000.
        size: (height, width) of a face in pixels.
        seed: of the drawing; another seed draws other people.
    """

    BEFORE: ClassVar[dict[str, object]] = {}

    people: int = 40
    photos: int = 90
    size: tuple[int, int] = (64, 48)
    seed: int = 0

    def __post_init__(self) -> None:
        _within("synthetic.people", self.people, 2, 1000)
        _within("synthetic.photos", self.photos, 4, 1000)
        _within("synthetic.seed", self.seed, 0, 2**31)
        if len(self.size) != 2 or not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in self.size):
            raise SettingError(
                "synthetic.size",
                "x".join(str(side) for side in self.size),
                f"must be height and width of {SMALLEST_SIDE} to {LARGEST_SIDE} pixels",
            )


@dataclass(frozen=True)
class BaseConfig:
    """The base CNN and its training (Johnston & Ngxande, section 4.2).

    Attributes:
        kind: which base, by its name in `pdsn.bases.table`; what only one base needs is in a section of its own.
        arch: "resnet34", the paper's, or "resnet18".
        width: channels of the first stage, 8 to 256; 64 is ResNet's own.
        stem: "standard" (a map of 4x3 at 128x96) or "fine" (8x6, and four times the work).
        last_stride: stride of the last stage: 2, ResNet's own, or 1, a map of twice the rows and columns for
            half as much work again (Luo et al., "Bag of Tricks", CVPRW 2019, section 3.5).
        embedding: length of an embedding.
        dropout: before the head's linear layer.
        scale, margin: s and m of the large margin cosine loss.
        margin_warmup: share of the training in which m grows from 0 in even steps; 0 has it whole from the start.
        epochs, batch, lr, weight_decay: of the fixed schedule (SGD, warm-up, cosine).
        augment: strength of mirror, affine and light augmentation; 1 is the default amount, 0 is none.
        occlude: share of the training photos that are occluded, in the training's styles, as Trigueros et al.
            do; 0 trains on clean photos alone, as Johnston & Ngxande do.
        masked: share of those occluded photos whose covered cells of the last map are dropped, as an FDM does, so that
            the base knows maps with and without.
        balance: 0 takes each training photo once an epoch, 1 each person equally often; between them a photo of
            one who has n comes n^-balance as often.
        average: 0 keeps the weights as they are; above, their running mean, of which each step keeps this share.
        validate_every: epochs between validations.
        init: "" for random weights, "imagenet", or a safetensors file with torchvision's names.
    """

    BEFORE: ClassVar[dict[str, object]] = {
        "kind": "lmcl",
        "last_stride": 2,
        "margin_warmup": 0.0,
        "occlude": 0.0,
        "masked": 0.0,
        "balance": 0.0,
        "average": 0.0,
    }

    arch: str = "resnet34"
    width: int = 64
    stem: str = "standard"
    last_stride: int = 2
    embedding: int = 512
    dropout: float = 0.4
    scale: float = 30.0
    margin: float = 0.35
    margin_warmup: float = 0.0
    epochs: int = 32
    batch: int = 64
    lr: float = 0.1
    weight_decay: float = 5e-4
    augment: float = 1.0
    occlude: float = 0.0
    masked: float = 0.0
    balance: float = 0.0
    average: float = 0.0
    validate_every: int = 4
    init: str = ""
    kind: str = "lmcl"

    def __post_init__(self) -> None:
        _one_of("base.kind", self.kind, tuple(BASES))
        _one_of("base.arch", self.arch, ("resnet18", "resnet34"))
        _one_of("base.stem", self.stem, ("standard", "fine"))
        _within("base.last_stride", self.last_stride, 1, 2)
        _within("base.width", self.width, 8, 256)
        _within("base.embedding", self.embedding, 8, 4096)
        _within("base.dropout", self.dropout, 0, 0.95)
        _within("base.scale", self.scale, 1, 1000)
        _within("base.margin", self.margin, 0, 1)
        _within("base.margin_warmup", self.margin_warmup, 0, 1)
        _within("base.epochs", self.epochs, 1, 10_000)
        _within("base.batch", self.batch, 2, 65_536)
        _within("base.lr", self.lr, 1e-8, 100)
        _within("base.weight_decay", self.weight_decay, 0, 1)
        _within("base.augment", self.augment, 0, 4)
        _within("base.occlude", self.occlude, 0, 1)
        _within("base.masked", self.masked, 0, 1)
        _within("base.balance", self.balance, 0, 1)
        _within("base.average", self.average, 0, 0.99999)
        _within("base.validate_every", self.validate_every, 1, 10_000)


@dataclass(frozen=True)
class RegionsConfig:
    """How regions are laid over the face.

    Attributes:
        floor: least height of the bands of eyes and mouth (LM2), or height and width of a box (LM1), in units of
            the distance between the eyes; 0 is the paper's rule.
        share: a region counts as occluded when more than this share of it is covered.
    """

    BEFORE: ClassVar[dict[str, object]] = {"share": 0.5}

    floor: float = 0.57
    share: float = 0.5

    def __post_init__(self) -> None:
        _within("regions.floor", self.floor, 0, 2)
        _within("regions.share", self.share, 0, 0.999)


@dataclass(frozen=True)
class MaskConfig:
    """Training of the mask generators (Johnston & Ngxande, section 3.2).

    Attributes:
        weight: lambda of equation 3, the weight of the difference beside the class loss.
        epochs, batch, lr: of the fixed schedule (AdamW, warm-up, cosine).
        intensity: grey level 0 to 255 of the block on the occluded twin; -1 draws one for each photo.
        jitter: how far each edge of that block moves at most, as a share of the region's side; 0 is the paper's.
        shared: the loss sees the mean mask of the batch, as the dictionary will hold a mean mask; False gives each
            pair its own, the paper's form.
        patience: the training ends after so many validations without a better one, at a constant rate, and after
            `epochs` at the latest; 0 trains all `epochs`.
    """

    BEFORE: ClassVar[dict[str, object]] = {"jitter": 0.0, "shared": False, "patience": 0}

    weight: float = 10.0
    epochs: int = 6
    batch: int = 64
    lr: float = 1e-2
    intensity: int = -1
    jitter: float = 0.0
    shared: bool = True
    patience: int = 0

    def __post_init__(self) -> None:
        _within("masks.weight", self.weight, 0, 1e6)
        _within("masks.epochs", self.epochs, 1, 10_000)
        _within("masks.batch", self.batch, 2, 65_536)
        _within("masks.lr", self.lr, 1e-8, 100)
        _within("masks.intensity", self.intensity, -1, 255)
        _within("masks.jitter", self.jitter, 0, 1)
        _within("masks.patience", self.patience, 0, 10_000)


@dataclass(frozen=True)
class MatchingConfig:
    """Masks learned in the match itself, see `pdsn.masks.matched`.

    Attributes:
        steps: of training, whatever the number of photos.
        batch, lr: of the fixed schedule (AdamW, warm-up, cosine).
        margin: m of the large margin cosine loss; its scale is the base's.
        draws: occluded twins of each training photo.
        validations: how often the masks are validated on the way; the best ones are kept.
    """

    BEFORE: ClassVar[dict[str, object]] = {}

    steps: int = 600
    batch: int = 96
    lr: float = 0.1
    margin: float = 0.2
    draws: int = 2
    validations: int = 4

    def __post_init__(self) -> None:
        _within("matching.steps", self.steps, 1, 10_000_000)
        _within("matching.batch", self.batch, 2, 65_536)
        _within("matching.lr", self.lr, 1e-8, 100)
        _within("matching.margin", self.margin, 0, 1)
        _within("matching.draws", self.draws, 1, 1000)
        _within("matching.validations", self.validations, 1, 1000)


@dataclass(frozen=True)
class HeadConfig:
    """The base's head, trained on under random FDMs, see `pdsn.masks.head_tuning`.

    Attributes:
        strategy: whose FDMs; "" for `matched`, and `pdsn run` then tunes no head.
        steps: of training, whatever the number of photos.
        batch: occluded photos a step, and as many clean ones.
        lr, weight_decay: of the fixed schedule (AdamW, warm-up, cosine).
        draws: occluded twins of each training photo.
        validations: how often the head is validated on the way; the best one is kept.
    """

    BEFORE: ClassVar[dict[str, object]] = {}

    strategy: str = ""
    steps: int = 600
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 5e-4
    draws: int = 2
    validations: int = 4

    def __post_init__(self) -> None:
        _within("head.steps", self.steps, 1, 10_000_000)
        _within("head.batch", self.batch, 2, 65_536)
        _within("head.lr", self.lr, 1e-8, 100)
        _within("head.weight_decay", self.weight_decay, 0, 1)
        _within("head.draws", self.draws, 1, 1000)
        _within("head.validations", self.validations, 1, 1000)


@dataclass(frozen=True)
class DictionaryConfig:
    """The mask dictionary (Johnston & Ngxande, section 3.3).

    Attributes:
        strategies: those that `pdsn run` builds; controls among them need no generator.
        percentile: features below it are dropped; -1 takes the paper's for each strategy. The masks of
            `matched` are soft, and know none.
        regions: the strategy whose regions `matched` and the controls use.
        preferred: the one of `strategies` by which new photos are compared where nobody asks for another; "" is
            `matched`, or else LM2.
    """

    BEFORE: ClassVar[dict[str, object]] = {"preferred": ""}

    strategies: tuple[str, ...] = (
        "grid3x3", "LM1", "LM2", "matched", "random", "geometric", "difference", "relative",
    )  # fmt: skip
    percentile: float = -1.0
    regions: str = "LM2"
    preferred: str = ""

    def __post_init__(self) -> None:
        if self.percentile != -1.0:
            _within("dictionary.percentile", self.percentile, 0, 100)
        if self.preferred:
            _one_of("dictionary.preferred", self.preferred, self.strategies)


@dataclass(frozen=True)
class SegmentConfig:
    """The U-Net that finds what is covered, and its training.

    Attributes:
        encoder: the U-Net's encoder by its name in segmentation-models-pytorch: VGG16 is the paper's;
            "vgg11_bn" takes two thirds of its time, "resnet18" a third.
        height: rows that the network sees; larger faces are reduced to it, its answer is enlarged again.
        steps: of training, whatever the number of photos.
        batch, lr: of the fixed schedule (AdamW, warm-up, cosine).
        validations: how often the network is validated on the way; the best one is kept.
        labels: "mask", the occluders' exact masks, or "difference" of photo and occluded photo, cleaned
            by morphological opening and closing (Johnston & Ngxande, section 4.1).
        init: "" for random weights, or "imagenet" for the encoder's.
    """

    BEFORE: ClassVar[dict[str, object]] = {}

    encoder: str = "vgg16_bn"
    height: int = 64
    steps: int = 1500
    batch: int = 16
    lr: float = 1e-3
    validations: int = 5
    labels: str = "mask"
    init: str = ""

    def __post_init__(self) -> None:
        _one_of("segment.encoder", self.encoder, ENCODERS)
        _within("segment.height", self.height, SMALLEST_SIDE, LARGEST_SIDE)
        _within("segment.steps", self.steps, 1, 10_000_000)
        _within("segment.batch", self.batch, 2, 65_536)
        _within("segment.lr", self.lr, 1e-8, 100)
        _within("segment.validations", self.validations, 1, 1000)
        _one_of("segment.labels", self.labels, ("mask", "difference"))
        _one_of("segment.init", self.init, ("", "imagenet"))


@dataclass(frozen=True)
class EvalConfig:
    """Recognition of the probes.

    Attributes:
        occlusions: rows of the table; "all" is every occlusion there is.
        split: the probes, "test" or "val".
        source: where the covered pixels come from: "segmenter", the U-Net, or "oracle", the occluder's
            exact mask.
        align: "clean" occludes the aligned face; "occluded" paints the original photo, then detects and
            aligns, as it is outside the laboratory.
        mirror: add the embedding of the mirror image (flip-sum).
        head: take the head that was tuned under FDMs, where the run has one.
        compare: a probe with each person's "nearest" photo, the paper's rule, with the "mean" of their photos'
            embeddings, or with "both", by the mean of the two cosines.
        unmasked: weight (0 to 1) of the cosine without the FDM beside the one under it.
        bootstrap: resamples behind each interval.
        enrol: photos of each person in the gallery where the split is by person; the others are the probes.
        draws: how often each photo is occluded, each time with another draw.
        matchers: further columns of the table, beside no FDM and the strategies: matchers of `pdsn.matchers.table`.
    """

    BEFORE: ClassVar[dict[str, object]] = {
        "align": "clean",
        "head": True,
        "compare": "nearest",
        "unmasked": 0.0,
        "enrol": 5,
        "draws": 1,
        "matchers": [],
    }

    occlusions: tuple[str, ...] = ("all",)
    split: str = "test"
    source: str = "segmenter"
    align: str = "clean"
    mirror: bool = True
    head: bool = True
    compare: str = "nearest"
    unmasked: float = 0.0
    bootstrap: int = 2000
    enrol: int = 5
    draws: int = 1
    matchers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.occlusions:
            raise SettingError("eval.occlusions", [], 'is empty: name some, or "all"')
        _one_of("eval.split", self.split, ("test", "val"))
        _one_of("eval.source", self.source, ("segmenter", "oracle"))
        _one_of("eval.align", self.align, ("clean", "occluded"))
        _one_of("eval.compare", self.compare, COMPARISONS)
        _within("eval.unmasked", self.unmasked, 0, 1)
        _within("eval.bootstrap", self.bootstrap, 100, 100_000)
        _within("eval.enrol", self.enrol, 1, 1000)
        _within("eval.draws", self.draws, 1, 100)


@dataclass(frozen=True)
class Settings:
    """Everything a run is made with; one section a stage, as in a preset's TOML.

    Attributes:
        seed: of training and occlusions.
        split: "photo" trains on photos of everybody and recognises others of the same people; "person" trains
            on some of the people and recognises the rest, who were never trained on.
    """

    BEFORE: ClassVar[dict[str, object]] = {"split": "photo", "plugins": {}}

    seed: int = 0
    split: str = "photo"
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    base: BaseConfig = field(default_factory=BaseConfig)
    pretrained: PretrainedConfig = field(default_factory=PretrainedConfig)
    regions: RegionsConfig = field(default_factory=RegionsConfig)
    masks: MaskConfig = field(default_factory=MaskConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    dictionary: DictionaryConfig = field(default_factory=DictionaryConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    plugins: dict[str, Any] = field(default_factory=dict)
    """Settings of bases and matchers, by the plug-in's name: those that somebody has set."""

    def of(self, plugin: Plugin) -> Any:
        """The settings of a base or matcher, its defaults where nobody has set any; None where it has none."""
        if plugin.settings is None:
            return None
        return self.plugins.get(plugin.name) or plugin.settings()

    def __post_init__(self) -> None:
        _within("seed", self.seed, 0, 2**31)
        _one_of("split", self.split, SPLITS_BY)


def _one_of(setting: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingError(setting, value, unknown(choices))


def _within(setting: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # also refuses NaN
        raise SettingError(setting, value, f"is out of range: from {low} to {high}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
