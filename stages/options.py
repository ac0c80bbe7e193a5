"""Options and helpers that several files of commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.session import Layer

Force = Annotated[bool, typer.Option("--force", help="Make it anew, whatever is there.")]
AnyStrategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy", metavar="NAME",
        help="grid3x3, LM1, LM2, LM2-split, matched, or a control: random, geometric, difference, relative; MAKER@LAYOUT for another layout, such as matched@grid3x3; several times for several. Default: LM2 for build-dictionary, all that have a dictionary for eval, the preset's for run.",
    ),
]  # fmt: skip


Architecture = Annotated[
    str | None,
    typer.Option(
        "--arch", metavar="NAME",
        help="A pretrained recogniser: mobilefacenet, iresnet18, iresnet34, iresnet50, iresnet100, "
        "inception_resnet_v1, timm:NAME (--weights pretrained downloads timm's), or a FILE.py that defines one. Remembered.",
    ),
]  # fmt: skip
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Its weights: safetensors, npz or pth; or the name of a download, such as vggface2. Remembered.",
    ),
]


def recogniser(arch: str | None, weights: str | None, **more: object) -> Layer:
    """The options that name a pretrained recogniser, as a settings layer; files by their full path."""
    given = (
        name if name is None or not Path(name).is_file() else str(Path(name).resolve())
        for name in (arch, weights)
    )
    return layer("pretrained", **dict(zip(("arch", "weights"), given, strict=True)), **more)


_NAMES = {
    "split": "--split-by",
    "base.kind": "--base",
    "masks.weight": "--lambda",
    "regions.floor": "--region-floor",
    "eval.occlusions": "--occlusion",
    "eval.source": "--occlusion-source",
    "eval.matchers": "--matcher",
}
"""Options that are not called as the setting that they set."""


def option_of(setting: str, command: str) -> str:
    """The option of a command that sets a setting, "base.epochs"."""
    if (command, setting) == ("prepare", "pretrained.arch"):
        return "--for"
    return _NAMES.get(setting, f"--{setting.rpartition('.')[2].replace('_', '-')}")


def layer(section: str, **values: object) -> Layer:
    """The options that were given, as a settings layer."""
    given = {name: value for name, value in values.items() if value is not None}
    return {section: given} if given else {}
