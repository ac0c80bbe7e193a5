"""A run's strategies, masks, dictionaries and heads, loaded when they are first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pdsn.artefact import MODEL, making, read_json
from pdsn.config.setting import SettingError
from pdsn.errors import PdsnError, UsageError, unknown
from pdsn.files import sha256_of
from pdsn.masks.strategy import GENERATORS, MATCHED, NO_FDM, Strategy
from pdsn.matchers.table import MATCHERS, SIGN, parts_of
from pdsn.run.faces import RunFaces

if TYPE_CHECKING:
    from pdsn.artefact import TrainingFolder
    from pdsn.masks.dictionary import MaskDictionary
    from pdsn.masks.maker import Maker
    from pdsn.networks.network import BaseModel
    from pdsn.occlusion.layouts import Layout


class RunMasks(RunFaces):
    """What a run has learned of its base under occlusion; see `workspace.Workspace`."""

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

    def dictionary(self, name: str, base: str) -> MaskDictionary:
        """The dictionary of a strategy.

        Raises:
            PdsnError: it is missing, belongs to another base or other regions, or its masks were trained anew since.
        """
        from pdsn.masks.dictionary import MaskDictionary

        remake = f"pdsn build-dictionary --strategy {name}"
        path = self.run.dictionary(name)
        found = MaskDictionary.load(path, base=base, regions_now=self.layout, remake=remake)
        if self._trained_since(name):
            raise PdsnError(
                f"{path} was built of masks that were trained anew since: rebuild it with `{making(remake, path)}`"
            )
        return found

    def _trained_since(self, name: str) -> bool:
        """Whether masks of a strategy are others than those that its dictionary says that it was built of."""
        from pdsn.masks.dictionary import mask_input
        from pdsn.occlusion.layouts import region_names

        described = self.run.dictionary(name).with_suffix(".json")
        if not described.is_file():
            return False
        built_of = read_json(described, f"pdsn build-dictionary --strategy {name}").get("inputs", {})
        maker = self.maker(name)
        for label in maker.labels(region_names(self.strategy(name).layout)):
            known = built_of.get(mask_input(maker.name, label))
            path = self.run.masks(name, label) / MODEL
            if known is not None and path.is_file() and sha256_of(path) != known:
                return True
        return False

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
