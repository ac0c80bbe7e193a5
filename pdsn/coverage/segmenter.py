"""The segmentation that finds which pixels of a face are covered: a U-Net (Johnston & Ngxande, section 4.1), or `trunk`'s."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.artefact import TrainingFolder
from pdsn.coverage.caution import Cautious, Segmentation
from pdsn.coverage.settings import BASE, SegmentConfig
from pdsn.coverage.trunk import TrunkSegmentationNet
from pdsn.networks.backbone import at_rest, standardised
from pdsn.networks.branches import Network

if TYPE_CHECKING:
    from accelerate import Accelerator

    from pdsn.data.dataset import FaceDataset

DECODER = (256, 128, 64, 32)
"""Channels of the decoder's blocks, coarse to fine; as many blocks as the encoder is deep."""


class SegmentationNet(Segmentation):
    """U-Net (Ronneberger et al., 2015) with a VGG or ResNet encoder, for faces of any size.

    Args:
        encoder: the encoder's name in segmentation-models-pytorch, such as "vgg16_bn"; see `config.ENCODERS`.
        height: rows that the network sees; larger faces are reduced to it.
        weights: None for random weights or "imagenet", which is a download.
    """

    def __init__(self, encoder: str, height: int, weights: str | None = None) -> None:
        super().__init__()
        from segmentation_models_pytorch import Unet

        self.height = height
        # VGG's fifth level is a pooling without a convolution: four carry all that it knows.
        self.unet = Unet(
            encoder, encoder_depth=len(DECODER), encoder_weights=weights, decoder_channels=DECODER, classes=1
        )
        if hasattr(self.unet.encoder, "layer4"):
            # ResNets are cut alike; smp would keep the last stage, two thirds of all weights, unused.
            self.unet.encoder.layer4 = nn.Identity()

    def forward(self, faces: Tensor) -> Tensor:
        """Logits (N, H, W) float32, above 0 where covered, of faces (N, 3, H, W) uint8 or float in 0 to 255."""
        size = faces.shape[2:]
        x = standardised(faces)
        rows, columns = size
        if rows > self.height:
            rows, columns = self.height, max(round(columns * self.height / rows), 1)
            x = F.interpolate(x, (rows, columns), mode="bilinear", antialias=True)
        step = 2 ** len(DECODER)
        x = F.pad(x, (0, -columns % step, 0, -rows % step), mode="replicate")
        logits = self.unet(x.contiguous(memory_format=torch.channels_last))[:, :, :rows, :columns].float()
        if (rows, columns) != tuple(size):
            logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        return logits[:, 0]


class Segmenter:
    """A trained segmentation ready to be asked.

    Args:
        net: the network with its limits; moved to the device.
        accelerator: device and precision.
        batch: faces at a time.
    """

    def __init__(self, net: Cautious, accelerator: Accelerator, batch: int = 128) -> None:
        self.net = net.to(accelerator.device).to(memory_format=torch.channels_last)
        self.accelerator = accelerator
        self.batch = batch
        self._parts = list(self.net.modules())

    def covered(self, faces: Tensor) -> Tensor:
        """The covered pixels (N, H, W) bool, on the CPU, of faces (N, 3, H, W) uint8."""
        return self._ask(self.net, faces, lambda logits: logits > 0, torch.bool)

    def logits(self, faces: Tensor) -> Tensor:
        """Logits (N, H, W) float32, on the CPU, with no limit taken off."""
        return self._ask(self.net.net, faces, lambda logits: logits, torch.float32)

    @torch.inference_mode()
    def _ask(
        self, net: Segmentation, faces: Tensor, take: Callable[[Tensor], Tensor], dtype: torch.dtype
    ) -> Tensor:
        at_rest(self._parts)
        found = [torch.zeros((0, *faces.shape[2:]), dtype=dtype)]
        for part in faces.split(self.batch):
            with self.accelerator.autocast():
                logits = net(part.to(self.accelerator.device))
            found.append(take(logits).cpu())
        return torch.cat(found)


def segmenter_folder(
    root: Path, config: SegmentConfig, dataset: FaceDataset, seed: int, base: str | None
) -> TrainingFolder:
    """The segmenter's folder for these settings and this data set.

    Args:
        root: the folder.
        config, dataset, seed: what it is trained with.
        base: hash of the base; counts where the encoder is the base's trunk.
    """
    inputs = {"data set": dataset.sha256}
    if config.encoder == BASE and base is not None:
        inputs["base"] = base
    settings = {**config.__dict__, "seed": seed}
    return TrainingFolder(root, settings, inputs, "pdsn segment-train", SegmentConfig.BEFORE)


def make_net(config: SegmentConfig, base: Network | None) -> Segmentation:
    """The network of some settings, untrained.

    Args:
        config: the settings.
        base: the frozen base; needed where its trunk is the encoder.

    Raises:
        OSError: the download of ImageNet's weights failed.
    """
    if config.encoder != BASE:
        return SegmentationNet(config.encoder, config.height, config.init or None)
    assert base is not None
    return TrunkSegmentationNet(base)


def load_segmenter(
    folder: TrainingFolder,
    accelerator: Accelerator,
    base: Callable[[], Network],
    sha256: Callable[[], str | None] = lambda: None,
) -> Segmenter:
    """The finished segmenter of a folder, built from the settings that lie beside it.

    Args:
        folder: of its weights.
        accelerator: device and precision.
        base: gives the frozen base; called where its trunk is the encoder.
        sha256: gives the hash of the base, if it is known; called likewise, and checked.

    Raises:
        PdsnError: it is missing, damaged, or was trained on another data set or for another base.
    """
    weights = folder.load()
    found = folder.found_config()
    known = sha256() if found.get("encoder") == BASE else None
    if known is not None:
        # The settings in force may name another encoder, and the folder's own inputs then no base.
        inputs = {**folder.inputs, "base": known}
        TrainingFolder(folder.root, folder.config, inputs, folder.command, folder.defaults).check()
    net: Segmentation
    try:
        if found["encoder"] == BASE:
            net = TrunkSegmentationNet(base())
        else:
            # Without memory of its own: filling VGG's hundred million weights at random takes seconds, for nothing.
            with torch.device("meta"):
                net = SegmentationNet(str(found["encoder"]), int(found["height"]))
        cautious = Cautious(net)
        cautious.load_weights(weights)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise folder.misfit(error) from error
    return Segmenter(cautious, accelerator)
