"""Weights of other people's networks: read without running their code, loaded whole or not at all."""

from __future__ import annotations

import pickle
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pdsn.errors import PdsnError

if TYPE_CHECKING:
    from pdsn.networks.imported.architecture import Architecture
    from pdsn.networks.imported.net import PretrainedNet

ENDINGS = (".safetensors", ".npz", ".pth", ".pt", ".ckpt", ".onnx")
"""Files that `read_weights` takes."""
WRAPPERS = (
    "state_dict",
    "model",
    "net",
    "net_state_dict",
    "model_state_dict",
    "backbone",
    "state_dict_backbone",
)
"""Names under which checkpoints keep a network's tensors."""
PREFIXES = ("module.", "_orig_mod.", "backbone.", "model.", "net.")
"""What training code puts before the names of a network's tensors: DataParallel, torch.compile, a network within another."""
CLASSIFIERS = ("fc.", "head.", "classifier.", "logits.", "arcface.", "margin.")
"""Names under which a checkpoint keeps the classifier of its training, which a recogniser does without."""
SHOWN = 3
"""Names of tensors that a message shows."""
CODE = "holds more than tensors and would run code: convert it to safetensors"


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name, on the CPU; nothing in the file is executed.

    A checkpoint's {"state_dict": {...}} or {"model": {...}} is unwrapped, the prefix "module." of
    torch's DataParallel is dropped, and what is no tensor (an epoch, a loss) is left out.

    Args:
        path: .safetensors, .npz, .onnx, or torch's .pth, .pt or .ckpt.

    Raises:
        PdsnError: it is missing, of another kind, damaged, holds more than tensors, or holds none.
    """
    if path.suffix.lower() not in ENDINGS:
        raise PdsnError(f"{path}: weights are read from files that end in {', '.join(ENDINGS)}")
    if not path.is_file():
        raise PdsnError(f"{path} is missing: there is no such file of weights")
    found: Any
    try:
        if path.suffix.lower() == ".safetensors":
            found = _read_safetensors(path)
        elif path.suffix.lower() == ".npz":
            found = _read_npz(path)
        elif path.suffix.lower() == ".onnx":
            from pdsn.networks.imported.onnx_architecture import onnx_weights

            found = onnx_weights(path)
        else:
            found = _read_torch(path)
    except OSError as error:
        raise PdsnError(f"{path} cannot be read: {error.strerror or error}") from error
    # A checkpoint within a checkpoint at most: a pickled dict may hold itself.
    for _ in range(2):
        names = [name for name in WRAPPERS if isinstance(found, dict) and isinstance(found.get(name), dict)]
        found = found[names[0]] if names else found
    tensors = found.items() if isinstance(found, dict) else ()
    weights = {str(name): value for name, value in tensors if isinstance(value, Tensor)}
    if not weights:
        raise PdsnError(f"{path} holds no tensors by name: give the state dict of a network")
    if all(name.startswith("module.") for name in weights):
        weights = {name.removeprefix("module."): value for name, value in weights.items()}
    return weights


def load_weights(
    net: PretrainedNet, architecture: Architecture, weights: dict[str, Tensor], source: str
) -> None:
    """Give a network its weights: all of them, or none if they do not fit.

    Floating-point tensors of another precision are converted; BatchNorm's num_batches_tracked may be absent. What training
    code puts before names is taken off (`PREFIXES`), and the classifier of the training is left out (`CLASSIFIERS`), where
    the rest is then the network's, whole.

    Args:
        net: built from `architecture`.
        architecture: renames the published tensors.
        weights: tensors by published name.
        source: what messages call the weights: a file or a download's name.

    Raises:
        PdsnError: tensors are missing, not expected, of another shape or kind, or not finite; the line
            names the first few, and the network stays as it was.
    """
    unfit = f"{source} does not fit {architecture.name}"
    own: dict[str, Tensor] = net.network.state_dict()
    given = _own_names(weights, architecture, own)
    if given is None:
        try:
            given = dict(architecture.rename(dict(weights)))
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            raise PdsnError(f"{unfit}: rename fails: {type(error).__name__}: {reason}") from error
    missing = [name for name in own if name not in given and not name.endswith("num_batches_tracked")]
    unknown = [name for name in given if name not in own]
    shared = [name for name in own if name in given]
    shapes = [
        f"{name} is {tuple(given[name].shape)}, the network's is {tuple(own[name].shape)}"
        for name in shared
        if given[name].shape != own[name].shape
    ]
    # Whole numbers in place of real ones are quantised weights: useless without their scale.
    kinds = [name for name in shared if own[name].is_floating_point() and not given[name].is_floating_point()]
    problems = [
        _counted(names, what)
        for names, what in (
            (missing, "missing"),
            (unknown, "not expected"),
            (shapes, "of another shape"),
            (kinds, "not floating-point"),
        )
        if names
    ]
    if problems:
        raise PdsnError(f"{unfit}: {'; '.join(problems)}")
    converted = {name: given[name].to(own[name].dtype) for name in shared}
    # After the conversion: a float64 may be finite and too large for a float32.
    broken = [name for name, value in converted.items() if not torch.isfinite(value).all()]
    if broken:
        raise PdsnError(f"{source} is damaged: {_counted(broken, 'not finite (NaN or infinity)')}")
    net.network.load_state_dict(converted, strict=False)


def _own_names(
    weights: dict[str, Tensor], architecture: Architecture, own: dict[str, Tensor]
) -> dict[str, Tensor] | None:
    """The tensors by the network's own names, without prefixes and without a classifier; None where they are not all there."""
    tried = [weights]
    for _ in range(2):  # a network within a network within DataParallel at most
        tried += [
            inner
            for outer in list(tried)
            for prefix in PREFIXES
            if (inner := {n.removeprefix(prefix): v for n, v in outer.items() if n.startswith(prefix)})
        ]
    for candidate in tried:
        try:
            given = dict(architecture.rename(dict(candidate)))
        except Exception:  # it is said of the names as they are
            continue
        if all(name in given for name in own if not name.endswith("num_batches_tracked")):
            return {n: v for n, v in given.items() if n in own or not n.startswith(CLASSIFIERS)}
    return None


def _counted(names: list[str], what: str) -> str:
    """ "3 tensors are missing (a, b, c)", naming the first few."""
    more = ", …" if len(names) > SHOWN else ""
    amount = "1 tensor is" if len(names) == 1 else f"{len(names)} tensors are"
    return f"{amount} {what} ({', '.join(names[:SHOWN])}{more})"


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _read_npz(path: Path) -> object:
    # Of a file that is no archive numpy says that it holds pickled data.
    if not zipfile.is_zipfile(path):
        raise PdsnError(f"{path} is damaged: it is no .npz archive")
    weights = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                array = archive[name]
                if isinstance(array, np.ndarray) and array.dtype.kind in "fiub":
                    # torch takes the machine's own byte order only.
                    weights[name] = torch.from_numpy(
                        np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
                    )
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise PdsnError(f"{path} {CODE}") from error
        raise _damaged(path, error) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    return weights


def _read_torch(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            # torch warns of TorchScript and of pickle protocols before it refuses them.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch raises the same for what it refuses to run and for what is no pickle at all.
        with path.open("rb") as stream:
            pickled = stream.read(1) == b"\x80"
        if pickled or zipfile.is_zipfile(path):
            raise PdsnError(f"{path} {CODE}") from error
        raise _damaged(path, error) from error
    except OSError:
        raise
    except Exception as error:
        if "TorchScript" in str(error):
            raise PdsnError(f"{path} {CODE}") from error
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> PdsnError:
    # torch's reasons are paragraphs of advice, some of it to switch the safeguard off.
    first = str(error).partition("\n")[0].partition(". ")[0].rstrip(".") or type(error).__name__
    return PdsnError(f"{path} is damaged or not what its ending says ({first}): fetch it again")
