"""A run, opened: everything that can be loaded from it, put together in one place for whoever works with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdsn.config.layers import merge
from pdsn.coverage.settings import SOURCES
from pdsn.errors import UsageError
from pdsn.masks.strategy import NO_FDM
from pdsn.matchers.table import COMMANDS, MATCHERS, RERANKING, SIGN, parts_of
from pdsn.run.directory import RunDir
from pdsn.run.masks import RunMasks
from pdsn.run.settings import build

if TYPE_CHECKING:
    import numpy as np
    from accelerate import Accelerator

    from pdsn.artefact import TrainingFolder
    from pdsn.calibration.strangers import KeptScores
    from pdsn.coverage.segmenter import Segmenter
    from pdsn.matchers.fdm import FDM
    from pdsn.matchers.fused import Fused
    from pdsn.matchers.matcher import Matcher
    from pdsn.matchers.memory import MapMemory


class Workspace(RunMasks):
    """What a run holds, loaded when it is first asked for.

    Args:
        run: the run directory.
        data: what the run calls its data set, see `RunDir.name_of`.
        settings: those in force.
        accelerator: device, precision, processes.
    """

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
        import numpy as np

        from pdsn.calibration.odds import fit_odds
        from pdsn.evaluation.enrolment import Enrolment
        from pdsn.matchers.fused import Fused, Odds
        from pdsn.occlusion.mixture import matching_mixture

        first, second = (self.matcher(part) for part in parts_of(name))
        settings, data = self.settings, self.dataset
        asked = (
            Enrolment.by_photo(data, "val")
            if settings.split == "photo"
            else Enrolment.by_person(data, "val", settings.eval.enrol)
        )
        occluder = matching_mixture(list(self.layout("LM2").regions.values()), "val")
        # Kept: `identify` would look at some two thousand photos before the one that it was given.
        lines = self.kept_scores(name).get(
            ("odds", settings.split, settings.seed),
            lambda: np.array(
                [
                    astuple(odds)
                    for odds in fit_odds(
                        (first, second), data, asked.gallery, asked.probes, occluder, settings.seed
                    )
                ]
            ),
        )
        ours, theirs = (Odds(*line) for line in lines.tolist())
        return Fused(first, second, (ours, theirs))

    def kept_scores(self, name: str, source: str = SOURCES[0]) -> KeptScores:
        """Where the scores of a matcher by name are kept between calls, see `kept.kept_scores`; found out once."""
        from pdsn.run.kept import kept_scores

        if (name, source) not in self._kept_scores:
            self._kept_scores[name, source] = kept_scores(self, name, source)
        return self._kept_scores[name, source]

    @cached_property
    def _kept_scores(self) -> dict[tuple[str, str], KeptScores]:
        return {}

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
        from pdsn.coverage.settings import BASE

        segment = self.settings.segment
        base = self._base_sha256() if segment.encoder == BASE else None
        return segmenter_folder(self.run.segmenter, segment, self.training, self.settings.seed, base)

    def _base_sha256(self) -> str | None:
        """Hash of the base, None where there is none yet."""
        return self.base_folder.sha256() if self.base_folder.model.is_file() else None

    def segmenter(self) -> Segmenter:
        """The trained segmentation.

        Raises:
            PdsnError: there is none, or it belongs to another data set or looks through another base.
        """
        from pdsn.coverage.segmenter import load_segmenter

        return load_segmenter(
            self.segmenter_folder, self.accelerator, lambda: self.memory.encoder.net, self._base_sha256
        )

    def example_face(self) -> np.ndarray:
        """The mean training face (H, W, 3) uint8: a backdrop for pictures that shows nobody."""
        import numpy as np

        rows = self.training.rows("train")
        return np.asarray(self.training.faces[rows[:: max(len(rows) // 500, 1)]].mean(0)).astype(np.uint8)
