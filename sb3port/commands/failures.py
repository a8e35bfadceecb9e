"""Which exceptions are told in a sentence: ours, those of environments, and those of disks."""

from sb3port.environments.failures import failure_of_others
from sb3port.errors import Sb3portError, UsageError


def known_error(error: Exception) -> Sb3portError | None:
    """Give the error that a user is told, None for a bug of ours."""
    if isinstance(error, Sb3portError):
        return error
    if (failure := failure_of_others(error)) is not None:
        return failure
    if isinstance(error, OSError):  # a full disk, a file that may not be read
        where = f"{error.filename}: " if error.filename else ""
        return UsageError(f"{where}{error.strerror or error}")
    return None
