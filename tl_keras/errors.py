"""Exceptions that tell a user what was wrong, what is allowed, what was received and what to do.

Every exception here is shown as one message without a traceback. `exit_code` is what the
command line returns: 2 for what the user can mend before anything ran, 1 for a failure on the way.
"""

from pathlib import Path

from tl_keras.invocation import fresh, go_on


def installing(extra: str) -> str:
    """What installs an extra of this package, as a command and where it is given."""
    return f'pip install ".[{extra}]" in the folder of the source of tl_keras'


class TlKerasError(Exception):
    """Base of every error that is shown to the user as a message."""

    exit_code = 1


class ConfigError(TlKerasError):
    """The experiment file or an override is not valid."""

    exit_code = 2


class DataError(TlKerasError):
    """The images or labels cannot be used as they are."""

    exit_code = 2


class TooFewImagesError(DataError):
    """A class has too few images, or groups of them, for what is asked for."""


class PicturesError(DataError, ValueError):
    """Pictures or labels given in memory cannot be used as they are.

    It is a ValueError as well, which is what callers of a function with arrays expect.
    """


class WeightsError(TlKerasError):
    """The pretrained weights are missing or do not fit the backbone."""

    exit_code = 2


class WorkerError(TlKerasError):
    """A process that made a run ended, and so did the next."""


class ResultsError(TlKerasError):
    """The results folder holds something that must not be mixed with this experiment."""

    exit_code = 2


class DamagedError(ResultsError):
    """A file of an experiment's folder is not as it was written, or gone.

    Attributes:
        path: of the file.
        why: what is wrong with it.
    """

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is damaged: {why}. {_remedy(path)}")
        self.path, self.why = path, why

    def __reduce__(self) -> tuple[type["DamagedError"], tuple[Path, str]]:
        # from a worker process
        return type(self), (self.path, self.why)


def _remedy(path: Path) -> str:
    # what lies deepest is a file of a run: state/runs/<run>/row.json
    configs = [folder / "config.json" for folder in path.parents[:4]]
    config = next((found for found in configs if found.is_file()), None)
    if config is None or config == path:
        return (
            "Run the experiment again from its own file, which goes on where it was, or use "
            f"{fresh()} to move the folder aside."
        )
    return f"Go on with the experiment, which makes it again: {go_on(config)}"


class ExportError(TlKerasError):
    """An exported model is missing or does not answer as the trained model does."""


class NoExportError(ExportError):
    """There is no exported model where one was named, or none can be made here."""

    exit_code = 2


class CacheError(TlKerasError):
    """The feature cache has no room, or was changed while it was in use."""
