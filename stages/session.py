"""What every stage starts from: the run directory, the settings in force, and what can be loaded from them."""

from __future__ import annotations

import copy
import shlex
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Literal

from pdsn.config.layers import Layer, load_preset, merge
from pdsn.config.setting import SettingError
from pdsn.errors import UsageError
from pdsn.run.directory import SYNTHETIC, RunDir
from pdsn.run.settings import Settings, build, load_file
from pdsn.run.workspace import Workspace


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
    no_make: bool = False
    without: tuple[str, ...] = ()
    """Sections of the configuration file that do not count."""
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
    file = _file(shared)
    typed = _typed(shared, options)
    shared.origins[:] = [
        ("", typed),
        (f"--config {shared.config}", file),
        (str(shared.run / "run.json"), known),
        (f"the preset {preset_name}", preset),
    ]
    return build(merge(preset, known, file, typed))


class Session(Workspace):
    """A run opened for one command.

    Args:
        shared: the common options.
        options: settings that the command's own options ask for.
        force: replace artefacts made with other settings.
        keep: whether the run remembers these settings; not those of a command that trains nothing.
        data: the data set to use instead of `shared.data` (a folder that the command itself makes).
        all_stages: whether the command does all stages: with `force`, every one is made anew.

    Attributes:
        replace: whether to replace, without --force, what was made otherwise: a run that is made anew goes on.

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
        all_stages: bool = False,
    ) -> None:
        from rich.console import Console

        from pdsn.runtime import start

        self.shared = shared
        self.force = force
        self._keep = keep
        self.console = Console()
        run = RunDir.open(shared.run)
        given = data if data is not None else shared.data
        if given is None:
            run.check_prepared()  # not drawn people in place of the photos
        if given is not None and given != SYNTHETIC:
            given = run.name_of(given)
        if data is not None and run.about.get("data", given) != given:
            raise UsageError(
                f"--photos: {run.root} was made with {run.about['data']}; choose another --run for other photos"
            )
        data = run.remembered("data", "--data", given, SYNTHETIC)
        if shared.preset is not None:
            load_preset(shared.preset)  # an unknown one is refused as such
        known: Layer = run.about.get("settings", {})
        self.known_weights = known.get("pretrained", {}).get("weights")
        self.asked = asked = _asked(shared, options)
        imported = merge(known, asked).get("pretrained", {}).get("arch")
        default = "pretrained" if imported else "demo" if data == SYNTHETIC else "lfw10"
        self.preset = run.remembered("preset", "--preset", shared.preset, default)
        self._preset = run.preset_settings(self.preset)
        settings = resolve(shared, self._preset, known, options, preset_name=self.preset)
        super().__init__(run, data, settings, start(shared.device, shared.precision))
        self._check_unchanged("split", known)
        anew = all_stages and (force or run.rebuilding)
        if keep and not anew:
            self._check_unchanged("seed", known)
        self.replace = anew
        self._kept = merge(known, asked) if keep else known
        # What a command asks for that call alone says nothing about how the run is made.
        self._in_use = self.settings if keep else build(merge(self._preset, self._kept))

    def _check_unchanged(self, name: Literal["split", "seed"], known: Layer) -> None:
        """Raise SettingError where a run is asked for another split or seed than the one it was made with.

        What is there would be of other people, or of two seeds: like the data set, neither is mixed in later.
        """
        made = merge(self._preset, known).get(name, getattr(Settings, name))
        asked = getattr(self.settings, name)
        if self.run.about and asked != made:
            wrong = f": {self.run.root} was made with {made}; choose another --run for {asked}"
            if name == "seed":
                wrong += f", or make all of it anew with `pdsn run --force --seed {asked} --run {quote(str(self.run.root))}`"
            raise SettingError(name, asked, wrong)

    def begin(self, *, rebuilding: bool = False) -> None:
        """Write to run.json what this command works with; called once nothing stands in its way.

        With `rebuilding` the run remembers that everything is to be made anew, until `RunDir.rebuilt`.
        """
        if not self.accelerator.is_main_process:
            return
        from pdsn.artefact import plain, versions
        from pdsn.runtime import precision_of

        entry = {
            "command": _command(),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": _revision(),
            **versions(),
            "device": str(self.accelerator.device),
            "precision": precision_of(self.accelerator),
            "processes": self.accelerator.num_processes,
        }
        self.run.remember(
            entry,
            data=self.data,
            preset=self.preset,
            preset_settings=self._preset,
            settings=self._kept,
            in_use=plain(self._in_use),
            **({"rebuilding": True} if rebuilding else {}),
        )

    def begin_preparing(self) -> None:
        """Write to run.json by which command the photos of a new run are prepared: whoever asks meanwhile is told it."""
        if self.accelerator.is_main_process:
            self.run.prepare_by(_command(without="--force"))  # which would begin anew

    def stop_preparing(self, earlier: str) -> None:
        """Take that back where the photos turned out to be of no use; the command that was `earlier` written there holds again.

        Where there is work to go on with, it stays.
        """
        if not self.accelerator.is_main_process:
            return
        if earlier:
            self.run.prepare_by(earlier)
        elif not (self.run.data_set(self.data) / "partial").exists():
            self.run.prepare_no_more()

    def for_making(self) -> Session:
        """This session as it makes what a command lacks: without --force, which is for the command alone.

        Where the command's settings hold for one call, they say nothing about how the run is made, but for a new run's
        configuration file.
        """
        if self._keep:
            same = copy.copy(self)
            same.force = False
            return same
        config = None if self.run.about else self.shared.config
        shared = replace(self.shared, seed=None, config=config, without=("eval",), origins=[])
        own = Session(shared, {})
        own.console = self.console
        return own

    def take_over(self, own: Session) -> None:
        """Go on with what `own`, see `for_making`, has made, and with what the run remembers since."""
        self.run = own.run
        if not self._keep:
            self._kept, self._in_use = own._kept, own._in_use

    @property
    def own(self) -> Settings:
        """The settings that the run remembers: those in force, but for what a call that trains nothing asks."""
        return self._in_use

    def say(self, text: str) -> None:
        """Print a line, from the main process alone."""
        if self.accelerator.is_main_process:
            self.console.print(text, highlight=False, soft_wrap=True)


def _command(without: str = "") -> str:
    """The command that was typed, but for a word."""
    return shlex.join(["pdsn", *(word for word in sys.argv[1:] if word != without)])


def _asked(shared: Shared, options: Layer) -> Layer:
    """What this very command asks for."""
    return merge(_file(shared), _typed(shared, options))


def _file(shared: Shared) -> Layer:
    """What the configuration file asks for."""
    file = load_file(shared.config) if shared.config else {}
    return {name: value for name, value in file.items() if name not in shared.without}


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
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
