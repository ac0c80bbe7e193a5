"""The matchers there are: name, and the module that holds its `PLUGIN`. A new matcher is its file and a line here."""

MATCHERS: dict[str, str] = {
    "cosine": "pdsn.matchers.cosine",
    "fdm": "pdsn.matchers.fdm",
    "parts": "pdsn.matchers.parts",
    "parts-cnn": "pdsn.matchers.parts_cnn",
    "zeroing": "pdsn.matchers.zeroing",
    "zeroing-softmax": "pdsn.matchers.segments",
    "xcos": "pdsn.matchers.xcos",
    "unmask": "pdsn.matchers.unmask",
    "cross-encoder": "pdsn.matchers.cross_encoder",
}

COMMANDS: dict[str, str] = {
    "parts": "parts-train",
    "parts-cnn": "parts-train --by cnn",
    "zeroing": "zeroing-train",
    "zeroing-softmax": "zeroing-train --head softmax",
    "xcos": "xcos-train",
    "unmask": "unmask-train",
    "cross-encoder": "cross-encoder-train",
}
"""The command that trains a matcher, for those that learn."""

CLOSED = ("zeroing-softmax",)
"""Matchers that can name the people they were trained on alone."""
