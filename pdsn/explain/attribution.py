"""Where in a face a score comes from: saliency, Grad-CAM and LayerCAM."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pdsn.errors import UsageError
from pdsn.explain.score import PairScore

MAP = "map"
"""The name of the base's last map among the layers."""


def saliency(score: PairScore, pixels: Tensor, references: Tensor) -> Tensor:
    """Size of the score's gradient at each pixel, the largest of its colours (Simonyan, Vedaldi, Zisserman, 2014;
    Johnston & Ngxande, figures 2, 8 and 9).

    Args:
        score: of faces and references.
        pixels: (N, 3, H, W) uint8 or float, 0 to 255.
        references: (N, E) or (1, E).

    Returns:
        (N, H, W) float32, not negative.
    """
    from captum.attr import Saliency

    found: Tensor = Saliency(score).attribute(
        _asked(pixels, score), additional_forward_args=(references.expand(len(pixels), -1),)
    )
    return found.amax(1).detach()


def grad_cam(score: PairScore, pixels: Tensor, references: Tensor, layer: str = MAP) -> Tensor:
    """Grad-CAM (Selvaraju et al., 2017): relu(sum_k mean_ij(g_k) A_k), g the gradient of the score to the map A.

    Args:
        score, pixels, references: see `saliency`.
        layer: whose output is the map A, see `layer_of`.

    Returns:
        (N, h, w) float32, not negative; of a face and its mirror image together.

    Raises:
        UsageError: the layer is unknown, or gives no map.
    """
    from captum.attr import LayerGradCam

    module = layer_of(score, layer)
    pixels = _asked(pixels, score)
    _map_of(score, module, layer, pixels[:1], references[:1])  # a layer without a map is said in our words
    cells = LayerGradCam(score, module).attribute(
        pixels, additional_forward_args=(references.expand(len(pixels), -1),)
    )
    return F.relu(score.together(cells[:, 0])).detach()


def layer_cam(score: PairScore, pixels: Tensor, references: Tensor, layer: str = MAP) -> Tensor:
    """LayerCAM (Jiang et al., 2021): relu(sum_k relu(g_kij) A_kij); finer than Grad-CAM, which has one weight a channel.

    Args and returns as `grad_cam`.
    """
    module = layer_of(score, layer)
    activations, scores = _map_of(score, module, layer, _asked(pixels, score), references)
    (gradient,) = torch.autograd.grad(scores.sum(), activations)
    return F.relu(score.together((F.relu(gradient) * activations).sum(1))).detach()


_MAPS: dict[str, Callable[..., Tensor]] = {"saliency": saliency, "gradcam": grad_cam, "layercam": layer_cam}


def attribution(
    method: str, score: PairScore, pixels: Tensor, references: Tensor, layer: str = MAP
) -> Tensor:
    """The map (N, h, w) of a method by name; `saliency` asks for no layer."""
    further = () if method == "saliency" else (layer,)
    return _MAPS[method](score, pixels, references, *further)


def layer_of(score: PairScore, name: str) -> nn.Module:
    """A layer of the base by the name that torch gives it, such as layer3 or layer4.1.conv2; "map" for the last map.

    Raises:
        UsageError: there is none of that name.
    """
    if name == MAP:
        return score.map
    known = dict(score.net.named_modules())
    if not name or name not in known:
        parts = ", ".join([MAP, *(part for part, _ in score.net.named_children())])
        raise UsageError(f"--layer {name} is unknown: one of {parts}, or a part of these such as layer3.0")
    return known[name]


def to_pixels(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, h, w) at the size of the faces (N, H, W), bilinear; those that have it as they are."""
    if tuple(cells.shape[1:]) == tuple(size):
        return cells
    return F.interpolate(cells[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def _asked(pixels: Tensor, score: PairScore) -> Tensor:
    """Pixels that gradients can be asked of; the networks are frozen and have none."""
    return pixels.to(score.matcher.memory.encoder.device, torch.float32, copy=True).detach().requires_grad_()


def _map_of(
    score: PairScore, module: nn.Module, name: str, pixels: Tensor, references: Tensor
) -> tuple[Tensor, Tensor]:
    """The map (N, C, h, w) that a layer gives, and the scores (N,) that follow.

    Raises:
        UsageError: it gives something else.
    """
    seen: list[Tensor] = []

    def keep(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        del layer, given
        seen.append(output)
        # What follows may work in place: it gets a copy.
        return output.clone() if isinstance(output, Tensor) else output

    handle = module.register_forward_hook(keep)
    try:
        scores = score(pixels, references)
    finally:
        handle.remove()
    if len(seen) != 1 or not isinstance(seen[0], Tensor) or seen[0].ndim != 4:
        raise UsageError(
            f"--layer {name} gives no map (N, C, h, w), or several: give a convolutional layer, or {MAP} for the last map"
        )
    return seen[0], scores
