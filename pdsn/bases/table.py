"""The bases there are: name, and the module that holds its `PLUGIN`. A new base is its file and a line here."""

BASES: dict[str, str] = {
    "lmcl": "pdsn.bases.lmcl",
    "arcface": "pdsn.bases.arcface",
    "siamese": "pdsn.bases.siamese",
    "senet": "pdsn.bases.senet",
}
