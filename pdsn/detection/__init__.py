"""Training of the detector's last two networks on painted photos."""
