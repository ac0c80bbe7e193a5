"""What every stage starts from: the run directory, the settings in force, and what can be loaded from them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pdsn.config.layers import Layer, build, load_file, load_preset, merge
from pdsn.config.sections import SettingError, Settings
from pdsn.errors import PdsnError, UsageError
from pdsn.run.directory import SYNTHETIC, RunDir

if TYPE_CHECKING:
    import numpy as np
    from accelerate import Accelerator

    from pdsn.artefact import TrainingFolder
    from pdsn.bases.lmcl import BaseModel
    from pdsn.coverage.segmenter import Segmenter
    from pdsn.data.dataset import FaceDataset
    from pdsn.masks.dictionary import MaskDictionary
    from pdsn.masks.maps import PairMaps
    from pdsn.occlusion.layouts import LandmarkStatistics, Layout

REMEMBERED = (
    "seed", "split", "prepare", "synthetic", "base", "pretrained", "regions", "masks", "matching", "dictionary",
    "head",    "segment", "eval",
)  # fmt: skip
"""Settings that a run keeps once an option or a file has set them; what `pdsn eval` is asked holds for one call."""
MODEL = "model.safetensors"
"""What a finished training leaves, see `pdsn.artefact`."""


@dataclass(frozen=True)
class Shared:
    """The options that several commands have, as they were given; None where they were not or are not offered."""

    run: Path
    data: str | None = None
    device: str = "auto"
    precision: str = "auto"
    seed: int | None = None
    split_by: str | None = None
    preset: str | None = None
    config: Path | None = None
    debug: bool = False
    origins: list[tuple[str, Layer]] = field(default_factory=list)
    """Where settings come from, most recent first, "" for the command's own options: `resolve` notes it for errors."""

    def origin(self, setting: str) -> str | None:
        """Where a setting, "base.epochs", was set: "" for an option of this command, None for nowhere."""
        section, _, name = setting.rpartition(".")
        for where, layer in self.origins:
            if name in (layer.get(section, {}) if section else layer):
                return where
        return None


def resolve(shared: Shared, preset: Layer, known: Layer, options: Layer, *, preset_name: str) -> Settings:
    """The settings in force: default < preset < what the run remembers < configuration file < options."""
    file = load_file(shared.config) if shared.config else {}
    typed = _typed(shared, options)
    shared.origins[:] = [
        ("", typed),
        (f"--config {shared.config}", file),
        (str(shared.run / "run.json"), known),
        (f"the preset {preset_name}", preset),
    ]
    return build(merge(preset, known, file, typed))


class Session:
    """A run opened for one command.

    Args:
        shared: the common options.
        options: settings that the command's own options ask for.
        force: replace artefacts made with other settings.
        keep: whether the run remembers these settings; not those of a command that trains nothing.
        data: the data set to use instead of `shared.data` (a folder that the command itself makes).

    Raises:
        PdsnError: an option, the configuration file or the run directory is wrong.
    """

    def __init__(
        self,
        shared: Shared,
        options: Layer,
        *,
        force: bool = False,
        keep: bool = True,
        data: str | None = None,
    ) -> None:
        from rich.console import Console

        from pdsn.runtime import start

        self.shared = shared
        self.force = force
        self.console = Console()
        self.run = RunDir.open(shared.run)
        given = data if data is not None else shared.data
        if given is not None and given != SYNTHETIC:
            given = self.run.name_of(given)
        if data is not None and self.run.about.get("data", given) != given:
            raise UsageError(
                f"--photos: {self.run.root} was made with {self.run.about['data']}; choose another --run for other photos"
            )
        self.data = self.run.remembered("data", "--data", given, SYNTHETIC)
        if shared.preset is not None:
            load_preset(shared.preset)  # an unknown one is refused as such
        known: Layer = self.run.about.get("settings", {})
        self.known_weights = known.get("pretrained", {}).get("weights")
        self.asked = asked = _asked(shared, options)
        imported = merge(known, asked).get("pretrained", {}).get("arch")
        default = "pretrained" if imported else "demo" if self.data == SYNTHETIC else "lfw10"
        self.preset = self.run.remembered("preset", "--preset", shared.preset, default)
        self._preset = self.run.preset_settings(self.preset)
        self.settings: Settings = resolve(shared, self._preset, known, options, preset_name=self.preset)
        self._check_split(known)
        kept = {name: value for name, value in asked.items() if keep and name in REMEMBERED}
        self._kept = merge(known, kept)
        # What a command asks for that call alone says nothing about how the run is made.
        self._in_use = self.settings if keep else build(merge(self._preset, self._kept))
        self.accelerator: Accelerator = start(shared.device, shared.precision)

    def _check_split(self, known: Layer) -> None:
        """Raise UsageError where a run is asked for another split than the one it was made with.

        Everything in it would be of the wrong people: like the data set, the split is not mixed in later.
        """
        made = merge(self._preset, known).get("split", Settings.split)
        asked = self.settings.split
        if self.run.about and asked != made:
            wrong = f": {self.run.root} was made with {made}; choose another --run for {asked}"
            raise SettingError("split", asked, wrong)

    def begin(self) -> None:
        """Write to run.json what this command works with; called once nothing stands in its way."""
        if not self.accelerator.is_main_process:
            return
        from pdsn.artefact import plain, versions
        from pdsn.runtime import precision_of

        entry = {
            "command": shlex.join(["pdsn", *sys.argv[1:]]),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": _revision(),
            **versions(),
            "device": str(self.accelerator.device),
            "precision": precision_of(self.accelerator),
            "processes": self.accelerator.num_processes,
        }
        self.run.remember(
            entry, data=self.data, preset=self.preset, preset_settings=self._preset, settings=self._kept,
            in_use=plain(self._in_use),
        )  # fmt: skip

    @property
    def own(self) -> Settings:
        """The settings that the run remembers: those in force, but for what a call that trains nothing asks."""
        return self._in_use

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
    def training(self) -> FaceDataset:
        """The faces that everything is trained on: those of everybody, or of the training people alone."""
        return self.dataset.trained_on(self.settings.split)

    @cached_property
    def statistics(self) -> LandmarkStatistics:
        """Landmark statistics of the training split."""
        from pdsn.occlusion.layouts import LandmarkStatistics

        return LandmarkStatistics.of(self.training.landmarks[self.training.rows("train")], self.training.size)

    def layout(self, name: str) -> Layout:
        """Regions of a strategy on this data set."""
        from pdsn.occlusion.layouts import make_layout

        return make_layout(name, self.statistics, self.settings.regions.floor)

    @cached_property
    def base_folder(self) -> TrainingFolder:
        """The folder of the base, trained or imported."""
        from pdsn.bases.lmcl import open_base

        return open_base(self.run.base, self.settings, self.training)

    def base(self) -> tuple[BaseModel, str]:
        """The trained base and its sha256.

        Raises:
            PdsnError: there is none, or it belongs to another data set.
        """
        from pdsn.bases.lmcl import load_base

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

    @staticmethod
    def is_control(name: str) -> bool:
        """Whether a strategy's masks come without learning."""
        from pdsn.masks.controls import CONTROLS

        return name in CONTROLS

    @staticmethod
    def check_strategy(name: str, setting: str = "") -> None:
        """Raise UsageError unless `name`, of --strategy or of a setting, is a strategy, `matched` or a control."""
        from pdsn.masks.controls import CONTROLS
        from pdsn.masks.matched import MATCHED
        from pdsn.occlusion.layouts import LAYOUTS

        known = [*LAYOUTS, MATCHED, *CONTROLS]
        if name not in known:
            wrong = f"is unknown: choose from {', '.join(known)}"
            raise SettingError(setting, name, wrong) if setting else UsageError(f"--strategy {name} {wrong}")

    def check_regions(self, name: str) -> str:
        """The strategy whose regions another, `matched` or a control has; UsageError unless there is one."""
        from pdsn.occlusion.layouts import LAYOUTS

        self.check_strategy(name)
        if name in LAYOUTS:
            return name
        regions = self.settings.dictionary.regions
        if regions not in LAYOUTS:
            raise SettingError("dictionary.regions", regions, f"is unknown: choose from {', '.join(LAYOUTS)}")
        return regions

    def regions_of(self, name: str) -> Layout:
        """Regions of a strategy, or of the strategy that `matched` or a control borrows them from."""
        return self.layout(self.check_regions(name))

    def need(
        self, *, dictionaries: Sequence[str] = (), generators: Sequence[str] = (), segmenter: bool = False
    ) -> None:
        """Raise PdsnError unless the run's base is there, and what else a command goes on from.

        Nothing is opened: it is asked before anything that takes time.

        Args:
            dictionaries: strategies whose dictionary is needed.
            generators: strategies whose trained masks are needed; of controls there are none.
            segmenter: whether the U-Net is needed.
        """
        from pdsn.artefact import making
        from pdsn.masks.matched import MATCHED
        from pdsn.occlusion.layouts import region_names

        if not self.run.about:  # the main process alone begins a run: in `run` the others learn of it here
            self.run = RunDir.open(self.run.root)
        self.run.check_made()
        train = "base-import" if self.settings.pretrained.arch else "base-train"
        needed = {self.run.base / MODEL: train}
        for name in dictionaries:
            needed[self.run.dictionary(name)] = f"build-dictionary --strategy {name}"
        for name in generators:
            for region in [""] if name == MATCHED else [] if self.is_control(name) else region_names(name):
                needed[self.run.masks(name, region) / MODEL] = f"mask-train --strategy {name}"
        if segmenter:
            needed[self.run.segmenter / MODEL] = "segment-train"
        for path, command in needed.items():
            if not path.is_file():
                raise PdsnError(f"{path} is missing: make it with `{making(f'pdsn {command}', path)}`")

    def generator_folders(self, strategy: Layout, base: str) -> dict[str, TrainingFolder]:
        """The generator folder of each region of a strategy, trained or not."""
        from pdsn.masks.generators import generator_folder

        return {
            region: generator_folder(
                self.run.masks(strategy.name, region),
                self.settings.masks,
                strategy,
                region,
                base,
                self.settings.seed,
            )
            for region in strategy.regions
        }

    def matching_folder(self, base: str) -> TrainingFolder:
        """The folder of the masks that are learned in the match."""
        from pdsn.masks.matched import MATCHED, matching_folder

        strategy, share = self.regions_of(MATCHED), self.settings.regions.share
        root, seed = self.run.masks(MATCHED), self.settings.seed
        return matching_folder(root, self.settings.matching, strategy, share, base, seed)

    def generators(self, name: str, base: str) -> dict[str, TrainingFolder]:
        """The trained generator of each region, or the learned masks of `matched`; none for a control.

        Raises:
            PdsnError: one is missing, or belongs to another base or region.
        """
        from pdsn.masks.matched import MATCHED

        if self.is_control(name):
            return {}
        if name == MATCHED:
            folders = {MATCHED: self.matching_folder(base)}
        else:
            folders = self.generator_folders(self.layout(name), base)
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
        from pdsn.masks.matched import MATCHED

        return self.settings.head.strategy or MATCHED

    def head_folder(self, base: str) -> TrainingFolder:
        """The folder of the tuned head, trained or not."""
        from pdsn.masks.head_tuning import open_head

        return open_head(self.run.head, self.run.dictionary(self.head_strategy), self.settings, base)

    def tuned_base(self) -> tuple[BaseModel, dict[str, str]]:
        """The base as it recognises, with its tuned head if there is one; the sha256 of "base" and "head".

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

    def say(self, text: str) -> None:
        """Print a line, from the main process alone."""
        if self.accelerator.is_main_process:
            self.console.print(text, highlight=False, soft_wrap=True)


def check_writable(option: str, path: Path) -> None:
    """Raise UsageError unless a file or a folder can be written at `path`, whose folders need not be there yet."""
    there = next(part for part in (path.absolute(), *path.absolute().parents) if part.exists())
    if there != path.absolute() and not there.is_dir():
        raise UsageError(f"{option} {path} cannot be written: {there} is a file; give another place")
    if not os.access(there, os.W_OK):
        raise UsageError(f"{option} {path} cannot be written: {there} is read-only; give another place")


def _asked(shared: Shared, options: Layer) -> Layer:
    """What this very command asks for."""
    return merge(load_file(shared.config) if shared.config else {}, _typed(shared, options))


def _typed(shared: Shared, options: Layer) -> Layer:
    """What this command's options ask for."""
    given = {"seed": shared.seed, "split": shared.split_by}
    return merge(options, {name: value for name, value in given.items() if value is not None})


def _revision() -> str | None:
    """The git revision of an editable install, for the record; None from a wheel."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
