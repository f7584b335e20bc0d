"""The errors that the library raises on purpose: each message is one line that a user can act on."""


class PipelineError(Exception):
    """A stage cannot go on. The message names the file, key or URL, what was wrong and what to do."""

    exit_code = 1


class UsageError(PipelineError):
    """The user's params, options or arguments are wrong: nothing was started."""

    exit_code = 2
