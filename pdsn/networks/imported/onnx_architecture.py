"""A recogniser in an ONNX file as an architecture: its size from the file, its template by its size."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pdsn.errors import PdsnError
from pdsn.files import write_text
from pdsn.networks.imported.architecture import Architecture, Tensors
from pdsn.networks.imported.iresnet import TEMPLATE
from pdsn.networks.imported.mobilefacenet import TEMPLATE_112X96
from pdsn.networks.imported.onnx_file import MISSING, first_line, last_changes
from pdsn.networks.imported.onnx_graph import Graph, read_onnx
from pdsn.networks.imported.onnx_net import OnnxNet, folded, with_cut

if TYPE_CHECKING:
    import onnxruntime

ENDING = ".onnx"
GRAPH = "graph.json"
"""What of an ONNX file is kept beside the weights of a base: the file itself is not needed any more."""
TEMPLATES = {(112, 112): TEMPLATE, (112, 96): TEMPLATE_112X96}
"""Landmarks by the size of a face; other sizes have pdsn's own."""
NEAR = 1e-4
"""How far torch and onnxruntime may differ, in standard deviations of the embeddings."""


@dataclass(frozen=True)
class Normalisation:
    """What a network sees of a face: (x - mean) / std.

    Attributes:
        mean, std: of red, green and blue, 0 to 255.
        bgr: blue comes first.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool

    def __str__(self) -> str:
        mean, std = (
            f"{part[0]:g}" if len(set(part)) == 1 else f"({', '.join(f'{one:g}' for one in part)})"
            for part in (self.mean, self.std)
        )
        return f"(x - {mean}) / {std}, {'blue' if self.bgr else 'red'} first"


USUAL = tuple(
    Normalisation(mean, std, bgr)
    for bgr in (False, True)
    for mean, std in (
        ((127.5,) * 3, (127.5,) * 3),
        ((127.5,) * 3, (128.0,) * 3),
        ((0.0,) * 3, (255.0,) * 3),
        ((0.0,) * 3, (1.0,) * 3),
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    )
)
"""Those that published recognisers have, the commonest first."""


def is_onnx(arch: str) -> bool:
    """Whether an architecture is an ONNX file."""
    return arch.lower().endswith(ENDING)


def onnx_architecture(path: Path) -> Architecture:
    """The architecture of a file, with the commonest normalisation until another is known to fit better.

    Raises:
        PdsnError: it is missing, no ONNX file, or no recogniser that can be cut, see `read_onnx` and `OnnxNet`.
    """
    if not path.is_file():
        raise PdsnError(f"{path} is missing: there is no such file of weights")
    graph, _ = _read(path, last_changes(path))
    return _architecture(graph, USUAL[0], str(path))


def onnx_weights(path: Path) -> Tensors:
    """The tensors of a file, by their names in its graph; those of `_read` and so of the architecture."""
    return dict(_read(path, last_changes(path))[1])


def possible_normalisations(architecture: Architecture) -> tuple[Normalisation, ...]:
    """Those that a file may want: a graph that begins by shifting or scaling its input wants pixels as they are."""
    net = architecture.build()
    assert isinstance(net, OnnxNet)
    if net.normalises:
        return tuple(one for one in USUAL if one.std == (1.0,) * 3)
    return USUAL


def normalisation_of(architecture: Architecture) -> Normalisation:
    """That of an architecture."""
    return Normalisation(architecture.mean, architecture.std, architecture.bgr)


def normalised(architecture: Architecture, how: Normalisation) -> Architecture:
    """The same with another normalisation."""
    return replace(architecture, mean=how.mean, std=how.std, bgr=how.bgr)


def save_graph(folder: Path, architecture: Architecture) -> None:
    """Write what `saved_architecture` reads."""
    net = architecture.build()
    assert isinstance(net, OnnxNet)
    about = {
        "graph": json.loads(net.graph.to_json()),
        "mean": architecture.mean,
        "std": architecture.std,
        "bgr": architecture.bgr,
    }
    write_text(folder / GRAPH, json.dumps(about) + "\n")


def saved_architecture(folder: Path, remake: str) -> Architecture:
    """The architecture of an imported base.

    Raises:
        PdsnError: what was saved is missing or damaged; `remake` is the command that makes it again.
    """
    path = folder / GRAPH
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        graph = Graph.from_json(json.dumps(about["graph"]))
        how = Normalisation(tuple(about["mean"]), tuple(about["std"]), bool(about["bgr"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PdsnError(f"{path} cannot be used ({error}): make it again with `{remake}`") from error
    return _architecture(graph, how, str(path))


def check_parity(net: OnnxNet, path: Path, faces: Tensor) -> float:
    """How far a network differs from onnxruntime on the same file, in standard deviations of the embeddings.

    Args:
        net: with its weights.
        path: the ONNX file.
        faces: (N, 3, H, W) float32, normalised.

    Raises:
        PdsnError: onnxruntime is missing, or they differ by more than `NEAR`.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise PdsnError(f"{path}: {MISSING}") from error
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors: what it leaves out or fuses is no matter here
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        theirs = _answers(session, net.graph.output, faces)
    except Exception as error:
        raise PdsnError(f"{path}: onnxruntime cannot run it: {first_line(error)}") from error
    with torch.inference_mode():
        ours = net.head(net.features(faces))
    apart = float((ours - theirs).abs().max() / theirs.std().clamp_min(1e-12))
    if not apart <= NEAR:
        raise PdsnError(
            f"{path}: torch and onnxruntime differ by {apart:.2g} standard deviations of the embeddings, more than {NEAR:g}: "
            "the file holds something that is not understood; convert the network to a --arch FILE.py"
        )
    return apart


def _answers(session: onnxruntime.InferenceSession, output: str, faces: Tensor) -> Tensor:
    """Embeddings (N, E) of faces; of a file for so many faces at a time they come in such batches, the last one filled up."""
    (given,) = session.get_inputs()
    fixed = given.shape[0]
    batch = fixed if isinstance(fixed, int) and fixed > 0 else len(faces)
    rows = torch.arange(-(-len(faces) // batch) * batch) % len(faces)
    shown = faces.permute(0, 2, 3, 1) if given.shape[3] == 3 and given.shape[1] != 3 else faces
    parts = [
        session.run([output], {given.name: shown[part].contiguous().numpy()})[0] for part in rows.split(batch)
    ]
    return torch.cat([torch.from_numpy(part).float().flatten(1) for part in parts])[: len(faces)]


def _architecture(graph: Graph, how: Normalisation, source: str) -> Architecture:
    return Architecture(
        Path(source).name,
        partial(OnnxNet, graph, source),
        graph.size,
        how.mean,
        how.std,
        how.bgr,
        landmarks=TEMPLATES.get(graph.size),
        rename=partial(_renamed, graph, source),
    )


def _renamed(graph: Graph, source: str, weights: Tensors) -> Tensors:
    names = OnnxNet(graph, source).keys
    return {names.get(name, name): value for name, value in weights.items()}


@lru_cache(maxsize=2)
def _read(path: Path, changed: tuple[int, ...]) -> tuple[Graph, Tensors]:
    """A file, and its data files, as they were at their last changes."""
    del changed
    graph, tensors = folded(*read_onnx(path), str(path))
    _architecture(
        graph, USUAL[0], str(path)
    )  # refuses sizes that no face has, before a face of that size is run
    return with_cut(graph, str(path)), tensors
