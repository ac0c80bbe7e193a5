"""The one training loop, its batches, and augmentation."""
