"""How one comes by a base: an embedding network with a last spatial map, trained here or imported."""
