"""About how long a stage will take on this machine: a batch through its network is timed, and multiplied."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

import torch

from pdsn.drawn.embedded import PHOTO_SECONDS
from pdsn.masks.matched import MOST_PEOPLE
from pdsn.run.directory import SYNTHETIC
from pdsn.run.stages import Step
from pdsn.run.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

    from pdsn.networks.branches import Network

BATCH = 16
"""Faces that are timed."""
BACKWARD = 3
"""A training step costs as much as so many forward passes: one forward, two backward."""
OCCLUSIONS = 20
"""What the segmentation's validation photos are seen under, about."""
SHARES = {"train": 0.7, "val": 0.15}
"""Of the drawn people's photos, where none are drawn yet."""


def estimate(workspace: Workspace, steps: Sequence[Step]) -> list[float]:
    """Seconds of some steps that are missing, one after the other; what is in a cache already is not known of.

    Args:
        workspace: the run.
        steps: as `pdsn.run.stages.lacking` gives them.
    """
    timed = _Timed(workspace)
    return [timed.seconds(step) for step in steps]


def spoken(seconds: float) -> str:
    """A time as people say it: "under a minute", "about 3 min", "about 2 h"."""
    minutes = seconds / 60
    if minutes < 0.75:
        return "under a minute"
    if minutes < 10:
        return f"about {max(round(minutes), 1)} min"
    return f"about {5 * round(minutes / 5)} min" if minutes < 120 else f"about {round(minutes / 60)} h"


class _Timed:
    """A run's networks, timed when they are asked for, and the number of its photos."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.to_draw = 0
        if workspace.data == SYNTHETIC and not (workspace.run.data / "dataset.json").is_file():
            drawn = workspace.settings.synthetic
            self.to_draw = drawn.people * drawn.photos
            self.train, self.val = (round(self.to_draw * SHARES[name]) for name in ("train", "val"))
            self.people, self.size = drawn.people, drawn.size
        else:
            training = workspace.training
            self.train, self.val = len(training.rows("train")), len(training.rows("val"))
            self.people, self.size = len(training.people), training.size

    def seconds(self, step: Step) -> float:
        """Seconds of a step."""
        match step.stage:
            case "base-train":
                return self._base()
            case "base-import":
                return self.face * (self.train + self.val)
            case "mask-train":
                clean = self.face * (self.train + self.val)
                return clean + sum(self._masks(len(paths)) for paths in step.makes.values())
            case "build-dictionary":
                return (self.generator + 0.1 * self.face) * 5 * self.train * len(step.names)
            case "segment-train":
                return self._segmenter()
            case "matcher-train":
                return sum(self._matcher(name) for name in step.names)
            case _:
                return self._head_tuning()

    def _base(self) -> float:
        config = self.workspace.settings.base
        validations = config.epochs / config.validate_every
        passes = BACKWARD * self.train * config.epochs + validations * (self.train + self.val)
        return self.to_draw * PHOTO_SECONDS + self.face * passes

    def _masks(self, folders: int) -> float:
        """Of a strategy that is learned in so many folders: one for all regions, or one for each."""
        settings = self.workspace.settings
        if folders == 1:
            config = settings.matching
            maps = self.face * (self.train * config.draws + self.val)
            return maps + self.head * BACKWARD * config.steps * (config.batch + min(self.people, MOST_PEOPLE))
        passes = BACKWARD * settings.masks.epochs * self.train * (self.generator + self.head)
        return folders * (self.face * (self.train + self.val) + passes)

    def _segmenter(self) -> float:
        from pdsn.coverage.segmenter import SegmentationNet
        from pdsn.coverage.settings import BASE
        from pdsn.coverage.training import VALIDATION_PHOTOS
        from pdsn.coverage.trunk import TrunkSegmentationNet

        config = self.workspace.settings.segment
        on_base = config.encoder == BASE
        net = (
            TrunkSegmentationNet(self.network) if on_base else SegmentationNet(config.encoder, config.height)
        )
        one, frozen = self._forward(net, "forward"), self.face if on_base else 0.0
        step = frozen + BACKWARD * max(one - frozen, 0)
        looked = OCCLUSIONS * min(self.val, VALIDATION_PHOTOS)
        return config.batch * config.steps * step + config.validations * looked * one

    def _matcher(self, name: str) -> float:
        """The maps, which several share, and as much again: behind them the networks are small. Others see the faces."""
        from pdsn.matchers.table import MATCHERS
        from pdsn.plugin import find_plugin

        config = self.workspace.settings.of(find_plugin(MATCHERS, name, "--matcher"))
        if not config.LEARNS_FROM:
            net = import_module(MATCHERS[name]).build(self.workspace, config)
            faces = torch.zeros(BATCH, 3, *self.size)
            covered = torch.zeros(BATCH, *self.size, dtype=torch.bool)
            pair = _fastest(lambda: net.eval().scores(faces, covered, faces[:1])) / BATCH
            return 2 * BACKWARD * pair * config.steps * config.batch
        maps = self.face * (self.train * (1 + config.draws) + 2 * self.val)
        return 2 * (maps + self.head * BACKWARD * config.steps * config.batch)

    def _head_tuning(self) -> float:
        config = self.workspace.settings.head
        return self.face * self.train * config.draws + self.head * BACKWARD * 2 * config.batch * config.steps

    @cached_property
    def network(self) -> Network:
        """The base's network with random weights."""
        settings = self.workspace.settings
        if settings.pretrained.arch:
            from pdsn.bases.onnx_import import known_architecture
            from pdsn.networks.imported.net import PretrainedNet

            return PretrainedNet(known_architecture(self.workspace.run.base, settings.pretrained))
        from pdsn.bases.opening import base_plugin
        from pdsn.bases.trained import network_settings

        plugin = base_plugin(settings)
        return plugin.load(
            network_settings(settings.base, plugin, settings.of(plugin), self.size, self.people)
        ).net

    @cached_property
    def face(self) -> float:
        """Seconds of the base's trunk for a face."""
        return self._forward(self.network, "features")

    @cached_property
    def head(self) -> float:
        """Seconds of its head for a map."""
        network = self.network.eval().to("cpu")
        maps = torch.rand(BATCH, *network.map_shape)
        return _fastest(lambda: network.head(maps)) / BATCH

    @cached_property
    def generator(self) -> float:
        """Seconds of a mask generator for a pair of maps."""
        from pdsn.networks.mask_generator import MaskGenerator

        shape = self.network.map_shape
        generator, maps = MaskGenerator(shape[0]).eval(), torch.rand(BATCH, *shape)
        return _fastest(lambda: generator(maps, maps)) / BATCH

    def _forward(self, network: nn.Module, method: str) -> float:
        """Seconds of a network for a face, at the run's precision, on its device."""
        accelerator = self.workspace.accelerator
        network = network.eval().to(accelerator.device).to(memory_format=torch.channels_last)
        faces = torch.zeros(BATCH, 3, *self.size, dtype=torch.uint8, device=accelerator.device)

        def once() -> None:
            with accelerator.autocast():
                getattr(network, method)(faces)
            if accelerator.device.type == "cuda":
                torch.cuda.synchronize()

        return _fastest(once) / BATCH


def _fastest(run: Callable[[], object]) -> float:
    """Seconds of the faster of two runs, after one that warms up."""
    found = []
    with torch.inference_mode():
        run()
        for _ in range(2):
            began = time.perf_counter()
            run()
            found.append(time.perf_counter() - began)
    return min(found)
