"""The methods of `explain` by name; nothing heavy is imported."""

MAP_METHODS = ("saliency", "gradcam", "layercam")
"""Those that give a map of the face: the last two of any layer."""
METHODS = (*MAP_METHODS, "regions", "xcos", "fdm")
"""All of them."""
