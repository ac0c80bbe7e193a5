"""Artefacts on disk: what a stage left, from which inputs and settings, and whether it is finished.

A folder of trained weights holds

```
config.json        settings, inputs by hash, versions; written when the training starts
model.safetensors  the best weights; there only once the training is finished
metrics.jsonl      a line an epoch
last.pt            the state to resume from; there only until the training is finished
```
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pdsn import __version__
from pdsn.errors import PdsnError, UsageError
from pdsn.files import atomic_path, naming, sha256_of, sole_use, write_text

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MODEL = "model.safetensors"
"""What a finished training leaves in its folder."""
LIBRARIES = ("torch", "torchvision", "facenet-pytorch", "accelerate", "numpy", "scikit-image", "pillow")


def describe(config: Any, inputs: dict[str, str]) -> dict[str, Any]:
    """What is written beside every artefact: settings, hashes of the inputs, versions."""
    return {"config": plain(config), "inputs": dict(inputs), **versions()}


def done_from(
    path: Path, config: Any, inputs: dict[str, str], defaults: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What stands in `path` if it was written by `describe` for the same settings and inputs, else None.

    Args:
        path: the JSON file.
        config, inputs: see `describe`.
        defaults: see `completed`.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        asked = plain(config)
        found["config"] = completed(found["config"], asked, defaults)
        same = found["config"] == asked and found["inputs"] == inputs
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if same else None


def completed(found: dict[str, Any], asked: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of something made earlier, with those that there were none of yet.

    Args:
        found: what was written down then.
        asked: the settings of today; others are not added.
        defaults: what each later setting is of what was made without it, `BEFORE` of its class; of a section within
            the settings by its name.
    """
    known = {name: value for name, value in plain(dict(defaults)).items() if name in asked}
    whole = {**known, **found}
    for name, value in known.items():
        if isinstance(value, dict) and isinstance(found.get(name), dict):
            whole[name] = completed(found[name], asked[name], value)
    return whole


def versions() -> dict[str, Any]:
    """Versions of this package, Python and the libraries that decide about the numbers."""
    from importlib.metadata import version

    return {
        "pdsn": __version__,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def plain(config: Any) -> Any:
    """A settings dataclass as what JSON gives back for it (tuples become lists)."""
    return json.loads(json.dumps(asdict(config) if is_dataclass(config) else config))  # type: ignore[arg-type]


WITHOUT_RUN = ("prepare", "detector-train")
"""Commands that make something and have no --run, wherever what they make may lie."""


def run_of(path: Path) -> Path | None:
    """The run directory that a path lies in, None where it lies in none."""
    return next((folder for folder in path.parents if (folder / "run.json").is_file()), None)


def making(command: str, path: Path) -> str:
    """A command as it has to be given to make what lies at `path`: with --run where that is in a run directory.

    It can be pasted into a POSIX shell whatever the path.
    """
    run = run_of(path)
    if run is None or not command.startswith("pdsn ") or command.split()[1] in WITHOUT_RUN:
        return command
    return f"{command} --run {quote(str(run))}"


def read_json(path: Path, remake: str) -> dict[str, Any]:
    """Read a JSON object of our own.

    Raises:
        PdsnError: it is missing or damaged; the message says that `remake` makes it again.
    """
    remake = making(remake, path)
    if not path.exists():
        raise PdsnError(f"{path} is missing: make it with `{remake}`")
    return read_object(path, f"make it again with `{remake}`")


def read_object(path: Path, cure: str) -> dict[str, Any]:
    """Read a JSON object that is there.

    Raises:
        PdsnError: it cannot be read or is no object; the message ends with `cure`.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PdsnError(f"{path} cannot be read ({error}): {cure}") from error
    if not isinstance(content, dict):
        raise PdsnError(f"{path} is damaged: {cure}")
    return content


def difference(asked: dict[str, Any], found: dict[str, Any]) -> str:
    """The first setting in which two configurations differ, in words; empty if none does. The kind comes first."""
    for name in sorted(asked.keys() | found.keys(), key=lambda name: (name != "kind", name)):
        if asked.get(name) != found.get(name):
            return f"{name} is {found.get(name)!r} there and {asked.get(name)!r} here"
    return ""


class TrainingFolder:
    """The folder of one trained network.

    Args:
        root: the folder.
        config: the stage's settings, a dataclass or dict.
        inputs: name and sha256 of what it is trained from.
        command: the command that trains it, for messages.
        defaults: what a setting is that an older pdsn did not know and did not write down, see `completed`.
    """

    def __init__(
        self,
        root: Path,
        config: Any,
        inputs: dict[str, str],
        command: str,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.root = root
        self.defaults = defaults or {}
        self.config = plain(config)
        self.inputs = inputs
        self.command = command
        self.model = root / MODEL
        self.metrics = root / "metrics.jsonl"
        self.state = root / "last.pt"
        self.described = root / "config.json"
        self._anew = False

    def open(self, *, force: bool = False, replace_stale: bool = False, replace_other: bool = False) -> bool:
        """Find out what is left to do; what is there and was made otherwise is kept, and refused.

        Nothing is deleted yet, whatever is to be replaced: see `begin`.

        Args:
            force: replace it all the same.
            replace_stale: replace what was made from other inputs: it is of no use any more.
            replace_other: replace what was made from other inputs or with other settings, and go on with the rest.

        Returns:
            True if the training is finished already.

        Raises:
            UsageError: there is one with other settings or inputs.
        """
        if self.described.is_file() and not force:
            found = read_json(self.described, f"{self.command} --force")
            stale = self._other_input(found)
            if stale and not (replace_stale or replace_other):
                raise UsageError(
                    f"{self.root} was made from another {stale}: "
                    "choose another --run, or add --force to train it anew"
                )
            if not stale:
                then = completed(found.get("config", {}), self.config, self.defaults)
                differs = difference(self.config, then)
                if not differs:
                    return self.model.is_file()
                if not replace_other:
                    raise UsageError(
                        f"{self.root} was trained with other settings ({differs}): "
                        "choose another --run, or add --force to train it anew"
                    )
        self._anew = True
        return False

    @property
    def anew(self) -> bool:
        """Whether `begin` has yet to make room, because what is here is to be replaced or there is nothing."""
        return self._anew

    def begin(self) -> None:
        """Make room for what `open` said is to be made anew; called once nothing stands in its way."""
        if not self._anew:
            return
        for path in (self.model, self.state, self.metrics):
            path.unlink(missing_ok=True)
        write_text(self.described, json.dumps(describe(self.config, self.inputs), indent=2) + "\n")
        self._anew = False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other commands from training in this folder while the block runs; a killed one keeps nobody out.

        Raises:
            PdsnError: another command is training here.
        """
        with sole_use(self.root) as sole:
            if not sole:
                raise PdsnError(f"{self.root} is being trained by another command: wait until that has ended")
            yield

    def resume(self, device: torch.device) -> dict[str, Any] | None:
        """The state that a killed training left, or None.

        Raises:
            PdsnError: it cannot be read.
        """
        import torch

        if not self.state.is_file():
            return None
        try:
            return torch.load(self.state, map_location=device, weights_only=True)
        except Exception as error:
            raise PdsnError(
                f"{self.state} cannot be read ({type(error).__name__}): delete it, or add --force to train anew"
            ) from error

    def save_state(self, state: dict[str, Any]) -> None:
        """Keep the state to resume from, atomically."""
        import torch

        with atomic_path(self.state) as path, path.open("wb") as file:
            stream = _Remembering(file)
            try:
                torch.save(state, cast(BinaryIO, stream))
            except RuntimeError:
                if stream.failed is None:
                    raise
                raise stream.failed from None

    def trim_metrics(self, epochs: int) -> None:
        """Drop the lines of epochs after the first `epochs`: they are about to be trained again."""
        if self.metrics.is_file():
            lines = self.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(self.metrics, "".join(lines[:epochs]))

    def add_metrics(self, row: dict[str, Any]) -> None:
        """Append an epoch's figures."""
        with naming(self.metrics), self.metrics.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    def finish(self, weights: dict[str, Tensor], best: dict[str, float]) -> None:
        """Write the best weights and their figures: from now on the training is finished."""
        self.begin()
        save_tensors(self.model, weights, {"best": json.dumps(best)})
        self.state.unlink(missing_ok=True)

    def take_over(self, other: TrainingFolder) -> None:
        """Copy the finished weights of another folder, with what lies beside them, in place of what is here.

        Raises:
            PdsnError: there are none.
            UsageError: they were made from other inputs or with other settings, or it is this very folder.
        """
        if other.root.resolve() == self.root.resolve():
            raise UsageError(f"{other.root} is what is to be made: give another run")
        found = read_json(other.described, f"{other.command} --force") if other.model.is_file() else {}
        stale = self._other_input(found) if found else ""
        if stale:
            raise UsageError(
                f"{other.root} was made from another {stale} than this run: give a run with the same"
            )
        other.check()
        differs = difference(self.config, other.found_config())
        if differs:
            raise UsageError(f"{other.root} was trained with other settings than these ({differs})")
        self.begin()
        write_text(self.described, json.dumps({**found, "taken_from": str(other.root)}, indent=2) + "\n")
        for path in (other.metrics, other.model):  # the weights last: they say that it is done
            if path.is_file():
                with atomic_path(self.root / path.name) as temporary:
                    shutil.copyfile(path, temporary)

    def _other_input(self, found: dict[str, Any]) -> str:
        """The first input, by name, that what was `described` was made from another one of; empty if none is."""
        return difference(self.inputs, found.get("inputs", {})).partition(" is ")[0]

    def check(self) -> None:
        """Raise PdsnError unless there are finished weights that were made from these inputs."""
        if not self.model.is_file():
            raise PdsnError(f"{self.model} is missing: make it with `{making(self.command, self.model)}`")
        found = read_json(self.described, f"{self.command} --force")
        for name, value in self.inputs.items():
            if found.get("inputs", {}).get(name) != value:
                raise PdsnError(
                    f"{self.model} belongs to another {name}: rebuild it with "
                    f"`{making(f'{self.command} --force', self.model)}`"
                )

    def load(self) -> dict[str, Tensor]:
        """The finished weights.

        Raises:
            PdsnError: there are none, or they were made from other inputs; the message names the
                command that makes them.
        """
        self.check()
        return load_tensors(self.model, f"{self.command} --force")[0]

    def found_config(self) -> dict[str, Any]:
        """The settings that the finished weights were trained with."""
        found = read_json(self.described, f"{self.command} --force").get("config", {})
        return completed(found, self.config, self.defaults)

    def best(self) -> dict[str, float]:
        """Figures of the kept epoch, as `fit` returned them."""
        return json.loads(load_tensors(self.model, f"{self.command} --force")[1]["best"])

    def misfit(self, error: Exception) -> PdsnError:
        """The error to raise where the finished weights do not fit the network that their settings describe."""
        reason = str(error).splitlines()[0]
        return PdsnError(
            f"{self.model} does not fit {self.described.name} ({reason}): "
            f"rebuild it with `{making(f'{self.command} --force', self.model)}`"
        )

    def sha256(self) -> str:
        """Fingerprint of the finished weights."""
        return sha256_of(self.model)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        try:
            save_file({name: value.contiguous() for name, value in tensors.items()}, temporary, metadata)
        except SafetensorError as error:
            # safetensors has the system's errors as text alone: "… (os error 28)", in older versions "code: 28".
            found = re.search(r"(?:os error|code:) (\d+)", str(error))
            number = int(found[1]) if found else errno.EIO
            raise OSError(number, os.strerror(number), str(path)) from error


class _Remembering:
    """A stream that keeps what ended a write, Ctrl-C too, which torch replaces by an error that says nothing of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.failed: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._stream.write(data)
        except BaseException as error:
            self.failed = error
            raise

    def flush(self) -> None:
        self._stream.flush()


def load_tensors(path: Path, remake: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file and its metadata.

    Raises:
        PdsnError: it is missing or damaged; the message says that `remake` makes it again.
    """
    from safetensors import SafetensorError, safe_open

    remake = making(remake, path)
    if not path.is_file():
        raise PdsnError(f"{path} is missing: make it with `{remake}`")
    try:
        with safe_open(path, framework="pt") as stream:
            names = stream.keys()
            return {name: stream.get_tensor(name) for name in names}, dict(stream.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise PdsnError(f"{path} cannot be read ({error}): make it again with `{remake}`") from error
