"""New photos: a gallery, names for their faces, and whether two show the same person."""
