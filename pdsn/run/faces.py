"""A run's faces, layouts and base, loaded when they are first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pdsn.files import check_writable
from pdsn.run.directory import SYNTHETIC, RunDir
from pdsn.run.settings import Settings

if TYPE_CHECKING:
    from accelerate import Accelerator

    from pdsn.artefact import TrainingFolder
    from pdsn.data.dataset import FaceDataset
    from pdsn.data.detector import Detector
    from pdsn.data.settings import PrepareConfig
    from pdsn.masks.maps import PairMaps
    from pdsn.networks.network import BaseModel
    from pdsn.occlusion.layouts import LandmarkStatistics, Layout


class RunFaces:
    """A run's faces and its base; see `workspace.Workspace`.

    Args:
        run: the run directory.
        data: what the run calls its data set, see `RunDir.name_of`.
        settings: those in force.
        accelerator: device, precision, processes.
    """

    def __init__(self, run: RunDir, data: str, settings: Settings, accelerator: Accelerator) -> None:
        self.run, self.data, self.settings, self.accelerator = run, data, settings, accelerator

    @cached_property
    def dataset(self) -> FaceDataset:
        """The prepared faces; the embedded people are drawn on first use."""
        from pdsn.drawn.embedded import embedded_people

        if self.data != SYNTHETIC:
            return self.stored_dataset()
        check_writable("--run", self.run.data)
        with self.accelerator.main_process_first():
            return embedded_people(self.run.data, self.settings.synthetic, self.settings.prepare.split_seed)

    def stored_dataset(self) -> FaceDataset:
        """The prepared faces as they lie on the disk; nobody is drawn.

        Raises:
            PdsnError: they are gone or damaged; the line says how they come back.
        """
        from pdsn.data.dataset import FaceDataset

        root = self.run.data_set(self.data)
        return FaceDataset.load(root, self.run.restoring() if self.run.about else "")

    @cached_property
    def original_photos(self) -> Path:
        """The folder of photos that the data set was prepared from, see `pdsn.data.originals`."""
        from pdsn.data.originals import original_photos

        return original_photos(self.dataset)

    def finding_faces(self) -> tuple[PrepareConfig, Detector]:
        """How new photos are cropped, and the detector that finds their faces: both as for the run's data set."""
        from pdsn.data.crop import crop_settings
        from pdsn.data.detector import Detector

        crop = crop_settings(self.dataset)
        return crop, Detector(crop.min_face, str(self.accelerator.device), crop.detector)

    @cached_property
    def training(self) -> FaceDataset:
        """The faces that everything is trained on: those of everybody, or of the training people alone."""
        return self.dataset.trained_on(self.settings.split)

    @cached_property
    def statistics(self) -> LandmarkStatistics:
        """Landmark statistics of the training split."""
        from pdsn.occlusion.layouts import LandmarkStatistics

        return LandmarkStatistics.of(self.training.landmarks[self.training.rows("train")], self.training.size)

    def layout(self, name: str) -> Layout:
        """A layout on this data set."""
        from pdsn.occlusion.layouts import make_layout

        return make_layout(name, self.statistics, self.settings.regions.floor)

    @cached_property
    def base_folder(self) -> TrainingFolder:
        """The folder of the base, trained or imported."""
        from pdsn.bases.opening import open_base

        return open_base(self.run.base, self.settings, self.training)

    def base(self) -> tuple[BaseModel, str]:
        """The trained base and its sha256.

        Raises:
            PdsnError: there is none, or it belongs to another data set.
        """
        from pdsn.bases.opening import load_base

        return load_base(self.base_folder), self.base_folder.sha256()

    def pair_maps(self, model: BaseModel, base: str) -> PairMaps:
        """Cached maps of clean photos and their occluded twins under the base."""
        from pdsn.bases.encoder import Encoder
        from pdsn.masks.maps import PairMaps

        model.to(self.accelerator.device)
        encoder = Encoder(model.net, self.accelerator)
        masks = self.settings.masks
        return PairMaps(
            self.run.cache, self.training, encoder, base, self.settings.seed, masks.intensity, masks.jitter
        )
