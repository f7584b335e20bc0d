"""The errors that the library raises on purpose: one line each, that a user can act on."""


class PipelineError(Exception):
    """A stage cannot go on: the message names the file, key or URL, the fault and what to do."""

    exit_code = 1


class UsageError(PipelineError):
    """The user's params, options or arguments are wrong: nothing was started."""

    exit_code = 2
