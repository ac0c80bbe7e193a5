"""A matcher whose base has learned nothing: what maps show of the photo alone, whatever a network has learned."""

from __future__ import annotations

import copy

import torch
from torch import nn

from pdsn.bases.encoder import Encoder
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.memory import MapMemory


def at_random(matcher: Cosine) -> Cosine:
    """The same matcher on a base of the same kind whose weights are drawn anew, from a fixed seed."""
    memory = matcher.memory
    net = copy.deepcopy(memory.encoder.net)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for module in net.modules():
            draw = getattr(module, "reset_parameters", None)
            if isinstance(module, nn.Module) and callable(draw):
                draw()
        for parameter, old in zip(net.parameters(), memory.encoder.net.parameters(), strict=True):
            before = old.detach()
            # What no module draws, such as the positions of a transformer, is drawn as wide as it was.
            if parameter.is_floating_point() and parameter.ndim > 1 and torch.equal(parameter, before):
                nn.init.normal_(parameter, float(before.mean()), max(float(before.std()), 1e-3))
    same = copy.copy(matcher)
    same.memory = MapMemory(Encoder(net, memory.encoder.accelerator), mirror=memory.mirror)
    return same
