"""The matchers there are: name, and the module that holds its `PLUGIN`. A new matcher is its file and a line here."""

MATCHERS: dict[str, str] = {
    "cosine": "pdsn.matchers.cosine",
    "fdm": "pdsn.matchers.fdm",
}
