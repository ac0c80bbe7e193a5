"""A run, opened: everything that can be loaded from it, put together in one place for whoever works with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdsn.config.layers import merge
from pdsn.config.setting import SettingError
from pdsn.errors import UsageError, unknown
from pdsn.files import check_writable
from pdsn.masks.strategy import GENERATORS, MATCHED, NO_FDM, Strategy
from pdsn.matchers.table import COMMANDS, MATCHERS, RERANKING, SIGN, parts_of
from pdsn.run.directory import SYNTHETIC, RunDir
from pdsn.run.settings import Settings, build

if TYPE_CHECKING:
    import numpy as np
    from accelerate import Accelerator

    from pdsn.artefact import TrainingFolder
    from pdsn.coverage.segmenter import Segmenter
    from pdsn.data.dataset import FaceDataset
    from pdsn.data.detector import Detector
    from pdsn.data.settings import PrepareConfig
    from pdsn.masks.dictionary import MaskDictionary
    from pdsn.masks.maker import Maker
    from pdsn.masks.maps import PairMaps
    from pdsn.matchers.fdm import FDM
    from pdsn.matchers.fused import Fused
    from pdsn.matchers.matcher import Matcher
    from pdsn.matchers.memory import MapMemory
    from pdsn.networks.network import BaseModel
    from pdsn.occlusion.layouts import LandmarkStatistics, Layout


class Workspace:
    """What a run holds, loaded when it is first asked for.

    Args:
        run: the run directory.
        data: what the run calls its data set, see `RunDir.name_of`.
        settings: those in force.
        accelerator: device, precision, processes.
    """

    def __init__(self, run: RunDir, data: str, settings: Settings, accelerator: Accelerator) -> None:
        self.run, self.data, self.settings, self.accelerator = run, data, settings, accelerator

    @classmethod
    def open(cls, root: Path, accelerator: Accelerator) -> Workspace:
        """A run that some command has begun, with the settings that it remembers.

        Raises:
            PdsnError: there is no run.
        """
        run = RunDir.open(root)
        run.check_made()
        about = run.about
        made = merge(run.preset_settings(about["preset"]), about.get("settings", {}))
        return cls(run, about["data"], build(made), accelerator)

    @cached_property
    def dataset(self) -> FaceDataset:
        """The prepared faces; the embedded people are drawn on first use."""
        from pdsn.data.dataset import FaceDataset
        from pdsn.drawn.embedded import embedded_people

        if self.data != SYNTHETIC:
            return FaceDataset.load(self.run.data_set(self.data))
        check_writable("--run", self.run.data)
        with self.accelerator.main_process_first():
            return embedded_people(self.run.data, self.settings.synthetic, self.settings.prepare.split_seed)

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
        return crop, Detector(crop.min_face, str(self.accelerator.device))

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

    def strategy(self, name: str, setting: str = "") -> Strategy:
        """The maker and the layout that a strategy's name says.

        Args:
            name: LAYOUT, MAKER or MAKER@LAYOUT.
            setting: which it comes from, "" for --strategy.

        Raises:
            UsageError: it says none.
        """
        from pdsn.masks.makers import MAKERS
        from pdsn.masks.strategy import parse
        from pdsn.occlusion.layouts import LAYOUTS

        default = self.settings.dictionary.regions
        if default not in LAYOUTS:
            raise SettingError("dictionary.regions", default, unknown(tuple(LAYOUTS)))
        found = parse(name, default, MAKERS, LAYOUTS)
        if found is None:
            makers = [maker for maker in MAKERS if maker != GENERATORS]
            wrong = f"{unknown((*LAYOUTS, *makers))}, or MAKER@LAYOUT"
            raise SettingError(setting, name, wrong) if setting else UsageError(f"--strategy {name} {wrong}")
        return found

    def strategy_names(self, names: Sequence[str], setting: str = "") -> list[str]:
        """The shortest names of strategies, each once; UsageError where one is unknown."""
        default = self.settings.dictionary.regions
        return list(dict.fromkeys(self.strategy(name, setting).name(default) for name in names))

    def shortest(self, name: str | None) -> str | None:
        """The shortest name of a strategy; none, a matcher's name and None stay as they are."""
        if name is None or name == NO_FDM or name in MATCHERS:
            return name
        if SIGN in name:
            return SIGN.join(str(self.shortest(part)) for part in parts_of(name))
        return self.strategy_names([name])[0]

    @property
    def columns(self) -> list[str]:
        """The columns of a table beside no FDM and the strategies: matchers, and two of them or of strategies, A+B."""
        asked = self.settings.eval
        return list(dict.fromkeys([*asked.matchers, *(str(self.shortest(name)) for name in asked.fuse)]))

    def maker(self, name: str) -> Maker:
        """The maker of a strategy."""
        from pdsn.masks.makers import MAKERS

        return MAKERS[self.strategy(name).maker]

    def regions_of(self, name: str) -> Layout:
        """The layout of a strategy, on this data set."""
        return self.layout(self.strategy(name).layout)

    def mask_folders(self, name: str) -> list[Path]:
        """Where the trained masks of a strategy lie; none where its maker learns nothing."""
        from pdsn.occlusion.layouts import region_names

        labels = self.maker(name).labels(region_names(self.strategy(name).layout))
        return [self.run.masks(name, label) for label in labels]

    def mask_trainings(self, name: str, base: str) -> dict[str, TrainingFolder]:
        """The folder of each part that a strategy's maker trains, by its label, trained or not."""
        maker, layout = self.maker(name), self.regions_of(name)
        if maker.folder is None:
            return {}
        return {
            label: maker.folder(self, name, layout, label, base)
            for label in maker.labels(list(layout.regions))
        }

    def trained_masks(self, name: str, base: str) -> dict[str, TrainingFolder]:
        """The same, once everything is trained.

        Raises:
            PdsnError: one is missing, or belongs to another base or region.
        """
        folders = self.mask_trainings(name, base)
        for folder in folders.values():
            folder.check()
        return folders

    def dictionary(self, name: str, base: str) -> MaskDictionary:
        """The dictionary of a strategy.

        Raises:
            PdsnError: it is missing, or belongs to another base or other regions.
        """
        from pdsn.masks.dictionary import MaskDictionary

        remake = f"pdsn build-dictionary --strategy {name}"
        path = self.run.dictionary(name)
        return MaskDictionary.load(path, base=base, regions_now=self.layout, remake=remake)

    @property
    def head_strategy(self) -> str:
        """Whose FDMs the head is tuned under."""
        return self.settings.head.strategy or MATCHED

    def head_folder(self, base: str) -> TrainingFolder:
        """The folder of the tuned head, trained or not."""
        from pdsn.masks.head_tuning import open_head

        return open_head(self.run.head, self.run.dictionary(self.head_strategy), self.settings, base)

    @cached_property
    def tuned(self) -> tuple[BaseModel, dict[str, str]]:
        """The base as it recognises, with its tuned head if there is one; the sha256 of "base" and "head".

        It is loaded once for all matchers.

        Raises:
            PdsnError: there is no base, or one of the two belongs to something else.
        """
        from pdsn.masks.head_tuning import use_head

        model, base = self.base()
        folder = self.head_folder(base)
        if not (self.settings.eval.head and folder.model.is_file()):
            return model, {"base": base}
        return model, {"base": base, "head": use_head(folder, model)}

    @cached_property
    def memory(self) -> MapMemory:
        """The base at work: every matcher of the run shares its maps."""
        from pdsn.bases.encoder import Encoder
        from pdsn.matchers.memory import MapMemory

        model, _ = self.tuned
        return MapMemory(Encoder(model.net, self.accelerator), mirror=self.settings.eval.mirror)

    def matcher(self, name: str) -> Matcher:
        """A matcher by name: "none" for the cosine without an FDM, a strategy that has a dictionary, one of the table, or two
        of these, A+B. It is put together once.

        Raises:
            UsageError: there is none of that name.
            PdsnError: what it needs is missing, or belongs to something else.
        """
        if name not in self._matchers:
            self._matchers[name] = self._new_matcher(name)
        return self._matchers[name]

    @cached_property
    def _matchers(self) -> dict[str, Matcher]:
        return {}

    def _new_matcher(self, name: str) -> Matcher:
        from pdsn.plugin import find_plugin

        if SIGN in name:
            return self._fused(name)
        name = "cosine" if name == NO_FDM else name
        if name not in MATCHERS:
            return self.fdm(name)
        plugin = find_plugin(MATCHERS, name, "--matcher")
        matcher: Matcher = plugin.load(self, None if plugin.train is None else self.matcher_folder(name))
        return matcher

    def _fused(self, name: str) -> Fused:
        """Two matchers at once, A+B, calibrated on the validation photos."""
        from pdsn.calibration.odds import fit_odds
        from pdsn.evaluation.enrolment import Enrolment
        from pdsn.matchers.fused import Fused
        from pdsn.occlusion.mixture import matching_mixture

        first, second = (self.matcher(part) for part in parts_of(name))
        settings, data = self.settings, self.dataset
        asked = (
            Enrolment.by_photo(data, "val")
            if settings.split == "photo"
            else Enrolment.by_person(data, "val", settings.eval.enrol)
        )
        occluder = matching_mixture(list(self.layout("LM2").regions.values()), "val")
        odds = fit_odds((first, second), data, asked.gallery, asked.probes, occluder, settings.seed)
        return Fused(first, second, odds)

    def chooses(self, name: str) -> str:
        """Which matcher or strategy chooses the people that a re-ranking one compares again.

        Args:
            name: the one that was asked for; "" for the one that new photos are compared by, no FDM without a dictionary.

        Raises:
            UsageError: there are several to choose from.
        """
        if name:
            return str(self.shortest(name))
        if not self.run.dictionaries():
            return NO_FDM
        try:
            return self.preferred_strategy()
        except UsageError as error:
            raise UsageError(
                f"{self.run.root} has several dictionaries, and cross-encoder takes the best of one: say of which by "
                "first = NAME under [cross-encoder] in a --config FILE"
            ) from error

    def behind(self, names: Sequence[str]) -> list[str]:
        """The strategies and matchers that some columns are made of, each once: both of A+B, and whoever chooses for another.

        Args:
            names: matchers, strategies, or two of these, A+B.
        """
        found: dict[str, None] = {}
        for name in (part for one in names for part in parts_of(one)):
            if name == "fdm":
                name = self.chooses("")
            found[name] = None
            if name in RERANKING:
                own = self._settings_of(name)
                if not own.full:
                    found |= dict.fromkeys(self.behind([self.chooses(own.first)]))
        return list(found)

    def _settings_of(self, name: str) -> Any:
        from pdsn.plugin import find_plugin

        return self.settings.of(find_plugin(MATCHERS, name, "--matcher"))

    def matcher_folder(self, name: str) -> TrainingFolder:
        """The folder of a matcher that is trained, whether it is yet or not."""
        from pdsn.artefact import TrainingFolder, plain

        own = self._settings_of(name)
        learned = {key: value for key, value in plain(own).items() if key not in own.ASKED}
        config = {**learned, "share": self.settings.regions.share, "seed": self.settings.seed}
        networks = {"head": "none", **self.tuned[1]} if own.LEARNS_FROM else {}
        layouts = dict.fromkeys(("LM2", getattr(own, "layout", "LM2")))
        regions = {
            layout: {region: list(box) for region, box in self.layout(layout).regions.items()}
            for layout in layouts
        }
        inputs = {
            **{key: value for key, value in networks.items() if key in own.LEARNS_FROM},
            "data set": self.training.sha256,
            "regions": str(regions),
        }
        return TrainingFolder(self.run.matcher(name), config, inputs, f"pdsn {COMMANDS[name]}", own.BEFORE)

    def fdm(self, strategy: str) -> FDM:
        """The matcher that leaves out what is covered, by the dictionary of a strategy."""
        from pdsn.matchers.fdm import FDM

        dictionary = self.dictionary(strategy, self.tuned[1]["base"])
        share, asked = self.settings.regions.share, self.settings.eval
        return FDM(self.memory, dictionary, share, asked.compare, asked.unmasked)

    def preferred_strategy(self) -> str:
        """The strategy that is taken where nobody asks for one, see `strategies.choose_strategy`."""
        from pdsn.run.strategies import choose_strategy

        return choose_strategy(self.run, None, self.settings.dictionary)

    @cached_property
    def segmenter_folder(self) -> TrainingFolder:
        """The folder of the segmentation."""
        from pdsn.coverage.segmenter import segmenter_folder

        return segmenter_folder(self.run.segmenter, self.settings.segment, self.training, self.settings.seed)

    def segmenter(self) -> Segmenter:
        """The trained segmentation.

        Raises:
            PdsnError: there is none, or it belongs to another data set.
        """
        from pdsn.coverage.segmenter import load_segmenter

        return load_segmenter(self.segmenter_folder, self.accelerator)

    def example_face(self) -> np.ndarray:
        """The mean training face (H, W, 3) uint8: a backdrop for pictures that shows nobody."""
        import numpy as np

        rows = self.training.rows("train")
        return np.asarray(self.training.faces[rows[:: max(len(rows) // 500, 1)]].mean(0)).astype(np.uint8)
