"""What of a run is exported."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pdsn.artefact import TrainingFolder
from pdsn.coverage.caution import Cautious
from pdsn.data.crop import crop_settings
from pdsn.data.dataset import FaceDataset
from pdsn.data.settings import PrepareConfig
from pdsn.files import sha256_of
from pdsn.masks.dictionary import MaskDictionary
from pdsn.networks.branches import Network
from pdsn.run.directory import RunDir
from pdsn.run.settings import Settings


@dataclass(frozen=True)
class Exported:
    """The parts of a finished run that are exported together, with where they come from.

    Attributes:
        run: the run directory.
        settings: in force; those of `eval` say how faces are compared.
        dataset: all faces.
        training: the faces that were trained on.
        net, base: the base and its folder.
        head: the folder of its tuned head; None where it has its own.
        strategy: name of the dictionary, a strategy's or a control's; "none" for no FDM.
        dictionary: the masks; None for no FDM.
        segmenter, segmentation: the segmentation and its folder; None where it is left out.
    """

    run: RunDir
    settings: Settings
    dataset: FaceDataset
    training: FaceDataset
    net: Network
    base: TrainingFolder
    head: TrainingFolder | None
    strategy: str
    dictionary: MaskDictionary | None
    segmenter: Cautious | None
    segmentation: TrainingFolder | None

    @property
    def crop(self) -> PrepareConfig:
        """How a photo becomes a face that the networks know."""
        return crop_settings(self.dataset)

    @cached_property
    def sources(self) -> dict[str, str]:
        """sha256 of what the export is made from, by name as in `eval/table.json`."""
        found = {"data set": self.dataset.sha256, "base": self.base.sha256()}
        if self.head is not None:
            found["head"] = self.head.sha256()
        if self.dictionary is not None:
            found[f"dictionary {self.strategy}"] = sha256_of(self.run.dictionary(self.strategy))
        if self.segmentation is not None:
            found["segmentation"] = self.segmentation.sha256()
        return found
