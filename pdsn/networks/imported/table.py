"""The recognisers that `--arch` can name, timm's, and those of a file of one's own."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from functools import partial
from pathlib import Path

from pdsn.config.setting import SettingError
from pdsn.errors import PdsnError
from pdsn.networks.imported import architecture
from pdsn.networks.imported.architecture import Architecture
from pdsn.networks.imported.inception_resnet import DOWNLOADS, InceptionResnet, without_logits
from pdsn.networks.imported.iresnet import BLOCKS, TEMPLATE, IResNet, norm_for_features
from pdsn.networks.imported.mobilefacenet import TEMPLATE_112X96, MobileFaceNet
from pdsn.networks.imported.onnx_architecture import is_onnx, onnx_architecture

ARCHITECTURES: dict[str, Architecture] = {
    "mobilefacenet": Architecture(
        "mobilefacenet", MobileFaceNet, (112, 96), std=(128.0, 128.0, 128.0), landmarks=TEMPLATE_112X96
    ),
    **{
        name: Architecture(
            name, partial(IResNet, blocks), (112, 112), landmarks=TEMPLATE, rename=norm_for_features
        )
        for name, blocks in BLOCKS.items()
    },
    "inception_resnet_v1": Architecture(
        "inception_resnet_v1",
        InceptionResnet,
        (160, 160),
        std=(128.0, 128.0, 128.0),
        align="box",
        rename=without_logits,
        downloads=DOWNLOADS,
    ),
}
"""Recognisers by name."""


EARLIER = ("pdsn.models", "pdsn.models.pretrained", "pdsn.models.pretrained.architecture")
"""Where version 0.1 had `Architecture`: files that import it from there go on working."""
ARCH = "pretrained.arch"
"""The setting that names one."""


def find_architecture(name: str) -> Architecture:
    """What `--arch` names.

    Args:
        name: a key of `ARCHITECTURES`, "timm:NAME", an ONNX file, or a Python file that defines `architecture`. That
            is executed: that is what naming it asks for.

    Raises:
        SettingError: there is none of that name, or the file defines none; one line says why.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if name.startswith("timm:"):
        # timm takes seconds to import.
        from pdsn.networks.imported.timm_backbone import timm_architecture

        return timm_architecture(name.removeprefix("timm:"))
    if is_onnx(name):
        return onnx_architecture(Path(name))
    if name.endswith(".py"):
        return _own(Path(name))
    raise SettingError(
        ARCH,
        name,
        f"is unknown: choose from {', '.join(ARCHITECTURES)}, timm:NAME, a FILE.onnx or a FILE.py that defines `architecture`",
    )


def _own(path: Path) -> Architecture:
    if not path.is_file():
        raise SettingError(ARCH, path, ": there is no such file")
    # Files in different folders may have one name.
    whole = str(path.resolve())
    module_name = f"pdsn_architecture_{hashlib.sha256(whole.encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(module_name, whole)
    assert spec is not None and spec.loader is not None, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    # Dataclasses with postponed annotations look their module up there.
    sys.modules[module_name] = module
    for old in EARLIER:
        sys.modules.setdefault(old, architecture)
    try:
        spec.loader.exec_module(module)
    except PdsnError as error:
        raise SettingError(ARCH, path, f": {error}") from error
    except (Exception, SystemExit) as error:
        reason = (str(error).splitlines() or [""])[0]
        wrong = f"fails{_line(error, whole)}: {type(error).__name__}: {reason}"
        raise SettingError(ARCH, path, wrong) from error
    found = getattr(module, "architecture", None)
    if found is None:
        raise SettingError(
            ARCH, path, "defines no `architecture`: end it with architecture = Architecture(…)"
        )
    if not isinstance(found, Architecture):
        raise SettingError(
            ARCH,
            path,
            f": `architecture` is a {type(found).__name__}, not an Architecture of pdsn.api",
        )
    return found


def _line(error: BaseException, path: str) -> str:
    """The line of the user's file at which it failed, in words; empty if it is not known."""
    if isinstance(error, SyntaxError):
        # Its message names the line.
        return ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f" in line {lines[-1]}" if lines else ""
