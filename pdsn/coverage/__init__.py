"""Which pixels of a face are covered: the U-Net, its training, and what it finds."""
