"""Errors a person can act on: one line that says what was expected, what came, what to do."""


class TrailstreamsError(Exception):
    """Base of every error that the command line prints as one line, without a traceback."""


class ConfigurationError(TrailstreamsError):
    """Raise when settings or arguments contradict each other or what is already there."""


class InputError(TrailstreamsError):
    """Raise when a named file, folder or object cannot be used as input."""


class KafkaUnavailableError(TrailstreamsError):
    """Raise when the broker cannot be reached, refuses us, or a topic is missing or misshapen."""


class RegistryUnavailableError(TrailstreamsError):
    """Raise when the Schema Registry cannot be reached, refuses us, or lacks a schema of ours."""


class StateError(TrailstreamsError):
    """Raise when stored state contradicts the source topic or the settings it was built with."""
