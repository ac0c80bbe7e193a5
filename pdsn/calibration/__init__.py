"""Thresholds: what strangers score, by what is covered."""
