"""The run directory: where each artefact lies, and what the run was started with.

```
runs/<name>/
  run.json                  data, preset, settings in use, commands that train or evaluate, with versions and device
  data/                     the embedded people, or the photos that `pdsn run --photos` prepared
  base/                     the base CNN, see pdsn.artefact
  cache/                    feature maps of the frozen base, scores of strangers; safe to delete
  masks/LM2/<region>/       a mask generator each, see pdsn.artefact
  dictionary/LM2.safetensors, LM2.json, LM2.png
  matchers/xcos/            a matcher that is trained, by its name
  head/                     the base's head, trained on under FDMs; every recogniser of the run takes it if it is there
  segmenter/                the segmentation that finds what is covered, see pdsn.artefact
  eval/                     the run's own table, by its own settings, of every strategy that has a dictionary:
                            table.json, table.md, probes.csv, segmentation.csv, figures/
                            align-occluded/: the same for photos painted before detection
                            asked/NAME/: the same of what `pdsn eval` was asked for by its options, which NAME tells
  verify-eval/              the same of pairs of photos: table.json, table.md, figures/, asked/NAME/
  identify/                 pictures of `identify` and `verify`
```
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from pdsn.artefact import read_object
from pdsn.config.layers import Layer, load_preset, merge
from pdsn.errors import PdsnError, UsageError
from pdsn.files import write_text
from pdsn.run.settings import before

SYNTHETIC = "synthetic"
FORMAT = 1
OWN = (
    "run.json",
    "data",
    "base",
    "cache",
    "masks",
    "dictionary",
    "head",
    "matchers",
    "segmenter",
    "eval",
    "verify-eval",
    "identify",
)
"""What lies in a run directory."""
DEFAULT = Path("runs/default")
"""The run that commands take where none is named."""
NAMED = 3
"""Other runs that are named where the default one holds none."""


@dataclass
class RunDir:
    """One run.

    Attributes:
        root: its folder.
        about: content of run.json; empty of a run that nothing is known of yet.
        preparing: the command that began a new run by preparing its photos, while nothing else is known of it; else empty.
    """

    root: Path
    about: dict[str, Any] = field(default_factory=dict)
    preparing: str = ""
    _began_root: bool = field(default=False, init=False, repr=False)

    @classmethod
    def open(cls, root: Path) -> RunDir:
        """Open a run, or a new one if `root` is empty or missing; writes nothing.

        Raises:
            PdsnError: `root` is a file, holds something else, or run.json is damaged.
        """
        if root.exists() and not root.is_dir():
            raise UsageError(f"--run {root} is a file: give a folder")
        if (root / "run.json").is_file():
            about = read_object(root / "run.json", "put it back, or choose another --run")
            if about.get("format") != FORMAT:
                raise PdsnError(f"{root / 'run.json'} is of another version of pdsn: choose another --run")
            preparing = about.get("preparing")
            return cls(root, preparing=str(preparing)) if preparing else cls(root, about)
        if (root / "dataset.json").is_file():
            raise UsageError(f"{root} is a prepared data set, no run: give it as --data {quote(str(root))}")
        if root.is_dir() and any(
            path.name not in OWN and not path.name.startswith(".") for path in root.iterdir()
        ):
            raise UsageError(
                f"{root} is no run directory, it holds something else (no run.json): give a run directory, or to begin a run an "
                "empty or a new folder"
            )
        return cls(root)

    def name_of(self, folder: str) -> str:
        """What the run calls a data set: its own by a path within the run, so that a run can be moved."""
        path = Path(folder).expanduser().resolve()
        return self.data.name if path == self.data.resolve() else str(path)

    def data_set(self, name: str) -> Path:
        """The folder of the data set that the run calls so, see `name_of`."""
        return self.data if name == SYNTHETIC else self.root / name

    def restoring(self) -> str:
        """What to do where the run's data set is gone or damaged, for messages; nothing is trained anew then."""
        own, name = quote(str(self.root)), self.about["data"]
        if name == SYNTHETIC:
            return f"delete what is left of it, and `pdsn run --run {own}` draws the people again"
        if self.data_set(name) == self.data:
            return f"delete what is left of it, and prepare the same photos again with `pdsn run --photos PHOTOS --run {own}`"
        arch = self.about.get("settings", {}).get("pretrained", {}).get("arch", "")
        words = f"--data {quote(name)}{f' --for {quote(arch)}' if arch else ''} --force"
        return f"put it back, or prepare the same photos again with `pdsn prepare PHOTOS {words}`"

    @property
    def rebuilding(self) -> bool:
        """Whether `pdsn run --force` has begun to make everything anew and has not come to its end."""
        return bool(self.about.get("rebuilding"))

    def rebuilt(self) -> None:
        """Write that everything has been made anew."""
        self.about = {name: value for name, value in self.about.items() if name != "rebuilding"}
        self._write()

    def preset_settings(self, name: str) -> Layer:
        """What the run's preset said when the run was made: a later version's may say something else.

        Settings that there were none of then are added as they reproduce the run.
        """
        found: Layer | None = self.about.get("preset_settings")
        layer = load_preset(name) if found is None else found
        in_use: Layer | None = self.about.get("in_use")
        return layer if in_use is None else merge(layer, before(in_use))

    def check_made(self, option: str = "--run ") -> None:
        """Raise PdsnError unless some command has begun the run, and prepared its photos.

        Args:
            option: what stands before a run directory in the command at hand; "" where it is an argument.
        """
        self.check_prepared()
        if not self.about:
            make = f"`pdsn run --run {quote(str(self.root))}`"
            if self.root != DEFAULT:
                raise PdsnError(f"{self.root} holds no run: make one with {make}")
            others = ", ".join(f"{option}{quote(str(run))}" for run in _runs_in(self.root.parent)[:NAMED])
            give = f"such as {others}" if others else f"{option}DIR"
            raise PdsnError(
                f"{self.root}, the run that is taken where none is named, holds no run: name one, {give}, or make one there with "
                f"{make}"
            )

    def check_prepared(self) -> None:
        """Raise PdsnError where preparing the photos of a new run was stopped."""
        if self.preparing and (self.data / "dataset.json").is_file():
            raise PdsnError(
                f"{self.root} has no base yet, and its photos are prepared: go on with `{self.preparing}`, with other settings where "
                "these were refused"
            )
        if self.preparing:
            raise PdsnError(
                f"{self.root} has no base yet, since preparing its photos was stopped: go on with `{self.preparing}`"
            )

    def prepare_by(self, command: str) -> None:
        """Write that a command has begun to prepare photos for this new run; what is remembered later takes its place."""
        self.preparing = command
        self._began_root = self._began_root or not self.root.exists()
        write_text(
            self.root / "run.json", json.dumps({"format": FORMAT, "preparing": command}, indent=2) + "\n"
        )

    def prepare_no_more(self) -> None:
        """Take back what `prepare_by` wrote, since nothing came of it."""
        self.preparing = ""
        (self.root / "run.json").unlink(missing_ok=True)
        if self._began_root:
            with suppress(OSError):  # where there is more in it, it stays
                self.root.rmdir()

    def remembered(self, name: str, option: str, given: str | None, default: str) -> str:
        """What the run was started with; another value later is refused, not mixed in.

        Raises:
            UsageError: `given` differs from what the run was started with.
        """
        known = self.about.get(name)
        if known is None:
            return given if given is not None else default
        if given is not None and given != known:
            raise UsageError(
                f"{option} {given}: {self.root} was made with {known}; choose another --run for {given}"
            )
        return str(known)

    def remember(self, entry: dict[str, Any], **values: Any) -> None:
        """Write what the run is made with, and a line of its history."""
        history = [*self.about.get("history", []), entry]
        self.about, self.preparing = {"format": FORMAT, **self.about, **values, "history": history}, ""
        self._write()

    def _write(self) -> None:
        write_text(self.root / "run.json", json.dumps(self.about, indent=2) + "\n")

    @property
    def data(self) -> Path:
        """The run's own data set."""
        return self.root / "data"

    @property
    def base(self) -> Path:
        """The base CNN."""
        return self.root / "base"

    @property
    def cache(self) -> Path:
        """Feature maps."""
        return self.root / "cache"

    @property
    def head(self) -> Path:
        """The head that was trained on under FDMs."""
        return self.root / "head"

    def matcher(self, name: str) -> Path:
        """A matcher that is trained."""
        return self.root / "matchers" / name

    @property
    def segmenter(self) -> Path:
        """The segmentation."""
        return self.root / "segmenter"

    @property
    def eval(self) -> Path:
        """Results."""
        return self.root / "eval"

    def table(self, name: str = "", align: str = "clean") -> Path:
        """The folder of a table: the run's own, or by its name another one, see `pdsn.evaluation.question`.

        Args:
            name: of the question; "" for the run's own.
            align: "clean", or "occluded" for photos painted before detection.
        """
        folder = self.eval / "asked" / name if name else self.eval
        return folder / "align-occluded" if align == "occluded" else folder

    def tables(self, align: str = "clean") -> list[str]:
        """Names of the tables beside the run's own, see `table`."""
        found = (path.name for path in (self.eval / "asked").glob("*"))
        return sorted(name for name in found if (self.table(name, align) / "table.json").is_file())

    def verification(self, name: str = "") -> Path:
        """The folder of `verify-eval`: of the run's own question, or by its name another one's, see `table`."""
        return self.root / "verify-eval" / (f"asked/{name}" if name else "")

    def explanations(self, name: str = "") -> Path:
        """The folder of `explain --evaluate`: of its own question, or by its name another one's, see `table`; pictures, too."""
        return self.root / "explain" / (f"asked/{name}" if name else "")

    def masks(self, strategy: str, region: str = "") -> Path:
        """The generator of a region, or all that a strategy has learned."""
        return self.root / "masks" / strategy / region

    def dictionary(self, strategy: str) -> Path:
        """The dictionary of a strategy, the safetensors file."""
        return self.root / "dictionary" / f"{strategy}.safetensors"

    def dictionaries(self) -> list[str]:
        """Strategies that have a dictionary, by name."""
        found = (self.root / "dictionary").glob("*.safetensors")
        return sorted(path.stem for path in found if not path.name.startswith("."))


def _runs_in(folder: Path) -> list[Path]:
    """The runs in a folder, the last used first."""
    described = sorted(folder.glob("*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent for path in described]
