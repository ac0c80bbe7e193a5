"""The networks of a run as ONNX files, and the check that these answer as torch does."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pdsn.coverage.caution import Cautious
from pdsn.errors import PdsnError
from pdsn.networks.branches import Network, branch, has_branches

OPSET = 18
"""The first whose Resize can smooth what it reduces, as the segmentation does with large faces; torch's exporter
writes it without a conversion, and onnxruntime reads it from 1.14 on."""
TOLERANCE = 1e-3
"""Largest difference to torch that is taken for rounding, in standard deviations of the network's output."""
PROBE = "probe-"
"""Before the names of the networks that see probes, where these have a branch of their own."""
BATCHES = (1, 3)
"""Batch sizes at which every file is checked; the export itself sees 2."""


@dataclass(frozen=True)
class Part:
    """A network that becomes a file.

    Attributes:
        name: of the file, without its ending.
        network: (N, *shape) float32 -> its output; on the CPU, in evaluation mode.
        shape: of one input.
        takes, gives: names of the input and the output.
    """

    name: str
    network: nn.Module
    shape: tuple[int, ...]
    takes: str
    gives: str

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"{self.name}.onnx"


def require_onnx() -> None:
    """Raise PdsnError unless the packages of the extra `onnx` are there."""
    try:
        import onnx
        import onnxruntime
        import onnxscript

        del onnx, onnxruntime, onnxscript
    except ImportError as error:
        raise PdsnError(
            f'exporting needs onnx, onnxscript and onnxruntime ({error}): pip install "pdsn[onnx]"'
        ) from error


def parts_of(net: Network, segmenter: Cautious | None, size: tuple[int, int]) -> list[Part]:
    """The networks to export, as fresh copies in float32 on the CPU.

    Args:
        net: the base, as it is: frozen, on any device, in any memory format.
        segmenter: the segmentation, if it is exported too.
        size: height and width of a face in pixels.

    Returns:
        "trunk" (faces -> maps), "head" (maps -> embeddings) and "segmenter" (faces -> logits); of a base with two branches
        trunk and head are the gallery's, and "probe-trunk" and "probe-head" come after them.
    """
    faces = (3, *size)
    branches = {"": branch(net, "gallery"), **({PROBE: branch(net, "probe")} if has_branches(net) else {})}
    parts = []
    for prefix, one in branches.items():
        base = _fresh(one)
        parts += [
            Part(f"{prefix}trunk", _Method(base, "features"), faces, "faces", "maps"),
            Part(f"{prefix}head", _Method(base, "head"), tuple(one.map_shape), "maps", "embeddings"),
        ]
    if segmenter is not None:
        parts.append(Part("segmenter", _fresh(segmenter), faces, "faces", "logits"))
    return parts


def write_part(part: Part, folder: Path) -> Path:
    """Write a network as ONNX whose first dimension is free; weights are inside the file.

    Args:
        part: the network.
        folder: where the file goes; there already.

    Returns:
        The file.

    Raises:
        PdsnError: the network does something that ONNX cannot say.
    """
    import onnx

    path = folder / part.file
    try:
        # The exporter warns of its own deprecations; what matters to us raises, or shows in the check.
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                part.network,
                (torch.zeros(2, *part.shape),),
                dynamo=True,
                input_names=[part.takes],
                output_names=[part.gives],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=OPSET,
                verbose=False,
            )
        assert program is not None, "the exporter based on torch.export returns a program"
        model = program.model_proto
        _forget_sources(model)
        onnx.checker.check_model(model)
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise PdsnError(
            f"the {part.name} of this base cannot be written as ONNX ({type(error).__name__}: {reason}): "
            "see --debug"
        ) from error
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


@torch.inference_mode()
def largest_difference(part: Part, path: Path, inputs: Tensor, batches: Sequence[int] = BATCHES) -> float:
    """How far a file's answers are from torch's, by onnxruntime on the CPU.

    Args:
        part: the network.
        path: its file.
        inputs: (N, *part.shape) float32, at least as many as the largest batch.
        batches: how many at a time; each batch is the first of the inputs.

    Returns:
        The largest difference over all batches, in standard deviations of torch's output; not a number
        where an output is none.

    Raises:
        PdsnError: onnxruntime cannot run the file, or its output has another shape.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        found = [
            torch.from_numpy(session.run([part.gives], {part.takes: inputs[:batch].numpy()})[0])
            for batch in batches
        ]
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise PdsnError(
            f"onnxruntime cannot run {part.file} ({type(error).__name__}: {reason}): see --debug"
        ) from error
    wanted = [part.network(inputs[:batch]) for batch in batches]
    for one, other in zip(found, wanted, strict=True):
        if one.shape != other.shape:
            raise PdsnError(f"{part.file} gives {tuple(one.shape)}, and torch {tuple(other.shape)}")
    gap = torch.stack([(one - other).abs().max() for one, other in zip(found, wanted, strict=True)]).max()
    # An output that never changes has no spread: any difference is then too large.
    spread = torch.cat([output.flatten() for output in wanted]).std(correction=0).clamp_min(1e-12)
    return float(gap / spread)


class _Method(nn.Module):
    """A method of a network as a module of its own."""

    def __init__(self, net: nn.Module, method: str) -> None:
        super().__init__()
        self.net = net
        self.method = method
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self.net, self.method)(x)


def _fresh(module: nn.Module) -> nn.Module:
    made = copy.deepcopy(module).cpu().float().to(memory_format=torch.contiguous_format).eval()
    return made.requires_grad_(False)


def _forget_sources(model: object) -> None:
    """Take out the lines of source code, with paths of this machine, that torch keeps for each node."""
    graph = model.graph  # type: ignore[attr-defined]
    described = (
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
        graph,
        model,
    )
    for thing in described:
        thing.ClearField("metadata_props")
        thing.ClearField("doc_string")
