"""Settings: their declaration, presets, TOML files, and how they are merged."""
