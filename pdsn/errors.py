"""The errors a user can cause, each carrying one line that says what is wrong and what to do."""


class PdsnError(Exception):
    """Something outside the program is wrong: a file, a device, a missing artefact (exit code 1).

    The message is one line: it names the file or option, what is wrong with it, and what to do.
    """

    exit_code = 1


class UsageError(PdsnError):
    """The command itself is wrong: an option out of range, an unknown name (exit code 2)."""

    exit_code = 2
