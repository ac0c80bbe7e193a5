"""How one comes by a base: network and training, or a recogniser that was trained elsewhere."""

from __future__ import annotations

from pdsn.bases.table import BASES
from pdsn.config.setting import Section, section, setting


@section("pretrained")
class PretrainedConfig(Section):
    """A recogniser that was trained elsewhere, in place of a base of our own."""

    arch: str = setting(
        default="",
        help="a pretrained recogniser: mobilefacenet, iresnet18, iresnet34, iresnet50, iresnet100, inception_resnet_v1, timm:NAME "
        "(--weights pretrained downloads timm's), onnx for one that --weights FILE.onnx holds, or a FILE.py that defines one",
        metavar="NAME",
    )
    weights: str = setting(
        default="",
        help="its weights: safetensors, npz, pth or onnx; or the name of a download, such as vggface2",
        metavar="FILE",
    )
    classifier: str = setting(
        default="means",
        help="what the class loss of the mask generators compares with: means of the training people's embeddings, or a "
        "classifier trained on the frozen embeddings",
        choices=("means", "trained"),
    )

    @property
    def architecture(self) -> str:
        """What `find_architecture` takes: of an ONNX file the file itself, which is architecture and weights in one."""
        return (self.weights or self.arch) if self.arch == "onnx" else self.arch

    @property
    def file(self) -> str:
        """Where the weights are."""
        return self.weights or (self.arch if self.arch.lower().endswith(".onnx") else "")


@section("base")
class BaseConfig(Section):
    """Network and training of a base (Johnston & Ngxande, section 4.2).

    What only one base needs is in a section of its own, by the base's name.
    """

    arch: str = setting(default="resnet34", help="resnet34 is the paper's", choices=("resnet18", "resnet34"))
    width: int = setting(default=64, help="channels of the first stage; 64 is ResNet's own", low=8, high=256)
    stem: str = setting(
        default="standard",
        help="fine gives a map of twice the rows and columns, for four times the work",
        choices=("standard", "fine"),
    )
    last_stride: int = setting(
        default=2,
        help="stride of the last stage: 2 is ResNet's own, 1 gives a map of twice the rows and columns for half as much work "
        "again (Luo et al., Bag of Tricks, CVPRW 2019, section 3.5)",
        low=1,
        high=2,
        before=2,
    )
    embedding: int = setting(default=512, help="length of an embedding", low=8, high=4096)
    dropout: float = setting(default=0.4, help="before the head's linear layer", low=0, high=0.95)
    scale: float = setting(default=30.0, help="s of the large margin cosine loss", low=1, high=1000)
    margin: float = setting(default=0.35, help="m of the large margin cosine loss", low=0, high=1)
    margin_warmup: float = setting(
        default=0.0,
        help="share of the training in which the margin grows from 0; with 0 it is whole from the start",
        low=0,
        high=1,
        before=0.0,
    )
    epochs: int = setting(default=32, help="passes over the training photos", low=1, high=10_000)
    batch: int = setting(default=64, help="photos a step, over all processes", low=2, high=65_536)
    lr: float = setting(default=0.1, help="largest learning rate", low=1e-8, high=100)
    optimizer: str = setting(
        default="sgd",
        help="sgd with Nesterov momentum, or adamw, which transformers need",
        choices=("sgd", "adamw"),
        before="sgd",
    )
    weight_decay: float = setting(default=5e-4, help="of matrices and convolutions", low=0, high=1)
    augment: float = setting(
        default=1.0,
        help="strength of mirror, affine and light augmentation; 1 is the usual amount, 0 is none",
        low=0,
        high=4,
    )
    occlude: float = setting(
        default=0.0,
        help="share of the training photos that are occluded, as Trigueros et al. do; 0 trains on clean photos alone, as "
        "Johnston & Ngxande do",
        low=0,
        high=1,
        before=0.0,
    )
    masked: float = setting(
        default=0.0,
        help="share of those whose covered cells of the last map are dropped, as by an FDM",
        low=0,
        high=1,
        before=0.0,
    )
    balance: float = setting(
        default=0.0,
        help="0 takes each photo as often, 1 each person; between them n photos count as n^-balance",
        low=0,
        high=1,
        before=0.0,
    )
    average: float = setting(
        default=0.0,
        help="keep the running mean of the weights, of which each step keeps this share; 0 keeps the weights themselves",
        low=0,
        high=0.99999,
        before=0.0,
    )
    validate_every: int = setting(default=4, help="epochs between validations", low=1, high=10_000)
    init: str = setting(
        default="",
        help="start the trunk from ImageNet weights (a download) or from a safetensors file with torchvision's names",
        metavar="imagenet|FILE",
    )
    kind: str = setting(
        default="lmcl",
        help="which base, see pdsn list bases",
        choices=tuple(BASES),
        before="lmcl",
        option="--base",
    )
