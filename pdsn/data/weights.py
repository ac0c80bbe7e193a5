"""The weights of the detector's networks that come with pdsn, or that `pdsn detector-train` made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pdsn.artefact import load_tensors, save_tensors
from pdsn.errors import PdsnError

if TYPE_CHECKING:
    from torch import nn

COVERED = "covered"
"""The name of those that come with pdsn."""
REMAKE = "pdsn detector-train PHOTOS --out DIR"
PARTS = ("refine", "output")
"""Names of the second and third network in a file."""
PLACING = "landmarks"
"""Name of the network that places the landmarks of covered faces; files made before there was one have none."""


def weights_of(name: str) -> Path:
    """The file of some networks.

    Args:
        name: `COVERED`, or a path.

    Raises:
        PdsnError: they should have come with pdsn, but did not.
    """
    if name != COVERED:
        return Path(name)
    package = Path(__file__).parent.parent
    for place in (package / "detector", package.parent / "assets" / "detector"):
        if (place / "covered.safetensors").is_file():
            return place / "covered.safetensors"
    raise PdsnError("the detector's weights (covered.safetensors) are missing: install the package again")


def load_networks(path: Path, refine: nn.Module, output: nn.Module, landmarks: nn.Module) -> bool:
    """Put the weights of a file into the second and third network of MTCNN and into the one that places landmarks.

    Returns:
        Whether the file has the last one; what was made before there was one has not.

    Raises:
        PdsnError: it is missing, damaged, or holds something else.
    """
    tensors, _ = load_tensors(path, REMAKE)
    placing = any(name.startswith(f"{PLACING}.") for name in tensors)
    for part, network in zip((*PARTS, PLACING), (refine, output, landmarks), strict=True):
        if part == PLACING and not placing:
            break
        own = {
            name.partition(".")[2]: value.float()
            for name, value in tensors.items()
            if name.startswith(f"{part}.")
        }
        try:
            network.load_state_dict(own)
        except RuntimeError as error:
            raise PdsnError(f"{path} holds no networks of the detector: make them with `{REMAKE}`") from error
    return placing


def save_networks(
    path: Path, refine: nn.Module, output: nn.Module, landmarks: nn.Module | None, about: dict[str, str]
) -> None:
    """Write the networks as float16, with what is to be known of them; None leaves the last one out."""
    networks = {PARTS[0]: refine, PARTS[1]: output} | ({} if landmarks is None else {PLACING: landmarks})
    tensors = {
        f"{part}.{name}": value.detach().half().cpu()
        for part, network in networks.items()
        for name, value in network.state_dict().items()
    }
    save_tensors(path, tensors, about)
