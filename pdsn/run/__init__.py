"""The run directory, and what is opened from it."""
