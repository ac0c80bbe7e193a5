"""Training with painted photos: the detector's last two networks, and the one that places landmarks of covered faces."""
