"""FaceNet (Schroff et al., 2015) as facenet-pytorch's Inception-ResNet-v1 (Szegedy et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path

from torch import Tensor, nn

from pdsn.errors import PdsnError
from pdsn.networks.imported.weights import read_weights

TRUNK = (
    *("conv2d_1a", "conv2d_2a", "conv2d_2b", "maxpool_3a", "conv2d_3b", "conv2d_4a", "conv2d_4b"),
    *("repeat_1", "mixed_6a", "repeat_2", "mixed_7a", "repeat_3", "block8"),
)
"""Children of facenet-pytorch's network in front of the cut, in order."""
RELEASE = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
"""Where facenet-pytorch keeps its weights."""


class InceptionResnet(nn.Module):
    """facenet-pytorch's InceptionResnetV1, cut after block8: the map of a 160x160 face is 1792x3x3.

    Takes over the children of that network, names and all, so its published weights load. Its final
    normalisation to length 1 is left out: a cosine does that.
    """

    avgpool_1a: nn.Module
    dropout: nn.Module
    last_linear: nn.Module
    last_bn: nn.Module

    def __init__(self) -> None:
        super().__init__()
        from facenet_pytorch.models.inception_resnet_v1 import InceptionResnetV1

        for name, child in InceptionResnetV1().named_children():
            self.add_module(name, child)

    def features(self, x: Tensor) -> Tensor:
        """Maps (N, 1792, 3, 3), of either sign (a sum), of normalised faces (N, 3, 160, 160)."""
        for name in TRUNK:
            x = self.get_submodule(name)(x)
        return x

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, 512) of maps (N, 1792, h, w); not normalised."""
        pooled = self.dropout(self.avgpool_1a(maps)).flatten(1)
        return self.last_bn(self.last_linear(pooled))


def without_logits(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published weights without the classifier of the people they were trained on."""
    return {name: value for name, value in weights.items() if not name.startswith("logits.")}


def _download(file: str) -> dict[str, Tensor]:
    """Fetch weights with facenet-pytorch's downloader, or take them from its cache.

    Its `load_weights` unpickles them freely under an old torch; here they are read as tensors only.

    Raises:
        PdsnError: the download failed, or the file in the cache is damaged.
    """
    from facenet_pytorch.models.inception_resnet_v1 import get_torch_home
    from facenet_pytorch.models.utils.download import download_url_to_file

    cached = Path(get_torch_home()) / "checkpoints" / file
    if not cached.is_file():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            download_url_to_file(RELEASE + file, str(cached))
        except (OSError, HTTPException) as error:
            raise PdsnError(
                f"the download failed ({error}); fetch {RELEASE}{file} elsewhere and give --weights FILE"
            ) from error
    try:
        return read_weights(cached)
    except PdsnError as error:
        # facenet-pytorch does not notice a download that broke off.
        raise PdsnError(f"{error}: delete it and run the command once more") from error


DOWNLOADS: dict[str, Callable[[], dict[str, Tensor]]] = {
    "vggface2": partial(_download, "20180402-114759-vggface2.pt"),
    "casia-webface": partial(_download, "20180408-102900-casia-webface.pt"),
}
"""Published weights, by the photos they were trained on."""
