"""Face recognition under occlusion with pairwise differential siamese networks and feature-discarding masks."""

__version__ = "0.1.0"
