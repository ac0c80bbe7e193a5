"""Any convolutional network of timm as a base: its last map, and its own pooling behind it."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from typing import Any

import timm
from torch import Tensor, nn

from pdsn.config.setting import SettingError
from pdsn.errors import PdsnError
from pdsn.networks.imported.architecture import Architecture


class TimmNet(nn.Module):
    """A network of timm without its classifier.

    Args:
        name: timm's name of it, with or without a tag.
        pretrained: download its weights.
    """

    # nn.Module's own type does not know timm's methods.
    model: Any

    def __init__(self, name: str, pretrained: bool = False) -> None:
        super().__init__()
        self.name = name
        self.model = timm.create_model(name, pretrained=pretrained, num_classes=0)

    def features(self, x: Tensor) -> Tensor:
        """Maps (N, C, h, w) of normalised faces (N, 3, H, W).

        Raises:
            SettingError: what comes out is no such map, as of transformers.
        """
        maps = self.model.forward_features(x)
        # Some transformers answer (N, h, w, C).
        if not isinstance(maps, Tensor) or maps.ndim != 4 or maps.shape[1] != self.model.num_features:
            shape = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
            raise SettingError(
                "pretrained.arch",
                f"timm:{self.name}",
                f"cannot be masked: its features are {shape}, not a map (N, C, h, w); "
                "choose a convolutional network",
            )
        return maps

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps (N, C, h, w): what timm's own classifier would see."""
        return self.model.forward_head(maps, pre_logits=True)


def timm_architecture(name: str) -> Architecture:
    """The architecture of a timm model; it sees faces of the size and normalisation it was trained with.

    Raises:
        SettingError: timm has no such model or tag, or it takes no colour photos of a usable size.
    """
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), 3)
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() names them all"
        raise SettingError("pretrained.arch", f"timm:{name}", f": timm has no such model; {hint}")
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise SettingError("pretrained.arch", f"timm:{name}", f": {error}") from error
    config = config or timm.models.PretrainedCfg()
    channels, height, width = config.input_size
    if channels != 3:
        wrong = f": it takes {channels} channels, not red, green and blue"
        raise SettingError("pretrained.arch", f"timm:{name}", wrong)
    classifiers = (config.classifier,) if isinstance(config.classifier, str) else config.classifier or ()
    return Architecture(
        f"timm:{name}",
        partial(TimmNet, name),
        (height, width),
        mean=_in_255(config.mean),
        std=_in_255(config.std),
        rename=partial(_without, tuple(classifiers)),
        downloads={"pretrained": partial(_download, name)},
    )


def _in_255(values: tuple[float, ...]) -> tuple[float, float, float]:
    """timm's channel statistics, in 0 to 1, in 0 to 255."""
    red, green, blue = (255 * value for value in values)
    return red, green, blue


def _without(classifiers: tuple[str, ...], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's names -> `TimmNet`'s, without the classifiers."""
    dropped = tuple(f"{name}." for name in classifiers)
    return {f"model.{name}": value for name, value in weights.items() if not name.startswith(dropped)}


def _download(name: str) -> dict[str, Tensor]:
    try:
        return TimmNet(name, pretrained=True).model.state_dict()
    # What a hub raises without a network is of its HTTP library's making, and changes with its version.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PdsnError(
            f"the download of timm's {name} failed ({reason}); "
            "fetch its weights elsewhere and give --weights FILE"
        ) from error
