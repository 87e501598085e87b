"""The exceptions that a person is meant to read."""


class PipelineError(Exception):
    """Something a person can put right: what is wrong, where, and what to do, in one sentence.

    ``python -m pipeline`` prints it without a traceback and exits with 1.
    """


class Unavailable(PipelineError):
    """Something from elsewhere that can't be had now: the methods that don't need it go on."""


class Senseless(PipelineError):
    """A setting that makes no sense on a network or its images."""
